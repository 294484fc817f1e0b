package storage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/storetest"
	"github.com/hookline/hookline/subscriptions"
)

// Keys of tenants.
var (
	someone = access.Caller{KeyID: "key"}
	bob     = access.Caller{KeyID: "bob"}
	eve     = access.Caller{KeyID: "eve"}
)

// wanted is a subscription as a request makes it.
func wanted(t testing.TB, tenant int64, fields string) *subscriptions.Subscription {
	t.Helper()
	s, problems := subscriptions.Create([]byte(`{"url":"https://crm.example/push"`+fields+`}`), subscriptions.Rules{})
	require.Empty(t, problems)
	s.Tenant = tenant
	return s
}

// withTenants is a store with the tenants 1 and 2.
func withTenants(t testing.TB) pastDB {
	db := openPast(t)
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1))
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 2))
	})
	return db
}

func (db pastDB) subscribe(t testing.TB, tenant int64, fields string) *api.Subscription {
	t.Helper()
	s, made, err := db.CreateSubscription(t.Context(), wanted(t, tenant, fields), 1000, someone)
	require.NoError(t, err)
	require.True(t, made)
	return s
}

// push accepts an event of tenant 1 and gives its number.
func (db pastDB) push(t testing.TB, typ event.Type, orderKey string) int64 {
	t.Helper()
	e := &event.Event{Tenant: 1, CompanyID: "company-1", Type: typ, OrderKey: orderKey, Body: []byte(`{}`)}
	_, err := db.Accept(t.Context(), []*event.Event{e})
	require.NoError(t, err)
	return e.Seq
}

// end records what became of the pending run of a delivery.
func (db pastDB) end(t testing.TB, sub, seq int64, a *delivery.Attempt, v delivery.Verdict) {
	t.Helper()
	items, err := db.Pending(t.Context(), sub, delivery.ID{Seq: seq - 1, Run: 1 << 30}, 1)
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, seq, items[0].Seq)
	db.own(t)
	done := make(chan error, 1)
	db.Record(&delivery.Outcome{Item: items[0], Epoch: 1, Attempt: a, Verdict: v, Done: func(err error) { done <- err }})
	require.NoError(t, <-done)
}

func refused503() *delivery.Attempt {
	return &delivery.Attempt{N: 1, At: time.Now().UnixMilli(), StatusCode: 503, Class: delivery.Status}
}

// adds up: matched is all that ended plus what is pending.
func (db pastDB) requireHoursAddUp(t testing.TB) {
	t.Helper()
	var wrong []string
	require.NoError(t, db.read.SelectContext(t.Context(), &wrong, `SELECT h.sub || ': ' || (h.matched - h.ended) || ' of ' || h.matched FROM
		(SELECT sub, sum(matched) AS matched, sum(delivered + exhausted + expired + cancelled + superseded) AS ended FROM delivery_hours WHERE sub > 0 GROUP BY sub) h
		WHERE h.matched - h.ended <> (SELECT count(*) FROM deliveries d WHERE d.sub = h.sub AND d.run = 0 AND d.state IN (0, 6, 7))`))
	require.Empty(t, wrong, "pending by the hours")
	backlog, err := db.Backlog(t.Context())
	require.NoError(t, err)
	var pending []struct {
		Sub int64 `db:"sub"`
		N   int   `db:"n"`
	}
	require.NoError(t, db.read.SelectContext(t.Context(), &pending, "SELECT sub, count(*) AS n FROM deliveries WHERE state = 0 GROUP BY sub"))
	counted := map[int64]int{}
	for _, p := range pending {
		counted[p.Sub] = p.N
	}
	require.Equal(t, counted, backlog)
}

func TestSubscriptionLife(t *testing.T) { eachStore(t, testSubscriptionLife) }

