package folds_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// reportRows are all facts of tenant 1 as text. What numbers tell the calls of
// parties apart depends on how the events fell into steps: which are the same counts.
func (db store) reportRows(t testing.TB) (rows []string) {
	t.Helper()
	calls := map[int64]string{}
	for _, of := range []struct{ table, columns, order string }{
		{"report_calls", folds.ReportCallColumns, "scope, call_id"},
		{"report_parties", folds.ReportPartyColumns, "scope, call_id, party_id"},
		{"report_states", folds.ReportStateColumns, "agent, start_at"},
		{"report_agents", "agent, no, no_at, no_seq, name, name_at, name_seq", "agent"},
	} {
		found, err := db.raw.Queryx("SELECT " + of.columns + " FROM " + of.table + " WHERE tenant = 1 ORDER BY " + of.order)
		require.NoError(t, err)
		defer found.Close()
		for found.Next() {
			row := map[string]any{}
			require.NoError(t, found.MapScan(row))
			if no, is := row["call_no"].(int64); is {
				call := fmt.Sprint(row["scope"], row["call_id"])
				if calls[no] == "" {
					calls[no] = call
				}
				require.Equal(t, calls[no], call, "one number for two calls")
				delete(row, "call_no")
			}
			if of.table == "report_agents" && row["no"] == "" && row["name"] == "" {
				continue // one whose records all went elsewhere
			}
			rows = append(rows, of.table+" "+fmt.Sprint(row))
		}
		require.NoError(t, found.Err())
	}
	return rows
}

// facts of a kind as reports read them.
func reportFacts(t testing.TB, f *folds.Folds, k report.Kind) (facts []string) {
	t.Helper()
	require.NoError(t, f.ReadFacts(context.Background(), 1, func(r report.Facts) error {
		facts = nil
		return r.Blocks(context.Background(), k, report.Span{From: 0, To: 1 << 50}, func(b *report.Block) error {
			for i := range b.Starts {
				fact := fmt.Sprint(b.Slot+int64(b.Starts[i]), b.Keys[b.Key[i]], b.Classes[b.Class[i]], b.Talk[i])
				if k != report.States {
					fact += fmt.Sprint(" ", b.Total[i])
				}
				if k == report.Calls || k == report.BotCalls {
					fact += fmt.Sprint(" ", b.Third[i], b.Customer[i])
				}
				facts = append(facts, fact)
			}
			return nil
		})
	}))
	slices.Sort(facts)
	return facts
}

// history of a few calls and agents, with corrections, late statuses and records
// that say too little.
func reportHistory(rnd *rand.Rand, n int) (events []*event.Event) {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	at := func() string {
		if rnd.IntN(12) == 0 {
			return pick("0", "null", `"x"`)
		}
		return fmt.Sprint(pastStart + rnd.Int64N(5*report.SlotMS))
	}
	code := func(most int) string {
		if rnd.IntN(8) == 0 {
			return pick("null", `""`)
		}
		return fmt.Sprint(rnd.IntN(most + 1))
	}
	for range n {
		e := &event.Event{Tenant: 1, CompanyID: "company-1"}
		call, agent := fmt.Sprint("c", rnd.IntN(5)), pick(`"agentUUID": "u1", "agentID": "1"`, `"agentUUID": "u1"`, `"agentUUID": "u2", "agentID": "2"`, `"agentID": "2"`, `"other": 1`)
		name := pick("", `, "agentName": "Jon"`, `, "agentName": "Ann"`)
		switch bot := rnd.IntN(4) == 0; rnd.IntN(3) {
		case 0:
			e.Type, e.OrderKey = event.CDRCall, "cdr/"+call
			if bot {
				e.Type, e.OrderKey = event.CDRBotCall, "bot/"+call
			}
			e.Body = fmt.Appendf(nil, `{"callID": %q, "callType": %s, "callResult": %s, "startTime": %s, "duration": %s, "gatewayNumber": %q, "customerNumber": %q, "firstRouteId": %q}`,
				call, code(3), code(9), at(), code(60), pick("", "A", "B"), pick("", "138", "139"), pick("", "r"))
		case 1:
			party := fmt.Sprint("p", rnd.IntN(3))
			e.Type, e.OrderKey = event.CDRParty, "cdr/"+call+"/"+party
			if bot {
				e.Type, e.OrderKey = event.CDRBotParty, "bot/"+call+"/"+party
			}
			e.Body = fmt.Appendf(nil, `{"callID": %q, "partyId": %q, "callType": %s, "dialType": %s, "agentRole": %s, "callResult": %s, "startTime": %s, "duration": %s, "departmentId": %q, %s%s}`,
				call, party, code(3), code(6), pick("2", "2", "2", "4", "5", "null"), code(3), at(), code(60), pick("", "d1", "d1|d2"), agent, name)
		case 2:
			e.Type, e.OrderKey = event.AgentStatus, "agent/u1"
			e.Body = fmt.Appendf(nil, `{"startTime": %d, "creationTime": %s, "loginStatus": %s, "notReadyStatus": %s, "workStatus": %s, %s%s}`,
				pastStart+rnd.Int64N(40)*600_000, code(3), code(2), code(18), code(8), agent, name)
		}
		events = append(events, e)
	}
	return events
}

