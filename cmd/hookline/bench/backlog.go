package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/hookline/hookline/hub/hubtest/pgserver"
)

// The types of the events that a backlog's measurement sends.
const (
	typeAlive = "cdr.call"     // what the receiver that answers wants
	typeDead  = "cdr.bot_call" // what the dead receiver wants
)

// Backlog reports what many pending deliveries for a dead receiver cost everybody
// else.
type Backlog struct {
	Machine Machine `json:"machine"`
	Store   Store   `json:"store"`
	Pending int     `json:"pending"` // deliveries for the dead receiver

	Before   Beside  `json:"before"`   // the backlog
	With     Beside  `json:"with"`     // while it waits
	Draining Latency `json:"draining"` // of events at an even rate while it drains

	FilledPerSecond  float64 `json:"filledPerSecond"` // events of the backlog accepted, 100 a request
	PauseMs          float64 `json:"pauseMs"`         // the call that pauses the subscription
	ResumeMs         float64 `json:"resumeMs"`
	RowsHeld         int64   `json:"rowsHeld"` // rows of deliveries that PostgreSQL changed during pause and resume; -1 if embedded
	DrainSeconds     float64 `json:"drainSeconds"`
	DrainedPerSecond float64 `json:"drainedPerSecond"`
	PeakBytes        int64   `json:"peakBytes"` // resident, of the hubs, ever
}

// Beside measures the deliveries to the other receiver.
type Beside struct {
	AcceptedPerSecond  float64 `json:"acceptedPerSecond"`
	DeliveredPerSecond float64 `json:"deliveredPerSecond"`
	CPUPerThousand     float64 `json:"cpuPerThousand"` // seconds of the hubs per 1,000 deliveries
	ServerPerThousand  float64 `json:"serverPerThousand,omitempty"`
	Statements         float64 `json:"statementsPerDelivery,omitempty"`
	Paced              Latency `json:"paced"` // of events at an even rate
	PeakBytes          int64   `json:"peakBytes"`
}

// The numbers of the runs of a measurement, which are in the marks of their events.
const (
	runWarm = iota
	runBefore
	runBeforePaced
	runFill
	runWith
	runWithPaced
	runDraining
)

// RunBacklog measures what pending deliveries cost, for a receiver that is dead and
// later comes back. Each delivery to it, and each to the other receiver in the
// meantime, must come exactly once.
func (c *Config) RunBacklog(ctx context.Context, pending int, s Store) (_ *Backlog, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	b := &Backlog{Store: s, Pending: pending, RowsHeld: -1}
	if b.Machine, err = examine(c.Dir); err != nil {
		return nil, err
	}
	stop, err := c.startServers([]Store{s})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	// A receiver that answers, and a subscription of a receiver that does not.
	alive, err := c.startSink("sink", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, alive.stop()) }()
	f, err := c.startFleet(ctx, "backlog", s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.liftLimits(ctx); err != nil {
		return nil, err
	}
	if f.settles, err = f.subscribe(ctx, alive.url+"/0", typeAlive); err != nil {
		return nil, err
	}
	nobody, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dead, err := f.subscribe(ctx, "http://"+nobody+"/0", typeDead)
	if err != nil {
		return nil, err
	}

	if _, err := c.phase(ctx, Case{Subs: 1, Batch: 1}, f, alive, runWarm, c.Warmup); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}

	// Measure without the backlog, make it, and measure with it.
	c.say("before")
	if b.Before, err = c.beside(ctx, f, alive, runBefore); err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	c.say("fill")
	began := time.Now()
	l := newLoad(f.urls("/v1/events"), f.key, c.Connections)
	l.run = runFill
	l.typ = typeDead
	if err := l.flood(ctx, pending, 100); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	b.FilledPerSecond = perSecond(pending, time.Since(began))
	c.say("with the backlog")
	if b.With, err = c.beside(ctx, f, alive, runWith); err != nil {
		return nil, fmt.Errorf("with the backlog: %w", err)
	}

	// Pause and resume it, and let it drain.
	if err := b.holdAndResume(ctx, f, dead); err != nil {
		return nil, err
	}
	c.say("drain")
	if err := c.drain(ctx, b, f, alive, nobody, dead); err != nil {
		return nil, fmt.Errorf("drain: %w", err)
	}
	last, err := f.use(ctx)
	b.PeakBytes = last.peak
	return b, err
}

// beside measures deliveries to the receiver that answers: as fast as possible, then
// at an even rate.
func (c *Config) beside(ctx context.Context, f *fleet, alive *sinkProcess, run int) (b Beside, err error) {
	fast, err := c.phase(ctx, Case{Subs: 1, Batch: 1}, f, alive, run, c.Events)
	if err != nil {
		return b, err
	}
	even, err := c.phase(ctx, Case{Subs: 1, Batch: 1, Paced: true}, f, alive, run+1, c.pacedEvents())
	if err != nil {
		return b, err
	}
	return Beside{
		AcceptedPerSecond:  fast.AcceptedPerSecond,
		DeliveredPerSecond: fast.DeliveredPerSecond,
		CPUPerThousand:     fast.CPUPerThousand,
		ServerPerThousand:  fast.ServerPerThousand,
		Statements:         fast.Statements,
		Paced:              even.Latency,
		PeakBytes:          even.PeakBytes,
	}, nil
}

