package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
)

// Party is what events and records say of one party of a call. Times are Unix ms, 0 when
// unknown.
type Party struct {
	First    int64     `json:"f,omitempty"` // of its call.* events
	Changes  []change  `json:"h,omitempty"` // by time, then in the order of partyStates
	Rung     bool      `json:"g,omitempty"` // it was ringing at some time
	Dialing  int64     `json:"d,omitempty"` // the first time
	Answered int64     `json:"e,omitempty"` // the first time it was established
	Dir      firstText `json:"i,omitzero"`  // directionText of its events
	Released int64     `json:"r,omitempty"` // the first time
	Role     string    `json:"o,omitempty"` // partyRole, and since when it is that
	RoleAt   int64     `json:"p,omitempty"`
	DN       string    `json:"n,omitempty"` // thisDN, and since when it is that
	DNAt     int64     `json:"m,omitempty"`
	UUID, ID string    // of the newest event that names its agent
	NamedAt  int64     `json:"a,omitempty"` // its time
	Bot      bool      `json:"b,omitempty"` // there is a party record of a bot
	BotEnd   int64     `json:"x,omitempty"` // its end, else its start
	CDR      *CDR      `json:"c,omitempty"`

	partyID     string // set by Call.parties; "": no event says it
	prepared    bool   // cachedAgent is set
	cachedAgent string
}

// change is a change of a party's state.
type change struct {
	State int   `json:"s"` // index in partyStates
	At    int64 `json:"t"`
}

// maxChanges of a party are kept: a further one takes the place of the earliest.
const maxChanges = 100

// CDR is what a party record says.
type CDR struct {
	UUID, ID                                 string
	Role, DialType, Result, Type, Start, End int64
	Talk                                     int64 // s
}

// partyStates are the states of a party, in the order in which changes of equal time
// count, with the work status of an agent that each stands for.
var partyStates = [...]struct {
	event event.Type
	work  int64
}{
	{event.CallDialing, 5},
	{event.CallRinging, 6},
	{event.CallEstablished, 7},
	{event.CallHeld, 8},
	{event.CallRetrieved, 7},
}

const ringing = 1 // index in partyStates

// add adds an event that is about the party.
func (p *Party) add(e *record.CallEvent) {
	p.First = earliest(p.First, e.At)
	p.Dir.note(e.At, directionText[e.Direction])
	for i, s := range partyStates {
		if s.event == e.Type {
			p.become(i, e.At)
		}
	}
	switch e.Type {
	case event.CallDialing:
		p.Dialing = earliest(p.Dialing, e.At)
	case event.CallEstablished:
		p.Answered = earliest(p.Answered, e.At)
	case event.CallReleased:
		p.Released = earliest(p.Released, e.At)
	}

	// Of what may change the newest counts, of equal times the last to arrive.
	if e.Role != "" && e.At >= p.RoleAt {
		p.Role, p.RoleAt = e.Role, e.At
	}
	if e.DN != "" && e.At >= p.DNAt {
		p.DN, p.DNAt = e.DN, e.At
	}
	if record.AgentKey(e.UUID, e.AgentID) != "" && e.At >= p.NamedAt {
		p.UUID, p.ID, p.NamedAt = e.UUID, e.AgentID, e.At
	}
}

// merge adds what events without partyID say of the party.
func (p *Party) merge(o *Party) {
	p.First = earliest(p.First, o.First)
	p.Dialing = earliest(p.Dialing, o.Dialing)
	p.Answered = earliest(p.Answered, o.Answered)
	p.Released = earliest(p.Released, o.Released)
	if o.Dir.Some {
		p.Dir.note(o.Dir.At, o.Dir.Text)
	}

	p.Changes = slices.Clone(p.Changes) // the call's own party has the other list
	for _, c := range o.Changes {
		p.become(c.State, c.At)
	}
	if o.Role != "" && o.RoleAt >= p.RoleAt {
		p.Role, p.RoleAt = o.Role, o.RoleAt
	}
}

// become adds a change of state. The same one twice is one.
func (p *Party) become(state int, at int64) {
	c := change{State: state, At: at}
	i, known := slices.BinarySearchFunc(p.Changes, c, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.State, b.State))
	})
	if known {
		return
	}

	p.Changes = slices.Insert(p.Changes, i, c)
	if len(p.Changes) > maxChanges {
		p.Changes = p.Changes[1:]
	}
	if state == ringing {
		p.Rung = true
	}
}

// prepare caches the agent, who is asked for often.
func (p *Party) prepare() {
	p.cachedAgent = p.agent()
	p.prepared = true
}

// agent returns the key of the party's agent: of its record, else of the newest event that
// names one. "": nobody is named.
func (p *Party) agent() string {
	if p.prepared {
		return p.cachedAgent
	}
	if p.CDR != nil {
		if key := record.AgentKey(p.CDR.UUID, p.CDR.ID); key != "" {
			return key
		}
	}
	return record.AgentKey(p.UUID, p.ID)
}

// counts reports whether the party is its agent's in the counters of today. Where there is
// a record, the record alone says so; without one the role of its events does.
func (p *Party) counts() bool {
	if p.agent() == "" {
		return false
	}
	if p.CDR != nil {
		return p.CDR.Role == record.DefaultAgentRole && p.CDR.DialType >= 1 && p.CDR.DialType <= 3
	}
	return p.Role == "" || p.Role == "Agent"
}

// ofAgent reports whether the party makes its agent one of the agents of the call, as
// DeepCall's filters see it: neither events nor a record say that it is somebody else.
func (p *Party) ofAgent() bool {
	return p.agent() != "" && record.RoleOfAgent(p.Role) && (p.CDR == nil || p.CDR.Role == record.DefaultAgentRole)
}

// state returns the work status that the party stands for at a moment, and since when;
// 0: it has no state yet. At record.Open it is the last state of all.
func (p *Party) state(moment int64) (work, since int64) {
	for _, c := range p.Changes {
		if c.At > moment {
			break
		}
		if is := partyStates[c.State].work; is != work {
			work = is
			since = c.At
		}
	}
	return work, since
}

// released reports whether events or records of the party say that it is over.
func (p *Party) released() bool { return p.Released > 0 || p.CDR != nil || p.Bot }

// releasedAt returns when a released party was released, as its own events and records
// say; 0: they do not say when.
func (p *Party) releasedAt() int64 {
	switch {
	case p.Released > 0:
		return p.Released
	case p.CDR != nil:
		return cmp.Or(p.CDR.End, p.CDR.Start)
	}
	return p.BotEnd
}

// endedAt returns when a party that is over ended: with its call, if nothing else is said.
func (p *Party) endedAt(c *Call) int64 { return cmp.Or(p.releasedAt(), c.endedAt()) }

// direction returns the direction of the party: what its record says, else what its events
// say, else that of the call.
func (p *Party) direction(call int64) int64 {
	switch {
	case p.CDR != nil && record.Direction(p.CDR.Type) != 0:
		return p.CDR.Type
	case p.Dir.Some:
		return p.Dir.direction()
	}
	return call
}
