package folds_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/live"
)

// tale is an event as it was sent, read by nothing of the hub's.
type tale struct {
	typ string
	at  int64 // Unix ms, its time
	b   map[string]any
}

func (e *tale) s(name string) string { v, _ := e.b[name].(string); return v }

func (e *tale) n(name string) int64 { v, _ := e.b[name].(int64); return v }

// naiveBoards works out the figures from all that was told, in the order of
// arrival, as the contract says them, one line after the other. It is slow.
type naiveBoards struct {
	told           []tale
	now, from, to  int64
	listed         map[string]naiveAgent // directory, by agentUUID
	queues         map[string]naiveQueue
	departments    []string
	staleC, staleH int64

	calls map[string]*naiveCall
	chats map[string]*naiveChat
}

type naiveAgent struct {
	departments, queues []string
	most                int64
	web                 bool
}

type naiveQueue struct{ media, group, strategy string }

// once are the facts of some types, each once: the last to arrive.
func (n *naiveBoards) once(key func(*tale) string) (all []tale) {
	last := map[string]int{}
	for i := range n.told {
		if k := key(&n.told[i]); k != "" {
			last[k] = i
		}
	}
	for _, i := range slices.Sorted(maps.Values(last)) {
		all = append(all, n.told[i])
	}
	slices.SortStableFunc(all, func(a, b tale) int { return cmp.Compare(a.at, b.at) })
	return all
}

type naiveStay struct {
	tale
	ended bool
	end   int64
	with  string // outcome
}

// stays of a contact, apart from what ends them for good.
func (n *naiveBoards) stays(media, id string) (all []naiveStay) {
	facts := n.once(func(e *tale) string {
		if !strings.HasPrefix(e.typ, "queue.") || e.s("contactId") != id || e.s("media") != media {
			return ""
		}
		return fmt.Sprint(e.typ, e.s("queueId"), e.at)
	})
	slices.SortStableFunc(facts, func(a, b tale) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.typ, b.typ)) })
	for _, f := range facts {
		open := len(all) > 0 && !all[len(all)-1].ended
		if f.typ == "queue.entered" {
			if open {
				all[len(all)-1].ended, all[len(all)-1].end = true, f.at
			}
			all = append(all, naiveStay{tale: f})
		} else if open && all[len(all)-1].s("queueId") == f.s("queueId") {
			last := &all[len(all)-1]
			last.ended, last.end, last.with = true, f.at, f.s("outcome")
		}
	}
	return all
}

type naiveParty struct {
	events []tale // by time
	cdr    *tale
	bot    *tale
}

type naiveCall struct {
	id        string
	events    []tale // by time
	main, bot *tale
	parties   []*naiveParty
	stays     []naiveStay
	latest    int64
}

var naiveWork = map[string]int64{"call.dialing": 5, "call.ringing": 6, "call.established": 7, "call.held": 8, "call.retrieved": 7}

var naiveOrder = []string{"call.dialing", "call.ringing", "call.established", "call.held", "call.retrieved"}

func agentOf(e *tale) string {
	switch {
	case e.s("agentUUID") != "":
		return "u" + e.s("agentUUID")
	case e.s("agentID") != "":
		return "i" + e.s("agentID")
	}
	return ""
}

func (p *naiveParty) agent() (agent string) {
	if p.cdr != nil && agentOf(p.cdr) != "" {
		return agentOf(p.cdr)
	}
	for _, e := range p.events {
		if agentOf(&e) != "" {
			agent = agentOf(&e)
		}
	}
	return agent
}

func (p *naiveParty) role() (role string) {
	for _, e := range p.events {
		if e.s("partyRole") != "" {
			role = e.s("partyRole")
		}
	}
	return role
}

func (p *naiveParty) has(typ string) (at int64) {
	for _, e := range p.events {
		if e.typ == typ && (at == 0 || e.at < at) {
			at = e.at
		}
	}
	return at
}

func (p *naiveParty) released() bool {
	return p.has("call.released") > 0 || p.cdr != nil || p.bot != nil
}

