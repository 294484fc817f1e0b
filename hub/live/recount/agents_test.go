package recount

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/live"
)

// status is what agent.status says of an agent.
type status struct{ login, reason, work int64 }

func (s status) loggedIn() bool { return s.login == 1 || s.login == 2 || s.login == 98 }

func (s status) onBreak() bool { return s.login == 2 && s.reason >= 11 && s.reason <= 18 }

// agentRow is what a board says of an agent.
type agentRow struct {
	status
	hasStatuses bool // of its own; else its row follows from its calls

	// Since when each of them holds.
	loginSince, reasonSince, workSince, loggedInSince, readySince int64

	// The call that the agent is busy with.
	callID, customer    string
	callType, callSince int64

	parties                        int64 // that it is in now
	chats                          int   // that it has now
	counters                       live.Counters
	talks, talkSeconds             int64 // of today
	wrapUpTime, breaks, breaksTime int64 // of today, ms
}

// rows returns the board: the agents that an event or the directory names.
func (r *recount) rows() map[string]*agentRow {
	firstNamed := r.namedAgents()
	all := map[string]*agentRow{}
	for key := range firstNamed {
		all[key] = &agentRow{}
	}
	for uuid := range r.agents {
		all[keyOf(uuid)] = &agentRow{}
	}

	for key, row := range all {
		r.fillState(row, key, firstNamed[key])
		r.countStatuses(row, key)
		r.countCalls(row, key)
		for _, c := range r.chats {
			if r.chatState(c) == chatOngoing && c.handler() == key {
				row.chats++
			}
		}
	}
	return all
}

// namedAgents returns the agents that events name, with the earliest time.
func (r *recount) namedAgents() map[string]int64 {
	all := map[string]int64{}
	add := func(key string, at int64) {
		if key != "" {
			all[key] = earlier(all[key], at)
		}
	}

	for _, e := range r.log {
		switch {
		case e.typ == "agent.status":
			add(agentOf(&e), e.at)
		case e.typ == "cdr.party":
			if role := e.number("agentRole"); role == 0 || role == 2 {
				add(agentOf(&e), e.at)
			}
		case strings.HasPrefix(e.typ, "call."):
			if role := e.text("partyRole"); role != "Customer" && role != "VirtualAgent" && role != "ThirdPSTN" {
				add(agentOf(&e), e.at)
			}
		case e.typ == "cdr.call":
			add(keyOf(e.text("firstCallAgentUUID")), e.at)
		case isQueueEvent(&e):
			add(keyOf(e.text("agentUUID")), e.at)
		case strings.HasPrefix(e.typ, "chat."):
			if e.typ != "chat.accepted" || e.text("handledBy") != "bot" {
				add(keyOf(e.text("agentUUID")), e.at)
			}
			add(keyOf(e.text("toAgentUUID")), e.at)
		}
	}
	return all
}

// stretch is a time in which the agent's status did not change.
type stretch struct {
	status
	interval
	entry entry // that began it
}

// history returns the stretches of an agent. Of several statuses at the same time
// the one created last counts, then the last to arrive.
func (r *recount) history(key string) (all []stretch) {
	kept := map[int64]entry{}
	for _, e := range r.log {
		if e.typ != "agent.status" || agentOf(&e) != key {
			continue
		}
		if other, there := kept[e.at]; !there || e.number("creationTime") >= other.number("creationTime") {
			kept[e.at] = e
		}
	}

	// What a status does not say stays as it was.
	var now status
	for _, at := range slices.Sorted(maps.Keys(kept)) {
		e := kept[at]
		if e.has("loginStatus") {
			now.login = e.number("loginStatus")
		}
		if e.has("notReadyStatus") {
			now.reason = e.number("notReadyStatus")
		}
		if e.has("workStatus") {
			now.work = e.number("workStatus")
		}
		if len(all) > 0 {
			all[len(all)-1].to = at
		}
		all = append(all, stretch{now, interval{at, unended}, e})
	}
	return all
}

// leg is an agent's part in a call.
type leg struct {
	*party
	call *call
	end  int64 // unended while it goes on
}

