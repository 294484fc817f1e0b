package feed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

// Feed posts items to POST /v1/events of a hub. Zero values mean the defaults.
type Feed struct {
	URL     string        // of the hub, e.g. http://127.0.0.1:8080
	Key     string        // API key with the role ingest or owner
	Batch   int           // items per request at most, 1..1000, default 100
	Senders int           // requests at a time; default 1, which keeps everything in order
	Gzip    bool          // compress requests, which is worth it over a network
	GiveUp  time.Duration // how long to try again while the hub does not answer; default 5m
	Client  *http.Client  // default: 30 s per request

	Rejected func(Item, string)     // called for an item that will never be taken, and why; one call at a time
	Done     func(items, bytes int) // called when a request has its answers; one call at a time
}

// Totals counts what a run did.
type Totals struct {
	Accepted, Duplicates, Rejected int64 // items
	Requests                       int64 // that were answered
	Retries                        int64 // tries beyond the first of a request
}

// grace is how long requests in flight and queued items may take once the context
// has ended: items that the source has handed over are still sent.
const grace = 10 * time.Second

// maxBytes bounds a request before it is compressed, at half of what a hub takes.
const maxBytes = 4 << 20

// Run sends what next returns until that is io.EOF, and returns when every item has
// its answer. It counts refused items; they are not an error.
//
// An error means that not everything was sent. The key was wrong, the hub was away
// for longer than GiveUp, next failed, or ctx ended. The end of ctx stops the source
// and lets the queue drain. The context that next gets ends as soon as no more items
// are wanted.
//
// Items without an id may be doubled when a connection breaks: see Identify.
func (f *Feed) Run(ctx context.Context, next func(context.Context) (Item, error)) (Totals, error) {
	r := &run{Feed: *f}
	r.Batch = min(max(cmp.Or(f.Batch, 100), 1), 1000)
	r.Senders = max(f.Senders, 1)
	r.GiveUp = cmp.Or(f.GiveUp, 5*time.Minute)
	r.target = strings.TrimSuffix(f.URL, "/") + "/v1/events"
	if u, err := url.Parse(f.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Totals{}, fmt.Errorf("url %q: not an http or https address", f.URL)
	}
	if r.Client == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = r.Senders
		defer t.CloseIdleConnections()
		r.Client = &http.Client{Transport: t, Timeout: 30 * time.Second}
	}

	// Senders go on for a while after ctx has ended. The source stops with ctx, or when
	// a sender fails.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, stop) })()
	g, work := errgroup.WithContext(work)
	wanted, enough := context.WithCancel(ctx)
	defer enough()
	defer context.AfterFunc(work, enough)()

	queues := make([]chan Item, r.Senders)
	for i := range queues {
		queues[i] = make(chan Item, r.Batch)
		g.Go(func() error { return r.send(work, queues[i]) })
	}

	// The source gives each item to the sender of its key.
	g.Go(func() error {
		defer func() {
			for _, q := range queues {
				close(q)
			}
		}()
		for wanted.Err() == nil {
			it, err := next(wanted)
			if errors.Is(err, io.EOF) || wanted.Err() != nil && errors.Is(err, wanted.Err()) {
				return nil
			}
			if err != nil {
				return err
			}
			if it.Fault != "" {
				r.reject(it, it.Fault)
				continue
			}
			select {
			case queues[it.Key%uint64(len(queues))] <- it:
			case <-wanted.Done():
				return nil // a sender's error, if there is one, says why
			}
		}
		return nil
	})

	err := g.Wait()
	return r.totals, cmp.Or(err, ctx.Err())
}

type run struct {
	Feed
	target string

	mu     sync.Mutex
	totals Totals
}

