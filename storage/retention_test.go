package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

func days(n int) time.Time { return time.Now().Add(time.Duration(n) * 24 * time.Hour) }

func (db pastDB) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.read.Get(&n, "SELECT count(*) FROM "+query, args...))
	return n
}

// acceptMany accepts n events of a tenant, their ids given by the sender.
func (db pastDB) acceptMany(t testing.TB, tenant int64, typ event.Type, n int) (last int64) {
	t.Helper()
	events := make([]*event.Event, n)
	for i := range events {
		events[i] = &event.Event{
			Tenant: tenant, ID: fmt.Sprint(typ, "-", i), Type: typ, OrderKey: fmt.Sprint("call/", i), Body: []byte(`{"n":1}`),
		}
	}
	_, err := db.Accept(t.Context(), events)
	require.NoError(t, err)
	return events[n-1].Seq
}

// endAll delivers all that is pending of a subscription; the receiver says something.
func (db pastDB) endAll(t testing.TB, sub int64) {
	t.Helper()
	items, err := db.Pending(t.Context(), sub, delivery.ID{}, 100_000)
	require.NoError(t, err)
	db.own(t)
	done := make(chan error, len(items))
	for _, it := range items {
		a := &delivery.Attempt{
			N: 1, At: time.Now().UnixMilli(), StatusCode: 200, Header: "Set-Cookie: hush\n", Body: []byte("hush"),
		}
		db.Record(&delivery.Outcome{
			Item: it, Epoch: 1, Attempt: a, Verdict: delivery.Verdict{State: delivery.Delivered},
			Done: func(err error) { done <- err },
		})
	}
	for range items {
		require.NoError(t, <-done)
	}
}

// Payload goes first and metadata long after it, tenant by tenant, but never
// what is still to be pushed.
func TestRetention(t *testing.T) { eachStore(t, testRetention) }

func testRetention(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	db.seed(t, func(tx *sqlx.Tx) {
		tx.MustExec(`UPDATE tenants SET settings = '{"payloadDays":500,"metadataDays":600}' WHERE no = 2`)
	})
	all, paused := db.subscribe(t, 1, ""), db.subscribe(t, 1, `,"events":["cdr.*"]`)
	const calls = 2*jobChunk + 100
	db.acceptMany(t, 2, event.CallRinging, 3)
	held := db.push(t, event.CDRCall, "cdr/1")
	db.acceptMany(t, 1, event.CallRinging, calls)
	last := db.push(t, event.CDRCall, "cdr/2")
	db.endAll(t, all.No)
	db.end(t, paused.No, last, refused503(), delivery.Verdict{State: delivery.Exhausted})
	db.seed(t, func(tx *sqlx.Tx) { // as they are made when first pushed
		tx.MustExec("INSERT INTO masked_bodies (seq, policy, tenant, bytes) VALUES (?, 1, 1, ?), (?, 1, 1, ?)", held,
			[]byte{0}, last, []byte{0})
	})
	bodies := func(tenant int64) int { return db.count(t, "bodies WHERE tenant = ?", tenant) }
	heard := "attempts WHERE header <> '' OR body IS NOT NULL"

	require.NoError(t, db.Trim(ctx, days(29)))
	require.Equal(t, calls+2, bodies(1))
	require.Equal(t, calls+2, db.count(t, heard))

	require.NoError(t, db.Trim(ctx, days(31)))
	require.Equal(t, 1, bodies(1), "that of the one still to be pushed")
	require.Equal(t, 1, db.count(t, "masked_bodies"))
	require.Equal(t, 3, bodies(2), "its tenant keeps them longer")
	require.Zero(t, db.count(t, heard))
	require.Equal(t, calls+3, db.count(t, "attempts"), "that there were some stays known")
	e, err := db.FindEventSeq(ctx, 1, last)
	require.NoError(t, err)
	require.Nil(t, e.Body)
	items, err := db.Pending(ctx, paused.No, delivery.ID{}, 10)
	require.NoError(t, err)
	require.NoError(t, db.Load(ctx, items, event.Unmasked))
	require.Equal(t, "{}", string(items[0].Event.Body))
	ds, _, err := db.FindDeliveries(ctx, search.DeliveryFilter{Tenant: 1, Subs: []int64{all.No}, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, ds[0].State)
	require.Error(t, db.RetryDelivery(ctx, 1, all.No, last, false, bob), "there is nothing left to push")
	db.requireHoursAddUp(t)

	// However old: its metadata stays too, until it was pushed.
	require.NoError(t, db.Trim(ctx, days(401)))
	require.Equal(t, 1, db.count(t, "events WHERE tenant = 1"))
	require.Equal(t, 3, db.count(t, "events WHERE tenant = 2"))
	require.Equal(t, 1, db.count(t, "deliveries"))
	require.Zero(t, db.count(t, "attempts"))
	require.Equal(t, 1, db.count(t, "(SELECT DISTINCT hour FROM delivery_hours WHERE sub = ?) h", paused.No))
	require.Equal(t, 3, db.count(t, "event_ids"), "those of tenant 2")
	require.Equal(t, 1, bodies(1))
	require.Equal(t, 1, db.PendingOf(1))
	db.requireHoursAddUp(t)

	db.end(t, paused.No, held, &delivery.Attempt{N: 1, At: 1, StatusCode: 200, Header: "A: b\n", Body: []byte("hush")},
		delivery.Verdict{State: delivery.Delivered})
	require.NoError(t, db.Trim(ctx, days(31)))
	require.Zero(t, bodies(1))
	require.Zero(t, db.count(t, "masked_bodies"))
	require.Zero(t, db.count(t, "kept_bodies"))
	require.Zero(t, db.count(t, heard))
	require.Equal(t, 1, db.count(t, "attempts"))
	require.NoError(t, db.Trim(ctx, days(401)))
	for _, table := range []string{
		"events WHERE tenant = 1", "deliveries", "attempts", "delivery_hours WHERE sub <> -2", "error_hours", "event_ids WHERE tenant = 1", "masked_bodies",
		"kept_bodies",
	} {
		require.Zero(t, db.count(t, table), table)
	}
	require.NoError(t, db.Trim(ctx, days(401)), "there is nothing left to do")
	require.Equal(t, 2, db.count(t, "subscriptions"), "the log stays readable")
}

// A retry asked for by hand keeps all runs of its delivery.
func TestRetentionSparesRetries(t *testing.T) { eachStore(t, testRetentionSparesRetries) }

func testRetentionSparesRetries(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	seq := db.push(t, event.CDRCall, "cdr/1")
	db.end(t, s.No, seq, &delivery.Attempt{N: 1, At: 1, StatusCode: 200}, delivery.Verdict{State: delivery.Delivered})
	require.NoError(t, db.RetryDelivery(ctx, 1, s.No, seq, false, bob))
	require.NoError(t, db.Trim(ctx, days(401)))
	d, err := db.FindDelivery(ctx, 1, s.No, seq)
	require.NoError(t, err)
	require.Len(t, d.Runs, 1)
	require.Equal(t, 1, db.count(t, "attempts"))
	require.Equal(t, 1, db.count(t, "bodies"))
	db.end(t, s.No, seq, &delivery.Attempt{N: 1, At: 1, StatusCode: 200}, delivery.Verdict{State: delivery.Delivered})
	require.NoError(t, db.Trim(ctx, days(401)))
	_, err = db.FindDelivery(ctx, 1, s.No, seq)
	require.ErrorIs(t, err, search.ErrNotFound)
}

// Numbers of events that retention took away are not used again, and time does
// not run backwards past them: ids and X-Hookline-Sequence depend on it.
func TestNumbersSurviveRetention(t *testing.T) { eachStore(t, testNumbersSurviveRetention) }

func testNumbersSurviveRetention(t *testing.T) {
	dir := newPlace(t)
	db := openPastIn(t, dir)
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1)) })
	last := db.acceptMany(t, 1, event.CallRinging, 5)
	require.NoError(t, db.Trim(t.Context(), days(401)))
	require.Zero(t, db.count(t, "events"))
	require.Zero(t, db.count(t, "bodies"))
	at := db.writer.last.At
	db.close(t)

	db = openPastIn(t, dir)
	require.Equal(t, at, db.writer.last.At)
	require.Equal(t, last+1, db.push(t, event.CallRinging, "call/1"))
}

