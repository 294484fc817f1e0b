// Package simulate is a believable contact centre: agents on shifts, callers with
// patience, holds, transfers, inquiries, and visitors of a site who chat. It emits
// what happens as the platform would, event by event and then in records whose times
// agree. The same seed gives the same story.
package simulate

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hookline/hookline/hub/event"
)

// Config describes a centre. The same Config gives the same bytes.
type Config struct {
	Seed         uint64
	CompanyID    string    // default "demo"
	Agents       int       // 1..9000, default 20; two thirds of them are on duty at any time
	CallsPerHour float64   // 0..10,000,000, of both directions; default 6 per agent
	ChatsPerHour float64   // 0..10,000,000; default 0, without visitors either
	Start        time.Time // of the simulated time, to the millisecond; required

	// Duration is the simulated time in which calls come in. Then the centre closes:
	// calls end, agents leave. If it is 0 the centre never closes.
	Duration time.Duration
}

// Envelope is one event as the hub takes it.
type Envelope struct {
	ID   string
	Type event.Type
	Time int64  // Unix ms
	Data []byte // the body, JSON
	Key  string // events with the same Key must arrive in order; a Key covers one or more order keys of the hub
}

// AppendJSON appends the envelope as one line of JSON, without the newline.
func (e *Envelope) AppendJSON(b []byte) []byte {
	b = append(append(b, `{"id":"`...), e.ID...)
	b = append(append(b, `","type":"`...), e.Type.String()...)
	b = strconv.AppendInt(append(b, `","time":`...), e.Time, 10)
	b = append(append(b, `,"data":`...), e.Data...)
	return append(b, '}')
}

// Centre is a contact centre whose clock moves as Next is called. It is not safe for
// several goroutines.
type Centre struct {
	company string
	gap     float64 // mean ms between calls
	run     string  // names this story: two stories never share an event id
	rng     *rand.Rand

	now     int64
	tasks   tasks
	queued  uint64 // number of tasks so far: tasks of one moment run in the order in which they were queued
	closing bool
	out     []Envelope // of the last moment
	taken   int        // how many of out Next has returned

	agents  []*agent
	waiting [len(queues)][]*call // in the order in which they are answered
	site    *site                // nil if nobody chats
	request int64                // number of requests by agents so far: the referenceID of what they cause
}

// New opens a centre at cfg.Start.
func New(cfg Config) (*Centre, error) {
	cfg.CompanyID = cmp.Or(cfg.CompanyID, "demo")
	cfg.Agents = cmp.Or(cfg.Agents, 20)
	cfg.CallsPerHour = cmp.Or(cfg.CallsPerHour, 6*float64(cfg.Agents))
	switch {
	case cfg.Agents < 1 || cfg.Agents > 9000:
		return nil, errors.New("agents: 1 to 9000")
	case !(cfg.CallsPerHour > 0 && cfg.CallsPerHour <= 1e7):
		return nil, errors.New("calls per hour: above 0, at most 10,000,000")
	case !(cfg.ChatsPerHour >= 0 && cfg.ChatsPerHour <= 1e7):
		return nil, errors.New("chats per hour: 0 to 10,000,000")
	case cfg.Duration < 0:
		return nil, errors.New("duration: 0 or more")
	case cfg.Start.UnixMilli() < 1e11 || cfg.Start.Year() > 9999:
		return nil, errors.New("start: a time between 1973 and 9999")
	}

	// Everything that shapes the story goes into its seed, so that different stories
	// never use the same event id for two things.
	shape := fmt.Appendf(nil, "%d|%s|%d|%g|%d|%d",
		cfg.Seed, cfg.CompanyID, cfg.Agents, cfg.CallsPerHour, cfg.Start.UnixMilli(), cfg.Duration)
	if cfg.ChatsPerHour > 0 {
		shape = fmt.Appendf(shape, "|%g", cfg.ChatsPerHour)
	}
	seed := sha256.Sum256(shape)
	c := &Centre{
		company: cfg.CompanyID,
		gap:     3_600_000 / cfg.CallsPerHour,
		run:     hex.EncodeToString(seed[:6]),
		rng:     rand.New(rand.NewChaCha8(seed)),
		now:     cfg.Start.UnixMilli(),
	}

	// The first things that happen.
	for i := range cfg.Agents {
		c.agents = append(c.agents, newAgent(cfg.CompanyID, i))
	}
	c.openShifts()
	c.after(c.exp(c.gap), c.nextCall)
	if cfg.ChatsPerHour > 0 {
		c.openSite(cfg.ChatsPerHour)
	}
	if cfg.Duration > 0 {
		c.after(cfg.Duration.Milliseconds(), c.close)
	}
	return c, nil
}

// Next returns the next event in the order of time. It returns false once the centre
// is closed and its last record was returned.
func (c *Centre) Next() (Envelope, bool) {
	for c.taken == len(c.out) {
		if len(c.tasks) == 0 {
			return Envelope{}, false
		}
		c.out = c.out[:0]
		c.taken = 0
		t := heap.Pop(&c.tasks).(task)
		c.now = t.at
		t.do()
	}
	c.taken++
	return c.out[c.taken-1], true
}

// Now returns the simulated time of what happened last.
func (c *Centre) Now() time.Time { return time.UnixMilli(c.now) }

// emit puts an event into the story, now.
func (c *Centre) emit(id string, t event.Type, key string, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("simulate: %s: %v", t, err)) // bodies are plain structs: a fault of this package
	}
	c.out = append(c.out, Envelope{ID: id, Type: t, Time: c.now, Data: data, Key: key})
}

// nextCall begins a call and plans the one after it.
func (c *Centre) nextCall() {
	if c.closing {
		return
	}
	c.after(c.exp(c.gap), c.nextCall)
	if c.chance(0.65) {
		c.inbound()
	} else {
		c.outbound()
	}
}

// close stops new calls. Agents who are ready, and for whom nobody waits, go home.
func (c *Centre) close() {
	c.closing = true
	for _, a := range c.agents {
		a.leaveDue = true
		c.settle(a)
	}
}

// after plans do in ms milliseconds, at least 1.
func (c *Centre) after(ms int64, do func()) {
	c.queued++
	heap.Push(&c.tasks, task{c.now + max(ms, 1), c.queued, do})
}

// between returns a random length in ms. Its bounds are in seconds.
func (c *Centre) between(from, to float64) int64 {
	return int64(1000 * (from + (to-from)*c.rng.Float64()))
}

// exp returns a random length with a mean: most are shorter, few are much longer.
func (c *Centre) exp(mean float64) int64 { return int64(math.Ceil(mean * c.rng.ExpFloat64())) }

// chance reports true with the probability p.
func (c *Centre) chance(p float64) bool { return c.rng.Float64() < p }

// task is something that happens at a time.
type task struct {
	at int64
	n  uint64 // its number, which orders the tasks of one moment
	do func()
}

// tasks is a heap of tasks, the earliest first.
type tasks []task

func (t tasks) Len() int { return len(t) }
func (t tasks) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].n < t[j].n
}
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }
func (t *tasks) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = task{} // or the array would keep a finished call in memory
	*t = (*t)[:last]
	return x
}