// What is folded step by step is what is folded at once, as rows and as blocks.
func TestReportsRebuilt(t *testing.T) { storetest.Each(t, testReportsRebuilt) }

func testReportsRebuilt(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	for seed := range uint64(storetest.Fewer(t, 5, 2)) {
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 7))
		for rest := reportHistory(rnd, 150); len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(30))
			_, err := db.Accept(ctx, rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
			require.NoError(t, f.FoldTo(ctx, 1))
			if rnd.IntN(4) == 0 { // some hours have blocks when the next records come
				require.NoError(t, f.Pack(ctx, time.Now()))
			}
		}
		step := db.reportRows(t)
		kinds := [][]string{}
		for k := range report.States + 1 {
			kinds = append(kinds, reportFacts(t, f, k))
		}
		require.NotEmpty(t, step)
		require.NotZero(t, db.count(t, "report_blocks WHERE block IS NOT NULL"))
		require.NoError(t, f.Rebuild(ctx, 1, "reports"))
		require.Equal(t, step, db.reportRows(t))
		require.Zero(t, db.count(t, "report_blocks WHERE block IS NOT NULL"))
		for k := range report.States + 1 { // from rows
			require.Equal(t, kinds[k], reportFacts(t, f, k), "kind %d", k)
		}
		for k := range report.States + 1 { // from the blocks that those left
			require.Equal(t, kinds[k], reportFacts(t, f, k), "kind %d", k)
		}
		require.NotZero(t, db.count(t, "report_blocks WHERE block IS NOT NULL"))
	}
}

// What an agent is called is what the newest of its records says, also when that
// one is corrected.
func TestReportNames(t *testing.T) { storetest.Each(t, testReportNames) }

func testReportNames(t *testing.T) {
	db := withTenants(t)
	f := storage.NewFolds(db.DB)
	names := func() (all []string) {
		require.NoError(t, f.ReadFacts(t.Context(), 1, func(r report.Facts) error {
			namings, err := r.Namings(t.Context())
			for _, n := range namings {
				all = append(all, strings.Join([]string{n.Agent, n.Number, n.Name}, " "))
			}
			return err
		}))
		return all
	}
	party := func(id string, start int, agent string) {
		db.cdr(t, event.CDRParty, "cdr/c/"+id, fmt.Sprintf(`{"callID": "c", "partyId": %q, "startTime": %d, %s}`, id, start, agent))
	}
	party("p1", 1000, `"agentUUID": "u", "agentID": "1", "agentName": "Tom"`)
	party("p2", 3000, `"agentUUID": "u", "agentID": "3"`)
	db.cdr(t, event.AgentStatus, "agent/u", `{"agentUUID": "u", "startTime": 2000, "agentID": "2", "agentName": "Thomas", "loginStatus": 1}`)
	require.Equal(t, []string{"uu 3 Thomas"}, names())
	party("p2", 1500, `"agentUUID": "u", "agentID": "3"`) // moves before the status
	require.Equal(t, []string{"uu 2 Thomas"}, names())
	db.cdr(t, event.AgentStatus, "agent/u", `{"agentUUID": "u", "startTime": 2000, "creationTime": 5, "loginStatus": 1}`)
	require.Equal(t, []string{"uu 3 Tom"}, names(), "a status that is replaced names nobody")
	party("p2", 1500, `"agentRole": 4, "agentUUID": "u", "agentID": "3"`)
	require.Equal(t, []string{"uu 1 Tom"}, names())
	party("p1", 1000, `"agentUUID": "v", "agentID": "9"`)
	require.Equal(t, []string{"uu  ", "uv 9 "}, names())
}

