package folds_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

var boardRounds = flag.Int("board.rounds", 1, "how many random histories TestBoardsEqualRecount plays on each store")

const (
	boardNow = 1_700_020_800_000 // 2023-11-15 12:00 in Singapore
	aSecond  = 1000
	anHour   = 3600 * aSecond
)

// Whatever is told, in whatever order, each figure is that of a naive recount:
// while it is told, at later moments, after a restart and after a rebuild.
func TestBoardsEqualRecount(t *testing.T) { storetest.Each(t, testBoardsEqualRecount) }

func testBoardsEqualRecount(t *testing.T) {
	for range *boardRounds {
		playBoards(t, rand.Uint64())
	}
}

func playBoards(t *testing.T, seed uint64) {
	db, ctx := withTenants(t), t.Context()
	rng := rand.New(rand.NewPCG(seed, 1))
	book := &directory.Book{}
	n := listBoards(book)
	f := storage.NewFolds(db.DB)
	boards := &live.Boards{Facts: f, Directory: book.Of}
	check := func(what string, now int64) {
		t.Helper()
		p, err := boards.At(ctx, 1, now, time.FixedZone("", 8*3600))
		require.NoError(t, err)
		n.now, n.from, n.to = now, p.From, p.To
		n.read()
		compareBoards(t, fmt.Sprintf("seed %d, %s, now %d", seed, what, now-boardNow), boards, p, n)
	}
	tell := func(some []tale) {
		n.told = append(n.told, some...)
		var events []*event.Event
		for _, e := range some {
			typ, known := event.ParseType(e.typ)
			require.True(t, known, e.typ)
			raw, err := json.Marshal(e.b)
			require.NoError(t, err)
			events = append(events, &event.Event{Tenant: 1, Type: typ, OrderKey: "x", OccurredAt: e.at, Body: raw})
		}
		for some := range slices.Chunk(events, 7) { // one after the other: they arrive in this order
			_, err := db.Accept(ctx, some)
			require.NoError(t, err)
		}
	}
	for step := range 12 {
		var some []tale
		for range 1 + rng.IntN(40) {
			if len(n.told) > 0 && rng.IntN(6) == 0 { // what was told is told again, also with another body
				some = append(some, again(rng, n.told[rng.IntN(len(n.told))]))
				continue
			}
			some = append(some, invent(rng))
		}
		tell(some)
		check(fmt.Sprint("step ", step), boardNow+rng.Int64N(60)*aSecond)
	}
	later := []int64{0, 1, 40 * 60 * aSecond, 11 * anHour, 12 * anHour, 13*anHour + 500, 23 * anHour, 26 * anHour, -2 * anHour}
	for _, after := range later {
		check("later", boardNow+after)
	}
	require.NoError(t, f.Rebuild(ctx, 1))
	check("rebuilt", boardNow)
	db = openAgain(t, &db)
	f = storage.NewFolds(db.DB)
	boards.Facts = f
	for _, after := range later {
		check("another life", boardNow+after)
	}
	var waits []string
	last := int64(0)
	require.NoError(t, f.EachWait(ctx, 1, boardNow-40*anHour, boardNow+2*anHour, func(w live.Wait) error {
		require.GreaterOrEqual(t, w.At, last)
		last = w.At
		waits = append(waits, fmt.Sprint(w.Media, " ", w.Contact, " ", w.Queue, " ", w.At, " ", w.EndsAt, " ", w.Outcome))
		return nil
	}))
	slices.Sort(waits)
	require.Equal(t, n.overWaits(), waits)
	n.retain(t, &db, f)
	check("old ones are gone", boardNow)
}

