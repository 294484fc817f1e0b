package live

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sort"
)

const minute = 60_000

// ChatCounts is what chats are like now.
type ChatCounts struct {
	AgentsInChat                int
	Ongoing, WithAgent, WithBot int
	Waiting                     int
	Visitors                    int // on the site
	LoggedIn                    int // agents
	// Utilization is the share of the chats that logged-in agents could have at a
	// time which they have; agents without a bound are left out.
	Utilization float64
}

// CountChats of now.
func (p *Board) CountChats(now int64) (c ChatCounts) {
	for i := range p.chats {
		switch o := &p.chats[i]; {
		case o.state == ChatWaiting:
			c.Waiting++
		case o.bot:
			c.WithBot++
		default:
			c.WithAgent++
		}
	}
	c.Ongoing = c.WithAgent + c.WithBot
	busy, could := int64(0), int64(0)
	for i := range p.Rows {
		r := &p.Rows[i]
		has := int64(p.handled[r.Key])
		if has > 0 {
			c.AgentsInChat++
		}
		if !r.LoggedIn() {
			continue
		}
		c.LoggedIn++
		if limit := r.MaxChats(); limit >= 0 {
			busy, could = busy+has, could+limit
		}
	}
	c.Utilization = share(busy, could)
	gone := sort.Search(len(p.facts.Visitors), func(i int) bool { return p.facts.Visitors[i] > now-StaleVisitor })
	c.Visitors = len(p.facts.Visitors) - gone
	return c
}

// ChatQueue is the queue of a department, or of the chats that are in none.
type ChatQueue struct {
	Department string // its id; "": none
	Ongoing    int
	Waiting    []WaitingChat // the longest wait first
	// Mean wait, ms, of those that left it in the last 30 and 60 min, accepted or not.
	Wait30, Wait60      int64
	Abandoned, Switched int // in the last 30 min
}

// WaitingChat is a visitor that waits.
type WaitingChat struct {
	ID, Visitor, Identity string
	Since                 int64 // Unix ms
}

// ChatQueues of now: first that of no department, then, by id, those of the
// directory's departments and of others where there is something to tell.
func (p *Board) ChatQueues(now int64) []ChatQueue {
	all := map[string]*ChatQueue{"": {}}
	of := func(id string) *ChatQueue {
		if all[id] == nil {
			all[id] = &ChatQueue{Department: id}
		}
		return all[id]
	}
	for _, d := range p.directory.Departments() {
		of(d.DepartmentID)
	}
	for i := range p.chats {
		o := &p.chats[i]
		if o.state == ChatOngoing {
			of(o.department).Ongoing++
			continue
		}
		r := o.summary().requested
		q := of(o.department)
		q.Waiting = append(q.Waiting, WaitingChat{o.ID, r.Visitor, r.Identity, r.At})
	}
	waits := map[string]*[2]struct{ sum, n int64 }{}
	for i := len(p.departures) - 1; i >= 0 && p.departures[i].at > now-60*minute; i-- {
		l := &p.departures[i]
		if l.at > now {
			continue
		}
		if waits[l.department] == nil {
			waits[l.department] = &[2]struct{ sum, n int64 }{}
		}
		for w, within := range []int64{30 * minute, 60 * minute} {
			if l.at > now-within {
				waits[l.department][w].sum += l.wait
				waits[l.department][w].n++
			}
		}
	}
	for id, w := range waits {
		q := all[id]
		if w[1].sum > 0 {
			q = of(id)
		}
		if q != nil {
			q.Wait30, q.Wait60 = meanMS(w[0].sum, w[0].n), meanMS(w[1].sum, w[1].n)
		}
	}
	for i := len(p.endings) - 1; i >= 0 && p.endings[i].summary().ended.At > now-30*minute; i-- {
		end := p.endings[i].summary().ended
		if end.At > now {
			continue
		}
		if q := of(p.endings[i].Department(end.At)); end.Reason == Abandoned {
			q.Abandoned++
		} else {
			q.Switched++
		}
	}
	list := make([]ChatQueue, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		q := all[id]
		slices.SortFunc(q.Waiting, func(a, b WaitingChat) int { return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID)) })
		if id == "" || p.directory.Department(id) != nil || q.Ongoing+len(q.Waiting)+q.Abandoned+q.Switched > 0 || q.Wait30+q.Wait60 > 0 {
			list = append(list, *q)
		}
	}
	return list
}