// pacedEvents returns how many events a paced measurement has.
func (c *Config) pacedEvents() int { return int(c.Paced.Seconds() * float64(c.Rate)) }

// holdAndResume pauses the dead receiver's subscription and resumes it, and notes
// how many rows that changed.
func (b *Backlog) holdAndResume(ctx context.Context, f *fleet, dead string) (err error) {
	var before, after int64
	if f.server != nil {
		if before, err = pgserver.RowsChanged(ctx, f.database, "deliveries"); err != nil {
			return err
		}
	}

	if b.PauseMs, err = f.act(ctx, dead, "pause"); err != nil {
		return err
	}
	if b.ResumeMs, err = f.act(ctx, dead, "resume"); err != nil {
		return err
	}

	if f.server != nil {
		after, err = pgserver.RowsChanged(ctx, f.database, "deliveries")
		b.RowsHeld = after - before
	}
	return err
}

// drain lets the dead receiver come back, and measures the other receiver while the
// backlog drains.
func (c *Config) drain(ctx context.Context, b *Backlog, f *fleet, alive *sinkProcess, nobody, dead string) (err error) {
	back, err := c.startSink("back", nobody)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, back.stop()) }()
	if err := back.expect(ctx, runFill, b.Pending, 1); err != nil {
		return err
	}

	began := time.Now()
	// The owner of a repaired receiver does this, rather than wait for the next probe.
	for _, action := range []string{"pause", "resume"} {
		if _, err := f.act(ctx, dead, action); err != nil {
			return err
		}
	}

	even, err := c.phase(ctx, Case{Subs: 1, Batch: 1, Paced: true}, f, alive, runDraining, c.pacedEvents())
	if err != nil {
		return err
	}
	b.Draining = even.Latency
	if err := back.wait(ctx, b.Pending); err != nil {
		return err
	}

	t, err := back.tally(ctx)
	if err != nil {
		return err
	}
	took := time.Unix(0, t.LastNs).Sub(began)
	b.DrainSeconds = took.Seconds()
	b.DrainedPerSecond = perSecond(b.Pending, took)
	f.settles = ""
	if _, err := f.settle(ctx); err != nil {
		return err
	}
	return t.check(b.Pending)
}

// act does something with a subscription, as pause it, and returns how long that
// took, in ms.
func (f *fleet) act(ctx context.Context, sub, action string) (float64, error) {
	url := f.hubs[0].url + "/v1/subscriptions/" + sub + "/" + action
	began := time.Now()
	_, err := call(ctx, http.MethodPost, url, f.key, json.RawMessage("{}"))
	return float64(time.Since(began).Microseconds()) / 1000, err
}

// freeAddress returns an address where nobody listens yet.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Print writes the report as tables for people.
func (b *Backlog) Print(w io.Writer) error {
	k := b.Machine
	fmt.Fprintf(w, "%d cores (%s), %s, %s, fsync %.2f ms, load %s\n%s, %d pending for a dead receiver\n\n",
		k.Cores, k.CPU, k.System, k.Go, k.FsyncMs, k.Load, b.Store, b.Pending)

	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "others\taccepted/s\tdelivered/s\tCPU s/1000\tservers'\tstatements\t"+
		"paced p50 ms\tp95 ms\tp99 ms\tmax ms\tpeak MiB\t")
	for i, s := range []Beside{b.Before, b.With} {
		l := s.Paced
		fmt.Fprintf(tw, "%s\t%.0f\t%.0f\t%.3f\t%.3f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%d\t\n",
			[]string{"before", "with it"}[i], s.AcceptedPerSecond, s.DeliveredPerSecond, s.CPUPerThousand,
			s.ServerPerThousand, s.Statements, l.P50, l.P95, l.P99, l.Max, s.PeakBytes>>20)
	}
	l := b.Draining
	fmt.Fprintf(tw, "draining\t-\t-\t-\t-\t-\t%.2f\t%.2f\t%.2f\t%.1f\t%d\t\n", l.P50, l.P95, l.P99, l.Max, b.PeakBytes>>20)
	if err := tw.Flush(); err != nil {
		return err
	}

	held := ""
	if b.RowsHeld >= 0 {
		held = fmt.Sprintf(", in which %d rows of deliveries changed", b.RowsHeld)
	}
	_, err := fmt.Fprintf(w, "\nFilled at %.0f/s. Paused in %.1f ms and resumed in %.1f ms%s.\n"+
		"Drained in %.1f s, %.0f/s. Each delivery came exactly once.\n",
		b.FilledPerSecond, b.PauseMs, b.ResumeMs, held, b.DrainSeconds, b.DrainedPerSecond)
	return err
}
