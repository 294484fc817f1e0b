package live

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
)

// Call is what the events and records of one call say, in a form to which later ones can
// be added in any order. Times are Unix ms, 0 when unknown. The store keeps it as JSON.
type Call struct {
	ID        string `json:"-"`
	HasEvents bool   `json:"k,omitempty"` // call.* events, not only records
	First     int64  `json:"s,omitempty"` // of its call.* events
	Latest    int64  `json:"l,omitempty"` // of its call.* and queue.* events
	Last      int64  `json:"m,omitempty"` // of all times that anything says of it

	Deleted  int64     `json:"d,omitempty"` // when call.deleted came
	Main     *Main     `json:"c,omitempty"`
	Bot      bool      `json:"b,omitempty"` // there is a main record of a bot
	BotEnd   int64     `json:"e,omitempty"` // its end, else its start
	Dir      firstText `json:"r,omitzero"`  // directionText of its events
	Customer firstText `json:"u,omitzero"`  // the customer's number in its events
	Line     firstText `json:"i,omitzero"`  // the tenant's own number in its events
	Dial     firstText `json:"a,omitzero"`  // mainDialType of call.created

	Queue   QueueEvents       `json:"qs,omitempty"`
	Parties map[string]*Party `json:"p,omitempty"` // by partyKey

	cached *callSummary // set by Prepare
}

// Main is what a call's main record says.
type Main struct {
	Type, Result, Start, End int64
	FirstAgent               string // firstCallAgentUUID
	Customer, Gateway, Dial  string
}

// firstText is the text of the earliest event that has one.
type firstText struct {
	At   int64  `json:"t,omitempty"`
	Text string `json:"v,omitempty"`
	Some bool   `json:"s,omitempty"`
}

// note takes a text if it is not empty and no earlier event had one. When the same event
// comes twice, the body that came last counts.
func (f *firstText) note(at int64, text string) {
	if text != "" && (!f.Some || at <= f.At) {
		*f = firstText{At: at, Text: text, Some: true}
	}
}

// maxParties of a call are kept; what further ones do is not looked at.
const maxParties = 500

// Add adds what an event says. Events may come in any order.
func (c *Call) Add(r *record.Record) {
	switch says := r.Says.(type) {
	case *record.Call:
		c.addRecord(says)
	case *record.Party:
		c.addParty(says)
	case *record.QueueEvent:
		c.Queue.add(says)
		c.Latest = max(c.Latest, says.At)
		c.Last = max(c.Last, says.At)
	case *record.CallEvent:
		c.addEvent(says)
	}
}

// addRecord adds a main record, which replaces an earlier version.
func (c *Call) addRecord(r *record.Call) {
	c.Last = max(c.Last, r.Start, r.End)
	if r.Scope == record.Bot {
		c.Bot = true
		c.BotEnd = r.Ended()
		return
	}
	c.Main = &Main{
		Type: r.Type, Result: r.Result, Start: r.Start, End: r.End,
		FirstAgent: r.FirstCalled, Customer: r.CustomerNumber, Gateway: r.Gateway, Dial: r.DialType,
	}
}

// addParty adds a party record, which replaces an earlier version.
func (c *Call) addParty(r *record.Party) {
	c.Last = max(c.Last, r.Start, r.End)
	p := c.party("p" + r.ID)
	if p == nil {
		return
	}
	if r.Scope == record.Bot {
		p.Bot = true
		p.BotEnd = r.Ended()
		return
	}
	p.CDR = &CDR{
		UUID: r.UUID, ID: r.AgentID, Role: r.Role, DialType: r.Dial, Result: r.Result, Type: r.Type,
		Start: r.Start, End: r.End, Talk: r.Talk,
	}
}