// MaxChats is how many chats the logged-in agents can have at a time, without
// those that have no bound.
func (p *Board) MaxChats() (n int64) {
	for i := range p.Rows {
		if r := &p.Rows[i]; r.LoggedIn() && r.MaxChats() >= 0 {
			n += r.MaxChats()
		}
	}
	return n
}

// Ongoing chats that an agent handles now.
func (p *Board) Ongoing(r *Row) int { return p.handled[r.Key] }

// Window of time: From <= t < To, cut at now.
type Window struct {
	From, To int64 // Unix ms
	Now      int64
}

// has an instant: now itself is in it.
func (w Window) has(at int64) bool { return at >= w.From && at < w.To && at <= w.Now }

// end of what lies in the window.
func (w Window) end() int64 { return min(w.To, w.Now) }

// Length in ms; 0: it is empty.
func (w Window) Length() int64 { return max(0, w.end()-w.From) }

// AgentChats is what chats an agent had in a window.
type AgentChats struct {
	Accepted int   // distinct chats
	Time     int64 // ms with at least one chat
}

// Tally adds up what happened in a window, chat by chat and stretch by stretch.
type Tally struct {
	Window

	// Stale is after how long without an event a chat is over, ms.
	Stale int64
	// Status makes a group of a state, for Statuses; nil: none are counted.
	Status func(State) string

	day                        ChatDay
	waits, wait, talks, talked int64
	replies, response          int64
	ratings                    int64
	rating                     float64
	visitors                   set
	accepted                   map[string]int
	spells                     map[string]*cover
	online                     cover
	logged                     int64
	statuses                   map[string]map[string]int64
}

// AddChat that has something in the window, or may have.
func (t *Tally) AddChat(c *Chat) {
	chat := c.summary()
	if chat.requested != nil && t.has(chat.requested.At) {
		t.request(chat)
	}
	if t.spells == nil {
		t.spells, t.accepted = map[string]*cover{}, map[string]int{}
	}
	var took []string
	for i := range chat.accepts {
		a := &chat.accepts[i]
		if agent := a.handler(); !a.Bot && t.has(a.At) && !slices.Contains(took, agent) {
			took = append(took, agent)
			t.accepted[agent]++
		}
	}
	for i := range chat.spells {
		s := &chat.spells[i]
		from, to := max(s.from, t.From), min(c.end(s, t.Now, t.Stale), t.end())
		if s.agent != "" && from < to {
			if t.spells[s.agent] == nil {
				t.spells[s.agent] = &cover{}
			}
			t.spells[s.agent].add(from, to)
		}
	}
}

// request adds a chat that was requested in the window.
func (t *Tally) request(chat *chatSummary) {
	d := &t.day
	d.Requests++
	if chat.requested.Invited {
		d.Invited++
	}
	left := int64(-1)
	if len(chat.accepts) > 0 {
		d.Total++
		left = chat.accepts[0].At
	}
	if chat.byAgent {
		d.Chats++
		if t.visitors == nil {
			t.visitors = set{}
		}
		t.visitors.add(chat.requested.Visitor)
	} else if chat.missed {
		d.Missed++
	}
	if e := chat.ended; e != nil {
		switch e.Reason {
		case Abandoned:
			d.Abandoned++
		case Switched:
			d.Switched++
		}
		switch {
		case left >= 0:
			t.talks++
			t.talked += max(0, e.At-left)
		case e.Reason == Abandoned || e.Reason == Switched:
			left = e.At
		}
		t.replies += e.Replies
		t.response += e.ResponseMS
	}
	if left >= 0 {
		t.waits++
		t.wait += max(0, left-chat.requested.At)
	}
	for i := range chat.transfers {
		d.Transfers++
		if chat.transfers[i].ToDepartment != "" {
			d.DepartmentTransfers++
		}
	}
	if chat.score > 0 {
		t.ratings++
		t.rating += chat.score
	}
}

