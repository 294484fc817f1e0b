package live

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sort"

	"github.com/hookline/hookline/hub/record"
)

const minute = 60_000 // ms

// ChatCounts is what chats are like now.
type ChatCounts struct {
	AgentsInChat                int
	Ongoing, WithAgent, WithBot int
	Waiting                     int
	Visitors                    int // on the site
	LoggedIn                    int // agents

	// Utilization is open chats divided by the chat limits of the logged-in agents,
	// leaving out agents without a limit.
	Utilization float64
}

// CountChats counts the chats, agents and visitors of now.
func (b *Board) CountChats(now int64) (c ChatCounts) {
	for i := range b.chats {
		switch o := &b.chats[i]; {
		case o.state == ChatWaiting:
			c.Waiting++
		case o.bot:
			c.WithBot++
		default:
			c.WithAgent++
		}
	}
	c.Ongoing = c.WithAgent + c.WithBot

	var taken, limits int64 // of the agents with a limit
	for i := range b.Rows {
		r := &b.Rows[i]
		chats := b.Ongoing(r)
		if chats > 0 {
			c.AgentsInChat++
		}
		if !r.LoggedIn() {
			continue
		}
		c.LoggedIn++
		if limit := r.MaxChats(); limit >= 0 {
			taken += int64(chats)
			limits += limit
		}
	}
	c.Utilization = share(taken, limits)

	// Visitors are sorted by when they arrived: those of long ago are gone.
	gone := sort.Search(len(b.facts.Visitors), func(i int) bool { return b.facts.Visitors[i] > now-StaleVisitor })
	c.Visitors = len(b.facts.Visitors) - gone
	return c
}

// ChatQueue is the queue of a department, or of the chats that are in no department.
type ChatQueue struct {
	Department string // its id; "" for no department
	Ongoing    int
	Waiting    []WaitingChat // the longest wait first

	// Mean wait, ms, of the chats that left the queue in the last 30 and 60 min, accepted
	// or not.
	Wait30, Wait60 int64

	Abandoned, Switched int // in the last 30 min
}

// WaitingChat is a visitor that waits.
type WaitingChat struct {
	ID, Visitor, Identity string
	Since                 int64 // Unix ms
}

// ChatQueues returns the queues of now: first that of no department, then, by id, those of
// the directory's departments and of others that have a figure which is not 0.
func (b *Board) ChatQueues(now int64) []ChatQueue {
	all := map[string]*ChatQueue{"": {}}
	queue := func(department string) *ChatQueue {
		if all[department] == nil {
			all[department] = &ChatQueue{Department: department}
		}
		return all[department]
	}
	for _, d := range b.directory.Departments() {
		queue(d.DepartmentID)
	}

	// Chats that go on or wait.
	for i := range b.chats {
		o := &b.chats[i]
		q := queue(o.department)
		if o.state == ChatOngoing {
			q.Ongoing++
			continue
		}
		r := o.summary().requested
		q.Waiting = append(q.Waiting, WaitingChat{ID: o.ID, Visitor: r.Visitor, Identity: r.Identity, Since: r.At})
	}

	// Chats that left the queue.
	last30, last60 := b.waitsSince(now-30*minute, now), b.waitsSince(now-60*minute, now)
	for department, of := range last60 {
		q := queue(department)
		q.Wait30 = last30[department].mean()
		q.Wait60 = of.mean()
	}
	for i := len(b.endings) - 1; i >= 0 && b.endings[i].summary().end.At > now-30*minute; i-- {
		end := b.endings[i].summary().end
		if end.At > now {
			continue
		}
		q := queue(b.endings[i].Department(end.At))
		if end.Reason == Abandoned {
			q.Abandoned++
		} else {
			q.Switched++
		}
	}

	list := make([]ChatQueue, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		q := all[id]
		slices.SortFunc(q.Waiting, func(x, y WaitingChat) int {
			return cmp.Or(cmp.Compare(x.Since, y.Since), cmp.Compare(x.ID, y.ID))
		})
		if id == "" || b.directory.Department(id) != nil || !q.empty() {
			list = append(list, *q)
		}
	}
	return list
}