func testSubscriptionLife(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, `,"name":"crm","events":["cdr.*"],"headers":{"X-Secret":"hush"},"encryption":"aes-256-gcm"`)
	require.EqualValues(t, 1, s.Version)
	require.Equal(t, "company-1", s.CompanyID)
	require.Same(t, s.Subscription, db.index.Get(s.No), "it holds for the next event")

	// What is read back is what was made, secrets included; at rest there are none.
	back, err := db.FindSubscription(ctx, 1, s.ID)
	require.NoError(t, err)
	require.Equal(t, s.Headers, back.Headers)
	require.Equal(t, s.Keys[0].AppKey, back.Keys[0].AppKey)
	require.Equal(t, s.Keys[0].Encryption, back.Keys[0].Encryption)
	require.Equal(t, s.Types, back.Types)
	var fields string
	require.NoError(t, db.read.Get(&fields, "SELECT fields FROM subscription_versions"))
	require.NotContains(t, fields, "hush")

	// The same name again gives the one that is there.
	again, made, err := db.CreateSubscription(ctx, wanted(t, 1, `,"name":"crm"`), 1000, someone)
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, s.ID, again.ID)
	other := db.subscribe(t, 2, `,"name":"crm"`) // another tenant's names are its own

	// A change is a new version, and only of the version expected.
	rename := func(name string) func(*subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
			n := *s
			n.Name = name
			return &n, nil
		}
	}
	up, err := db.UpdateSubscription(ctx, 1, s.ID, s.Version, bob, rename("crm2"))
	require.NoError(t, err)
	require.Greater(t, up.Version, other.Version, "versions grow over the whole hub")
	require.Equal(t, "crm2", db.index.Get(s.No).Name)
	_, err = db.UpdateSubscription(ctx, 1, s.ID, s.Version, bob, rename("crm3"))
	require.ErrorIs(t, err, api.ErrVersion)
	_, err = db.UpdateSubscription(ctx, 2, s.ID, 0, eve, rename("mine"))
	require.ErrorIs(t, err, api.ErrNotFound, "another tenant's")
	db.subscribe(t, 1, `,"name":"taken"`)
	_, err = db.UpdateSubscription(ctx, 1, s.ID, 0, bob, rename("taken"))
	require.ErrorIs(t, err, api.ErrExists)
	stop := errors.New("stop")
	_, err = db.UpdateSubscription(ctx, 1, s.ID, 0, bob, func(*subscriptions.Subscription) (*subscriptions.Subscription, error) { return nil, stop })
	require.ErrorIs(t, err, stop)
	require.Equal(t, up.Version, db.index.Get(s.No).Version)

	// The past stays readable.
	old, err := db.FindVersion(ctx, 1, s.No, 1)
	require.NoError(t, err)
	require.Equal(t, "crm", old.Name)
	_, err = db.FindVersion(ctx, 2, s.No, 1)
	require.ErrorIs(t, err, api.ErrNotFound)
	_, err = db.FindVersion(ctx, 1, s.No, other.Version)
	require.ErrorIs(t, err, api.ErrNotFound, "another subscription's version")
	versions, err := db.FindVersions(ctx, 1, s.ID, 0, 10)
	require.NoError(t, err)
	require.Len(t, versions, 2)
	require.Equal(t, "bob", versions[0].ChangedBy)

	// Deleted: no event matches, its id is free of it, its log stays.
	seq := db.push(t, event.CDRCall, "cdr/1")
	require.ErrorIs(t, db.DeleteSubscription(ctx, 1, s.ID, 1, bob), api.ErrVersion)
	require.ErrorIs(t, db.DeleteSubscription(ctx, 2, s.ID, 0, eve), api.ErrNotFound)
	require.NoError(t, db.DeleteSubscription(ctx, 1, s.ID, 0, bob))
	require.ErrorIs(t, db.DeleteSubscription(ctx, 1, s.ID, 0, bob), api.ErrNotFound)
	require.Nil(t, db.index.Get(s.No))
	list, err := db.FindSubscriptions(ctx, 1, 0, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "taken", list[0].Name)
	gone, err := db.FindSubscription(ctx, 1, s.ID)
	require.NoError(t, err)
	require.NotNil(t, gone.DeletedAt)
	_, err = db.FindDelivery(ctx, 1, s.No, seq)
	require.NoError(t, err)
	db.subscribe(t, 1, `,"name":"crm2"`) // its name is free
}

func TestSubscriptionLimit(t *testing.T) { eachStore(t, testSubscriptionLimit) }

func testSubscriptionLimit(t *testing.T) {
	db := withTenants(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, _, errs[i] = db.CreateSubscription(t.Context(), wanted(t, 1, ""), 3, someone)
		})
	}
	wg.Wait()
	full := 0
	for _, err := range errs {
		if err != nil {
			require.ErrorIs(t, err, api.ErrLimit)
			full++
		}
	}
	require.Equal(t, 5, full, "however many come at once")
	require.Len(t, db.index.OfTenant(1), 3)
}

// Changes that race leave in the index what was committed last.
func TestSubscriptionChangesRace(t *testing.T) { eachStore(t, testSubscriptionChangesRace) }

