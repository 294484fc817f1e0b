package recount

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// call is what was sent of one call.
type call struct {
	id        string
	events    []entry // call.*, by time
	main      *entry  // cdr.call
	bot       *entry  // cdr.bot_call
	parties   []*party
	waits     []wait
	lastEvent int64 // of the call itself and of its queue events
}

// party is one side of a call: a customer, an agent, a bot.
type party struct {
	id     string  // "": no event says it
	events []entry // by time
	cdr    *entry  // cdr.party
	bot    *entry  // cdr.bot_party
}

// readCalls puts the calls together. A call is known when anything names it.
func (r *recount) readCalls() {
	r.calls = map[string]*call{}
	callOf := func(id string) *call {
		if r.calls[id] == nil {
			r.calls[id] = &call{id: id}
		}
		return r.calls[id]
	}

	for _, e := range r.lastOfEach(identityOfCallEvent) {
		c := callOf(e.text("callID"))
		c.events = append(c.events, e)
		c.lastEvent = max(c.lastEvent, e.at)
	}

	for _, e := range r.log {
		switch e.typ {
		case "cdr.call":
			callOf(e.text("callID")).main = &e
		case "cdr.bot_call":
			callOf(e.text("callID")).bot = &e
		case "cdr.party", "cdr.bot_party":
			callOf(e.text("callID"))
		case "queue.entered", "queue.left":
			if e.text("media") == "call" {
				c := callOf(e.text("contactId"))
				c.lastEvent = max(c.lastEvent, e.at)
			}
		}
	}

	for id, c := range r.calls {
		c.waits = r.waitsOf("call", id)
		r.readParties(c)
	}
}

// identityOfCallEvent: an event of the same type, time and party is the same one.
func identityOfCallEvent(e *entry) string {
	if !strings.HasPrefix(e.typ, "call.") {
		return ""
	}
	side := e.text("partyID")
	if side == "" {
		side = "-" + agentOf(e) + e.text("thisDN")
	}
	return fmt.Sprint(e.typ, " ", e.text("callID"), " ", side, " ", e.at)
}

