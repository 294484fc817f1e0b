package storage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
	"github.com/hookline/hookline/subscriptions"
)

// What the database cannot hold as text comes from outside all the same.
func TestTextFromOutside(t *testing.T) { eachStore(t, testTextFromOutside) }

func testTextFromOutside(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	const odd = "call/\x00\xff"
	seq := db.push(t, event.CallRinging, odd)
	db.end(t, s.No, seq, &delivery.Attempt{
		N: 1, At: 1, StatusCode: 500, Class: delivery.Status, Header: "X: \xe4\x00\n", Err: "\xff",
	},
		delivery.Verdict{State: delivery.Exhausted})
	as, err := db.FindAttempts(ctx, 1, s.No, seq, search.AttemptPlace{}, 10)
	require.NoError(t, err)
	require.Len(t, as, 1)
	found, _, err := db.FindDeliveries(ctx, search.DeliveryFilter{Tenant: 1, OrderKey: odd, Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 1)
}

// Processes that start at once on an empty database make one store.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	place := pgtest.Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			db, err := Open(context.Background(), Config{URL: place, Box: zeroBox(t), Process: fmt.Sprint("p", i)})
			if err == nil {
				err = db.Close()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	db := openPastAs(t, place, "late")
	n, err := db.verify(t)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, (daysAhead+1)*len(dayTables)+len(dayTables),
		db.count(t, "pg_inherits WHERE inhparent IN (SELECT oid FROM pg_class WHERE relkind = 'p')"))
}

// Numbers say their day, and grow over all processes from one event to the next.
func TestNumbersOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	place := emptyStore(t)
	a := openPastAs(t, place, "a")
	b := openPastAs(t, place, "b")
	a.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1)) })
	last, began := int64(0), time.Now().UnixMilli()
	for i := range 20 {
		db := []pastDB{a, b}[i%2]
		e := &event.Event{Tenant: 1, CompanyID: "company-1", Type: event.CallRinging, OrderKey: "call/1", Body: []byte(`{}`)}
		_, err := db.Accept(t.Context(), []*event.Event{e})
		require.NoError(t, err)
		require.Greater(t, e.Seq, last)
		require.Equal(t, e.AcceptedAt/dayMS, e.Seq>>dayBits)
		require.InDelta(t, began, e.AcceptedAt, float64(time.Minute.Milliseconds()))
		last = e.Seq
		found, err := []pastDB{b, a}[i%2].FindEvent(t.Context(), 1, e.ID)
		require.NoError(t, err)
		require.Equal(t, e.Seq, found.Seq)
	}
	require.Equal(t, 20, a.count(t, partition("events", last>>dayBits)))
	require.Zero(t, a.count(t, "events_rest"))
}