// retain has all bodies taken away: boards know nothing any more.
func (n *naiveBoards) retain(t *testing.T, db *store, f *folds.Folds) {
	t.Helper()
	db.exec(t, "INSERT INTO retention (tenant, payload) VALUES (1, 4611686018427387904)")
	require.NoError(t, f.Trim(t.Context()))
	for _, table := range []string{"live_calls", "live_chats", "live_visitors", "seen_queues", "waits", "agent_calls", "seen_agents", "agent_statuses", "agent_stretches"} {
		require.Zero(t, db.count(t, table+" WHERE tenant = 1"), table)
	}
	n.told = nil
}

// overWaits are the waits that are over, apart from those that are so because
// nothing is heard.
func (n *naiveBoards) overWaits() (all []string) {
	add := func(media, id string, stays []naiveStay, over bool, at int64) {
		for _, s := range stays {
			switch {
			case s.ended:
				all = append(all, fmt.Sprint(media, " ", id, " ", s.s("queueId"), " ", s.at, " ", s.end, " ", s.with))
			case over:
				all = append(all, fmt.Sprint(media, " ", id, " ", s.s("queueId"), " ", s.at, " ", max(s.at, at), " "))
			}
		}
	}
	for id, c := range n.calls {
		add("call", id, c.stays, c.over(), n.callEnd(c))
	}
	for id, c := range n.chats {
		at, e := int64(0), c.first("chat.ended")
		if e != nil {
			at = e.at
		}
		add("chat", id, c.stays, e != nil, at)
	}
	slices.Sort(all)
	return all
}

func listBoards(book *directory.Book) *naiveBoards {
	var changes []directory.Change
	add := func(o directory.Object) {
		changes = append(changes, directory.Change{Tenant: 1, Version: int64(len(changes) + 1), Kind: o.Kind(), Key: o.Key(), Object: o})
	}
	n := &naiveBoards{
		listed: map[string]naiveAgent{
			"a0": {[]string{"d0"}, []string{"q0", "q1"}, 3, true},
			"a1": {nil, []string{"q0", "q1", "q2"}, 1, false},
			"a2": {[]string{"d1"}, []string{"q2"}, -1, true},
			"a5": {nil, nil, 2, true}, // nobody else speaks of it
		},
		queues:      map[string]naiveQueue{"q0": {"call", "g0", "Round Robin"}, "q3": {"", "g1", ""}},
		departments: []string{"d0", "d1"}, staleC: 12 * anHour, staleH: 24 * anHour,
	}
	for id, a := range n.listed {
		client := "Android"
		if a.web {
			client = "Web"
		}
		add(&directory.Agent{AgentUUID: id, AgentID: "9" + id, DepartmentIDs: a.departments, QueueIDs: a.queues, MaxConcurrentChats: int(a.most), ClientType: client})
	}
	for id, q := range n.queues {
		add(&directory.Queue{QueueID: id, Media: q.media, GroupID: q.group, Strategy: q.strategy})
	}
	for _, d := range n.departments {
		add(&directory.Department{DepartmentID: d})
	}
	add(&directory.Group{GroupID: "g0", Name: "Sales"})
	book.Apply(changes)
	return n
}

// timeFields of bodies.
var timeFields = []string{"startTime", "at", "enteredAt", "leftAt", "creationTime"}

