package sink

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Behaviour says how the sink answers badly. The zero value answers 200 at once. A
// callback URL can use the words below as query parameters (/?status=503&first=2) or
// as path segments (/status=503/first=2).
type Behaviour struct {
	Status     int           // status: what to answer, 200..599; default 200, or what the other words ask for
	First      int           // first: misbehave only on the first so many tries of each webhook-id; 0 is all
	Rate       float64       // rate: misbehave on this share of the tries, 0..1; 0 is all
	Seed       uint64        // seed: which tries these are; the same seed picks the same tries
	Delay      time.Duration // delay: wait before answering
	Hang       bool          // hang: never answer
	Reset      bool          // reset: cut the connection instead of an answer
	SlowBody   bool          // slow-body: 200 at once, then one byte every 200 ms without an end
	Huge       int64         // huge: an answer of so many bytes; in URLs also with KB, MB, GB
	RetryAfter string        // retry-after: seconds, a date, or "date+7", the date in 7 seconds; default status 429
	Redirect   string        // redirect: where to; default status 302
	TwoParts   bool          // two-parts: head and body of the answer in packets of their own
}

// check returns an error if a value is out of its range.
func (b Behaviour) check() error {
	switch {
	case b.Status != 0 && (b.Status < 200 || b.Status > 599):
		return errors.New("status: 200 to 599")
	case b.First < 0:
		return errors.New("first: 0 or more")
	case !(b.Rate >= 0 && b.Rate <= 1):
		return errors.New("rate: 0 to 1")
	case b.Delay < 0:
		return errors.New("delay: 0 or more")
	case b.Huge < 0:
		return errors.New("huge: 0 or more")
	}
	return nil
}

// With returns b, changed by the words of a callback URL. It ignores words that it
// does not know.
func (b Behaviour) With(u *url.URL) (Behaviour, error) {
	words, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return b, fmt.Errorf("query: %w", err)
	}
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if k, v, found := strings.Cut(segment, "="); found {
			if v, err = url.PathUnescape(v); err != nil {
				return b, fmt.Errorf("path: %w", err)
			}
			words[k] = append(words[k], v)
		}
	}
	for k, v := range words {
		if err := b.set(k, v[0]); err != nil {
			return b, fmt.Errorf("%s: %w", k, err)
		}
	}
	return b, b.check()
}

// set changes b by one word and its value.
func (b *Behaviour) set(word, v string) (err error) {
	switch word {
	case "status":
		b.Status, err = strconv.Atoi(v)
	case "first":
		b.First, err = strconv.Atoi(v)
	case "rate":
		b.Rate, err = strconv.ParseFloat(v, 64)
	case "seed":
		b.Seed, err = strconv.ParseUint(v, 10, 64)
	case "delay":
		b.Delay, err = time.ParseDuration(v)
	case "hang":
		b.Hang, err = strconv.ParseBool(v)
	case "reset":
		b.Reset, err = strconv.ParseBool(v)
	case "slow-body":
		b.SlowBody, err = strconv.ParseBool(v)
	case "huge":
		b.Huge, err = ParseSize(v)
	case "retry-after":
		b.RetryAfter = v
	case "redirect":
		b.Redirect = v
	case "two-parts":
		b.TwoParts, err = strconv.ParseBool(v)
	}
	return err
}

