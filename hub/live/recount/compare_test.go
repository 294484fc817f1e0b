package recount

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

// compare holds a board against the recount, figure by figure.
func (r *recount) compare(t *testing.T, what string, boards *live.Boards, board *live.Board) {
	t.Helper()
	rows := r.rows()
	compareAgents(t, what, board, rows, r.now)
	require.Equal(t, r.queueCounts(rows), board.CountQueue(r.now, live.Pick{}), what)
	require.Equal(t, r.skills(rows), skillsOf(board, r.now), what)
	require.Equal(t, r.chatQueues(), board.ChatQueues(r.now), what)
	r.compareRouted(t, what, board, rows)
	want, maxChats := r.chatCounts(rows)
	require.Equal(t, want, board.CountChats(r.now), what)
	require.Equal(t, maxChats, board.MaxChats(), what)

	// Windows: all of today so far, the last hour without its last ten minutes,
	// and all there is.
	for _, w := range []live.Window{
		{From: board.From, To: r.now + second, Now: r.now},
		{From: r.now - hour, To: r.now - 600*second, Now: r.now},
		{From: noon - 40*hour, To: r.now + hour, Now: r.now},
	} {
		r.compareWindow(t, fmt.Sprintf("%s: %+v", what, w), boards, board, rows, w)
	}
}

func compareAgents(t *testing.T, what string, board *live.Board, rows map[string]*agentRow, now int64) {
	t.Helper()
	require.Len(t, board.Rows, len(rows), what)
	talks := board.Talks(now)
	for key, want := range rows {
		row := board.Row(key)
		require.NotNil(t, row, "%s: %s", what, key)
		got := agentRow{
			status:      status{row.Login, row.Reason, row.Work},
			hasStatuses: row.Statuses,

			loginSince: row.LoginAt, reasonSince: row.ReasonAt, workSince: row.WorkAt,
			loggedInSince: row.LoggedAt, readySince: row.ReadyAt,

			callID: row.CallID, customer: row.Number, callType: row.CallType, callSince: row.CallSince,

			parties:  row.Parties,
			chats:    board.Ongoing(row),
			counters: row.Counters,
			talks:    talks[row].Count, talkSeconds: talks[row].Seconds,

			// Of these the board says means only: queueCounts holds them.
			wrapUpTime: want.wrapUpTime, breaks: want.breaks, breaksTime: want.breaksTime,
		}
		require.Equal(t, *want, got, "%s: %s", what, key)
	}
}

// queueCounts returns the figures of the calls that wait, and of the agents.
func (r *recount) queueCounts(rows map[string]*agentRow) live.QueueCounts {
	counts := live.QueueCounts{Agents: len(rows), Strategies: map[string]int64{}, Types: map[string]int64{}}
	r.countAgents(&counts, rows)

	lists := lists{}
	waited := int64(0)
	for _, c := range r.calls {
		if r.inProgress(c) {
			counts.ActiveCalls++
		}
		if at := c.firstTime(); r.today(at) {
			counts.TotalCalls++
		}
		if r.waiting(c.waits, c.over(), c.lastEvent) {
			waited += r.countWaiting(&counts, lists, c)
		}
	}
	lists.sort()

	n := int64(counts.Waiting)
	counts.WaitTime = meanHalfUp(waited, n, 1000)
	for _, shares := range []map[string]int64{counts.Strategies, counts.Types} {
		for name, calls := range shares {
			shares[name] = meanHalfUp(100*calls, n, 1) // percent
		}
	}
	return counts
}

// countAgents counts who does what, and the mean times of today.
func (r *recount) countAgents(counts *live.QueueCounts, rows map[string]*agentRow) {
	var wrapUpTime, breaks, breaksTime, talks, talkSeconds int64
	for key, row := range rows {
		if row.onBreak() {
			counts.OnBreak++
		}
		if row.work == 5 || row.work == 7 || row.work == 8 {
			counts.OnCall++
		}
		if agent, listed := r.agents[key[1:]]; row.loggedIn() && (!listed || agent.web) {
			counts.Web++
		}
		wrapUpTime += row.wrapUpTime
		breaks += row.breaks
		breaksTime += row.breaksTime
		talks += row.talks
		talkSeconds += row.talkSeconds
	}
	counts.BreakTime = meanHalfUp(breaksTime, breaks, 1000)
	counts.TalkTime = meanHalfUp(1000*talkSeconds, talks, 1000)
	counts.HandleTime = meanHalfUp(1000*talkSeconds+wrapUpTime, talks, 1000)
}

// lists collect texts, each once.
type lists map[*[]string]map[string]bool