// Of one id sent to two processes at once one is stored, and the other known.
func TestSameIDElsewhere(t *testing.T) {
	t.Parallel()
	place := emptyStore(t)
	stores := []pastDB{openPastAs(t, place, "a"), openPastAs(t, place, "b")}
	stores[0].seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1)) })
	var stored, known atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for round := range 20 {
				events := make([]*event.Event, 30)
				for n := range events {
					id := fmt.Sprint(round, "-", (n*7+i*13)%30) // each in its own order
					events[n] = &event.Event{Tenant: 1, ID: id, Type: event.CallRinging, Body: []byte(`{}`)}
				}
				verdicts, err := stores[i%2].Accept(context.Background(), events)
				if err != nil {
					t.Error(err)
				}
				for _, v := range verdicts {
					switch v {
					case ingest.Stored:
						stored.Add(1)
					case ingest.Known:
						known.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 20*30, stored.Load())
	require.EqualValues(t, 7*20*30, known.Load())
	require.Equal(t, 20*30, stores[0].count(t, "events"))
}

// Transactions that want the same ids wait for each other in one order, whatever
// the order of the events.
func TestSameIDsInOneOrder(t *testing.T) {
	t.Parallel()
	place, ctx := emptyStore(t), t.Context()
	a, b := openPastAs(t, place, "a"), openPastAs(t, place, "b")
	a.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })

	// Both stop at id 1 while this one holds it. Who has taken another by then will
	// stand in the way.
	tx, err := a.raw.BeginTx(ctx, nil)
	require.NoError(t, err)
	defer tx.Rollback() //nolint:errcheck // it was
	_, err = tx.ExecContext(ctx, "INSERT INTO event_ids (tenant, id, seq, day, hash) VALUES (1, '1', 0, 0, '')")
	require.NoError(t, err)
	accepted := make(chan error, 2)
	for db, ids := range map[pastDB][]string{a: {"2", "1", "3"}, b: {"3", "1", "2"}} {
		events := make([]*event.Event, len(ids))
		for i, id := range ids {
			events[i] = &event.Event{Tenant: 1, ID: id, Type: event.CallRinging, Body: []byte(`{}`)}
		}
		go func() {
			_, err := db.Accept(ctx, events)
			accepted <- err
		}()
	}
	require.Eventually(t, func() bool {
		return b.count(t, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 2
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, tx.Rollback())
	require.NoError(t, errors.Join(<-accepted, <-accepted))
	require.Zero(t, a.Stats().Conflicts.Load()+b.Stats().Conflicts.Load())
	require.Equal(t, 3, a.count(t, "events"))
}

// A change holds for the next event, whichever process takes it.
func TestChangeElsewhere(t *testing.T) {
	t.Parallel()
	place, ctx := emptyStore(t), t.Context()
	a, b := openPastAs(t, place, "a"), openPastAs(t, place, "b")
	a.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	wants := func(db pastDB, typ event.Type) (versions []int64) {
		t.Helper()
		seq := db.push(t, typ, "")
		require.NoError(t,
			db.read.SelectContext(ctx, &versions, "SELECT version FROM deliveries WHERE seq = ? ORDER BY sub", seq))
		return versions
	}
	s := a.subscribe(t, 1, `,"events":["cdr.*"]`)
	require.Equal(t, []int64{s.Version}, wants(b, event.CDRCall))
	other := b.subscribe(t, 1, `,"events":["call.*"]`)
	require.Equal(t, []int64{other.Version}, wants(a, event.CallRinging))

	// Changes of both in turn: each has seen the other's, versions have no gap.
	version := other.Version
	for i := range 10 {
		db, elsewhere := []pastDB{a, b}[i%2], []pastDB{b, a}[i%2]
		up, err := db.UpdateSubscription(ctx, 1, []string{s.ID, other.ID}[i%2], 0, someone, func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
			n := *s
			n.Name = fmt.Sprint("name-", i)
			return &n, nil
		})
		require.NoError(t, err)
		version++
		require.Equal(t, version, up.Version)
		require.Equal(t, []int64{version}, wants(elsewhere, []event.Type{event.CDRCall, event.CallRinging}[i%2]))
		require.Equal(t, up.Name, elsewhere.index.Get(up.No).Name)
	}
	require.NoError(t, a.DeleteSubscription(ctx, 1, s.ID, 0, someone))
	require.Empty(t, wants(b, event.CDRCall))
	require.Nil(t, b.index.Get(s.No))

	// Many at once: no version is lost, and in the end both know all.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				[]pastDB{a, b}[i%2].subscribe(t, 1, `,"events":["chat.*"]`)
			}
		})
	}
	wg.Wait()
	require.NoError(t, a.CatchUp(ctx))
	require.NoError(t, b.CatchUp(ctx))
	require.Equal(t, 41, a.index.Len())
	require.Equal(t, 41, b.index.Len())
	rows, err := a.verify(t)
	require.NoError(t, err, "one audit log")
	require.EqualValues(t, 2+10+1+40, rows)
}

