package simulate

import (
	"encoding/json"
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

// statusBody is an Agent Status Callback.
type statusBody struct {
	CompanyID      string `json:"companyId"`
	MessageID      string `json:"messageID"`
	MsgType        string `json:"msgType"`
	CreationTime   int64  `json:"creationTime"`
	AgentUUID      string `json:"agentUUID"`
	AgentID        string `json:"agentID"`
	AgentName      string `json:"agentName"`
	LoginStatus    int    `json:"loginStatus"`
	NotReadyStatus int    `json:"notReadyStatus"`
	WorkStatus     int    `json:"workStatus"`
	StartTime      int64  `json:"startTime"`
	CallID         string `json:"callID,omitempty"`
	CallType       string `json:"callType,omitempty"`
	AttachedData   string `json:"attachedData,omitempty"`
	PartyID        string `json:"partyId,omitempty"`
	DialType       int    `json:"dialType,omitempty"`
}

// callBody is a Call Event. A text without a value is "". Fields of other events are
// left out.
type callBody struct {
	MessageID    string `json:"messageID"`
	ReferenceID  int64  `json:"referenceID"`
	CallID       string `json:"callID"`
	PartyID      string `json:"partyID"`
	CompanyID    string `json:"companyId"`
	PartyRole    string `json:"partyRole"`
	CreationTime int64  `json:"creationTime"`
	CallType     string `json:"callType"`
	ANI          string `json:"ANI"`
	DNIS         string `json:"DNIS"`
	ThisDN       string `json:"thisDN"`
	ThisDNRole   string `json:"thisDNRole"`
	OtherDN      string `json:"otherDN"`
	OtherDNRole  string `json:"otherDNRole"`
	ThirdDN      string `json:"thirdDN"`
	ThirdDNRole  string `json:"thirdDNRole"`
	AttachedData string `json:"attachedData"` // a text that holds JSON
	AgentUUID    string `json:"agentUUID,omitempty"`
	AgentID      string `json:"agentID,omitempty"`

	MainDialType      string   `json:"mainDialType,omitempty"`
	ThisQueue         string   `json:"thisQueue,omitempty"`
	ChangedKeys       []string `json:"changedKeys,omitempty"`
	DTMFDigits        string   `json:"dtmfDigits,omitempty"`
	DialType          int      `json:"dialType,omitempty"`
	HangupDisposition int      `json:"hangupDisposition,omitempty"`
	HangupCause       string   `json:"hangupCause,omitempty"`
	CallResult        int      `json:"callResult,omitempty"`
}

// queueBody is a Queue Event.
type queueBody struct {
	MessageID      string `json:"messageID"`
	CompanyID      string `json:"companyId"`
	CreationTime   int64  `json:"creationTime"`
	ContactID      string `json:"contactId"`
	Media          string `json:"media"`
	QueueID        string `json:"queueId"`
	QueueName      string `json:"queueName"`
	GroupID        string `json:"groupId"`
	EnteredAt      int64  `json:"enteredAt"`
	LeftAt         int64  `json:"leftAt,omitempty"`
	Outcome        string `json:"outcome,omitempty"`
	AgentUUID      string `json:"agentUUID,omitempty"`
	GatewayNumber  string `json:"gatewayNumber"`
	CustomerNumber string `json:"customerNumber"`
	CallType       int    `json:"callType"`
}

// attached is the custom data of a call.
type attached struct {
	CustomerName string `json:"customerName"`
	Intent       string `json:"intent"`
	Note         string `json:"note,omitempty"`
}

// attach sets the custom data of the call.
func (k *call) attach(intent, note string) {
	k.data = attached{k.who.name, intent, note}
	b, _ := json.Marshal(k.data) // cannot fail: it is three texts
	k.dataText = string(b)
}

// callBody makes the body of an event of p, or of the call as a whole if p is nil.
func (c *Centre) callBody(t event.Type, k *call, p *party) *callBody {
	b := &callBody{
		MessageID: t.MessageID(), CallID: k.id, CompanyID: c.company, CreationTime: c.now, CallType: k.word(),
		AttachedData: k.dataText, ANI: k.who.number, DNIS: k.gateway,
	}
	if !k.inbound {
		b.ANI, b.DNIS = b.DNIS, b.ANI
	}
	if p == nil {
		return b
	}

	b.PartyID = p.id
	b.PartyRole = p.partyRole()
	b.CallType = p.word
	b.ThisDN = p.dn()
	b.ThisDNRole = p.role
	if p.other != nil {
		b.OtherDN, b.OtherDNRole = p.other.dn(), opposite(p)
	} else {
		b.OtherDN, b.OtherDNRole = k.gateway, "Destination"
	}
	if p.word == "Consult" { // it is between extensions, without a number of the outside
		b.ANI, b.DNIS = "", ""
	}
	if p.agent != nil {
		b.AgentUUID, b.AgentID = p.agent.uuid, p.agent.id
	}
	return b
}

// opposite returns the role of the party that p talks with, as p sees it.
func opposite(p *party) string {
	if p.dialType == dialInquiry {
		return "Origination" // the other is the one who inquires
	}
	return p.other.role
}

// party emits an event of a party.
func (c *Centre) party(t event.Type, p *party) { c.emitCall(t, p.call, c.callBody(t, p.call, p)) }

// emitCall emits an event of a call.
func (c *Centre) emitCall(t event.Type, k *call, body any) {
	k.eventCount++
	c.emit(k.id+"-"+strconv.Itoa(k.eventCount), t, k.id, body)
}

func (c *Centre) queueEvent(t event.Type, k *call, outcome string, a *agent) {
	q := queues[k.queue]
	b := &queueBody{
		MessageID: t.MessageID(), CompanyID: c.company, CreationTime: c.now, ContactID: k.id, Media: "call",
		QueueID: q.id, QueueName: q.name, GroupID: q.group, EnteredAt: k.entered, Outcome: outcome,
		GatewayNumber: k.gateway, CustomerNumber: k.who.number, CallType: k.direction(),
	}
	if t == event.QueueLeft {
		b.LeftAt = c.now
	}
	if a != nil {
		b.AgentUUID = a.uuid
	}
	c.emitCall(t, k, b)
}