func TestPendingOfTenant(t *testing.T) { eachStore(t, testPendingOfTenant) }

func testPendingOfTenant(t *testing.T) {
	dir := newPlace(t)
	db := openPastIn(t, dir)
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1))
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 2))
	})
	a, b := db.subscribe(t, 1, ""), db.subscribe(t, 1, `,"events":["cdr.*"]`)
	first, second := db.push(t, event.CDRCall, "cdr/1"), db.push(t, event.CallRinging, "call/1")
	require.Equal(t, 3, db.PendingOf(1))
	require.Zero(t, db.PendingOf(2))
	db.end(t, a.No, second, refused503(), delivery.Verdict{State: delivery.Exhausted})
	require.Equal(t, 2, db.PendingOf(1))
	require.NoError(t, db.RetryDelivery(t.Context(), 1, a.No, second, false, bob))
	require.Error(t, db.RetryDelivery(t.Context(), 1, b.No, first, false, bob), "pending already")
	require.Equal(t, 3, db.PendingOf(1))
	db.close(t)

	db = openPastIn(t, dir)
	require.Equal(t, 3, db.PendingOf(1))
	db.endAll(t, a.No)
	db.endAll(t, b.No)
	require.Zero(t, db.PendingOf(1))
}

// Of several processes one takes away what is old; the others leave it to that one.
func TestRetentionOfTwoProcesses(t *testing.T) {
	one, two := withSecond(t)
	ctx := t.Context()
	one.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := one.subscribe(t, 1, "")
	const events = 200
	one.acceptMany(t, 1, event.CallRinging, events)
	one.endAll(t, s.No)
	busy, err := one.raw.Conn(ctx)
	require.NoError(t, err)
	defer busy.Close()
	_, err = busy.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(sqldb.TurnRetention))
	require.NoError(t, err)
	require.NoError(t, two.Trim(ctx, days(401)))
	require.Equal(t, events, one.count(t, "events"), "another process is at it")
	_, err = busy.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(sqldb.TurnRetention))
	require.NoError(t, err)
	both := make(chan error, 2)
	for _, db := range []*DB{one.DB, two} {
		go func() { both <- db.Trim(ctx, days(401)) }()
	}
	require.NoError(t, <-both)
	require.NoError(t, <-both)
	for _, table := range []string{"events", "bodies", "deliveries", "attempts", "delivery_hours"} {
		require.Zero(t, one.count(t, table), table)
	}
	one.requireHoursAddUp(t)
}