// empty reports whether all figures are 0.
func (q *ChatQueue) empty() bool {
	return q.Ongoing+len(q.Waiting)+q.Abandoned+q.Switched == 0 && q.Wait30+q.Wait60 == 0
}

// waitSum is a sum of waits, ms, and their number.
type waitSum struct{ sum, n int64 }

func (w waitSum) mean() int64 { return meanMS(w.sum, w.n) }

// waitsSince sums the waits of the chats that left the queue in since < t <= now, by
// department.
func (b *Board) waitsSince(since, now int64) map[string]waitSum {
	all := map[string]waitSum{}
	for i := len(b.departures) - 1; i >= 0 && b.departures[i].at > since; i-- {
		d := &b.departures[i]
		if d.at > now {
			continue
		}
		w := all[d.department]
		w.sum += d.wait
		w.n++
		all[d.department] = w
	}
	return all
}

// MaxChats returns how many chats the logged-in agents can have at a time, leaving out
// agents without a limit.
func (b *Board) MaxChats() (n int64) {
	for i := range b.Rows {
		if r := &b.Rows[i]; r.LoggedIn() && r.MaxChats() >= 0 {
			n += r.MaxChats()
		}
	}
	return n
}

// Ongoing returns how many chats an agent handles now.
func (b *Board) Ongoing(r *Row) int { return b.handled[r.Key] }

// Window is a time From <= t < To, Unix ms, cut at Now.
type Window struct {
	From, To int64
	Now      int64
}

// has reports whether an instant lies in the window; now itself does.
func (w Window) has(at int64) bool { return at >= w.From && at < w.To && at <= w.Now }

// end returns the end of what lies in the window.
func (w Window) end() int64 { return min(w.To, w.Now) }

// Length returns the length in ms; 0 if the window is empty.
func (w Window) Length() int64 { return max(0, w.end()-w.From) }

// AgentChats is what chats an agent had in a window.
type AgentChats struct {
	Accepted int   // distinct chats
	Time     int64 // ms with at least one chat
}

// Tally adds up what happened in a window, chat by chat and stretch by stretch, in any
// order.
type Tally struct {
	Window

	// Stale is after how many ms without an event a chat counts as over.
	Stale int64
	// Status names the group of a state, for Statuses; nil: none are counted.
	Status func(record.State) string

	day               ChatDay
	waits             waitSum
	talks, talked     int64
	replies, response int64
	scores            map[float64]int64 // how often each was given
	visitors          set
	accepted          map[string]int    // by agent
	spells            map[string]*cover // by agent
	online            cover
	logged            int64
	statuses          map[string]map[string]int64 // by agent and group
}

// AddChat adds a chat that may have something in the window.
func (t *Tally) AddChat(c *Chat) {
	s := c.summary()
	if s.requested != nil && t.has(s.requested.At) {
		t.addRequest(s)
	}

	// Who accepted it: each agent once.
	if t.spells == nil {
		t.spells = map[string]*cover{}
		t.accepted = map[string]int{}
	}
	var counted []string
	for i := range s.accepts {
		a := &s.accepts[i]
		agent := handler(a)
		if !a.Bot && t.has(a.At) && !slices.Contains(counted, agent) {
			counted = append(counted, agent)
			t.accepted[agent]++
		}
	}

	// For how long each agent had it.
	for i := range s.spells {
		of := &s.spells[i]
		from := max(of.from, t.From)
		to := min(c.end(of, t.Now, t.Stale), t.end())
		if of.agent == "" || from >= to {
			continue
		}
		if t.spells[of.agent] == nil {
			t.spells[of.agent] = &cover{}
		}
		t.spells[of.agent].add(from, to)
	}
}

