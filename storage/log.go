package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ search.Store = (*DB)(nil)

// DefaultPageRows bounds the rows that one page of the log looks at when no index fits
// its filter. SQLite needs about 20 ms for them.
const DefaultPageRows = 40_000

// snapshot is one state of the database, as a page of the log sees it.
type snapshot struct {
	sqldb.Snapshot
	rows  int   // how many the page may look at
	first int64 // number from which on there are days, on PostgreSQL
}

// snapshot runs fn on one state of the database. what opens the text of an error.
func (db *DB) snapshot(ctx context.Context, what string, fn func(snapshot) error) error {
	return sqldb.ReadSnapshot(ctx, db.in, db.read, what, func(now sqldb.Snapshot) error {
		return fn(snapshot{Snapshot: now, rows: cmp.Or(db.cfg.PageRows, DefaultPageRows), first: db.firstSeq.Load()})
	})
}

// FindEvents implements search.Store.
func (db *DB) FindEvents(ctx context.Context, f search.EventFilter) (page []search.Event, next int64, err error) {
	err = db.snapshot(ctx, "find events", func(snap snapshot) error {
		page, next, err = snap.events(ctx, f)
		return err
	})
	return page, next, err
}

func (snap snapshot) events(ctx context.Context, f search.EventFilter) (page []search.Event, next int64, err error) {
	w := eventWalk(f)
	if w.low, w.below, err = snap.seqRange(ctx, f.Tenant, f.From, f.To); err != nil {
		return nil, 0, err
	}
	if f.Before > 0 {
		w.below = min(w.below, f.Before)
	}
	if err := snap.bound(ctx, &w, f.From, f.To); err != nil {
		return nil, 0, err
	}

	if f.Subject != nil {
		return snap.eventsOfSubject(ctx, f, w.low, w.below)
	}

	// One more than asked for shows whether another page follows.
	seqs, err := w.step(ctx, snap.Q, snap.rows, f.Limit+1)
	if err != nil {
		return nil, 0, err
	}
	if len(seqs) > f.Limit {
		seqs = seqs[:f.Limit]
		next = seqs[f.Limit-1]
	} else if !w.done {
		next = w.below
	}

	page, err = snap.loadEvents(ctx, f.Tenant, seqs)
	return page, next, err
}

// bound limits a walk over events by what their numbers do not say. On PostgreSQL these
// are the exact times, and how many partitions a page looks at.
func (snap snapshot) bound(ctx context.Context, w *walk, from, to int64) error {
	if snap.In == sqldb.SQLite {
		return nil
	}
	if filter, picks := snap.accepted(from, to); filter != "" {
		w.narrow(filter, picks...)
	}
	var last int64
	if err := sqlx.GetContext(ctx, snap.Q, &last, "SELECT last_value FROM event_seq"); err != nil {
		return fmt.Errorf("last event: %w", err)
	}
	w.below = min(w.below, last+1)
	w.reach = stepDays << dayBits
	w.first = snap.first
	return nil
}

// eventWalk chooses the index that leaves the fewest rows to look at.
func eventWalk(f search.EventFilter) walk {
	w := walk{table: "events", where: "tenant = ?", args: []any{f.Tenant}}
	var filters []string
	if f.OrderKey != "" {
		// The comparison with '' is what the partial index is declared with.
		w.table, w.where = "events INDEXED BY events_order_key", "tenant = ? AND order_key = ? AND order_key <> ''"
		w.args = append(w.args, f.OrderKey)
	}

	// Few events are unmatched, and few have warnings: each has an index of its own.
	// An index can serve only one condition; the others filter row by row.
	switch {
	case f.Matched == nil:
	case !*f.Matched && f.OrderKey == "":
		w.table, w.where = "events INDEXED BY events_unmatched", "tenant = ? AND matched = 0"
	default:
		filters = append(filters, "(matched > 0) = ?")
		w.picks = append(w.picks, *f.Matched)
	}
	switch {
	case f.Warnings == nil:
	case *f.Warnings && w.table == "events":
		w.table, w.where = "events INDEXED BY events_odd", "tenant = ? AND warnings IS NOT NULL"
	default:
		filters = append(filters, "(warnings IS NOT NULL) = ?")
		w.picks = append(w.picks, *f.Warnings)
	}
	if f.Types != 0 {
		filters = append(filters, "(CAST(? AS BIGINT) >> type) & 1 = 1")
		w.picks = append(w.picks, int64(f.Types))
	}
	w.filter = strings.Join(filters, " AND ")
	return w
}

const eventColumns = `e.seq, e.id, e.type, e.order_key, e.occurred_at, e.accepted_at, e.source, e.key_id,
	e.body_hash, e.size, e.matched, e.warnings, COALESCE(e.traceparent, ''), e.hops, e.test, t.company_id`