func testSubscriptionChangesRace(t *testing.T) {
	db := withTenants(t)
	s := db.subscribe(t, 1, "")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 0 {
				time.AfterFunc(time.Millisecond, cancel) // the caller goes away: its change may be committed all the same
			}
			defer cancel()
			_, _ = db.UpdateSubscription(ctx, 1, s.ID, 0, someone, func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
				n := *s
				n.Name = fmt.Sprint("name-", i)
				return &n, nil
			})
		})
	}
	wg.Wait()
	stored, err := db.FindSubscription(t.Context(), 1, s.ID)
	require.NoError(t, err)
	require.Equal(t, stored.Version, db.index.Get(s.No).Version)
	require.Equal(t, stored.Name, db.index.Get(s.No).Name)
}

func TestPauseAndResume(t *testing.T) { eachStore(t, testPauseAndResume) }

func testPauseAndResume(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	require.NoError(t, db.Pause(ctx, s.No, 0, subscriptions.ByGone))
	require.NoError(t, db.Pause(ctx, s.No, 0, subscriptions.ByFailing), "twice is no error")
	paused, err := db.FindSubscription(ctx, 1, s.ID)
	require.NoError(t, err)
	require.Equal(t, subscriptions.ByGone, paused.PausedReason, "the first reason stays")
	require.True(t, db.index.Get(s.No).Paused())
	require.NoError(t, db.SetHold(ctx, s.No, 1, 0, delivery.Hold{Until: 99, Reason: "breaker", Breaker: delivery.Breaker{State: "open", Opens: 2, Since: 5, FailingSince: 3}}))
	held, err := db.FindHold(ctx, s.No)
	require.NoError(t, err)
	require.Equal(t, delivery.Hold{Until: 99, Reason: "breaker", Breaker: delivery.Breaker{State: "open", Opens: 2, Since: 5, FailingSince: 3}}, held)

	// An hour later it is resumed: the pause is remembered, over restarts too, and the hold ends.
	resumed, err := db.UpdateSubscription(ctx, 1, s.ID, 0, someone, func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return s.Resume(s.PausedAt.Add(time.Hour)), nil
	})
	require.NoError(t, err)
	require.Equal(t, delivery.Hold{}, resumed.Hold)
	held, err = db.FindHold(ctx, s.No)
	require.NoError(t, err)
	require.Equal(t, delivery.Hold{}, held)
	index := subscriptions.NewIndex()
	db.DB.index = index
	require.NoError(t, db.LoadSubscriptions(ctx))
	require.Equal(t, time.Hour, index.Get(s.No).PausedFor)
	require.Equal(t, resumed.Version, index.Get(s.No).Version)

	require.NoError(t, db.DeleteSubscription(ctx, 1, s.ID, 0, someone))
	require.NoError(t, db.Pause(ctx, s.No, 0, subscriptions.ByGone), "of one deleted meanwhile")
	require.Nil(t, index.Get(s.No))
}

// What is pending of a deleted subscription is cancelled, in chunks, also when
// the hub was restarted in between, and the counts add up.
func TestDeleteCancelsBacklog(t *testing.T) { eachStore(t, testDeleteCancelsBacklog) }

func testDeleteCancelsBacklog(t *testing.T) {
	dir := newPlace(t)
	open := func() pastDB { return openPastIn(t, dir) }
	db := open()
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1)) })
	s, kept := db.subscribe(t, 1, ""), db.subscribe(t, 1, "")
	first := db.push(t, event.CDRCall, "cdr/0")
	db.end(t, s.No, first, refused503(), delivery.Verdict{State: delivery.Exhausted})
	require.NoError(t, db.RetryDelivery(t.Context(), 1, s.No, first, false, someone))
	second := db.push(t, event.CDRCall, "cdr/0b")
	db.end(t, s.No, second, &delivery.Attempt{N: 1, StatusCode: 200}, delivery.Verdict{State: delivery.Delivered})
	require.NoError(t, db.RetryDelivery(t.Context(), 1, s.No, second, false, someone))
	const backlog = 2*jobChunk + 7
	events := make([]*event.Event, backlog)
	for i := range events {
		events[i] = &event.Event{Tenant: 1, Type: event.CallRinging, OrderKey: fmt.Sprint("call/", i), Body: []byte("{}")}
	}
	_, err := db.Accept(t.Context(), events)
	require.NoError(t, err)
	require.NoError(t, db.DeleteSubscription(t.Context(), 1, s.ID, 0, someone))
	db.requireHoursAddUp(t)
	db.close(t)

	db = open()
	require.Nil(t, db.index.Get(s.No))
	require.NotNil(t, db.index.Get(kept.No))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.RunJobs(ctx) }()
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, db.read.Get(&open, "SELECT count(*) FROM jobs WHERE state <> 'done'"))
		return open == 0
	}, 20*time.Second, 5*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	db.requireHoursAddUp(t)
	var states []struct {
		Run   int            `db:"run"`
		State delivery.State `db:"state"`
		N     int            `db:"n"`
	}
	require.NoError(t, db.read.Select(&states, "SELECT CASE WHEN run > 0 THEN 1 ELSE 0 END AS run, state, count(*) AS n FROM deliveries WHERE sub = ? GROUP BY 1, 2 ORDER BY 1, 2", s.No))
	require.Len(t, states, 3)
	require.Equal(t, delivery.Delivered, states[0].State, "what was delivered stays so")
	require.Equal(t, 1, states[0].N)
	require.Equal(t, delivery.Cancelled, states[1].State)
	require.Equal(t, backlog+1, states[1].N, "the one that was being retried too")
	require.Equal(t, delivery.Cancelled, states[2].State, "both retries")
	require.Equal(t, 2, states[2].N)
	left, err := db.Backlog(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[int64]int{kept.No: backlog + 2}, left)
}

