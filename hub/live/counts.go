package live

import (
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/record"
)

// QueueCounts are the figures of calls that wait, and of the agents, calls and talks that
// were picked. Times are whole seconds; means are rounded half up, and 0 of nothing.
type QueueCounts struct {
	OnBreak, OnCall, Web, Agents int
	Waiting                      int

	// What is among the calls that wait, each value once, by code point.
	Groups, Campaigns, Waits, Numbers []string // Waits: 0-30, 31-60, 61+ (whole seconds)

	// How many of them there are, in percent of those that wait.
	Strategies, Types map[string]int64 // Types: Inbound, Outbound

	TotalCalls  int   // TC: calls of today
	ActiveCalls int   // AC: calls that go on
	WaitTime    int64 // WT: mean, so far
	TalkTime    int64 // AT: mean
	HandleTime  int64 // AHT: mean, with after-call work
	BreakTime   int64 // ABT: mean
}

// Pick says what is counted; a nil function picks all.
type Pick struct {
	Agent    func(*Row) bool
	Waiting  func(*WaitRow) bool
	Call     func(*CallRow) bool
	Answered func(*Answered) bool
}

// picks reports whether a function of a Pick takes a value.
func picks[T any](pick func(*T) bool, v *T) bool { return pick == nil || pick(v) }

// CountQueue counts the calls that wait, and what was picked of agents, calls and talks.
func (b *Board) CountQueue(now int64, pick Pick) QueueCounts {
	c := QueueCounts{Strategies: map[string]int64{}, Types: map[string]int64{}}
	afterWork := c.countAgents(b, now, pick.Agent)
	c.countWaiting(b, now, pick.Waiting)

	for i := range b.Today {
		call := &b.Today[i]
		if !picks(pick.Call, call) {
			continue
		}
		if call.Today {
			c.TotalCalls++
		}
		if call.Live {
			c.ActiveCalls++
		}
	}

	var talks, talked int64
	for i := range b.Answered {
		if a := &b.Answered[i]; picks(pick.Answered, a) {
			talks++
			talked += a.Seconds(now)
		}
	}
	c.TalkTime = mean(1000*talked, talks)
	c.HandleTime = mean(1000*talked+afterWork, talks)
	return c
}

// countAgents counts agents, and returns the time of their after-call work of today, ms.
func (c *QueueCounts) countAgents(b *Board, now int64, pick func(*Row) bool) (afterWork int64) {
	to := min(now, b.To)
	var breaks, breakTime int64
	for i := range b.Rows {
		r := &b.Rows[i]
		if !picks(pick, r) {
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

		stretches := b.facts.Stretches[r.Key]
		afterWork += sumStretches(stretches, b.From, to, func(s record.State) bool { return s.Work == 4 && s.LoggedIn() })
		n, ms := countBreaks(stretches, b.From, to)
		breaks += n
		breakTime += ms
	}
	c.BreakTime = mean(breakTime, breaks)
	return afterWork
}

// countWaiting counts the calls that wait.
func (c *QueueCounts) countWaiting(b *Board, now int64, pick func(*WaitRow) bool) {
	groups, campaigns, waits, numbers := set{}, set{}, set{}, set{}
	var waited int64
	for i := range b.Waiting {
		w := &b.Waiting[i]
		if w.Media != "call" || !picks(pick, w) {
			continue
		}

		c.Waiting++
		waited += max(0, now-w.Since)
		groups.add(w.Group)
		campaigns.add(w.Campaign)
		waits.add(w.Bucket(now))
		numbers.add(w.DID)
		if w.Strategy != "" {
			c.Strategies[w.Strategy]++
		}
		switch w.CallType {
		case record.Inbound:
			c.Types["Inbound"]++
		case record.Outbound:
			c.Types["Outbound"]++
		}
	}

	c.WaitTime = mean(waited, int64(c.Waiting))
	c.Groups = groups.sorted()
	c.Campaigns = campaigns.sorted()
	c.Waits = waits.sorted()
	c.Numbers = numbers.sorted()

	// From numbers of contacts to percent of them, rounded half up.
	whole := int64(c.Waiting)
	for _, share := range []map[string]int64{c.Strategies, c.Types} {
		for k, n := range share {
			share[k] = (200*n + whole) / (2 * whole)
		}
	}
}

// Bucket returns the bucket of the time waited so far.
func (w *WaitRow) Bucket(now int64) string {
	seconds := max(0, now-w.Since) / 1000
	switch {
	case seconds <= 30:
		return "0-30"
	case seconds <= 60:
		return "31-60"
	}
	return "61+"
}

// OnWeb reports whether the agent is logged in with a browser.
func (r *Row) OnWeb() bool {
	return r.LoggedIn() && (r.ClientType == "Web" || r.ClientType == "Unknown" && r.PhoneType <= 1)
}

// Talks returns how many talks each agent had today so far, and their seconds.
func (b *Board) Talks(now int64) map[*Row]struct{ Count, Seconds int64 } {
	all := map[*Row]struct{ Count, Seconds int64 }{}
	for i := range b.Answered {
		a := &b.Answered[i]
		n := all[a.Agent]
		n.Count++
		n.Seconds += a.Seconds(now)
		all[a.Agent] = n
	}
	return all
}

// set is a set of texts that are not empty.
type set map[string]bool

func (s set) add(v string) {
	if v != "" {
		s[v] = true
	}
}

// sorted returns the texts by code point; nil: there are none.
func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// mean returns the mean of a sum of ms over n, in whole seconds, rounded half up.
func mean(ms, n int64) int64 {
	if n == 0 {
		return 0
	}
	return (2*ms + 1000*n) / (2000 * n)
}

// cut returns how much of a stretch lies in from <= t < to; negative: it is outside.
func (s *Stretch) cut(from, to int64) int64 { return min(s.End, to) - max(s.Start, from) }

// sumStretches returns for how many ms, within from and to, an agent's state is one that
// of accepts.
func sumStretches(all []Stretch, from, to int64, of func(record.State) bool) (ms int64) {
	for i := range all {
		if n := all[i].cut(from, to); n > 0 && of(all[i].State) {
			ms += n
		}
	}
	return ms
}

// countBreaks counts the breaks within from and to, and their ms there. One break may be
// several stretches: the reason changes, or the work status.
func countBreaks(all []Stretch, from, to int64) (n, ms int64) {
	within := false
	for i := range all {
		onBreak := all[i].OnBreak()
		cut := all[i].cut(from, to)
		switch {
		case !onBreak:
			within = false
		case cut > 0:
			ms += cut
			if !within {
				n++
			}
			within = true
		}
	}
	return n, ms
}
