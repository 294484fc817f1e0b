package live

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/record"
)

// Board is what there is at a moment, and what there was so far today: agents, contacts
// that wait, calls, chats. It holds instants, not lengths of time, so that it serves for
// later moments too until something happens. It is shared: nobody changes it.
type Board struct {
	Moment
	AgentBoard

	Waiting   []WaitRow  // contacts that wait now, in no order
	Today     []CallRow  // calls of today, and those that go on; in no order
	Answered  []Answered // parties of agents, established today; in no order
	ActiveNow int        // calls that go on

	set        Settings
	facts      *Facts
	directory  *directory.Directory
	validUntil int64 // Unix ms: from Now until before it all this holds
	rows       map[string]*Row
	chats      []openChat
	departures []departure // of the last hours, by when they left the queue
	endings    []*Chat     // that were abandoned or switched, by their end
	handled    map[string]int
}

// WaitRow is a contact that waits in a queue now.
type WaitRow struct {
	ID         string // callID or chatId
	Media      string // call, chat
	Queue      string
	Since      int64  // Unix ms
	GroupID    string // of the event, else of the queue in the directory
	Group      string // its name, else its id
	Department string
	AgentUUID  string // to whom it is routed; "" nobody
	Agent      *Row   // the same agent, if the board has it
	Strategy   string
	CallType   int64 // record.Internal, Inbound, Outbound; 0 unknown
	Campaign   string
	DID        string
	Ringing    bool // at an agent
	Customer   string
	Visitor    string
	Identity   string // contactIdentityId
}

// CallRow is a call that events or a main record tell of.
type CallRow struct {
	ID        string
	At        int64 // Unix ms, its earliest time
	Today     bool  // At lies in today
	Live      bool  // the call goes on
	Direction int64 // record.Internal, Inbound, Outbound; 0 unknown
	DID       string
	Agents    []*Row
}

// Answered is a party of an agent that was established today.
type Answered struct {
	Agent     *Row
	Call      string
	At        int64 // Unix ms, its earliest time
	Direction int64 // record.Internal, Inbound, Outbound; 0 unknown
	DID       string

	began int64 // while it lasts: when it was established; 0 when it is over
	talk  int64 // s, when it is over
}

// Seconds returns for how long the party has been talking so far.
func (a *Answered) Seconds(now int64) int64 {
	if a.began > 0 {
		return max(0, now-a.began) / 1000
	}
	return a.talk
}

// openChat is a chat that goes on or waits.
type openChat struct {
	*Chat
	state      ChatState
	agent      string // who handles it
	bot        bool
	department string
}

// departure is a chat that left the queue.
type departure struct {
	at, wait   int64
	department string
}

// NewBoard makes the board of a moment.
func NewBoard(m Moment, f *Facts, set Settings, d *directory.Directory) *Board {
	set = set.filled()
	b := &Board{
		Moment: m, AgentBoard: NewAgentBoard(m, set.StaleCall, f.Agents, f.Calls, d), set: set, facts: f, directory: d,
		validUntil: m.To, rows: map[string]*Row{}, handled: map[string]int{},
		// Made at once, as there may be many of each.
		Waiting:  make([]WaitRow, 0, f.waiting()),
		Today:    make([]CallRow, 0, len(f.Calls)),
		Answered: make([]Answered, 0, len(f.Calls)),
	}
	for i := range b.Rows {
		b.rows[b.Rows[i].Key] = &b.Rows[i]
	}

	agents := make([]*Row, len(f.Calls)) // room for one agent of each call
	for i, c := range f.Calls {
		b.addCall(c, agents[i:i:i+1])
	}

	for _, c := range f.Chats {
		b.addChat(c)
	}
	slices.SortFunc(b.departures, func(x, y departure) int { return cmp.Compare(x.at, y.at) })
	slices.SortFunc(b.endings, func(x, y *Chat) int { return cmp.Compare(x.summary().end.At, y.summary().end.At) })
	return b
}

// waiting returns how many contacts are in a queue, or were when their events stopped.
func (f *Facts) waiting() (n int) {
	for _, c := range f.Calls {
		if c.currentWait() != nil {
			n++
		}
	}
	for _, c := range f.Chats {
		if runningWait(c.summary().waits) != nil {
			n++
		}
	}
	return n
}

// Row returns the row of an agent by its key; nil: the board does not have it.
func (b *Board) Row(key string) *Row { return b.rows[key] }

// Directory returns the directory that the board was made with.
func (b *Board) Directory() *directory.Directory { return b.directory }

// expire makes the board invalid from a moment on, if that is still to come.
func (b *Board) expire(at int64) {
	if at > b.Now {
		b.validUntil = min(b.validUntil, at)
	}
}

// today reports whether an instant lies in the board's day; 0 is no instant.
func (b *Board) today(at int64) bool { return at > 0 && at >= b.From && at < b.To }