func (l lists) add(to *[]string, text string) {
	if text == "" {
		return
	}
	if l[to] == nil {
		l[to] = map[string]bool{}
	}
	l[to][text] = true
}

func (l lists) sort() {
	for to, texts := range l {
		*to = slices.Sorted(maps.Keys(texts))
	}
}

// countWaiting counts a call that waits, and returns how long it has, in ms.
func (r *recount) countWaiting(counts *live.QueueCounts, lists lists, c *call) (waited int64) {
	w := lastOf(c.waits)
	counts.Waiting++
	waited = max(0, r.now-w.at)
	lists.add(&counts.Campaigns, w.text("campaignId"))
	lists.add(&counts.Numbers, w.text("gatewayNumber"))

	// What the event does not say of its queue the directory does.
	queue := r.queues[w.text("queueId")]
	group := cmp.Or(w.text("groupId"), queue.group)
	if group == "g0" {
		group = groupName
	}
	lists.add(&counts.Groups, group)
	if strategy := cmp.Or(w.text("strategy"), queue.strategy); strategy != "" {
		counts.Strategies[strategy]++
	}

	switch seconds := waited / 1000; {
	case seconds <= 30:
		lists.add(&counts.Waits, "0-30")
	case seconds <= 60:
		lists.add(&counts.Waits, "31-60")
	default:
		lists.add(&counts.Waits, "61+")
	}
	switch cmp.Or(w.number("callType"), c.direction()) {
	case inbound:
		counts.Types["Inbound"]++
	case outbound:
		counts.Types["Outbound"]++
	}
	return waited
}

// skills returns what waits in each queue, and the room that its agents have.
func (r *recount) skills(rows map[string]*agentRow) map[string]live.Skill {
	all := map[string]live.Skill{}
	for id, media := range r.queueMedia() {
		s := live.Skill{ID: id, MaxWait: -1}

		count := func(waits []wait, over bool, latest int64) {
			if w := lastOf(waits); r.waiting(waits, over, latest) && w.text("queueId") == id {
				s.Waiting++
				s.MaxWait = max(s.MaxWait, 0, r.now-w.at)
			}
		}
		for _, c := range r.calls {
			count(c.waits, c.over(), c.lastEvent)
		}
		for _, c := range r.chats {
			count(c.waits, c.first("chat.ended") != nil, max(c.lastEvent, r.lastQueueEvent(c)))
		}

		unlimited := false
		for uuid, agent := range r.agents {
			row := rows[keyOf(uuid)]
			busy := row.login != 1 || media == "call" && row.work != 1
			if !slices.Contains(agent.queues, id) || busy {
				continue
			}
			unlimited = unlimited || agent.maxChats == -1
			s.Slots += max(0, agent.maxChats-int64(row.chats)-row.parties)
		}
		if unlimited {
			s.Slots = 1
		}
		all[id] = s
	}
	return all
}

// queueMedia returns the queues that events or the directory name, and what waits
// in them: as the directory says, else the earliest event.
func (r *recount) queueMedia() map[string]string {
	media, firstAt := map[string]string{}, map[string]int64{}
	for _, e := range r.log {
		id := e.text("queueId")
		if id != "" && (media[id] == "" || e.at <= firstAt[id]) {
			media[id] = e.text("media")
			firstAt[id] = e.at
		}
	}
	for id, queue := range r.queues {
		media[id] = cmp.Or(queue.media, media[id], "chat")
	}
	return media
}

func skillsOf(board *live.Board, now int64) map[string]live.Skill {
	all := map[string]live.Skill{}
	for id, s := range board.Skills(now) {
		all[id] = *s
	}
	return all
}

// chatQueues returns the chats by department: those of the directory, and those
// that have something to show.
func (r *recount) chatQueues() (all []live.ChatQueue) {
	departments := append([]string{"", unlistedDepartment}, r.departments...)
	slices.Sort(departments)
	for _, id := range departments {
		q := live.ChatQueue{Department: id}
		var waits [2]int64 // how many left the queue in the last half hour, and hour
		var waited [2]int64
		for chatID, c := range r.chats {
			r.countChat(&q, chatID, c)
			left, ms := c.leftQueue()
			if left < 0 || left > r.now || c.departmentAt(left) != id {
				continue
			}
			for i, last := range []int64{hour / 2, hour} {
				if left > r.now-last {
					waits[i]++
					waited[i] += ms
				}
			}
		}
		q.Wait30 = meanHalfUp(waited[0], waits[0], 1)
		q.Wait60 = meanHalfUp(waited[1], waits[1], 1)
		slices.SortFunc(q.Waiting, func(a, b live.WaitingChat) int {
			return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID))
		})

		empty := q.Ongoing+len(q.Waiting)+q.Abandoned+q.Switched == 0 && q.Wait30+q.Wait60 == 0
		if id != unlistedDepartment || !empty {
			all = append(all, q)
		}
	}
	return all
}