// invent an event. Ids and times are few, so that they meet.
func invent(rng *rand.Rand) tale {
	at := boardNow - rng.Int64N(3*anHour)
	switch rng.IntN(10) {
	case 0:
		at = boardNow - rng.Int64N(30*anHour)
	case 1:
		at = boardNow + rng.Int64N(anHour)
	}
	at -= at % 250
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	e := tale{at: at, b: map[string]any{}}
	maybe := func(name string, v any) {
		if rng.IntN(3) > 0 {
			e.b[name] = v
		}
	}
	agent := func() {
		if a := pick("a0", "a1", "a2", "a3", "7"); a == "7" {
			e.b["agentID"] = a
		} else {
			e.b["agentUUID"] = a
		}
	}
	call := rng.IntN(6)
	e.b["callID"] = fmt.Sprint("c", call)
	switch rng.IntN(14) {
	case 0, 1:
		e.typ = "agent.status"
		delete(e.b, "callID")
		agent()
		if e.s("agentUUID") == "a3" { // who never tells
			e.b["agentUUID"] = "a0"
		}
		e.b["startTime"] = at
		maybe("creationTime", at+rng.Int64N(3))
		maybe("loginStatus", []int64{0, 1, 1, 2, 98}[rng.IntN(5)])
		maybe("notReadyStatus", []int64{0, 1, 11, 12}[rng.IntN(4)])
		maybe("workStatus", []int64{0, 1, 1, 4, 5, 6, 7, 8}[rng.IntN(8)])
		if rng.IntN(3) == 0 {
			e.b["callID"], e.b["callType"] = fmt.Sprint("c", call), 1+rng.Int64N(3)
		}
	case 2, 3, 4, 5, 6:
		e.typ = "call." + pick("ringing", "dialing", "established", "established", "released", "held", "retrieved", "created", "dtmf_sent")
		if rng.IntN(30) == 0 {
			e.typ = "call.deleted"
		}
		maybe("callType", pick("Inbound", "Outbound", "Inbound", "Internal", "Consult"))
		inviteParty(rng, &e, call)
		maybe("ANI", fmt.Sprint("13", call))
		maybe("DNIS", fmt.Sprint("010", call))
	case 7:
		e.typ = "cdr.party"
		e.b["partyId"] = fmt.Sprint("p", rng.IntN(3))
		e.b["startTime"], e.b["endTime"], e.b["duration"] = at, at+rng.Int64N(100)*aSecond, rng.Int64N(50)
		maybe("callType", 1+rng.Int64N(3))
		maybe("callResult", 1+rng.Int64N(3))
		if rng.IntN(3) == 0 {
			e.b["agentRole"], e.b["dialType"] = []int64{2, 4}[rng.IntN(2)], 1+rng.Int64N(4)
		}
		if rng.IntN(2) == 0 {
			agent()
		}
	case 8:
		if rng.IntN(2) == 0 {
			return invent(rng) // fewer of them, or all calls are over
		}
		e.typ = "cdr." + pick("call", "call", "call", "bot_call", "bot_party")
		e.b["startTime"] = at
		maybe("endTime", at+rng.Int64N(100)*aSecond)
		switch e.typ {
		case "cdr.bot_party":
			e.b["partyId"] = fmt.Sprint("p", rng.IntN(3))
		case "cdr.call":
			maybe("callType", 1+rng.Int64N(3))
			maybe("callResult", []int64{1, 2, 3, 8, 21}[rng.IntN(5)])
			maybe("firstCallAgentUUID", pick("a0", "a1", "a3"))
			maybe("customerNumber", "137")
			maybe("gatewayNumber", "400")
		}
	case 9, 10:
		delete(e.b, "callID")
		e.b["contactId"], e.b["media"], e.b["queueId"] = fmt.Sprint("c", call), "call", fmt.Sprint("q", rng.IntN(5))
		if rng.IntN(3) == 0 {
			e.b["contactId"], e.b["media"] = fmt.Sprint("h", rng.IntN(8)), "chat"
		}
		e.typ, e.b["leftAt"] = "queue.left", at
		maybe("outcome", pick("answered", "abandoned"))
		if rng.IntN(5) > 1 {
			e.typ, e.b["enteredAt"] = "queue.entered", at
			delete(e.b, "leftAt")
			delete(e.b, "outcome")
			maybe("groupId", pick("g0", "g9"))
			maybe("strategy", pick("Least Recent", "Round Robin"))
			maybe("campaignId", pick("k1", "k2"))
			maybe("gatewayNumber", pick("400", "401"))
			maybe("callType", 1+rng.Int64N(3))
			maybe("customerNumber", "139")
		}
		if rng.IntN(3) == 0 {
			e.b["agentUUID"] = pick("a0", "a3")
		}
	case 11, 12:
		inventChat(rng, &e)
	default:
		delete(e.b, "callID")
		e.typ = pick("visitor.arrived", "visitor.left")
		e.b["visitorId"], e.b["at"] = fmt.Sprint("v", rng.IntN(5)), at
	}
	return e
}

