package folds_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// Records go with the bodies that retention takes away; a later version stays.
func TestRecordsPastRetention(t *testing.T) { storetest.Each(t, testRecordsPastRetention) }

func testRecordsPastRetention(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	for _, c := range []string{"a", "b"} {
		db.cdr(t, event.CDRCall, "cdr/"+c, fmt.Sprintf(`{"callID": %q, "startTime": 1000}`, c))
		db.cdr(t, event.CDRParty, "cdr/"+c+"/p", fmt.Sprintf(`{"callID": %q, "partyId": "p", "agentID": "7", "callResult": 3, "departmentId": "d"}`, c))
	}
	below := db.cdr(t, event.CDRCall, "cdr/b", `{"callID": "b", "startTime": 2000}`)
	ids := func() (ids []string) {
		page, total, err := f.FindCalls(ctx, search.CallFilter{Tenant: 1, From: 1, To: 3000, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page, total)
		for _, r := range page {
			ids = append(ids, string(r.Body))
		}
		return ids
	}
	b := `{"callID": "b", "startTime": 2000}`
	require.Equal(t, []string{b, `{"callID": "a", "startTime": 1000}`}, ids())
	answered := func() int {
		_, total, err := f.FindCalls(ctx, search.CallFilter{Tenant: 1, From: 1, To: 3000, Agents: search.One, Department: "d", Limit: 10})
		require.NoError(t, err)
		return total
	}
	require.Equal(t, 2, answered())
	// As retention leaves it.
	db.exec(t, "DELETE FROM bodies WHERE seq < ?", below)
	db.exec(t, "INSERT INTO retention (tenant, payload) VALUES (1, ?)", below)
	require.NoError(t, f.Trim(ctx))
	require.Equal(t, []string{b}, ids())
	_, _, err := f.FindCall(ctx, 1, record.Telemarketing, "a")
	require.ErrorIs(t, err, search.ErrNotFound)
	_, parties, err := f.FindCall(ctx, 1, record.Telemarketing, "b")
	require.NoError(t, err)
	require.Empty(t, parties)
	require.Zero(t, answered(), "what is not there is not counted")
	require.NoError(t, f.Rebuild(ctx, 1))
	require.Equal(t, []string{b}, ids(), "a rebuild gives the same")
	require.Equal(t, 1, db.count(t, "call_records"))
	require.Zero(t, db.count(t, "party_records"))
}

// Scopes do not mix, and many records are reset and folded in steps.
func TestRecordScopes(t *testing.T) { storetest.Each(t, testRecordScopes) }

func testRecordScopes(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	db.cdr(t, event.CDRCall, "cdr/a", `{"callID": "a", "startTime": 1000, "customerNumber": "1\u00002"}`)
	db.cdr(t, event.CDRBotCall, "bot/a", `{"callID": "a", "startTime": 1500}`)
	db.cdr(t, event.CDRBotParty, "bot/a/p", `{"callID": "a", "partyId": "p", "callResult": 3, "agentUUID": "u"}`)
	for scope, start := range map[record.Scope]string{record.Telemarketing: "1000", record.Bot: "1500"} {
		page, total, err := f.FindCalls(ctx, search.CallFilter{Tenant: 1, Scope: scope, From: 1, To: 3000, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Contains(t, string(page[0].Body), start)
	}
	_, total, err := f.FindCalls(ctx, search.CallFilter{Tenant: 1, Scope: record.Bot, From: 1, To: 3000, Agents: search.One, AgentUUID: "u", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	_, total, err = f.FindCalls(ctx, search.CallFilter{Tenant: 1, From: 1, To: 3000, Customer: "1\x002", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	db.cdr(t, event.CDRParty, "cdr/a/p", `{"callID": "a", "partyId": "p", "departmentId": "d-10|d-20"}`)
	for department, want := range map[string]int{"d-1": 0, "d-10": 1, "-10": 0, "d-20": 1, "d-2": 0, "d-10|d-20": 0} {
		_, total, err = f.FindCalls(ctx, search.CallFilter{Tenant: 1, From: 1, To: 3000, Department: department, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, want, total, department)
	}
	_, total, err = f.FindCalls(ctx, search.CallFilter{Tenant: 2, From: 1, To: 3000, Limit: 10})
	require.NoError(t, err)
	require.Zero(t, total, "another tenant")
	for i := range 3 {
		events := make([]*event.Event, 500)
		for n := range events {
			id := fmt.Sprintf("%d-%d", i, n)
			events[n] = &event.Event{Tenant: 1, Type: event.CDRCall, OrderKey: "cdr/" + id, Body: fmt.Appendf(nil, `{"callID": %q, "startTime": 5000}`, id)}
		}
		_, err := db.Accept(ctx, events)
		require.NoError(t, err)
	}
	for range 2 {
		page, total, err := f.FindCalls(ctx, search.CallFilter{Tenant: 1, From: 5000, To: 5001, Offset: 1498, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, 1500, total)
		require.Len(t, page, 2, "those of one time are in the order of their callIDs")
		require.Contains(t, string(page[0].Body), `"2-98"`)
		require.Contains(t, string(page[1].Body), `"2-99"`)
		require.NoError(t, f.Rebuild(ctx, 1, "records"))
	}
}

// callFilters are filters of all kinds.
func callFilters(from, to int64) map[string]search.CallFilter {
	fs := map[string]search.CallFilter{
		"all": {}, "callID": {CallID: "call-1"}, "agent": {AgentID: "1001"}, "agentUUID": {AgentUUID: "agent-7"}, "customer": {Customer: "13800000007"},
		"codes":    {CallType: 2, CallResult: 8, Hangup: 3, DialType: "Inbound", Gateway: "95588"},
		"counts":   {Agents: search.One, Transfers: search.None, Consults: search.None},
		"dept":     {Department: "dept-3", DepartmentAgents: []string{"agent-7"}},
		"attached": {Attached: search.ParseAttached(`{"n": 7}`)}, "attached all": {Attached: search.ParseAttached(`{"lang": "en"}`)}, "attached text": {Attached: search.ParseAttached("00077")},
	}
	for name, f := range fs {
		f.Tenant, f.From, f.To, f.Limit = 1, from, to, 15
		fs[name] = f
	}
	return fs
}

// No question about records reads a table from end to end.
func TestRecordPlans(t *testing.T) { storetest.Each(t, testRecordPlans) }

func testRecordPlans(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	db.cdr(t, event.CDRCall, "cdr/a", `{"callID": "a", "startTime": 1000}`)
	require.NoError(t, storage.NewFolds(db.DB).FoldTo(ctx, 1))
	e := &storetest.Explainer{DB: db.raw, In: db.in(), T: t, Seen: map[string]bool{}, Sorts: true}
	snap := folds.Snapshot{Snapshot: sqldb.Snapshot{In: db.in(), Q: e}}
	for _, f := range callFilters(1, 2000) {
		require.NoError(t, snap.Calls(ctx, &f))
	}
	require.NoError(t, snap.Call(ctx, 1, "a"))
	sum, args := folds.SumPartiesOf+"(?)", []any{1, 0, "a"}
	e.Explain(ctx, sum, args)
	require.Greater(t, len(e.Seen), 10)
}

var benchCDRs = flag.Int("cdrs", 20_000, "records that BenchmarkRecords folds and reads, half of them main ones, over 30 days")

// BenchmarkRecords folds records that are there and asks for pages of them, of
// one day and of all.
func BenchmarkRecords(b *testing.B) {
	storetest.EachBench(b, benchRecords)
}

func benchRecords(b *testing.B) {
	db, ctx := withTenants(b), context.Background()
	calls := *benchCDRs / 2
	const days = 30
	step := int64(days) * dayMS / int64(calls)
	first := int64(1)
	if db.in() == sqldb.Postgres {
		require.NoError(b, db.raw.Get(&first, "SELECT nextval('event_seq')"))
	}
	seq := first
	for at := 0; at < calls; {
		db.seed(b, func(tx *sqlx.Tx) {
			var events, bodies [][]any
			for ; at < calls && len(events) < 4000; at++ {
				for typ, body := range map[event.Type]string{
					event.CDRCall: fmt.Sprintf(`{"messageID":"MainCDRInfo","callID":"call-%d","callType":%d,"mainDialType":"Inbound","customerNumber":"138%08d","gatewayNumber":"95588","startTime":%d,
						"endTime":%d,"duration":60,"totalDuration":75,"callResult":8,"hangupDisposition":%d,"transferCount":0,"consultCount":0,"attachedData":{"lang":"en","n":%d,"name":"%0400d"}}`,
						at, 2+at%2, at%1000, pastStart+int64(at)*step, pastStart+int64(at)*step+75_000, 2+at%2, at%1000, at),
					event.CDRParty: fmt.Sprintf(`{"messageID":"PartyCDRInfo","callID":"call-%d","partyId":"p","dialType":1,"agentRole":2,"callResult":3,"agentUUID":"agent-%d","agentID":"%d","agentName":"%0300d",
						"departmentId":"dept-%d","startTime":%d}`, at, at%1000, 1000+at%1000, at, at%20, pastStart+int64(at)*step+5000),
				} {
					events = append(events, []any{1, seq, fmt.Sprint("e-", seq), int64(typ), fmt.Sprint("cdr/", seq), pastStart, pastStart, "", "", "", []byte{}, len(body), 0, 0, false})
					bodies = append(bodies, []any{seq, 1, sqldb.EncodeBody([]byte(body))})
					seq++
				}
			}
			require.NoError(b, folds.Upsert(ctx, tx, `INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id, process,
				body_hash, size, matched, hops, test) VALUES`, events, ""))
			require.NoError(b, folds.Upsert(ctx, tx, "INSERT INTO bodies (seq, tenant, bytes) VALUES", bodies, ""))
		})
	}
	if db.in() == sqldb.Postgres {
		db.exec(b, "SELECT setval('event_seq', ?)", seq-1)
	}
	f := storage.NewFolds(db.DB)
	began, busy := time.Now(), storetest.CPU(b)
	require.NoError(b, f.FoldTo(ctx, 1))
	b.Logf("%d records folded in %s, %.1f µs each, %.1f µs of this process's processor", 2*calls, time.Since(began),
		float64(time.Since(began).Microseconds())/float64(2*calls), float64((storetest.CPU(b)-busy).Microseconds())/float64(2*calls))
	require.Equal(b, calls, db.count(b, "call_records"))
	if db.in() == sqldb.Postgres { // as autovacuum does by itself, later
		for _, t := range []string{"call_records", "party_records", "events", "bodies"} {
			db.exec(b, "ANALYZE "+t)
		}
	}
	day := int64(pastStart + 10*dayMS)
	for name, of := range callFilters(day, day+dayMS) {
		b.Run("day/"+name, func(b *testing.B) { benchCalls(b, f, of) })
	}
	deep := search.CallFilter{Tenant: 1, From: day, To: day + dayMS, Limit: 100, Offset: max(calls/days-200, 0)}
	b.Run("day/deep", func(b *testing.B) { benchCalls(b, f, deep) })
	for name, of := range callFilters(pastStart, pastStart+days*dayMS) {
		b.Run("all/"+name, func(b *testing.B) { benchCalls(b, f, of) })
	}
	deep = search.CallFilter{Tenant: 1, From: pastStart, To: pastStart + days*dayMS, Limit: 1000, Offset: min(99_000, max(calls-2000, 0))}
	b.Run("all/deep", func(b *testing.B) { benchCalls(b, f, deep) })
	b.Run("call", func(b *testing.B) {
		n := 0
		storetest.Pages(b, func() error {
			n = (n + 7919) % calls
			_, _, err := f.FindCall(ctx, 1, record.Telemarketing, fmt.Sprint("call-", n))
			return err
		})
	})
}

func benchCalls(b *testing.B, f *folds.Folds, of search.CallFilter) {
	storetest.Pages(b, func() error {
		_, _, err := f.FindCalls(context.Background(), of)
		return err
	})
}
