package report

import (
	"strings"

	"github.com/hookline/hookline/hub/record"
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

// OwnFlags returns what a main record counts as by itself, without its parties.
func OwnFlags(r *record.Call) (f Flags) {
	switch r.Type {
	case record.Inbound:
		f = In
	case record.Outbound:
		f = Out
	}
	switch r.Result {
	case 4, 6:
		f |= Taken | Sought
	case 8, 21:
		f |= Taken | Reached
	case 5, 7:
		f |= Taken
	}

	// Only main records of bots have these two.
	if r.WantsHuman != nil {
		if *r.WantsHuman {
			f |= Human
		} else {
			f |= NotHuman
		}
	}
	if r.VirtualTalk > 0 {
		f |= Virtual
	}
	return f
}

// Call is what its parties need to know of a main record.
type Call struct {
	Type  int64 // callType
	Flags Flags // OwnFlags
}

// Party is what is counted of a party record.
type Party struct {
	ID     string
	Start  int64 // Unix ms
	Type   int64 // callType; 0: it has none of 1, 2, 3
	Dial   int64 // dialType
	Role   int64 // agentRole
	Result int64 // callResult
	Talk   int64 // s
}

// Attribution says for whom the agent and department reports count a party.
type Attribution struct {
	Agent       string // record.AgentKey
	Number      string // agentID
	Name        string // agentName
	Departments string // departmentId: a|b, each once
}

// AttributionOf returns for whom a party counts. Parties that are no agents, and those of
// bots, count for nobody (indicators.md 3.2).
func AttributionOf(r *record.Party) Attribution {
	if r.Scope == record.Bot || !r.OfAgent() {
		return Attribution{}
	}
	return Attribution{Agent: r.Key(), Number: r.AgentID, Name: r.AgentName, Departments: strings.Join(r.Departments, "|")}
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
	switch {
	case first == nil:
	case first.Role == 2:
		l.Flags |= FirstHere
	case first.Role == 4:
		l.Flags |= FirstAway
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
	dial := dialFlag(p.Dial)
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

// dialFlag returns what the dialType of an agent's party counts as; 0: nothing. Those who
// monitor or interrupt supervise.
func dialFlag(dialType int64) Flags {
	switch dialType {
	case 1:
		return Direct
	case 2:
		return Transfer
	case 3:
		return Inquiry
	case 5:
		return TakeAway
	}
	return 0
}

// loginFlag returns how an agent is logged in; 0: it is not.
func loginFlag(s record.State) Flags {
	switch s.Login {
	case 1:
		return Online
	case 2:
		return Busy
	case 98:
		return Locked
	}
	return 0
}

// ready reports whether an agent waits for calls.
func ready(s record.State) bool { return s.Login == 1 && s.Work == 1 }

// StateFlags returns what is counted of a state that comes after another one.
func StateFlags(is, was record.State) Flags {
	f := loginFlag(is)
	switch before := loginFlag(was); {
	case before == 0 && f != 0:
		f |= Logins
	case before != 0 && f == 0:
		f |= Logouts
	}
	if ready(is) && !ready(was) {
		f |= Readies
	}
	return f
}