// addRequest adds what became of a chat that was requested in the window.
func (t *Tally) addRequest(s *chatSummary) {
	d := &t.day
	d.Requests++
	if s.requested.Invited {
		d.Invited++
	}

	// Who accepted it.
	left := int64(-1) // when it left the queue, in a way that ends a wait
	if len(s.accepts) > 0 {
		d.Total++
		left = s.accepts[0].At
	}
	if s.byAgent {
		d.Chats++
		if t.visitors == nil {
			t.visitors = set{}
		}
		t.visitors.add(s.requested.Visitor)
	} else if s.missed {
		d.Missed++
	}

	// How it ended.
	if e := s.end; e != nil {
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
		t.waits.n++
		t.waits.sum += max(0, left-s.requested.At)
	}

	for i := range s.transfers {
		d.Transfers++
		if s.transfers[i].ToDepartment != "" {
			d.DepartmentTransfers++
		}
	}
	if s.score > 0 {
		if t.scores == nil {
			t.scores = map[float64]int64{}
		}
		t.scores[s.score]++
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

// Of returns the chats of an agent, by its key.
func (t *Tally) Of(agent string) AgentChats {
	n := AgentChats{Accepted: t.accepted[agent]}
	if c := t.spells[agent]; c != nil {
		n.Time = c.length()
	}
	return n
}

// Statuses returns the time of an agent in each group, ms; groups without time are left
// out.
func (t *Tally) Statuses(agent string) map[string]int64 { return t.statuses[agent] }

// Day returns what became of the chats that were requested in the window.
func (t *Tally) Day() ChatDay {
	d := t.day
	d.AcceptanceRate = share(d.Chats, d.Requests)
	d.UniqueRate = share(int64(len(t.visitors)), d.Chats)
	d.WaitTime = share(t.waits.sum, 1000*t.waits.n)
	d.ChatTime = share(t.talked, 1000*t.talks)
	d.ResponseTime = share(t.response, 1000*t.replies)
	d.Rating = t.rating()

	chatting := int64(0)
	for agent := range t.spells {
		chatting += t.Of(agent).Time
	}
	d.Accessibility = share(t.online.length(), t.Length())
	d.Utilization = share(chatting, t.logged)
	return d
}

// rating returns the mean of the scores; 0: there are none. They are added by size: a sum
// of floats depends on its order, and chats come in any.
func (t *Tally) rating() float64 {
	sum, n := 0.0, int64(0)
	for _, score := range slices.Sorted(maps.Keys(t.scores)) {
		sum += score * float64(t.scores[score])
		n += t.scores[score]
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// Tally adds up a window of a tenant: from the facts of its board, if they go back that
// far, else from the store. For status see Tally.Status.
func (b *Boards) Tally(ctx context.Context, tenant int64, board *Board, w Window, status func(record.State) string) (*Tally, error) {
	t := &Tally{Window: w, Stale: board.set.StaleChat, Status: status}
	facts := board.facts
	if w.From >= facts.Since {
		for _, c := range facts.Chats {
			t.AddChat(c)
		}
		for agent, stretches := range facts.Stretches {
			for _, s := range stretches {
				t.AddStretch(agent, s)
			}
		}
		return t, nil
	}

	if w.Length() == 0 {
		return t, nil
	}
	// A chat that went on in the window had its last event before it was stale.
	if err := b.Facts.EachChat(ctx, tenant, min(w.From, w.Now-t.Stale), w.end()+1, t.AddChat); err != nil {
		return nil, err
	}
	if err := b.Facts.EachStretch(ctx, tenant, w.From, w.end(), t.AddStretch); err != nil {
		return nil, err
	}
	return t, nil
}

// cover is the time that intervals cover together, Unix ms.
type cover struct {
	all   [][2]int64
	limit int // above it intervals are merged before another is added
}

func (c *cover) add(from, to int64) {
	if len(c.all) >= max(c.limit, 1024) {
		c.merge()
		c.limit = 2 * len(c.all)
	}
	c.all = append(c.all, [2]int64{from, to})
}

// merge makes one interval of those that touch.
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

// share returns a part of a whole; 0 of nothing.
func share(of, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(of) / float64(whole)
}

// meanMS returns a mean in whole ms, rounded half up; 0 of nothing.
func meanMS(sum, n int64) int64 {
	if n == 0 {
		return 0
	}
	return (2*sum + n) / (2 * n)
}
