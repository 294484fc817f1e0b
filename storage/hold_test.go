package storage

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
	"github.com/hookline/hookline/subscriptions"
)

// However many deliveries wait, holding their subscription and letting it go
// writes one row; pausing and resuming it a few: its version and the audit log's.
func TestHoldTouchesOneRow(t *testing.T) { eachStore(t, testHoldTouchesOneRow) }

func testHoldTouchesOneRow(t *testing.T) {
	const backlog = 20_000
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	db.exec(t, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at, give_up_at, accepted_at, late, aside_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT CAST(? AS BIGINT), i, 0, 1, 1, CAST(? AS BIGINT), 0, 0, 0, 0, 0, false, 0 FROM n`, backlog, s.No, s.Version)

	hold := delivery.Hold{
		Until: time.Now().Add(time.Hour).UnixMilli(), Reason: "breaker", Breaker: delivery.Breaker{State: "open", Opens: 1},
	}
	require.Equal(t, 1, db.written(t, func() { require.NoError(t, db.SetHold(ctx, s.No, 1, 0, hold)) }))
	found, err := db.FindHold(ctx, s.No)
	require.NoError(t, err)
	require.Equal(t, hold.Until, found.Until, "or it proves nothing")
	require.Equal(t, 1, db.written(t, func() { require.NoError(t, db.SetHold(ctx, s.No, 1, 0, delivery.Hold{})) }))

	change := func(f func(*subscriptions.Subscription) *subscriptions.Subscription) func() {
		return func() {
			_, err := db.UpdateSubscription(ctx, 1, s.ID, 0, someone,
				func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) { return f(s), nil })
			require.NoError(t, err)
		}
	}
	now := time.Now()
	require.LessOrEqual(t,
		db.written(t,
			change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return s.Pause("by hand", now) })),
		6)
	require.True(t, db.index.Get(s.No).Paused(), "or it proves nothing")
	require.LessOrEqual(t,
		db.written(t, change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return s.Resume(now) })), 6)
	require.Equal(t, backlog, db.count(t, "deliveries WHERE state = 0"))
}

// written are the rows that changes write.
func (db pastDB) written(t testing.TB, changes func()) (rows int) {
	t.Helper()
	if db.in == sqldb.SQLite {
		sofar := func() (n int) { // of the one connection that writes
			require.NoError(t,
				db.admin(t.Context(), "count",
					func(tx *sqlx.Tx) error { return tx.GetContext(t.Context(), &n, "SELECT total_changes()") }))
			return n
		}
		before := sofar()
		changes()
		return sofar() - before
	}
	// Rows whose last writer is a transaction of meanwhile.
	var tables []string
	require.NoError(t, db.read.Select(&tables, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
	var next int64
	require.NoError(t,
		db.raw.GetContext(context.Background(), &next, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))
	changes()
	for _, table := range tables {
		rows += db.count(t, table+" WHERE xmin::text::bigint >= ?", next)
	}
	return rows
}

// Resuming ends what holds a subscription that was never paused, too: once, and
// what its owner learned before no longer counts.
func TestResumeEndsEveryHold(t *testing.T) { eachStore(t, testResumeEndsEveryHold) }

func testResumeEndsEveryHold(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	resume := func() *api.Subscription {
		resumed, err := db.ResumeSubscription(ctx, 1, s.ID, 0, someone, time.Now())
		require.NoError(t, err)
		require.Equal(t, delivery.Hold{}, resumed.Hold)
		return resumed
	}
	require.Equal(t, s.Version, resume().Version, "nothing held it")

	version := s.Version
	for n, hold := range []delivery.Hold{
		{Until: time.Now().Add(time.Hour).UnixMilli(), Reason: "retryAfter", RetryAt: time.Now().Add(time.Hour).UnixMilli()},
		{Until: time.Now().Add(time.Hour).UnixMilli(), Reason: "breaker", Breaker: delivery.Breaker{State: "open", Opens: 7}},
		{Until: 1, Reason: "breaker", Breaker: delivery.Breaker{State: "open", Opens: 7}}, // it is time for its probe
	} {
		require.NoError(t, db.SetHold(ctx, s.No, 1, int64(n), hold))
		resumed := resume()
		require.Greater(t, resumed.Version, version, "its owner hears of it by the version")
		require.EqualValues(t, n+1, db.index.Get(s.No).Releases)
		require.Equal(t, resumed.Version, resume().Version, "again: nothing")
		version = resumed.Version

		// The owner has not heard of it yet.
		require.NoError(t, db.SetHold(ctx, s.No, 1, int64(n), hold))
		require.NoError(t, db.Pause(ctx, s.No, int64(n), subscriptions.ByFailing))
		found, err := db.FindSubscription(ctx, 1, s.ID)
		require.NoError(t, err)
		require.Equal(t, delivery.Hold{}, found.Hold)
		require.False(t, found.Paused())
	}
	_, err := db.ResumeSubscription(ctx, 1, s.ID, version-1, someone, time.Now())
	require.ErrorIs(t, err, api.ErrVersion)
	require.Equal(t, 3, db.count(t, "audit WHERE action = 'subscription.resume'"))
}

// Another URL ends hold and breaker; a pause stays, whatever its reason.
func TestOtherURLEndsHold(t *testing.T) { eachStore(t, testOtherURLEndsHold) }

func testOtherURLEndsHold(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	until := time.Now().Add(time.Hour).UnixMilli()
	hold := delivery.Hold{
		Until: until, Reason: "breaker", RetryAt: until, Breaker: delivery.Breaker{State: "open", Opens: 7},
	}
	patch := func(document string) *api.Subscription {
		patched, err := db.UpdateSubscription(ctx, 1, s.ID, 0, someone, func(s *subscriptions.Subscription) (*subscriptions.Subscription,
			error,
		) {
			next, problems := subscriptions.Patch(s, []byte(document), subscriptions.Rules{})
			require.Empty(t, problems)
			return next, nil
		})
		require.NoError(t, err)
		return patched
	}

	require.NoError(t, db.SetHold(ctx, s.No, 1, 0, hold))
	require.NoError(t, db.Pause(ctx, s.No, 0, subscriptions.ByFailing))
	same := patch(`{"name": "other name", "url": "` + s.URL + `"}`)
	require.Equal(t, "breaker", same.Hold.Reason, "the same receiver")
	moved := patch(`{"url": "https://other.example.com/"}`)
	require.Equal(t, delivery.Hold{}, moved.Hold)
	require.Equal(t, subscriptions.ByFailing, moved.PausedReason)
	require.EqualValues(t, 1, moved.Releases)
	require.True(t, moved.Standstill.From.IsZero(), "the old receiver's wish")
	found, err := db.FindHold(ctx, s.No)
	require.NoError(t, err)
	require.Equal(t, delivery.Hold{}, found)
}

// A Retry-After stops the clock by which giveUpAfter is measured, for what is
// accepted meanwhile and afterwards, by whichever process, and over restarts.
func TestRetryAfterStopsTheClock(t *testing.T) { eachStore(t, testRetryAfterStopsTheClock) }

func testRetryAfterStopsTheClock(t *testing.T) {
	place := newPlace(t)
	db, ctx := openPastIn(t, place), t.Context()
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := db.subscribe(t, 1, `, "giveUpAfter": {"live": "10m"}`)
	accepting := []pastDB{db}
	if db.in == sqldb.Postgres {
		accepting = append(accepting, openPastAs(t, place, "another"))
	}

	// givesUp is how long what is accepted now may wait, by the clock on the wall,
	// if nothing else happens.
	givesUp := func(by pastDB) time.Duration {
		seq := by.push(t, event.CallRinging, "")
		items, err := db.Pending(ctx, s.No, delivery.ID{Seq: seq - 1, Run: 1 << 30}, 1)
		require.NoError(t, err)
		sub, now := by.index.Get(s.No), time.Now()
		require.Equal(t, db.index.Get(s.No).ActiveClock(now), sub.ActiveClock(now), "the same clock everywhere")
		return time.Duration(items[0].GiveUpAt-sub.ActiveClock(now)) * time.Millisecond
	}
	for _, by := range accepting {
		require.InDelta(t, 600, givesUp(by).Seconds(), 2)
	}
	begin := time.Now()
	db.own(t) // on a busy machine the other process may have taken the shards
	require.NoError(t,
		db.SetHold(ctx, s.No, 1, 0,
			delivery.Hold{Until: begin.Add(time.Hour).UnixMilli(), RetryAt: begin.Add(time.Hour).UnixMilli()}))
	stands := db.index.Get(s.No).ActiveClock(begin.Add(time.Hour))
	require.InDelta(t, begin.UnixMilli(), stands, 2000)
	for _, by := range accepting {
		require.InDelta(t, 600, givesUp(by).Seconds(), 2)
		require.Equal(t, stands, by.index.Get(s.No).ActiveClock(begin.Add(time.Hour)))
	}

	// Half an hour later another wish, an hour after that a breaker, which is no wish.
	db.exec(t,
		"UPDATE subscriptions SET still_from = still_from - 1800000, still_until = still_until - 1800000, still_mark = 100 WHERE no = ?",
		s.No)
	db.exec(t, "UPDATE standstill_head SET mark = 100 WHERE one = 1")
	db.own(t)
	require.NoError(t,
		db.SetHold(ctx, s.No, 1, 0,
			delivery.Hold{Until: begin.Add(time.Hour).UnixMilli(), RetryAt: begin.Add(time.Hour).UnixMilli()}))
	db.own(t)
	require.NoError(t,
		db.SetHold(ctx, s.No, 1, 0, delivery.Hold{Until: begin.Add(9 * time.Hour).UnixMilli(), Reason: "breaker"}))
	for _, by := range accepting {
		givesUp(by)
		still := by.index.Get(s.No).Standstill
		require.Equal(t, 90*time.Minute, still.Until.Sub(still.From).Round(time.Minute))
	}
	if db.in == sqldb.Postgres { // SQLite has one process
		accepting = append(accepting, openPastAs(t, place, "later"))
	} else {
		db.close(t)
		db = openPastIn(t, place)
		accepting = []pastDB{db}
	}
	for _, by := range accepting {
		require.InDelta(t, 600, givesUp(by).Seconds(), 2)
	}
}