// story is the party's states by time.
func (p *naiveParty) story() (all []tale) {
	for _, e := range p.events {
		if naiveWork[e.typ] > 0 {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b tale) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(slices.Index(naiveOrder, a.typ), slices.Index(naiveOrder, b.typ)))
	})
	return all
}

func (p *naiveParty) state(moment int64) (work, since int64) {
	for _, e := range p.story() {
		if e.at <= moment && naiveWork[e.typ] != work {
			work, since = naiveWork[e.typ], e.at
		}
	}
	return work, since
}

func cdrEnd(e *tale) int64 {
	if e.n("endTime") > 0 {
		return e.n("endTime")
	}
	return e.n("startTime")
}

func (n *naiveBoards) end(c *naiveCall, p *naiveParty) int64 {
	switch at := p.has("call.released"); {
	case at > 0:
		return at
	case p.cdr != nil && cdrEnd(p.cdr) > 0:
		return cdrEnd(p.cdr)
	case p.cdr == nil && p.bot != nil && cdrEnd(p.bot) > 0:
		return cdrEnd(p.bot)
	}
	return n.callEnd(c)
}

func (n *naiveBoards) callEnd(c *naiveCall) int64 {
	for _, e := range c.events {
		if e.typ == "call.deleted" {
			return e.at
		}
	}
	switch {
	case c.main != nil:
		return cdrEnd(c.main)
	case c.bot != nil:
		return cdrEnd(c.bot)
	}
	return c.latest
}

func (c *naiveCall) deleted() bool {
	return slices.ContainsFunc(c.events, func(e tale) bool { return e.typ == "call.deleted" })
}

func (c *naiveCall) over() bool { return c.deleted() || c.main != nil || c.bot != nil }

func (n *naiveBoards) waits(stays []naiveStay, over bool, latest int64) bool {
	return len(stays) > 0 && !stays[len(stays)-1].ended && !over && n.now-latest < n.staleC
}

func (n *naiveBoards) live(c *naiveCall) bool {
	if len(c.events) == 0 || c.over() || n.now-c.latest >= n.staleC {
		return false
	}
	if n.waits(c.stays, false, c.latest) {
		return true
	}
	known := false
	for _, p := range c.parties {
		if len(p.events) > 0 {
			known = true
			if !p.released() {
				return true
			}
		}
	}
	return !known
}

var naiveDirs = map[string]int64{"Internal": 1, "Inbound": 2, "Outbound": 3}

func (c *naiveCall) direction() int64 {
	if c.main != nil && c.main.n("callType") > 0 {
		return c.main.n("callType")
	}
	for _, e := range c.events {
		if d := naiveDirs[e.s("callType")]; d > 0 {
			return d
		}
	}
	var best *tale
	for _, p := range c.parties {
		if p.cdr != nil && p.cdr.n("callType") > 0 && (best == nil || p.cdr.n("startTime") < best.n("startTime")) {
			best = p.cdr
		}
	}
	if best != nil {
		return best.n("callType")
	}
	return 0
}

// side is the number of the customer, or the tenant's own.
func (c *naiveCall) side(main, queue, inbound, outbound string) string {
	if c.main != nil && c.main.s(main) != "" {
		return c.main.s(main)
	}
	events := func() string {
		for _, e := range c.events {
			switch d := naiveDirs[e.s("callType")]; {
			case d == 2 && e.s(inbound) != "":
				return e.s(inbound)
			case d == 3 && e.s(outbound) != "":
				return e.s(outbound)
			}
		}
		return ""
	}
	queued := ""
	for i := len(c.stays) - 1; i >= 0; i-- {
		if v := c.stays[i].s(queue); v != "" {
			queued = v
		}
	}
	if main == "customerNumber" {
		return cmp.Or(events(), queued)
	}
	return cmp.Or(queued, events())
}

