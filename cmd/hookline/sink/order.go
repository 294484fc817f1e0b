package sink

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// orderKey is what order holds within, read from the pushed body. The hub has
// its own way to find it; the sink checks the hub, so it does not ask it.
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
	return "" // the hub about itself: no order
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

// join is "" when a part is: without its id a body belongs to no order.
func join(parts ...string) string {
	if slices.Contains(parts, "") {
		return ""
	}
	return strings.Join(parts, "/")
}

// typeOf reads the type from messageID, for pushes without our headers.
func typeOf(body []byte) (event.Type, bool) {
	return event.ParseType(text(body, "messageID"))
}

// stream tells the subscriptions that push to one sink apart: each has its own
// order. The hub's delivery ids name theirs; of other ids the callback URL must do.
func stream(id, uri string) string {
	if sub, _, _, err := delivery.ParseID(id); err == nil {
		return strconv.FormatInt(sub, 36)
	}
	return uri
}
