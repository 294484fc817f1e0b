package report

import (
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// Flags are what indicators ask of a record, decided once, when it is folded.
type Flags uint32

// Flags of main and party records.
const (
	In       Flags = 1 << iota // direction 2; neither In nor Out: no report shows it
	Out                        // direction 3
	Taken                      // main: a stage after the platform took the call (4, 5, 6, 7, 8, 21)
	Sought                     // main: an agent was looked for or called (4, 6)
	Reached                    // the customer answered (8, 21); party: the main record says so
	Human                      // main: it wanted a human agent, by its own word
	NotHuman                   // main: it did not, by its own word
	Virtual                    // main: a virtual agent talked

	Offered   // main: an agent who faces the customer was called
	Rang      // main: the phone of one rang; party: its phone rang (2, 3)
	Took      // main: one answered; party: it answered (3)
	OtherTook // main: a third party, bot or system answered
	FirstHere // main: its first leg that was called is an agent
	FirstAway // main: it is a third party's number

	Direct   // party: dialType 1
	Transfer // party: dialType 2
	Inquiry  // party: dialType 3
	TakeAway // party: dialType 5
	Sole     // party: of its call no other counts as placed, so the call need not be told apart

	// Flags of a state of an agent.
	Online
	Busy
	Locked
	Logins  // not logged in before, logged in now
	Logouts // logged in before, not now
	Readies // online and ready now, not both before
)

// Flags that depend on settings, given when a report is made.
const (
	Long     Flags = 1 << (iota + 26) // talk of at least xsSeconds
	ToAgent                           // route kinds
	ToThird                           //
	ToMemory                          //
	InA                               // reason sets
	InB                               //
)

// Scope of records: telemarketing and bot never mix.
type Scope int64

// Scopes.
const (
	Telemarketing Scope = 0
	Bot           Scope = 1
)

// Call is a main record as reports see it.
type Call struct {
	ID    string
	Start int64 // Unix ms; 0: it has none, and is ignored everywhere
	Type  int64 // callType: 1 internal, 2 inbound, 3 outbound; 0: absent
	Flags Flags // its own, without those of its legs
	Talk  int64 // s
	Total int64 // s

	Gateway  string
	Route    string // firstRouteId
	Customer string
}

// Party is a party record as reports see it. Those who are no agents have neither
// Agent nor what is said of one.
type Party struct {
	Call, ID    string
	Start       int64 // Unix ms; 0: it has none
	Type        int64 // callType; 0: it has none of 1, 2, 3
	Dial        int64 // dialType, 1 when absent
	Role        int64 // agentRole, 2 when absent
	Result      int64 // callResult, 0 when absent
	Talk, Total int64 // s
	Agent       string
	Number      string // agentID
	Name        string // agentName
	Departments string // departmentId: a|b, each once
}

// Status is a change of an agent's state. Of several with one start the one with
// the greatest Created counts, then the last to arrive.
type Status struct {
	Agent               string
	Start, Created      int64  // Unix ms
	Login, Reason, Work *int64 // nil: it keeps its value
	Number, Name        string
}

// AgentKey tells agents apart: by agentUUID, or, without one, by work number. A
// work number is never guessed to be that of some UUID. "": nobody is named.
func AgentKey(uuid, number string) string {
	switch {
	case uuid != "":
		return "u" + uuid
	case number != "":
		return "i" + number
	}
	return ""
}

// splitKey is the inverse of AgentKey.
func splitKey(key string) (uuid, number string) {
	if uuid, is := strings.CutPrefix(key, "u"); is {
		return uuid, ""
	}
	return "", strings.TrimPrefix(key, "i")
}

// body is that of an event, by the names of its members.
type body map[string]event.Value

func read(raw []byte) body {
	b := body{}
	for name, v := range event.Members(raw) {
		b[string(name)] = v
	}
	return b
}

func (b body) value(names ...string) event.Value {
	for _, n := range names {
		if v, there := b[n]; there {
			return v
		}
	}
	return event.Value("null")
}

// text of a member; "" when absent. NUL is none that every store can keep.
func (b body) text(name string) string {
	return strings.ReplaceAll(b.value(name).Text(), "\x00", "\uFFFD")
}

func (b body) time(name string) int64 { return b.value(name).Time() }

// number is otherwise when absent.
func (b body) number(name string, otherwise int64) int64 {
	if n, there := b.value(name).Int(); there {
		return n
	}
	return otherwise
}

func (b body) code(names ...string) *int64 {
	for _, name := range names {
		if n, there := b.value(name).Int(); there {
			return &n
		}
	}
	return nil
}

// length in s: what the record says, else that from one of its times to another.
func (b body) length(says, from, to string) int64 {
	if n, there := b.value(says).Int(); there {
		return max(n, 0)
	}
	start, end := b.time(from), b.time(to)
	if start == 0 || end < start {
		return 0
	}
	return (end - start) / 1000
}

// ReadCall reads an event of type cdr.call or cdr.bot_call.
func ReadCall(e *event.Event) Call {
	b := read(e.Body)
	c := Call{
		ID: b.text("callID"), Start: b.time("startTime"), Type: b.number("callType", 0),
		Talk: b.length("duration", "bridgeTime", "endTime"), Total: b.length("totalDuration", "startTime", "endTime"),
		Gateway: b.text("gatewayNumber"), Route: b.text("firstRouteId"),
	}
	for _, name := range []string{"customerNumber", "screenNumber", "encryptCustomerNumber"} {
		if c.Customer == "" {
			c.Customer = b.text(name)
		}
	}
	switch c.Type {
	case 2:
		c.Flags = In
	case 3:
		c.Flags = Out
	}
	switch b.number("callResult", 0) {
	case 4, 6:
		c.Flags |= Taken | Sought
	case 8, 21:
		c.Flags |= Taken | Reached
	case 5, 7:
		c.Flags |= Taken
	}
	if is, there := b.value("inboundTransferedHumanAgent").Bool(); there {
		if is {
			c.Flags |= Human
		} else {
			c.Flags |= NotHuman
		}
	}
	if b.number("virtualAgentCallDuration", 0) > 0 {
		c.Flags |= Virtual
	}
	return c
}

// ReadParty reads an event of type cdr.party or cdr.bot_party.
func ReadParty(e *event.Event) Party {
	b := read(e.Body)
	p := Party{
		Call: b.text("callID"), ID: b.text("partyId"), Start: b.time("startTime"),
		Type: b.number("callType", 0), Dial: b.number("dialType", 1), Role: b.number("agentRole", 2), Result: b.number("callResult", 0),
		Talk: b.length("duration", "bridgeTime", "endTime"), Total: b.length("totalDuration", "startTime", "endTime"),
	}
	if p.Type < 1 || p.Type > 3 {
		p.Type = 0
	}
	if p.Role != 2 {
		return p
	}
	p.Number, p.Name = b.text("agentID"), b.text("agentName")
	p.Agent = AgentKey(b.text("agentUUID"), p.Number)
	p.Departments = strings.ReplaceAll(strings.Join(b.value("departmentId").Departments(), "|"), "\x00", "\uFFFD")
	return p
}

// ReadStatus reads an event of type agent.status.
func ReadStatus(e *event.Event) Status {
	b := read(e.Body)
	s := Status{
		Start: b.time("startTime"), Created: b.time("creationTime"),
		Login: b.code("loginStatus"), Reason: b.code("notReadyStatus", "noReadyStatus"), Work: b.code("workStatus"),
		Number: b.text("agentID"), Name: b.text("agentName"),
	}
	s.Agent = AgentKey(b.text("agentUUID"), s.Number)
	return s
}

// Legs are what a main record has of its parties.
type Legs struct {
	Flags Flags
	Talk  int64 // s, of the agents with the customer
}

// LegsOf a call, of all its parties that have a start, in any order.
func LegsOf(parties []Party) (l Legs) {
	var first *Party
	for i := range parties {
		p := &parties[i]
		switch faces := p.Dial == 1 || p.Dial == 2 || p.Dial == 5; {
		case faces && p.Role == 2:
			l.Flags |= Offered
			if p.Result == 2 || p.Result == 3 {
				l.Flags |= Rang
			}
			if p.Result == 3 {
				l.Flags |= Took
				l.Talk += p.Talk
			}
		case faces && (p.Role == 4 || p.Role == 5) && p.Result == 3:
			l.Flags |= OtherTook
		}
		if p.Dial == 1 && (p.Role == 2 || p.Role == 4) &&
			(first == nil || p.Start < first.Start || p.Start == first.Start && p.ID < first.ID) {
			first = p
		}
	}
	if first != nil {
		l.Flags |= map[int64]Flags{2: FirstHere, 4: FirstAway}[first.Role]
	}
	return l
}

// Shows is what the agent and department reports count of a party; 0: nothing.
// call is its main record, nil while there is none.
func (p *Party) Shows(call *Call) (f Flags) {
	direction := p.Type
	if direction == 0 && call != nil {
		direction = call.Type
	}
	dial := map[int64]Flags{1: Direct, 2: Transfer, 3: Inquiry, 5: TakeAway}[p.Dial]
	switch {
	case p.Role != 2 || dial == 0:
		return 0
	case direction == 2:
		f = In | dial
	case direction == 3 && dial == Direct:
		f = Out | dial
	default:
		return 0
	}
	switch p.Result {
	case 2:
		f |= Rang
	case 3:
		f |= Rang | Took
	}
	if call != nil {
		f |= call.Flags & Reached
	}
	return f
}

// State of an agent: its three codes. Before the first status all are 0.
type State struct{ Login, Reason, Work int64 }

// After is the state that a status leads to from another.
func (s *Status) After(was State) State {
	for _, c := range []struct{ field, says *int64 }{{&was.Login, s.Login}, {&was.Reason, s.Reason}, {&was.Work, s.Work}} {
		if c.says != nil {
			*c.field = *c.says
		}
	}
	return was
}

// in is how an agent is logged in; 0: it is not.
func (s State) in() Flags {
	return map[int64]Flags{1: Online, 2: Busy, 98: Locked}[s.Login]
}

func (s State) ready() bool { return s.Login == 1 && s.Work == 1 }

// Shows is what is counted of a state that comes after another.
func (s State) Shows(was State) Flags {
	f := s.in()
	switch before := was.in(); {
	case before == 0 && f != 0:
		f |= Logins
	case before != 0 && f == 0:
		f |= Logouts
	}
	if s.ready() && !was.ready() {
		f |= Readies
	}
	return f
}
