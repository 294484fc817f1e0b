package live

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/directory"
)

// Board is what there is at a moment, and what there was so far today: agents,
// contacts that wait, calls, chats. It holds instants, not lengths of time, so that it
// serves for later moments too until something happens. It is shared: nobody changes it.
type Board struct {
	Moment
	AgentBoard

	Waiting   []WaitRow  // that wait now, in no order
	Today     []CallRow  // calls of today, and those that go on; in no order
	Answered  []Answered // parties of agents, established today; in no order
	ActiveNow int        // calls that go on

	set        Settings
	facts      *Facts
	directory  *directory.Directory
	validUntil int64 // Unix ms: before it, and not before Now, all this holds
	rows       map[string]*Row
	chats      []openChat  // that go on or wait
	departures []departure // of the last hours, by when they left the queue
	endings    []*Chat     // that were abandoned or switched, by their end
	handled    map[string]int
}

// Waiting is a contact in a queue.
type WaitRow struct {
	ID         string // callID or chatId
	Media      string // call, chat
	Queue      string
	Since      int64  // Unix ms
	GroupID    string // of the event, else of the queue in the directory; "" none
	Group      string // its name, else its id
	Department string
	AgentUUID  string // to whom it is routed; "" nobody
	Agent      *Row   // the same, when the board has it
	Strategy   string
	CallType   int64 // 1 internal, 2 inbound, 3 outbound, 0 unknown
	Campaign   string
	DID        string
	Ringing    bool // at an agent
	Customer   string
	Visitor    string
	Identity   string // contactIdentityId
}

// CallRow is a call of which events or its main record tell.
type CallRow struct {
	ID        string
	At        int64 // Unix ms, its earliest time
	Today     bool  // that lies in today
	Live      bool  // it goes on
	Direction int64 // 1 internal, 2 inbound, 3 outbound, 0 unknown
	DID       string
	Agents    []*Row
}

// Answered is a party of an agent that was established.
type Answered struct {
	Agent     *Row
	Call      string
	At        int64 // Unix ms, its earliest time
	Direction int64 // 1 internal, 2 inbound, 3 outbound, 0 unknown
	DID       string

	began int64 // while it lasts: when it was established
	talk  int64 // s, when it does not
}

// Seconds that the party has been talking so far.
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
	agent      string // handler
	bot        bool
	department string
}

// departure is a chat that left the queue.
type departure struct {
	at, wait   int64
	department string
}

// NewBoard makes the board of a moment.
func NewBoard(m Moment, s *Facts, set Settings, d *directory.Directory) *Board {
	set = set.filled()
	p := &Board{
		Moment: m, AgentBoard: NewAgentBoard(m, set.StaleCall, s.Agents, s.Calls, d), set: set, facts: s, directory: d,
		validUntil: m.To, rows: map[string]*Row{}, handled: map[string]int{},
	}
	p.Waiting = make([]WaitRow, 0, s.waiting())
	for i := range p.Rows {
		p.rows[p.Rows[i].Key] = &p.Rows[i]
	}
	p.Today, p.Answered = make([]CallRow, 0, len(s.Calls)), make([]Answered, 0, len(s.Calls))
	one := make([]*Row, len(s.Calls)) // room for the agents of each call
	for i, c := range s.Calls {
		p.addCall(c, one[i:i:i+1])
	}
	for _, c := range s.Chats {
		p.addChat(c)
	}
	slices.SortFunc(p.departures, func(a, b departure) int { return cmp.Compare(a.at, b.at) })
	slices.SortFunc(p.endings, func(a, b *Chat) int { return cmp.Compare(a.summary().ended.At, b.summary().ended.At) })
	return p
}

// waiting is how many contacts are in a queue, or were when their
// events stopped: room for them is made at once.
func (s *Facts) waiting() (n int) {
	for _, c := range s.Calls {
		if runningWait(c.waits()) != nil {
			n++
		}
	}
	for _, c := range s.Chats {
		if runningWait(c.summary().waits) != nil {
			n++
		}
	}
	return n
}

// Row of an agent by its key; nil: the board does not have it.
func (p *Board) Row(key string) *Row { return p.rows[key] }

// Directory is what the board was made with.
func (p *Board) Directory() *directory.Directory { return p.directory }