// addEvent adds a call.* event: to the call, and to the party that it is about.
func (c *Call) addEvent(e *record.CallEvent) {
	c.HasEvents = true
	c.First = earliest(c.First, e.At)
	c.Latest = max(c.Latest, e.At)
	c.Last = max(c.Last, e.At)

	// Which of the two numbers is the customer's follows from the direction.
	c.Dir.note(e.At, directionText[e.Direction])
	switch e.Direction {
	case record.Inbound:
		c.Customer.note(e.At, e.ANI)
		c.Line.note(e.At, e.DNIS)
	case record.Outbound:
		c.Customer.note(e.At, e.DNIS)
		c.Line.note(e.At, e.ANI)
	}

	switch e.Type {
	case event.CallCreated:
		c.Dial.note(e.At, e.DialType)
	case event.CallDeleted:
		c.Deleted = earliest(c.Deleted, e.At)
	}

	key := partyKey(e)
	if key == "" {
		return
	}
	if p := c.party(key); p != nil {
		p.add(e)
	}
}

// partyKey returns the key in Call.Parties of the party that an event is about: "p" and
// the partyID. An event without one is about the party of its agent ("a" and the agent's
// key), or else the one with its thisDN ("d" and that): which party that is turns out
// when all events are known (parties). "": the event is about the call only.
func partyKey(e *record.CallEvent) string {
	agent := record.AgentKey(e.UUID, e.AgentID)
	switch {
	case e.Party != "":
		return "p" + e.Party
	case agent != "":
		return "a" + agent
	case e.DN != "":
		return "d" + e.DN
	}
	return ""
}

// directionText is a direction as the store keeps it; "" for none.
var directionText = [...]string{record.Internal: "1", record.Inbound: "2", record.Outbound: "3"}

// direction is the inverse of directionText.
func (f *firstText) direction() int64 {
	if !f.Some {
		return 0
	}
	return int64(f.Text[0] - '0')
}

// party returns the party of a key, which is made if need be; nil: the call has
// maxParties others.
func (c *Call) party(key string) *Party {
	p := c.Parties[key]
	if p != nil || len(c.Parties) >= maxParties {
		return p
	}

	if c.Parties == nil {
		c.Parties = map[string]*Party{}
	}
	p = &Party{}
	c.Parties[key] = p
	return p
}

// earliest returns the earlier of two times; 0 is no time.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// callSummary is what Prepare derives from a call.
type callSummary struct {
	parties     []*Party
	waits       []Wait
	currentWait *Wait
	direction   int64
	gateway     string
	counts      []agentCount
}

// Prepare caches what the methods below derive, so that they may be called concurrently.
// Call no Add after it.
func (c *Call) Prepare() {
	s := &callSummary{parties: c.parties(), waits: c.waits(), direction: c.Direction(), gateway: c.Gateway()}
	s.currentWait = runningWait(s.waits)
	for _, p := range s.parties {
		p.prepare()
	}

	c.cached = s
	s.counts = c.count() // asks for what is cached
}

// waits returns the times that the call spent in queues, in their order.
func (c *Call) waits() []Wait {
	if c.cached != nil {
		return c.cached.waits
	}
	return c.Queue.waits(c.ID)
}

// parties returns copies of the call's parties, in the order of their partyIDs, into
// which the events without partyID have been merged.
func (c *Call) parties() (all []*Party) {
	if c.cached != nil {
		return c.cached.parties
	}

	// Sorted, so that the result does not depend on the order of a map. Keys of agents
	// ("a") come before those of numbers ("d"), and both before partyIDs ("p").
	var loose []string
	for _, key := range slices.Sorted(maps.Keys(c.Parties)) {
		if key[0] != 'p' {
			loose = append(loose, key)
			continue
		}
		p := *c.Parties[key]
		p.partyID = key[1:]
		all = append(all, &p)
	}

	for _, key := range loose {
		from := c.Parties[key]
		i := slices.IndexFunc(all, func(p *Party) bool {
			if key[0] == 'a' {
				return p.agent() == key[1:]
			}
			return p.DN == key[1:]
		})
		switch {
		case i >= 0:
			all[i].merge(from)
		case key[0] == 'a': // an agent whom no event with a partyID names
			p := *from
			all = append(all, &p)
		}
	}
	return all
}