// What others made pending counts here after a recount, and is exact then.
func TestCountsOfOthers(t *testing.T) {
	t.Parallel()
	place, ctx := emptyStore(t), t.Context()
	a, b := openPastAs(t, place, "a"), openPastAs(t, place, "b")
	a.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s, other := a.subscribe(t, 1, ""), a.subscribe(t, 1, `,"events":["cdr.*"]`)
	one, two := b.push(t, event.CDRCall, ""), b.push(t, event.CallRinging, "")
	b.end(t, s.No, one, refused503(), delivery.Verdict{State: delivery.Exhausted})
	b.end(t, s.No, two, &delivery.Attempt{N: 1, At: 1, StatusCode: 200}, delivery.Verdict{State: delivery.Delivered})
	require.Zero(t, a.PendingOf(1))
	recount := func() {
		t.Helper()
		require.NoError(t, a.writer.pending.recount(ctx, a.read, sqldb.Postgres))
		a.requireHoursAddUp(t)
	}
	recount()
	require.Equal(t, 1, a.PendingOf(1))
	// Retries by hand: of one that had failed, and of one that was delivered.
	require.NoError(t, b.RetryDelivery(ctx, 1, s.No, one, false, bob))
	require.NoError(t, b.RetryDelivery(ctx, 1, s.No, two, false, bob))
	recount()
	require.Equal(t, 3, a.PendingOf(1))
	b.endAll(t, s.No)
	b.endAll(t, other.No)
	recount()
	require.Zero(t, a.PendingOf(1))
}

// Outcomes of a shard that another process took over are dropped.
func TestFence(t *testing.T) {
	t.Parallel()
	db, ctx := openPastIn(t, emptyStore(t)), t.Context()
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := db.subscribe(t, 1, "")
	record := func(owner string, epoch int64) error {
		t.Helper()
		db.exec(t, "UPDATE shards SET owner = ?, epoch = ? WHERE shard = ?", owner, epoch, subscriptions.Shard(s.No))
		seq := db.push(t, event.CDRCall, "")
		items, err := db.Pending(ctx, s.No, delivery.ID{Seq: seq - 1, Run: 1 << 30}, 1)
		require.NoError(t, err)
		done := make(chan error, 1)
		db.Record(&delivery.Outcome{
			Item: items[0], Attempt: refused503(), Epoch: 7, Verdict: delivery.Verdict{State: delivery.Exhausted},
			Done: func(err error) { done <- err },
		})
		return <-done
	}
	require.NoError(t, record("test", 7))
	require.Equal(t, 1, db.count(t, "attempts WHERE epoch = 7"))
	require.ErrorIs(t, record("test", 8), delivery.ErrNotOwner)
	require.ErrorIs(t, record("you", 7), delivery.ErrNotOwner)
	require.ErrorIs(t, record("", 7), delivery.ErrNotOwner)
	require.Equal(t, 1, db.count(t, "attempts"))
	require.EqualValues(t, 3, db.Stats().Fenced.Load())
	require.Equal(t, 3, db.PendingOf(1), "the new owner will see to them")
	db.requireHoursAddUp(t)
}

// What got in another transaction's way is made anew.
func TestConflictIsRepeated(t *testing.T) {
	t.Parallel()
	db := openPastIn(t, emptyStore(t))
	tries := 0
	require.NoError(t, db.admin(t.Context(), "test", func(*sqlx.Tx) error {
		if tries++; tries < sqldb.ConflictTries {
			return fmt.Errorf("wrapped: %w", &pq.Error{Code: pqerror.TRDeadlockDetected})
		}
		return nil
	}))
	require.Equal(t, sqldb.ConflictTries, tries)
	require.ErrorIs(t,
		db.admin(t.Context(), "test", func(*sqlx.Tx) error { return &pq.Error{Code: pqerror.TRSerializationFailure} }),
		ingest.ErrBusy)
}

