package storage

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
)

// floodOp is a request of one event that waits.
func floodOp(tenant int64, n int) *acceptOp {
	return &acceptOp{
		tenant: tenant, named: []bool{true}, verdicts: make([]ingest.Verdict, 1), done: make(chan error, 1),
		events: []*event.Event{{
			Tenant: tenant, ID: fmt.Sprint("e", n), CompanyID: "company", Type: event.CDRCall, OrderKey: "one call", Body: []byte(`{}`),
		}},
	}
}

// One tenant's events that wait let another's into the next transaction, and stay in
// order.
func TestFloodOfEventsLetsOthersIn(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		w := db.writer
		var flood []*acceptOp
		for n := range 4 * maxAcceptEvents {
			flood = append(flood, floodOp(1, n))
		}
		calm := floodOp(2, 0)

		// All at the same moment, the flood first.
		w.mu.Lock()
		for _, op := range append(flood, calm) {
			w.accepts.Push(op.tenant, 1, op)
		}
		w.signal(ofAccepts)
		w.mu.Unlock()
		require.NoError(t, <-calm.done)
		for _, op := range flood {
			require.NoError(t, <-op.done)
		}

		before := 0
		for n, op := range flood {
			if op.events[0].Seq < calm.events[0].Seq {
				before++
			}
			if n > 0 && w.db.cfg.URL == "" { // with one worker of accepts
				require.Less(t, flood[n-1].events[0].Seq, op.events[0].Seq)
			}
		}
		require.Less(t, before, 2*maxAcceptEvents, "the first transactions have it")
	})
}

// A tenant with many changes lets those of others come first, and events between them.
func TestFloodOfChangesLetsOthersIn(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		w := db.writer
		var mu sync.Mutex
		var order []int64
		var all []*adminOp
		add := func(tenant int64) {
			all = append(all, &adminOp{tenant: tenant, what: "test", done: make(chan error, 1), fn: func(*sqlx.Tx) error {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, tenant)
				return nil
			}})
		}
		for range 100 {
			add(1)
		}
		add(2)
		e := floodOp(2, 0)

		w.mu.Lock()
		for _, op := range all {
			require.True(t, w.adminPlaces.Take(op.tenant, 1))
			w.admins.Push(op.tenant, changeCost, op)
		}
		w.accepts.Push(2, 1, e)
		w.signal(ofAdmins)
		w.signal(ofAccepts)
		w.mu.Unlock()

		require.NoError(t, <-e.done)
		mu.Lock()
		done := len(order)
		mu.Unlock()
		for _, op := range all {
			require.NoError(t, <-op.done)
		}
		require.Contains(t, order[:3], int64(2))
		if db.cfg.URL == "" { // PostgreSQL has a worker for each kind
			require.Less(t, done, 20, "the events waited for few changes")
		}
		require.Zero(t, w.adminPlaces.Held())
	})
}

// take puts outcomes of all tenants into one transaction, whoever has many.
func TestFloodOfOutcomesLetsOthersIn(t *testing.T) {
	w := &writer{}
	outcome := func(tenant, seq int64) *delivery.Outcome {
		return &delivery.Outcome{Item: &delivery.Item{ID: delivery.ID{Seq: seq}, Event: &event.Event{Tenant: tenant}}}
	}
	for n := range int64(4 * maxOutcomes) {
		w.outcomes.Push(1, 1, outcome(1, n))
	}
	for n := range int64(10) {
		w.outcomes.Push(2, 1, outcome(2, n))
	}

	b := w.take(ofOutcomes, false)
	require.Len(t, b.outcomes, maxOutcomes)
	calm := 0
	for _, o := range b.outcomes {
		if o.Item.Event.Tenant == 2 {
			calm++
		}
	}
	require.Equal(t, 10, calm)

	w.wake[1] = make(chan struct{}, 1)
	require.True(t, w.putBack(b.outcomes))
	again := w.take(ofOutcomes, false)
	require.ElementsMatch(t, b.outcomes, again.outcomes, "what could not be recorded is next")
}

// Whoever fills the queue is refused, others are not.
func TestQueueHasRoomForOthers(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		accept := func(tenant int64) error {
			_, err := db.Accept(t.Context(), floodOp(tenant, 0).events)
			return err
		}
		w := db.writer
		half := w.acceptBytes.Total / 2
		require.True(t, w.acceptBytes.Take(1, half))
		err := accept(1)
		var full *fair.Full
		require.ErrorIs(t, err, ingest.ErrBusy)
		require.ErrorAs(t, err, &full)
		require.True(t, full.Own)
		require.NoError(t, accept(2))
		w.acceptBytes.Give(1, half)
		require.NoError(t, accept(1))

		// Changes likewise.
		require.True(t, w.adminPlaces.Take(1, maxAdmins/2))
		nothing := func(*sqlx.Tx) error { return nil }
		err = db.adminFor(context.Background(), 1, "test", nothing)
		require.ErrorIs(t, err, ingest.ErrBusy)
		require.ErrorAs(t, err, &full)
		require.NoError(t, db.adminFor(context.Background(), 2, "test", nothing))
		w.adminPlaces.Give(1, maxAdmins/2)

		require.Eventually(t, func() bool { return w.acceptBytes.Held()+w.adminPlaces.Held() == 0 }, time.Minute, time.Millisecond)
	})
}

// A step of the folds does not wait for the disk; every other transaction does, also after a
// step that failed.
func TestOnlyFoldsDoNotWaitForTheDisk(t *testing.T) {
	db := openPast(t)
	w := db.writer
	level := func(op *adminOp, fails error) (level int) {
		op.fn = func(tx *sqlx.Tx) error {
			require.NoError(t, tx.Get(&level, "PRAGMA synchronous"))
			return fails
		}
		require.ErrorIs(t, w.change(t.Context(), op), fails)
		return level
	}
	const normal, full = 1, 2 // as SQLite numbers them

	require.Equal(t, full, level(&adminOp{what: "a change"}, nil))
	for _, fails := range []error{nil, context.DeadlineExceeded} {
		require.Equal(t, normal, level(&adminOp{what: "a step", fold: true}, fails))
		require.Equal(t, full, level(&adminOp{what: "a change"}, nil))
	}
}
