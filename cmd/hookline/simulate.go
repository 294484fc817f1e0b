package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	"github.com/hookline/hookline/cmd/hookline/feed"
	"github.com/hookline/hookline/cmd/hookline/simulate"
)

// SimulateCmd plays a contact centre.
type SimulateCmd struct {
	Seed         uint64        `default:"1" help:"The same seed, start and size give the same events."`
	Company      string        `default:"demo" help:"companyId in the bodies."`
	Agents       int           `default:"20" help:"1 to 9000; two thirds are on duty at any time."`
	CallsPerHour float64       `help:"Calls of both directions; default 6 per agent."`
	ChatsPerHour float64       `help:"Chats; the site has visitors then, of whom two in five chat. 0: none."`
	Start        time.Time     `placeholder:"RFC3339" help:"Where the simulated time begins; default now."`
	Duration     time.Duration `default:"1h" help:"Simulated time in which calls come in, then the centre closes; 0: never."`
	Events       int64         `help:"Stop after so many events; 0: no bound."`
	Speed        float64       `default:"60" help:"Simulated seconds per second; 0: as fast as possible."`
	Rate         float64       `help:"Events per second, whatever --speed says."`

	URL     string `help:"Post to this hub; default: NDJSON on standard output."`
	Key     string `env:"HOOKLINE_KEY" help:"API key with the role ingest or owner."`
	Batch   int    `default:"100" help:"Events per request at most, 1 to 1000."`
	Senders int    `default:"4" help:"Requests at a time; events of one call stay in order."`
}

// Run plays until the centre is closed, --events have come, or ctx ends.
func (c *SimulateCmd) Run(ctx context.Context, s streams) error {
	switch {
	case c.Speed < 0 || c.Rate < 0 || c.Events < 0:
		return errors.New("--speed, --rate, --events: 0 or more")
	case c.Batch < 1 || c.Batch > 1000:
		return errors.New("--batch: 1 to 1000")
	case c.Senders < 1 || c.Senders > 64:
		return errors.New("--senders: 1 to 64")
	}
	if c.Start.IsZero() {
		c.Start = time.Now()
	}
	centre, err := simulate.New(simulate.Config{
		Seed: c.Seed, CompanyID: c.Company, Agents: c.Agents, CallsPerHour: c.CallsPerHour, ChatsPerHour: c.ChatsPerHour,
		Start: c.Start, Duration: c.Duration,
	})
	if err != nil {
		return err
	}

	// next waits for the time of the next event and returns it, or false once the story
	// is over.
	count := int64(0)
	p := pace{began: time.Now(), from: c.Start, speed: c.Speed, rate: c.Rate}
	next := func(ctx context.Context, idle func() error) (simulate.Envelope, bool, error) {
		if c.Events > 0 && count == c.Events {
			return simulate.Envelope{}, false, nil
		}
		e, more := centre.Next()
		if !more {
			return e, false, nil
		}
		err := p.wait(ctx, count, time.UnixMilli(e.Time), idle)
		count++
		return e, err == nil, err
	}

	if c.URL == "" {
		return c.print(ctx, s.out, next)
	}
	return c.post(ctx, s.err, next)
}

// nextFunc waits for the next event and returns it, or false once there are no more.
type nextFunc func(context.Context, func() error) (simulate.Envelope, bool, error)

// print writes the events as lines of JSON.
func (c *SimulateCmd) print(ctx context.Context, out io.Writer, next nextFunc) error {
	w := bufio.NewWriterSize(out, 64<<10)
	var line []byte
	for {
		e, more, err := next(ctx, w.Flush)
		if !more {
			if errors.Is(err, context.Canceled) {
				err = nil // Ctrl-C is how an endless story ends
			}
			return errors.Join(err, w.Flush())
		}
		line = append(e.AppendJSON(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
}

// post sends the events to a hub.
func (c *SimulateCmd) post(ctx context.Context, errOut io.Writer, next nextFunc) error {
	f := feed.Feed{
		URL: c.URL, Key: c.Key, Batch: c.Batch, Senders: c.Senders,
		Rejected: func(it feed.Item, why string) {
			fmt.Fprintf(errOut, "rejected: %s: %.200s\n", clean(why), clean(string(it.JSON)))
		},
	}
	began := time.Now()
	totals, err := f.Run(ctx, func(ctx context.Context) (feed.Item, error) {
		e, more, err := next(ctx, nil)
		if !more {
			if err == nil {
				err = io.EOF
			}
			return feed.Item{}, err
		}
		h := fnv.New64a()
		_, _ = io.WriteString(h, e.Key) // a hash never fails
		return feed.Item{JSON: e.AppendJSON(nil), Key: h.Sum64()}, nil
	})
	return report(errOut, totals, time.Since(began), err)
}

// errRejected makes the exit code 1.
var errRejected = errors.New("some events were rejected")

// report prints the summary, and returns the error by which the command ends.
func report(w io.Writer, t feed.Totals, took time.Duration, err error) error {
	n := t.Accepted + t.Duplicates
	fmt.Fprintf(w, "accepted %d, duplicates %d, rejected %d in %.1f s (%.0f/s, %d requests, %d retries)\n",
		t.Accepted, t.Duplicates, t.Rejected, took.Seconds(), float64(n)/max(took.Seconds(), 0.001), t.Requests, t.Retries)

	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	case t.Rejected > 0:
		return errRejected
	}
	return nil
}

// pace decides when events are due.
type pace struct {
	began time.Time // when the command began
	from  time.Time // where the simulated time began
	speed float64   // simulated seconds per second; if it is 0 everything is due
	rate  float64   // events per second; if it is above 0 it replaces speed
}

// due returns when the n-th event is due, which has a simulated time.
func (p *pace) due(n int64, at time.Time) time.Time {
	switch {
	case p.rate > 0:
		return p.began.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	case p.speed > 0:
		return p.began.Add(time.Duration(float64(at.Sub(p.from)) / p.speed))
	}
	return p.began
}

// wait waits until the n-th event is due, which has a simulated time. It calls idle,
// unless that is nil, before it begins to wait.
func (p *pace) wait(ctx context.Context, n int64, at time.Time, idle func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := time.Until(p.due(n, at))
	if d <= 0 {
		return nil
	}
	if idle != nil {
		if err := idle(); err != nil {
			return err
		}
	}

	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
