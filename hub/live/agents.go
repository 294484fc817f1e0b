package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/directory"
)

// StaleCall is after how long without an event a call is over, in ms, where a
// tenant has not set it.
const StaleCall = 12 * 60 * 60 * 1000

// SeenAgent is an agent with what its statuses say.
type SeenAgent struct {
	Agent
	AgentState
}

// AgentState is the state that an agent is in, and since when, from its last status.
type AgentState struct {
	State

	First    int64  `db:"first_at"` // Unix ms of the earliest event that names it
	Statuses bool   `db:"statuses"` // it had some
	LoginAt  int64  `db:"login_at"` // since when each code is what it is
	ReasonAt int64  `db:"reason_at"`
	WorkAt   int64  `db:"work_at"`
	LoggedAt int64  `db:"logged_at"` // since when it is logged in; 0: it is not
	ReadyAt  int64  `db:"ready_at"`  // when its work status last became 1; 0: never
	FreedAt  int64  `db:"freed_at"`  // of one without: the latest end of its parties in calls that are not among the facts
	CallID   string `db:"call_id"`
	CallType int64  `db:"call_type"`
}

// Row of a board.
type Row struct {
	SeenAgent
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

// AgentBoard is all agents at a moment.
type AgentBoard struct {
	Rows              []Row // in their default order (CompareRows)
	Inbound, Outbound int64 // calls that go on
}

// Moment that a board is about, in Unix ms; From <= t < To is its day.
type Moment struct{ Now, From, To int64 }

// leg is a party of an agent in a call: its state, and, when it is over, its end.
type leg struct {
	call  *Call
	party *Party
	end   int64 // Unix ms; Open: it goes on
}

// workRank is the order in which states count that changed at one time.
var workRank = []int64{7, 8, 6, 5}

// NewAgentBoard makes the agents' part of the board of a moment. stale is after how long without an event,
// in ms, a call is over.
func NewAgentBoard(m Moment, stale int64, seen []SeenAgent, calls []*Call, d *directory.Directory) AgentBoard {
	var b AgentBoard
	counts := map[string]*Counters{}
	legs := map[string][]leg{} // by agent: those that go on; of one who never told its state all
	silent, anySilent := map[string]bool{}, false
	byID := map[string]*Call{} // those that agents may have to do with
	for i := range seen {
		if !seen[i].Statuses {
			silent[seen[i].Key], anySilent = true, true
		}
		if seen[i].CallID != "" {
			byID[seen[i].CallID] = nil
		}
	}
	for _, c := range calls {
		if _, wanted := byID[c.ID]; wanted {
			byID[c.ID] = c
		}
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
		if !goesOn && !anySilent {
			continue
		}
		for _, p := range c.parties() {
			agent := p.agent()
			if agent == "" || p.First == 0 {
				continue
			}
			l := leg{c, p, Open}
			if !goesOn || p.released() {
				l.end = p.end(c)
			}
			if l.end == Open || silent[agent] {
				legs[agent] = append(legs[agent], l)
			}
		}
	}
	seen = slices.Clip(seen) // it belongs to the facts, which others read
	names := make(map[string]bool, len(seen))
	for _, s := range seen {
		names[s.UUID] = true
	}
	for _, a := range d.Agents() {
		if !names[a.AgentUUID] {
			seen = append(seen, SeenAgent{Agent: Agent{Key: AgentKey(a.AgentUUID, ""), UUID: a.AgentUUID}})
		}
	}
	rows := make([]*Row, 0, len(seen))
	for _, s := range seen {
		r := &Row{SeenAgent: s, ClientType: "Unknown"}
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
		for _, l := range legs[s.Key] {
			if l.end == Open {
				r.Parties++
			}
		}
		r.settle(legs[s.Key])
		r.current(legs[s.Key], byID)
		rows = append(rows, r)
	}
	slices.SortFunc(rows, CompareRows)
	b.Rows = make([]Row, len(rows))
	for i, r := range rows {
		b.Rows[i] = *r
	}
	return b
}

// end of a party that is over.
func (p *Party) end(c *Call) int64 { return cmp.Or(p.ends(), c.ends()) }

// workAt is what legs show at a moment, and which of them; 1 and nil: none goes on.
func workAt(legs []leg, at int64) (work int64, of *leg) {
	work = 1
	changed := int64(0)
	for i := range legs {
		l := &legs[i]
		is, since := l.party.state(at)
		if is == 0 || l.end <= at && l.end != Open {
			continue
		}
		if of == nil || since > changed || since == changed && slices.Index(workRank, is) < slices.Index(workRank, work) {
			work, changed, of = is, since, l
		}
	}
	return work, of
}

// settle gives an agent who never told its state the one that its calls show.
func (r *Row) settle(legs []leg) {
	if r.Statuses || r.First == 0 {
		return
	}
	r.State, r.LoginAt, r.LoggedAt = State{Login: 1}, r.First, r.First
	changes := []int64{r.First, r.FreedAt}
	for i := range legs {
		for _, c := range legs[i].party.Changes {
			changes = append(changes, c.At)
		}
		if legs[i].end != Open {
			changes = append(changes, legs[i].end)
		}
	}
	changes = slices.DeleteFunc(changes, func(at int64) bool { return at < r.First })
	slices.Sort(changes)
	r.Work, _ = workAt(legs, Open)
	shows := func(at int64) int64 {
		work, of := workAt(legs, at)
		if of == nil && at < r.FreedAt {
			return -1 // it had others
		}
		return work
	}
	for _, at := range slices.Backward(changes) {
		if shows(at) != r.Work {
			break
		}
		r.WorkAt = at
	}
	for _, at := range slices.Backward(changes) {
		if shows(at) == 1 {
			r.ReadyAt = at
		} else if r.ReadyAt > 0 {
			break
		}
	}
}

// current call: what the last status says of it, else the calls.
func (r *Row) current(legs []leg, calls map[string]*Call) {
	id, typ := r.CallID, r.CallType
	r.CallID, r.CallType = "", 0
	if r.Work < 5 || r.Work > 8 {
		return
	}
	c := calls[id]
	if id == "" {
		if _, l := workAt(legs, Open); l != nil {
			c, id = l.call, l.call.ID
		}
	}
	r.CallID, r.CallSince = id, r.WorkAt
	if c != nil {
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
