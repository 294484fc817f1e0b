package sink

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// orderKey returns what order holds within, read from the pushed body. The sink checks
// the hub, so it does not use the hub's way to find the key.
func orderKey(t event.Type, body []byte) string {
	switch t {
	case event.CDRCall:
		return join("cdr", text(body, "callID"))
	case event.CDRParty:
		return join("cdr", text(body, "callID"), text(body, "partyId"))
	case event.CDRBotCall:
		return join("bot", text(body, "callID"))
	case event.CDRBotParty:
		return join("bot", text(body, "callID"), text(body, "partyId"))
	case event.AgentStatus:
		return agentKey(body)
	case event.CallPartyError, event.CallAgentError:
		if id := text(body, "callID"); id != "" {
			return join("call", id)
		}
		return agentKey(body)
	case event.QueueEntered, event.QueueLeft:
		return join("queue", text(body, "contactId"))
	}

	switch {
	case t >= event.CallCreated && t <= event.CallPartyChanged:
		return join("call", text(body, "callID"))
	case t >= event.ChatRequested && t <= event.ChatRated:
		return join("chat", text(body, "chatId"))
	case t == event.VisitorArrived || t == event.VisitorLeft:
		return join("visitor", text(body, "visitorId"))
	}
	return "" // events of the hub about itself have no order
}

func agentKey(body []byte) string {
	if id := text(body, "agentUUID"); id != "" {
		return join("agent", id)
	}
	return join("agent", text(body, "agentID"))
}

func text(body []byte, field string) string {
	return strings.TrimSpace(gjson.GetBytes(body, field).String())
}

// join returns "" if a part is empty: a body without its id belongs to no order.
func join(parts ...string) string {
	if slices.Contains(parts, "") {
		return ""
	}
	return strings.Join(parts, "/")
}

// typeOf reads the type from messageID, for pushes without X-Hookline-Event.
func typeOf(body []byte) (event.Type, bool) {
	return event.ParseType(text(body, "messageID"))
}

// streamOf names the subscription of a push, because each has its own order. The hub's
// delivery ids name it. For other ids the callback URL stands for it.
func streamOf(id, uri string) string {
	if sub, _, _, err := delivery.ParseID(id); err == nil {
		return strconv.FormatInt(sub, 36)
	}
	return uri
}