// expires at a moment that is to come.
func (p *Board) expires(at int64) {
	if at > p.Now {
		p.validUntil = min(p.validUntil, at)
	}
}

func (p *Board) today(at int64) bool { return at > 0 && at >= p.From && at < p.To }

func (p *Board) addCall(c *Call, agents []*Row) {
	over := c.over()
	if !over {
		p.expires(c.Latest + p.set.StaleCall)
	}
	goesOn := c.Live(p.Now, p.set.StaleCall)
	if goesOn {
		p.ActiveNow++
	}
	if wait := c.currentWait(); wait != nil && !over && p.Now-c.Latest < p.set.StaleCall {
		w := p.waitRow(wait)
		if w.CallType == 0 {
			w.CallType = c.Direction()
		}
		for _, leg := range c.parties() {
			if work, _ := leg.state(Open); work == 6 && goesOn && !leg.released() && leg.agent() != "" && leg.Role != "Customer" {
				w.Ringing = true
			}
		}
		p.Waiting = append(p.Waiting, w)
	}
	row := CallRow{ID: c.ID, Live: goesOn, Direction: c.Direction(), DID: c.Gateway(), Agents: agents}
	if c.Known {
		row.At = c.First
	}
	if c.Main != nil {
		row.At = earliest(row.At, c.Main.Start)
	}
	row.Today = (c.Known || c.Main != nil) && p.today(row.At)
	counts := row.Today || goesOn
	for _, leg := range c.parties() {
		agent := p.rows[leg.agent()]
		if counts && leg.ofAgent() {
			row.add(agent)
		}
		if agent != nil {
			p.addParty(c, leg, agent, &row)
		}
	}
	if !counts {
		return
	}
	if c.Main != nil && c.Main.FirstAgent != "" {
		row.add(p.rows[AgentKey(c.Main.FirstAgent, "")])
	}
	p.Today = append(p.Today, row)
}

func (r *CallRow) add(agent *Row) {
	if agent != nil && !slices.Contains(r.Agents, agent) {
		r.Agents = append(r.Agents, agent)
	}
}

// ofAgent says whether the party is one of people who take calls.
func (p *Party) ofAgent() bool {
	switch p.Role {
	case "Customer", "VirtualAgent", "ThirdPSTN":
		return false
	}
	return p.agent() != "" && (p.CDR == nil || p.CDR.Role == 2)
}

func (p *Board) addParty(c *Call, leg *Party, agent *Row, of *CallRow) {
	if leg.Answered == 0 && (leg.CDR == nil || leg.CDR.Result != 3) || !leg.counts() {
		return
	}
	at := leg.First
	if leg.CDR != nil {
		at = earliest(at, leg.CDR.Start)
	}
	if !p.today(at) {
		return
	}
	a := Answered{Agent: agent, Call: c.ID, At: at, Direction: leg.direction(of.Direction), DID: of.DID}
	switch {
	case leg.CDR != nil:
		a.talk = leg.CDR.Talk
	case of.Live && !leg.released():
		a.began = leg.Answered
	default:
		a.talk = max(0, leg.end(c)-leg.Answered) / 1000
	}
	p.Answered = append(p.Answered, a)
}

// direction of a party: what its record says, else its events, else that of the call.
func (p *Party) direction(call int64) int64 {
	switch {
	case p.CDR != nil && p.CDR.Type >= 1 && p.CDR.Type <= 3:
		return p.CDR.Type
	case p.Dir.Some:
		return int64(p.Dir.Text[0] - '0')
	}
	return call
}

// waitRow is a wait as the board shows it.
func (p *Board) waitRow(s *Wait) WaitRow {
	w := WaitRow{
		ID: s.Contact, Media: s.Media, Queue: s.Queue, Since: s.At, GroupID: s.Group, Department: s.Department, AgentUUID: s.Agent,
		Strategy: s.Strategy, Campaign: s.Campaign, DID: s.Gateway, Customer: s.Customer, Visitor: s.Visitor, Identity: s.Identity,
	}
	if s.CallType >= 1 && s.CallType <= 3 {
		w.CallType = s.CallType
	}
	if q := p.directory.Queue(s.Queue); q != nil {
		w.GroupID, w.Strategy = cmp.Or(w.GroupID, q.GroupID), cmp.Or(w.Strategy, q.Strategy)
	}
	w.Group = w.GroupID
	if g := p.directory.Group(w.GroupID); g != nil && g.Name != "" {
		w.Group = g.Name
	}
	w.Agent = p.rows[AgentKey(s.Agent, "")]
	return w
}