// Facts outlast the bodies, also a rebuild; they go with the events. A state that
// lasts stays.
func TestReportsPastRetention(t *testing.T) { storetest.Each(t, testReportsPastRetention) }

func testReportsPastRetention(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	status := func(start, login int) {
		db.cdr(t, event.AgentStatus, "agent/u", fmt.Sprintf(`{"agentUUID": "u", "agentID": "1", "startTime": %d, "loginStatus": %d}`, start, login))
	}
	db.cdr(t, event.CDRCall, "cdr/a", `{"callID": "a", "callType": 2, "startTime": 1000}`)
	db.cdr(t, event.CDRParty, "cdr/a/p", `{"callID": "a", "partyId": "p", "startTime": 1000, "agentUUID": "u", "agentName": "Jon", "callResult": 3}`)
	status(1000, 1)
	below := db.cdr(t, event.CDRCall, "cdr/b", `{"callID": "b", "callType": 2, "startTime": 2000}`)
	status(2000, 2)
	require.NoError(t, f.FoldTo(ctx, 1))
	all := db.reportRows(t)
	db.exec(t, "DELETE FROM bodies WHERE seq < ?", below)
	db.exec(t, "INSERT INTO retention (tenant, payload) VALUES (1, ?)", below)
	require.NoError(t, f.Trim(ctx))
	require.Equal(t, all, db.reportRows(t))
	require.NoError(t, f.Rebuild(ctx, 1))
	require.Equal(t, all, db.reportRows(t), "a rebuild loses nothing that it cannot make again")
	require.NoError(t, f.Pack(ctx, time.Now()))
	require.Len(t, reportFacts(t, f, report.Calls), 2)

	db.exec(t, "DELETE FROM bodies")
	db.exec(t, "DELETE FROM events WHERE seq < ?", below)
	require.NoError(t, f.Trim(ctx))
	require.Len(t, reportFacts(t, f, report.Calls), 1, "blocks follow")
	require.Empty(t, reportFacts(t, f, report.Parties))
	require.Len(t, reportFacts(t, f, report.States), 1)
	db.exec(t, "UPDATE events SET seq = seq + 1000000")
	require.NoError(t, f.Trim(ctx))
	require.Empty(t, reportFacts(t, f, report.Calls))
	require.Len(t, reportFacts(t, f, report.States), 1, "it lasts")
}

// A block is kept only if its hour is what it was when the rows were read.
func TestBlocksOfChangedHours(t *testing.T) { storetest.Each(t, testBlocksOfChangedHours) }

func testBlocksOfChangedHours(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	call := func(result int) {
		db.cdr(t, event.CDRCall, "cdr/a", fmt.Sprintf(`{"callID": "a", "callType": 2, "startTime": 1000, "callResult": %d}`, result))
		require.NoError(t, f.FoldTo(ctx, 1))
	}
	call(8)
	packed, err := f.Packed(ctx, 1, report.Calls, report.Span{From: 0, To: 1})
	require.NoError(t, err)
	require.Len(t, packed, 1)
	call(22)
	require.NoError(t, f.Keep(ctx, 1, packed))
	require.Zero(t, db.count(t, "report_blocks WHERE block IS NOT NULL"))
	facts := reportFacts(t, f, report.Calls)
	require.Equal(t, 1, db.count(t, "report_blocks WHERE block IS NOT NULL"))
	require.Equal(t, facts, reportFacts(t, f, report.Calls))
	db.cdr(t, event.CDRCall, "cdr/late", fmt.Sprintf(`{"callID": "late", "callType": 3, "startTime": %d}`, time.Now().UnixMilli()))
	require.Len(t, reportFacts(t, f, report.Calls), 2)
	require.Equal(t, 1, db.count(t, "report_blocks WHERE block IS NOT NULL"), "this hour's block would be dropped at once")
}
