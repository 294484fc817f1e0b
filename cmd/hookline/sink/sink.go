// Package sink is a receiver of pushes for development, tests and load runs:
// it verifies, opens, counts, checks the order, tells what it saw, and
// misbehaves on request.
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

// Config of a sink. The zero value takes everything, verifies nothing and prints nothing.
type Config struct {
	CompanyID     string        // whose pushes come; "": read from plain bodies, sealed ones cannot be verified then
	AppKeys       []string      // keys that may have signed; none: signatures are not looked at
	EncryptionKey []byte        // 32 bytes, opens sealed bodies; none: derived from the first app key
	SkipVerify    bool          // look at no signature; sealed bodies are opened all the same
	Tolerance     time.Duration // how far the signed time may be from now; default 5m, negative: any
	Behaviour     Behaviour     // for every push; the callback URL can say otherwise
	Remember      int           // webhook-ids and order keys kept, the oldest forgotten first, about 60 bytes each; default 1,000,000
	OnPush        func(*Push)   // called once per push, from several goroutines; the push is the callee's until it returns
	OnInversion   func(*Push)   // the same, only for pushes that break the order
}

// MaxBody is the longest body that is read, in bytes; a longer one is answered 413.
const MaxBody = 16 << 20

// Push is one request as the sink saw it.
type Push struct {
	At         time.Time // arrival
	ID         string    // webhook-id
	EventID    string
	Type       string // X-Hookline-Event, else messageID
	Seq        int64  // X-Hookline-Sequence; 0: none
	Attempt    int    // X-Hookline-Attempt; 0: none
	Late       bool
	Replay     bool
	Encryption string // "": plain

	Verdict   Verdict
	Error     string // what is wrong with signature, seal or body; "": nothing
	Duplicate bool   // this id was answered 2xx before
	Try       int    // how often this id has come, this time included
	OrderKey  string // "": no order, or a sealed body that could not be opened
	Inversion bool   // a later one of its order key came first
	After     int64  // the highest sequence of its order key before this one; 0: none
	Status    int    // what was answered; 0: nothing (hung, reset)

	Header http.Header
	Body   []byte // plain when it could be opened, else as sent
}

// Stats are counts since the start.
type Stats struct {
	Received      int64 `json:"received"`      // requests with a push
	Distinct      int64 `json:"distinct"`      // webhook-ids; one that was forgotten counts again
	Taken         int64 `json:"taken"`         // answered 2xx for the first time
	Retries       int64 `json:"retries"`       // came again after an answer other than 2xx
	Duplicates    int64 `json:"duplicates"`    // came again although answered 2xx
	Inversions    int64 `json:"inversions"`    // after a later one of their order key; duplicates, late and replayed ones aside
	Late          int64 `json:"late"`          // said X-Hookline-Late
	Replayed      int64 `json:"replayed"`      // said X-Hookline-Replay
	BadSignatures int64 `json:"badSignatures"` // wrong, missing, too old, or a seal that does not open
	Odd           int64 `json:"odd"`           // a body that is no JSON object, or headers that make no sense
	OpenRequests  int64 `json:"openRequests"`  // being answered now
	Bytes         int64 `json:"bytes"`         // of bodies, as sent
}

// Sink is an http.Handler for pushes; GET /_stats answers its Stats.
type Sink struct {
	cfg  Config
	plan behaviours
	open atomic.Int64
	done chan struct{} // closed by Close: nobody hangs any longer
	once sync.Once

	mu    sync.Mutex
	stats Stats
	ids   *memory[delivered]
	keys  *memory[int64] // highest sequence in order
}

// delivered is what is remembered of a webhook-id.
type delivered struct {
	tries int32
	taken bool
}

// New makes a sink. It returns an error for a behaviour that makes no sense.
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
		ids:  newMemory[delivered](n),
		keys: newMemory[int64](n),
	}, nil
}

// Close lets every answer that hangs or drips go, so that a server can stop.
func (s *Sink) Close() { s.once.Do(func() { close(s.done) }) }

// Stats so far.
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
		_ = json.NewEncoder(w).Encode(s.Stats()) // the caller went away: nobody is left to tell
	default:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "pushes come by POST; GET /_stats for the counts", http.StatusMethodNotAllowed)
	}
}

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
	defer func() { buf.Reset(); buffers.Put(buf) }()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody)); err != nil {
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			http.Error(w, "sink: body too long", http.StatusRequestEntityTooLarge)
		}
		return // else the sender went away before it had said everything
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
	p.ID, p.EventID, p.Type = h.Get("Webhook-Id"), h.Get("X-Hookline-Event-Id"), h.Get("X-Hookline-Event")
	p.Late, p.Replay = h.Get("X-Hookline-Late") != "", h.Get("X-Hookline-Replay") != ""
	p.Encryption = h.Get("X-Hookline-Encryption")
	if p.Encryption == "none" {
		p.Encryption = ""
	}
	var err error
	if v := h.Get("X-Hookline-Sequence"); v != "" {
		if p.Seq, err = strconv.ParseInt(v, 10, 64); err != nil || p.Seq < 1 {
			p.Seq, p.Error = 0, "X-Hookline-Sequence: not a number above 0"
		}
	}
	if v := h.Get("X-Hookline-Attempt"); v != "" {
		if p.Attempt, err = strconv.Atoi(v); err != nil || p.Attempt < 1 {
			p.Attempt, p.Error = 0, "X-Hookline-Attempt: not a number above 0"
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
	p.Try = 1
	if p.ID != "" {
		d := s.ids.at(hash(p.ID))
		d.tries++
		p.Try, p.Duplicate = int(d.tries), d.taken
		switch {
		case d.taken:
			st.Duplicates++
		case d.tries > 1:
			st.Retries++
		default:
			st.Distinct++
		}
	}
	// Late ones and replays say that they are out of order; they move nothing.
	if p.OrderKey == "" || p.Seq == 0 || p.Late || p.Replay {
		return
	}
	highest := s.keys.at(hash(stream(p.ID, uri), p.OrderKey))
	p.After = *highest
	if p.Seq < *highest && !p.Duplicate {
		p.Inversion = true
		st.Inversions++
	}
	*highest = max(*highest, p.Seq)
}

// finish notes the answer, before a plain one goes out: who has the answer
// finds it counted.
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

// ok is what a receiver of the vendor's pushes answers; strictAck takes it too.
const ok = `{"code":0,"msg":"ok"}`

func answer(w http.ResponseWriter, status int) {
	w.Header()["Content-Type"] = contentType
	if status != http.StatusOK {
		w.WriteHeader(status)
		if status >= 400 {
			_, _ = io.WriteString(w, `{"code":`+strconv.Itoa(status)+`,"msg":"as requested"}`) // as below
		}
		return
	}
	_, _ = io.WriteString(w, ok) // the hub went away: it will try again
}

var contentType = []string{"application/json"}
