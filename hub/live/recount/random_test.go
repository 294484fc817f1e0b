package recount

import (
	"fmt"
	"maps"
	"math/rand/v2"

	"github.com/hookline/hookline/hub/directory"
)

const (
	second = 1000
	hour   = 3600 * second
	noon   = 1_700_020_800_000 // 2023-11-15 12:00 in Singapore

	groupName          = "Sales" // of the group g0
	unlistedDepartment = "d2"    // events name it, the directory does not
)

// numberOf returns the agentID that the directory has for an agentUUID.
func numberOf(uuid string) string { return "9" + uuid }

// newRecount returns a tenant that has sent nothing yet. The directory has some of
// the agents and queues that events will name, and an agent that none does.
func newRecount() *recount {
	return &recount{
		agents: map[string]listedAgent{
			"a0": {[]string{"d0"}, []string{"q0", "q1"}, 3, true},
			"a1": {nil, []string{"q0", "q1", "q2"}, 1, false},
			"a2": {[]string{"d1"}, []string{"q2"}, -1, true},
			"a5": {nil, nil, 2, true},
		},
		queues:      map[string]listedQueue{"q0": {"call", "g0", "Round Robin"}, "q3": {"", "g1", ""}},
		departments: []string{"d0", "d1"},
		staleCall:   12 * hour,
		staleChat:   24 * hour,
	}
}

// book returns the directory as the hub has it.
func (r *recount) book() *directory.Book {
	var changes []directory.Change
	add := func(o directory.Object) {
		version := int64(len(changes) + 1)
		changes = append(changes, directory.Change{Tenant: tenant, Version: version, Kind: o.Kind(), Key: o.Key(), Object: o})
	}
	for uuid, agent := range r.agents {
		client := "Android"
		if agent.web {
			client = "Web"
		}
		add(&directory.Agent{
			AgentUUID: uuid, AgentID: numberOf(uuid), DepartmentIDs: agent.departments, QueueIDs: agent.queues,
			MaxConcurrentChats: int(agent.maxChats), ClientType: client,
		})
	}
	for id, queue := range r.queues {
		add(&directory.Queue{QueueID: id, Media: queue.media, GroupID: queue.group, Strategy: queue.strategy})
	}
	for _, id := range r.departments {
		add(&directory.Department{DepartmentID: id})
	}
	add(&directory.Group{GroupID: "g0", Name: groupName})

	book := &directory.Book{}
	book.Apply(changes)
	return book
}

// random makes events. Ids and times are few, so that they meet.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 1))} }

func (g random) oneOf(texts ...string) string { return texts[g.IntN(len(texts))] }

func (g random) number(of ...int64) int64 { return of[g.IntN(len(of))] }

// often reports true two times of three.
func (g random) often() bool { return g.IntN(3) > 0 }

// maybe sets a field two times of three.
func (g random) maybe(e *entry, name string, value any) {
	if g.often() {
		e.body[name] = value
	}
}

// time returns a time of the last three hours, now and then an older or a later one.
func (g random) time() int64 {
	at := noon - g.Int64N(3*hour)
	switch g.IntN(10) {
	case 0:
		at = noon - g.Int64N(30*hour)
	case 1:
		at = noon + g.Int64N(hour)
	}
	return at - at%250
}

// entry makes an event.
func (g random) entry() entry {
	e := entry{at: g.time(), body: map[string]any{}}
	switch g.IntN(14) {
	case 0, 1:
		g.status(&e)
	case 2, 3, 4, 5, 6:
		g.callEvent(&e)
	case 7:
		g.partyRecord(&e)
	case 8:
		if g.IntN(2) == 0 {
			return g.entry() // a main record ends its call: with more of them all calls would be over
		}
		g.otherRecord(&e)
	case 9, 10:
		g.queueEvent(&e)
	case 11, 12:
		g.chatEvent(&e)
	default:
		e.typ = g.oneOf("visitor.arrived", "visitor.left")
		e.body["visitorId"] = fmt.Sprint("v", g.IntN(5))
		e.body["at"] = e.at
	}
	return e
}

