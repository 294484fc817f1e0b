package event

import (
	"fmt"
	"strings"
)

// Type is the type of an event. The numbers are stored: never reuse or renumber one.
type Type uint8

// The types of the contract.
const (
	CDRCall Type = iota + 1
	CDRParty
	CDRBotCall
	CDRBotParty
	AgentStatus
	CallCreated
	CallDeleted
	CallRinging
	CallDialing
	CallEstablished
	CallReleased
	CallHeld
	CallRetrieved
	CallAttachedDataChanged
	CallDTMFSent
	CallPartyAdded
	CallPartyDeleted
	CallPartyChanged
	CallPartyError
	CallAgentError
	QueueEntered
	QueueLeft
	ChatRequested
	ChatAccepted
	ChatTransferred
	ChatMissed
	ChatEnded
	ChatRated
	VisitorArrived
	VisitorLeft
	SubscriptionPaused
	SubscriptionResumed
	DeliveryExhausted
	Test
	LimitWarning
	SourceRejecting
	SourceSilent
	end // one past the last
)

// Class decides how the deliveries of an event are retried, and when they expire.
type Class uint8

// An event of class CDR is a record, which is retried for days; a live one is worth
// nothing after minutes.
const (
	Live Class = iota
	CDR
)

func (c Class) String() string {
	if c == CDR {
		return "cdr"
	}
	return "live"
}

// names[t] is the type's name and the messageID of its pushed body.
var names = [end]struct{ name, messageID string }{
	CDRCall:                 {"cdr.call", "MainCDRInfo"},
	CDRParty:                {"cdr.party", "PartyCDRInfo"},
	CDRBotCall:              {"cdr.bot_call", "MainBotCDRInfo"},
	CDRBotParty:             {"cdr.bot_party", "PartyBotCDRInfo"},
	AgentStatus:             {"agent.status", "AgentHistoryLogES"},
	CallCreated:             {"call.created", "EventCallCreated"},
	CallDeleted:             {"call.deleted", "EventCallDeleted"},
	CallRinging:             {"call.ringing", "EventRinging"},
	CallDialing:             {"call.dialing", "EventDialing"},
	CallEstablished:         {"call.established", "EventEstablished"},
	CallReleased:            {"call.released", "EventReleased"},
	CallHeld:                {"call.held", "EventHeld"},
	CallRetrieved:           {"call.retrieved", "EventRetrieved"},
	CallAttachedDataChanged: {"call.attached_data_changed", "EventAttachedDataChanged"},
	CallDTMFSent:            {"call.dtmf_sent", "EventDtmfSent"},
	CallPartyAdded:          {"call.party_added", "EventPartyAdded"},
	CallPartyDeleted:        {"call.party_deleted", "EventPartyDeleted"},
	CallPartyChanged:        {"call.party_changed", "EventPartyChanged"},
	CallPartyError:          {"call.party_error", "EventPartyError"},
	CallAgentError:          {"call.agent_error", "EventAgentError"},
	QueueEntered:            {"queue.entered", "EventQueueEntered"},
	QueueLeft:               {"queue.left", "EventQueueLeft"},
	ChatRequested:           {"chat.requested", "EventChatRequested"},
	ChatAccepted:            {"chat.accepted", "EventChatAccepted"},
	ChatTransferred:         {"chat.transferred", "EventChatTransferred"},
	ChatMissed:              {"chat.missed", "EventChatMissed"},
	ChatEnded:               {"chat.ended", "EventChatEnded"},
	ChatRated:               {"chat.rated", "EventChatRated"},
	VisitorArrived:          {"visitor.arrived", "EventVisitorArrived"},
	VisitorLeft:             {"visitor.left", "EventVisitorLeft"},
	SubscriptionPaused:      {"subscription.paused", "EventSubscriptionPaused"},
	SubscriptionResumed:     {"subscription.resumed", "EventSubscriptionResumed"},
	DeliveryExhausted:       {"delivery.exhausted", "EventDeliveryExhausted"},
	Test:                    {"hub.test", "EventTest"},
	LimitWarning:            {"limit.warning", "EventLimitWarning"},
	SourceRejecting:         {"source.rejecting", "EventSourceRejecting"},
	SourceSilent:            {"source.silent", "EventSourceSilent"},
}

var byName = func() map[string]Type {
	m := make(map[string]Type, 2*len(names))
	for t, n := range names {
		if n.name != "" {
			m[n.name], m[n.messageID] = Type(t), Type(t)
		}
	}
	return m
}()

// ParseType reads a type's name ("call.ringing") or its messageID ("EventRinging").
func ParseType(s string) (Type, bool) {
	t, ok := byName[s]
	return t, ok
}

// Types lists every type in the order of the contract.
func Types() []Type {
	ts := make([]Type, 0, end-1)
	for t := Type(1); t < end; t++ {
		ts = append(ts, t)
	}
	return ts
}

func (t Type) String() string {
	if t == 0 || t >= end {
		return fmt.Sprintf("type(%d)", uint8(t))
	}
	return names[t].name
}

// MessageID returns the value of messageID in the pushed body.
func (t Type) MessageID() string { return names[t].messageID }

// Class returns the class of the type, which decides its retry schedule.
func (t Type) Class() Class {
	if t <= CDRBotParty {
		return CDR
	}
	return Live
}

// Internal reports whether only the hub itself makes events of the type; senders may not.
func (t Type) Internal() bool { return t >= SubscriptionPaused && t < end }

// Mask is a set of types.
type Mask uint64

// Of returns the set of some types.
func Of(ts ...Type) Mask {
	var m Mask
	for _, t := range ts {
		m |= 1 << t
	}
	return m
}

// Has reports whether t is in the set.
func (m Mask) Has(t Type) bool { return m&(1<<t) != 0 }

// ParseMask reads names with wildcards ("cdr.*", "*"). The second result is the first
// name that matches no type, if any. "*" leaves out hub.test, which only a test push
// sends, and what a subscription must name: limit.warning, source.rejecting,
// source.silent.
func ParseMask(patterns []string) (Mask, string) {
	var m Mask
	for _, p := range patterns {
		before := m
		switch {
		case p == "*":
			m |= (1<<end - 2) &^ Of(Test, LimitWarning, SourceRejecting, SourceSilent)
		case strings.HasSuffix(p, ".*"):
			found := false
			for t := Type(1); t < end; t++ {
				if strings.HasPrefix(names[t].name, p[:len(p)-1]) {
					m, found = m|1<<t, true
				}
			}
			if !found {
				return before, p
			}
		default:
			t, ok := byName[p]
			if !ok {
				return before, p
			}
			m |= 1 << t
		}
	}
	return m, ""
}
