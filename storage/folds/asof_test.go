package folds_test

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// Who does not want to wait is told how far the folds are, and gets what is there.
func TestWait(t *testing.T) { storetest.Each(t, testWait) }

func testWait(t *testing.T) {
	db, f, _ := withTallies(t)
	ctx := t.Context()
	asIs := f.AsIs()
	as, err := f.Wait(ctx, 1, time.Minute)
	require.NoError(t, err)
	require.Zero(t, as, "of nothing")

	// There was no time for anything.
	db.acceptMany(t, 1, event.CallRinging, 5)
	db.acceptMany(t, 2, event.CallRinging, 7)
	as, err = f.Wait(ctx, 1, 0)
	require.NoError(t, err)
	require.Equal(t, record.AsOf{Behind: 5}, as)
	require.Zero(t, countedBy(t, asIs, 1))

	// All of it, although another tenant is behind.
	as, err = f.Wait(ctx, 1, time.Minute)
	require.NoError(t, err)
	require.Equal(t, record.AsOf{At: db.lastAccepted(t, 1)}, as)
	require.Equal(t, 5, countedBy(t, asIs, 1))

	// Part of it. Whoever wants all of it gets all.
	db.acceptMany(t, 1, event.CallReleased, 3)
	as, err = f.Wait(ctx, 1, 0)
	require.NoError(t, err)
	require.EqualValues(t, 3, as.Behind)
	require.Positive(t, as.At)
	require.LessOrEqual(t, as.At, db.lastAccepted(t, 1))
	require.Equal(t, 5, countedBy(t, asIs, 1))
	require.Equal(t, 8, countedBy(t, f, 1))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = f.Wait(ended, 1, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
}

// countedBy returns how many events of a tenant a question sees.
func countedBy(t *testing.T, f *folds.Folds, tenant int64) (n int) {
	t.Helper()
	require.NoError(t, f.Ask(t.Context(), tenant, func(q sqlx.QueryerContext) error {
		return sqlx.GetContext(t.Context(), q, &n, "SELECT count(*) FROM tally WHERE fold = 'a' AND tenant = ?", tenant)
	}))
	return n
}

// lastAccepted returns when the last event of a tenant was accepted.
func (db store) lastAccepted(t *testing.T, tenant int64) (at int64) {
	t.Helper()
	require.NoError(t, db.raw.Get(&at, db.raw.Rebind("SELECT max(accepted_at) FROM events WHERE tenant = ?"), tenant))
	return at
}

// Boards that do not wait are those that wait, as soon as nothing is missing.
func TestBoardsAsIs(t *testing.T) { storetest.Each(t, testBoardsAsIs) }

func testBoardsAsIs(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	book := &directory.Book{}
	boards := &live.Boards{Facts: f, Directory: book.Of}
	asIs := boards.Over(f.AsIs())
	say := func(agent string) {
		db.cdr(t, event.AgentStatus, "agent/"+agent, `{"agentUUID": "`+agent+`", "startTime": 1700000000000, "loginStatus": 1, "workStatus": 1}`)
	}
	const now = pastStart + 60_000

	say("a")
	early, err := asIs.At(ctx, 1, now, time.UTC)
	require.NoError(t, err)
	require.Empty(t, early.Rows)
	whole, err := boards.At(ctx, 1, now, time.UTC)
	require.NoError(t, err)
	require.Len(t, whole.Rows, 1)
	later, err := asIs.At(ctx, 1, now, time.UTC)
	require.NoError(t, err)
	require.Same(t, whole, later, "made once")

	// While folds are made again there may be nothing; afterwards there is all of it.
	say("b")
	require.NoError(t, f.Rebuild(ctx, 1))
	later, err = asIs.At(ctx, 1, now, time.UTC)
	require.NoError(t, err)
	require.Len(t, later.Rows, 2)
}

// What each fold lacks is counted over all tenants.
func TestLags(t *testing.T) { storetest.Each(t, testLags) }

func testLags(t *testing.T) {
	db, f, _ := withTallies(t)
	ctx := t.Context()
	lags := func() []folds.Lag {
		t.Helper()
		all, err := f.Lags(ctx)
		require.NoError(t, err)
		return all
	}
	require.Equal(t, []folds.Lag{{Fold: "a"}, {Fold: "b"}}, lags())

	db.acceptMany(t, 1, event.CallRinging, 5)
	db.acceptMany(t, 2, event.CallRinging, 7)
	oldest := func(tenant int64) (at int64) {
		require.NoError(t, db.raw.Get(&at, db.raw.Rebind("SELECT min(accepted_at) FROM events WHERE tenant = ?"), tenant))
		return at
	}
	require.Equal(t, []folds.Lag{{Fold: "a", Events: 12, Oldest: oldest(1)}, {Fold: "b", Events: 12, Oldest: oldest(1)}}, lags())
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Equal(t, []folds.Lag{{Fold: "a", Events: 7, Oldest: oldest(2)}, {Fold: "b", Events: 7, Oldest: oldest(2)}}, lags())
	require.NoError(t, f.FoldTo(ctx, 2))
	require.Equal(t, []folds.Lag{{Fold: "a"}, {Fold: "b"}}, lags())

	// Folds may be apart, as while one of them is made again.
	db.exec(t, "UPDATE folds SET position = 0 WHERE name = 'b' AND tenant = 2")
	require.Equal(t, []folds.Lag{{Fold: "a"}, {Fold: "b", Events: 7, Oldest: oldest(2)}}, lags())
}