// someAgent names an agent, by UUID or by number.
func (g random) someAgent(e *entry) {
	if agent := g.oneOf("a0", "a1", "a2", "a3", "7"); agent == "7" {
		e.body["agentID"] = agent
	} else {
		e.body["agentUUID"] = agent
	}
}

func (g random) status(e *entry) {
	e.typ = "agent.status"
	g.someAgent(e)
	if e.text("agentUUID") == "a3" { // who sends no statuses: its row follows from its calls
		e.body["agentUUID"] = "a0"
	}
	e.body["startTime"] = e.at
	g.maybe(e, "creationTime", e.at+g.Int64N(3))
	g.maybe(e, "loginStatus", g.number(0, 1, 1, 2, 98))
	g.maybe(e, "notReadyStatus", g.number(0, 1, 11, 12))
	g.maybe(e, "workStatus", g.number(0, 1, 1, 4, 5, 6, 7, 8))
	if g.IntN(3) == 0 {
		e.body["callID"] = fmt.Sprint("c", g.IntN(6))
		e.body["callType"] = 1 + g.Int64N(3)
	}
}

func (g random) callEvent(e *entry) {
	call := g.IntN(6)
	e.typ = "call." + g.oneOf("ringing", "dialing", "established", "established", "released", "held", "retrieved",
		"created", "dtmf_sent")
	if g.IntN(30) == 0 {
		e.typ = "call.deleted"
	}
	e.body["callID"] = fmt.Sprint("c", call)
	g.maybe(e, "callType", g.oneOf("Inbound", "Outbound", "Inbound", "Internal", "Consult"))
	g.maybe(e, "ANI", fmt.Sprint("13", call))
	g.maybe(e, "DNIS", fmt.Sprint("010", call))
	g.party(e, call)
}

// party says of whom a call's event speaks. Each party of a call has the same
// agent all along: p0 is the customer, p1 and p2 are agents, and a third agent has
// no party with an id.
func (g random) party(e *entry, call int) {
	const customer, unnumbered = 0, 3
	who := g.IntN(4)
	uuid := fmt.Sprint("a", (call+who)%4)
	switch {
	case who == customer:
		e.body["partyID"] = "p0"
		e.body["partyRole"] = "Customer"
		return
	case who == unnumbered && g.IntN(2) == 0:
		return // of the call only
	case who == unnumbered:
		e.body["agentUUID"] = uuid
	case g.IntN(6) == 0: // only the agent says whose event it is
		e.body["agentUUID"] = uuid
		return
	default:
		e.body["agentUUID"] = uuid
		e.body["thisDN"] = "dn" + uuid
		e.body["partyID"] = fmt.Sprint("p", who)
	}
	g.maybe(e, "partyRole", g.oneOf("Agent", "Agent", "Agent", "Supervisor"))
}

func (g random) partyRecord(e *entry) {
	e.typ = "cdr.party"
	e.body["callID"] = fmt.Sprint("c", g.IntN(6))
	e.body["partyId"] = fmt.Sprint("p", g.IntN(3))
	e.body["startTime"] = e.at
	e.body["endTime"] = e.at + g.Int64N(100)*second
	e.body["duration"] = g.Int64N(50)
	g.maybe(e, "callType", 1+g.Int64N(3))
	g.maybe(e, "callResult", 1+g.Int64N(3))
	if g.IntN(3) == 0 {
		e.body["agentRole"] = g.number(2, 4)
		e.body["dialType"] = 1 + g.Int64N(4)
	}
	if g.IntN(2) == 0 {
		g.someAgent(e)
	}
}

func (g random) otherRecord(e *entry) {
	e.typ = "cdr." + g.oneOf("call", "call", "call", "bot_call", "bot_party")
	e.body["callID"] = fmt.Sprint("c", g.IntN(6))
	e.body["startTime"] = e.at
	g.maybe(e, "endTime", e.at+g.Int64N(100)*second)
	switch e.typ {
	case "cdr.bot_party":
		e.body["partyId"] = fmt.Sprint("p", g.IntN(3))
	case "cdr.call":
		g.maybe(e, "callType", 1+g.Int64N(3))
		g.maybe(e, "callResult", g.number(1, 2, 3, 8, 21))
		g.maybe(e, "firstCallAgentUUID", g.oneOf("a0", "a1", "a3"))
		g.maybe(e, "customerNumber", "137")
		g.maybe(e, "gatewayNumber", "400")
	}
}