// countChat counts a chat in a department's queue, if it is there.
func (r *recount) countChat(q *live.ChatQueue, id string, c *chat) {
	if c.departmentAt(r.now) == q.Department {
		switch r.chatState(c) {
		case chatOngoing:
			q.Ongoing++
		case chatWaiting:
			asked := c.first("chat.requested")
			q.Waiting = append(q.Waiting, live.WaitingChat{
				ID: id, Visitor: asked.text("visitorId"), Identity: asked.text("contactIdentityId"), Since: asked.at,
			})
		}
	}

	ended := c.first("chat.ended")
	if ended == nil || ended.at > r.now || ended.at <= r.now-hour/2 || c.departmentAt(ended.at) != q.Department {
		return
	}
	switch ended.text("reason") {
	case "abandoned":
		q.Abandoned++
	case "switched_to_message":
		q.Switched++
	}
}

// leftQueue returns when a chat that was asked for was accepted, or else ended,
// and how long it had waited, in ms; -1 when it has not left the queue.
func (c *chat) leftQueue() (at, waited int64) {
	asked, accepts, ended := c.first("chat.requested"), c.accepts(), c.first("chat.ended")
	switch {
	case asked == nil:
		return -1, 0
	case len(accepts) > 0:
		at = accepts[0].at
	case ended != nil:
		at = ended.at
	default:
		return -1, 0
	}
	return at, max(0, at-asked.at)
}

// chatCounts returns the figures of all chats now, and how many the logged-in
// agents can have.
func (r *recount) chatCounts(rows map[string]*agentRow) (counts live.ChatCounts, maxChats int64) {
	for _, c := range r.chats {
		switch state := r.chatState(c); {
		case state == chatWaiting:
			counts.Waiting++
		case state == chatOngoing && c.handler() == "bot":
			counts.Ongoing++
			counts.WithBot++
		case state == chatOngoing:
			counts.Ongoing++
			counts.WithAgent++
		}
	}

	// An agent that the directory does not list can have one chat.
	chats := int64(0)
	for key, row := range rows {
		if row.chats > 0 {
			counts.AgentsInChat++
		}
		if !row.loggedIn() {
			continue
		}
		counts.LoggedIn++
		most := int64(1)
		if agent, listed := r.agents[key[1:]]; listed {
			most = agent.maxChats
		}
		if most >= 0 {
			chats += int64(row.chats)
			maxChats += most
		}
	}
	counts.Utilization = share(float64(chats), float64(maxChats))
	counts.Visitors = r.visitors()
	return counts, maxChats
}

// visitors returns how many are on the site: they arrived within a day, and have
// not left since.
func (r *recount) visitors() (n int) {
	latest := map[string]entry{}
	for _, e := range r.log {
		if e.typ != "visitor.arrived" && e.typ != "visitor.left" {
			continue
		}
		id := e.text("visitorId")
		last, seen := latest[id]
		if !seen || e.at > last.at || e.at == last.at && e.typ == "visitor.left" {
			latest[id] = e
		}
	}
	for _, e := range latest {
		if e.typ == "visitor.arrived" && r.now-e.at < 24*hour {
			n++
		}
	}
	return n
}

// compareWindow holds what happened within a window against the recount.
func (r *recount) compareWindow(t *testing.T, what string, boards *live.Boards, board *live.Board,
	rows map[string]*agentRow, w live.Window,
) {
	t.Helper()
	byLogin := func(s record.State) string { return fmt.Sprint(s.Login) }
	tally, err := boards.Tally(t.Context(), tenant, board, w, byLogin)
	require.NoError(t, err)
	require.Equal(t, r.chatDay(w), tally.Day(), what)

	agentChats := r.agentChats(w)
	for key := range rows {
		require.Equal(t, agentChats[key], tally.Of(key), "%s: %s", what, key)

		want := map[string]int64{}
		for _, s := range r.history(key) {
			if ms := s.within(w.From, min(w.To, w.Now)); ms > 0 {
				want[fmt.Sprint(s.login)] += ms
			}
		}
		got := tally.Statuses(key)
		require.Len(t, got, len(want), "%s: %s", what, key)
		for login, ms := range want {
			require.Equal(t, ms, got[login], "%s: %s %s", what, key, login)
		}
	}
}