// inviteParty to a call: each of its parties has the same agent all along.
func inviteParty(rng *rand.Rand, e *tale, call int) {
	who := rng.IntN(4)
	uuid := fmt.Sprint("a", (call+who)%4)
	switch who {
	case 0:
		e.b["partyID"], e.b["partyRole"] = "p0", "Customer"
		return
	case 3:
		if rng.IntN(2) == 0 {
			return // of the call only
		}
		e.b["agentUUID"] = uuid // who has no party with an id
	default:
		e.b["agentUUID"], e.b["thisDN"] = uuid, "dn"+uuid
		switch rng.IntN(6) {
		case 0: // only its agent says whose it is, or its number
			delete(e.b, "thisDN")
			return
		default:
			e.b["partyID"] = fmt.Sprint("p", who)
		}
	}
	if rng.IntN(2) == 0 {
		e.b["partyRole"] = "Agent"
	}
}

func inventChat(rng *rand.Rand, e *tale) {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	delete(e.b, "callID")
	e.b["chatId"], e.b["at"] = fmt.Sprint("h", rng.IntN(8)), e.at
	e.typ = "chat." + pick("requested", "requested", "accepted", "accepted", "transferred", "missed", "ended", "rated")
	switch e.typ {
	case "chat.requested":
		e.b["departmentId"] = pick("d0", "d1", "d2", "")
		e.b["visitorId"], e.b["contactIdentityId"], e.b["invited"] = pick("v0", "v1", ""), "ci", rng.IntN(2) == 0
	case "chat.accepted":
		e.b["handledBy"] = pick("agent", "agent", "bot", "")
		e.b["agentUUID"] = pick("a0", "a1", "a3")
	case "chat.transferred":
		if rng.IntN(2) == 0 {
			e.b["toAgentUUID"] = "a1"
		} else {
			e.b["toDepartmentId"] = "d1"
		}
	case "chat.missed":
		e.b["agentUUID"] = pick("a0", "a1")
	case "chat.ended":
		e.b["reason"] = pick("closed", "abandoned", "switched_to_message", "")
		e.b["agentReplies"], e.b["agentResponseMs"] = rng.Int64N(5), rng.Int64N(9000)
	case "chat.rated":
		e.b["score"] = rng.Int64N(7)
	}
}

// again tells what was told, now and then with another body, or at another time.
func again(rng *rand.Rand, e tale) tale {
	e.b = maps.Clone(e.b)
	switch rng.IntN(4) {
	case 0:
		shift := (rng.Int64N(9) - 4) * 250
		for _, name := range timeFields {
			if v, there := e.b[name]; there {
				e.b[name] = v.(int64) + shift
			}
		}
		e.at += shift
	case 1:
		for name, v := range map[string]any{"departmentId": "d1", "handledBy": "agent", "reason": "abandoned", "groupId": "g0", "score": int64(3), "workStatus": int64(7), "callResult": int64(3)} {
			if _, there := e.b[name]; there {
				e.b[name] = v
			}
		}
	}
	return e
}

