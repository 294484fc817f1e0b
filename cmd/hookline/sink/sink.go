// Package sink is a receiver of pushes for development, tests and load runs. It
// verifies and opens them, counts, checks the order, shows what came, and misbehaves
// on request.
package sink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookline/hookline/hub/event"
)

// Config of a sink. The zero value takes every push, verifies and prints nothing.
type Config struct {
	// CompanyID says whose pushes come. If it is empty it is read from plain bodies, and
	// sealed bodies cannot be verified.
	CompanyID string
	// AppKeys may have signed the pushes. Without a key, signatures are not checked.
	AppKeys []string
	// EncryptionKey, 32 bytes, opens sealed bodies. Default: derived from the first app key.
	EncryptionKey []byte
	// SkipVerify turns off the check of signatures. Sealed bodies are opened all the same.
	SkipVerify bool
	// Tolerance is how far the signed time may be from now; default 5m. If it is negative,
	// any time will do.
	Tolerance time.Duration
	// Behaviour is for every push. The callback URL can change it.
	Behaviour Behaviour
	// Remember is how many webhook-ids, and how many order keys, are kept, the newest ones,
	// in about 60 bytes each; default 1,000,000.
	Remember int

	// OnPush is called once for each push, from several goroutines. The push must not be
	// used after it has returned.
	OnPush func(*Push)
	// OnInversion is called in the same way for pushes that break the order.
	OnInversion func(*Push)
}

// MaxBody is the length of the longest body that is read, in bytes. A longer one is
// answered with 413.
const MaxBody = 16 << 20

// Push is one request as the sink saw it.
type Push struct {
	At         time.Time // arrival
	ID         string    // webhook-id
	EventID    string
	Type       string // X-Hookline-Event, else messageID
	Seq        int64  // X-Hookline-Sequence; 0 without one
	Attempt    int    // X-Hookline-Attempt; 0 without one
	Late       bool
	Replay     bool
	Encryption string // empty if the body came plain

	Verdict   Verdict
	Error     string // what is wrong with signature, seal or body; empty if nothing is
	Duplicate bool   // this id was answered 2xx before
	Try       int    // how often this id has come, this time included
	OrderKey  string // empty without an order, or if a sealed body could not be opened
	Inversion bool   // a later push of its order key came first
	After     int64  // the highest sequence of its order key before this push; 0 without one
	Status    int    // what was answered; 0 if nothing was (hang, reset)

	Header http.Header
	Body   []byte // plain if it could be opened, else as sent
}

// Stats counts what happened since the start.
type Stats struct {
	Received   int64 `json:"received"`   // requests with a push
	Distinct   int64 `json:"distinct"`   // webhook-ids; an id that was forgotten counts again
	Taken      int64 `json:"taken"`      // answered 2xx for the first time
	Retries    int64 `json:"retries"`    // came again after an answer other than 2xx
	Duplicates int64 `json:"duplicates"` // came again although answered 2xx
	// came after a later push of their order key; without duplicates, late and replayed ones
	Inversions    int64 `json:"inversions"`
	Late          int64 `json:"late"`          // had X-Hookline-Late
	Replayed      int64 `json:"replayed"`      // had X-Hookline-Replay
	BadSignatures int64 `json:"badSignatures"` // wrong, missing, too old, or a seal that does not open
	Odd           int64 `json:"odd"`           // had a body that is not a JSON object, or headers that make no sense
	OpenRequests  int64 `json:"openRequests"`  // being answered now
	Bytes         int64 `json:"bytes"`         // of bodies, as sent
}

// Sink is an http.Handler for pushes. GET /_stats answers its Stats.
type Sink struct {
	cfg  Config
	plan behaviours
	open atomic.Int64
	done chan struct{} // closed by Close: no answer hangs any longer
	once sync.Once

	mu    sync.Mutex
	stats Stats
	ids   *memory[history]
	keys  *memory[int64] // the highest sequence of each order key
}

// history is what is remembered of a webhook-id.
type history struct {
	tries int32
	taken bool
}

// New returns a sink, or an error for a behaviour that makes no sense.
func New(cfg Config) (*Sink, error) {
	if err := cfg.Behaviour.check(); err != nil {
		return nil, err
	}
	cfg.Tolerance = cmp.Or(cfg.Tolerance, 5*time.Minute)
	n := cmp.Or(cfg.Remember, 1_000_000)
	return &Sink{
		cfg:  cfg,
		plan: behaviours{base: cfg.Behaviour},
		done: make(chan struct{}),
		ids:  newMemory[history](n),
		keys: newMemory[int64](n),
	}, nil
}

// Close ends every answer that hangs or drips, so that a server can stop.
func (s *Sink) Close() { s.once.Do(func() { close(s.done) }) }

// Stats returns the counts so far.
func (s *Sink) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.OpenRequests = s.open.Load()
	return st
}

func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		s.push(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/_stats":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats()) // fails if the caller went away
	default:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "pushes come by POST; GET /_stats for the counts", http.StatusMethodNotAllowed)
	}
}

