package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/event"
)

// Party is what events and records say of one party of a call.
type Party struct {
	First    int64     `json:"f,omitempty"` // of its call.* events
	Changes  []change  `json:"h,omitempty"` // by time, then in the order of partyStates
	Rung     bool      `json:"g,omitempty"` // it did at some time
	Dialing  int64     `json:"d,omitempty"` // the first
	Answered int64     `json:"e,omitempty"` // the first time it was established
	Dir      firstText `json:"i,omitzero"`  // as its events say
	Released int64     `json:"r,omitempty"` // the first
	Role     string    `json:"o,omitempty"`
	RoleAt   int64     `json:"p,omitempty"`
	DN       string    `json:"n,omitempty"`
	DNAt     int64     `json:"m,omitempty"`
	UUID, ID string    // of the newest event that names its agent
	NamedAt  int64     `json:"a,omitempty"`
	Bot      bool      `json:"b,omitempty"` // there is a party bot record
	BotEnd   int64     `json:"x,omitempty"` // its end, else its start
	CDR      *CDR      `json:"c,omitempty"`

	who  string // its agent, of Prepare
	sure bool   // who is known
}

// change of a party's state.
type change struct {
	State int   `json:"s"` // of partyStates
	At    int64 `json:"t"`
}

// maxChanges of a party are kept: a further one takes the place of the earliest.
const maxChanges = 100

// CDR is a party record.
type CDR struct {
	UUID, ID                                 string
	Role, DialType, Result, Type, Start, End int64
	Talk                                     int64 // s
}

// partyStates in the order in which equal times count, and the work status that
// each stands for.
var partyStates = [...]struct {
	event event.Type
	work  int64
}{{event.CallDialing, 5}, {event.CallRinging, 6}, {event.CallEstablished, 7}, {event.CallHeld, 8}, {event.CallRetrieved, 7}}

const ringing = 1 // of partyStates

func (p *Party) merge(o *Party) {
	p.First, p.Dialing, p.Released = earliest(p.First, o.First), earliest(p.Dialing, o.Dialing), earliest(p.Released, o.Released)
	p.Answered = earliest(p.Answered, o.Answered)
	if o.Dir.Some {
		p.Dir.note(o.Dir.At, o.Dir.Text)
	}
	p.Changes = slices.Clone(p.Changes) // it was its own
	for _, c := range o.Changes {
		p.become(c.State, c.At)
	}
	if o.Role != "" && o.RoleAt >= p.RoleAt {
		p.Role, p.RoleAt = o.Role, o.RoleAt
	}
}

// agent of a party: that of its record, else of its newest event that names one.
func (p *Party) agent() string {
	if p.sure {
		return p.who
	}
	if p.CDR != nil {
		if key := AgentKey(p.CDR.UUID, p.CDR.ID); key != "" {
			return key
		}
	}
	return AgentKey(p.UUID, p.ID)
}

// counts says whether the party is one of its agent's in the counters.
func (p *Party) counts() bool {
	if p.CDR != nil && (p.CDR.Role != 2 || p.CDR.DialType < 1 || p.CDR.DialType > 3) {
		return false
	}
	return p.agent() != "" && (p.Role == "" || p.Role == "Agent")
}

// become adds a change to the story.
func (p *Party) become(state int, at int64) {
	c := change{state, at}
	i, told := slices.BinarySearchFunc(p.Changes, c, func(a, b change) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.State, b.State)) })
	if told {
		return
	}
	if p.Changes = slices.Insert(p.Changes, i, c); len(p.Changes) > maxChanges {
		p.Changes = p.Changes[1:]
	}
	p.Rung = p.Rung || state == ringing
}

// state is the party's work status at a moment, and since when; 0: none yet. Open:
// all that is told of it counts.
func (p *Party) state(moment int64) (work, since int64) {
	for _, c := range p.Changes {
		if c.At > moment {
			break
		}
		if is := partyStates[c.State].work; is != work {
			work, since = is, c.At
		}
	}
	return work, since
}

func (p *Party) released() bool { return p.Released > 0 || p.CDR != nil || p.Bot }

// ends is when a party that was released was, as events and records of its own
// say; 0: they do not.
func (p *Party) ends() int64 {
	switch {
	case p.Released > 0:
		return p.Released
	case p.CDR != nil:
		return end(p.CDR.Start, p.CDR.End)
	}
	return p.BotEnd
}
