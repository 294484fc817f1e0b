package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// Fairness reports what one tenant that asks for ten times what it may costs another one.
type Fairness struct {
	Machine   Machine     `json:"machine"`
	Store     Store       `json:"store"`
	Flooded   []FairRound `json:"flooded"` // the hub takes the flood
	Control   []FairRound `json:"control"` // the same flood goes to who refuses all of it at once
	Compared  []Compared  `json:"compared"`
	PeakBytes int64       `json:"peakBytes"` // resident, of the hub, ever
}

// FairRound is what the other tenant saw in one round.
type FairRound struct {
	Event      Latency                  `json:"event"` // of the answer to an event
	Push       Latency                  `json:"push"`  // from sending an event until its push
	Read       Latency                  `json:"read"`  // of a page of the log
	PushedBack int64                    `json:"pushedBack"`
	Answers    map[string]map[int]int64 `json:"answers"` // to the flood, by kind of request and status
}

// Compared is a p99 beside the control's, each the median of its rounds, in ms.
type Compared struct {
	What    string  `json:"what"`
	Flooded float64 `json:"flooded"`
	Control float64 `json:"control"`
	Within  bool    `json:"within"` // 1.5 times the control, or 5 ms beyond it
}

// Bounds that a fair hub keeps.
const (
	fairRatio = 1.5
	fairMs    = 5
	fairBytes = 512 << 20
)

// RunFairness measures a tenant beside another one that floods the hub, and beside one
// whose flood goes elsewhere, in turns.
func (c *Config) RunFairness(ctx context.Context, rounds int, s Store) (_ *Fairness, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	r := &Fairness{Store: s}
	if r.Machine, err = examine(c.Dir); err != nil {
		return nil, err
	}
	stop, err := c.startServers([]Store{s})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	// The receivers of both tenants, who refuses all, and the hub.
	var sinks [3]*sinkProcess
	for i, name := range []string{"sink", "flood-sink", "refuser"} {
		if sinks[i], err = c.startSink(name, "127.0.0.1:0"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, sinks[i].stop()) }()
	}
	f, err := c.startFleet(ctx, "fairness", s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	if f.settles, err = f.subscribe(ctx, sinks[0].url+"/0", typeAlive); err != nil {
		return nil, err
	}
	key, err := f.addFlooder(ctx, sinks[1].url+"/0")
	if err != nil {
		return nil, err
	}
	if err := sinks[1].expect(ctx, 0, 1, 1); err != nil {
		return nil, err
	}

	for n := range rounds {
		for _, to := range []string{f.hubs[0].url, sinks[2].url + refuse} {
			c.say("round %d, flood to %s", n+1, to)
			round, err := c.fairRound(ctx, f, sinks[0], len(r.Flooded)+len(r.Control)+1, to, key)
			if err != nil {
				return nil, err
			}
			if to == f.hubs[0].url {
				r.Flooded = append(r.Flooded, round)
			} else {
				r.Control = append(r.Control, round)
			}
		}
	}
	last, err := f.use(ctx)
	r.PeakBytes = last.peak
	r.compare()
	return r, err
}

// addFlooder makes a tenant with the usual limits, and returns its owner's key.
func (f *fleet) addFlooder(ctx context.Context, receiver string) (string, error) {
	url := f.hubs[0].url
	if _, err := call(ctx, http.MethodPost, url+"/v1/tenants", platformKey, map[string]any{"companyId": "flood"}); err != nil {
		return "", err
	}
	raw, err := call(ctx, http.MethodPost, url+"/v1/tenants/flood/keys", platformKey, map[string]any{"role": "owner", "name": "flood"})
	if err != nil {
		return "", err
	}
	var made struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(raw, &made); err != nil {
		return "", err
	}
	_, err = call(ctx, http.MethodPost, url+"/v1/subscriptions", made.Key, map[string]any{
		"url": receiver, "events": []string{typeAlive},
	})
	return made.Key, err
}

// fairRound measures the calm tenant while the flood goes on.
func (c *Config) fairRound(ctx context.Context, f *fleet, sink *sinkProcess, run int, to, key string) (r FairRound, err error) {
	flood, err := c.startFlood(to, key)
	if err != nil {
		return r, err
	}
	defer func() {
		if flood != nil {
			err = errors.Join(err, flood.stop())
		}
	}()

	events := c.pacedEvents()
	if err := sink.expect(ctx, run, events, 1); err != nil {
		return r, err
	}
	l := newLoad(f.urls("/v1/events"), f.key, c.Connections)
	l.run = run
	took := &times{}
	reads := &times{}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return c.every(gctx, events, func(n int) error {
			began := time.Now()
			err := l.post(gctx, l.urls[0], l.request(nil, n, n+1, began))
			took.add(time.Since(began))
			return err
		})
	})
	g.Go(func() error {
		return c.every(gctx, events, func(int) error {
			began := time.Now()
			err := l.read(gctx, f.hubs[0].url+"/v1/events?limit=20")
			reads.add(time.Since(began))
			return err
		})
	})
	if err := g.Wait(); err != nil {
		return r, fmt.Errorf("the calm tenant: %w", err)
	}
	if err := sink.wait(ctx, events); err != nil {
		return r, fmt.Errorf("wait for the deliveries: %w", err)
	}
	t, err := sink.tally(ctx)
	if err != nil {
		return r, err
	}

	over := flood
	flood = nil
	if err := over.stop(); err != nil {
		return r, err
	}
	r.Event = latencyOf(took.ns)
	r.Read = latencyOf(reads.ns)
	r.Push = t.Latency
	r.PushedBack = l.pushedBack.Load()
	if r.Answers, err = over.answers(); err != nil {
		return r, err
	}
	return r, t.check(events)
}

