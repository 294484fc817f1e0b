package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
	"github.com/hookline/hookline/subscriptions"
)

// past is an invented history, in the form in which the log answers, so that a plain filter over
// all of it says what a page must show.
type past struct {
	events     []search.Event    // by seq
	deliveries []search.Delivery // by seq and sub; each shows all its runs
	tenantOf   map[int64]int64   // by subscription
	numberOf   map[int64]string  // digits of the customer's number, by seq
}

// pastStart is when the history begins, Unix ms.
const pastStart = 1_700_000_000_000

// pastSeq is the number with which that day begins on PostgreSQL.
const pastSeq = pastStart / dayMS << dayBits

// insertSub writes the row of a subscription.
func insertSub(ctx context.Context, tx *sqlx.Tx, no, tenant int64, deleted *int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO subscriptions (no, id, tenant, version, name, state, paused_reason, paused_for,
		hold_until, hold_reason, breaker, created_at, deleted_at) VALUES (?, ?, ?, ?, '', 'active', '', 0, 0, '', '{}', 0, ?)`,
		no, fmt.Sprint("sub-", no), tenant, no, deleted)
	return err
}

// eventRow is an event to write.
type eventRow struct {
	search.Event
	sender bool // the sender gave the id
}

// insertEvent writes the rows of an event.
func insertEvent(ctx context.Context, tx *sqlx.Tx, e eventRow) error {
	var warnings any
	if len(e.Warnings) > 0 {
		b, err := json.Marshal(e.Warnings)
		if err != nil {
			return err
		}
		warnings = string(b)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id, process,
		body_hash, size, matched, warnings, hops, test) VALUES (?, ?, ?, ?, ?, ?, ?, 'http', 'k', 'p', ?, ?, ?, ?, 0, false)`,
		e.Tenant, e.Seq, e.ID, e.Type, e.OrderKey, e.OccurredAt, e.AcceptedAt, e.Hash[:], e.Size, e.Matched, warnings)
	if err == nil && e.sender {
		_, err = tx.ExecContext(ctx, "INSERT INTO event_ids (tenant, id, seq, day, hash) VALUES (?, ?, ?, 0, ?)",
			e.Tenant, e.ID, e.Seq, e.Hash[:])
	}
	if err == nil && e.Body != nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO bodies (seq, tenant, bytes) VALUES (?, ?, ?)",
			e.Seq, e.Tenant, append([]byte{0}, e.Body...))
	}
	return err
}

// runRow is a run of a delivery to write.
type runRow struct {
	sub, seq, run int64
	key           int64
	typ           event.Type
	state         delivery.State
	tries         int
	acceptedAt    int64
	status        *int
	class         *delivery.ErrorClass
}