// A database that takes no writes refuses events and keeps outcomes.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	place, ctx := emptyStore(t), t.Context()
	db := openPastIn(t, place)
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := db.subscribe(t, 1, "")
	seq := db.push(t, event.CDRCall, "")
	u, err := url.Parse(place)
	require.NoError(t, err)
	name := strings.Trim(u.Path, "/")
	readOnly := func(is string) {
		t.Helper()
		db.exec(t, "SET default_transaction_read_only = off")
		db.exec(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = "+is)
		db.exec(t,
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ? AND application_name LIKE 'hookline write%'",
			name)
	}
	db.raw.SetMaxOpenConns(1)
	readOnly("on")
	accept := func() error {
		_, err := db.Accept(ctx, []*event.Event{{Tenant: 1, ID: "again", Type: event.CDRCall, Body: []byte(`{}`)}})
		return err
	}
	require.Eventually(t, func() bool { return errors.Is(accept(), ingest.ErrBusy) }, 10*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, accept(), ingest.ErrBusy)
	require.Error(t, db.Ping(ctx), "not ready")
	done := make(chan error, 1)
	items, err := db.Pending(ctx, s.No, delivery.ID{Seq: seq - 1}, 1)
	require.NoError(t, err)
	db.Record(&delivery.Outcome{
		Item: items[0], Epoch: 1, Attempt: refused503(), Verdict: delivery.Verdict{State: delivery.Exhausted},
		Done: func(err error) { done <- err },
	})
	readOnly("off")
	require.NoError(t, <-done, "kept until then")
	require.Eventually(t, func() bool { return accept() == nil }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, db.Ping(ctx))
	require.NoError(t, CheckCounts(ctx, place))
}

// cutter is a proxy before the server. When armed it lets the next COMMIT
// through and cuts the connection before the answer.
type cutter struct {
	listen net.Listener
	target string
	armed  atomic.Bool
	cuts   atomic.Int64
}

func newCutter(t *testing.T, place string) (*cutter, string) {
	t.Helper()
	u, err := url.Parse(place)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{listen: l, target: u.Host}
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(client)
		}
	}()
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if n > 0 {
				if strings.Contains(string(buf[:n]), "COMMIT\x00") && c.armed.CompareAndSwap(true, false) {
					cut.Store(true)
				}
				if _, err := server.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if cut.Load() { // the answer to COMMIT: it is done, and nobody hears of it
			c.cuts.Add(1)
			return
		}
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// The answer to a commit is lost: nobody is told that it failed for good, and
// nothing is written twice.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	place, ctx := emptyStore(t), t.Context()
	c, through := newCutter(t, place)
	db := openPastIn(t, through)
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := db.subscribe(t, 1, "")
	e := func() []*event.Event {
		return []*event.Event{{Tenant: 1, ID: "e-1", Type: event.CDRCall, Body: []byte(`{}`)}}
	}
	c.armed.Store(true)
	_, err := db.Accept(ctx, e())
	require.ErrorIs(t, err, ingest.ErrBusy)
	require.EqualValues(t, 1, c.cuts.Load())
	verdicts, err := db.Accept(ctx, e())
	require.NoError(t, err)
	require.Equal(t, []ingest.Verdict{ingest.Known}, verdicts, "it was stored")

	items, err := db.Pending(ctx, s.No, delivery.ID{}, 10)
	require.NoError(t, err)
	require.Len(t, items, 1)
	done := make(chan error, 1)
	c.armed.Store(true)
	a := refused503()
	a.RandomCode = "0123456789abcdef"
	db.Record(&delivery.Outcome{
		Item: items[0], Attempt: a, Epoch: 1, Verdict: delivery.Verdict{State: delivery.Pending, DueAt: 5},
		Done: func(err error) { done <- err },
	})
	require.NoError(t, <-done)
	require.EqualValues(t, 2, c.cuts.Load())
	require.Equal(t, 1, db.count(t, "attempts"))
	require.Equal(t, 1, db.count(t, "deliveries WHERE tries = 1 AND due_at = 5"))
	require.NoError(t, CheckCounts(ctx, place), "counted once")

	// Somebody else's attempt of the same number: the lane is told to look again.
	db.exec(t, "UPDATE attempts SET process = 'other'")
	again := *items[0]
	db.Record(&delivery.Outcome{
		Item: &again, Attempt: a, Epoch: 1, Verdict: delivery.Verdict{State: delivery.Exhausted},
		Done: func(err error) { done <- err },
	})
	require.ErrorIs(t, <-done, errRecorded)
	require.Equal(t, 1, db.count(t, "deliveries WHERE state = 0"))
}

