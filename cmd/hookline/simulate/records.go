package simulate

import (
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

// mainBody is a Main Customer Talk List with the fields of the vendor's table
// and those that only its examples have.
type mainBody struct {
	MessageID                 string   `json:"messageID"`
	CreationTime              int64    `json:"creationTime"`
	ReferenceID               int64    `json:"referenceID"`
	CallID                    string   `json:"callID"`
	CallType                  int      `json:"callType"`
	MainDialType              string   `json:"mainDialType"`
	ScreenNumber              string   `json:"screenNumber"`
	CustomerNumber            string   `json:"customerNumber"`
	EncryptCustomerNumber     string   `json:"encryptCustomerNumber"`
	AreaPrefix                string   `json:"areaPrefix"`
	AreaCode                  string   `json:"areaCode"`
	AreaProvince              string   `json:"areaProvince"`
	AreaCity                  string   `json:"areaCity"`
	CustomerID                string   `json:"customerId"`
	GatewayNumber             string   `json:"gatewayNumber"`
	StartTime                 int64    `json:"startTime"`
	AlertTime                 int64    `json:"alertTime"`
	AnswerTime                int64    `json:"answerTime"`
	BridgeTime                int64    `json:"bridgeTime"`
	EndTime                   int64    `json:"endTime"`
	AlertDuration             int64    `json:"alertDuration"`
	AccumAgentRingingDuration int64    `json:"accumAgentRingingDuration"`
	Duration                  int64    `json:"duration"`
	TotalDuration             int64    `json:"totalDuration"`
	CallResult                int      `json:"callResult"`
	EarlyDetectCause          string   `json:"earlyDetectCause"`
	ReasonOfNotAnswer         string   `json:"reasonOfNotAnswer"`
	HangupDisposition         int      `json:"hangupDisposition"`
	HangupCause               string   `json:"hangupCause"`
	AttachedData              attached `json:"attachedData"`
	RecordURL                 string   `json:"recordUrl"`
	PlatformID                string   `json:"platformId"`
	CompanyID                 string   `json:"companyId"`
	FeeSeconds                int64    `json:"feeSeconds"`
	FeeMinutes                int64    `json:"feeMinutes"`
	Fee                       float64  `json:"fee"`
	NumberType                int      `json:"numberType"`
	DepartmentID              string   `json:"departmentId"`
	ChargeDepartmentID        string   `json:"chargeDepartmentId"`
	FirstRouteID              string   `json:"firstRouteId"`
	FirstRouteName            string   `json:"firstRouteName"`
	BelongAgentUUID           string   `json:"belongAgentUUID"`
	BelongAgentID             string   `json:"belongAgentID"`
	BelongAgentName           string   `json:"belongAgentName"`
	BelongAgentDN             string   `json:"belongAgentDN"`
	BelongAgentPhoneType      string   `json:"belongAgentPhoneType"`
	BelongAgentPSTN           string   `json:"belongAgentPSTN"`
	TransferCount             int      `json:"transferCount"`
	ConsultCount              int      `json:"consultCount"`
	CallerNumber              string   `json:"callerNumber"`
	CallerAgentUUID           string   `json:"callerAgentUUID"`
	CallerDN                  string   `json:"callerDN"`
	CalleeNumber              string   `json:"calleeNumber"`
	CalleeAgentUUID           string   `json:"calleeAgentUUID"`
	CalleeDN                  string   `json:"calleeDN"`
	FirstCallAgentUUID        string   `json:"firstCallAgentUUID"`
	FirstCallAgentID          string   `json:"firstCallAgentID"`
	FirstCallAgentName        string   `json:"firstCallAgentName"`
	FirstAgentUUID            string   `json:"firstAgentUUID"`
	FirstAgentID              string   `json:"firstAgentID"`
	FirstAgentName            string   `json:"firstAgentName"`
	FirstAgentDN              string   `json:"firstAgentDN"`
	FirstAgentPhoneType       int      `json:"firstAgentPhoneType"`
	FirstAgentPstn            string   `json:"firstAgentPstn"`
	LastAgentUUID             string   `json:"lastAgentUUID"`
	LastAgentID               string   `json:"lastAgentID"`
	LastAgentName             string   `json:"lastAgentName"`
	LastAgentDN               string   `json:"lastAgentDN"`
	LastAgentPhoneType        int      `json:"lastAgentPhoneType"`
	LastAgentPstn             string   `json:"lastAgentPstn"`
	SourceType                int      `json:"sourceType"`
	SourceID                  string   `json:"sourceId"`
	SourceCode                string   `json:"sourceCode"`
	SourceRecordSubID         string   `json:"sourceRecordSubId"`
	SourceRecordSubCode       string   `json:"sourceRecordSubCode"`
	SourceRecordMainID        string   `json:"sourceRecordMainId"`
	SourceRecordMainCode      string   `json:"sourceRecordMainCode"`
}

// partyBody is a Sub Agent Talk List, also with all of these fields.
type partyBody struct {
	MessageID          string  `json:"messageID"`
	CreationTime       int64   `json:"creationTime"`
	ReferenceID        int64   `json:"referenceID"`
	CallID             string  `json:"callID"`
	PartyID            string  `json:"partyId"`
	CallType           int     `json:"callType"`
	DialType           int     `json:"dialType"`
	AgentRole          int     `json:"agentRole"`
	AgentType          int     `json:"agentType"`
	PhoneType          int     `json:"phoneType"`
	CallResult         int     `json:"callResult"`
	HangupDisposition  int     `json:"hangupDisposition"`
	CompanyID          string  `json:"companyId"`
	BelongAgentFlag    bool    `json:"belongAgentFlag"`
	LastAgentFlag      bool    `json:"lastAgentFlag"`
	AgentUUID          string  `json:"agentUUID"`
	AgentID            string  `json:"agentID"`
	AgentName          string  `json:"agentName"`
	AgentDN            string  `json:"agentDN"`
	DNIS               string  `json:"DNIS"`
	GatewayNumber      string  `json:"gatewayNumber"`
	StartTime          int64   `json:"startTime"`
	AlertTime          int64   `json:"alertTime"`
	AnswerTime         int64   `json:"answerTime"`
	BridgeTime         int64   `json:"bridgeTime"`
	EndTime            int64   `json:"endTime"`
	Duration           int64   `json:"duration"`
	TotalDuration      int64   `json:"totalDuration"`
	FeeSeconds         int64   `json:"feeSeconds"`
	FeeMinutes         int64   `json:"feeMinutes"`
	Fee                float64 `json:"fee"`
	NumberType         int     `json:"numberType"`
	PlatformID         string  `json:"platformId"`
	EarlyDetectCause   string  `json:"earlyDetectCause"`
	DepartmentID       string  `json:"departmentId"`
	ChargeDepartmentID string  `json:"chargeDepartmentId"`
	FromAgentUUID      string  `json:"fromAgentUUID"`
	FromAgentID        string  `json:"fromAgentID"`
	FromAgentName      string  `json:"fromAgentName"`
}

const (
	platformID = "p-sim-1"
	mobile     = 2 // numberType
	human      = 2 // agentRole
	byUUID     = 1 // agentType
)

// records sends the party CDRs and, a moment later, the main CDR.
func (c *Centre) records(k *call) {
	belongs := k.belongs()
	for _, p := range k.parties {
		c.emitCall(event.CDRParty, k, c.partyRecord(p, p == belongs))
	}
	c.after(c.between(0.02, 0.2), func() { c.emitCall(event.CDRCall, k, c.mainRecord(k, belongs)) })
}

// belongs returns the party whose agent the call is counted for. That is the last
// agent who talked with the customer, or, if the customer did not answer, the agent
// who called. It is nil for an inbound call that no agent answered.
func (k *call) belongs() *party {
	if k.answered || !k.inbound {
		return k.host
	}
	return nil
}

func (c *Centre) partyRecord(p *party, belongs bool) *partyBody {
	a := p.agent
	b := &partyBody{
		MessageID: event.CDRParty.MessageID(), CreationTime: c.now, CompanyID: c.company, PlatformID: platformID,
		CallID: p.call.id, PartyID: p.id, CallType: p.call.direction(), DialType: p.dialType,
		CallResult: p.result, HangupDisposition: p.hangup, EarlyDetectCause: "0",

		AgentRole: human, AgentType: byUUID, AgentUUID: a.uuid, AgentID: a.id, AgentName: a.name, AgentDN: a.dn,
		PhoneType: a.phoneType, DNIS: a.pstn, NumberType: mobile,
		DepartmentID: a.department, ChargeDepartmentID: a.department,
		BelongAgentFlag: belongs, LastAgentFlag: belongs,

		StartTime: p.start, AlertTime: p.alert, AnswerTime: p.answer, BridgeTime: p.answer, EndTime: p.end,
		TotalDuration: seconds(p.start, p.end), Duration: seconds(p.answer, p.end), FeeSeconds: seconds(p.answer, p.end),
	}
	if a.pstn != "" {
		b.GatewayNumber = p.call.gateway
	}
	b.FeeMinutes, b.Fee = fee(b.FeeSeconds)
	if f := p.from; f != nil {
		b.FromAgentUUID, b.FromAgentID, b.FromAgentName = f.uuid, f.id, f.name
	}
	return b
}

func (c *Centre) mainRecord(k *call, belongs *party) *mainBody {
	q := queues[k.queue]
	cust := k.customer
	b := &mainBody{
		MessageID: event.CDRCall.MessageID(), CreationTime: c.now, CompanyID: c.company, PlatformID: platformID,
		CallID: k.id, CallType: k.direction(), MainDialType: k.dialType, GatewayNumber: k.gateway, AttachedData: k.data,
		CallResult: k.result, ReasonOfNotAnswer: k.reason, HangupDisposition: k.hangup, HangupCause: k.cause,
		EarlyDetectCause: "0", TransferCount: k.transfers, ConsultCount: k.inquiries,

		CustomerID: k.who.id, ScreenNumber: k.who.number, CustomerNumber: k.who.number, NumberType: mobile,
		AreaPrefix: "0", AreaCode: k.who.area, AreaProvince: k.who.province, AreaCity: k.who.city,

		StartTime: k.started, AlertTime: cust.alert, AnswerTime: cust.answer, BridgeTime: cust.answer, EndTime: k.ended,
		TotalDuration: seconds(k.started, k.ended), Duration: seconds(cust.answer, k.ended),
		FeeSeconds: seconds(cust.answer, k.ended),
	}
	b.FeeMinutes, b.Fee = fee(b.FeeSeconds)

	switch {
	case cust.alert == 0:
	case cust.answer != 0:
		b.AlertDuration = seconds(cust.alert, cust.answer)
	default:
		b.AlertDuration = seconds(cust.alert, k.ended)
	}
	b.AccumAgentRingingDuration = k.ringing()
	if k.answered {
		b.RecordURL = "https://recordings.example.com/" + k.id + ".mp3"
	}

	// Caller and callee. The callee of an inbound call is the first agent who answered.
	var first *agent
	for _, p := range k.parties {
		if p.answer != 0 && p.dialType != dialInquiry {
			first = p.agent
			break
		}
	}
	if k.inbound {
		b.FirstRouteID, b.FirstRouteName = "r-"+q.id, q.name
		b.CallerNumber, b.CalleeNumber = k.who.number, k.gateway
		if first != nil {
			b.CalleeAgentUUID, b.CalleeDN = first.uuid, first.dn
		}
	} else {
		caller := k.parties[0].agent
		b.CallerNumber, b.CallerAgentUUID, b.CallerDN = k.gateway, caller.uuid, caller.dn
		b.CalleeNumber = k.who.number
	}

	// The agents who are named: the first whom it rang, the first who answered, the one
	// it belongs to, and the last who answered.
	if len(k.parties) > 0 {
		a := k.parties[0].agent
		b.FirstCallAgentUUID, b.FirstCallAgentID, b.FirstCallAgentName = a.uuid, a.id, a.name
		b.DepartmentID, b.ChargeDepartmentID = a.department, a.department
	}
	if first != nil {
		b.FirstAgentUUID, b.FirstAgentID, b.FirstAgentName, b.FirstAgentDN = first.uuid, first.id, first.name, first.dn
		b.FirstAgentPhoneType, b.FirstAgentPstn = first.phoneType, first.pstn
	}
	if belongs != nil {
		a := belongs.agent
		b.BelongAgentUUID, b.BelongAgentID, b.BelongAgentName, b.BelongAgentDN = a.uuid, a.id, a.name, a.dn
		b.BelongAgentPhoneType, b.BelongAgentPSTN = strconv.Itoa(a.phoneType), a.pstn
		if belongs.answer != 0 {
			b.LastAgentUUID, b.LastAgentID, b.LastAgentName, b.LastAgentDN = a.uuid, a.id, a.name, a.dn
			b.LastAgentPhoneType, b.LastAgentPstn = a.phoneType, a.pstn
		}
	}
	return b
}

// ringing returns how long agents' phones rang for this call, in seconds.
func (k *call) ringing() int64 {
	var ms int64
	for _, p := range k.parties {
		switch {
		case p.role == "Origination": // this agent called, so no phone rang
		case p.answer != 0:
			ms += p.answer - p.alert
		default:
			ms += p.end - p.alert
		}
	}
	return seconds(1, 1+ms)
}

// seconds returns the seconds between two times in ms, rounded up as the platform
// does; 0 if there was no beginning.
func seconds(from, to int64) int64 {
	if from == 0 {
		return 0
	}
	return (to - from + 999) / 1000
}

// fee returns the minutes begun, and 12 cents for each of them.
func fee(seconds int64) (minutes int64, amount float64) {
	minutes = (seconds + 59) / 60
	return minutes, float64(minutes*12) / 100
}