// read puts calls and chats together.
func (n *naiveBoards) read() {
	n.calls, n.chats = map[string]*naiveCall{}, map[string]*naiveChat{}
	call := func(id string) *naiveCall {
		if n.calls[id] == nil {
			n.calls[id] = &naiveCall{id: id}
		}
		return n.calls[id]
	}
	for _, e := range n.once(func(e *tale) string {
		if !strings.HasPrefix(e.typ, "call.") {
			return ""
		}
		who := e.s("partyID")
		if who == "" {
			who = "-" + agentOf(e) + e.s("thisDN")
		}
		return fmt.Sprint(e.typ, " ", e.s("callID"), " ", who, " ", e.at)
	}) {
		c := call(e.s("callID"))
		c.events = append(c.events, e)
	}
	for _, e := range n.told {
		switch e.typ {
		case "cdr.call":
			call(e.s("callID")).main = &e
		case "cdr.bot_call":
			call(e.s("callID")).bot = &e
		case "queue.entered", "queue.left":
			if e.s("media") == "call" {
				c := call(e.s("contactId"))
				c.latest = max(c.latest, e.at)
			}
		}
	}
	for _, e := range n.told {
		if strings.HasPrefix(e.typ, "cdr.party") || e.typ == "cdr.bot_party" {
			call(e.s("callID"))
		}
	}
	for id, c := range n.calls {
		c.stays = n.stays("call", id)
		n.putParties(c)
		for _, e := range c.events {
			c.latest = max(c.latest, e.at)
		}
	}
	n.readChats()
}

