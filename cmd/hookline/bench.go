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
	"github.com/hookline/hookline/cmd/hookline/sink"
	"github.com/hookline/hookline/hub/fair"
)

// BenchCmd holds the commands that measure hubs.
type BenchCmd struct {
	Measure  BenchMeasureCmd  `cmd:"" default:"withargs" help:"Measure hubs of its own on this machine, beside a plain loop of posts."`
	Backlog  BenchBacklogCmd  `cmd:"" help:"Measure what many deliveries pending for a dead receiver cost the others, and how they drain."`
	Fairness BenchFairnessCmd `cmd:"" help:"Measure what one tenant that asks for ten times what it may costs another one."`
	Flood    BenchFloodCmd    `cmd:"" hidden:"" help:"The flood of a measurement of fairness."`
	Sink     BenchSinkCmd     `cmd:"" hidden:"" help:"The receiver of a measurement: counts."`
}

// benchFlags are the flags of all measurements.
type benchFlags struct {
	Warmup      int           `default:"3000" help:"Events before each measurement."`
	Connections int           `default:"64" help:"Connections of the load."`
	Rate        int           `default:"100" help:"Events a second of the paced measurement."`
	Paced       time.Duration `default:"60s" help:"Length of the paced measurement."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write the report as JSON, too; - for standard output instead of the table."`
	Profiles    string        `placeholder:"DIR" help:"Keep CPU profiles of the hubs in this folder."`
	Program     string        `hidden:"" placeholder:"FILE" help:"The hookline whose processes are measured; default: this one."`
	Dir         string        `placeholder:"DIR" help:"Where the hubs store; default: a new folder for temporary files. What is made in it is removed."`
}

// BenchMeasureCmd runs the measurements.
type BenchMeasureCmd struct {
	benchFlags `embed:""`
	Case       []string      `placeholder:"NAME" help:"Only these: 1x1, 1x100, 5x1, 5x100 (subscriptions x events a request), paced, two-parts (a receiver that writes head and body of its answers apart)."`
	Store      []string      `enum:"embedded,postgres,rabbitmq" default:"embedded" help:"What to measure: embedded; postgres, a private server, from the programs found here; rabbitmq, that and a private RabbitMQ."`
	Processes  []int         `default:"1" help:"Hubs on PostgreSQL, all on this machine: a measurement for each number."`
	Events     int           `default:"60000" help:"Events of a measurement with 1 subscription, and posts of the raw loop."`
	FanEvents  int           `default:"20000" help:"Events of a measurement with 5 subscriptions."`
	IDs        bool          `name:"ids" help:"Events carry ids of the sender's."`
	Limit      time.Duration `default:"2m" help:"Bound of each measurement."`
}

// Help is shown by --help.
func (*BenchMeasureCmd) Help() string {
	return `Hubs, receiver and load are processes of their own, on loopback. Each measurement has a new hub with an empty store.
Of each: events accepted and deliveries received a second, share of what plain posts reach, latency from sending an event
until its push arrives, CPU time and allocations of the hubs per delivery, their peak memory; CPU time of PostgreSQL and RabbitMQ, and statements.
A delivery that is missing or comes twice fails the run.`
}

// Run measures.
func (c *BenchMeasureCmd) Run(ctx context.Context, s streams) (err error) {
	stores, err := storesOf(c.Store, c.Processes)
	err = errors.Join(err,
		checkRange("events", c.Events, 10_000_000),
		checkRange("fan-events", c.FanEvents, 2_000_000),
		c.check(c.Limit))
	if err != nil {
		return err
	}
	return c.run(s, func(cfg bench.Config) (benchReport, error) {
		cfg.Stores = stores
		cfg.Cases = c.Case
		cfg.Events = c.Events
		cfg.FanEvents = c.FanEvents
		cfg.IDs = c.IDs
		cfg.Limit = c.Limit
		return cfg.Run(ctx)
	})
}

// BenchBacklogCmd measures a backlog.
type BenchBacklogCmd struct {
	benchFlags `embed:""`
	Pending    int           `default:"1000000" help:"Deliveries pending for the dead receiver."`
	Store      string        `enum:"embedded,postgres,rabbitmq" default:"embedded" help:"embedded; postgres, a private server, from the programs found here; rabbitmq, that and a private RabbitMQ."`
	Processes  int           `default:"1" help:"Hubs on PostgreSQL."`
	Events     int           `default:"20000" help:"Events for the other receiver, before and with the backlog."`
	Limit      time.Duration `default:"1h" help:"Bound of the whole measurement."`
}

// Help is shown by --help.
func (*BenchBacklogCmd) Help() string {
	return `One receiver is dead from the start, one lives. Measured before and with the backlog: events accepted and delivered a second
to the one that lives, latency of events at an even rate, CPU time and memory of the hubs. Then what pausing and resuming the dead
one's subscription takes; then it comes back, and drains while the other's latency is measured again. A million take about 20 minutes.`
}