func (p *Board) addChat(c *Chat) {
	t := c.summary()
	latest := max(t.latest, c.Queue.latest())
	p.expires(latest + p.set.StaleCall)
	p.expires(t.latest + p.set.StaleChat)
	if wait := runningWait(t.waits); wait != nil && t.ended == nil && p.Now-latest < p.set.StaleCall {
		p.Waiting = append(p.Waiting, p.waitRow(wait))
	}
	if at, left := c.leftQueue(); left {
		p.departures = append(p.departures, departure{at, max(0, at-t.requested.At), c.Department(at)})
	}
	if t.ended != nil && (t.ended.Reason == Abandoned || t.ended.Reason == Switched) {
		p.endings = append(p.endings, c)
	}
	state := c.State(p.Now, p.set.StaleChat)
	if state != ChatWaiting && state != ChatOngoing {
		return
	}
	for i := range t.transfers {
		p.expires(t.transfers[i].At)
	}
	o := openChat{Chat: c, state: state, department: c.Department(p.Now)}
	if state == ChatOngoing {
		if o.agent, o.bot = c.Handler(); !o.bot {
			p.handled[o.agent]++
		}
	}
	p.chats = append(p.chats, o)
}

// QueueCounts are the figures of what waits, with those of the agents, calls and
// talks that were picked. Times are whole seconds, means rounded half up, 0 for none.
type QueueCounts struct {
	OnBreak, OnCall, Web, Agents int
	Waiting                      int
	// What is among those that wait, each once, by code point.
	Groups, AgentNames, States []string // States: Waiting, Ringing
	Campaigns, Waits, Numbers  []string // Waits: 0-30, 31-60, 61+ (whole seconds)
	// In percent of those that wait.
	Strategies, Types map[string]int64 // Types: Inbound, Outbound

	TotalCalls, ActiveCalls                   int   // of today; that go on
	WaitTime, TalkTime, HandleTime, BreakTime int64 // TC, AC: above; WT, AT, AHT, ABT
}

// Pick says what is counted; nil: all of it.
type Pick struct {
	Agent    func(*Row) bool
	Waiting  func(*WaitRow) bool
	Call     func(*CallRow) bool
	Answered func(*Answered) bool
}

// CountQueue counts the calls that wait, and what was picked of agents, calls and
// talks.
func (p *Board) CountQueue(now int64, pick Pick) QueueCounts {
	c := QueueCounts{Strategies: map[string]int64{}, Types: map[string]int64{}}
	var wrapUp, breaks, breakTime int64
	for i := range p.Rows {
		r := &p.Rows[i]
		if pick.Agent != nil && !pick.Agent(r) {
			continue
		}
		c.Agents++
		if r.OnBreak() {
			c.OnBreak++
		}
		if r.Work == 5 || r.Work == 7 || r.Work == 8 {
			c.OnCall++
		}
		if r.OnWeb() {
			c.Web++
		}
		stretches := p.facts.Stretches[r.Key]
		wrapUp += sumStretches(stretches, p.From, min(now, p.To), func(s State) bool { return s.Work == 4 && s.LoggedIn() })
		n, ms := countBreaks(stretches, p.From, min(now, p.To))
		breaks, breakTime = breaks+n, breakTime+ms
	}
	c.BreakTime = mean(breakTime, breaks)
	c.waiting(p, now, pick.Waiting)
	for i := range p.Today {
		if call := &p.Today[i]; pick.Call == nil || pick.Call(call) {
			if call.Today {
				c.TotalCalls++
			}
			if call.Live {
				c.ActiveCalls++
			}
		}
	}
	var talks, talk int64
	for i := range p.Answered {
		if a := &p.Answered[i]; pick.Answered == nil || pick.Answered(a) {
			talks++
			talk += a.Seconds(now)
		}
	}
	c.TalkTime, c.HandleTime = mean(1000*talk, talks), mean(1000*talk+wrapUp, talks)
	return c
}

