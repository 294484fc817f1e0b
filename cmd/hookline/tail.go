package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// TailCmd is GET /v1/tail.
type TailCmd struct {
	Remote
	Subscription string `help:"Only attempts of the subscription with this id."`
	Type         string `help:"Only events of these types, with wildcards, e.g. 'call.*,cdr.*'."`
}

// Help is shown by --help.
func (*TailCmd) Help() string {
	return `One line per attempt: time, type, sequence, answer, what became of the delivery, duration, ids.
With --json each line is the JSON of the API. Should the stream end, it is opened again;
what was missed is in the log: GET /v1/deliveries.`
}

// tailAgain is the pause before the stream is opened again.
const tailAgain = time.Second

// Run prints attempts until ctx ends, or the hub refuses.
func (c *TailCmd) Run(ctx context.Context, s streams) error {
	for {
		err := c.follow(ctx, s)
		var refused *refusal
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Ctrl-C is how it ends
		}
		if errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusTooManyRequests {
			return err
		}
		fmt.Fprintf(s.err, "hookline: %v, again in %v\n", err, tailAgain)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tailAgain):
		}
	}
}

// follow prints one stream. It always returns an error, which says why the stream
// ended.
func (c *TailCmd) follow(ctx context.Context, s streams) error {
	q := url.Values{}
	for name, value := range map[string]string{"subscription": c.Subscription, "type": c.Type} {
		if value != "" {
			q.Set(name, value)
		}
	}
	path := "/v1/tail"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	body, err := c.open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()

	return eachEvent(body, func(name, data string) error {
		if name != "attempt" {
			return fmt.Errorf("the stream was ended: %s", clean(gjson.Get(data, "reason").String()))
		}
		if c.JSON {
			_, err := fmt.Fprintln(s.out, data)
			return err
		}
		_, err := fmt.Fprintln(s.out, tailLine(data))
		return err
	})
}

// open starts a stream. Timeout bounds only the wait for its beginning.
func (r *Remote) open(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(r.Timeout, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.URL, "/")+path, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("url %q: %w", r.URL, err)
	}
	if r.Key != "" {
		req.Header.Set("Authorization", "Bearer "+r.Key)
	}

	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer cancel()
		defer resp.Body.Close()
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		refused := &refusal{Status: resp.StatusCode}
		_ = json.Unmarshal(raw, refused) // if it is not the hub's JSON the status must do
		return nil, refused
	}
	late.Stop()
	return streamBody{resp.Body, cancel}, nil
}

// streamBody is the body of a stream. Close also ends the request.
type streamBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b streamBody) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}

var errStreamEnd = errors.New("the stream broke off")

// eachEvent calls fn for each server-sent event, of which it reads a single data line.
// It returns the error of fn, or errStreamEnd when the stream ends.
func eachEvent(r io.Reader, fn func(name, data string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	name, data := "", ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "event":
			name = value
		case field == "data":
			data = value
		case lines.Text() == "" && data != "":
			if err := fn(name, data); err != nil {
				return err
			}
			name = ""
			data = ""
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errStreamEnd, err)
	}
	return errStreamEnd
}

// tailLine writes an attempt for people.
func tailLine(data string) string {
	v := gjson.Parse(data)
	var b strings.Builder
	at, err := time.Parse(time.RFC3339, v.Get("at").String())
	if err == nil {
		b.WriteString(at.Local().Format("15:04:05.000"))
	}
	fmt.Fprintf(&b, " %-16s seq=%d try=%d -> ", clean(v.Get("type").String()), v.Get("sequence").Int(), v.Get("n").Int())

	if status := v.Get("status").Int(); status != 0 {
		fmt.Fprintf(&b, "%d", status)
	} else {
		b.WriteString("no answer")
	}
	if class := v.Get("error").String(); class != "" && class != "status" {
		b.WriteString(" " + clean(class))
	}

	fmt.Fprintf(&b, " %s %.1fms", clean(v.Get("state").String()), v.Get("ms").Float())
	if due := v.Get("dueAt").String(); due != "" {
		b.WriteString(" next=" + clean(due))
	}
	fmt.Fprintf(&b, " %s sub=%s", clean(v.Get("delivery").String()), clean(v.Get("subscription").String()))
	if key := v.Get("orderKey").String(); key != "" {
		b.WriteString(" key=" + clean(key))
	}
	return b.String()
}
