package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
)

// A chat without events for StaleChat ms counts as over; a visitor without events for
// StaleVisitor ms counts as gone.
const (
	StaleChat    = 24 * 60 * 60 * 1000
	StaleVisitor = 24 * 60 * 60 * 1000
)

// Chat is what the events of one chat say, in a form to which later ones can be added in
// any order. The store keeps it as JSON.
type Chat struct {
	ID     string             `json:"-"`
	Events []record.ChatEvent `json:"f,omitempty"` // one of each type and time
	Queue  QueueEvents        `json:"q,omitempty"`

	cached *chatSummary // set by Prepare
}

// Reasons for which a chat ended before anybody accepted it.
const (
	Abandoned = "abandoned"
	Switched  = "switched_to_message"
)

// Add adds what an event says. Events may come in any order.
func (c *Chat) Add(r *record.Record) {
	switch says := r.Says.(type) {
	case *record.QueueEvent:
		c.Queue.add(says)
	case *record.ChatEvent:
		c.addEvent(says)
	}
}

// addEvent adds a chat.* event. One that comes again replaces the earlier one, and beyond
// maxEvents the oldest goes, apart from requests: without them the chat is in no figure.
func (c *Chat) addEvent(e *record.ChatEvent) {
	c.Events = slices.DeleteFunc(c.Events, func(o record.ChatEvent) bool { return o.Type == e.Type && o.At == e.At })
	c.Events = append(c.Events, *e)
	if len(c.Events) <= maxEvents {
		return
	}

	oldest := -1
	for i := range c.Events {
		o := &c.Events[i]
		if o.Type != event.ChatRequested && (oldest < 0 || o.At < c.Events[oldest].At) {
			oldest = i
		}
	}
	oldest = max(oldest, 0)
	c.Events = slices.Delete(c.Events, oldest, oldest+1)
}

// First returns the earliest time that an event says of the chat or of its queue; 0: there
// is none.
func (c *Chat) First() (at int64) {
	for i := range c.Events {
		at = earliest(at, c.Events[i].At)
	}
	for i := range c.Queue {
		at = earliest(at, c.Queue[i].At)
	}
	return at
}

// Last returns the latest such time.
func (c *Chat) Last() int64 { return max(c.latest(), c.Queue.latest()) }

// latest returns the time of the latest chat.* event.
func (c *Chat) latest() (at int64) {
	for i := range c.Events {
		at = max(at, c.Events[i].At)
	}
	return at
}

// EndedWaits returns the waits of the chat that are over.
func (c *Chat) EndedWaits() []Wait {
	waits := c.Queue.waits(c.ID) // not the cached ones: these are changed
	if e := c.summary().end; e != nil {
		return endedWaits(waits, true, e.At)
	}
	return endedWaits(waits, false, 0)
}

// chatSummary is what the events of a chat come to.
type chatSummary struct {
	latest    int64              // Unix ms, of its chat.* events
	requested *record.ChatEvent  // the earliest; nil: there is none
	accepts   []record.ChatEvent // by time
	byAgent   bool               // an agent accepted it
	end       *record.ChatEvent  // the earliest; nil: there is none
	missed    bool
	transfers []record.ChatEvent // by time
	score     float64            // of the latest rating; 0: there is none that counts
	spells    []spell
	waits     []Wait
}

// spell is the time for which one agent or bot handles a chat.
type spell struct {
	agent string // record.AgentKey; "" for a bot
	from  int64  // Unix ms
	to    int64  // record.Open: until the chat is over
}

// Prepare caches what the methods below derive, so that they may be called concurrently.
// Call no Add after it.
func (c *Chat) Prepare() { c.cached = c.summarize() }

func (c *Chat) summary() *chatSummary {
	if c.cached != nil {
		return c.cached
	}
	return c.summarize()
}

func (c *Chat) summarize() *chatSummary {
	s := &chatSummary{latest: c.latest(), waits: c.Queue.waits(c.ID)}

	// Of requests and ends the earliest counts, of ratings the latest.
	events := slices.Clone(c.Events)
	slices.SortStableFunc(events, func(a, b record.ChatEvent) int { return cmp.Compare(a.At, b.At) })
	for i := range events {
		switch e := &events[i]; e.Type {
		case event.ChatRequested:
			if s.requested == nil {
				s.requested = e
			}
		case event.ChatAccepted:
			s.accepts = append(s.accepts, *e)
			s.byAgent = s.byAgent || !e.Bot
		case event.ChatTransferred:
			s.transfers = append(s.transfers, *e)
		case event.ChatMissed:
			s.missed = true
		case event.ChatEnded:
			if s.end == nil {
				s.end = e
			}
		case event.ChatRated:
			s.score = e.Score
		}
	}

	// Whoever accepted it has it until somebody else accepts it, or it ends.
	for i := range s.accepts {
		of := spell{agent: handler(&s.accepts[i]), from: s.accepts[i].At, to: record.Open}
		if s.end != nil {
			of.to = s.end.At
		}
		later := s.accepts[i+1:]
		next := slices.IndexFunc(later, func(a record.ChatEvent) bool { return handler(&a) != of.agent })
		if next >= 0 {
			of.to = later[next].At
		}
		s.spells = append(s.spells, of)
	}
	return s
}

// handler returns the key of the agent who accepted a chat; "" for a bot. Agents of whom
// an event says nothing are all the same one, whom nobody asks for.
func handler(accepted *record.ChatEvent) string {
	if accepted.Bot {
		return ""
	}
	return "u" + accepted.Agent
}

// ChatState is where a chat is.
type ChatState int

// The states of a chat. In ChatNone it was neither requested nor accepted: other events
// name it.
const (
	ChatNone ChatState = iota
	ChatWaiting
	ChatOngoing
	ChatOver
)

// State returns the state of the chat at now. A chat without events for stale milliseconds
// counts as over.
func (c *Chat) State(now, stale int64) ChatState {
	s := c.summary()
	switch {
	case s.end != nil, now-s.latest >= stale:
		return ChatOver
	case len(s.accepts) > 0:
		return ChatOngoing
	case s.requested != nil:
		return ChatWaiting
	}
	return ChatNone
}

// Handler returns who handles an ongoing chat: the key of an agent, or a bot.
func (c *Chat) Handler() (agent string, bot bool) {
	accepts := c.summary().accepts
	if len(accepts) == 0 {
		return "", false
	}
	last := &accepts[len(accepts)-1]
	return handler(last), last.Bot
}

// Department returns the id of the department in which the chat is at a moment: that of
// the latest transfer to one, else that of its request. "": it is in no department.
func (c *Chat) Department(at int64) string {
	s := c.summary()
	for i := len(s.transfers) - 1; i >= 0; i-- {
		if t := &s.transfers[i]; t.ToDepartment != "" && t.At <= at {
			return t.ToDepartment
		}
	}
	if s.requested != nil {
		return s.requested.Department
	}
	return ""
}

// leftQueue returns when the chat left the queue, accepted or not; false: it did not, or
// was never in it.
func (c *Chat) leftQueue() (at int64, left bool) {
	s := c.summary()
	switch {
	case s.requested == nil:
		return 0, false
	case len(s.accepts) > 0:
		return s.accepts[0].At, true
	case s.end != nil:
		return s.end.At, true
	}
	return 0, false
}

// end returns the end of a spell, or now if it goes on. A chat without events for stale
// milliseconds ended with its last event.
func (c *Chat) end(of *spell, now, stale int64) int64 {
	to := of.to
	latest := c.summary().latest
	if to == record.Open && now-latest >= stale {
		to = latest
	}
	return min(to, now)
}