// send posts what waits in q, batch by batch, until q is closed.
func (r *run) send(ctx context.Context, q <-chan Item) error {
	batch := make([]Item, 0, r.Batch)
	for it := range q {
		batch = append(batch[:0], it)
		size := len(it.JSON)
	more:
		for len(batch) < r.Batch && size < maxBytes {
			select {
			case it, open := <-q:
				if !open {
					break more
				}
				batch = append(batch, it)
				size += len(it.JSON)
			default:
				break more
			}
		}
		if err := r.post(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// post sends one batch until it has its answers.
func (r *run) post(ctx context.Context, batch []Item) error {
	body, size, err := r.encode(batch)
	if err != nil {
		return err
	}

	// Try until there is an answer that will not change, or the hub is away for too
	// long.
	var away time.Time // when the hub began not to answer
	for try := 0; ; try++ {
		a, err := r.try(ctx, body)
		switch {
		case err == nil && !a.later():
			return r.settle(ctx, batch, size, a)
		case err == nil:
			err = fmt.Errorf("post events: %s", a.text())
		case ctx.Err() != nil:
			return err
		}

		if away.IsZero() {
			away = time.Now()
		}
		if time.Since(away) > r.GiveUp {
			return fmt.Errorf("gave up after %v: %w", r.GiveUp, err)
		}

		r.mu.Lock()
		r.totals.Retries++
		r.mu.Unlock()
		t := time.NewTimer(wait(try, a.retryAfter))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// wait returns how long to wait before another try: what the hub asks for, or from
// 20 ms, doubling, to 5 s.
func wait(try int, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, time.Minute)
	}
	d := min(20*time.Millisecond<<min(try, 8), 5*time.Second)
	return d/2 + rand.N(d/2)
}

// encode writes a batch as the body of a request, and returns its size before it was
// compressed.
func (r *run) encode(batch []Item) ([]byte, int, error) {
	var b bytes.Buffer
	var w io.Writer = &b
	var z *gzip.Writer
	if r.Gzip {
		z = zips.Get().(*gzip.Writer)
		defer zips.Put(z)
		z.Reset(&b)
		w = z
	}

	size := 0
	for i := range batch {
		size += len(batch[i].JSON) + 1
		if _, err := w.Write(batch[i].JSON); err != nil {
			return nil, 0, fmt.Errorf("compress events: %w", err)
		}
		if _, err := w.Write(newline); err != nil {
			return nil, 0, fmt.Errorf("compress events: %w", err)
		}
	}
	if z != nil {
		if err := z.Close(); err != nil {
			return nil, 0, fmt.Errorf("compress events: %w", err)
		}
	}
	return b.Bytes(), size, nil
}

var newline = []byte("\n")

var zips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for a level that does not exist
	return z
}}

// reply is the answer of the hub to one request.
type reply struct {
	status     int
	retryAfter time.Duration
	Results    []struct {
		Status string `json:"status"`
		Error  *struct {
			Code, Message, Field string
		} `json:"error"`
	} `json:"results"`
	Detail string `json:"detail"`
	Title  string `json:"title"`
	Errors []struct {
		Field, Message string
	} `json:"errors"`
}

// later reports whether the same request may be taken at another time.
func (a *reply) later() bool {
	return a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout || a.status >= 500
}

func (a *reply) text() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(a.status) + " " + cmp.Or(a.Detail, a.Title, http.StatusText(a.status)))
	for _, e := range a.Errors {
		b.WriteString("; " + e.Field + ": " + e.Message)
	}
	return b.String()
}

// maxReply bounds what is read of an answer. 1,000 results with warnings are far
// shorter.
const maxReply = 16 << 20

// try sends a request once.
func (r *run) try(ctx context.Context, body []byte) (a reply, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.target, bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("post events: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Authorization", "Bearer "+r.Key)
	if r.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}

	resp, err := r.Client.Do(req)
	if err != nil {
		return a, fmt.Errorf("post events: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		// The hub may have taken the events. Sent again with their ids they come back as
		// duplicates.
		return a, fmt.Errorf("post events: read the answer: %w", err)
	}

	a.status = resp.StatusCode
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		a.retryAfter = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(resp.Header.Get("Retry-After")); err == nil {
		a.retryAfter = max(time.Until(at), 0)
	}
	if err := json.Unmarshal(raw, &a); err != nil && a.status < 300 {
		return a, fmt.Errorf("post events: answer %d is not the hub's: %w", a.status, err)
	}
	return a, nil
}

// settle counts the answers of a batch.
func (r *run) settle(ctx context.Context, batch []Item, size int, a reply) error {
	if len(a.Results) != len(batch) {
		return r.refused(ctx, batch, size, a)
	}
	for i, res := range a.Results {
		switch res.Status {
		case "accepted":
			r.count(&r.totals.Accepted)
		case "duplicate":
			r.count(&r.totals.Duplicates)
		case "rejected":
			why := "rejected"
			if e := res.Error; e != nil {
				why = e.Code + ": " + e.Message
				if e.Field != "" {
					why += " (" + e.Field + ")"
				}
			}
			r.reject(batch[i], why)
		default:
			return fmt.Errorf("post events: status %q is not of this API", res.Status)
		}
	}
	r.done(len(batch), size)
	return nil
}

// refused handles an answer that refuses the request as a whole. If one item may be
// the reason it is found by halving the batch, so that the others are taken.
func (r *run) refused(ctx context.Context, batch []Item, size int, a reply) error {
	switch a.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusConflict:
	default:
		return fmt.Errorf("post events: %s", a.text())
	}
	if len(batch) == 1 {
		r.reject(batch[0], a.text())
		r.done(1, size)
		return nil
	}
	half := len(batch) / 2
	if err := r.post(ctx, batch[:half]); err != nil {
		return err
	}
	return r.post(ctx, batch[half:])
}

func (r *run) count(n *int64) {
	r.mu.Lock()
	*n++
	r.mu.Unlock()
}

func (r *run) reject(it Item, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Rejected++
	if r.Rejected != nil {
		r.Rejected(it, why)
	}
}

func (r *run) done(items, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Requests++
	if r.Done != nil {
		r.Done(items, size)
	}
}