// insertRun writes the row of a run.
func insertRun(ctx context.Context, tx *sqlx.Tx, r runRow) error {
	var doneAt any
	if r.state != delivery.Pending && r.state != delivery.Reopened {
		doneAt = r.acceptedAt + 5
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at, give_up_at, accepted_at,
		done_at, last_status, last_error, late, aside_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, 0, 0, ?, ?, ?, ?, false, 0)`,
		r.sub, r.seq, r.run, r.key, r.typ, r.state, r.tries, r.acceptedAt, doneAt, r.status, r.class)
	return err
}

// pastDB is a store whose rows a test also reads and writes by itself.
type pastDB struct {
	*DB
	raw    *sqlx.DB
	closed *sync.Once
}

func openPast(t testing.TB) pastDB { return openPastIn(t, newPlace(t)) }

func openPastIn(t testing.TB, dir string) pastDB { return openPastWith(t, dir, func(*Config) {}) }

// openPastAs opens the store as one process of several.
func openPastAs(t testing.TB, dir, process string) pastDB {
	return openPastWith(t, dir, func(c *Config) { c.Process = process })
}

// openPastWith opens the store of a place, and a connection past it.
func openPastWith(t testing.TB, dir string, change func(*Config)) pastDB {
	box, err := signing.NewBox(make([]byte, 32))
	require.NoError(t, err)
	cfg := Config{Dir: dir, Process: "test", Box: box, Log: slog.New(slog.DiscardHandler)}
	if sqldb.IsURL(dir) {
		cfg.Dir = ""
		cfg.URL = dir
	}
	change(&cfg)
	db, err := Open(context.Background(), cfg)
	require.NoError(t, err)
	if db.Shared() { // the one owner, under the first epoch
		// On a busy machine this may take longer than a process allows it to.
		require.Eventually(t, func() bool {
			_, err := db.ClaimShards(context.Background(), subscriptions.Shards)
			return err == nil
		}, time.Minute, time.Millisecond, "claim shards")
	}
	p := pastDB{db, storetest.OpenRows(t, dir), new(sync.Once)}
	t.Cleanup(func() { p.close(t) })
	return p
}

// own makes the process of this store the owner of everything, under the first epoch.
func (db pastDB) own(t testing.TB) {
	t.Helper()
	if db.Shared() {
		db.exec(t, "UPDATE shards SET owner = ?, epoch = 1", db.cfg.Process)
	}
}

// close before the end of the test, to open the folder again.
func (db pastDB) close(t testing.TB) {
	db.closed.Do(func() {
		require.NoError(t, db.raw.Close())
		require.NoError(t, db.DB.Close())
	})
}

func (db pastDB) seed(t testing.TB, fn func(tx *sqlx.Tx)) {
	tx, err := db.raw.Beginx()
	require.NoError(t, err)
	fn(tx)
	require.NoError(t, tx.Commit())
}

// makePast invents a history: two tenants, subscriptions of both, some of them deleted, numbers
// with gaps, runs beyond the first.
func makePast(rt require.TestingT, db *sqlx.DB, seed uint64, subs, events int) *past {
	r := rand.New(rand.NewPCG(seed, 1))
	named := rand.New(rand.NewPCG(seed, 2))
	p := &past{tenantOf: map[int64]int64{}, numberOf: map[int64]string{}}
	ctx := context.Background()
	tx, err := db.BeginTxx(ctx, nil)
	require.NoError(rt, err)
	defer func() { require.NoError(rt, tx.Commit()) }()
	for _, t := range []string{"tenants", "subscriptions", "events", "bodies", "event_ids", "deliveries", "subjects"} {
		_, err := tx.ExecContext(ctx, "DELETE FROM "+t)
		require.NoError(rt, err)
	}
	require.NoError(rt, storetest.InsertTenant(ctx, tx, 1))
	require.NoError(rt, storetest.InsertTenant(ctx, tx, 2))
	for no := range int64(subs) {
		var deleted *int64
		if r.IntN(4) == 0 {
			deleted = new(int64)
		}
		p.tenantOf[no+1] = 1 + r.Int64N(2)
		require.NoError(rt, insertSub(ctx, tx, no+1, p.tenantOf[no+1], deleted))
	}
	types := []event.Type{event.CDRCall, event.CallRinging, event.AgentStatus}
	seq, at := int64(pastSeq), int64(pastStart)
	for range events {
		seq += 1 + r.Int64N(3)
		at += r.Int64N(3) * 10
		e := eventRow{Event: search.Event{
			Event: &event.Event{Seq: seq, Tenant: 1 + r.Int64N(2), Type: types[r.IntN(3)], AcceptedAt: at}, Size: 3,
		}}
		e.ID = fmt.Sprint("e-", seq)
		e.CompanyID = fmt.Sprint("company-", e.Tenant)
		if r.IntN(4) > 0 {
			e.OrderKey = fmt.Sprint("call/", r.IntN(3))
		}
		if r.IntN(5) == 0 {
			e.Warnings = []event.Problem{{Code: "odd", Message: "odd", Field: "/data/x"}}
		}
		if named.IntN(3) > 0 {
			p.numberOf[seq] = pastNumbers[named.IntN(len(pastNumbers))]
			written := []string{"+%s", "00%s", "tel:%s;ext=12345", "%s x77"}[named.IntN(4)]
			e.Body = fmt.Appendf(nil, `{"customerNumber":%q}`, fmt.Sprintf(written, p.numberOf[seq]))
		}
		for sub := int64(1); sub <= int64(subs); sub++ {
			if p.tenantOf[sub] != e.Tenant || r.IntN(3) == 0 {
				continue
			}
			e.Matched++
			d := search.Delivery{
				ID: delivery.ID{Sub: sub, Seq: seq}, Subscription: fmt.Sprint("sub-", sub), EventID: e.ID, Type: e.Type,
				OrderKey: e.OrderKey, AcceptedAt: at,
			}
			for run := range int64(1 + max(0, r.IntN(6)-3)) {
				row := runRow{sub: sub, seq: seq, run: run, key: event.Key(e.OrderKey), typ: e.Type, acceptedAt: at}
				row.state = []delivery.State{
					delivery.Delivered, delivery.Delivered, delivery.Exhausted, delivery.Expired,
				}[r.IntN(4)]
				if row.state == delivery.Delivered || r.IntN(4) > 0 {
					row.tries = 1 + r.IntN(3)
					status, class := 200, delivery.None
					if row.state != delivery.Delivered {
						status, class = []int{0, 404, 503}[r.IntN(3)], []delivery.ErrorClass{delivery.Status, delivery.Timeout}[r.IntN(2)]
					}
					row.status, row.class = &status, &class
				}
				addRunRow(ctx, rt, tx, &d, row, r.IntN(4) == 0)
				if d.State == delivery.Pending {
					break
				}
			}
			p.deliveries = append(p.deliveries, d)
		}
		require.NoError(rt, insertEvent(ctx, tx, e))
		p.events = append(p.events, e.Event)
	}
	return p
}

// pastNumbers are the customers' numbers of the history.
var pastNumbers = []string{"6591234567", "91234567", "4930123456"}

// drawSubject picks a number to look for, or none, and returns its digits and its code.
func (p *past) drawSubject(rt *rapid.T, db pastDB, tenant int64) (digits string, code []byte) {
	digits = rapid.SampledFrom(append([]string{"", ""}, pastNumbers...)).Draw(rt, "number")
	if digits == "" {
		return "", nil
	}
	return digits, db.subjects.Of(tenant, digits)
}

// indexNumbers writes the index of numbers as the fold does.
func (p *past) indexNumbers(rt require.TestingT, db pastDB) {
	for _, e := range p.events {
		for _, number := range event.CustomerNumbers(e.Type, e.Body) {
			_, err := db.raw.Exec(db.raw.Rebind("INSERT INTO subjects (tenant, subject, seq) VALUES (?, ?, ?)"),
				e.Tenant, db.subjects.Of(e.Tenant, number), e.Seq)
			require.NoError(rt, err)
		}
	}
}

func drawPast(rt *rapid.T, db *sqlx.DB) *past {
	return makePast(rt, db, rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(1, 12).Draw(rt, "subs"),
		rapid.IntRange(0, 60).Draw(rt, "events"))
}

// addRunRow writes a run as the hub would have left it, and shows it in d.
func addRunRow(ctx context.Context, rt require.TestingT, tx *sqlx.Tx, d *search.Delivery, row runRow, pending bool) {
	if pending {
		row.state = delivery.Pending // perhaps tried already
	}
	if row.run > 0 && d.State != delivery.Delivered {
		// The delivery follows its latest run.
		first := row.state
		if first == delivery.Pending {
			first = delivery.Reopened
		}
		_, err := tx.ExecContext(ctx, "UPDATE deliveries SET state = ? WHERE sub = ? AND seq = ? AND run = 0", first, row.sub,
			row.seq)
		require.NoError(rt, err)
	}
	if row.run == 0 || d.State != delivery.Delivered {
		d.State = row.state
	}
	require.NoError(rt, insertRun(ctx, tx, row))
	d.Run = int(row.run)
	if row.tries > 0 {
		d.Tries += row.tries
		d.LastStatus, d.LastError = 0, 0
		if row.status != nil {
			d.LastStatus = *row.status
		}
		if row.class != nil {
			d.LastError = *row.class
		}
	}
}

func filtered[T any](all []T, keep func(T) bool) []T {
	var out []T
	for _, x := range all {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

func drawRange(rt *rapid.T) (from, to int64) {
	at := rapid.Custom(func(t *rapid.T) int64 {
		if rapid.Bool().Draw(t, "open") {
			return 0
		}
		return pastStart + rapid.Int64Range(-10, 1300).Draw(t, "ms")
	})
	return at.Draw(rt, "from"), at.Draw(rt, "to")
}

func within(at, from, to int64) bool { return (from == 0 || at >= from) && (to == 0 || at < to) }

var someTypes = rapid.SampledFrom([]event.Mask{
	0, event.Of(event.CDRCall), event.Of(event.CallRinging, event.AgentStatus),
})

// someStatuses are some filters by the status of the last attempt.
var someStatuses = [][]search.StatusRange{
	nil, nil,
	{{From: 200, To: 200}},
	{{From: 404, To: 404}},
	{{From: 500, To: 599}},
	{
		{From: 200, To: 299}, {From: 503, To: 503},
	},
	{{From: 404, To: 404}, {From: 503, To: 503}},
}

// All pages together are what a plain filter gives, in order and each once,
// however the filter is made and however few rows a page may look at.
func TestFindDeliveries(t *testing.T) { eachStoreRapidly(t, testFindDeliveries) }

func testFindDeliveries(t *testing.T) {
	db := openPast(t)
	checkRapidly(t, func(rt *rapid.T) {
		p := drawPast(rt, db.raw)
		p.indexNumbers(rt, db)
		for range 6 {
			f := search.DeliveryFilter{
				Tenant:   rapid.Int64Range(1, 2).Draw(rt, "tenant"),
				Types:    someTypes.Draw(rt, "types"),
				OrderKey: rapid.SampledFrom([]string{"", "", "call/0", "call/1"}).Draw(rt, "orderKey"),
				HTTP:     rapid.SampledFrom(someStatuses).Draw(rt, "http"),
				Errors: rapid.SampledFrom([]search.ErrorSet{
					0, 0, search.Errors(delivery.Status), search.Errors(delivery.Timeout, delivery.Status),
				}).Draw(rt, "error"),
				Oldest: rapid.Bool().Draw(rt, "oldest"),
				Limit:  rapid.IntRange(1, 9).Draw(rt, "limit"),
			}
			if rapid.Bool().Draw(rt, "bySub") {
				f.Subs = rapid.SliceOfNDistinct(rapid.Int64Range(1, 5), 1, 3, rapid.ID).Draw(rt, "subs")
			}
			if rapid.Bool().Draw(rt, "byState") {
				for _, state := range rapid.SliceOfN(rapid.IntRange(0, 5), 1, 3).Draw(rt, "states") {
					f.States |= search.States(delivery.State(state))
				}
			}
			f.From, f.To = drawRange(rt)
			var number string
			number, f.Subject = p.drawSubject(rt, db, f.Tenant)
			want := filtered(p.deliveries, func(d search.Delivery) bool {
				return (number == "" || p.numberOf[d.Seq] == number) && p.tenantOf[d.Sub] == f.Tenant && within(d.AcceptedAt, f.From, f.To) &&
					(f.OrderKey == "" || d.OrderKey == f.OrderKey) && f.Matches(&d)
			})
			slices.SortFunc(want, func(a, b search.Delivery) int {
				c := cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Sub, b.Sub))
				if f.OrderKey == "" && !f.Oldest {
					return -c
				}
				return c
			})
			snap := snapshot{
				Snapshot: sqldb.Snapshot{In: db.in, Q: db.read}, rows: rapid.SampledFrom([]int{1, 7, 10_000}).Draw(rt, "rows"),
				first: db.firstSeq.Load(),
			}
			var got []search.Delivery
			for pages := 0; ; pages++ {
				require.Less(rt, pages, 1000, "the pages do not end")
				page, next, err := snap.deliveries(context.Background(), f)
				require.NoError(rt, err)
				require.LessOrEqual(rt, len(page), f.Limit)
				got = append(got, page...)
				if next == nil {
					break
				}
				require.NotEqual(rt, f.After, next, "a page must come some way")
				f.After = next
			}
			require.Equal(rt, lines(want), lines(got))
		}
	})
}

// lines is what the log says of each, to compare.
func lines(ds []search.Delivery) []string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = fmt.Sprint(d.ID, d.Subscription, d.EventID, d.Type, d.OrderKey, d.State, d.Tries, d.LastStatus, d.LastError,
			d.AcceptedAt)
	}
	return out
}

func TestFindEvents(t *testing.T) { eachStoreRapidly(t, testFindEvents) }

func testFindEvents(t *testing.T) {
	db := openPast(t)
	checkRapidly(t, func(rt *rapid.T) {
		p := drawPast(rt, db.raw)
		p.indexNumbers(rt, db)
		choice := rapid.SampledFrom([]*bool{nil, new(true), new(false)})
		for range 6 {
			f := search.EventFilter{
				Tenant:   rapid.Int64Range(1, 2).Draw(rt, "tenant"),
				Types:    someTypes.Draw(rt, "types"),
				OrderKey: rapid.SampledFrom([]string{"", "", "call/0", "call/1"}).Draw(rt, "orderKey"),
				Matched:  choice.Draw(rt, "matched"),
				Warnings: choice.Draw(rt, "warnings"),
				Limit:    rapid.IntRange(1, 9).Draw(rt, "limit"),
			}
			f.From, f.To = drawRange(rt)
			var number string
			number, f.Subject = p.drawSubject(rt, db, f.Tenant)
			want := filtered(p.events, func(e search.Event) bool {
				return (number == "" || p.numberOf[e.Seq] == number) && e.Tenant == f.Tenant && (f.Types == 0 || f.Types.Has(e.Type)) && (f.OrderKey == "" ||
					e.OrderKey == f.OrderKey) &&
					(f.Matched == nil || *f.Matched == (e.Matched > 0)) && (f.Warnings == nil ||
					*f.Warnings == (len(e.Warnings) > 0)) &&
					within(e.AcceptedAt, f.From, f.To)
			})
			slices.Reverse(want)
			snap := snapshot{
				Snapshot: sqldb.Snapshot{In: db.in, Q: db.read}, rows: rapid.SampledFrom([]int{1, 7, 10_000}).Draw(rt, "rows"),
				first: db.firstSeq.Load(),
			}
			var got []search.Event
			for pages := 0; ; pages++ {
				require.Less(rt, pages, 1000, "the pages do not end")
				page, next, err := snap.events(context.Background(), f)
				require.NoError(rt, err)
				require.LessOrEqual(rt, len(page), f.Limit)
				got = append(got, page...)
				if next == 0 {
					break
				}
				f.Before = next
			}
			require.Len(rt, got, len(want))
			for i := range want {
				require.Equal(rt, want[i].Seq, got[i].Seq)
				require.Equal(rt, want[i].CompanyID, got[i].CompanyID)
				require.Equal(rt, want[i].Warnings, got[i].Warnings)
				require.Equal(rt, want[i].Matched, got[i].Matched)
			}
		}
	})
}

func TestFindEvent(t *testing.T) { eachStore(t, testFindEvent) }

func testFindEvent(t *testing.T) {
	db, ctx := openPast(t), context.Background()
	mine, likeOurs := newEventID(pastStart, 7), newEventID(pastStart, 7)
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(ctx, tx, 1))
		require.NoError(t, storetest.InsertTenant(ctx, tx, 2))
		for _, e := range []eventRow{
			{Event: search.Event{Event: &event.Event{
				Tenant: 1, Seq: 7, ID: mine, Type: event.CDRCall, Body: []byte(`{"n":7}`),
			}}},
			// A sender's id that looks like one of ours, naming another event's number.
			{
				Event: search.Event{Event: &event.Event{
					Tenant: 1, Seq: 8, ID: likeOurs, Type: event.CDRCall, Body: []byte(`{"n":8}`),
				}},
				sender: true,
			},
			// body past retention
			{Event: search.Event{Event: &event.Event{Tenant: 1, Seq: 9, ID: "plain", Type: event.CDRCall}}, sender: true},
			{Event: search.Event{Event: &event.Event{Tenant: 2, Seq: 10, ID: "theirs", Type: event.CDRCall}}, sender: true},
		} {
			require.NoError(t, insertEvent(ctx, tx, e))
		}
	})
	for _, c := range []struct {
		tenant int64
		id     string
		seq    int64 // 0: not found
		body   string
	}{
		{1, mine, 7, `{"n":7}`},
		{1, likeOurs, 8, `{"n":8}`},
		{1, "plain", 9, ""},
		{1, "theirs", 0, ""},
		{2, mine, 0, ""},
		{2, "theirs", 10, ""},
		{1, newEventID(pastStart, 9), 0, ""},
		{1, "", 0, ""},
	} {
		e, err := db.FindEvent(ctx, c.tenant, c.id)
		if c.seq == 0 {
			require.ErrorIs(t, err, search.ErrNotFound, c.id)
			continue
		}
		require.NoError(t, err, c.id)
		require.Equal(t, c.seq, e.Seq)
		require.Equal(t, c.body, string(e.Body))
		require.Equal(t, fmt.Sprint("company-", c.tenant), e.CompanyID)
	}
}

func TestFindAttempts(t *testing.T) { eachStore(t, testFindAttempts) }

func testFindAttempts(t *testing.T) {
	db, ctx := openPast(t), context.Background()
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(ctx, tx, 1))
		require.NoError(t, insertSub(ctx, tx, 1, 1, nil))
		require.NoError(t, insertRun(ctx, tx, runRow{sub: 1, seq: 5}))
		for _, n := range [][2]int{{0, 1}, {0, 2}, {1, 1}} {
			_, err := tx.ExecContext(ctx, `INSERT INTO attempts (sub, seq, run, n, at, dns, connect, tls, first, total, remote_ip, status, class, error,
				header, body, signed_at, random_code, nonce, key_n, version, late, replay, process, epoch)
				VALUES (1, 5, ?, ?, 100, 1, 2, 3, 4, 5, '192.0.2.1', 503, ?, 'no', 'A: b', ?, 99, 'abc', ?, 1, 3, false, true, 'p', 0)`, n[0], n[1], delivery.Status, []byte{1}, []byte{2})
			require.NoError(t, err)
		}
	})
	as, err := db.FindAttempts(ctx, 1, 1, 5, search.AttemptPlace{}, 10)
	require.NoError(t, err)
	require.Len(t, as, 3)
	require.Equal(t, search.Attempt{Run: 1, Process: "p", Attempt: delivery.Attempt{
		N: 1, At: 100, DNS: 1000, Connect: 2000, TLS: 3000, First: 4000, Total: 5000, RemoteIP: "192.0.2.1", StatusCode: 503,
		Class: delivery.Status, Err: "no", Header: "A: b", Body: []byte{1}, SignedAt: 99, RandomCode: "abc", Nonce: []byte{2},
		KeyN: 1, Version: 3, Replay: true,
	}}, as[2])
	as, err = db.FindAttempts(ctx, 1, 1, 5, search.AttemptPlace{Run: 0, N: 1}, 1)
	require.NoError(t, err)
	require.Len(t, as, 1)
	require.Equal(t, 2, as[0].N)
	as, err = db.FindAttempts(ctx, 2, 1, 5, search.AttemptPlace{}, 10)
	require.NoError(t, err)
	require.Empty(t, as, "another tenant's")
}

// No question about the past reads a table from end to end, however the filter is made.
func TestSearchPlans(t *testing.T) { eachStore(t, testSearchPlans) }

func testSearchPlans(t *testing.T) {
	db := openPast(t)
	if db.Shared() { // plans are those for tables of which nothing is known, however slow the test
		db.exec(t, "ALTER TABLE deliveries SET (autovacuum_enabled = false)")
		db.exec(t, "ALTER TABLE subjects SET (autovacuum_enabled = false)")
	}
	makePast(t, db.raw, 1, 12, 100) // some rows of everything
	e := &storetest.Explainer{DB: db.read, In: db.in, T: t, Seen: map[string]bool{}}
	snap, ctx, yesNo := snapshot{
		Snapshot: sqldb.Snapshot{In: db.in, Q: e}, rows: 10, first: db.firstSeq.Load(),
	}, context.Background(), []*bool{nil, new(true), new(false)}
	ask := func(types event.Mask, key string) {
		for _, matched := range yesNo {
			for _, warnings := range yesNo {
				_, _, err := snap.events(ctx, search.EventFilter{
					Tenant: 1, Types: types, OrderKey: key, From: pastStart + 20, Matched: matched, Warnings: warnings, Limit: 3,
				})
				require.NoError(t, err)
			}
		}
		for i := range 2 * 3 * 2 * 7 * 2 { // all there are
			f := search.DeliveryFilter{Tenant: 1, Types: types, OrderKey: key, From: pastStart + 20, Limit: 3}
			f.Subs = [][]int64{nil, {1}}[i%2]
			f.HTTP = [][]search.StatusRange{nil, {{From: 200, To: 200}}, {{From: 503, To: 503}, {From: 404, To: 404}}}[i/2%3]
			f.Errors = []search.ErrorSet{0, search.Errors(delivery.Status)}[i/6%2]
			if state := delivery.State(i / 12 % 7); state < delivery.Reopened { // the last stands for none
				f.States = search.States(state)
			}
			f.Oldest = i >= 2*3*2*7
			_, _, err := snap.deliveries(ctx, f)
			require.NoError(t, err)
		}
	}
	ask(0, "")
	ask(event.Of(event.CDRCall), "")
	ask(0, "call/0")
	for i := range 4 {
		number := db.subjects.Of(1, pastNumbers[0])
		_, _, err := snap.events(ctx, search.EventFilter{Tenant: 1, Subject: number, From: pastStart + 20, Limit: 3})
		require.NoError(t, err)
		_, _, err = snap.deliveries(ctx, search.DeliveryFilter{
			Tenant: 1, Subject: number, OrderKey: []string{"", "call/0"}[i%2], Oldest: i > 1, Limit: 3,
		})
		require.NoError(t, err)
	}
	_, err := snap.eventDeliveries(ctx, 1, pastSeq+3)
	require.NoError(t, err)
	require.Greater(t, len(e.Seen), 50)
}

// A count of facets stops at its bounds and says how far it came.
func TestFacetsStop(t *testing.T) { eachStore(t, testFacetsStop) }

func testFacetsStop(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	db.subscribe(t, 1, "")
	db.acceptMany(t, 1, event.CDRCall, 5)
	all, err := db.CountFacets(ctx, search.DeliveryFilter{Tenant: 1}, 10, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.True(t, all.Complete)
	require.Equal(t, 5, all.Counted)
	require.Zero(t, all.To)

	some, err := db.CountFacets(ctx, search.DeliveryFilter{Tenant: 1}, 2, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.False(t, some.Complete)
	require.Equal(t, 2, some.Counted)
	require.Equal(t, 2, some.States[delivery.Pending])
	require.NotZero(t, some.To)
}