// Direction returns the direction of the call: record.Internal, Inbound, Outbound, or 0.
func (c *Call) Direction() int64 {
	if c.cached != nil {
		return c.cached.direction
	}
	if c.Main != nil && record.Direction(c.Main.Type) != 0 {
		return c.Main.Type
	}
	if c.Dir.Some {
		return c.Dir.direction()
	}

	// That of the earliest party record that has one.
	var direction, start int64
	for _, key := range slices.Sorted(maps.Keys(c.Parties)) {
		r := c.Parties[key].CDR
		if r != nil && record.Direction(r.Type) != 0 && (direction == 0 || r.Start < start) {
			direction = r.Type
			start = r.Start
		}
	}
	return direction
}

// Number returns the customer's number; "": it is unknown.
func (c *Call) Number() string {
	switch {
	case c.Main != nil && c.Main.Customer != "":
		return c.Main.Customer
	case c.Customer.Some:
		return c.Customer.Text
	}
	return c.Queue.earliest(func(e *record.QueueEvent) string { return e.Customer })
}

// Gateway returns the tenant's own number in the call; "": it is unknown.
func (c *Call) Gateway() string {
	if c.cached != nil {
		return c.cached.gateway
	}
	if c.Main != nil && c.Main.Gateway != "" {
		return c.Main.Gateway
	}
	queued := c.Queue.earliest(func(e *record.QueueEvent) string { return e.Gateway })
	return cmp.Or(queued, c.Line.Text)
}

// CallBack reports whether the call was begun for the agent, who was called first.
func (c *Call) CallBack() bool {
	dial := c.Dial.Text
	if dial == "" && c.Main != nil {
		dial = c.Main.Dial
	}
	return dial == "ClickToCallback" || dial == "TwoWayToPSTN"
}

// currentWait returns the wait that no event has ended; nil: the call is in no queue.
func (c *Call) currentWait() *Wait {
	if c.cached != nil {
		return c.cached.currentWait
	}
	return runningWait(c.waits())
}

// Ends returns when each agent's part in the call ended, by the agent's key. If no event
// says so, it is the time of the call's last event; 0 means the agent never took part.
func (c *Call) Ends() map[string]int64 {
	all := map[string]int64{}
	for _, p := range c.parties() {
		agent := p.agent()
		if agent == "" || p.First == 0 {
			continue
		}

		end := c.Latest
		if p.released() || c.over() {
			end = p.endedAt(c)
		}
		if len(p.Changes) == 0 || p.Changes[0].At >= end {
			end = 0
		}
		all[agent] = max(all[agent], end)
	}
	return all
}

// EndedWaits returns the waits of the call that are over.
func (c *Call) EndedWaits() []Wait {
	return endedWaits(c.Queue.waits(c.ID), c.over(), c.endedAt()) // not the cached ones: these are changed
}

// endedAt returns when a call that is not live ended.
func (c *Call) endedAt() int64 {
	switch {
	case c.Deleted > 0:
		return c.Deleted
	case c.Main != nil:
		return cmp.Or(c.Main.End, c.Main.Start)
	case c.Bot:
		return c.BotEnd
	}

	last := int64(0)
	for _, p := range c.parties() {
		switch {
		case p.First == 0: // only its record is there
		case !p.released():
			return c.Latest // the call went stale
		default:
			last = max(last, p.releasedAt())
		}
	}
	return last
}

// over reports whether the call is over for good: no later event makes it live again.
func (c *Call) over() bool { return c.Deleted > 0 || c.Main != nil || c.Bot }

// Live reports whether the call is still in progress at now. A call without events for
// stale milliseconds counts as over.
func (c *Call) Live(now, stale int64) bool {
	if !c.HasEvents || c.over() || now-c.Latest >= stale {
		return false
	}
	if c.currentWait() != nil {
		return true
	}

	// It is over when all parties that events tell of are released.
	hasParties := false
	for _, p := range c.parties() {
		if p.First == 0 {
			continue // only its record is there
		}
		if !p.released() {
			return true
		}
		hasParties = true
	}
	return !hasParties
}
