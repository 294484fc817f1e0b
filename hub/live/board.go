package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/directory"
)

// StaleCall is after how long without an event a call is over, in ms, where a
// tenant has not set it.
const StaleCall = 12 * 60 * 60 * 1000

// Seen is an agent with what its statuses say.
type Seen struct {
	Agent
	Known
}

// Known of an agent, from its last status.
type Known struct {
	State

	First    int64  `db:"first_at"` // Unix ms of the earliest event that names it
	Statuses bool   `db:"statuses"` // it had some
	LoginAt  int64  `db:"login_at"` // since when each code is what it is
	ReasonAt int64  `db:"reason_at"`
	WorkAt   int64  `db:"work_at"`
	LoggedAt int64  `db:"logged_at"` // since when it is logged in; 0: it is not
	ReadyAt  int64  `db:"ready_at"`  // when its work status last became 1; 0: never
	CallID   string `db:"call_id"`
	CallType int64  `db:"call_type"`
}

// Row of a board.
type Row struct {
	Seen
	Counters

	ClientType  string
	Departments []string
	Number      string // of the customer of the current call
	Current     *Call  // what is known of that call; nil: its id at most
	// Since when it has its part in that call, or, when no event says, its work status.
	CallSince int64
	Listed    *directory.Agent // what the directory says; nil: nothing
	Parties   int64            // its parties in calls that go on
}

// LoggedIn says whether the agent is.
func (s State) LoggedIn() bool { return s.Login == 1 || s.Login == 2 || s.Login == 98 }

// OnCall says whether the agent has to do with a call.
func (s State) OnCall() bool { return s.Work >= 5 && s.Work <= 8 }

// OnBreak says whether the agent is.
func (s State) OnBreak() bool { return s.Login == 2 && s.Reason >= 11 && s.Reason <= 18 }

// MaxChats that the agent takes at a time; -1: no bound.
func (r *Row) MaxChats() int64 {
	if r.Listed == nil {
		return 1
	}
	return int64(r.Listed.MaxConcurrentChats)
}

// Since is when the agent became available, or, when it is not online, when that
// began; 0: nothing was ever heard of it.
func (r *Row) Since() int64 {
	if r.Login == 1 {
		return max(r.LoginAt, r.ReadyAt)
	}
	return r.LoginAt
}

// Board is all agents at a moment.
type Board struct {
	Rows              []Row // in their default order (CompareRows)
	Inbound, Outbound int64 // calls that go on
}

// Moment that a board is about, in Unix ms; From <= t < To is its day.
type Moment struct{ Now, From, To int64 }

// legs are what a call that goes on has of one agent.
type leg struct {
	call  *Call
	work  int64
	since int64
	first int64
}

// workRank is the order in which states count that changed at one time.
var workRank = []int64{7, 8, 6, 5}

func (l *leg) before(o *leg) bool {
	if l.since != o.since {
		return l.since > o.since
	}
	return slices.Index(workRank, l.work) < slices.Index(workRank, o.work)
}

// NewBoard makes the board of a moment. stale is after how long without an event,
// in ms, a call is over.
func NewBoard(m Moment, stale int64, seen []Seen, calls []*Call, d *directory.Directory) Board {
	var b Board
	counts := map[string]*Counters{}
	legs := map[string]*leg{}   // by agent, of the party that changed last
	freed := map[string]int64{} // by agent, when its last party was released
	byID := map[string]*Call{}
	parties := map[string]int64{} // by agent, of calls that go on
	for _, c := range calls {
		byID[c.ID] = c
		c.Count(m.From, m.To, counts)
		goesOn := c.Live(m.Now, stale)
		if goesOn {
			switch c.Direction() {
			case 2:
				b.Inbound++
			case 3:
				b.Outbound++
			}
		}
		for _, p := range c.parties() {
			agent := p.agent()
			work, since := p.state()
			over := !goesOn || p.released()
			if agent != "" && !over && p.First > 0 {
				parties[agent]++
			}
			if agent == "" || work == 0 {
				continue
			}
			if over {
				freed[agent] = max(freed[agent], p.end(c))
				continue
			}
			if l := (&leg{c, work, since, p.First}); legs[agent] == nil || l.before(legs[agent]) {
				legs[agent] = l
			}
		}
	}
	names := map[string]bool{}
	for _, s := range seen {
		names[s.UUID] = true
	}
	for _, a := range d.Agents() {
		if !names[a.AgentUUID] {
			seen = append(seen, Seen{Agent: Agent{Key: AgentKey(a.AgentUUID, ""), UUID: a.AgentUUID}})
		}
	}
	for _, s := range seen {
		r := Row{Seen: s, ClientType: "Unknown"}
		r.Agent = s.With(d)
		if known := d.Agent(s.UUID); known != nil {
			r.Listed, r.Departments = known, known.DepartmentIDs
			if known.ClientType != "" {
				r.ClientType = known.ClientType
			}
		}
		if c := counts[s.Key]; c != nil {
			r.Counters = *c
		}
		r.Parties = parties[s.Key]
		r.settle(legs[s.Key], freed[s.Key])
		r.current(legs[s.Key], byID)
		b.Rows = append(b.Rows, r)
	}
	slices.SortFunc(b.Rows, func(x, y Row) int { return CompareRows(&x, &y) })
	return b
}

// end of a party that is over.
func (p *Party) end(c *Call) int64 {
	switch {
	case p.Released > 0:
		return p.Released
	case p.CDR != nil && end(p.CDR.Start, p.CDR.End) > 0:
		return end(p.CDR.Start, p.CDR.End)
	}
	return c.ends()
}

// settle gives an agent who never told its state the one that its calls show.
func (r *Row) settle(l *leg, freed int64) {
	if r.Statuses || r.First == 0 {
		return
	}
	r.State, r.LoginAt, r.WorkAt = State{Login: 1, Work: 1}, r.First, max(r.First, freed)
	r.LoggedAt, r.ReadyAt = r.First, r.WorkAt
	if l != nil {
		r.Work, r.WorkAt = l.work, l.since
		if freed > l.first { // it had another call meanwhile
			r.ReadyAt = r.First
		}
	}
}

// current call: what the last status says of it, else the calls.
func (r *Row) current(l *leg, calls map[string]*Call) {
	id, typ := r.CallID, r.CallType
	r.CallID, r.CallType = "", 0
	if r.Work < 5 || r.Work > 8 {
		return
	}
	if id == "" && l != nil {
		id = l.call.ID
	}
	r.CallID, r.CallSince = id, r.WorkAt
	if c := calls[id]; c != nil {
		r.Current, r.Number, r.CallType = c, c.Number(), c.Direction()
		began := int64(0)
		for _, p := range c.parties() {
			if p.agent() == r.Key {
				began = earliest(began, p.First)
			}
		}
		r.CallSince = cmp.Or(began, r.WorkAt)
	}
	if typ >= 1 && typ <= 3 {
		r.CallType = typ
	}
}
