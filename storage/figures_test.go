package storage

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// history makes random things happen to deliveries, through the store's own doors.
type history struct {
	pastDB
	t     *testing.T
	r     *rand.Rand
	dir   string
	subs  []int64
	ids   map[int64]string
	stale []*delivery.Item // read before their subscription was deleted
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, r: rand.New(rand.NewPCG(seed, 1)), dir: newPlace(t), ids: map[int64]string{}}
	h.pastDB = openPastIn(t, h.dir)
	h.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1))
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 2))
	})
	h.subscribeOne()
	return h
}

func (h *history) subscribeOne() {
	s := h.subscribe(h.t, 1, []string{`,"events":["cdr.*"]`, `,"events":["call.*","cdr.call"]`, ""}[h.r.IntN(3)])
	h.subs, h.ids[s.No] = append(h.subs, s.No), s.ID
}

func (h *history) step() {
	switch h.r.IntN(14) {
	case 12, 13:
		h.replaySome()
	case 0, 1, 2:
		h.acceptSome()
	case 3, 4, 5, 6:
		h.endSome()
	case 7, 8:
		h.retryOne()
	case 9:
		h.now(h.r.Int64N(hourMS)) // hours pass
	case 10:
		if h.r.IntN(3) == 0 || len(h.subs) < 2 {
			h.subscribeOne()
		}
	case 11:
		switch h.r.IntN(6) {
		case 0:
			h.deleteOne()
		case 1:
			h.restart()
		}
	}
}

func (h *history) acceptSome() {
	types := []event.Type{event.CDRCall, event.CDRParty, event.CallRinging, event.AgentStatus}
	events := make([]*event.Event, 1+h.r.IntN(4))
	for i := range events {
		typ := types[h.r.IntN(len(types))]
		events[i] = &event.Event{Tenant: 1, CompanyID: "company-1", Type: typ, OrderKey: fmt.Sprint(typ, "/", h.r.IntN(5)), Body: []byte(`{}`)}
		if h.r.IntN(8) == 0 { // a test push
			events[i].Type, events[i].OrderKey, events[i].Test = event.Test, "", true
			events[i].Target = h.subs[h.r.IntN(len(h.subs))]
		}
	}
	_, err := h.Accept(h.t.Context(), events)
	require.NoError(h.t, err)
}

// now is the store's last time, so many ms later than before. It belongs to the
// writer, so that is who is asked.
func (h *history) now(later int64) (at int64) {
	require.NoError(h.t, h.admin(h.t.Context(), "let time pass", func(*sqlx.Tx) error {
		h.writer.last.At += later
		at = h.writer.last.At
		return nil
	}))
	return at
}

// attempt of any class, begun at any time of two days.
func (h *history) attempt() *delivery.Attempt {
	a := &delivery.Attempt{
		At: h.now(0) - h.r.Int64N(48*hourMS), Total: time.Duration(h.r.Int64N(1 << h.r.IntN(36))),
		StatusCode: 200,
	}
	if h.r.IntN(2) == 0 {
		a.StatusCode, a.Class = 503, delivery.Status
	}
	return a
}

func (h *history) outcome(it *delivery.Item) *delivery.Outcome {
	o := &delivery.Outcome{Item: it, Epoch: 1}
	o.Verdict.State = delivery.State(h.r.IntN(int(delivery.Superseded) + 1))
	if o.Verdict.State == delivery.Cancelled { // only a deletion does that
		o.Verdict.State = delivery.Delivered
	}
	if o.Verdict.State <= delivery.Delivered || h.r.IntN(2) == 0 {
		o.Attempt = h.attempt()
	}
	return o
}

// endSome records several outcomes at once, some of runs cancelled meanwhile.
func (h *history) endSome() {
	items, err := h.Pending(h.t.Context(), h.subs[h.r.IntN(len(h.subs))], delivery.ID{}, 1+h.r.IntN(5))
	require.NoError(h.t, err)
	replays, err := h.Replays(h.t.Context(), h.subs[h.r.IntN(len(h.subs))], 1+h.r.IntN(5))
	require.NoError(h.t, err)
	items, h.stale = slices.Concat(items, replays, h.stale), nil
	done := make(chan error, len(items))
	for _, it := range items {
		o := h.outcome(it)
		o.Done = func(err error) { done <- err }
		h.Record(o)
	}
	for range items {
		require.NoError(h.t, <-done)
	}
}

