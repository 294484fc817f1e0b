package storage

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// Events are counted by what became of them, in the transaction that stores them; refused
// ones with the next, or after a moment. Failed attempts are counted by their error. What
// was before that counting began is unknown, and all sums agree.
func TestEventCounts(t *testing.T) { eachStore(t, testEventCounts) }

func testEventCounts(t *testing.T) {
	dir := newPlace(t)
	db := openPastIn(t, dir)
	ctx := t.Context()
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(ctx, tx, 1))
		require.NoError(t, storetest.InsertTenant(ctx, tx, 2))
	})
	sub := db.subscribe(t, 1, `,"events":["cdr.*"]`)
	send := func(id, body string, typ event.Type) ingest.Verdict {
		t.Helper()
		verdicts, err := db.Accept(ctx, []*event.Event{{
			Tenant: 1, CompanyID: "company-1", ID: id, Type: typ, OrderKey: "call/1", Body: []byte(body), Hash: [32]byte{body[1]},
		}})
		require.NoError(t, err)
		return verdicts[0]
	}

	db.Rejected(1, 3)
	db.Rejected(2, 1)
	require.Equal(t, ingest.Stored, send("a", `{}`, event.CDRCall))
	require.Equal(t, ingest.Known, send("a", `{}`, event.CDRCall))
	require.Equal(t, ingest.Conflict, send("a", `[]`, event.CDRCall))
	require.Equal(t, ingest.Stored, send("b", `{}`, event.CDRParty))
	require.Equal(t, ingest.Stored, send("c", `{}`, event.AgentStatus))

	now := time.Now()
	f := search.StatsFilter{Tenant: 1, From: now.UnixMilli()/hourMS - 1, To: now.UnixMilli()/hourMS + 2, Limit: 100}
	events := func() (sum search.EventStats) {
		t.Helper()
		rows, from, err := db.FindEventStats(ctx, f)
		require.NoError(t, err)
		require.Zero(t, from, "a new store counts from its beginning")
		for i := range rows {
			sum.Add(&rows[i])
		}
		return sum
	}
	require.Equal(t, search.EventStats{Accepted: 3, Duplicate: 1, Rejected: 4, Unmatched: 1}, events())

	// Without another event they are counted all the same.
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- db.RunCounts(running) }()
	db.Rejected(1, 2)
	require.Eventually(t, func() bool { return events().Rejected == 6 }, time.Minute, 20*time.Millisecond)
	stop()
	db.Rejected(1, 1)
	require.NoError(t, <-ended)
	db.writeRejected(ctx)
	require.EqualValues(t, 7, events().Rejected)

	// Two attempts fail, each in its own way, and one succeeds.
	items, err := db.Pending(ctx, sub.No, delivery.ID{}, 10)
	require.NoError(t, err)
	require.Len(t, items, 2)
	outcome := func(it *delivery.Item, class delivery.ErrorClass, state delivery.State) {
		t.Helper()
		done := make(chan error, 1)
		a := &delivery.Attempt{At: now.UnixMilli(), StatusCode: 500, Class: class, Total: time.Millisecond}
		db.Record(&delivery.Outcome{
			Item: it, Attempt: a, Epoch: 1, Verdict: delivery.Verdict{State: state}, Done: func(err error) { done <- err },
		})
		require.NoError(t, <-done)
	}
	outcome(items[0], delivery.Status, delivery.Pending)
	items, err = db.Pending(ctx, sub.No, delivery.ID{}, 10)
	require.NoError(t, err)
	outcome(items[0], delivery.Timeout, delivery.Exhausted)
	outcome(items[1], delivery.None, delivery.Delivered)
	sums := func() (all, types search.StatsRow, errs map[delivery.ErrorClass]int64, minutes search.Tried) {
		t.Helper()
		for by, sum := range map[search.Grouping]*search.StatsRow{search.ByNone: &all, search.ByType: &types} {
			f.By = by
			rows, err := db.FindStats(ctx, f)
			require.NoError(t, err)
			for i := range rows {
				sum.Counts.Add(&rows[i].Counts)
				sum.Tried.Add(&rows[i].Tried)
				sum.Type = rows[i].Type
			}
		}
		rows, err := db.FindErrorStats(ctx, f)
		require.NoError(t, err)
		errs = map[delivery.ErrorClass]int64{}
		for _, r := range rows {
			errs[r.Class] += r.Attempts
		}
		m := f
		m.By, m.From, m.To = search.BySubscription, now.UnixMilli()/minuteMS, now.UnixMilli()/minuteMS+1
		byMinute, err := db.FindMinuteStats(ctx, m)
		require.NoError(t, err)
		for i := range byMinute {
			require.Equal(t, sub.ID, byMinute[i].Subscription)
			minutes.Add(&byMinute[i].Tried)
		}
		return all, types, errs, minutes
	}
	all, types, errs, minutes := sums()
	require.EqualValues(t, 2, all.Failed)
	require.NotZero(t, types.Type)
	types.Type = 0
	require.Equal(t, all, types)
	require.Equal(t, map[delivery.ErrorClass]int64{delivery.Status: 1, delivery.Timeout: 1}, errs)
	require.Equal(t, all.Tried, minutes)
	require.NoError(t, CheckCounts(ctx, dir))

	// The recount finds what is wrong about them.
	db.exec(t, "UPDATE error_hours SET attempts = attempts + 1 WHERE error = (SELECT min(error) FROM error_hours)")
	require.ErrorIs(t, CheckCounts(ctx, dir), ErrMiscount)
	db.exec(t, "UPDATE error_hours SET attempts = attempts - 1 WHERE error = (SELECT min(error) FROM error_hours)")
	db.exec(t, "UPDATE delivery_hours SET expired = expired + 1 WHERE sub = -1")
	require.ErrorIs(t, CheckCounts(ctx, dir), ErrMiscount)

	// A store from before: no types, no errors, and no figures of events that are whole.
	db.exec(t, "DELETE FROM error_hours")
	db.exec(t, db.either("INSERT INTO meta (name, value) VALUES ('counts_from', '999999')",
		"INSERT INTO meta (name, value) VALUES ('counts_from', convert_to('999999', 'UTF8'))"))
	db.close(t)
	db = openPastIn(t, dir)
	all, types, errs, _ = sums()
	require.Equal(t, all, types, "all of an unknown type")
	require.Equal(t, map[delivery.ErrorClass]int64{delivery.None: 2}, errs)
	_, from, err := db.FindEventStats(ctx, f)
	require.NoError(t, err)
	require.EqualValues(t, 999999, from)
	require.NoError(t, CheckCounts(ctx, dir))
}