// The server stops and comes back, fast and as by a crash, under load: what was
// accepted is there, what was refused was refused cleanly, outcomes wait.
func TestServerRestarts(t *testing.T) {
	server := pgtest.Start(t)
	t.Setenv(pgtest.Variable, server.URL)
	place, ctx := pgtest.Database(t), t.Context()
	db := openPastIn(t, place)
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := db.subscribe(t, 1, "")

	stop, accepted, refused := make(chan struct{}), [4]int{}, [4]int{}
	var load sync.WaitGroup
	for i := range accepted {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				events := []*event.Event{{Tenant: 1, ID: fmt.Sprint(i, "-", n), Type: event.CDRCall, Body: []byte(`{}`)}}
				for {
					_, err := db.Accept(ctx, events)
					if err == nil {
						break
					}
					if !errors.Is(err, ingest.ErrBusy) {
						t.Errorf("refused with %v", err)
						return
					}
					refused[i]++
					select {
					case <-stop: // with the last one open
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
				accepted[i]++
			}
		})
	}
	recorded, outcomes := make(chan error, 100), 0
	finish := func(n int) {
		items, err := db.Pending(ctx, s.No, delivery.ID{}, 1000)
		require.NoError(t, err)
		for _, it := range items {
			if it.Tries == 0 && n > 0 {
				n--
				outcomes++
				db.Record(&delivery.Outcome{
					Item: it, Epoch: 1, Attempt: refused503(), Verdict: delivery.Verdict{State: delivery.Pending, DueAt: 1},
					Done: func(err error) { recorded <- err },
				})
			}
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		require.Eventually(t, func() bool { return db.count(t, "events") > 50 }, 20*time.Second, 20*time.Millisecond)
		finish(20) // some of them are under way as the server goes
		require.NoError(t, server.Signal(sig))
		ping, cancel := context.WithTimeout(ctx, 2*time.Second)
		require.Error(t, db.Ping(ping), "not ready")
		cancel()
		require.NoError(t, server.Start())
		for range outcomes {
			require.NoError(t, <-recorded)
		}
		outcomes = 0
		require.Eventually(t, func() bool { return db.Ping(ctx) == nil }, 20*time.Second, 20*time.Millisecond, "ready again")
	}
	close(stop)
	load.Wait()
	sum, no := 0, 0
	for i := range accepted {
		sum, no = sum+accepted[i], no+refused[i]
	}
	require.NotZero(t, no)
	stored := db.count(t, "events")
	require.GreaterOrEqual(t, stored, sum)
	require.LessOrEqual(t, stored, sum+len(accepted), "the last ones may be stored and refused")
	require.Equal(t, stored, db.count(t, "deliveries"))
	require.Equal(t, 40, db.count(t, "attempts"))
	require.NoError(t, CheckCounts(ctx, place))
}