// Run measures.
func (c *BenchBacklogCmd) Run(ctx context.Context, s streams) error {
	stores, err := storesOf([]string{c.Store}, []int{c.Processes})
	err = errors.Join(err,
		checkRange("pending", c.Pending, 10_000_000),
		checkRange("events", c.Events, 1_000_000),
		c.check(c.Limit))
	if err != nil {
		return err
	}
	return c.run(s, func(cfg bench.Config) (benchReport, error) {
		cfg.Events = c.Events
		cfg.Limit = c.Limit
		return cfg.RunBacklog(ctx, c.Pending, stores[0])
	})
}

// BenchFairnessCmd measures fairness.
type BenchFairnessCmd struct {
	benchFlags `embed:""`
	Rounds     int           `default:"3" help:"Rounds with the flood, and as many of the control."`
	Store      string        `enum:"embedded,postgres" default:"embedded" help:"embedded; postgres, a private server, from the programs found here."`
	Limit      time.Duration `default:"15m" help:"Bound of the whole measurement."`
}

// Help is shown by --help.
func (*BenchFairnessCmd) Help() string {
	return `One tenant sends ten times what its limits allow, on all routes at once: events, directory, statistics, the log, exports,
tail, recordings, and bodies that stall. Another sends events and reads at an even rate. In turns the flood goes to the hub,
and, as control, to a listener that answers 429 at once; its process runs on one core. The report says whether the other
tenant's p99 stays within 1.5 times the control's, or 5 ms, and how much memory the hub had at most.`
}

// Run measures.
func (c *BenchFairnessCmd) Run(ctx context.Context, s streams) error {
	stores, err := storesOf([]string{c.Store}, []int{1})
	if err = errors.Join(err, checkRange("rounds", c.Rounds, 100), c.check(c.Limit)); err != nil {
		return err
	}
	return c.run(s, func(cfg bench.Config) (benchReport, error) {
		cfg.Limit = c.Limit
		return cfg.RunFairness(ctx, c.Rounds, stores[0])
	})
}

// BenchFloodCmd floods.
type BenchFloodCmd struct {
	URL string `name:"url" required:"" help:"Of the hub."`
	Key string `required:"" help:"Of an owner."`
}

// Run floods until ctx ends. Its first line of output says that it has begun, its last one
// on standard error which answers came.
func (c *BenchFloodCmd) Run(ctx context.Context, s streams) error {
	if _, err := fmt.Fprintln(s.out, "flooding"); err != nil {
		return err
	}
	return json.NewEncoder(s.err).Encode(bench.Flood{URL: c.URL, Key: c.Key}.Run(ctx))
}

// checkRange returns an error unless the value of a flag is from 1 to most.
func checkRange(flag string, value, most int) error {
	if value < 1 || value > most {
		return fmt.Errorf("--%s: 1 to %d", flag, most)
	}
	return nil
}

func (c *benchFlags) check(limit time.Duration) error {
	if c.Paced < time.Second || limit < time.Second {
		return errors.New("--paced, --limit: 1s or more")
	}
	return errors.Join(
		checkRange("warmup", c.Warmup, 1_000_000),
		checkRange("connections", c.Connections, 4096),
		checkRange("rate", c.Rate, 10_000))
}

// benchReport is the report of a measurement.
type benchReport interface{ Print(io.Writer) error }

// run makes a measurement in a folder of its own, and prints the report.
func (c *benchFlags) run(s streams, measure func(bench.Config) (benchReport, error)) (err error) {
	program := c.Program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(c.Dir, "hookline-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { // run by root, PostgreSQL runs as another user
		return err
	}
	if c.Profiles != "" {
		if err := os.MkdirAll(c.Profiles, 0o755); err != nil {
			return err
		}
	}

	report, err := measure(bench.Config{
		Program: program, Dir: dir, Profiles: c.Profiles, Progress: s.err,
		Warmup: c.Warmup, Connections: c.Connections, Rate: c.Rate, Paced: c.Paced,
	})
	if err != nil {
		return err
	}
	return c.print(s.out, report)
}

// storesOf returns the stores of the flags: the embedded one once, the others once for
// each number of processes.
func storesOf(kinds []string, processes []int) (stores []bench.Store, err error) {
	for _, kind := range kinds {
		if kind == bench.Embedded {
			stores = append(stores, bench.Store{Kind: kind, Processes: 1})
			continue
		}
		for _, n := range processes {
			if n < 1 || n > 16 {
				return nil, errors.New("--processes: 1 to 16")
			}
			stores = append(stores, bench.Store{Kind: kind, Processes: n})
		}
	}
	return stores, nil
}

// print writes the report as the flags ask for.
func (c *benchFlags) print(out io.Writer, report benchReport) error {
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
type BenchSinkCmd struct {
	Addr string `default:"127.0.0.1:0" help:"Listen address."`
}

// Run counts until ctx ends. Its first line of output is its address.
func (c *BenchSinkCmd) Run(ctx context.Context, s streams) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{
		Handler: fair.Whole(&bench.Counter{}), ReadHeaderTimeout: 10 * time.Second, ConnContext: sink.ConnContext,
		DisableGeneralOptionsHandler: true, // so that every request goes through the handler
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve returns then
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
