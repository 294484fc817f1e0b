// Package bench measures hubs beside what the machine can do without one: how
// many events they take and deliver, how late they come, and what that costs.
// Hubs, sink, PostgreSQL and RabbitMQ are processes of their own and this one is the load,
// all on loopback. A measurement in which a delivery was lost or doubled fails.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hookline/hookline/hub/hubtest/pgserver"
	"github.com/hookline/hookline/hub/hubtest/rabbitserver"
)

// Config says what a run measures, and with what. All counts are 1 or more.
type Config struct {
	Program     string        // the hookline binary; it runs as hub and as sink
	Dir         string        // existing folder for data and logs; PostgreSQL's user must get there
	Stores      []Store       // what the hubs store in; the embedded store if it is empty
	Cases       []string      // names of the measurements to make; all if it is empty
	Events      int           // of a measurement at 1 subscription, and posts of the raw loop
	FanEvents   int           // of a measurement at 5 subscriptions
	Warmup      int           // events before each measurement, not measured
	Connections int           // of the load
	Rate        int           // events a second of the paced measurement
	Paced       time.Duration // its length
	IDs         bool          // events carry the sender's own ids
	Limit       time.Duration // bound of each measurement, its start and stop included
	Profiles    string        // folder for CPU profiles of the hubs, one a measurement; not made if it is empty
	Progress    io.Writer

	server    *pgserver.Server     // while it runs, if a store needs it
	broker    *rabbitserver.Server // while it runs, if a store needs it
	databases int                  // how many were made on the server
}

// Case is one measurement.
type Case struct {
	Name  string
	Subs  int // subscriptions that want every event
	Batch int // events in a request
	Paced bool
	// TwoParts has the receiver write head and body of its answers apart.
	TwoParts bool `json:",omitempty"`
}

// Cases are all measurements.
var Cases = []Case{
	{Name: "1x1", Subs: 1, Batch: 1},
	{Name: "1x100", Subs: 1, Batch: 100},
	{Name: "5x1", Subs: 5, Batch: 1},
	{Name: "5x100", Subs: 5, Batch: 100},
	{Name: "paced", Subs: 1, Batch: 1, Paced: true},
	{Name: "two-parts", Subs: 1, Batch: 1, TwoParts: true},
}

// Store says what the hubs of a measurement store in, and how many hubs there are.
type Store struct {
	Kind      string `json:"kind"` // Embedded, Postgres or Rabbit
	Processes int    `json:"processes"`
}

// Kinds of stores.
const (
	Embedded = "embedded"
	Postgres = "postgres"
	Rabbit   = "rabbitmq" // PostgreSQL, and RabbitMQ for nudges
)

func (s Store) String() string {
	if s.Processes > 1 {
		return fmt.Sprintf("%s x%d", s.Kind, s.Processes)
	}
	return s.Kind
}

// maxInFlight of the subscriptions.
const maxInFlight = 64

// Run makes the measurements. It measures the raw ceiling before and after each of
// them: other work on the machine slows both, and shows in the difference.
func (c *Config) Run(ctx context.Context) (_ *Report, err error) {
	cases, err := c.chosen()
	if err != nil {
		return nil, err
	}

	stores := c.Stores
	if len(stores) == 0 {
		stores = []Store{{Embedded, 1}}
	}

	r := &Report{}
	if r.Machine, err = examine(c.Dir); err != nil {
		return nil, err
	}
	stop, err := c.startServers(stores)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	for _, k := range cases {
		for _, s := range stores {
			if err := c.ceiling(ctx, r); err != nil {
				return nil, err
			}
			c.say("%s, %s", k.Name, s)
			m, err := c.measure(ctx, k, s)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", k.Name, s, err)
			}
			r.Hub = append(r.Hub, m)
		}
	}
	if err := c.ceiling(ctx, r); err != nil {
		return nil, err
	}

	r.compare()
	return r, nil
}

// chosen returns the cases that are named in the configuration.
func (c *Config) chosen() ([]Case, error) {
	if len(c.Cases) == 0 {
		return Cases, nil
	}
	var chosen []Case
	for _, name := range c.Cases {
		i := slices.IndexFunc(Cases, func(k Case) bool { return k.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no measurement is called %q", name)
		}
		chosen = append(chosen, Cases[i])
	}
	return chosen, nil
}

func (c *Config) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.Progress, "bench: "+format+"\n", args...) // if nobody reads it, the report says all
}

// ceiling adds a measurement of the raw ceiling to the report.
func (c *Config) ceiling(ctx context.Context, r *Report) error {
	c.say("raw ceiling")
	raw, err := c.raw(ctx)
	if err != nil {
		return fmt.Errorf("raw ceiling: %w", err)
	}
	r.Raw = append(r.Raw, raw)
	return nil
}

