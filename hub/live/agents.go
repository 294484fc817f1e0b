package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/record"
)

// StaleCall is after how many ms without an event a call counts as over, for tenants that
// have not set it.
const StaleCall = 12 * 60 * 60 * 1000

// SeenAgent is an agent whom events name, with what its statuses say.
type SeenAgent struct {
	Agent
	AgentState
}

// AgentState is the state that an agent is in, and since when, as its last status says.
// Times are Unix ms.
type AgentState struct {
	record.State

	First    int64  `db:"first_at"` // of the earliest event that names the agent
	Statuses bool   `db:"statuses"` // the agent has a status; without one, all below is 0 but FreedAt
	LoginAt  int64  `db:"login_at"` // since when each code is what it is
	ReasonAt int64  `db:"reason_at"`
	WorkAt   int64  `db:"work_at"`
	LoggedAt int64  `db:"logged_at"` // since when the agent is logged in; 0: it is not
	ReadyAt  int64  `db:"ready_at"`  // when the work status last became 1; 0: never
	FreedAt  int64  `db:"freed_at"`  // of an agent without a status: the latest end of its parties in calls that are not among the facts
	CallID   string `db:"call_id"`
	CallType int64  `db:"call_type"`
}

// Row is an agent on a board.
type Row struct {
	SeenAgent
	Counters

	ClientType  string
	Departments []string
	Number      string           // of the customer of the current call
	Current     *Call            // the current call; nil: at most its id is known
	CallSince   int64            // when the agent's part in that call began, else when the work status changed
	Entry       *directory.Agent // what the directory says; nil: nothing
	Parties     int64            // its parties in calls that go on
}

// MaxChats returns how many chats the agent takes at a time; -1: any number.
func (r *Row) MaxChats() int64 {
	if r.Entry == nil {
		return 1
	}
	return int64(r.Entry.MaxConcurrentChats)
}

// Since returns when the agent became available, or, if it is not online, when that began;
// 0: no event says.
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

// Moment is what a board is about: now, and its day, From <= t < To. All are Unix ms.
type Moment struct{ Now, From, To int64 }

// leg is a party of an agent in a call, with its end.
type leg struct {
	call  *Call
	party *Party
	end   int64 // Unix ms; record.Open: it goes on
}

// workRank is the order in which work statuses count when they changed at the same time:
// talking, held, ringing, dialing.
var workRank = []int64{7, 8, 6, 5}

// NewAgentBoard makes the agents' part of the board of a moment. A call without events for
// stale milliseconds counts as over.
func NewAgentBoard(m Moment, stale int64, seen []SeenAgent, calls []*Call, d *directory.Directory) AgentBoard {
	// What the statuses leave open decides what has to be known of the calls.
	withoutStatus := map[string]bool{}
	byID := map[string]*Call{} // the calls that statuses name
	for i := range seen {
		if !seen[i].Statuses {
			withoutStatus[seen[i].Key] = true
		}
		if seen[i].CallID != "" {
			byID[seen[i].CallID] = nil
		}
	}

	var b AgentBoard
	counts := map[string]*Counters{}
	legs := map[string][]leg{} // by agent: those that go on; of agents without a status, all
	for _, c := range calls {
		if _, named := byID[c.ID]; named {
			byID[c.ID] = c
		}
		c.Count(m.From, m.To, counts)

		goesOn := c.Live(m.Now, stale)
		if goesOn {
			b.countCall(c)
		}
		if goesOn || len(withoutStatus) > 0 {
			addLegs(legs, c, goesOn, withoutStatus)
		}
	}

	// A row for each agent that events name or the directory lists.
	seen = withListed(seen, d)
	rows := make([]*Row, len(seen))
	for i := range seen {
		s := &seen[i]
		r := newRow(s, d)
		if c := counts[s.Key]; c != nil {
			r.Counters = *c
		}
		r.setParties(legs[s.Key])
		r.setState(legs[s.Key])
		r.setCurrentCall(legs[s.Key], byID)
		rows[i] = r
	}

	slices.SortFunc(rows, CompareRows) // pointers: rows are large
	b.Rows = make([]Row, len(rows))
	for i, r := range rows {
		b.Rows[i] = *r
	}
	return b
}

// countCall counts a call that goes on.
func (b *AgentBoard) countCall(c *Call) {
	switch c.Direction() {
	case record.Inbound:
		b.Inbound++
	case record.Outbound:
		b.Outbound++
	}
}

// addLegs adds the parties of agents in a call: those that go on, and all of agents
// without a status.
func addLegs(legs map[string][]leg, c *Call, goesOn bool, withoutStatus map[string]bool) {
	for _, p := range c.parties() {
		agent := p.agent()
		if agent == "" || p.First == 0 {
			continue
		}

		l := leg{call: c, party: p, end: record.Open}
		if !goesOn || p.released() {
			l.end = p.endedAt(c)
		}
		if l.end == record.Open || withoutStatus[agent] {
			legs[agent] = append(legs[agent], l)
		}
	}
}

