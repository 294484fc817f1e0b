package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/event"
)

// StaleChat is after how long without an event a chat is over, and StaleVisitor
// after how long a visitor has gone, in ms.
const (
	StaleChat    = 24 * 60 * 60 * 1000
	StaleVisitor = 24 * 60 * 60 * 1000
)

// Chat is what the events of one chat say, in a form that later ones can be added
// to in any order.
type Chat struct {
	ID     string      `json:"-"`
	Events []ChatEvent `json:"f,omitempty"` // each once: the same type and time told again replaces it
	Queue  QueueEvents `json:"q,omitempty"`

	cached *chatSummary // of Prepare
}

// ChatEvent is one chat.* event.
type ChatEvent struct {
	Type         event.Type `json:"e"`
	At           int64      `json:"t"`           // Unix ms
	Agent        string     `json:"a,omitempty"` // agentUUID
	Bot          bool       `json:"b,omitempty"` // handled by one
	ToDepartment string     `json:"o,omitempty"`
	Department   string     `json:"d,omitempty"`
	Visitor      string     `json:"v,omitempty"`
	Identity     string     `json:"i,omitempty"`
	Invited      bool       `json:"n,omitempty"`
	Reason       string     `json:"r,omitempty"` // abandoned, switched_to_message; else closed
	Replies      int64      `json:"p,omitempty"`
	ResponseMS   int64      `json:"m,omitempty"`
	Score        float64    `json:"s,omitempty"` // 1 to 5; 0: none that counts
}

// Ends of a chat.
const (
	Abandoned = "abandoned"
	Switched  = "switched_to_message"
)

// ChatOf is the chatId of an event that says something of a chat; "": none does.
func ChatOf(e *event.Event) string {
	switch t := e.Type; {
	case t >= event.ChatRequested && t <= event.ChatRated:
		return read(e.Body).text("chatId")
	case t == event.QueueEntered, t == event.QueueLeft:
		if id, media := ContactOf(e); media == "chat" {
			return id
		}
	}
	return ""
}

// Add what an event says.
func (c *Chat) Add(e *event.Event) {
	b := read(e.Body)
	if e.Type == event.QueueEntered || e.Type == event.QueueLeft {
		c.Queue.add(readQueueEvent(e.Type, b))
		return
	}
	f := ChatEvent{Type: e.Type, At: b.time("at")}
	num := func(name string) int64 { n, _ := b.value(name).Int(); return max(n, 0) }
	switch e.Type {
	case event.ChatRequested:
		f.Department, f.Visitor, f.Identity = b.text("departmentId"), b.text("visitorId"), b.text("contactIdentityId")
		f.Invited, _ = b.value("invited").Bool()
	case event.ChatAccepted:
		f.Bot = b.text("handledBy") == "bot"
		f.Agent = b.text("agentUUID")
	case event.ChatTransferred:
		f.ToDepartment = b.text("toDepartmentId")
	case event.ChatEnded:
		f.Reason = b.text("reason")
		f.Replies, f.ResponseMS = num("agentReplies"), num("agentResponseMs")
	case event.ChatRated:
		if score, there := b.value("score").Number(); there && score >= 1 && score <= 5 {
			f.Score = score
		}
	}
	c.Events = slices.DeleteFunc(c.Events, func(o ChatEvent) bool { return o.Type == f.Type && o.At == f.At })
	if c.Events = append(c.Events, f); len(c.Events) > maxEvents {
		oldest := -1
		for i := range c.Events {
			if o := &c.Events[i]; o.Type != event.ChatRequested && (oldest < 0 || o.At < c.Events[oldest].At) {
				oldest = i
			}
		}
		c.Events = slices.Delete(c.Events, max(oldest, 0), max(oldest, 0)+1)
	}
}

// First and Last are the earliest and the latest of its times, those of its
// waits in queues too; 0: it has none.
func (c *Chat) First() (at int64) {
	for i := range c.Events {
		at = earliest(at, c.Events[i].At)
	}
	for i := range c.Queue {
		at = earliest(at, c.Queue[i].At)
	}
	return at
}

// Last: see First.
func (c *Chat) Last() int64 { return max(c.latest(), c.Queue.latest()) }

// latest of its chat.* events.
func (c *Chat) latest() (at int64) {
	for i := range c.Events {
		at = max(at, c.Events[i].At)
	}
	return at
}

// EndedWaits returns the waits of the chat that are over.
func (c *Chat) EndedWaits() []Wait {
	if e := c.summary().ended; e != nil {
		return endedWaits(c.Queue.waits(c.ID), true, e.At)
	}
	return endedWaits(c.Queue.waits(c.ID), false, 0)
}