func compareBoards(t *testing.T, what string, boards *live.Boards, p *live.Board, n *naiveBoards) {
	t.Helper()
	rows := n.rows()
	require.Len(t, p.Rows, len(rows), what)
	talks := p.Talks(n.now)
	for key, want := range rows {
		r := p.Row(key)
		require.NotNil(t, r, "%s: %s", what, key)
		got := naiveRow{
			state: r.State, loginAt: r.LoginAt, reasonAt: r.ReasonAt, workAt: r.WorkAt, loggedAt: r.LoggedAt, readyAt: r.ReadyAt,
			callID: r.CallID, number: r.Number, callType: r.CallType, callSince: r.CallSince, parties: r.Parties,
			chats: p.Ongoing(r), counters: r.Counters, talks: talks[r].Count, talk: talks[r].Seconds,
			wrapUp: want.wrapUp, breaks: want.breaks, breakTime: want.breakTime, real: r.Statuses,
		}
		require.Equal(t, *want, got, "%s: %s", what, key)
	}
	n.compareQueue(t, what, p, rows)
	n.compareSkills(t, what, p, rows)
	n.compareChats(t, what, p, rows)
	for _, w := range []live.Window{
		{From: p.From, To: n.now + aSecond, Now: n.now},
		{From: n.now - anHour, To: n.now - 600*aSecond, Now: n.now},
		{From: boardNow - 40*anHour, To: n.now + anHour, Now: n.now},
	} {
		tally, err := boards.Tally(t.Context(), 1, p, w, func(s live.State) string { return fmt.Sprint(s.Login) })
		require.NoError(t, err)
		want, got := n.day(w), tally.Day()
		require.Equal(t, want, got, "%s: %+v", what, w)
		times := n.chatTimes(w)
		for key := range rows {
			require.Equal(t, times[key], tally.Of(key), "%s: %s %+v", what, key, w)
			statuses := map[string]int64{}
			for _, h := range n.history(key) {
				if ms := min(h.to, w.To, w.Now) - max(h.from, w.From); ms > 0 {
					statuses[fmt.Sprint(h.Login)] += ms
				}
			}
			require.Equal(t, len(statuses), len(tally.Statuses(key)), "%s: %s", what, key)
			for id, ms := range statuses {
				require.Equal(t, ms, tally.Statuses(key)[id], "%s: %s %s", what, key, id)
			}
		}
	}
}

func (n *naiveBoards) compareQueue(t *testing.T, what string, p *live.Board, rows map[string]*naiveRow) {
	t.Helper()
	want := live.QueueCounts{Agents: len(rows), Strategies: map[string]int64{}, Types: map[string]int64{}}
	var wrapUp, breaks, breakTime, talks, talk, waited int64
	for key, r := range rows {
		s := r.state
		if naiveBreak(s) {
			want.OnBreak++
		}
		if s.Work == 5 || s.Work == 7 || s.Work == 8 {
			want.OnCall++
		}
		if a, there := n.listed[key[1:]]; naiveLogged(s) && (!there || a.web) {
			want.Web++
		}
		wrapUp, breaks, breakTime, talks, talk = wrapUp+r.wrapUp, breaks+r.breaks, breakTime+r.breakTime, talks+r.talks, talk+r.talk
	}
	seen := map[*[]string]map[string]bool{}
	add := func(to *[]string, v string) {
		if v != "" {
			if seen[to] == nil {
				seen[to] = map[string]bool{}
			}
			seen[to][v] = true
		}
	}
	for _, c := range n.calls {
		if n.live(c) {
			want.ActiveCalls++
		}
		at := int64(0)
		if len(c.events) > 0 {
			at = c.events[0].at
		}
		if c.main != nil && c.main.n("startTime") > 0 && (at == 0 || c.main.n("startTime") < at) {
			at = c.main.n("startTime")
		}
		if at >= n.from && at < n.to {
			want.TotalCalls++
		}
		if !n.waits(c.stays, c.over(), c.latest) {
			continue
		}
		s := c.stays[len(c.stays)-1]
		want.Waiting++
		ms := max(0, n.now-s.at)
		waited += ms
		q := n.queues[s.s("queueId")]
		group := cmp.Or(s.s("groupId"), q.group)
		if group == "g0" {
			group = "Sales"
		}
		add(&want.Groups, group)
		if uuid := s.s("agentUUID"); uuid != "" {
			if _, listed := n.listed[uuid]; listed {
				uuid = "9" + uuid
			}
			add(&want.AgentNames, uuid)
		}
		add(&want.Campaigns, s.s("campaignId"))
		add(&want.Numbers, s.s("gatewayNumber"))
		state := "Waiting"
		for _, leg := range c.parties {
			if work, _ := leg.state(live.Open); work == 6 && n.live(c) && !leg.released() && leg.agent() != "" && leg.role() != "Customer" {
				state = "Ringing"
			}
		}
		add(&want.States, state)
		switch secs := ms / 1000; {
		case secs <= 30:
			add(&want.Waits, "0-30")
		case secs <= 60:
			add(&want.Waits, "31-60")
		default:
			add(&want.Waits, "61+")
		}
		if st := cmp.Or(s.s("strategy"), q.strategy); st != "" {
			want.Strategies[st]++
		}
		switch cmp.Or(s.n("callType"), c.direction()) {
		case 2:
			want.Types["Inbound"]++
		case 3:
			want.Types["Outbound"]++
		}
	}
	for to, of := range seen {
		*to = slices.Sorted(maps.Keys(of))
	}
	for _, m := range []map[string]int64{want.Strategies, want.Types} {
		for k, v := range m {
			m[k] = halfUp(100*v, int64(want.Waiting), 1)
		}
	}
	want.WaitTime, want.BreakTime = halfUp(waited, int64(want.Waiting), 1000), halfUp(breakTime, breaks, 1000)
	want.TalkTime, want.HandleTime = halfUp(1000*talk, talks, 1000), halfUp(1000*talk+wrapUp, talks, 1000)
	require.Equal(t, want, p.CountQueue(n.now, live.Pick{}), what)
}