// readParties puts the parties of a call together: first those with an id, then
// what is said without one goes to the party of the same agent, or number.
func (r *recount) readParties(c *call) {
	byID := map[string]*party{}
	partyOf := func(id string) *party {
		if byID[id] == nil {
			byID[id] = &party{id: id}
		}
		return byID[id]
	}

	for _, e := range c.events {
		if id := e.text("partyID"); id != "" {
			p := partyOf(id)
			p.events = append(p.events, e)
		}
	}
	for _, e := range r.log {
		if e.text("callID") != c.id {
			continue
		}
		switch e.typ {
		case "cdr.party":
			partyOf(e.text("partyId")).cdr = &e
		case "cdr.bot_party":
			partyOf(e.text("partyId")).bot = &e
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		c.parties = append(c.parties, byID[id])
	}

	c.addWithoutID()
}

// addWithoutID hands events that name an agent or a number, but no party, to the
// party they speak of. An agent without a party gets one.
func (c *call) addWithoutID() {
	// Both are asked before events are added: those do not change whose a party is.
	numbers, agents := map[*party]string{}, map[*party]string{}
	for _, p := range c.parties {
		numbers[p] = p.lastText("thisDN")
		agents[p] = p.agent()
	}

	for _, e := range c.events {
		agent, number := agentOf(&e), e.text("thisDN")
		if e.text("partyID") != "" || agent == "" && number == "" {
			continue
		}
		i := slices.IndexFunc(c.parties, func(p *party) bool {
			if agent != "" {
				return agents[p] == agent
			}
			return numbers[p] == number
		})
		if i < 0 && agent == "" {
			continue // in these tests the number of no party but an agent's is said
		}
		if i < 0 {
			i = len(c.parties)
			c.parties = append(c.parties, &party{})
			agents[c.parties[i]] = agent
		}
		p := c.parties[i]
		p.events = append(p.events, e)
		slices.SortStableFunc(p.events, byTime)
	}
}

// lastText returns what the last event with a field says in it.
func (p *party) lastText(name string) (text string) {
	for _, e := range p.events {
		text = cmp.Or(e.text(name), text)
	}
	return text
}

// agent returns the key of the party's agent: the record's, else that of the last
// event with one.
func (p *party) agent() (key string) {
	if p.cdr != nil && agentOf(p.cdr) != "" {
		return agentOf(p.cdr)
	}
	for _, e := range p.events {
		key = cmp.Or(agentOf(&e), key)
	}
	return key
}

func (p *party) role() string { return p.lastText("partyRole") }

// first returns the earliest time of a type of event; 0 when there is no event.
func (p *party) first(typ string) (at int64) {
	for _, e := range p.events {
		if e.typ == typ && (at == 0 || e.at < at) {
			at = e.at
		}
	}
	return at
}

// released reports whether the party has left the call.
func (p *party) released() bool {
	return p.first("call.released") > 0 || p.cdr != nil || p.bot != nil
}

// workStatus is what an agent does from each type of event on.
var workStatus = map[string]int64{
	"call.dialing": 5, "call.ringing": 6, "call.established": 7, "call.held": 8, "call.retrieved": 7,
}

// workOrder is the order of events at the same time.
var workOrder = []string{"call.dialing", "call.ringing", "call.established", "call.held", "call.retrieved"}

// workAt returns what the party does at a moment, and since when; 0 when it does
// nothing yet.
func (p *party) workAt(moment int64) (work, since int64) {
	var steps []entry
	for _, e := range p.events {
		if workStatus[e.typ] > 0 {
			steps = append(steps, e)
		}
	}
	slices.SortStableFunc(steps, func(a, b entry) int {
		return cmp.Or(byTime(a, b), cmp.Compare(slices.Index(workOrder, a.typ), slices.Index(workOrder, b.typ)))
	})

	for _, e := range steps {
		if e.at <= moment && workStatus[e.typ] != work {
			work = workStatus[e.typ]
			since = e.at
		}
	}
	return work, since
}

// endOfRecord returns when a call or party ended, as its record says.
func endOfRecord(e *entry) int64 {
	if e.number("endTime") > 0 {
		return e.number("endTime")
	}
	return e.number("startTime")
}

// endOf returns when a party left a call that is over, or which it has left.
func (c *call) endOf(p *party) int64 {
	switch released := p.first("call.released"); {
	case released > 0:
		return released
	case p.cdr != nil && endOfRecord(p.cdr) > 0:
		return endOfRecord(p.cdr)
	case p.cdr == nil && p.bot != nil && endOfRecord(p.bot) > 0:
		return endOfRecord(p.bot)
	}
	return c.end()
}

// end returns when the call ended; the time of its last event when nothing says so.
func (c *call) end() int64 {
	for _, e := range c.events {
		if e.typ == "call.deleted" {
			return e.at
		}
	}
	switch {
	case c.main != nil:
		return endOfRecord(c.main)
	case c.bot != nil:
		return endOfRecord(c.bot)
	}
	return c.lastEvent
}

// over reports whether something says that the call ended.
func (c *call) over() bool {
	deleted := slices.ContainsFunc(c.events, func(e entry) bool { return e.typ == "call.deleted" })
	return deleted || c.main != nil || c.bot != nil
}

// inProgress reports whether the call goes on now: it waits, or one of its parties
// is in it, or only the call itself is known.
func (r *recount) inProgress(c *call) bool {
	if len(c.events) == 0 || c.over() || r.now-c.lastEvent >= r.staleCall {
		return false
	}
	if r.waiting(c.waits, false, c.lastEvent) {
		return true
	}

	hasParties := false
	for _, p := range c.parties {
		if len(p.events) == 0 {
			continue
		}
		hasParties = true
		if !p.released() {
			return true
		}
	}
	return !hasParties
}

const inbound, outbound = 2, 3

var directions = map[string]int64{"Internal": 1, "Inbound": inbound, "Outbound": outbound}

// direction returns that of the main record, else of the events, else of the
// party's record that began first; 0 when nothing says.
func (c *call) direction() int64 {
	if c.main != nil && c.main.number("callType") > 0 {
		return c.main.number("callType")
	}
	for _, e := range c.events {
		if d := directions[e.text("callType")]; d > 0 {
			return d
		}
	}

	var earliest *entry
	for _, p := range c.parties {
		if p.cdr == nil || p.cdr.number("callType") == 0 {
			continue
		}
		if earliest == nil || p.cdr.number("startTime") < earliest.number("startTime") {
			earliest = p.cdr
		}
	}
	if earliest == nil {
		return 0
	}
	return earliest.number("callType")
}

// customerNumber returns the main record's, else the events', else the queue's.
func (c *call) customerNumber() string {
	if c.main != nil && c.main.text("customerNumber") != "" {
		return c.main.text("customerNumber")
	}
	for _, e := range c.events {
		switch d := directions[e.text("callType")]; {
		case d == inbound && e.text("ANI") != "":
			return e.text("ANI")
		case d == outbound && e.text("DNIS") != "":
			return e.text("DNIS")
		}
	}
	for _, w := range c.waits {
		if number := w.text("customerNumber"); number != "" {
			return number
		}
	}
	return ""
}

// firstTime returns the earliest time of the call, of its events and its main
// record; 0 when it has neither.
func (c *call) firstTime() (at int64) {
	if len(c.events) > 0 {
		at = c.events[0].at
	}
	if c.main != nil {
		at = earlier(at, c.main.number("startTime"))
	}
	return at
}

// earlier returns the first of two times, of which 0 is none.
func earlier(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return max(0, b)
	}
	return a
}
