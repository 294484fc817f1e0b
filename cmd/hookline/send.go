package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/hookline/hookline/cmd/hookline/feed"
)

// SendCmd posts a file of events.
type SendCmd struct {
	File   string        `arg:"" help:"NDJSON or a JSON array of envelopes; - for standard input."`
	URL    string        `env:"HOOKLINE_URL" default:"http://127.0.0.1:8080" help:"Address of the hub."`
	Key    string        `env:"HOOKLINE_KEY" help:"API key with the role ingest or owner."`
	Batch  int           `default:"500" help:"Events per request at most, 1 to 1000."`
	GiveUp time.Duration `default:"5m" help:"How long to try while the hub does not answer."`
}

// Help is shown by --help.
func (*SendCmd) Help() string {
	return `Events go in the order of the file. To resume, send the file again: what the hub has is counted as
duplicates. An envelope without an id gets one made of its bytes and its line. Refused events are
listed on standard error with their line; the exit code is then 1.`
}

// Run sends the file.
func (c *SendCmd) Run(ctx context.Context, s streams) error {
	if c.Batch < 1 || c.Batch > 1000 {
		return errors.New("--batch: 1 to 1000")
	}

	in := s.in
	size := int64(-1) // unknown
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	}

	bar := newBar(s.err, size)
	f := feed.Feed{
		URL: c.URL, Key: c.Key, Batch: c.Batch, Gzip: true, GiveUp: c.GiveUp,
		Rejected: func(it feed.Item, why string) {
			bar.hide()
			fmt.Fprintf(s.err, "line %d: %s\n", it.Line, clean(why))
		},
		Done: func(_, bytes int) { bar.add(bytes) },
	}
	began := time.Now()
	totals, err := f.Run(ctx, items(in))
	bar.hide()
	return report(s.err, totals, time.Since(began), err)
}

// items returns a function that returns the next item of a file. It reads in the
// background, because a terminal or a pipe without input must not hold up a stop. The
// goroutine ends with the file, or with the context.
func items(in io.Reader) func(context.Context) (feed.Item, error) {
	type read struct {
		item feed.Item
		err  error
	}
	ch := make(chan read)
	var begun bool

	return func(ctx context.Context) (feed.Item, error) {
		if !begun {
			begun = true
			go func() {
				r := feed.NewReader(in)
				for {
					it, err := r.Next()
					if err == nil && it.Fault == "" {
						feed.Identify(&it)
					}
					select {
					case ch <- read{it, err}:
					case <-ctx.Done():
						return
					}
					if err != nil {
						return
					}
				}
			}()
		}

		select {
		case r := <-ch:
			return r.item, r.err
		case <-ctx.Done():
			return feed.Item{}, ctx.Err()
		}
	}
}

// bar shows progress on a terminal, and nothing elsewhere.
type bar struct{ b *progressbar.ProgressBar }

func newBar(w io.Writer, size int64) bar {
	if !isTerminal(w) {
		return bar{}
	}
	return bar{progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription("sending"),
	)}
}

func (b bar) add(bytes int) {
	if b.b != nil {
		_ = b.b.Add(bytes) // if it cannot be drawn the events are sent all the same
	}
}

// hide takes the bar off the line, so that something else can be printed there.
func (b bar) hide() {
	if b.b != nil {
		_ = b.b.Clear()
	}
}