// AddStretch adds a stretch of an agent.
func (t *Tally) AddStretch(agent string, s Stretch) {
	ms := s.cut(t.From, t.end())
	if ms <= 0 {
		return
	}
	if s.LoggedIn() {
		t.logged += ms
	}
	if s.Login == 1 {
		t.online.add(max(s.Start, t.From), min(s.End, t.end()))
	}
	if t.Status == nil {
		return
	}
	if t.statuses == nil {
		t.statuses = map[string]map[string]int64{}
	}
	if t.statuses[agent] == nil {
		t.statuses[agent] = map[string]int64{}
	}
	t.statuses[agent][t.Status(s.State)] += ms
}

// Of an agent, by its key.
func (t *Tally) Of(agent string) AgentChats {
	n := AgentChats{Accepted: t.accepted[agent]}
	if c := t.spells[agent]; c != nil {
		n.Time = c.length()
	}
	return n
}

// Statuses of an agent: the time of each group, ms, without those of no time.
func (t *Tally) Statuses(agent string) map[string]int64 { return t.statuses[agent] }

// Day of the chats that were requested in the window.
func (t *Tally) Day() ChatDay {
	d := t.day
	d.AcceptanceRate = share(d.Chats, d.Requests)
	d.UniqueRate = share(int64(len(t.visitors)), d.Chats)
	d.WaitTime, d.ChatTime = share(t.wait, 1000*t.waits), share(t.talked, 1000*t.talks)
	d.ResponseTime = share(t.response, 1000*t.replies)
	if t.ratings > 0 {
		d.Rating = t.rating / float64(t.ratings)
	}
	chatting := int64(0)
	for agent := range t.spells {
		chatting += t.Of(agent).Time
	}
	d.Accessibility = share(t.online.length(), t.Length())
	d.Utilization = share(chatting, t.logged)
	return d
}

// Tally of a window of a tenant whose board is p: from its facts, as far as they go
// back, else from the store. status: see Tally.Status.
func (b *Boards) Tally(ctx context.Context, tenant int64, p *Board, w Window, status func(State) string) (*Tally, error) {
	t := &Tally{Window: w, Stale: p.set.StaleChat, Status: status}
	if w.From >= p.facts.Since {
		for _, c := range p.facts.Chats {
			t.AddChat(c)
		}
		for agent, stretches := range p.facts.Stretches {
			for _, s := range stretches {
				t.AddStretch(agent, s)
			}
		}
		return t, nil
	}
	if w.Length() == 0 {
		return t, nil
	}
	// A chat that went on had its last event before it was stale.
	if err := b.Facts.EachChat(ctx, tenant, min(w.From, w.Now-t.Stale), w.end()+1, t.AddChat); err != nil {
		return nil, err
	}
	if err := b.Facts.EachStretch(ctx, tenant, w.From, w.end(), t.AddStretch); err != nil {
		return nil, err
	}
	return t, nil
}

// cover is the time that intervals cover together.
type cover struct {
	all   [][2]int64
	limit int
}

func (c *cover) add(from, to int64) {
	if len(c.all) >= max(c.limit, 1024) {
		c.merge()
		c.limit = 2 * len(c.all)
	}
	c.all = append(c.all, [2]int64{from, to})
}

// merge intervals that touch.
func (c *cover) merge() {
	slices.SortFunc(c.all, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	n := 0
	for _, i := range c.all {
		if n > 0 && i[0] <= c.all[n-1][1] {
			c.all[n-1][1] = max(c.all[n-1][1], i[1])
			continue
		}
		c.all[n] = i
		n++
	}
	c.all = c.all[:n]
}

func (c *cover) length() (ms int64) {
	c.merge()
	for _, i := range c.all {
		ms += i[1] - i[0]
	}
	return ms
}

// ChatDay is what became of the chats that were requested in a window. Rates are
// fractions, times seconds; what is divided by nothing is 0.
type ChatDay struct {
	Requests, Total, Chats             int64 // requested; accepted, also by a bot; accepted by an agent
	Abandoned, Switched, Missed        int64
	Invited                            int64 // visitors who accepted an invitation
	DepartmentTransfers, Transfers     int64
	AcceptanceRate, UniqueRate         float64
	WaitTime, ChatTime, ResponseTime   float64
	Accessibility, Utilization, Rating float64
}

// share of a whole; 0 of nothing.
func share(of, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(of) / float64(whole)
}

// meanMS is a mean in whole ms, rounded half up.
func meanMS(sum, n int64) int64 {
	if n == 0 {
		return 0
	}
	return (2*sum + n) / (2 * n)
}
