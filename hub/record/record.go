// Package record reads what the bodies of events say, once for all who make
// figures of it. It is the one home of the rules about a body: what an agent's key
// is, what an absent code means, how long a talk was, whom an event names. There is no
// clock, no SQL and no figure in it.
//
// # Rules that differ on purpose
//
// The readers of a body agree on its fields and not always on what follows from them.
// Each difference is asked for by a contract (live.md, indicators.md, vendor-apis.md,
// in the words of the line given):
//
//   - Whose party it is. The boards list an agent whom a party names with partyRole
//     other than Customer, VirtualAgent and ThirdPSTN, or with agentRole 2 or absent
//     (live.md, Who is an agent); Mentions. The counters of today count a party with
//     a record by the record alone, agentRole 2 and dialType 1, 2 or 3, and a party
//     without one if partyRole is Agent or absent (live.md, Counters of today);
//     live.Party. The agents of a call, for DeepCall, may have any dialType (live.md,
//     DeepCall). The agent and department reports take agentRole 2 with dialType 1,
//     2, 3 or 5 (indicators.md 5.2); report.Party. Who took a
//     call, for the filter of the talk lists, is agentRole 2 with callResult 3,
//     whatever the dialType (vendor-apis.md 1.4, S1 agentCount); Party.Answered.
//   - Records of bots. They name no agent on the boards (live.md, Who is an agent:
//     "Bot CDRs name nobody") and none in the agent reports (indicators.md 3.2), but
//     the talk lists find them by agent like all others (vendor-apis.md 1.4, S1 agent).
//   - Names of agents. The boards take the newest of every event that was ever stored,
//     replaced records too (live.md, Who is an agent); the reports only of records and
//     statuses that still hold (indicators.md 5.1, serviceNo: "current versions").
//   - The time of a record. On the boards a record names its agent at startTime, else at
//     endTime (live.md, Who is an agent); the reports ignore a record without startTime
//     (indicators.md 3.1).
//   - The length of a talk. Reports and boards round down, and an absent length is 0
//     (indicators.md 3.1); the talk lists of Sobot round up, as the vendor's records
//     do, and show null (vendor-apis.md 1.2). Only the first is here.
//   - The customer's number. For the reports it is customerNumber, else screenNumber,
//     else encryptCustomerNumber (indicators.md 6.1, customer(c)); Call.Customer. Boards and
//     filters take customerNumber alone (live.md, Current call; vendor-apis.md 1.4, S1).
//   - The agent who was first. Counters and boards go by firstCallAgentUUID, who was
//     called first (live.md, Counters of today); the department filter of the talk lists
//     by firstAgentUUID, who answered first (vendor-apis.md 1.4, S1 departmentId).
//   - The direction. A number in records, waits and statuses; a word or its number in
//     call.* events, where Consult is no direction (live.md, Calls and parties).
//
// The talk lists of the dialect sobot show the members of a body as they are, so they
// go through the body themselves and take their defaults from here.
package record

import (
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// Scope keeps the records of people and of bots apart, even with equal callIDs.
type Scope int64

// Scopes. The numbers are stored.
const (
	Telemarketing Scope = iota
	Bot
)

// What an absent code of a party record stands for (indicators.md 3.1).
const (
	DefaultDialType  = 1 // the first call of an agent
	DefaultAgentRole = 2 // an agent
)

// Open is the end, in Unix ms, of what still lasts.
const Open = 1<<63 - 1

// Record is an event and what its body says.
type Record struct {
	Event *event.Event
	// Says is a *Call, *Party, *Status, *CallEvent, *QueueEvent, *ChatEvent or *Visit;
	// nil when no figure follows from events of the type. Nobody changes it.
	Says any
}

// Read reads the body of an event, which the gate has let pass: fields that cannot be
// read count as absent.
func Read(e *event.Event) Record {
	r := Record{Event: e}
	switch t := e.Type; {
	case t == event.CDRCall:
		r.Says = readCall(e.Body, Telemarketing)
	case t == event.CDRBotCall:
		r.Says = readCall(e.Body, Bot)
	case t == event.CDRParty:
		r.Says = readParty(e.Body, Telemarketing)
	case t == event.CDRBotParty:
		r.Says = readParty(e.Body, Bot)
	case t == event.AgentStatus:
		r.Says = readStatus(e.Body)
	case t >= event.CallCreated && t <= event.CallAgentError:
		r.Says = readCallEvent(e)
	case t == event.QueueEntered, t == event.QueueLeft:
		r.Says = readQueueEvent(e)
	case t >= event.ChatRequested && t <= event.ChatRated:
		r.Says = readChatEvent(e)
	case t == event.VisitorArrived, t == event.VisitorLeft:
		r.Says = readVisit(e)
	}
	return r
}

// ReadAll reads the bodies of events, in their order.
func ReadAll(events []*event.Event) []Record {
	all := make([]Record, len(events))
	for i, e := range events {
		all[i] = Read(e)
	}
	return all
}

// CallID returns the callID of the call that the event says something of; "": it says
// nothing of a call.
func (r *Record) CallID() string {
	switch says := r.Says.(type) {
	case *Call:
		return says.ID
	case *Party:
		return says.Call
	case *CallEvent:
		return says.Call
	case *QueueEvent:
		if says.Media == "call" {
			return says.Contact
		}
	}
	return ""
}

// ChatID returns the chatId of the chat that the event says something of; "": it says
// nothing of a chat.
func (r *Record) ChatID() string {
	switch says := r.Says.(type) {
	case *ChatEvent:
		return says.Chat
	case *QueueEvent:
		if says.Media == "chat" {
			return says.Contact
		}
	}
	return ""
}

// Clean returns a text as records have it. PostgreSQL cannot store NUL, so it becomes
// U+FFFD here; ids that differ only in NUL are therefore the same id on every store.
func Clean(text string) string {
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}

// text of a member; "" when absent.
func text(v event.Value) string { return Clean(v.Text()) }

// number returns an integer, or otherwise when there is none.
func number(v event.Value, otherwise int64) int64 {
	if n, there := v.Int(); there {
		return n
	}
	return otherwise
}

// code returns an integer; nil: there is none.
func code(v event.Value) *int64 {
	if n, there := v.Int(); there {
		return &n
	}
	return nil
}

// seconds returns a length: the one that the record says, else the time from one
// instant to another, rounded down; 0: it has neither.
func seconds(says *int64, from, to int64) int64 {
	switch {
	case says != nil:
		return max(*says, 0)
	case from == 0 || to < from:
		return 0
	}
	return (to - from) / 1000
}