func (n *naiveBoards) compareSkills(t *testing.T, what string, p *live.Board, rows map[string]*naiveRow) {
	t.Helper()
	media, at := map[string]string{}, map[string]int64{}
	for i := range n.told {
		e := &n.told[i]
		if id := e.s("queueId"); id != "" && (media[id] == "" || e.at <= at[id]) {
			media[id], at[id] = e.s("media"), e.at
		}
	}
	for id, q := range n.queues {
		media[id] = cmp.Or(q.media, media[id], "chat")
	}
	want := map[string]live.Skill{}
	for id := range media {
		s := live.Skill{ID: id, MaxWait: -1}
		count := func(stays []naiveStay, over bool, latest int64) {
			if n.waits(stays, over, latest) && stays[len(stays)-1].s("queueId") == id {
				s.Waiting++
				s.MaxWait = max(s.MaxWait, 0, n.now-stays[len(stays)-1].at)
			}
		}
		for _, c := range n.calls {
			count(c.stays, c.over(), c.latest)
		}
		for _, c := range n.chats {
			latest := c.latest
			for i := range c.stays {
				latest = max(latest, c.stays[i].at, c.stays[i].end)
			}
			count(c.stays, c.first("chat.ended") != nil, max(latest, n.lastQueued(c)))
		}
		unlimited := false
		for uuid, a := range n.listed {
			r := rows["u"+uuid]
			if !slices.Contains(a.queues, id) || r.state.Login != 1 || media[id] == "call" && r.state.Work != 1 {
				continue
			}
			unlimited = unlimited || a.most == -1
			s.Slots += max(0, a.most-int64(r.chats)-r.parties)
		}
		if unlimited {
			s.Slots = 1
		}
		want[id] = s
	}
	got := map[string]live.Skill{}
	for id, s := range p.Skills(n.now) {
		got[id] = *s
	}
	require.Equal(t, want, got, what)
}

// lastQueued is the latest queue event of a chat, also one that means nothing.
func (n *naiveBoards) lastQueued(c *naiveChat) (at int64) {
	for i := range n.told {
		if e := &n.told[i]; e.s("media") == "chat" && n.chats[e.s("contactId")] == c {
			at = max(at, e.at)
		}
	}
	return at
}