// replaySome asks for a replay of any kind, or a cancellation, or stops one, and lets
// the jobs work.
func (h *history) replaySome() {
	kind, spec := search.Replays, &search.JobSpec{Tenant: 1, Deliveries: &search.DeliveryFilter{Tenant: 1}}
	spec.Only = []search.ReplayOnly{search.OnlyFailed, search.OnlyAll}[h.r.IntN(2)]
	switch h.r.IntN(6) {
	case 0, 1:
		spec.Target = h.subs[h.r.IntN(len(h.subs))]
		spec.Only = search.OnlyNeverSent
	case 2:
		spec.Target = h.subs[h.r.IntN(len(h.subs))]
		spec.Deliveries, spec.Events = nil, &search.EventFilter{Tenant: 1, From: 1}
	case 3:
		kind, spec.Only = search.Cancellations, ""
		spec.Deliveries.Types = event.Of(event.CDRCall)
	case 4:
		jobs, err := h.FindJobs(h.t.Context(), 1, kind, 0, 1)
		require.NoError(h.t, err)
		for _, j := range jobs {
			_, _ = h.StopJob(h.t.Context(), 1, kind, j.ID, bob) // refused when it is done
		}
	}
	_, err := h.CreateJob(h.t.Context(), kind, spec, bob)
	require.NoError(h.t, err)
	for range 3 {
		_, err := h.workOnJobs(h.t.Context())
		require.NoError(h.t, err)
	}
}

func (h *history) retryOne() {
	sub := h.subs[h.r.IntN(len(h.subs))]
	var ended []int64
	require.NoError(h.t, h.read.Select(&ended, "SELECT seq FROM deliveries WHERE sub = ? AND run = 0 AND state NOT IN (0, 6)", sub))
	if len(ended) > 0 {
		// Refused when another run of it is pending: then nothing may change.
		_ = h.RetryDelivery(h.t.Context(), 1, sub, ended[h.r.IntN(len(ended))], true, bob)
	}
}

func (h *history) deleteOne() {
	if len(h.subs) < 2 {
		return
	}
	i := h.r.IntN(len(h.subs))
	sub := h.subs[i]
	h.subs = slices.Delete(h.subs, i, i+1)
	var err error
	h.stale, err = h.Pending(h.t.Context(), sub, delivery.ID{}, 2)
	require.NoError(h.t, err)
	require.NoError(h.t, h.DeleteSubscription(h.t.Context(), 1, h.ids[sub], 0, bob))
	require.NoError(h.t, h.runWaiting(h.t.Context()))
}

func (h *history) restart() {
	h.close(h.t)
	h.pastDB = openPastIn(h.t, h.dir)
}

// Whatever happens to deliveries, their counts are those of a recount, and
// every row of stats adds up.
func TestCountsAddUp(t *testing.T) { eachStore(t, testCountsAddUp) }

func testCountsAddUp(t *testing.T) {
	for seed := range fewer(t, uint64(4), 2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := newHistory(t, seed)
			for range 100 {
				h.step()
			}
			h.requireHoursAddUp(t)
			var tests int
			require.NoError(t, h.read.Get(&tests, "SELECT count(*) FROM deliveries WHERE type = ?", event.Test))
			require.NotZero(t, tests, "pushes of a sample")
			require.NoError(t, CheckCounts(t.Context(), h.dir))
			zones := []*time.Location{nil, time.UTC, zone(t, "Asia/Kolkata"), zone(t, "America/New_York")}
			for _, by := range []search.Grouping{search.ByNone, search.BySubscription, search.ByClass, search.ByType} {
				h.requireStats(search.StatsFilter{Tenant: 1, By: by, Days: zones[h.r.IntN(len(zones))]})
			}
			rows, err := h.FindStats(t.Context(), search.StatsFilter{Tenant: 2, From: 1, To: h.now(0)/hourMS + 1, Limit: 10})
			require.NoError(t, err)
			require.Empty(t, rows, "another tenant's")
		})
	}
}