// chatSummary is what the events of a chat come to.
type chatSummary struct {
	latest    int64
	requested *ChatEvent // the earliest
	accepts   []ChatEvent
	byAgent   bool       // an agent accepted it
	ended     *ChatEvent // the earliest
	missed    bool
	transfers []ChatEvent
	score     float64 // of the latest rating
	spells    []spell
	waits     []Wait
}

// spell is the time for which one agent or bot handles a chat.
type spell struct {
	agent string // AgentKey; "": a bot
	from  int64
	to    int64 // Open: until the chat is over
}

// Prepare makes questions cheap, and safe to ask at one time. Nothing may be added
// afterwards.
func (c *Chat) Prepare() { c.cached = c.summarize() }

func (c *Chat) summary() *chatSummary {
	if c.cached != nil {
		return c.cached
	}
	return c.summarize()
}

func (c *Chat) summarize() *chatSummary {
	t := &chatSummary{latest: c.latest(), waits: c.Queue.waits(c.ID)}
	facts := slices.Clone(c.Events)
	slices.SortStableFunc(facts, func(a, b ChatEvent) int { return cmp.Compare(a.At, b.At) })
	for i := range facts {
		switch f := &facts[i]; f.Type {
		case event.ChatRequested:
			if t.requested == nil {
				t.requested = f
			}
		case event.ChatAccepted:
			t.accepts = append(t.accepts, *f)
			t.byAgent = t.byAgent || !f.Bot
		case event.ChatTransferred:
			t.transfers = append(t.transfers, *f)
		case event.ChatMissed:
			t.missed = true
		case event.ChatEnded:
			if t.ended == nil {
				t.ended = f
			}
		case event.ChatRated:
			t.score = f.Score
		}
	}
	for i, a := range t.accepts {
		s := spell{a.handler(), a.At, Open}
		if t.ended != nil {
			s.to = t.ended.At
		}
		if next := slices.IndexFunc(t.accepts[i+1:], func(o ChatEvent) bool { return o.handler() != s.agent }); next >= 0 {
			s.to = t.accepts[i+1+next].At
		}
		t.spells = append(t.spells, s)
	}
	return t
}

// handler of a chat that was accepted: an AgentKey; "": a bot. An agent of whom
// nothing is said is nobody in particular.
func (f *ChatEvent) handler() string {
	if f.Bot {
		return ""
	}
	return "u" + f.Agent
}

// ChatState is where a chat is.
type ChatState int

// The states of a chat. One of which only other things are told is in none.
const (
	ChatNone ChatState = iota
	ChatWaiting
	ChatOngoing
	ChatOver
)

// State of a chat now; stale is after how long without an event it is over, in ms.
func (c *Chat) State(now, stale int64) ChatState {
	t := c.summary()
	switch {
	case t.ended != nil, now-t.latest >= stale:
		return ChatOver
	case len(t.accepts) > 0:
		return ChatOngoing
	case t.requested != nil:
		return ChatWaiting
	}
	return ChatNone
}

// Handler of an ongoing chat: an agent's key, or a bot.
func (c *Chat) Handler() (agent string, bot bool) {
	accepts := c.summary().accepts
	if len(accepts) == 0 {
		return "", false
	}
	last := accepts[len(accepts)-1]
	return last.handler(), last.Bot
}

// Department in which a chat is at a moment; "": none.
func (c *Chat) Department(at int64) string {
	t := c.summary()
	for i := len(t.transfers) - 1; i >= 0; i-- {
		if f := &t.transfers[i]; f.ToDepartment != "" && f.At <= at {
			return f.ToDepartment
		}
	}
	if t.requested != nil {
		return t.requested.Department
	}
	return ""
}

// leftQueue returns when a chat left the queue, accepted or not; false: it did not, or
// it was never in it.
func (c *Chat) leftQueue() (at int64, is bool) {
	t := c.summary()
	switch {
	case t.requested == nil:
	case len(t.accepts) > 0:
		return t.accepts[0].At, true
	case t.ended != nil:
		return t.ended.At, true
	}
	return 0, false
}

// end of a spell, not after now, of a chat that is over when stale without an event.
func (c *Chat) end(s *spell, now, stale int64) int64 {
	to := s.to
	if latest := c.summary().latest; to == Open && now-latest >= stale {
		to = latest
	}
	return min(to, now)
}

// Visitor is what an event says of a visitor of the site.
type Visitor struct {
	ID      string
	At      int64 // Unix ms
	Arrived bool  // else it left
}

// ReadVisitor reads a visitor event; false: it is none.
func ReadVisitor(e *event.Event) (Visitor, bool) {
	if e.Type != event.VisitorArrived && e.Type != event.VisitorLeft {
		return Visitor{}, false
	}
	b := read(e.Body)
	return Visitor{b.text("visitorId"), b.time("at"), e.Type == event.VisitorArrived}, true
}
