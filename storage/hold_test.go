package storage

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/storage/internal/sqldb"
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

	hold := delivery.Hold{Until: time.Now().Add(time.Hour).UnixMilli(), Reason: "breaker", Breaker: delivery.Breaker{State: "open", Opens: 1}}
	require.Equal(t, 1, db.written(t, func() { require.NoError(t, db.SetHold(ctx, s.No, 1, hold)) }))
	found, err := db.FindHold(ctx, s.No)
	require.NoError(t, err)
	require.Equal(t, hold.Until, found.Until, "or it proves nothing")
	require.Equal(t, 1, db.written(t, func() { require.NoError(t, db.SetHold(ctx, s.No, 1, delivery.Hold{})) }))

	change := func(f func(*subscriptions.Subscription) *subscriptions.Subscription) func() {
		return func() {
			_, err := db.UpdateSubscription(ctx, 1, s.ID, 0, someone, func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) { return f(s), nil })
			require.NoError(t, err)
		}
	}
	now := time.Now()
	require.LessOrEqual(t, db.written(t, change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return s.Pause("by hand", now) })), 6)
	require.True(t, db.index.Get(s.No).Paused(), "or it proves nothing")
	require.LessOrEqual(t, db.written(t, change(func(s *subscriptions.Subscription) *subscriptions.Subscription { return s.Resume(now) })), 6)
	require.Equal(t, backlog, db.count(t, "deliveries WHERE state = 0"))
}

// written are the rows that changes write.
func (db pastDB) written(t testing.TB, changes func()) (rows int) {
	t.Helper()
	if db.in == sqldb.SQLite {
		sofar := func() (n int) { // of the one connection that writes
			require.NoError(t, db.admin(t.Context(), "count", func(tx *sqlx.Tx) error { return tx.GetContext(t.Context(), &n, "SELECT total_changes()") }))
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
	require.NoError(t, db.raw.GetContext(context.Background(), &next, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))
	changes()
	for _, table := range tables {
		rows += db.count(t, table+" WHERE xmin::text::bigint >= ?", next)
	}
	return rows
}