// withListed adds the agents of the directory whom no event names.
func withListed(seen []SeenAgent, d *directory.Directory) []SeenAgent {
	named := make(map[string]bool, len(seen))
	for i := range seen {
		named[seen[i].UUID] = true
	}

	all := slices.Clip(seen) // it belongs to the facts, which others read
	for _, a := range d.Agents() {
		if !named[a.AgentUUID] {
			all = append(all, SeenAgent{Agent: Agent{Key: record.AgentKey(a.AgentUUID, ""), UUID: a.AgentUUID}})
		}
	}
	return all
}

// newRow makes the row of an agent, without what calls say.
func newRow(s *SeenAgent, d *directory.Directory) *Row {
	r := &Row{SeenAgent: *s, ClientType: "Unknown"}
	r.Agent = s.With(d)
	if entry := d.Agent(s.UUID); entry != nil {
		r.Entry = entry
		r.Departments = entry.DepartmentIDs
		r.ClientType = cmp.Or(entry.ClientType, r.ClientType)
	}
	return r
}

// setParties counts the agent's parties that go on.
func (r *Row) setParties(legs []leg) {
	for i := range legs {
		if legs[i].end == record.Open {
			r.Parties++
		}
	}
}

// workAt returns the work status that an agent's legs show at a moment, and the leg that
// shows it: the one whose state changed last. 1 and nil: none of them goes on then.
func workAt(legs []leg, at int64) (work int64, shown *leg) {
	work = 1
	changed := int64(0)
	for i := range legs {
		l := &legs[i]
		is, since := l.party.state(at)
		over := l.end != record.Open && l.end <= at
		if is == 0 || over {
			continue
		}
		if shown == nil || since > changed || since == changed && l.precedes(is, shown, work) {
			work = is
			changed = since
			shown = l
		}
	}
	return work, shown
}

// precedes reports whether the leg, in a state, counts before another one that changed at
// the same time: by workRank, then the greatest callID, then the greatest partyID. The
// order of legs is that of a map, on which no figure may depend.
func (l *leg) precedes(work int64, o *leg, otherWork int64) bool {
	by := cmp.Or(
		cmp.Compare(slices.Index(workRank, otherWork), slices.Index(workRank, work)),
		cmp.Compare(l.call.ID, o.call.ID),
		cmp.Compare(l.party.partyID, o.party.partyID),
	)
	return by > 0
}

// setState gives an agent without a status the state that its calls show.
func (r *Row) setState(legs []leg) {
	if r.Statuses || r.First == 0 {
		return
	}
	r.State = record.State{Login: 1}
	r.LoginAt = r.First
	r.LoggedAt = r.First
	r.Work, _ = workAt(legs, record.Open)

	// shown is the work status at a moment; -1 while calls that are not among the facts
	// may have shown any.
	shown := func(at int64) int64 {
		work, l := workAt(legs, at)
		if l == nil && at < r.FreedAt {
			return -1
		}
		return work
	}

	// The moments at which the work status may have changed, back to the one since which
	// it is what it is now.
	moments := r.moments(legs)
	for _, at := range slices.Backward(moments) {
		if shown(at) != r.Work {
			break
		}
		r.WorkAt = at
	}

	// And back to the one at which it last became 1.
	for _, at := range slices.Backward(moments) {
		if shown(at) == 1 {
			r.ReadyAt = at
		} else if r.ReadyAt > 0 {
			break
		}
	}
}

// moments returns when the work status of an agent without a status may have changed, in
// ascending order.
func (r *Row) moments(legs []leg) []int64 {
	all := []int64{r.First, r.FreedAt}
	for i := range legs {
		for _, c := range legs[i].party.Changes {
			all = append(all, c.At)
		}
		if legs[i].end != record.Open {
			all = append(all, legs[i].end)
		}
	}
	all = slices.DeleteFunc(all, func(at int64) bool { return at < r.First })
	slices.Sort(all)
	return all
}

// setCurrentCall sets the call that the agent is in: the one that the last status names,
// else the one that its legs show.
func (r *Row) setCurrentCall(legs []leg, byID map[string]*Call) {
	id, callType := r.CallID, record.Direction(r.CallType)
	r.CallID, r.CallType = "", 0
	if !r.OnCall() {
		return
	}

	c := byID[id]
	if id == "" {
		if _, l := workAt(legs, record.Open); l != nil {
			id = l.call.ID
			c = l.call
		}
	}
	r.CallID = id
	r.CallType = callType
	r.CallSince = r.WorkAt
	if c == nil {
		return
	}

	// What the facts know of that call.
	r.Current = c
	r.Number = c.Number()
	r.CallType = cmp.Or(callType, c.Direction())
	began := int64(0)
	for _, p := range c.parties() {
		if p.agent() == r.Key {
			began = earliest(began, p.First)
		}
	}
	r.CallSince = cmp.Or(began, r.WorkAt)
}