// Days that all tenants' retention has passed go as a whole; what is still to be
// pushed of them stays.
func TestRetentionDropsDays(t *testing.T) {
	t.Parallel()
	db, ctx := openPastIn(t, emptyStore(t)), t.Context()
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	s := db.subscribe(t, 1, "")
	now := time.Now()
	day := now.UnixMilli()/dayMS - 35 // past payload retention
	first := day << dayBits
	for _, table := range dayTables {
		require.NoError(t, db.makePartition(ctx, table, day))
	}
	db.seed(t, func(tx *sqlx.Tx) {
		for n := range int64(20) {
			e := eventRow{
				Event: search.Event{Event: &event.Event{
					Seq: first + n, Tenant: 1, Type: event.CDRCall, AcceptedAt: day*dayMS + n, Body: []byte("{}"),
				}},
				sender: true,
			}
			e.ID = fmt.Sprint("old-", n)
			require.NoError(t, insertEvent(ctx, tx, e))
			state := delivery.Delivered
			if n == 7 {
				state = delivery.Pending
			}
			require.NoError(t,
				insertRun(ctx, tx, runRow{sub: s.No, seq: e.Seq, typ: e.Type, state: state, acceptedAt: e.AcceptedAt}))
		}
	})
	there := func(table string) bool {
		is, err := db.hasTable(ctx, db.read, partition(table, day))
		require.NoError(t, err)
		return is
	}
	require.NoError(t, db.Trim(ctx, now))
	require.False(t, there("bodies"))
	require.True(t, there("events"))
	require.Equal(t, 1, db.count(t, "bodies"))
	require.Equal(t, 1, db.count(t, "kept_bodies"))
	items, err := db.Pending(ctx, s.No, delivery.ID{}, 10)
	require.NoError(t, err)
	require.NoError(t, db.Load(ctx, items, event.Unmasked))
	require.Equal(t, "{}", string(items[0].Body))

	require.NoError(t, db.Trim(ctx, now.AddDate(0, 0, 370)))
	require.False(t, there("events"))
	require.Equal(t, 1, db.count(t, "events_rest"))
	require.Equal(t, 1, db.count(t, "event_ids"), "a repeat of it would still be known")
	require.Equal(t, 1, db.count(t, "deliveries"))
	e, err := db.FindEvent(ctx, 1, "old-7")
	require.NoError(t, err)
	require.Equal(t, first+7, e.Seq)

	db.endAll(t, s.No)
	require.NoError(t, db.Trim(ctx, now.AddDate(0, 0, 370)))
	for _, table := range []string{"events", "bodies", "kept_bodies", "event_ids", "deliveries", "attempts"} {
		require.Zero(t, db.count(t, table), table)
	}
}

// A database restored from a backup, or a standby that took over, goes on with
// numbers that nobody has seen.
func TestNumbersAfterRestore(t *testing.T) {
	t.Parallel()
	place, ctx := emptyStore(t), t.Context()
	db := openPastIn(t, place)
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	first := db.push(t, event.CDRCall, "")
	require.Equal(t, first+1, db.push(t, event.CDRCall, ""))
	db.close(t)
	db = openPastIn(t, place)
	require.Equal(t, first+2, db.push(t, event.CDRCall, ""), "the same server: no gap")

	db.exec(t, "UPDATE meta SET value = ? WHERE name = 'origin'", []byte("another/00000001/1"))
	require.Equal(t, first+3, db.push(t, event.CDRCall, ""))
	db.close(t)
	db = openPastIn(t, place)
	other := openPastAs(t, place, "other")
	last := db.push(t, event.CDRCall, "")
	require.Equal(t, first+3+originGap+1, last)
	require.Equal(t, last+1, other.push(t, event.CDRCall, ""), "once")
	require.Equal(t, first>>dayBits, last>>dayBits, "still of today")

	// It happens while the process runs: its connections break.
	db.exec(t, "UPDATE meta SET value = ? WHERE name = 'origin'", []byte("another/00000001/1"))
	db.exec(t,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hookline write%'")
	require.Equal(t, last+1+originGap+1, db.push(t, event.CDRCall, ""))
}

// Should nobody have made a partition in time, events go to the rest.
func TestDayWithoutPartition(t *testing.T) {
	t.Parallel()
	db, ctx := openPastIn(t, emptyStore(t)), t.Context()
	db.seed(t, func(tx *sqlx.Tx) { require.NoError(t, storetest.InsertTenant(ctx, tx, 1)) })
	day := time.Now().UnixMilli()/dayMS + 100
	db.exec(t, "SELECT setval('event_seq', ?)", day<<dayBits)
	seq := db.push(t, event.CDRCall, "")
	require.Equal(t, day, seq>>dayBits)
	require.Equal(t, 1, db.count(t, "events_rest"))
	require.NoError(t, db.makePartition(ctx, "events", day), "it comes too late, and does no harm")
	require.NoError(t, db.prepareDays(ctx))
	require.Greater(t, db.push(t, event.CDRCall, ""), seq, "numbers never go back")
	found, _, err := db.FindEvents(ctx, search.EventFilter{Tenant: 1, Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 2)
}
