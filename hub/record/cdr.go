package record

import (
	"cmp"

	"github.com/hookline/hookline/hub/event"
)

// Call is a main record: cdr.call or cdr.bot_call. Times are Unix ms, 0 when absent, as
// are codes.
type Call struct {
	Scope      Scope
	ID         string // callID
	Start, End int64
	Talk       int64 // s
	Total      int64 // s

	Type      int64 // callType
	Result    int64 // callResult
	Hangup    int64 // hangupDisposition
	Transfers int64
	Consults  int64
	DialType  string // mainDialType

	CustomerNumber string
	OtherNumber    string // screenNumber, else encryptCustomerNumber
	Gateway        string // gatewayNumber
	Route          string // firstRouteId
	FirstCalled    string // firstCallAgentUUID: the agent who was called first
	FirstAnswered  string // firstAgentUUID: the agent who answered first
	Departments    []string

	WantsHuman   *bool // inboundTransferedHumanAgent; nil when absent
	VirtualTalk  int64 // virtualAgentCallDuration, s
	AttachedData event.Value
}

// Customer returns the number that tells customers apart in reports; "": unknown.
func (c *Call) Customer() string { return cmp.Or(c.CustomerNumber, c.OtherNumber) }

// Ended returns when the call ended, or when it began if the record does not say.
func (c *Call) Ended() int64 { return cmp.Or(c.End, c.Start) }

func readCall(body []byte, scope Scope) *Call {
	c := &Call{Scope: scope}
	var (
		bridged            int64
		talk, total        *int64
		screen, ciphertext string
	)
	for name, v := range event.Members(body) {
		switch string(name) {
		case "callID":
			c.ID = text(v)
		case "startTime":
			c.Start = v.Time()
		case "bridgeTime":
			bridged = v.Time()
		case "endTime":
			c.End = v.Time()
		case "duration":
			talk = code(v)
		case "totalDuration":
			total = code(v)
		case "callType":
			c.Type = number(v, 0)
		case "callResult":
			c.Result = number(v, 0)
		case "hangupDisposition":
			c.Hangup = number(v, 0)
		case "transferCount":
			c.Transfers = number(v, 0)
		case "consultCount":
			c.Consults = number(v, 0)
		case "mainDialType":
			c.DialType = text(v)
		case "customerNumber":
			c.CustomerNumber = text(v)
		case "screenNumber":
			screen = text(v)
		case "encryptCustomerNumber":
			ciphertext = text(v)
		case "gatewayNumber":
			c.Gateway = text(v)
		case "firstRouteId":
			c.Route = text(v)
		case "firstCallAgentUUID":
			c.FirstCalled = text(v)
		case "firstAgentUUID":
			c.FirstAnswered = text(v)
		case "departmentId":
			c.Departments = departments(v)
		case "inboundTransferedHumanAgent":
			c.WantsHuman = nil
			if is, there := v.Bool(); there {
				c.WantsHuman = &is
			}
		case "virtualAgentCallDuration":
			c.VirtualTalk = number(v, 0)
		case "attachedData":
			c.AttachedData = v
		}
	}

	c.Talk = seconds(talk, bridged, c.End)
	c.Total = seconds(total, c.Start, c.End)
	c.OtherNumber = cmp.Or(screen, ciphertext)
	return c
}

// Party is a party record: cdr.party or cdr.bot_party. Times are Unix ms, 0 when absent,
// as are codes if nothing else is said.
type Party struct {
	Scope      Scope
	Call, ID   string // callID, partyId
	Start, End int64
	Talk       int64 // s
	Total      int64 // s

	Type   int64 // callType
	Dial   int64 // dialType; DefaultDialType when absent
	Role   int64 // agentRole; DefaultAgentRole when absent
	Result int64 // callResult

	UUID        string // agentUUID
	AgentID     string
	AgentName   string
	DN          string // agentDN
	PhoneType   int64
	Departments []string
}

// OfAgent reports whether the party is an agent, whatever its part in the call.
func (p *Party) OfAgent() bool { return p.Role == DefaultAgentRole }

// Answered reports whether an agent took the call.
func (p *Party) Answered() bool { return p.OfAgent() && p.Result == 3 }

// Key returns the key of its agent; "": it names none.
func (p *Party) Key() string { return AgentKey(p.UUID, p.AgentID) }

// Ended returns when the party ended, or when it began if the record does not say.
func (p *Party) Ended() int64 { return cmp.Or(p.End, p.Start) }

func readParty(body []byte, scope Scope) *Party {
	p := &Party{Scope: scope, Dial: DefaultDialType, Role: DefaultAgentRole}
	var (
		bridged     int64
		talk, total *int64
	)
	for name, v := range event.Members(body) {
		switch string(name) {
		case "callID":
			p.Call = text(v)
		case "partyId":
			p.ID = text(v)
		case "startTime":
			p.Start = v.Time()
		case "bridgeTime":
			bridged = v.Time()
		case "endTime":
			p.End = v.Time()
		case "duration":
			talk = code(v)
		case "totalDuration":
			total = code(v)
		case "callType":
			p.Type = number(v, 0)
		case "dialType":
			p.Dial = number(v, DefaultDialType)
		case "agentRole":
			p.Role = number(v, DefaultAgentRole)
		case "callResult":
			p.Result = number(v, 0)
		case "agentUUID":
			p.UUID = text(v)
		case "agentID":
			p.AgentID = text(v)
		case "agentName":
			p.AgentName = text(v)
		case "agentDN":
			p.DN = text(v)
		case "phoneType":
			p.PhoneType = number(v, 0)
		case "departmentId":
			p.Departments = departments(v)
		}
	}

	p.Talk = seconds(talk, bridged, p.End)
	p.Total = seconds(total, p.Start, p.End)
	return p
}

func departments(v event.Value) []string {
	ids := v.Departments()
	for i := range ids {
		ids[i] = Clean(ids[i])
	}
	return ids
}