// read asks for a page. Refused for now, it counts as pushed back.
func (l *load) read(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+l.key)
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		l.pushedBack.Add(1)
		return nil
	}
	return fmt.Errorf("read: answer %d", resp.StatusCode)
}

// times that were measured.
type times struct {
	mu sync.Mutex
	ns []int64
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ns = append(t.ns, d.Nanoseconds())
}

// every calls fn n times at an even rate, whether or not earlier calls have returned.
func (c *Config) every(ctx context.Context, n int, fn func(int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(time.Second / time.Duration(c.Rate))
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(g.Wait(), ctx.Err())
		}
		g.Go(func() error { return fn(i) })
	}
	return g.Wait()
}

// floodProcess is a Flood in a process of its own, whose log ends with its answers.
type floodProcess struct{ *process }

// startFlood starts a flood on one core, if there is a program that pins it.
func (c *Config) startFlood(to, key string) (*floodProcess, error) {
	f := &floodProcess{}
	program, args := c.Program, []string{"bench", "flood", "--url", to, "--key", key}
	if pin, err := exec.LookPath("taskset"); err == nil {
		program, args = pin, append([]string{"-c", "0", c.Program}, args...)
	}
	var err error
	f.process, err = start(c.Dir, "flood", program, args, environment("GOMAXPROCS=1"), func(r io.Reader) error {
		_, err := bufio.NewReader(r).ReadString('\n') // it has begun
		return err
	})
	return f, err
}

// answers returns what the flood said at its end. It must have been stopped.
func (f *floodProcess) answers() (of map[string]map[int]int64, err error) {
	raw, err := os.ReadFile(f.log)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &of); err != nil {
		return nil, fmt.Errorf("answers to the flood: %w", err)
	}
	return of, nil
}

// compare compares the p99s.
func (r *Fairness) compare() {
	for _, what := range []struct {
		name string
		of   func(FairRound) Latency
	}{
		{"event", func(f FairRound) Latency { return f.Event }},
		{"push", func(f FairRound) Latency { return f.Push }},
		{"read", func(f FairRound) Latency { return f.Read }},
	} {
		median := func(rounds []FairRound) float64 {
			var p99 []float64
			for _, round := range rounds {
				p99 = append(p99, what.of(round).P99)
			}
			slices.Sort(p99)
			return p99[len(p99)/2]
		}
		d := Compared{What: what.name, Flooded: median(r.Flooded), Control: median(r.Control)}
		d.Within = d.Flooded <= max(fairRatio*d.Control, d.Control+fairMs)
		r.Compared = append(r.Compared, d)
	}
}

// Print writes the report for people.
func (r *Fairness) Print(w io.Writer) error {
	k := r.Machine
	fmt.Fprintf(w, "%d cores (%s), %s, %s, fsync %.2f ms, load %s\n%s, %d rounds each\n\n",
		k.Cores, k.CPU, k.System, k.Go, k.FsyncMs, k.Load, r.Store, len(r.Flooded))

	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	pushedBack := int64(0)
	for _, round := range r.Flooded {
		pushedBack += round.PushedBack
	}
	fmt.Fprintln(tw, "p99 of another tenant\tflooded ms\tcontrol ms\tratio\t\t")
	for _, d := range r.Compared {
		verdict := "fair"
		if !d.Within {
			verdict = fmt.Sprintf("NOT within %.1f times or %d ms", fairRatio, fairMs)
		}
		fmt.Fprintf(tw, "%s\t%.2f\t%.2f\t%.2f\t%s\t\n", d.What, d.Flooded, d.Control, d.Flooded/max(d.Control, 1e-9), verdict)
	}
	if err := tw.Flush(); err != nil {
		return err
	}

	fmt.Fprintf(w, "\nThe other tenant's requests that were refused for now: %d.\n", pushedBack)
	for i, round := range r.Flooded {
		var said []string
		for name, of := range round.Answers {
			said = append(said, fmt.Sprintf("%s %v", name, of))
		}
		slices.Sort(said)
		fmt.Fprintf(w, "\nround %d, answers to the flood by status (0: none): %s\n", i+1, strings.Join(said, ", "))
	}
	bound := "below"
	if r.PeakBytes >= fairBytes {
		bound = "NOT below"
	}
	_, err := fmt.Fprintf(w, "\nPeak memory of the hub: %d MiB, %s %d.\n", r.PeakBytes>>20, bound, fairBytes>>20)
	return err
}