func TestRetryDelivery(t *testing.T) { eachStore(t, testRetryDelivery) }

func testRetryDelivery(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	var nudged []Rows
	db.DB.cfg.Nudge = func(r []Rows) { nudged = append(nudged, r...) } // on this goroutine, or the writer's while this one waits
	s := db.subscribe(t, 1, "")
	exhausted := delivery.Verdict{State: delivery.Exhausted}
	first := db.push(t, event.CDRCall, "cdr/1")
	waits := func(err error) string {
		t.Helper()
		var c *api.Conflict
		require.ErrorAs(t, err, &c)
		return c.WaitsFor
	}

	require.Empty(t, waits(db.RetryDelivery(ctx, 1, s.No, first, false, someone)), "it is pending already")
	db.end(t, s.No, first, refused503(), exhausted)
	db.requireHoursAddUp(t)
	require.ErrorIs(t, db.RetryDelivery(ctx, 2, s.No, first, false, eve), api.ErrNotFound)
	require.ErrorIs(t, db.RetryDelivery(ctx, 1, s.No, first+1, false, someone), api.ErrNotFound)
	require.ErrorIs(t, db.RetryDelivery(ctx, 1, s.No+1, first, false, someone), api.ErrNotFound)
	db.requireHoursAddUp(t)

	// A later one of its key is pending: it would be an inversion.
	second := db.push(t, event.CDRCall, "cdr/1")
	d, err := db.FindDelivery(ctx, 1, s.No, second)
	require.NoError(t, err)
	require.Equal(t, d.PublicID(), waits(db.RetryDelivery(ctx, 1, s.No, first, false, someone)))
	nudged = nil
	require.NoError(t, db.RetryDelivery(ctx, 1, s.No, first, true, someone))
	require.Equal(t, []Rows{{Sub: s.No, From: first}}, nudged)
	items, err := db.Pending(ctx, s.No, delivery.ID{}, 10)
	require.NoError(t, err)
	require.Len(t, items, 2)
	require.Equal(t, delivery.ID{Sub: s.No, Seq: first, Run: 1}, items[0].ID)
	require.True(t, items[0].Late)
	require.Zero(t, items[0].DueAt)
	require.Zero(t, items[0].Tries)
	require.Greater(t, items[0].GiveUpAt, time.Now().Add(95*time.Hour).UnixMilli())
	d, err = db.FindDelivery(ctx, 1, s.No, first)
	require.NoError(t, err)
	require.Equal(t, delivery.Pending, d.State)
	require.Equal(t, []search.Run{{Run: 1, By: "key", Reason: "retry"}}, d.Runs)
	require.Empty(t, waits(db.RetryDelivery(ctx, 1, s.No, first, true, someone)), "a run is pending")
	db.requireHoursAddUp(t)

	// The delivery ends as its run does.
	db.end(t, s.No, first, &delivery.Attempt{N: 1, StatusCode: 200}, delivery.Verdict{State: delivery.Delivered})
	d, err = db.FindDelivery(ctx, 1, s.No, first)
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, d.State)
	require.Equal(t, 2, d.Tries)
	require.Equal(t, 200, d.LastStatus)
	db.requireHoursAddUp(t)

	// Of one delivered a further run changes nothing but itself. The second one
	// stepped aside, so the key is free.
	db.end(t, s.No, second, refused503(), delivery.Verdict{State: delivery.Pending, DueAt: 1, AsideAt: 1})
	require.NoError(t, db.RetryDelivery(ctx, 1, s.No, first, false, someone))
	db.end(t, s.No, first, refused503(), exhausted)
	d, err = db.FindDelivery(ctx, 1, s.No, first)
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, d.State, "never goes back")
	require.Equal(t, 503, d.LastStatus)
	require.Equal(t, 2, d.Run)
	db.requireHoursAddUp(t)

	// Without a body there is nothing to send, and nobody to send it to once it is deleted.
	db.seed(t, func(tx *sqlx.Tx) { tx.MustExec("DELETE FROM bodies WHERE seq = ?", first) })
	require.Empty(t, waits(db.RetryDelivery(ctx, 1, s.No, first, true, someone)))
	require.NoError(t, db.DeleteSubscription(ctx, 1, s.ID, 0, someone))
	require.Empty(t, waits(db.RetryDelivery(ctx, 1, s.No, first, true, someone)))
	db.requireHoursAddUp(t)
}