// addCall adds a call. agents is room for those who have a part in it.
func (b *Board) addCall(c *Call, agents []*Row) {
	goesOn := c.Live(b.Now, b.set.StaleCall)
	if goesOn {
		b.ActiveNow++
	}
	if !c.over() {
		b.expire(c.Latest + b.set.StaleCall)
		b.addWaitingCall(c, goesOn)
	}

	row := CallRow{ID: c.ID, At: c.startedAt(), Live: goesOn, Direction: c.Direction(), DID: c.Gateway(), Agents: agents}
	row.Today = b.today(row.At)
	counts := row.Today || goesOn
	for _, p := range c.parties() {
		agent := b.rows[p.agent()]
		if counts && p.ofAgent() {
			row.addAgent(agent)
		}
		if agent != nil {
			b.addAnswered(c, p, agent, &row)
		}
	}

	if !counts {
		return
	}
	if c.Main != nil && c.Main.FirstAgent != "" {
		row.addAgent(b.rows[record.AgentKey(c.Main.FirstAgent, "")])
	}
	b.Today = append(b.Today, row)
}

// startedAt returns the earliest time of the call's events and main record; 0: it has
// neither.
func (c *Call) startedAt() (at int64) {
	if c.HasEvents {
		at = c.First
	}
	if c.Main != nil {
		at = earliest(at, c.Main.Start)
	}
	return at
}

// addWaitingCall adds a call to the contacts that wait, if it does and is not stale.
func (b *Board) addWaitingCall(c *Call, goesOn bool) {
	wait := c.currentWait()
	if wait == nil || b.Now-c.Latest >= b.set.StaleCall {
		return
	}

	w := b.waitRow(wait)
	w.CallType = cmp.Or(w.CallType, c.Direction())
	for _, p := range c.parties() {
		work, _ := p.state(record.Open)
		if work == 6 && goesOn && !p.released() && p.agent() != "" && p.Role != "Customer" {
			w.Ringing = true
		}
	}
	b.Waiting = append(b.Waiting, w)
}

// addAgent adds an agent who has a part in the call; nil is nobody of the board.
func (r *CallRow) addAgent(agent *Row) {
	if agent != nil && !slices.Contains(r.Agents, agent) {
		r.Agents = append(r.Agents, agent)
	}
}

// addAnswered adds a party of an agent if it was established today.
func (b *Board) addAnswered(c *Call, p *Party, agent *Row, row *CallRow) {
	established := p.Answered > 0 || p.CDR != nil && p.CDR.Result == 3
	if !established || !p.counts() {
		return
	}
	at := p.First
	if p.CDR != nil {
		at = earliest(at, p.CDR.Start)
	}
	if !b.today(at) {
		return
	}

	a := Answered{Agent: agent, Call: c.ID, At: at, Direction: p.direction(row.Direction), DID: row.DID}
	switch {
	case p.CDR != nil:
		a.talk = p.CDR.Talk
	case row.Live && !p.released():
		a.began = p.Answered
	default:
		a.talk = max(0, p.endedAt(c)-p.Answered) / 1000
	}
	b.Answered = append(b.Answered, a)
}

// waitRow returns a wait as the board shows it: what its event leaves open comes from the
// directory.
func (b *Board) waitRow(w *Wait) WaitRow {
	row := WaitRow{
		ID: w.Contact, Media: w.Media, Queue: w.Queue, Since: w.At, GroupID: w.Group, Department: w.Department, AgentUUID: w.Agent,
		Strategy: w.Strategy, CallType: record.Direction(w.CallType), Campaign: w.Campaign, DID: w.Gateway,
		Customer: w.Customer, Visitor: w.Visitor, Identity: w.Identity,
	}
	row.Agent = b.rows[record.AgentKey(w.Agent, "")]

	if q := b.directory.Queue(w.Queue); q != nil {
		row.GroupID = cmp.Or(row.GroupID, q.GroupID)
		row.Strategy = cmp.Or(row.Strategy, q.Strategy)
	}
	row.Group = row.GroupID
	if g := b.directory.Group(row.GroupID); g != nil {
		row.Group = cmp.Or(g.Name, row.GroupID)
	}
	return row
}

// addChat adds a chat: to the contacts that wait, to the chats that left the queue, and to
// those that are open, as far as it is each of them.
func (b *Board) addChat(c *Chat) {
	s := c.summary()
	latest := max(s.latest, c.Queue.latest())
	b.expire(latest + b.set.StaleCall)
	b.expire(s.latest + b.set.StaleChat)

	// Its queue events: a contact that waits.
	wait := runningWait(s.waits)
	if wait != nil && s.end == nil && b.Now-latest < b.set.StaleCall {
		b.Waiting = append(b.Waiting, b.waitRow(wait))
	}

	// Its chat events: when and how it left the queue.
	if at, left := c.leftQueue(); left {
		b.departures = append(b.departures, departure{at: at, wait: max(0, at-s.requested.At), department: c.Department(at)})
	}
	if s.end != nil && (s.end.Reason == Abandoned || s.end.Reason == Switched) {
		b.endings = append(b.endings, c)
	}

	state := c.State(b.Now, b.set.StaleChat)
	if state != ChatWaiting && state != ChatOngoing {
		return
	}
	for i := range s.transfers {
		b.expire(s.transfers[i].At) // then its department changes
	}
	o := openChat{Chat: c, state: state, department: c.Department(b.Now)}
	if state == ChatOngoing {
		o.agent, o.bot = c.Handler()
		if !o.bot {
			b.handled[o.agent]++
		}
	}
	b.chats = append(b.chats, o)
}
