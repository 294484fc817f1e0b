package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hookline/hookline/cmd/hookline/sink"
	"github.com/hookline/hookline/hub/fair"
)

// sinkStop bounds the stop of a sink. net/http itself waits 5 s for a connection that was opened
// and on which nothing has come.
const sinkStop = 10 * time.Second

// SinkCmd receives pushes.
type SinkCmd struct {
	Addr          string        `default:"127.0.0.1:9000" help:"Listen address; port 0 picks a free one."`
	Company       string        `help:"companyId whose pushes come; needed to open sealed ones. Default: as the body says."`
	AppKey        []string      `sep:"none" help:"appKey that signs; repeat while a key is rotated. None: signatures are not checked."`
	EncryptionKey string        `default:"from-appKey" help:"base64 of 32 bytes, or from-appKey."`
	Verify        string        `enum:"on,off" default:"on" help:"on or off."`
	Tolerance     time.Duration `default:"5m" help:"How far the signed time may be from now."`

	JSON     bool   `xor:"out" help:"Print everything of a push as a line of JSON."`
	Body     bool   `xor:"out" help:"Print whole bodies, plain and indented."`
	Quiet    bool   `xor:"out" help:"Print nothing but inversions."`
	Record   string `placeholder:"FILE" help:"Append a line of JSON per push, for checkers: id, type, seq, attempt, orderKey, late, replay, duplicate, inversion, atNs, status."`
	Remember int    `default:"1000000" help:"webhook-ids and order keys to remember, the oldest forgotten first; about 60 bytes each."`

	Status     int           `group:"Misbehave" help:"Answer this status, 200 to 599."`
	First      int           `group:"Misbehave" help:"Misbehave only on the first so many tries of each webhook-id."`
	Rate       float64       `group:"Misbehave" help:"Misbehave on this share of the tries, 0 to 1."`
	Seed       uint64        `group:"Misbehave" help:"Which tries --rate picks; the same seed picks the same ones."`
	Delay      time.Duration `group:"Misbehave" help:"Wait before the answer."`
	Hang       bool          `group:"Misbehave" help:"Never answer."`
	Reset      bool          `group:"Misbehave" help:"Cut the connection."`
	SlowBody   bool          `group:"Misbehave" help:"Answer a byte every 200 ms, without an end."`
	RetryAfter string        `group:"Misbehave" help:"Seconds, a date, or date+7: the date in 7 seconds. Without --status: 429."`
	Redirect   string        `group:"Misbehave" placeholder:"URL" help:"Answer 302, or the 3xx of --status, to there."`
	Huge       string        `group:"Misbehave" default:"0" help:"Answer so many bytes, e.g. 100MB."`
	TwoParts   bool          `group:"Misbehave" help:"Answer head and body in packets of their own, as many frameworks do."`
}

// Help is shown by --help.
func (*SinkCmd) Help() string {
	return `One line per push: time, type, sequence, attempt, id, verdict on the signature, answer, body.
A push that comes after a later one of its order key is an inversion: shouted and counted.
GET /_stats answers the counts as JSON.

The callback URL can say how to misbehave, in the words of the flags, as query or as path:
  http://127.0.0.1:9000/?status=503&first=2     the first 2 tries of each push fail
  http://127.0.0.1:9000/?status=429&retry-after=7
  http://127.0.0.1:9000/?rate=0.3&seed=1&reset=1
  http://127.0.0.1:9000/delay=2s/status=500`
}

// config reads the flags.
func (c *SinkCmd) config() (sink.Config, error) {
	huge, err := sink.ParseSize(c.Huge)
	if err != nil {
		return sink.Config{}, fmt.Errorf("--huge: %w", err)
	}
	cfg := sink.Config{
		CompanyID: c.Company, AppKeys: c.AppKey, Tolerance: c.Tolerance, Remember: c.Remember,
		Behaviour: sink.Behaviour{
			Status: c.Status, First: c.First, Rate: c.Rate, Seed: c.Seed, Delay: c.Delay, Hang: c.Hang,
			Reset: c.Reset, SlowBody: c.SlowBody, Huge: huge, RetryAfter: c.RetryAfter, Redirect: c.Redirect,
			TwoParts: c.TwoParts,
		},
	}
	if c.Remember < 1 {
		return cfg, errors.New("--remember: 1 or more")
	}
	if c.EncryptionKey != "from-appKey" {
		cfg.EncryptionKey, err = base64.StdEncoding.DecodeString(c.EncryptionKey)
		if err != nil || len(cfg.EncryptionKey) != 32 {
			return cfg, errors.New("--encryption-key: base64 of 32 bytes, or from-appKey")
		}
	}
	cfg.SkipVerify = c.Verify == "off"
	return cfg, nil
}

// Run receives until ctx ends.
func (c *SinkCmd) Run(ctx context.Context, s streams) (err error) {
	cfg, err := c.config()
	if err != nil {
		return err
	}

	// What to do with each push.
	var show []func(*sink.Push)
	if !c.Quiet {
		show = append(show, (&sink.Printer{Out: s.out, JSON: c.JSON, Body: c.Body}).Print)
	}
	if c.Record != "" {
		f, err := os.OpenFile(c.Record, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		rec := sink.NewRecorder(f)
		defer func() { err = errors.Join(err, rec.Flush(), f.Close()) }()
		show = append(show, rec.Write)
	}
	if len(show) > 0 {
		cfg.OnPush = func(p *sink.Push) {
			for _, f := range show {
				f(p)
			}
		}
	}
	var mu sync.Mutex
	cfg.OnInversion = func(p *sink.Push) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(s.err, sink.Shout(p)) // if nobody reads it, it is counted all the same
	}
	sk, err := sink.New(cfg)
	if err != nil {
		return err
	}

	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "sink: listening on http://%s\n", l.Addr())
	srv := &http.Server{
		Handler: fair.Whole(sk), ReadHeaderTimeout: 10 * time.Second, ConnContext: sink.ConnContext,
		DisableGeneralOptionsHandler: true, // so that every request goes through the handler
	}
	g, gone := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-gone.Done()
		sk.Close() // ends the answers that hang
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), sinkStop)
		defer cancel()
		if err := srv.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("stop: %w", err), srv.Close())
		}
		return nil
	})
	err = g.Wait()
	counts, _ := json.Marshal(sk.Stats()) // integers always marshal
	fmt.Fprintf(s.err, "sink: %s\n", counts)
	return err
}