// raw posts the same bodies straight to the sink, first to warm up and then to
// measure.
func (c *Config) raw(ctx context.Context) (_ Raw, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	sink, err := c.startSink("sink", "127.0.0.1:0")
	if err != nil {
		return Raw{}, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()

	var t *Tally
	var began time.Time
	var before, after time.Duration
	for run, events := range []int{c.Warmup, c.Events} {
		l := newLoad([]string{sink.url + "/0"}, "", c.Connections)
		l.run = run
		l.bare = true
		if err := sink.expect(ctx, run, events, 1); err != nil {
			return Raw{}, err
		}
		if before, err = sink.withLoad(); err != nil {
			return Raw{}, err
		}
		began = time.Now()
		if err := l.flood(ctx, events, 1); err != nil {
			return Raw{}, err
		}
		if after, err = sink.withLoad(); err != nil {
			return Raw{}, err
		}
		if t, err = sink.tally(ctx); err != nil {
			return Raw{}, err
		}
	}

	return Raw{
		PerSecond: perSecond(c.Events, time.Unix(0, t.LastNs).Sub(began)),
		Latency:   t.Latency,
		AllCPU:    (after - before).Seconds() / float64(c.Events) * 1000,
	}, t.check(c.Events)
}

// measure runs one case against hubs and a sink that only it uses.
func (c *Config) measure(ctx context.Context, k Case, s Store) (m *Measurement, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	sink, err := c.startSink("sink", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()

	// Hubs without limits, and subscriptions that want every event.
	f, err := c.startFleet(ctx, k.Name, s)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, f.stop())
		if m != nil {
			m.FoldShare = f.folds
		}
	}()
	if err := f.liftLimits(ctx); err != nil {
		return nil, err
	}
	for n := range k.Subs {
		url := fmt.Sprintf("%s/%d", sink.url, n)
		if k.TwoParts {
			url += twoParts
		}
		if _, err := f.subscribe(ctx, url, "cdr.*"); err != nil {
			return nil, err
		}
	}

	if _, err := c.phase(ctx, k, f, sink, 0, c.Warmup); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}

	events := c.Events
	switch {
	case k.Paced:
		events = c.pacedEvents()
	case k.Subs > 1:
		events = c.FanEvents
	}
	return c.phase(ctx, k, f, sink, 1, events)
}

// foldsKeepUp is the share of the events of a measurement that folds may lack at the last
// push. With more, its rates count until the folds have all: what a hub puts off is not
// saved.
const foldsKeepUp = 0.05

// phase sends events, waits until each was delivered and folded and the hubs are done
// with it, and returns what that cost.
func (c *Config) phase(
	ctx context.Context, k Case, f *fleet, sink *sinkProcess, run, events int,
) (*Measurement, error) {
	l := newLoad(f.urls("/v1/events"), f.key, c.Connections)
	l.run = run
	l.ids = c.IDs
	if err := sink.expect(ctx, run, events, k.Subs); err != nil {
		return nil, err
	}

	// What was used before, for the difference.
	before, err := f.use(ctx)
	if err != nil {
		return nil, err
	}
	others, err := sink.withLoad()
	if err != nil {
		return nil, err
	}

	// Send.
	began := time.Now()
	if k.Paced && run > 0 {
		err = l.pace(ctx, events, c.Rate)
	} else {
		err = l.flood(ctx, events, k.Batch)
	}
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	sent := time.Since(began)

	// Wait for the deliveries, and for what the hubs do after them.
	deliveries := events * k.Subs
	if err := sink.wait(ctx, deliveries); err != nil {
		return nil, fmt.Errorf("wait for the deliveries: %w", err)
	}
	behind, err := f.foldsBehind(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.awaitFolds(ctx); err != nil {
		return nil, err
	}
	folded := time.Since(began)
	after, err := f.settle(ctx)
	if err != nil {
		return nil, err
	}
	withOthers, err := sink.withLoad()
	if err != nil {
		return nil, err
	}
	t, err := sink.tally(ctx)
	if err != nil {
		return nil, err
	}

	took := time.Unix(0, t.LastNs).Sub(began)
	if float64(behind) > foldsKeepUp*float64(events) {
		took = folded
		sent = max(sent, folded)
	}
	m := &Measurement{
		Case:               k,
		Store:              f.store,
		Events:             events,
		Deliveries:         deliveries,
		AcceptedPerSecond:  perSecond(events, sent),
		DeliveredPerSecond: perSecond(deliveries, took),
		FoldsBehind:        behind,
		Latency:            t.Latency,
		PushedBack:         l.pushedBack.Load(),
		PeakBytes:          after.peak,
	}
	m.cost(before, after)
	loadAndSink := (withOthers - others).Seconds() / float64(deliveries) * 1000
	m.AllCPU = m.CPUPerThousand + m.ServerPerThousand + loadAndSink
	return m, t.check(events)
}

// perSecond returns how many of n were done a second.
func perSecond(n int, took time.Duration) float64 { return float64(n) / max(took.Seconds(), 1e-9) }