// Without order a pending delivery of the same key is no reason to wait.
func TestRetryWithoutOrder(t *testing.T) { eachStore(t, testRetryWithoutOrder) }

func testRetryWithoutOrder(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, `,"ordering":"none"`)
	first := db.push(t, event.CDRCall, "cdr/1")
	db.end(t, s.No, first, refused503(), delivery.Verdict{State: delivery.Exhausted})
	db.push(t, event.CDRCall, "cdr/1")
	require.NoError(t, db.RetryDelivery(ctx, 1, s.No, first, false, someone))
}

func TestVersionsAt(t *testing.T) { eachStore(t, testVersionsAt) }

func testVersionsAt(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	db.seed(t, func(tx *sqlx.Tx) {
		for _, v := range []struct {
			sub, version, at int64
			events           string
		}{{1, 1, 100, "cdr.*"}, {1, 2, 200, "call.*"}, {2, 3, 300, "*"}, {3, 4, 50, "*"}} {
			fields, err := wanted(t, 1, `,"events":["`+v.events+`"]`).Fields(nil)
			require.NoError(t, err)
			tx.MustExec("INSERT INTO subscription_versions (version, sub, fields, changed_by, at) VALUES (?, ?, ?, '', ?)", v.version, v.sub, fields, v.at)
		}
		require.NoError(t, insertSub(ctx, tx, 1, 1, nil))
		require.NoError(t, insertSub(ctx, tx, 2, 1, nil))
		require.NoError(t, insertSub(ctx, tx, 3, 1, new(int64(150))))
		require.NoError(t, insertSub(ctx, tx, 4, 2, nil))
	})
	for at, want := range map[int64][]int64{
		100: {1, 3, 4}, // 2 was made later
		149: {1, 3, 4},
		150: {1, 3}, // 3 is deleted
		200: {2, 3},
		300: {2, 3},
	} {
		subs, err := db.VersionsAt(ctx, 1, at)
		require.NoError(t, err)
		var got []int64
		for _, s := range subs {
			got = append(got, s.Version)
		}
		require.ElementsMatch(t, want, got, "at %d", at)
	}
}

// BenchmarkLoadSubscriptions starts with 100,000 subscriptions of 20,000 tenants.
func BenchmarkLoadSubscriptions(b *testing.B) {
	db := openPast(b)
	const n = 100_000
	s := wanted(b, 1, `,"headers":{"Authorization":"Bearer 0123456789"}`)
	db.seed(b, func(tx *sqlx.Tx) {
		for no := int64(1); no <= n; no++ {
			if no%5 == 1 {
				require.NoError(b, storetest.InsertTenant(b.Context(), tx, no/5+1))
			}
			require.NoError(b, insertSub(b.Context(), tx, no, (no-1)/5+1, nil))
			id := fmt.Sprint("sub-", no)
			fields, err := s.Fields(func(plain []byte) []byte { return db.box.Seal(headersPurpose(id), plain) })
			require.NoError(b, err)
			tx.MustExec("INSERT INTO subscription_versions (version, sub, fields, changed_by, at) VALUES (?, ?, ?, '', 0)", no, no, fields)
			tx.MustExec("INSERT INTO subscription_keys (sub, n, app_key, encryption, from_at) VALUES (?, 1, ?, ?, 0)", no,
				db.box.Seal(appKeyPurpose(id, 1), []byte(s.Keys[0].AppKey)), db.box.Seal(encryptionPurpose(id, 1), nil))
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		db.DB.index = subscriptions.NewIndex()
		require.NoError(b, db.LoadSubscriptions(b.Context()))
		require.Equal(b, n, db.index.Len())
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB") // of the whole process, with nothing else in it
	runtime.KeepAlive(db.index)
}
