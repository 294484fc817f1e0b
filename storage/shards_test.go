package storage

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// withSecond is a store on PostgreSQL, and another process's of the same database.
func withSecond(t *testing.T) (one pastDB, two *DB) {
	t.Helper()
	t.Parallel()
	url := emptyStore(t)
	one = openPastIn(t, url)
	two, err := Open(context.Background(),
		Config{URL: url, Process: "two", Box: one.box, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, two.Close()) })
	return one, two
}

// A shard is one process's; another gets it once it is given up, or was not
// renewed for long, and then under a higher epoch.
func TestShards(t *testing.T) {
	one, two := withSecond(t)
	ctx := t.Context()
	owned, n, err := one.RenewShards(ctx)
	require.NoError(t, err)
	require.Len(t, owned, 64)
	require.Equal(t, 1, n)
	owned, n, err = two.RenewShards(ctx)
	require.NoError(t, err)
	require.Empty(t, owned)
	require.Equal(t, 2, n)
	claimed, err := two.ClaimShards(ctx, 64)
	require.NoError(t, err)
	require.Empty(t, claimed)

	require.NoError(t, one.Reach(ctx))
	require.NoError(t, one.ReleaseShards(ctx, map[int]int64{3: 1, 5: 1, 7: 1, 9: 0}))
	claimed, err = two.ClaimShards(ctx, 2)
	require.NoError(t, err)
	require.Equal(t, map[int]int64{3: 2, 5: 2}, claimed)

	long := time.Now().Add(-LeaseFor - time.Second).UnixMilli()
	_, err = one.raw.ExecContext(ctx, "UPDATE shards SET renewed_at = ? WHERE owner = 'test'", long)
	require.NoError(t, err)
	_, err = one.raw.ExecContext(ctx, "UPDATE processes SET renewed_at = ? WHERE name = 'test'", long)
	require.NoError(t, err)
	_, n, err = two.RenewShards(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	claimed, err = two.ClaimShards(ctx, 64)
	require.NoError(t, err)
	require.Len(t, claimed, 62)
	require.EqualValues(t, 2, claimed[0])
	owned, _, err = one.RenewShards(ctx)
	require.NoError(t, err)
	require.Empty(t, owned)
	require.NoError(t, two.Leave(ctx))
	claimed, err = one.ClaimShards(ctx, 64)
	require.NoError(t, err)
	require.Len(t, claimed, 64)
	require.EqualValues(t, 3, claimed[0])
}

// Outcomes of a shard that was lost are dropped and counted, the others of the
// same batch are recorded. Nobody takes a shard while one is being recorded.
func TestOutcomesAreFenced(t *testing.T) {
	db, two := withSecond(t)
	ctx := t.Context()
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	lost, kept := db.subscribe(t, 1, ""), db.subscribe(t, 1, "")
	db.acceptMany(t, 1, event.CallRinging, 1)
	shard := int(lost.No % 64)
	outcome := func(sub int64, epoch int64) chan error {
		items, err := db.Pending(ctx, sub, delivery.ID{}, 1)
		require.NoError(t, err)
		done := make(chan error, 1)
		a := &delivery.Attempt{N: 1, At: time.Now().UnixMilli(), StatusCode: 200}
		db.Record(&delivery.Outcome{
			Item: items[0], Attempt: a, Epoch: epoch, Verdict: delivery.Verdict{State: delivery.Delivered},
			Done: func(err error) { done <- err },
		})
		return done
	}
	// However slow the test is, no other shard is without its owner for too long.
	db.exec(t, "UPDATE shards SET renewed_at = renewed_at + 3600000 WHERE owner <> ''")
	require.NoError(t, db.ReleaseShards(ctx, map[int]int64{shard: 1}))
	require.ErrorIs(t, <-outcome(lost.No, 1), delivery.ErrNotOwner, "nobody's")
	_, err := two.ClaimShards(ctx, 64)
	require.NoError(t, err)
	a, b := outcome(lost.No, 1), outcome(kept.No, 1)
	require.ErrorIs(t, <-a, delivery.ErrNotOwner)
	require.NoError(t, <-b)
	require.NoError(t, two.ReleaseShards(ctx, map[int]int64{shard: 2}))
	_, err = db.ClaimShards(ctx, 64)
	require.NoError(t, err)
	require.ErrorIs(t, <-outcome(lost.No, 1), delivery.ErrNotOwner, "of the epoch before last")
	require.NoError(t, <-outcome(lost.No, 3))
	require.EqualValues(t, 3, db.Stats().Fenced.Load())
	require.EqualValues(t, 2, db.Stats().Outcomes.Load())

	h := delivery.Hold{Until: 7, Reason: "breaker"}
	require.NoError(t, db.SetHold(ctx, lost.No, 2, 0, h))
	found, err := db.FindHold(ctx, lost.No)
	require.NoError(t, err)
	require.Zero(t, found.Until, "of an epoch that is over")
	require.NoError(t, db.SetHold(ctx, lost.No, 3, 0, h))
	found, err = db.FindHold(ctx, lost.No)
	require.NoError(t, err)
	require.EqualValues(t, 7, found.Until)

	tx, err := db.raw.BeginTx(ctx, nil)
	require.NoError(t, err)
	// as a transaction that records does
	_, err = tx.ExecContext(ctx, "SELECT FROM shards WHERE shard = ? FOR KEY SHARE", shard)
	require.NoError(t, err)
	owned, _, err := db.RenewShards(ctx)
	require.NoError(t, err, "a renewal does not wait for it")
	require.Len(t, owned, 64)
	_, err = db.raw.ExecContext(ctx, "UPDATE shards SET renewed_at = 0")
	require.NoError(t, err)
	claimed, err := two.ClaimShards(ctx, 64)
	require.NoError(t, err)
	require.Len(t, claimed, 63)
	require.NotContains(t, claimed, shard)
	require.NoError(t, tx.Rollback())
	claimed, err = two.ClaimShards(ctx, 64)
	require.NoError(t, err)
	require.Contains(t, claimed, shard)
}

// Notices reach all processes, whole and in order; after an interruption each
// subscriber is told that it may have missed some.
func TestNotices(t *testing.T) {
	one, two := withSecond(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	from, err := one.Notices()
	require.NoError(t, err)
	defer from.Close()
	to, err := two.Notices()
	require.NoError(t, err)
	defer to.Close()
	came, err := to.Subscribe(ctx, "t")
	require.NoError(t, err)
	other, err := to.Subscribe(ctx, "other")
	require.NoError(t, err)
	next := func() string {
		select {
		case m := <-came:
			m.Ack()
			return string(m.Payload)
		case <-other:
			require.FailNow(t, "it is of another topic")
		case <-time.After(10 * time.Second):
			require.FailNow(t, "nothing came")
		}
		return ""
	}
	big := make([]byte, MaxNotice)
	for i := range big {
		big[i] = byte(i)
	}
	require.NoError(t, from.Publish("t", message.NewMessage("1", []byte("first")), message.NewMessage("2", big)))
	require.Equal(t, "first", next())
	require.Equal(t, string(big), next())
	require.ErrorContains(t, from.Publish("t", message.NewMessage("3", append(big, 0))), "more than 5900")
	m := message.NewMessage("4", []byte("again"))
	require.NoError(t, from.Publish("t", m))
	(<-came).Nack()
	require.NoError(t, from.Publish("t", message.NewMessage("5", []byte("no second time"))))
	require.Equal(t, "no second time", next())

	cancel()
	for range came { // it is closed
		t.Log("late")
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	came, err = to.Subscribe(ctx, "t")
	require.NoError(t, err)
	other = make(chan *message.Message)
	_, err = one.raw.ExecContext(ctx,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'hookline listen%' AND datname = current_database()")
	require.NoError(t, err)
	require.Empty(t, next(), "some may have been missed")
	require.NoError(t, from.Publish("t", message.NewMessage("6", []byte("as before"))))
	require.Equal(t, "as before", next())
}