func (n *naiveBoards) compareChats(t *testing.T, what string, p *live.Board, rows map[string]*naiveRow) {
	t.Helper()
	var want live.ChatCounts
	var queues []live.ChatQueue
	ids := append([]string{"", "d2"}, n.departments...)
	slices.Sort(ids)
	for _, id := range ids {
		q := live.ChatQueue{Department: id}
		var sums, counts [2]int64
		for chat, c := range n.chats {
			if state := n.chatState(c); c.department(n.now) == id {
				switch {
				case state == live.ChatOngoing:
					q.Ongoing++
				case state == live.ChatWaiting:
					r := c.first("chat.requested")
					q.Waiting = append(q.Waiting, live.WaitingChat{ID: chat, Visitor: r.s("visitorId"), Identity: r.s("contactIdentityId"), Since: r.at})
				}
			}
			asked, accepts, ended := c.first("chat.requested"), c.accepts(), c.first("chat.ended")
			left := int64(-1)
			if len(accepts) > 0 {
				left = accepts[0].at
			} else if ended != nil {
				left = ended.at
			}
			if asked != nil && left >= 0 && c.department(left) == id && left <= n.now {
				for i, within := range []int64{1800 * aSecond, anHour} {
					if left > n.now-within {
						sums[i] += max(0, left-asked.at)
						counts[i]++
					}
				}
			}
			if ended != nil && ended.at > n.now-1800*aSecond && ended.at <= n.now && c.department(ended.at) == id {
				switch ended.s("reason") {
				case "abandoned":
					q.Abandoned++
				case "switched_to_message":
					q.Switched++
				}
			}
		}
		q.Wait30, q.Wait60 = halfUp(sums[0], counts[0], 1), halfUp(sums[1], counts[1], 1)
		slices.SortFunc(q.Waiting, func(a, b live.WaitingChat) int { return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID)) })
		want.Ongoing += q.Ongoing
		want.Waiting += len(q.Waiting)
		if id != "d2" || q.Ongoing+len(q.Waiting)+q.Abandoned+q.Switched > 0 || q.Wait30+q.Wait60 > 0 {
			queues = append(queues, q)
		}
	}
	require.Equal(t, queues, p.ChatQueues(n.now), what)
	for _, c := range n.chats {
		if n.chatState(c) == live.ChatOngoing && c.handler() == "bot" {
			want.WithBot++
		}
	}
	want.WithAgent = want.Ongoing - want.WithBot
	has, could := 0.0, 0.0
	for key, r := range rows {
		if r.chats > 0 {
			want.AgentsInChat++
		}
		most := int64(1)
		if a, there := n.listed[key[1:]]; there {
			most = a.most
		}
		if naiveLogged(r.state) {
			want.LoggedIn++
			if most >= 0 {
				has, could = has+float64(r.chats), could+float64(most)
			}
		}
	}
	want.Utilization = naiveShare(has, could)
	visitors := map[string]tale{}
	for _, e := range n.told {
		if id := e.s("visitorId"); e.typ == "visitor.arrived" || e.typ == "visitor.left" {
			if was, there := visitors[id]; !there || e.at > was.at || e.at == was.at && e.typ == "visitor.left" {
				visitors[id] = e
			}
		}
	}
	for _, e := range visitors {
		if e.typ == "visitor.arrived" && n.now-e.at < 24*anHour {
			want.Visitors++
		}
	}
	require.Equal(t, want, p.CountChats(n.now), what)
	require.EqualValues(t, could, p.MaxChats(), what)
}

// No question about a board, nor about windows of the past, reads a table from
// end to end.
func TestFactsPlans(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	e := &storetest.Explainer{DB: db.raw, T: t, Seen: map[string]bool{}, Sorts: true}
	require.NoError(t, folds.Snapshot{Snapshot: sqldb.Snapshot{Q: e}}.Boards(ctx, 1))
	require.Len(t, e.Seen, 13)
}
