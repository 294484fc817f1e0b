// Package bench measures a hub beside what the machine can do without one: how
// many events it takes and delivers, how late they come, and what that costs.
// Hub and sink are processes of their own and this one is the load, all on
// loopback. A measurement in which a delivery was lost or doubled fails.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Config of a run. All counts are 1 or more.
type Config struct {
	Program     string        // the hookline binary; it runs as hub and as sink
	Dir         string        // existing folder for data and logs of the hubs
	Cases       []string      // names of the measurements wanted; none: all
	Events      int           // of a measurement at 1 subscription, and posts of the raw loop
	FanEvents   int           // of a measurement at 5 subscriptions
	Warmup      int           // events before each measurement, not measured
	Connections int           // of the load
	Rate        int           // events a second of the paced measurement
	Paced       time.Duration // its length
	IDs         bool          // events carry the sender's own ids
	Limit       time.Duration // bound of each measurement, its start and stop included
	Profiles    string        // folder for CPU profiles of the hubs, one a measurement; "": none
	Progress    io.Writer
}

// Case is one measurement.
type Case struct {
	Name  string
	Subs  int // subscriptions that want every event
	Batch int // events in a request
	Paced bool
}

// Cases are the measurements there are.
var Cases = []Case{
	{Name: "1x1", Subs: 1, Batch: 1},
	{Name: "1x100", Subs: 1, Batch: 100},
	{Name: "5x1", Subs: 5, Batch: 1},
	{Name: "5x100", Subs: 5, Batch: 100},
	{Name: "paced", Subs: 1, Batch: 1, Paced: true},
}

// maxInFlight of the subscriptions.
const maxInFlight = 64

// Run measures the raw ceiling before and after each case: what else the machine
// does meanwhile slows both, and shows in the difference.
func (c *Config) Run(ctx context.Context) (*Report, error) {
	cases, err := c.chosen()
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if r.Machine, err = examine(c.Dir); err != nil {
		return nil, err
	}
	for _, k := range cases {
		if err := c.ceiling(ctx, r); err != nil {
			return nil, err
		}
		c.say("%s", k.Name)
		m, err := c.measure(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Name, err)
		}
		r.Hub = append(r.Hub, m)
	}
	if err := c.ceiling(ctx, r); err != nil {
		return nil, err
	}
	r.compare()
	return r, nil
}

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
	_, _ = fmt.Fprintf(c.Progress, "bench: "+format+"\n", args...) // nobody reads: the report says all
}

func (c *Config) ceiling(ctx context.Context, r *Report) error {
	c.say("raw ceiling")
	raw, err := c.raw(ctx)
	if err != nil {
		return fmt.Errorf("raw ceiling: %w", err)
	}
	r.Raw = append(r.Raw, raw)
	return nil
}

// raw posts the same bodies straight to the sink.
func (c *Config) raw(ctx context.Context) (_ Raw, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	sink, err := c.startSink(ctx)
	if err != nil {
		return Raw{}, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	var t *Tally
	var began time.Time
	for run, events := range []int{c.Warmup, c.Events} {
		l := newLoad(sink.url+"/0", "", c.Connections)
		l.run, l.bare = run, true
		if err := sink.expect(ctx, run, events, 1); err != nil {
			return Raw{}, err
		}
		began = time.Now()
		if err := l.flood(ctx, events, 1); err != nil {
			return Raw{}, err
		}
		if t, err = sink.tally(ctx); err != nil {
			return Raw{}, err
		}
	}
	return Raw{PerSecond: perSecond(c.Events, time.Unix(0, t.LastNs).Sub(began)), Latency: t.Latency}, t.check(c.Events)
}

// measure runs one case against a hub and a sink of its own.
func (c *Config) measure(ctx context.Context, k Case) (_ *Measurement, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	sink, err := c.startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	dir, err := os.MkdirTemp(c.Dir, k.Name+"-")
	if err != nil {
		return nil, err
	}
	hub, err := c.startHub(ctx, dir, k.Name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hub.stop(), os.RemoveAll(dir)) }()
	if err := hub.prepare(ctx, sink.url, k.Subs); err != nil {
		return nil, err
	}
	if _, err := c.phase(ctx, k, hub, sink, 0, c.Warmup); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	events := c.Events
	switch {
	case k.Paced:
		events = int(c.Paced.Seconds() * float64(c.Rate))
	case k.Subs > 1:
		events = c.FanEvents
	}
	return c.phase(ctx, k, hub, sink, 1, events)
}

// phase sends events and waits until each was delivered and the hub is done with it.
func (c *Config) phase(ctx context.Context, k Case, hub *hubProcess, sink *sinkProcess, run, events int) (*Measurement, error) {
	l := newLoad(hub.url+"/v1/events", hub.key, c.Connections)
	l.run, l.ids = run, c.IDs
	if err := sink.expect(ctx, run, events, k.Subs); err != nil {
		return nil, err
	}
	before, err := hub.use(ctx)
	if err != nil {
		return nil, err
	}
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
	deliveries := events * k.Subs
	if err := sink.wait(ctx, deliveries); err != nil {
		return nil, fmt.Errorf("wait for the deliveries: %w", err)
	}
	after, err := hub.settle(ctx)
	if err != nil {
		return nil, err
	}
	t, err := sink.tally(ctx)
	if err != nil {
		return nil, err
	}
	m := &Measurement{
		Case: k, Events: events, Deliveries: deliveries,
		AcceptedPerSecond:  perSecond(events, sent),
		DeliveredPerSecond: perSecond(deliveries, time.Unix(0, t.LastNs).Sub(began)),
		Latency:            t.Latency,
		PushedBack:         l.pushedBack.Load(),
		PeakBytes:          after.peak,
	}
	m.cost(before, after)
	return m, t.check(events)
}

func perSecond(n int, took time.Duration) float64 { return float64(n) / max(took.Seconds(), 1e-9) }
