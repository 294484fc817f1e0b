package record

import (
	"github.com/hookline/hookline/hub/event"
)

// Directions of a call, numbered as in records; 0: none.
const (
	Internal = 1
	Inbound  = 2
	Outbound = 3
)

// Direction returns callType if it is a direction, else 0.
func Direction(callType int64) int64 {
	if callType < Internal || callType > Outbound {
		return 0
	}
	return callType
}

// directionWord reads callType as call events spell it.
func directionWord(word string) int64 {
	switch word {
	case "Internal", "1":
		return Internal
	case "Inbound", "2":
		return Inbound
	case "Outbound", "3":
		return Outbound
	}
	return 0 // Consult, and what nobody knows
}

// CallEvent is a call.* event.
type CallEvent struct {
	Type      event.Type
	At        int64  // Unix ms, of the envelope
	Call      string // callID
	Party     string // partyID; "": the event names none
	Role      string // partyRole
	Direction int64
	ANI, DNIS string
	DN        string // thisDN
	DialType  string // mainDialType

	UUID, AgentID, AgentName string
}

// OfAgent reports whether the party may be an agent, by its role.
func (c *CallEvent) OfAgent() bool { return RoleOfAgent(c.Role) }

// RoleOfAgent reports whether a partyRole is one that agents have; "" is.
func RoleOfAgent(role string) bool {
	return role != "Customer" && role != "VirtualAgent" && role != "ThirdPSTN"
}

func readCallEvent(e *event.Event) *CallEvent {
	c := &CallEvent{Type: e.Type, At: e.OccurredAt}
	for name, v := range event.Members(e.Body) {
		switch string(name) {
		case "callID":
			c.Call = text(v)
		case "partyID":
			c.Party = text(v)
		case "partyRole":
			c.Role = text(v)
		case "callType":
			c.Direction = directionWord(v.Text())
		case "ANI":
			c.ANI = text(v)
		case "DNIS":
			c.DNIS = text(v)
		case "thisDN":
			c.DN = text(v)
		case "mainDialType":
			c.DialType = text(v)
		case "agentUUID":
			c.UUID = text(v)
		case "agentID":
			c.AgentID = text(v)
		case "agentName":
			c.AgentName = text(v)
		}
	}
	return c
}

// QueueEvent is a queue.entered or queue.left. Times are Unix ms. Its short names in JSON
// are those of the facts that the store keeps.
type QueueEvent struct {
	Contact    string `json:"-"` // callID or chatId
	Left       bool   `json:"x,omitempty"`
	At         int64  `json:"t"`
	Queue      string `json:"q"`
	Media      string `json:"m,omitempty"` // call, chat
	QueueName  string `json:"n,omitempty"`
	Department string `json:"d,omitempty"`
	Group      string `json:"g,omitempty"`
	Agent      string `json:"a,omitempty"` // agentUUID: routed to (entered), answered by (left)
	Strategy   string `json:"s,omitempty"`
	Campaign   string `json:"c,omitempty"`
	Gateway    string `json:"w,omitempty"` // the number that was called
	Customer   string `json:"u,omitempty"` // the customer's number
	Visitor    string `json:"v,omitempty"`
	Identity   string `json:"i,omitempty"` // contactIdentityId
	CallType   int64  `json:"y,omitempty"`
	Outcome    string `json:"o,omitempty"`
}

func readQueueEvent(e *event.Event) *QueueEvent {
	q := &QueueEvent{Left: e.Type == event.QueueLeft}
	for name, v := range event.Members(e.Body) {
		switch string(name) {
		case "contactId":
			q.Contact = text(v)
		case "enteredAt":
			if !q.Left {
				q.At = v.Time()
			}
		case "leftAt":
			if q.Left {
				q.At = v.Time()
			}
		case "queueId":
			q.Queue = text(v)
		case "media":
			q.Media = text(v)
		case "queueName":
			q.QueueName = text(v)
		case "departmentId":
			q.Department = text(v)
		case "groupId":
			q.Group = text(v)
		case "agentUUID":
			q.Agent = text(v)
		case "strategy":
			q.Strategy = text(v)
		case "campaignId":
			q.Campaign = text(v)
		case "gatewayNumber":
			q.Gateway = text(v)
		case "customerNumber":
			q.Customer = text(v)
		case "visitorId":
			q.Visitor = text(v)
		case "contactIdentityId":
			q.Identity = text(v)
		case "callType":
			q.CallType = number(v, 0)
		case "outcome":
			q.Outcome = text(v)
		}
	}
	return q
}