// ParseSize reads a number of bytes, which may end in KB, MB or GB (powers of 1,000).
func ParseSize(s string) (int64, error) {
	unit := int64(1)
	for _, u := range []struct {
		suffix string
		size   int64
	}{{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}} {
		if rest, found := strings.CutSuffix(strings.ToUpper(s), u.suffix); found {
			s = rest
			unit = u.size
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1e12/unit {
		return 0, errors.New("a number of bytes up to 1000GB, as 500, 10KB or 100MB")
	}
	return n * unit, nil
}

// applies reports whether to misbehave on this try.
func (b *Behaviour) applies(p *Push) bool {
	if *b == (Behaviour{}) || b.First > 0 && p.Try > b.First {
		return false
	}
	if b.Rate == 0 || b.Rate == 1 {
		return true
	}

	// It depends on id and try, not on the order of arrival, so a run can be repeated.
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s/%d", b.Seed, p.ID, p.Try) // a hash never fails
	// On short input FNV leaves its high bits almost the same. One multiplication mixes
	// them.
	x := h.Sum64()
	x = (x ^ x>>32) * 0x9e3779b97f4a7c15
	return float64(x>>11)/(1<<53) < b.Rate
}

// act misbehaves. It calls finish once with the status: before a plain answer goes
// out, or after a slow one, and then with 0 if the answer did not end.
func (b *Behaviour) act(w http.ResponseWriter, r *http.Request, done <-chan struct{}, finish func(int)) {
	gone := r.Context().Done()
	if b.Delay > 0 {
		t := time.NewTimer(b.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-gone:
			finish(0)
			return
		case <-done:
		}
	}

	h := w.Header()
	switch {
	case b.Hang:
		select {
		case <-gone:
		case <-done:
		}
		finish(0)
		panic(http.ErrAbortHandler)
	case b.Reset:
		finish(0)
		reset(w)
	case b.SlowBody:
		finish(b.drip(w, gone, done))
	case b.Huge > 0:
		status := b.status(http.StatusOK)
		w.WriteHeader(status)
		if _, err := io.CopyN(w, filler{}, b.Huge); err != nil {
			status = 0
		}
		finish(status)
	default:
		status := http.StatusOK
		if b.RetryAfter != "" {
			h.Set("Retry-After", retryAfter(b.RetryAfter, time.Now()))
			status = http.StatusTooManyRequests
		}
		if b.Redirect != "" {
			h.Set("Location", b.Redirect)
			status = http.StatusFound
		}
		status = b.status(status)
		finish(status)
		if b.TwoParts {
			InTwoParts(w, r, status, answerTo(status))
			return
		}
		answer(w, status)
	}
}

// status returns the status that was asked for, or else another one.
func (b *Behaviour) status(otherwise int) int {
	if b.Status != 0 {
		return b.Status
	}
	return otherwise
}

// drip sends a body that never ends. It returns 0, as nobody gets a whole answer.
func (b *Behaviour) drip(w http.ResponseWriter, gone, done <-chan struct{}) int {
	w.WriteHeader(b.status(http.StatusOK))
	out := http.NewResponseController(w)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := io.WriteString(w, ".")
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			return 0
		}
		select {
		case <-tick.C:
		case <-gone:
			return 0
		case <-done:
			return 0
		}
	}
}

// reset cuts the connection so that the other side sees ECONNRESET, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset instead
	}
	if tcp, isTCP := conn.(*net.TCPConn); isTCP {
		_ = tcp.SetLinger(0) // if it fails the connection merely closes, which is a failure too
	}
	_ = conn.Close()
}

// retryAfter turns "date+7" into an HTTP date; anything else goes out as it is.
func retryAfter(v string, now time.Time) string {
	if rest, found := strings.CutPrefix(v, "date+"); found {
		if n, err := strconv.Atoi(rest); err == nil {
			return now.Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat)
		}
	}
	return v
}

// filler is a reader without an end.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// behaviours parses each callback URL once.
type behaviours struct {
	base  Behaviour
	byURI sync.Map // request URI → *Behaviour
	n     atomic.Int32
}

// maxURIs bounds how many URLs are kept. Further ones are parsed every time.
const maxURIs = 10_000

// of returns the behaviour for a request.
func (bs *behaviours) of(r *http.Request) (*Behaviour, error) {
	if r.URL.RawQuery == "" && !strings.Contains(r.URL.Path, "=") {
		return &bs.base, nil
	}
	if b, found := bs.byURI.Load(r.RequestURI); found {
		return b.(*Behaviour), nil
	}
	b, err := bs.base.With(r.URL)
	if err != nil {
		return nil, err
	}
	if bs.n.Add(1) <= maxURIs {
		bs.byURI.Store(r.RequestURI, &b)
	}
	return &b, nil
}