func (n *naiveBoards) putParties(c *naiveCall) {
	byID := map[string]*naiveParty{}
	of := func(id string) *naiveParty {
		if byID[id] == nil {
			byID[id] = &naiveParty{}
		}
		return byID[id]
	}
	for _, e := range c.events {
		if id := e.s("partyID"); id != "" {
			of(id).events = append(of(id).events, e)
		}
	}
	for _, e := range n.told {
		if e.s("callID") != c.id {
			continue
		}
		switch e.typ {
		case "cdr.party":
			of(e.s("partyId")).cdr = &e
		case "cdr.bot_party":
			of(e.s("partyId")).bot = &e
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		c.parties = append(c.parties, byID[id])
	}
	dns := map[*naiveParty]string{}
	for _, p := range c.parties {
		for _, e := range p.events {
			if e.s("thisDN") != "" {
				dns[p] = e.s("thisDN")
			}
		}
	}
	agents := map[*naiveParty]string{}
	for _, p := range c.parties {
		agents[p] = p.agent()
	}
	own := map[string]*naiveParty{}
	for _, e := range c.events {
		if e.s("partyID") != "" || agentOf(&e) == "" && e.s("thisDN") == "" {
			continue
		}
		i := slices.IndexFunc(c.parties, func(p *naiveParty) bool {
			if who := agentOf(&e); who != "" {
				return agents[p] == who
			}
			return dns[p] == e.s("thisDN")
		})
		if i < 0 {
			who := agentOf(&e)
			if who == "" {
				continue // no agent's party has its number in these tests
			}
			own[who] = &naiveParty{}
			agents[own[who]] = who
			c.parties = append(c.parties, own[who])
			i = len(c.parties) - 1
		}
		p := c.parties[i]
		p.events = append(p.events, e)
		slices.SortStableFunc(p.events, func(a, b tale) int { return cmp.Compare(a.at, b.at) })
	}
}

// naiveRow is what a board says of an agent.
type naiveRow struct {
	state                                        live.State
	loginAt, reasonAt, workAt, loggedAt, readyAt int64
	callID, number                               string
	callType, callSince, parties                 int64
	chats                                        int
	counters                                     live.Counters
	wrapUp, breaks, breakTime, talks, talk       int64
	real                                         bool
}

// named are the agents that events name, with the earliest time.
func (n *naiveBoards) named() map[string]int64 {
	all := map[string]int64{}
	add := func(key string, at int64) {
		if key == "" {
			return
		}
		if was, there := all[key]; !there || at > 0 && (was == 0 || at < was) {
			all[key] = at
		}
	}
	uuid := func(s string) string {
		if s == "" {
			return ""
		}
		return "u" + s
	}
	for _, e := range n.told {
		switch {
		case e.typ == "agent.status", e.typ == "cdr.party" && (e.n("agentRole") == 0 || e.n("agentRole") == 2):
			add(agentOf(&e), e.at)
		case strings.HasPrefix(e.typ, "call."):
			if r := e.s("partyRole"); r != "Customer" && r != "VirtualAgent" && r != "ThirdPSTN" {
				add(agentOf(&e), e.at)
			}
		case e.typ == "cdr.call":
			add(uuid(e.s("firstCallAgentUUID")), e.at)
		case strings.HasPrefix(e.typ, "queue."):
			add(uuid(e.s("agentUUID")), e.at)
		case strings.HasPrefix(e.typ, "chat."):
			if e.typ != "chat.accepted" || e.s("handledBy") != "bot" {
				add(uuid(e.s("agentUUID")), e.at)
			}
			add(uuid(e.s("toAgentUUID")), e.at)
		}
	}
	return all
}

type naiveStatus struct {
	live.State
	from, to int64
	e        tale
}

// history of an agent.
func (n *naiveBoards) history(key string) (all []naiveStatus) {
	kept := map[int64]tale{}
	for _, e := range n.told {
		if e.typ != "agent.status" || agentOf(&e) != key {
			continue
		}
		if was, there := kept[e.at]; !there || e.n("creationTime") >= was.n("creationTime") {
			kept[e.at] = e
		}
	}
	var is live.State
	for _, at := range slices.Sorted(maps.Keys(kept)) {
		e := kept[at]
		for name, code := range map[string]*int64{"loginStatus": &is.Login, "notReadyStatus": &is.Reason, "workStatus": &is.Work} {
			if v, there := e.b[name]; there {
				*code = v.(int64)
			}
		}
		if len(all) > 0 {
			all[len(all)-1].to = at
		}
		all = append(all, naiveStatus{is, at, live.Open, e})
	}
	return all
}

func (n *naiveBoards) rows() map[string]*naiveRow {
	all := map[string]*naiveRow{}
	first := n.named()
	for key := range first {
		all[key] = &naiveRow{}
	}
	for uuid := range n.listed {
		all["u"+uuid] = &naiveRow{}
	}
	for key, r := range all {
		n.state(key, r, first[key])
		n.count(key, r)
	}
	return all
}

// legs of an agent, with their ends; Open: they go on.
func (n *naiveBoards) legs(key string) (calls []*naiveCall, parties []*naiveParty, ends []int64) {
	for _, id := range slices.Sorted(maps.Keys(n.calls)) {
		c := n.calls[id]
		for _, p := range c.parties {
			if p.agent() != key || len(p.events) == 0 {
				continue
			}
			end := int64(live.Open)
			if !n.live(c) || p.released() {
				end = n.end(c, p)
			}
			calls, parties, ends = append(calls, c), append(parties, p), append(ends, end)
		}
	}
	return calls, parties, ends
}

func (n *naiveBoards) state(key string, r *naiveRow, first int64) {
	calls, parties, ends := n.legs(key)
	for _, end := range ends {
		if end == live.Open {
			r.parties++
		}
	}
	// What the parties show at a moment, and which call it is.
	shows := func(at int64) (work int64, of *naiveCall) {
		work = 1
		var changed int64
		for i, p := range parties {
			is, since := p.state(at)
			if is == 0 || ends[i] != live.Open && ends[i] <= at {
				continue
			}
			rank := []int64{7, 8, 6, 5}
			if of == nil || since > changed || since == changed && slices.Index(rank, is) < slices.Index(rank, work) {
				work, changed, of = is, since, calls[i]
			}
		}
		return work, of
	}
	history := n.history(key)
	callID, callType := "", int64(0)
	switch {
	case len(history) > 0:
		r.real = true
		last := history[len(history)-1]
		r.state, callID, callType = last.State, last.e.s("callID"), last.e.n("callType")
		since := func(same func(live.State) bool) (at int64) {
			for _, h := range slices.Backward(history) {
				if !same(h.State) {
					break
				}
				at = h.from
			}
			return at
		}
		r.loginAt = since(func(s live.State) bool { return s.Login == last.Login })
		r.reasonAt = since(func(s live.State) bool { return s.Reason == last.Reason })
		r.workAt = since(func(s live.State) bool { return s.Work == last.Work })
		r.loggedAt = since(naiveLogged)
		for i, h := range history {
			if h.Work == 1 && (i == 0 || history[i-1].Work != 1) {
				r.readyAt = h.from
			}
		}
	case first > 0:
		r.state.Login, r.loginAt, r.loggedAt = 1, first, first
		changes := []int64{first}
		for i, p := range parties {
			for _, e := range p.events {
				changes = append(changes, max(first, e.at))
			}
			if ends[i] != live.Open {
				changes = append(changes, max(first, ends[i]))
			}
		}
		slices.Sort(changes)
		r.state.Work, _ = shows(live.Open)
		was := int64(0)
		for _, at := range changes {
			is, _ := shows(at)
			if is != was && is == r.state.Work {
				r.workAt = at
			}
			if is != was && is == 1 {
				r.readyAt = at
			}
			was = is
		}
	}
	if r.state.Work < 5 || r.state.Work > 8 {
		return
	}
	r.callSince = r.workAt
	if callID == "" {
		if _, of := shows(live.Open); of != nil {
			callID = of.id
		}
	}
	r.callID = callID
	if c := n.calls[callID]; c != nil {
		r.number, r.callType = c.side("customerNumber", "customerNumber", "ANI", "DNIS"), c.direction()
		began := int64(0)
		for _, p := range c.parties {
			if p.agent() == key && len(p.events) > 0 && (began == 0 || p.events[0].at < began) {
				began = p.events[0].at
			}
		}
		r.callSince = cmp.Or(began, r.callSince)
	}
	if callType > 0 {
		r.callType = callType
	}
}

func naiveLogged(s live.State) bool { return s.Login == 1 || s.Login == 2 || s.Login == 98 }

func naiveBreak(s live.State) bool { return s.Login == 2 && s.Reason >= 11 && s.Reason <= 18 }

// count what an agent did today.
func (n *naiveBoards) count(key string, r *naiveRow) {
	today := func(at int64) bool { return at > 0 && at >= n.from && at < n.to }
	until := min(n.now, n.to)
	history, onBreak := n.history(key), false
	for _, h := range history {
		ms := min(h.to, until) - max(h.from, n.from)
		if ms > 0 && h.Work == 4 && naiveLogged(h.State) {
			r.wrapUp += ms
		}
		if ms > 0 && naiveBreak(h.State) {
			r.breakTime += ms
			if !onBreak {
				r.breaks++
			}
		}
		onBreak = naiveBreak(h.State) && (ms > 0 || onBreak)
	}
	for _, c := range n.calls {
		dir, reached, began := c.direction(), c.main != nil && (c.main.n("callResult") == 8 || c.main.n("callResult") == 21), int64(0)
		for _, p := range c.parties {
			if p.role() == "Customer" && p.has("call.established") > 0 {
				reached = true
			}
			ours := p.agent() == key && (p.role() == "" || p.role() == "Agent")
			if p.cdr != nil {
				if v, there := p.cdr.b["agentRole"]; there && v != int64(2) {
					ours = false
				}
				if v, there := p.cdr.b["dialType"]; there && (v.(int64) < 1 || v.(int64) > 3) {
					ours = false
				}
			}
			if !ours {
				continue
			}
			if at := p.has("call.dialing"); at > 0 && (began == 0 || at < began) {
				began = at
			}
			at, result := int64(0), int64(0)
			if len(p.events) > 0 {
				at = p.events[0].at
			}
			if p.cdr != nil {
				result = p.cdr.n("callResult")
				if s := p.cdr.n("startTime"); s > 0 && (at == 0 || s < at) {
					at = s
				}
			}
			if !today(at) {
				continue
			}
			answered := p.has("call.established") > 0 || result == 3
			if answered {
				r.talks++
				switch {
				case p.cdr != nil:
					r.talk += p.cdr.n("duration")
				case n.live(c) && !p.released():
					r.talk += max(0, n.now-p.has("call.established")) / 1000
				default:
					r.talk += max(0, n.end(c, p)-p.has("call.established")) / 1000
				}
			}
			gone := p.has("call.released") > 0 || p.cdr != nil || p.bot != nil || c.over()
			switch {
			case dir != 2:
			case answered:
				r.counters.InboundEstablished++
			case p.has("call.ringing") > 0 && gone, result == 1, result == 2:
				r.counters.InboundAbandoned++
			}
		}
		if c.main != nil && "u"+c.main.s("firstCallAgentUUID") == key && c.main.n("startTime") > 0 && (began == 0 || c.main.n("startTime") < began) {
			began = c.main.n("startTime")
		}
		if dir == 3 && today(began) {
			r.counters.Outbound++
			if reached {
				r.counters.OutboundEstablished++
			}
		}
	}
	for _, h := range n.chats {
		if n.chatState(h) == live.ChatOngoing && h.handler() == key {
			r.chats++
		}
	}
}

type naiveChat struct {
	events []tale // by time
	stays  []naiveStay
	latest int64
}

func (n *naiveBoards) readChats() {
	for _, e := range n.once(func(e *tale) string {
		if !strings.HasPrefix(e.typ, "chat.") {
			return ""
		}
		return fmt.Sprint(e.typ, " ", e.s("chatId"), " ", e.at)
	}) {
		id := e.s("chatId")
		if n.chats[id] == nil {
			n.chats[id] = &naiveChat{}
		}
		n.chats[id].events = append(n.chats[id].events, e)
		n.chats[id].latest = max(n.chats[id].latest, e.at)
	}
	for _, e := range n.told {
		if strings.HasPrefix(e.typ, "queue.") && e.s("media") == "chat" && n.chats[e.s("contactId")] == nil {
			n.chats[e.s("contactId")] = &naiveChat{}
		}
	}
	for id, c := range n.chats {
		c.stays = n.stays("chat", id)
	}
}

// first of a type; nil: none.
func (c *naiveChat) first(typ string) *tale {
	for i := range c.events {
		if c.events[i].typ == typ {
			return &c.events[i]
		}
	}
	return nil
}

func (c *naiveChat) accepts() (all []tale) {
	for _, e := range c.events {
		if e.typ == "chat.accepted" {
			all = append(all, e)
		}
	}
	return all
}

func accepter(e *tale) string {
	if e.s("handledBy") == "bot" {
		return "bot"
	}
	return "u" + e.s("agentUUID")
}

// handler of an ongoing chat: the one who accepted last.
func (c *naiveChat) handler() string {
	all := c.accepts()
	if len(all) == 0 {
		return ""
	}
	return accepter(&all[len(all)-1])
}

func (n *naiveBoards) chatState(c *naiveChat) live.ChatState {
	switch {
	case c.first("chat.ended") != nil, n.now-c.latest >= n.staleH:
		return live.ChatOver
	case c.first("chat.accepted") != nil:
		return live.ChatOngoing
	case c.first("chat.requested") != nil:
		return live.ChatWaiting
	}
	return live.ChatNone
}

func (c *naiveChat) department(at int64) (id string) {
	if r := c.first("chat.requested"); r != nil {
		id = r.s("departmentId")
	}
	for _, e := range c.events {
		if e.typ == "chat.transferred" && e.at <= at && e.s("toDepartmentId") != "" {
			id = e.s("toDepartmentId")
		}
	}
	return id
}

// seconds of a union of intervals, the plain way: by their borders.
func covered(all [][2]int64) (ms int64) {
	var borders []int64
	for _, i := range all {
		borders = append(borders, i[0], i[1])
	}
	slices.Sort(borders)
	for i := 1; i < len(borders); i++ {
		if slices.ContainsFunc(all, func(x [2]int64) bool { return x[0] <= borders[i-1] && x[1] >= borders[i] }) {
			ms += borders[i] - borders[i-1]
		}
	}
	return ms
}

// chatTimes of agents within a window.
func (n *naiveBoards) chatTimes(w live.Window) map[string]live.AgentChats {
	spells, all := map[string][][2]int64{}, map[string]live.AgentChats{}
	end := min(w.To, w.Now)
	for _, c := range n.chats {
		accepts := c.accepts()
		took := map[string]bool{}
		for i, a := range accepts {
			who := accepter(&a)
			if who == "bot" {
				continue
			}
			if a.at >= w.From && a.at < w.To && a.at <= w.Now {
				took[who] = true
			}
			to := n.now
			if n.now-c.latest >= n.staleH {
				to = c.latest
			}
			if e := c.first("chat.ended"); e != nil {
				to = e.at
			}
			for _, next := range accepts[i+1:] {
				if accepter(&next) != who {
					to = next.at
					break
				}
			}
			if from, to := max(a.at, w.From), min(to, end); from < to {
				spells[who] = append(spells[who], [2]int64{from, to})
			}
		}
		for who := range took {
			had := all[who]
			had.Accepted++
			all[who] = had
		}
	}
	for who, of := range spells {
		had := all[who]
		had.Time = covered(of)
		all[who] = had
	}
	return all
}

func naiveShare(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func (n *naiveBoards) day(w live.Window) (d live.ChatDay) {
	var waits, wait, talks, talk, replies, response, ratings, rating float64
	visitors := map[string]bool{}
	for _, c := range n.chats {
		asked := c.first("chat.requested")
		if asked == nil || asked.at < w.From || asked.at >= w.To || asked.at > w.Now {
			continue
		}
		d.Requests++
		if v, _ := asked.b["invited"].(bool); v {
			d.Invited++
		}
		accepts, ended := c.accepts(), c.first("chat.ended")
		byAgent := slices.ContainsFunc(accepts, func(e tale) bool { return e.s("handledBy") != "bot" })
		reason := ""
		if ended != nil {
			reason = ended.s("reason")
			replies += float64(ended.n("agentReplies"))
			response += float64(ended.n("agentResponseMs"))
		}
		switch reason {
		case "abandoned":
			d.Abandoned++
		case "switched_to_message":
			d.Switched++
		default:
			reason = ""
		}
		switch {
		case len(accepts) > 0:
			d.Total++
			waits++
			wait += max(0, float64(accepts[0].at-asked.at))
			if ended != nil {
				talks++
				talk += max(0, float64(ended.at-accepts[0].at))
			}
		case reason != "":
			waits++
			wait += max(0, float64(ended.at-asked.at))
		}
		if byAgent {
			d.Chats++
			if v := asked.s("visitorId"); v != "" {
				visitors[v] = true
			}
		} else if c.first("chat.missed") != nil {
			d.Missed++
		}
		var last *tale
		for i, e := range c.events {
			switch e.typ {
			case "chat.transferred":
				d.Transfers++
				if e.s("toDepartmentId") != "" {
					d.DepartmentTransfers++
				}
			case "chat.rated":
				last = &c.events[i]
			}
		}
		if last != nil && last.n("score") >= 1 && last.n("score") <= 5 {
			ratings++
			rating += float64(last.n("score"))
		}
	}
	d.AcceptanceRate, d.UniqueRate = naiveShare(float64(d.Chats), float64(d.Requests)), naiveShare(float64(len(visitors)), float64(d.Chats))
	d.WaitTime, d.ChatTime, d.ResponseTime = naiveShare(wait, 1000*waits), naiveShare(talk, 1000*talks), naiveShare(response, 1000*replies)
	d.Rating = naiveShare(rating, ratings)
	var online [][2]int64
	logged, chatting := int64(0), int64(0)
	end := min(w.To, w.Now)
	for key := range n.named() {
		for _, h := range n.history(key) {
			from, to := max(h.from, w.From), min(h.to, end)
			if from >= to {
				continue
			}
			if naiveLogged(h.State) {
				logged += to - from
			}
			if h.Login == 1 {
				online = append(online, [2]int64{from, to})
			}
		}
	}
	for _, had := range n.chatTimes(w) {
		chatting += had.Time
	}
	d.Accessibility = naiveShare(float64(covered(online)), float64(max(0, end-w.From)))
	d.Utilization = naiveShare(float64(chatting), float64(logged))
	return d
}

// halfUp is a mean of ms in whole units.
func halfUp(sum, n, unit int64) int64 {
	if n == 0 {
		return 0
	}
	return (2*sum + n*unit) / (2 * n * unit)
}