// ChatEvent is a chat.* event. Its short names in JSON are those of the facts that the
// store keeps.
type ChatEvent struct {
	Chat    string `json:"-"` // chatId
	ToAgent string `json:"-"` // toAgentUUID of chat.transferred

	Type         event.Type `json:"e"`
	At           int64      `json:"t"`           // Unix ms
	Agent        string     `json:"a,omitempty"` // agentUUID
	Bot          bool       `json:"b,omitempty"` // a bot accepted it
	ToDepartment string     `json:"o,omitempty"`
	Department   string     `json:"d,omitempty"` // of chat.requested, as are the next three
	Visitor      string     `json:"v,omitempty"`
	Identity     string     `json:"i,omitempty"` // contactIdentityId
	Invited      bool       `json:"n,omitempty"` // the visitor accepted an invitation
	Reason       string     `json:"r,omitempty"` // of chat.ended: abandoned, switched_to_message; else closed
	Replies      int64      `json:"p,omitempty"` // agentReplies
	ResponseMS   int64      `json:"m,omitempty"` // agentResponseMs
	Score        float64    `json:"s,omitempty"` // 1 to 5; 0: no score that counts
}

func readChatEvent(e *event.Event) *ChatEvent {
	c := &ChatEvent{Type: e.Type}
	for name, v := range event.Members(e.Body) {
		// Most fields belong to one type: on others the gate lets them pass, and they
		// mean nothing.
		switch string(name) {
		case "chatId":
			c.Chat = text(v)
		case "at":
			c.At = v.Time()
		case "agentUUID":
			c.Agent = text(v)
		case "toAgentUUID":
			c.ToAgent = text(v)
		case "handledBy":
			c.Bot = c.Type == event.ChatAccepted && v.Text() == "bot"
		case "toDepartmentId":
			c.ToDepartment = textOf(c, event.ChatTransferred, v)
		case "departmentId":
			c.Department = textOf(c, event.ChatRequested, v)
		case "visitorId":
			c.Visitor = textOf(c, event.ChatRequested, v)
		case "contactIdentityId":
			c.Identity = textOf(c, event.ChatRequested, v)
		case "invited":
			is, _ := v.Bool()
			c.Invited = is && c.Type == event.ChatRequested
		case "reason":
			c.Reason = textOf(c, event.ChatEnded, v)
		case "agentReplies":
			c.Replies = countOf(c, v)
		case "agentResponseMs":
			c.ResponseMS = countOf(c, v)
		case "score":
			c.Score = 0
			if score, there := v.Number(); there && score >= 1 && score <= 5 && c.Type == event.ChatRated {
				c.Score = score
			}
		}
	}
	return c
}

// textOf is a text if the event is of a type.
func textOf(c *ChatEvent, of event.Type, v event.Value) string {
	if c.Type != of {
		return ""
	}
	return text(v)
}

// countOf is a count of chat.ended.
func countOf(c *ChatEvent, v event.Value) int64 {
	if c.Type != event.ChatEnded {
		return 0
	}
	return max(number(v, 0), 0)
}

// Visit is a visitor.arrived or visitor.left.
type Visit struct {
	Visitor string
	At      int64 // Unix ms
	Arrived bool  // else the visitor left
}

func readVisit(e *event.Event) *Visit {
	s := &Visit{Arrived: e.Type == event.VisitorArrived}
	for name, v := range event.Members(e.Body) {
		switch string(name) {
		case "visitorId":
			s.Visitor = text(v)
		case "at":
			s.At = v.Time()
		}
	}
	return s
}