func zone(t *testing.T, name string) *time.Location {
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

// requireStats compares stats with a recount row by row over the span in which
// all happened.
func (h *history) requireStats(f search.StatsFilter) {
	h.t.Helper()
	f.From, f.To, f.Limit = h.now(0)/hourMS-60, h.now(0)/hourMS+1, 10_000
	rows, err := h.FindStats(h.t.Context(), f)
	require.NoError(h.t, err)

	type key struct {
		bucket, sub string
		class       event.Class
		typ         event.Type
	}
	of := func(sub int64, at int64, typ event.Type) (k key) {
		hour := time.UnixMilli(at - at%hourMS)
		k.bucket = hour.UTC().Format(time.RFC3339)
		if f.Days != nil {
			k.bucket = hour.In(f.Days).Format(time.DateOnly)
		}
		if f.By == search.BySubscription {
			require.NoError(h.t, h.read.Get(&k.sub, "SELECT id FROM subscriptions WHERE no = ?", sub))
		}
		if f.By == search.ByClass {
			k.class = typ.Class()
		}
		if f.By == search.ByType {
			k.typ = typ
		}
		return k
	}
	want, tried := map[key][8]int64{}, map[key]search.Tried{}
	var ds []struct {
		Sub   int64          `db:"sub"`
		At    int64          `db:"accepted_at"`
		Type  event.Type     `db:"type"`
		State delivery.State `db:"state"`
	}
	require.NoError(h.t, h.read.Select(&ds, "SELECT sub, accepted_at, type, state FROM deliveries WHERE run = 0"))
	require.NotEmpty(h.t, ds)
	for _, d := range ds {
		k := of(d.Sub, d.At, d.Type)
		n := want[k]
		if d.State == delivery.Reopened {
			d.State = delivery.Pending
		}
		n[d.State]++
		n[7]++
		want[k] = n
	}
	var as []struct {
		Sub   int64      `db:"sub"`
		At    int64      `db:"at"`
		Type  event.Type `db:"type"`
		Class int        `db:"class"`
		Total int64      `db:"total"`
	}
	require.NoError(h.t, h.read.Select(&as, "SELECT a.sub, a.at, d.type, a.class, a.total FROM attempts a JOIN deliveries d ON d.sub = a.sub AND d.seq = a.seq AND d.run = 0"))
	require.NotEmpty(h.t, as)
	for _, a := range as {
		k := of(a.Sub, a.At, a.Type)
		n := tried[k]
		n.Note(a.Class == 0, time.Duration(a.Total)*time.Microsecond)
		tried[k] = n
		if _, ok := want[k]; !ok {
			want[k] = [8]int64{} // tried in another hour than accepted
		}
	}

	for i, r := range rows {
		if i > 0 {
			require.LessOrEqual(h.t, rows[i-1].From, r.From)
		}
		k := key{sub: r.Subscription, class: r.Class, typ: r.Type}
		from, last := time.UnixMilli(r.From*hourMS), time.UnixMilli((r.To-1)*hourMS)
		if k.bucket = from.UTC().Format(time.RFC3339); f.Days != nil {
			k.bucket = from.In(f.Days).Format(time.DateOnly)
			require.Equal(h.t, k.bucket, last.In(f.Days).Format(time.DateOnly), "one day")
		} else {
			require.Equal(h.t, from, last)
		}
		require.Contains(h.t, want, k)
		n := [8]int64{r.Pending(), r.Delivered, r.Exhausted, r.Expired, r.Cancelled, r.Superseded, 0, r.Matched}
		require.Equal(h.t, want[k], n, k)
		require.GreaterOrEqual(h.t, r.Pending(), int64(0))
		require.Equal(h.t, tried[k], r.Tried, k)
		require.Equal(h.t, r.OK+r.Failed, r.Latencies.Count())
		delete(want, k)
	}
	require.Empty(h.t, want, "missing")
}

// The recount finds a count that is off by one, in whatever column.
func TestMiscountIsFound(t *testing.T) { eachStore(t, testMiscountIsFound) }

func testMiscountIsFound(t *testing.T) {
	h := newHistory(t, 7)
	for range 60 {
		h.step()
	}
	require.NoError(t, CheckCounts(t.Context(), h.dir))
	for _, column := range []string{"matched", "delivered", "exhausted", "expired", "cancelled", "superseded", "ok", "failed", "l7"} {
		change := func(by string) {
			h.seed(t, func(tx *sqlx.Tx) {
				_, err := tx.Exec("UPDATE delivery_hours SET " + column + " = " + column + by +
					" WHERE (sub, hour, class) = (SELECT sub, hour, class FROM delivery_hours WHERE sub > 0 ORDER BY sub, hour, class LIMIT 1)")
				require.NoError(t, err)
			})
		}
		change("+ 1")
		require.ErrorIs(t, CheckCounts(t.Context(), h.dir), ErrMiscount, column)
		change("- 1")
	}
	h.seed(t, func(tx *sqlx.Tx) {
		_, err := tx.Exec("DELETE FROM delivery_hours")
		require.NoError(t, err)
	})
	require.ErrorIs(t, CheckCounts(t.Context(), h.dir), ErrMiscount)
}

// Days are those of the zone, also on the days when its clocks change.
func TestStatsDays(t *testing.T) { eachStore(t, testStatsDays) }

func testStatsDays(t *testing.T) {
	db := withTenants(t)
	s := db.subscribe(t, 1, "")
	hours := func(day string, z *time.Location) (from, to int64) {
		d, err := time.ParseInLocation(time.DateOnly, day, z)
		require.NoError(t, err)
		return d.UnixMilli() / hourMS, d.AddDate(0, 0, 1).UnixMilli() / hourMS
	}
	ny := zone(t, "America/New_York")
	first, _ := hours("2026-03-07", ny)
	_, last := hours("2026-11-02", ny)
	db.seed(t, func(tx *sqlx.Tx) {
		_, err := tx.Exec(`WITH RECURSIVE hours(h) AS (VALUES (CAST(? AS BIGINT)) UNION ALL SELECT h + 1 FROM hours WHERE h < ?)
			INSERT INTO delivery_hours (sub, hour, class, matched) SELECT CAST(? AS BIGINT), h, 0, 1 FROM hours`, first, last-1, s.No)
		require.NoError(t, err)
	})
	rows, err := db.FindStats(t.Context(), search.StatsFilter{Tenant: 1, From: first, To: last, Days: ny, Limit: 400})
	require.NoError(t, err)
	require.Len(t, rows, 241)
	long := map[int64]string{}
	for _, r := range rows {
		day := time.UnixMilli(r.From * hourMS).In(ny).Format(time.DateOnly)
		from, to := hours(day, ny)
		require.Equal(t, [3]int64{from, to, to - from}, [3]int64{r.From, r.To, r.Matched}, day)
		if r.Matched != 24 {
			long[r.Matched] = day
		}
	}
	require.Equal(t, map[int64]string{23: "2026-03-08", 25: "2026-11-01"}, long)

	// Part of a day says which part; and there may be too much to tell.
	rows, err = db.FindStats(t.Context(), search.StatsFilter{Tenant: 1, From: first + 5, To: first + 7, Days: ny, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, [][3]int64{{first + 5, first + 7, 2}}, [][3]int64{{rows[0].From, rows[0].To, rows[0].Matched}})
	_, err = db.FindStats(t.Context(), search.StatsFilter{Tenant: 1, From: first, To: first + 3, Limit: 2})
	require.ErrorIs(t, err, search.ErrTooManyRows)
}

func TestHealth(t *testing.T) { eachStore(t, testHealth) }

func testHealth(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s, other := db.subscribe(t, 1, ""), db.subscribe(t, 1, `,"events":["agent.status"]`)
	base := (time.Now().UnixMilli()/hourMS - 48) * hourMS
	now := time.UnixMilli(base + 30*minuteMS + 20_000)
	health := func(at time.Time) *search.Health {
		h, err := db.FindHealth(ctx, s.No, at)
		require.NoError(t, err)
		return h
	}
	h := health(now)
	require.Equal(t, base+25*minuteMS, h.FiveMinutes.From)
	require.Equal(t, base-30*minuteMS, h.Hour.From)
	require.Equal(t, base-24*hourMS, h.Day.From)
	require.Zero(t, h.Backlog+int(h.OldestPending)+int(h.Day.OK))
	require.Nil(t, h.LastError)

	seq := db.push(t, event.CDRCall, "cdr/1")
	tried := func(at int64, took time.Duration, class delivery.ErrorClass) {
		a := &delivery.Attempt{At: at, Total: took, Class: class, StatusCode: 200}
		if class != delivery.None {
			a.StatusCode, a.Err = 503, "answered 503"
		}
		db.end(t, s.No, seq, a, delivery.Verdict{State: delivery.Pending})
	}
	tried(now.UnixMilli()-1000, 3*time.Millisecond, delivery.None)
	tried(base+25*minuteMS, 3*time.Millisecond, delivery.None)
	tried(base+25*minuteMS-1, 40*time.Millisecond, delivery.Status) // just out of the five minutes
	tried(base-30*minuteMS, 50*time.Millisecond, delivery.Status)
	tried(base-30*minuteMS-1, 5*time.Second, delivery.None) // just out of the hour
	tried(base-24*hourMS, 5*time.Second, delivery.None)
	tried(base-24*hourMS-1, 5*time.Second, delivery.None) // just out of the day
	counts := func(w search.Window) [3]int64 { return [3]int64{w.OK, w.Failed, w.Latencies.Count()} }
	h = health(now)
	require.Equal(t, [3]int64{2, 0, 2}, counts(h.FiveMinutes))
	require.Equal(t, [3]int64{2, 2, 4}, counts(h.Hour))
	require.Equal(t, [3]int64{4, 2, 6}, counts(h.Day))
	p50, ok := h.FiveMinutes.Latencies.Quantile(0.5)
	require.True(t, ok)
	require.InDelta(t, 3, float64(p50)/1e6, 1.3)
	require.Equal(t, &search.LastError{
		At: base + 25*minuteMS - 1, Delivery: delivery.PublicID(s.No, seq, time.Now().UnixMilli()), Status: 503, Class: delivery.Status, Detail: "answered 503",
	}, h.LastError, "the latest, although recorded before an earlier one")
	require.Equal(t, 1, h.Backlog)
	require.InDelta(t, time.Now().UnixMilli(), h.OldestPending, 60_000)

	// A minute takes the row of the one 64 before, and an old one does not take it back.
	tried(base+(25+ringMinutes)*minuteMS, time.Millisecond, delivery.None)
	tried(base+25*minuteMS, time.Millisecond, delivery.None)
	require.Equal(t, [3]int64{1, 0, 1}, counts(health(time.UnixMilli(base+(25+ringMinutes)*minuteMS)).FiveMinutes))
	var rows int
	require.NoError(t, db.read.Get(&rows, "SELECT count(*) FROM delivery_minutes WHERE sub = ?", s.No))
	require.LessOrEqual(t, rows, ringMinutes)

	o, err := db.FindHealth(ctx, other.No, now)
	require.NoError(t, err)
	require.Nil(t, o.LastError)
	require.Zero(t, o.Day.OK+o.Day.Failed+int64(o.Backlog)+o.OldestPending, "another's")
}

// No figure is read from end to end of a table.
func TestFiguresPlans(t *testing.T) { eachStore(t, testFiguresPlans) }

func testFiguresPlans(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	s := db.subscribe(t, 1, "")
	e := &storetest.Explainer{DB: db.read, In: db.in, T: t, Seen: map[string]bool{}, Sorts: true}
	snap := snapshot{Snapshot: sqldb.Snapshot{In: db.in, Q: e}, rows: 10}
	for _, by := range []search.Grouping{search.ByNone, search.BySubscription, search.ByClass, search.ByType} {
		require.NoError(t, snap.addStats(ctx, nil, search.StatsFilter{Tenant: 1, By: by, Limit: 10}, zoneSpan{low: 1, below: 2, unit: 60}, 0))
	}
	require.NoError(t, snap.health(ctx, s.No, time.Now(), new(search.Health)))
	require.Len(t, e.Seen, 8)
}
