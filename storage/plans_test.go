package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
)

// What the hot path asks PostgreSQL is looked up by keys, although a new store
// has no statistics, and those of an old one know nothing of what is pending now.
func TestPlansOfTheHotPath(t *testing.T) {
	t.Parallel()
	t.Run(postgresTest, testPlansOfTheHotPath)
}

func testPlansOfTheHotPath(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	sub := db.subscribe(t, 1, `,"events":["*"]`)
	made, after := 0, delivery.ID{}
	for round := range 20 {
		_, err := db.Accept(ctx, records(128, &made))
		require.NoError(t, err)
		items, err := db.Pending(ctx, sub.No, after, 100) // some stay pending, as of lanes that are behind
		require.NoError(t, err)
		after = items[len(items)-1].ID
		var keys []int64
		for _, it := range items {
			keys = append(keys, it.Key)
		}
		db.deliver(t, items)
		plan := explain(t, db.raw, earlierOfKeys, pq.Array(keys), sub.No, after.Seq, after.Run, 64)
		require.Contains(t, plan, "deliveries_pending_by_key", "round %d", round)
	}

	// The plan that the writer kept.
	var k *worker
	for _, w := range db.writer.workers {
		if w.takes&ofOutcomes != 0 {
			k = w
		}
	}
	var name string
	require.NoError(t,
		k.conn.GetContext(ctx, &name,
			"SELECT name FROM pg_prepared_statements WHERE statement LIKE 'UPDATE deliveries d %' AND generic_plans > 0"))
	plan := explain(t, k.conn, `EXECUTE "`+name+`"(`+strings.Repeat("'{1}',", 12)+"'{0}')")
	require.Contains(t, plan, "Nested Loop")
	require.Contains(t, plan, "Index Cond: ((sub = u.sub) AND (seq = u.seq) AND (run = u.run))")
}

func explain(t *testing.T, q sqlx.QueryerContext, query string, args ...any) string {
	t.Helper()
	var steps []string
	require.NoError(t, sqlx.SelectContext(t.Context(), q, &steps, "EXPLAIN "+query, args...), query)
	return strings.Join(steps, "\n")
}

// deliver records that the runs were delivered at the first attempt.
func (db pastDB) deliver(t *testing.T, items []*delivery.Item) {
	t.Helper()
	done := make(chan error, len(items))
	for _, it := range items {
		db.Record(&delivery.Outcome{
			Item: it, Epoch: 1, Verdict: delivery.Verdict{State: delivery.Delivered}, Done: func(err error) { done <- err },
			Attempt: &delivery.Attempt{N: 1, At: time.Now().UnixMilli(), StatusCode: 204, KeyN: 1},
		})
	}
	for range items {
		require.NoError(t, <-done)
	}
}
