package folds_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// told is a status as it was sent.
type told struct {
	seq, start, created int64
	agent, id           string
	codes               [3]*int64
}

// naive stretches of what was told, in the order of a page: as the contract says
// it, one step after the other.
func naive(all []told) (out []live.AgentStretch) {
	byAgent := map[string]map[int64]told{}
	for _, s := range all { // in the order of arrival
		if byAgent[s.agent] == nil {
			byAgent[s.agent] = map[int64]told{}
		}
		if was, there := byAgent[s.agent][s.start]; !there || s.created >= was.created {
			byAgent[s.agent][s.start] = s
		}
	}
	for agent, statuses := range byAgent {
		var sorted []told
		for _, s := range statuses {
			sorted = append(sorted, s)
		}
		slices.SortFunc(sorted, func(a, b told) int { return cmp.Compare(a.start, b.start) })
		var codes [3]int64
		var mine []live.AgentStretch
		for _, s := range sorted {
			for i, c := range s.codes {
				if c != nil {
					codes[i] = *c
				}
			}
			is := record.State{Login: codes[0], Reason: codes[1], Work: codes[2]}
			if n := len(mine); n > 0 {
				if mine[n-1].State == is {
					continue
				}
				mine[n-1].End = s.start
			}
			mine = append(mine, live.AgentStretch{
				Stretch: live.Stretch{State: is, Start: s.start, End: record.Open}, Agent: live.Agent{Key: agent}, ID: s.id,
			})
		}
		out = append(out, mine...)
	}
	slices.SortFunc(out, func(a, b live.AgentStretch) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Agent.Key, b.Agent.Key))
	})
	return out
}

// Whatever the order in which statuses come, the history is that of a naive
// recount: while they come, with every filter, after a rebuild, and after
// retention took some away.
func TestAgentHistory(t *testing.T) { storetest.Each(t, testAgentHistory) }

func testAgentHistory(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	rng := rand.New(rand.NewPCG(5, 6))
	var all []told
	more := func(n int) {
		var events []*event.Event
		var fresh []told
		for i := range n {
			s := told{start: 1 + rng.Int64N(400), created: rng.Int64N(3), agent: fmt.Sprint("ua", rng.IntN(4))}
			body := map[string]any{"startTime": s.start, "agentName": "somebody"}
			if s.created > 0 {
				body["creationTime"] = s.created
			}
			if rng.IntN(5) == 0 {
				s.agent = "i7"
				body["agentID"] = "7"
			} else {
				body["agentUUID"] = s.agent[1:]
			}
			for c, name := range []string{"loginStatus", "notReadyStatus", "workStatus"} {
				if v := rng.Int64N(3); v > 0 {
					s.codes[c] = &v
					body[name] = v
				}
			}
			s.id = fmt.Sprintf("e-%d-%d", len(all), i)
			raw, err := json.Marshal(body)
			require.NoError(t, err)
			events = append(events, &event.Event{Tenant: 1, ID: s.id, Type: event.AgentStatus, OrderKey: "agent/" + s.agent, Body: raw})
			fresh = append(fresh, s)
		}
		_, err := db.Accept(ctx, events)
		require.NoError(t, err)
		for i := range fresh {
			fresh[i].seq = events[i].Seq
		}
		slices.SortFunc(fresh, func(a, b told) int { return cmp.Compare(a.seq, b.seq) })
		all = append(all, fresh...)
	}
	check := func(what string, of live.HistoryFilter) {
		t.Helper()
		var want []live.AgentStretch
		for _, s := range naive(all) {
			end := s.End
			if end == record.Open {
				end = max(of.Now, s.Start+1)
			}
			if s.Start >= of.To || end <= of.From ||
				len(of.Login) > 0 && !slices.Contains(of.Login, s.Login) || len(of.Work) > 0 && !slices.Contains(of.Work, s.Work) ||
				len(of.Reason) > 0 && !slices.Contains(of.Reason, s.Reason) || of.Agents != nil && s.Agent.Key != "ua1" && s.Agent.Key != "i7" {
				continue
			}
			want = append(want, s)
		}
		of.Tenant = 1
		page, total, err := f.FindStretches(ctx, of)
		require.NoError(t, err)
		require.Equal(t, len(want), total, what)
		want = want[min(of.Offset, len(want)):min(of.Offset+of.Limit, len(want))]
		require.Len(t, page, len(want), what)
		for i, s := range page {
			require.Equal(t, "somebody", s.Agent.Name)
			require.Equal(t, s.Agent.Key, record.AgentKey(s.Agent.UUID, s.Agent.AgentID))
			s.Agent = live.Agent{Key: s.Agent.Key}
			require.Equal(t, want[i], s, what)
		}
	}
	everything := live.HistoryFilter{From: 0, To: 1000, Now: 500, Limit: 1000}
	for i := range 40 {
		more(1 + rng.IntN(8))
		check(fmt.Sprint("step ", i), everything)
	}
	some := func() {
		for range 30 {
			from := rng.Int64N(420)
			of := live.HistoryFilter{From: from, To: from + 1 + rng.Int64N(60), Now: rng.Int64N(500), Offset: rng.IntN(4), Limit: 1 + rng.IntN(20)}
			if rng.IntN(2) == 0 {
				of.Login = []int64{1}
			}
			if rng.IntN(3) == 0 {
				of.Work, of.Reason = []int64{0, 2}, []int64{1, 2}
			}
			if rng.IntN(3) == 0 {
				of.Agents = func(seen []live.Agent) (keys []string) {
					for _, a := range seen {
						if a.UUID == "a1" || a.AgentID == "7" {
							keys = append(keys, a.Key)
						}
					}
					return keys
				}
			}
			check(fmt.Sprintf("%+v", of), of)
		}
	}
	some()
	nobody := everything
	nobody.Tenant, nobody.Agents = 1, func([]live.Agent) []string { return nil }
	_, total, err := f.FindStretches(ctx, nobody)
	require.NoError(t, err)
	require.Zero(t, total)
	nobody = everything
	nobody.Tenant = 2
	_, total, err = f.FindStretches(ctx, nobody)
	require.NoError(t, err)
	require.Zero(t, total, "another tenant")

	require.NoError(t, f.Rebuild(ctx, 1, "agents"))
	check("rebuilt", everything)
	db = openAgain(t, &db)
	f = storage.NewFolds(db.DB)
	check("another life", everything)
	more(2 * folds.StatusPage) // histories of several pages
	more(5)
	check("long", everything)

	// What one change after another made the history of, statuses that were
	// replaced aside, is taken away.
	below := all[len(all)/2].seq
	winners := map[string]told{}
	for _, s := range all {
		k := fmt.Sprint(s.agent, " ", s.start)
		if was, there := winners[k]; !there || s.created >= was.created {
			winners[k] = s
		}
	}
	all = slices.DeleteFunc(all, func(s told) bool {
		return s.seq < below || winners[fmt.Sprint(s.agent, " ", s.start)].seq != s.seq
	})
	db.exec(t, "DELETE FROM bodies WHERE seq < ?", below)
	db.exec(t, "INSERT INTO retention (tenant, payload) VALUES (1, ?)", below)
	require.NoError(t, f.Trim(ctx))
	check("trimmed", everything)
	some()
	require.NoError(t, f.Rebuild(ctx, 1))
	require.Zero(t, db.count(t, "agent_statuses WHERE seq < "+fmt.Sprint(below)))
}