// legs returns the parts of an agent in all calls.
func (r *recount) legs(key string) (all []leg) {
	for _, id := range slices.Sorted(maps.Keys(r.calls)) {
		c := r.calls[id]
		for _, p := range c.parties {
			if p.agent() != key || len(p.events) == 0 {
				continue
			}
			l := leg{p, c, unended}
			if !r.inProgress(c) || p.released() {
				l.end = c.endOf(p)
			}
			all = append(all, l)
		}
	}
	return all
}

// workPriority says which of two legs that changed at the same time is shown.
var workPriority = []int64{7, 8, 6, 5}

// shownWork returns what an agent does at a moment, as its legs say, and in which
// call: that of the leg that changed last; of several the first by priority, then the
// one with the greatest callID, then with the greatest partyID. 1 and nil: it is free.
func shownWork(legs []leg, moment int64) (work int64, in *call) {
	type candidate struct {
		leg
		does, since int64
	}
	var all []candidate
	for _, l := range legs {
		does, since := l.workAt(moment)
		if does != 0 && (l.end == unended || l.end > moment) {
			all = append(all, candidate{l, does, since})
		}
	}
	if len(all) == 0 {
		return 1, nil
	}

	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(b.since, a.since),
			cmp.Compare(slices.Index(workPriority, a.does), slices.Index(workPriority, b.does)),
			cmp.Compare(b.call.id, a.call.id),
			cmp.Compare(b.id, a.id),
		)
	})
	return all[0].does, all[0].call
}

// fillState says what an agent does and since when. firstNamed is the earliest
// time at which an event names it; 0 when only the directory does.
func (r *recount) fillState(row *agentRow, key string, firstNamed int64) {
	legs := r.legs(key)
	for _, l := range legs {
		if l.end == unended {
			row.parties++
		}
	}

	// Who sends statuses is as they say; of others the calls tell.
	history := r.history(key)
	switch {
	case len(history) > 0:
		row.fillFromStatuses(history)
	case firstNamed > 0:
		row.fillFromLegs(legs, firstNamed)
	}

	if row.work < 5 || row.work > 8 {
		return
	}
	if len(history) > 0 {
		row.callID = history[len(history)-1].entry.text("callID")
	}
	if row.callID == "" {
		if _, in := shownWork(legs, unended); in != nil {
			row.callID = in.id
		}
	}
	r.fillCall(row, key)
	if len(history) > 0 && history[len(history)-1].entry.number("callType") > 0 {
		row.callType = history[len(history)-1].entry.number("callType")
	}
}

func (row *agentRow) fillFromStatuses(history []stretch) {
	row.hasStatuses = true
	last := history[len(history)-1].status
	row.status = last

	since := func(same func(status) bool) (at int64) {
		for _, s := range slices.Backward(history) {
			if !same(s.status) {
				break
			}
			at = s.from
		}
		return at
	}
	row.loginSince = since(func(s status) bool { return s.login == last.login })
	row.reasonSince = since(func(s status) bool { return s.reason == last.reason })
	row.workSince = since(func(s status) bool { return s.work == last.work })
	row.loggedInSince = since(status.loggedIn)

	for i, s := range history {
		if s.work == 1 && (i == 0 || history[i-1].work != 1) {
			row.readySince = s.from
		}
	}
}

// fillFromLegs says what follows from an agent's calls: it is logged in since an
// event first named it.
func (row *agentRow) fillFromLegs(legs []leg, firstNamed int64) {
	row.login = 1
	row.loginSince = firstNamed
	row.loggedInSince = firstNamed

	changes := []int64{firstNamed}
	for _, l := range legs {
		for _, e := range l.events {
			changes = append(changes, max(firstNamed, e.at))
		}
		if l.end != unended {
			changes = append(changes, max(firstNamed, l.end))
		}
	}
	slices.Sort(changes)

	row.work, _ = shownWork(legs, unended)
	before := int64(0)
	for _, at := range changes {
		work, _ := shownWork(legs, at)
		if work != before && work == row.work {
			row.workSince = at
		}
		if work != before && work == 1 {
			row.readySince = at
		}
		before = work
	}
}

