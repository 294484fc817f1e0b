package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookline/hookline/cmd/hookline/sink"
)

// Bounds of what a sink can count.
const (
	maxEvents = 99_999_999 // a mark has eight digits
	maxSubs   = 1000
)

// Counter is a receiver that only counts. It is as lean as net/http lets it be, or
// measurements would measure the receiver.
//
//	POST /expect?run=1&events=100&subs=5   begin a new count
//	any  /refuse/...                       answers 429 at once
//	POST /<subscription>                   a push, or a post of the raw loop
//	GET  /wait?deliveries=500              answers once so many came
//	GET  /tally                            the count
type Counter struct{ count atomic.Pointer[count] }

type count struct {
	run, events, subs int
	received          atomic.Int64
	strays            atomic.Int64   // pushes of another run, or with an unexpected number or subscription
	lastNs            atomic.Int64   // when the last push came, Unix
	times             []atomic.Int32 // how often each delivery came
	latency           []int64        // ns until it came first

	mu      sync.Mutex
	waiting map[chan struct{}]int64 // closed when so many deliveries have come
	waiters atomic.Int32            // len(waiting), to read without the lock
}

// Tally is what a count found.
type Tally struct {
	Received int64   `json:"received"`
	Missing  int     `json:"missing"` // deliveries that never came
	Doubled  int     `json:"doubled"` // deliveries that came more than once
	Strays   int64   `json:"strays"`
	LastNs   int64   `json:"lastNs"` // when the last one came, Unix
	Latency  Latency `json:"latency"`
	Subs     int     `json:"subs"`
}

// check returns an error unless every event came exactly once to each subscription.
func (t *Tally) check(events int) error {
	if t.Missing == 0 && t.Doubled == 0 && t.Strays == 0 && t.Received == int64(events*t.Subs) {
		return nil
	}
	return fmt.Errorf("of %d deliveries %d were missing and %d came more than once; %d pushes came that nobody expected",
		events*t.Subs, t.Missing, t.Doubled, t.Strays)
}

func (c *Counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now().UnixNano()
	if strings.HasPrefix(r.URL.Path, refuse+"/") {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	switch r.URL.Path {
	case "/expect":
		c.expect(w, r)
		return
	case "/wait":
		c.wait(w, r)
		return
	case "/tally":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(c.count.Load().tally()) // the caller went away: it will say so
		return
	}

	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		buf.Reset()
		buffers.Put(buf)
	}()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
		return // the sender went away, and sends it again
	}
	c.count.Load().push(strings.TrimPrefix(r.URL.Path, "/"), buf.Bytes(), now)
	if r.URL.RawQuery == twoParts[1:] {
		sink.InTwoParts(w, r, http.StatusOK, "{}")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuse begins the paths that are answered 429 at once.
const refuse = "/refuse"

// twoParts after the path of a push asks for an answer with head and body apart.
const twoParts = "?two-parts"

func (c *Counter) expect(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	run, err1 := strconv.Atoi(q.Get("run"))
	events, err2 := strconv.Atoi(q.Get("events"))
	subs, err3 := strconv.Atoi(q.Get("subs"))
	if err := errors.Join(err1, err2, err3); err != nil || events < 1 || events > maxEvents || subs < 1 || subs > maxSubs {
		http.Error(w, "run, events and subs must be numbers", http.StatusBadRequest)
		return
	}
	c.count.Store(&count{
		run: run, events: events, subs: subs,
		times: make([]atomic.Int32, events*subs), latency: make([]int64, events*subs),
		waiting: map[chan struct{}]int64{},
	})
	w.WriteHeader(http.StatusNoContent)
}

// push counts a push that came at now.
func (c *count) push(sub string, body []byte, now int64) {
	s, err := strconv.Atoi(sub)
	run, n, sent, ok := readMark(body)
	if c == nil || err != nil || !ok || s < 0 || s >= c.subs || run != c.run || n >= c.events {
		if c != nil {
			c.strays.Add(1)
		}
		return
	}

	i := s*c.events + n
	if c.times[i].Add(1) == 1 {
		c.latency[i] = now - sent
	}
	for last := c.lastNs.Load(); now > last && !c.lastNs.CompareAndSwap(last, now); last = c.lastNs.Load() {
	}
	if received := c.received.Add(1); c.waiters.Load() > 0 {
		c.release(received)
	}
}

// release answers those who wait for so many deliveries, or fewer.
func (c *count) release(received int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch, n := range c.waiting {
		if received >= n {
			close(ch)
			delete(c.waiting, ch)
			c.waiters.Add(-1)
		}
	}
}

func (c *Counter) wait(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("deliveries"), 10, 64)
	k := c.count.Load()
	if err != nil || k == nil {
		http.Error(w, "deliveries must be a number, and something be expected", http.StatusBadRequest)
		return
	}

	ch := make(chan struct{})
	k.mu.Lock()
	k.waiting[ch] = n
	k.waiters.Add(1)
	k.mu.Unlock()
	k.release(k.received.Load()) // they may have come already
	select {
	case <-ch:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	}
}

func (c *count) tally() *Tally {
	if c == nil {
		return &Tally{}
	}
	t := &Tally{Received: c.received.Load(), Strays: c.strays.Load(), LastNs: c.lastNs.Load(), Subs: c.subs}
	var came []int64
	for i := range c.times {
		switch n := c.times[i].Load(); {
		case n == 0:
			t.Missing++
			continue
		case n > 1:
			t.Doubled++
		}
		came = append(came, c.latency[i])
	}
	t.Latency = latencyOf(came)
	return t
}

// Latency is the time from sending an event until the sink had read the head of its
// push, in ms.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// latencyOf summarizes nanoseconds, which it sorts.
func latencyOf(ns []int64) Latency {
	if len(ns) == 0 {
		return Latency{}
	}
	slices.Sort(ns)
	at := func(share float64) float64 {
		return float64(ns[min(int(share*float64(len(ns))), len(ns)-1)]) / 1e6
	}
	return Latency{P50: at(.5), P95: at(.95), P99: at(.99), Max: at(1)}
}

// The following ask the sink process.

func (s *sinkProcess) expect(ctx context.Context, run, events, subs int) error {
	url := fmt.Sprintf("%s/expect?run=%d&events=%d&subs=%d", s.url, run, events, subs)
	_, err := call(ctx, http.MethodPost, url, "", nil)
	return err
}

func (s *sinkProcess) wait(ctx context.Context, deliveries int) error {
	_, err := call(ctx, http.MethodGet, fmt.Sprintf("%s/wait?deliveries=%d", s.url, deliveries), "", nil)
	if err == nil {
		return nil
	}

	// How many came says more than that the time was up.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if t, tallyErr := s.tally(last); tallyErr == nil {
		return fmt.Errorf("%d of %d came: %w", t.Received, deliveries, err)
	}
	return err
}

func (s *sinkProcess) tally(ctx context.Context) (*Tally, error) {
	raw, err := call(ctx, http.MethodGet, s.url+"/tally", "", nil)
	if err != nil {
		return nil, err
	}
	t := new(Tally)
	return t, json.Unmarshal(raw, t)
}