// What events say of an agent: the newest that is not empty, each by itself.
func TestSeenAgents(t *testing.T) { storetest.Each(t, testSeenAgents) }

func testSeenAgents(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	for i, s := range []struct {
		typ  event.Type
		body string
		at   int64
	}{
		{event.AgentStatus, `{"agentUUID": "a", "agentName": "new", "startTime": 50, "loginStatus": 1}`, 0},
		{event.CDRParty, `{"agentUUID": "a", "agentName": "old", "agentID": "1", "agentDN": "dn", "phoneType": 4, "startTime": 40}`, 0},
		{event.CallRinging, `{"agentUUID": "a", "agentID": "2", "thisDN": "early"}`, 30},
		{event.CallRinging, `{"agentUUID": "customer", "partyRole": "Customer"}`, 60},
		{event.CDRParty, `{"agentUUID": "bot", "agentRole": 5, "startTime": 40}`, 0},
		{event.ChatAccepted, `{"agentUUID": "bot", "handledBy": "bot", "at": 40}`, 0},
		{event.ChatTransferred, `{"toAgentUUID": "b", "at": 40}`, 0},
	} {
		_, err := db.Accept(ctx, []*event.Event{{Tenant: 1, Type: s.typ, OrderKey: "x", OccurredAt: s.at, Body: []byte(s.body)}})
		require.NoError(t, err, i)
		require.NoError(t, f.FoldTo(ctx, 1))
	}
	page, _, err := f.FindStretches(ctx, live.HistoryFilter{Tenant: 1, To: 100, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, live.Agent{Key: "ua", UUID: "a", AgentID: "1", Name: "new", DN: "dn", PhoneType: 4}, page[0].Agent)
	var keys []string
	require.NoError(t, db.raw.Select(&keys, "SELECT agent FROM seen_agents ORDER BY agent"))
	require.Equal(t, []string{"ua", "ub"}, keys)
	var first int64
	require.NoError(t, db.raw.Get(&first, "SELECT first_at FROM seen_agents WHERE agent = 'ua'"))
	require.EqualValues(t, 30, first)
}

// No question about histories reads a table from end to end.
func TestHistoryPlans(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	e := &storetest.Explainer{DB: db.raw, T: t, Seen: map[string]bool{}, Sorts: true}
	require.NoError(t, folds.Snapshot{Snapshot: sqldb.Snapshot{Q: e}}.Stretches(ctx, &live.HistoryFilter{Tenant: 1, From: 1, To: 1000, Limit: 10, Login: []int64{1}}))
}