// push takes one push, and answers it.
func (s *Sink) push(w http.ResponseWriter, r *http.Request) {
	p := &Push{At: time.Now(), Header: r.Header}
	s.open.Add(1)
	defer s.open.Add(-1)
	b, err := s.plan.of(r)
	if err != nil {
		http.Error(w, "sink: "+err.Error(), http.StatusBadRequest)
		return
	}

	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		buf.Reset()
		buffers.Put(buf)
	}()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody)); err != nil {
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			http.Error(w, "sink: body too long", http.StatusRequestEntityTooLarge)
		}
		return // or the sender went away before it had sent everything
	}
	p.Body = buf.Bytes()

	s.read(p)
	s.verify(p)
	s.arrive(p, r.RequestURI)
	if b.applies(p) {
		b.act(w, r, s.done, func(status int) { s.finish(p, status) })
		return
	}
	s.finish(p, http.StatusOK)
	answer(w, http.StatusOK)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read fills in what the headers say.
func (s *Sink) read(p *Push) {
	h := p.Header
	p.ID = h.Get("Webhook-Id")
	p.EventID = h.Get("X-Hookline-Event-Id")
	p.Type = h.Get("X-Hookline-Event")
	p.Late = h.Get("X-Hookline-Late") != ""
	p.Replay = h.Get("X-Hookline-Replay") != ""
	p.Encryption = h.Get("X-Hookline-Encryption")
	if p.Encryption == "none" {
		p.Encryption = ""
	}

	var err error
	if v := h.Get("X-Hookline-Sequence"); v != "" {
		if p.Seq, err = strconv.ParseInt(v, 10, 64); err != nil || p.Seq < 1 {
			p.Seq = 0
			p.Error = "X-Hookline-Sequence: not a number above 0"
		}
	}
	if v := h.Get("X-Hookline-Attempt"); v != "" {
		if p.Attempt, err = strconv.Atoi(v); err != nil || p.Attempt < 1 {
			p.Attempt = 0
			p.Error = "X-Hookline-Attempt: not a number above 0"
		}
	}
}

// arrive counts the push and finds out whether it comes in order.
func (s *Sink) arrive(p *Push, uri string) {
	if p.Verdict != Unopened {
		t, known := event.ParseType(p.Type)
		if !known {
			t, known = typeOf(p.Body)
			if p.Type == "" && known {
				p.Type = t.String()
			}
		}
		if known {
			p.OrderKey = orderKey(t, p.Body)
		}
		if len(p.Body) == 0 || p.Body[0] != '{' {
			p.Error = cmp.Or(p.Error, "body: not a JSON object")
		}
	}

	// Count it.
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.stats
	st.Received++
	st.Bytes += int64(len(p.Body))
	if p.Late {
		st.Late++
	}
	if p.Replay {
		st.Replayed++
	}
	switch {
	case p.Verdict.bad():
		st.BadSignatures++
	case p.Error != "":
		st.Odd++
	}

	// Has this id come before?
	p.Try = 1
	if p.ID != "" {
		d := s.ids.at(hash(p.ID))
		d.tries++
		p.Try = int(d.tries)
		p.Duplicate = d.taken
		switch {
		case d.taken:
			st.Duplicates++
		case d.tries > 1:
			st.Retries++
		default:
			st.Distinct++
		}
	}

	// Is it in order? Late pushes and replays say themselves that they are not, and do
	// not count for the order of others.
	if p.OrderKey == "" || p.Seq == 0 || p.Late || p.Replay {
		return
	}
	highest := s.keys.at(hash(streamOf(p.ID, uri), p.OrderKey))
	p.After = *highest
	if p.Seq < *highest && !p.Duplicate {
		p.Inversion = true
		st.Inversions++
	}
	*highest = max(*highest, p.Seq)
}

// finish notes the answer. It is called before a plain answer goes out, so that
// whoever has the answer finds it counted.
func (s *Sink) finish(p *Push, status int) {
	p.Status = status
	if status >= 200 && status < 300 && !p.Duplicate {
		s.mu.Lock()
		s.stats.Taken++
		if p.ID != "" {
			s.ids.at(hash(p.ID)).taken = true
		}
		s.mu.Unlock()
	}
	if p.Inversion && s.cfg.OnInversion != nil {
		s.cfg.OnInversion(p)
	}
	if s.cfg.OnPush != nil {
		s.cfg.OnPush(p)
	}
}

// ok is what a receiver of the vendor's pushes answers. A subscription with strictAck
// takes it too.
const ok = `{"code":0,"msg":"ok"}`

func answer(w http.ResponseWriter, status int) {
	w.Header()["Content-Type"] = contentType
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	if body := answerTo(status); body != "" {
		_, _ = io.WriteString(w, body) // if it fails the hub tries again
	}
}

// answerTo returns the body of an answer with a status.
func answerTo(status int) string {
	switch {
	case status == http.StatusOK:
		return ok
	case status >= 400:
		return `{"code":` + strconv.Itoa(status) + `,"msg":"as requested"}`
	}
	return ""
}

var contentType = []string{"application/json"}
