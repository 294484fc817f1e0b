package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hookline/hookline/cmd/hookline/bench"
)

// BenchCmd measures a hub.
type BenchCmd struct {
	Measure BenchMeasureCmd `cmd:"" default:"withargs" help:"Measure hubs of its own on this machine, beside a plain loop of posts."`
	Sink    BenchSinkCmd    `cmd:"" hidden:"" help:"The receiver of a measurement: counts."`
}

// BenchMeasureCmd runs the measurements.
type BenchMeasureCmd struct {
	Case        []string      `placeholder:"NAME" help:"Only these: 1x1, 1x100, 5x1, 5x100 (subscriptions x events a request), paced."`
	Store       []string      `enum:"embedded,postgres" default:"embedded" help:"What to measure: embedded, postgres (a private server, from the programs found here)."`
	Processes   []int         `default:"1" help:"Hubs on PostgreSQL, all on this machine: a measurement for each number."`
	Events      int           `default:"60000" help:"Events of a measurement with 1 subscription, and posts of the raw loop."`
	FanEvents   int           `default:"20000" help:"Events of a measurement with 5 subscriptions."`
	Warmup      int           `default:"3000" help:"Events before each measurement."`
	Connections int           `default:"64" help:"Connections of the load."`
	Rate        int           `default:"100" help:"Events a second of the paced measurement."`
	Paced       time.Duration `default:"20s" help:"Length of the paced measurement."`
	IDs         bool          `name:"ids" help:"Events carry ids of the sender's."`
	Limit       time.Duration `default:"2m" help:"Bound of each measurement."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write the report as JSON, too; - for standard output instead of the table."`
	Profiles    string        `placeholder:"DIR" help:"Keep CPU profiles of the hubs in this folder."`
	Dir         string        `placeholder:"DIR" help:"Where the hubs store; default: a new folder for temporary files. What is made in it is removed."`
}

// Help is shown by --help.
func (*BenchMeasureCmd) Help() string {
	return `Hubs, receiver and load are processes of their own, on loopback. Each measurement has a new hub with an empty store.
Of each: events accepted and deliveries received a second, share of what plain posts reach, latency from sending an event
until its push arrives, CPU time and allocations of the hubs per delivery, their peak memory; CPU time of PostgreSQL, and its statements.
A delivery that is missing or comes twice fails the run.`
}

// Run measures.
func (c *BenchMeasureCmd) Run(ctx context.Context, s streams) (err error) {
	for _, n := range []struct {
		flag  string
		value int
		most  int
	}{
		{"events", c.Events, 10_000_000},
		{"fan-events", c.FanEvents, 2_000_000},
		{"warmup", c.Warmup, 1_000_000},
		{"connections", c.Connections, 4096},
		{"rate", c.Rate, 10_000},
	} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("--%s: 1 to %d", n.flag, n.most)
		}
	}
	if c.Paced < time.Second || c.Limit < time.Second {
		return errors.New("--paced, --limit: 1s or more")
	}
	stores, err := c.stores()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "hookline-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL runs as another user when we are root
		return err
	}
	if c.Profiles != "" {
		if err := os.MkdirAll(c.Profiles, 0o755); err != nil {
			return err
		}
	}
	cfg := bench.Config{
		Program: program, Dir: dir, Stores: stores, Cases: c.Case, Events: c.Events, FanEvents: c.FanEvents, Warmup: c.Warmup, Connections: c.Connections,
		Rate: c.Rate, Paced: c.Paced, IDs: c.IDs, Limit: c.Limit, Profiles: c.Profiles, Progress: s.err,
	}
	report, err := cfg.Run(ctx)
	if err != nil {
		return err
	}
	return c.print(s.out, report)
}

func (c *BenchMeasureCmd) stores() (stores []bench.Store, err error) {
	for _, kind := range c.Store {
		if kind == bench.Embedded {
			stores = append(stores, bench.Store{Kind: kind, Processes: 1})
			continue
		}
		for _, n := range c.Processes {
			if n < 1 || n > 16 {
				return nil, errors.New("--processes: 1 to 16")
			}
			stores = append(stores, bench.Store{Kind: kind, Processes: n})
		}
	}
	return stores, nil
}

func (c *BenchMeasureCmd) print(out io.Writer, report *bench.Report) error {
	if c.JSON != "" {
		raw, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		raw = append(raw, '\n')
		if c.JSON == "-" {
			_, err := out.Write(raw)
			return err
		}
		if err := os.WriteFile(c.JSON, raw, 0o644); err != nil {
			return err
		}
	}
	return report.Print(out)
}

// BenchSinkCmd counts pushes.
type BenchSinkCmd struct{}

// Run counts until ctx ends. Its first line of output is its address.
func (*BenchSinkCmd) Run(ctx context.Context, s streams) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{Handler: &bench.Counter{}, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve says that it ended
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