// fillCall says what the board shows of the call that an agent is busy with.
func (r *recount) fillCall(row *agentRow, key string) {
	row.callSince = row.workSince
	c := r.calls[row.callID]
	if c == nil {
		return
	}
	row.customer = c.customerNumber()
	row.callType = c.direction()

	began := int64(0)
	for _, p := range c.parties {
		if p.agent() == key && len(p.events) > 0 {
			began = earlier(began, p.events[0].at)
		}
	}
	row.callSince = cmp.Or(began, row.callSince)
}

// countStatuses adds up the after-call work and the breaks of today. A break may
// be several stretches, one after the other.
func (r *recount) countStatuses(row *agentRow, key string) {
	onBreak := false
	for _, s := range r.history(key) {
		ms := s.within(r.dayBegin, min(r.now, r.dayEnds))
		if ms > 0 && s.work == 4 && s.loggedIn() {
			row.wrapUpTime += ms
		}
		if ms > 0 && s.onBreak() {
			row.breaksTime += ms
			if !onBreak {
				row.breaks++
			}
		}
		onBreak = s.onBreak() && (ms > 0 || onBreak)
	}
}

// within returns how much of an interval lies in another, in ms; at most 0 when
// nothing does.
func (i interval) within(from, to int64) int64 { return min(i.to, to) - max(i.from, from) }

// countCalls counts what an agent's parties did today.
func (r *recount) countCalls(row *agentRow, key string) {
	for _, c := range r.calls {
		customerAnswered := c.main != nil && (c.main.number("callResult") == 8 || c.main.number("callResult") == 21)
		dialledAt := int64(0)
		for _, p := range c.parties {
			if p.role() == "Customer" && p.first("call.established") > 0 {
				customerAnswered = true
			}
			if p.agent() != key || !p.ofAgent() {
				continue
			}
			dialledAt = earlier(dialledAt, p.first("call.dialing"))
			r.countParty(row, c, p)
		}

		if c.main != nil && keyOf(c.main.text("firstCallAgentUUID")) == key {
			dialledAt = earlier(dialledAt, c.main.number("startTime"))
		}
		if c.direction() == outbound && r.today(dialledAt) {
			row.counters.Outbound++
			if customerAnswered {
				row.counters.OutboundEstablished++
			}
		}
	}
}

// ofAgent reports whether the party is one of a human agent, who talks with a
// customer: what its record says about role and dial type; without one, what its
// events say about its role.
func (p *party) ofAgent() bool {
	if p.cdr == nil {
		return p.role() == "" || p.role() == "Agent"
	}
	role := !p.cdr.has("agentRole") || p.cdr.number("agentRole") == 2
	dial := !p.cdr.has("dialType") || p.cdr.number("dialType") >= 1 && p.cdr.number("dialType") <= 3
	return role && dial
}

// countParty counts one party of an agent, if it began today.
func (r *recount) countParty(row *agentRow, c *call, p *party) {
	began, result := int64(0), int64(0)
	if len(p.events) > 0 {
		began = p.events[0].at
	}
	if p.cdr != nil {
		result = p.cdr.number("callResult")
		began = earlier(began, p.cdr.number("startTime"))
	}
	if !r.today(began) {
		return
	}

	established := p.first("call.established")
	answered := established > 0 || result == 3
	if answered {
		row.talks++
		switch {
		case p.cdr != nil:
			row.talkSeconds += p.cdr.number("duration")
		case r.inProgress(c) && !p.released():
			row.talkSeconds += max(0, r.now-established) / 1000
		default:
			row.talkSeconds += max(0, c.endOf(p)-established) / 1000
		}
	}

	if c.direction() != inbound {
		return
	}
	rangInVain := p.first("call.ringing") > 0 && (p.released() || c.over())
	switch {
	case answered:
		row.counters.InboundEstablished++
	case rangInVain, result == 1, result == 2:
		row.counters.InboundAbandoned++
	}
}