func scanEvent(row interface{ Scan(...any) error }, tenant int64, more ...any) (search.Event, error) {
	e := search.Event{Event: &event.Event{Tenant: tenant}}
	var hash, warnings []byte
	err := row.Scan(append([]any{
		&e.Seq, &e.ID, &e.Type, &e.OrderKey, &e.OccurredAt, &e.AcceptedAt, &e.Source, &e.KeyID,
		&hash, &e.Size, &e.Matched, &warnings, &e.Traceparent, &e.Hops, &e.Test, &e.CompanyID,
	}, more...)...)
	if err != nil {
		return e, err
	}
	copy(e.Hash[:], hash)
	if len(warnings) > 0 {
		if err := json.Unmarshal(warnings, &e.Warnings); err != nil {
			return e, fmt.Errorf("warnings of event %d: %w", e.Seq, err)
		}
	}
	return e, nil
}

// loadEvents reads events without their bodies, in the given order. Events that are no
// longer stored are left out.
func (snap snapshot) loadEvents(ctx context.Context, tenant int64, seqs []int64) ([]search.Event, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	args := make([]any, 0, len(seqs)+1)
	for _, s := range seqs {
		args = append(args, s)
	}
	rows, err := snap.Q.QueryxContext(ctx, "WITH k(seq) AS (VALUES "+sqldb.BigInts(1, len(seqs))+") SELECT "+eventColumns+`
		FROM k CROSS JOIN events e ON e.tenant = ? AND e.seq = k.seq AND e.seq BETWEEN ? AND ?
			CROSS JOIN tenants t ON t.no = e.tenant`, append(args, tenant, slices.Min(seqs), slices.Max(seqs))...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	events := make([]search.Event, 0, len(seqs))
	for rows.Next() {
		e, err := scanEvent(rows, tenant)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}

	position := make(map[int64]int, len(seqs))
	for i, s := range seqs {
		position[s] = i
	}
	slices.SortFunc(events, func(a, b search.Event) int { return position[a.Seq] - position[b.Seq] })
	return events, rows.Err()
}

// FindEvent implements search.Store.
func (db *DB) FindEvent(ctx context.Context, tenant int64, id string) (*search.Event, error) {
	if seq, ok := seqOfEventID(id); ok {
		// A sender may have made an id of the same form, so compare with the row.
		e, err := db.FindEventSeq(ctx, tenant, seq)
		if err == nil && e.ID == id {
			return e, nil
		}
		if err != nil && !errors.Is(err, search.ErrNotFound) {
			return nil, err
		}
	}
	var seq int64
	err := db.read.GetContext(ctx, &seq, "SELECT seq FROM event_ids WHERE tenant = ? AND id = ?", tenant, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, search.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find event: %w", err)
	}
	return db.FindEventSeq(ctx, tenant, seq)
}

// FindEventSeq implements search.Store.
func (db *DB) FindEventSeq(ctx context.Context, tenant, seq int64) (*search.Event, error) {
	var body []byte
	e, err := scanEvent(db.read.QueryRowxContext(ctx, "SELECT "+eventColumns+`, b.bytes
		FROM events e CROSS JOIN tenants t ON t.no = e.tenant LEFT JOIN bodies b ON b.seq = e.seq
		WHERE e.tenant = ? AND e.seq = ?`, tenant, seq), tenant, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, search.ErrNotFound
	}
	if err == nil && body != nil {
		e.Completed = sqldb.Completed(body)
		e.Body, err = sqldb.DecodeBody(body)
	}
	if err != nil {
		return nil, fmt.Errorf("read event %d: %w", seq, err)
	}
	return &e, nil
}

// FindMasked implements search.Store.
func (db *DB) FindMasked(ctx context.Context, tenant, seq int64, m event.Masking) ([]byte, error) {
	var stored []byte
	err := db.read.GetContext(ctx, &stored, "SELECT bytes FROM masked_bodies WHERE seq = ? AND policy = ? AND tenant = ?",
		seq, int64(m), tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		stored, err = sqldb.DecodeBody(stored)
	}
	if err != nil {
		return nil, fmt.Errorf("read masked body of event %d: %w", seq, err)
	}
	return stored, nil
}

// EventDeliveries implements search.Store.
func (db *DB) EventDeliveries(ctx context.Context, tenant, seq int64) (ds []search.Delivery, err error) {
	err = db.snapshot(ctx, "deliveries of an event", func(snap snapshot) error {
		ds, err = snap.eventDeliveries(ctx, tenant, seq)
		return err
	})
	return ds, err
}

func (snap snapshot) eventDeliveries(ctx context.Context, tenant, seq int64) (ds []search.Delivery, err error) {
	var found []search.DeliveryCursor
	if err := sqlx.SelectContext(ctx, snap.Q, &found, `SELECT d.seq, d.sub FROM subscriptions s
		CROSS JOIN deliveries d ON d.sub = s.no AND d.seq = ? AND d.run = 0
		WHERE s.tenant = ? ORDER BY s.no`, seq, tenant); err != nil {
		return nil, err
	}

	// A tenant has a limited number of subscriptions, but any number of deleted ones.
	for some := range slices.Chunk(found, 500) {
		part, err := snap.loadDeliveries(ctx, tenant, some)
		if err != nil {
			return nil, err
		}
		ds = append(ds, part...)
	}
	return ds, nil
}

// FindDelivery implements search.Store.
func (db *DB) FindDelivery(ctx context.Context, tenant, sub, seq int64) (*search.Delivery, error) {
	now := snapshot{Snapshot: sqldb.Snapshot{In: db.in, Q: db.read}}
	ds, err := now.loadDeliveries(ctx, tenant, []search.DeliveryCursor{{Seq: seq, Sub: sub}})
	if err != nil {
		return nil, fmt.Errorf("find delivery: %w", err)
	}
	if len(ds) == 0 {
		return nil, search.ErrNotFound
	}
	return &ds[0], nil
}

// loadDeliveries reads deliveries with all their runs, in the given order. Deliveries
// that are no longer stored, or belong to another tenant, are left out.
func (snap snapshot) loadDeliveries(
	ctx context.Context, tenant int64, which []search.DeliveryCursor,
) ([]search.Delivery, error) {
	if len(which) == 0 {
		return nil, nil
	}

	// The range of numbers spares PostgreSQL a look into every partition of events.
	args := make([]any, 0, 2*len(which)+1)
	position := make(map[search.DeliveryCursor]int, len(which))
	low, high := which[0].Seq, which[0].Seq
	for i, d := range which {
		low, high = min(low, d.Seq), max(high, d.Seq)
		args = append(args, d.Sub, d.Seq)
		position[d] = i
	}
	rows, err := snap.Q.QueryxContext(ctx, "WITH k(sub, seq) AS (VALUES "+sqldb.BigInts(2, len(which))+`)
		SELECT d.sub, d.seq, d.run, d.type, d.version, d.state, d.tries, d.due_at, d.accepted_at, COALESCE(d.first_try_at, 0),
			COALESCE(d.done_at, 0), COALESCE(d.last_status, 0), COALESCE(d.last_error, 0), d.late, COALESCE(d.superseded_by, 0),
			COALESCE(d.made_by, ''), COALESCE(d.reason, ''), COALESCE(d.replay, 0), COALESCE(j.id, ''),
			s.id, COALESCE(e.id, ''), COALESCE(e.order_key, '')
		FROM k CROSS JOIN subscriptions s ON s.no = k.sub AND s.tenant = ?
			CROSS JOIN deliveries d ON d.sub = k.sub AND d.seq = k.seq
			LEFT JOIN events e ON e.tenant = s.tenant AND e.seq = d.seq AND e.seq BETWEEN ? AND ?
			LEFT JOIN jobs j ON j.no = d.replay`,
		append(args, tenant, low, high)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	runs := make([]search.Delivery, 0, len(which))
	for rows.Next() {
		var d search.Delivery
		var r search.Run
		if err := rows.Scan(&d.Sub, &d.Seq, &d.Run, &d.Type, &d.Version, &d.State, &d.Tries, &d.DueAt, &d.AcceptedAt,
			&d.FirstTryAt, &d.DoneAt, &d.LastStatus, &d.LastError, &d.Late, &d.SupersededBy,
			&r.By, &r.Reason, &r.ReplayNo, &r.Replay, &d.Subscription, &d.EventID, &d.OrderKey); err != nil {
			return nil, err
		}
		r.Run = d.Run
		r.State = d.State
		r.Tries = d.Tries
		r.DueAt = d.DueAt
		r.DoneAt = d.DoneAt
		d.Runs = []search.Run{r}
		runs = append(runs, d)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}

	// Later runs are added to the delivery, which is run 0.
	slices.SortFunc(runs, func(a, b search.Delivery) int {
		first := position[search.DeliveryCursor{Seq: a.Seq, Sub: a.Sub}]
		second := position[search.DeliveryCursor{Seq: b.Seq, Sub: b.Sub}]
		return cmp.Or(first-second, a.Run-b.Run)
	})
	var ds []search.Delivery
	for _, d := range runs {
		if d.Run == 0 {
			d.ReplayNo = d.Runs[0].ReplayNo
			d.Replay = d.Runs[0].Replay
			d.Runs = nil
			ds = append(ds, d)
		} else if n := len(ds); n > 0 {
			addRun(&ds[n-1], d)
		}
	}
	for i := range ds {
		if ds[i].State == delivery.Reopened || ds[i].State == delivery.Replaying {
			ds[i].State = delivery.Pending
		}
	}
	return ds, nil
}

// addRun adds a later run to a delivery, which then shows what became of that run. Only
// the state of the delivery is kept with run 0. A run of a replay shows from its first
// attempt on.
func addRun(d *search.Delivery, run search.Delivery) {
	d.Run = run.Run
	d.Runs = append(d.Runs, run.Runs...)
	if run.Runs[0].ReplayNo > 0 && run.Tries == 0 {
		return
	}
	d.DueAt = run.DueAt
	d.DoneAt = run.DoneAt
	d.Late = run.Late
	if run.Tries > 0 {
		d.Tries += run.Tries
		d.FirstTryAt = cmp.Or(d.FirstTryAt, run.FirstTryAt)
		d.LastStatus = run.LastStatus
		d.LastError = run.LastError
	}
}

// FindDeliveries implements search.Store.
func (db *DB) FindDeliveries(
	ctx context.Context, f search.DeliveryFilter,
) (page []search.Delivery, next *search.DeliveryCursor, err error) {
	err = db.snapshot(ctx, "find deliveries", func(snap snapshot) error {
		page, next, err = snap.deliveries(ctx, f)
		return err
	})
	return page, next, err
}

func (snap snapshot) deliveries(
	ctx context.Context, f search.DeliveryFilter,
) (page []search.Delivery, next *search.DeliveryCursor, err error) {
	low, below, err := snap.seqRange(ctx, f.Tenant, f.From, f.To)
	if err != nil {
		return nil, nil, err
	}
	var source candidates
	if f.OrderKey != "" || f.Subject != nil {
		source, err = snap.newStory(ctx, &f, low, below)
	} else {
		source, err = snap.newMerge(ctx, &f, low, below)
	}
	if err != nil {
		return nil, nil, err
	}

	// The indexes know single runs; whether the delivery as a whole is wanted is
	// decided here. One more than asked for shows whether another page follows.
	for len(page) <= f.Limit {
		some, more, err := source.take(ctx, f.Limit+1-len(page))
		if err != nil {
			return nil, nil, err
		}
		ds, err := snap.loadDeliveries(ctx, f.Tenant, some)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range ds {
			if f.Matches(&d) {
				page = append(page, d)
			}
		}
		if !more {
			next = source.stoppedAt()
			break
		}
	}

	if len(page) > f.Limit {
		page = page[:f.Limit]
		last := page[f.Limit-1]
		next = &search.DeliveryCursor{Seq: last.Seq, Sub: last.Sub}
	}
	return page, next, nil
}

// FindAttempts implements search.Store.
func (db *DB) FindAttempts(
	ctx context.Context, tenant, sub, seq int64, after search.AttemptPlace, limit int,
) ([]search.Attempt, error) {
	// Times are stored in microseconds; a time.Duration counts nanoseconds.
	rows, err := db.read.QueryxContext(ctx, `SELECT a.run, a.n, a.at,
			a.dns * 1000, a.connect * 1000, a.tls * 1000, a.first * 1000, a.total * 1000,
			a.remote_ip, a.status, a.class, COALESCE(a.error, ''), a.header, a.body,
			a.signed_at, a.random_code, a.nonce, a.key_n, a.version, a.late, a.replay, a.process
		FROM subscriptions s CROSS JOIN attempts a ON a.sub = s.no AND a.seq = ? AND (a.run, a.n) > (?, ?)
		WHERE s.no = ? AND s.tenant = ? ORDER BY a.run, a.n LIMIT ?`, seq, after.Run, after.N, sub, tenant, limit)
	if err != nil {
		return nil, fmt.Errorf("find attempts: %w", err)
	}
	defer rows.Close()
	var as []search.Attempt
	for rows.Next() {
		var a search.Attempt
		if err := rows.Scan(&a.Run, &a.N, &a.At, &a.DNS, &a.Connect, &a.TLS, &a.First, &a.Total,
			&a.RemoteIP, &a.StatusCode, &a.Class, &a.Err, &a.Header, &a.Body,
			&a.SignedAt, &a.RandomCode, &a.Nonce, &a.KeyN, &a.Version, &a.Late, &a.Replay, &a.Process); err != nil {
			return nil, fmt.Errorf("find attempts: %w", err)
		}
		as = append(as, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find attempts: %w", err)
	}
	return as, nil
}
