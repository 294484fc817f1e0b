package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/tidwall/gjson"
)

// ReplayCmd is POST /v1/replays, and follows the job.
type ReplayCmd struct {
	Remote
	Subscription *string  `help:"Only deliveries of the subscription with this id."`
	Type         *string  `help:"Only events of these types, with wildcards, e.g. 'call.*,cdr.*'."`
	OrderKey     *string  `help:"Only events of this order key."`
	Number       *string  `help:"Only events that name this phone number of a customer."`
	State        *string  `help:"Only deliveries in this state."`
	HTTPStatus   *string  `name:"http-status" help:"Only deliveries whose last answer had this status."`
	Error        *string  `help:"Only deliveries whose last attempt failed with this class."`
	From         *string  `help:"Accepted at or after: RFC 3339 or Unix ms. Required unless --state is given."`
	To           *string  `help:"Accepted before: RFC 3339 or Unix ms."`
	Events       bool     `help:"Pick events by --type, --order-key, --number, --from and --to, instead of deliveries."`
	Only         string   `enum:"failed,all,never-sent" default:"failed" help:"What to send of these: failed, all, never-sent."`
	Target       string   `help:"Id of the subscription to send to; else each delivery goes to its own."`
	Rate         *float64 `help:"Deliveries a second at most."`
	Reason       string   `help:"Why, for the audit log."`
	DryRun       bool     `help:"Only say what it would do."`
	Detach       bool     `help:"Do not wait for the end of the job."`
}

// Help is shown by --help.
func (*ReplayCmd) Help() string {
	return `Sends deliveries again, and shows how far the job is. Ctrl-C asks whether to stop the job or to
leave it running; without a terminal it is left running. --dry-run says how many deliveries it is about.`
}

// replayLook is how often the command asks how far the job is.
const replayLook = 500 * time.Millisecond

// Run asks for the replay and follows it.
func (c *ReplayCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodPost, "/v1/replays", c.body(), 0)
	if err != nil {
		return err
	}
	if c.DryRun || c.Detach {
		return c.show(s.out, raw)
	}
	id := gjson.GetBytes(raw, "id").String()
	if !c.JSON {
		fmt.Fprintf(s.err, "replay %s\n", clean(id))
	}
	return c.follow(ctx, s, "/v1/replays/"+url.PathEscape(id))
}

// body is what is asked for.
func (c *ReplayCmd) body() fields {
	filter := fields{}
	set(filter, "type", c.Type)
	set(filter, "orderKey", c.OrderKey)
	set(filter, "number", c.Number)
	set(filter, "from", c.From)
	set(filter, "to", c.To)
	if c.Events {
		filter = fields{"events": filter}
	}
	set(filter, "subscription", c.Subscription)
	set(filter, "state", c.State)
	set(filter, "httpStatus", c.HTTPStatus)
	set(filter, "error", c.Error)

	body := fields{"filter": filter, "only": c.Only}
	set(body, "ratePerSecond", c.Rate)
	for name, value := range map[string]string{"to": c.Target, "reason": c.Reason} {
		if value != "" {
			body[name] = value
		}
	}
	if c.DryRun {
		body["dryRun"] = true
	}
	return body
}

// follow shows how far the job is until it has ended. The first Ctrl-C asks what is to
// become of it.
func (c *ReplayCmd) follow(ctx context.Context, s streams, path string) error {
	bar := newReplayBar(s.err)
	defer bar.hide()
	asking := context.WithoutCancel(ctx) // the job can be asked for, and stopped, after Ctrl-C
	for {
		raw, err := c.call(asking, http.MethodGet, path, nil, 0)
		if err != nil {
			return err
		}
		job := gjson.ParseBytes(raw)
		bar.show(job)
		switch job.Get("state").String() {
		case "done":
			bar.hide()
			return c.ended(s, raw)
		case "stopped":
			bar.hide()
			return errors.Join(c.ended(s, raw), errors.New("the replay was stopped"))
		}

		select {
		case <-time.After(replayLook):
		case <-ctx.Done():
			bar.hide()
			return c.interrupted(asking, s, path)
		}
	}
}

// interrupted stops the job, or leaves it running, as whoever sits at the terminal says.
func (c *ReplayCmd) interrupted(ctx context.Context, s streams, path string) error {
	if !stopsIt(s) {
		fmt.Fprintln(s.err, "the replay goes on: GET "+path)
		return nil
	}
	raw, err := c.call(ctx, http.MethodDelete, path, nil, 0)
	if err != nil {
		return err
	}
	return c.ended(s, raw)
}

// stopsIt asks whether to stop the job. A second Ctrl-C, and no answer, leave it running.
func stopsIt(s streams) bool {
	if !isTerminal(s.err) && s.in == os.Stdin {
		return false
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt)
	defer signal.Stop(again)

	fmt.Fprint(s.err, "\nStop the replay? What was not sent is cancelled. Else it goes on. [y/N] ")
	answer := make(chan string, 1)
	go func() { // ends with the process at the latest: reading a terminal cannot be cut short
		line, _ := bufio.NewReader(io.LimitReader(s.in, 1024)).ReadString('\n') // no answer is an answer
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		return a == "y" || a == "yes"
	case <-again:
		fmt.Fprintln(s.err)
		return false
	}
}

// ended prints what became of the job.
func (c *ReplayCmd) ended(s streams, raw []byte) error {
	p := gjson.GetBytes(raw, "progress")
	var line strings.Builder
	fmt.Fprintf(&line, "%s: %d sent, %d delivered, %d exhausted, %d cancelled",
		clean(gjson.GetBytes(raw, "state").String()), p.Get("written").Int()-p.Get("pending").Int()-p.Get("cancelled").Int(),
		p.Get("delivered").Int(), p.Get("exhausted").Int(), p.Get("cancelled").Int())
	for _, left := range []struct{ field, words string }{
		{"alreadyPending", "were pending already"},
		{"pastRetention", "are past retention"},
		{"erased", "were erased"},
		{"unwanted", "are not wanted by the target"},
	} {
		if n := p.Get(left.field).Int(); n > 0 {
			fmt.Fprintf(&line, "; %d %s", n, left.words)
		}
	}
	return c.done(s.out, raw, line.String())
}

// replayBar shows the progress of a replay on a terminal, and nothing elsewhere.
type replayBar struct{ b *progressbar.ProgressBar }

func newReplayBar(w io.Writer) replayBar {
	if !isTerminal(w) {
		return replayBar{}
	}
	return replayBar{progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription("replaying"),
	)}
}

// show draws the bar: of the runs made so far, those that have ended. It cannot end
// before the job does.
func (b replayBar) show(job gjson.Result) {
	if b.b == nil {
		return
	}
	written, pending := job.Get("progress.written").Int(), job.Get("progress.pending").Int()
	b.b.Describe("replaying, " + clean(job.Get("state").String()))
	b.b.ChangeMax64(written + 1)
	_ = b.b.Set64(written - pending) // if it cannot be drawn the job goes on all the same
}

// hide takes the bar off the line.
func (b replayBar) hide() {
	if b.b != nil {
		_ = b.b.Clear()
	}
}