func (c *QueueCounts) waiting(p *Board, now int64, pick func(*WaitRow) bool) {
	groups, agents, states, campaigns, waits, numbers := set{}, set{}, set{}, set{}, set{}, set{}
	var sum int64
	for i := range p.Waiting {
		w := &p.Waiting[i]
		if w.Media != "call" || pick != nil && !pick(w) {
			continue
		}
		c.Waiting++
		ms := max(0, now-w.Since)
		sum += ms
		groups.add(w.Group)
		campaigns.add(w.Campaign)
		numbers.add(w.DID)
		agents.add(w.AgentName())
		states.add(w.State())
		waits.add(waitBucket(ms / 1000))
		if w.Strategy != "" {
			c.Strategies[w.Strategy]++
		}
		switch w.CallType {
		case 2:
			c.Types["Inbound"]++
		case 3:
			c.Types["Outbound"]++
		}
	}
	c.WaitTime = mean(sum, int64(c.Waiting))
	c.Groups, c.AgentNames, c.States, c.Campaigns, c.Waits, c.Numbers = groups.sorted(), agents.sorted(), states.sorted(), campaigns.sorted(), waits.sorted(), numbers.sorted()
	for _, share := range []map[string]int64{c.Strategies, c.Types} {
		for k, n := range share {
			share[k] = (200*n + int64(c.Waiting)) / (2 * int64(c.Waiting))
		}
	}
}

// AgentName is the name of the agent to whom a contact is routed, else its number.
func (w *WaitRow) AgentName() string {
	if w.Agent == nil {
		return w.AgentUUID
	}
	return cmp.Or(w.Agent.Name, w.Agent.AgentID, w.Agent.UUID)
}

// State is Ringing or Waiting.
func (w *WaitRow) State() string {
	if w.Ringing {
		return "Ringing"
	}
	return "Waiting"
}

// Bucket of the time waited so far.
func (w *WaitRow) Bucket(now int64) string { return waitBucket(max(0, now-w.Since) / 1000) }

func waitBucket(s int64) string {
	switch {
	case s <= 30:
		return "0-30"
	case s <= 60:
		return "31-60"
	}
	return "61+"
}

// OnWeb says whether the agent is logged in with a browser.
func (r *Row) OnWeb() bool {
	return r.LoggedIn() && (r.ClientType == "Web" || r.ClientType == "Unknown" && r.PhoneType <= 1)
}

// Talks of an agent today so far: how many, and their seconds.
func (p *Board) Talks(now int64) map[*Row]struct{ Count, Seconds int64 } {
	all := map[*Row]struct{ Count, Seconds int64 }{}
	for i := range p.Answered {
		a := &p.Answered[i]
		n := all[a.Agent]
		n.Count++
		n.Seconds += a.Seconds(now)
		all[a.Agent] = n
	}
	return all
}

// set of texts that are not empty.
type set map[string]bool

func (s set) add(v string) {
	if v != "" {
		s[v] = true
	}
}

func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// mean of a sum of ms over n, in whole seconds, rounded half up.
func mean(ms, n int64) int64 {
	if n == 0 {
		return 0
	}
	return (2*ms + 1000*n) / (2000 * n)
}

// cut of a stretch to from <= t < to; negative: it is outside.
func (s *Stretch) cut(from, to int64) int64 { return min(s.End, to) - max(s.Start, from) }

// sumStretches is the time within from and to for which an agent's state is one of some, ms.
func sumStretches(all []Stretch, from, to int64, of func(State) bool) (ms int64) {
	for i := range all {
		if n := all[i].cut(from, to); n > 0 && of(all[i].State) {
			ms += n
		}
	}
	return ms
}

// countBreaks within from and to, and their time there. One break may be several
// stretches: the reason changes, or the work status.
func countBreaks(all []Stretch, from, to int64) (n, ms int64) {
	within := false
	for i := range all {
		on := all[i].OnBreak()
		if cut := all[i].cut(from, to); on && cut > 0 {
			ms += cut
			if !within {
				n++
			}
			within = true
		} else if !on {
			within = false
		}
	}
	return n, ms
}