func (g random) queueEvent(e *entry) {
	e.body["media"] = "call"
	e.body["contactId"] = fmt.Sprint("c", g.IntN(6))
	if g.IntN(3) == 0 {
		e.body["media"] = "chat"
		e.body["contactId"] = fmt.Sprint("h", g.IntN(8))
	}
	e.body["queueId"] = fmt.Sprint("q", g.IntN(5))

	if g.IntN(5) > 1 {
		e.typ = "queue.entered"
		e.body["enteredAt"] = e.at
		g.maybe(e, "groupId", g.oneOf("g0", "g9"))
		g.maybe(e, "strategy", g.oneOf("Least Recent", "Round Robin"))
		g.maybe(e, "campaignId", g.oneOf("k1", "k2"))
		g.maybe(e, "gatewayNumber", g.oneOf("400", "401"))
		g.maybe(e, "callType", 1+g.Int64N(3))
		g.maybe(e, "customerNumber", "139")
	} else {
		e.typ = "queue.left"
		e.body["leftAt"] = e.at
		g.maybe(e, "outcome", g.oneOf("answered", "abandoned"))
	}
	if g.IntN(3) == 0 {
		e.body["agentUUID"] = g.oneOf("a0", "a3")
	}
}

func (g random) chatEvent(e *entry) {
	e.typ = "chat." + g.oneOf("requested", "requested", "accepted", "accepted", "transferred", "missed", "ended", "rated")
	e.body["chatId"] = fmt.Sprint("h", g.IntN(8))
	e.body["at"] = e.at
	switch e.typ {
	case "chat.requested":
		e.body["departmentId"] = g.oneOf("d0", "d1", unlistedDepartment, "")
		e.body["visitorId"] = g.oneOf("v0", "v1", "")
		e.body["contactIdentityId"] = "ci"
		e.body["invited"] = g.IntN(2) == 0
	case "chat.accepted":
		e.body["handledBy"] = g.oneOf("agent", "agent", "bot", "")
		e.body["agentUUID"] = g.oneOf("a0", "a1", "a3")
	case "chat.transferred":
		if g.IntN(2) == 0 {
			e.body["toAgentUUID"] = "a1"
		} else {
			e.body["toDepartmentId"] = "d1"
		}
	case "chat.missed":
		e.body["agentUUID"] = g.oneOf("a0", "a1")
	case "chat.ended":
		e.body["reason"] = g.oneOf("closed", "abandoned", "switched_to_message", "")
		e.body["agentReplies"] = g.Int64N(5)
		e.body["agentResponseMs"] = g.Int64N(9000)
	case "chat.rated":
		e.body["score"] = g.Int64N(7)
	}
}

// timeFields are the fields of bodies that say when.
var timeFields = []string{"startTime", "at", "enteredAt", "leftAt", "creationTime"}

// corrections are what a repeated event says instead, in the fields that it has.
var corrections = map[string]any{
	"departmentId": "d1", "handledBy": "agent", "reason": "abandoned", "groupId": "g0",
	"score": int64(3), "workStatus": int64(7), "callResult": int64(3),
}

// repeated returns an event that was sent before: the same, or at another time, or
// with another body.
func (g random) repeated(e entry) entry {
	e.body = maps.Clone(e.body)
	switch g.IntN(4) {
	case 0:
		shift := (g.Int64N(9) - 4) * 250
		e.at += shift
		for _, name := range timeFields {
			if e.has(name) {
				e.body[name] = e.number(name) + shift
			}
		}
	case 1:
		for name, value := range corrections {
			if e.has(name) {
				e.body[name] = value
			}
		}
	}
	return e
}
