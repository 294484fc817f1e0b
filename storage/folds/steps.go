package folds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// How long a step may have the writer, apart from its commit, and how many events it applies
// whatever they take: on a machine that has too much to do the clock says little. On SQLite all
// others wait during that time; as long as there are no others, a step goes on for longer, for
// each costs a commit. On PostgreSQL nobody waits, and each statement is a round trip.
const (
	stepSQLite    = 2 * time.Millisecond
	aloneSQLite   = 16 * time.Millisecond
	stepPostgres  = 50 * time.Millisecond
	leastSQLite   = 4
	leastPostgres = 64
)

// Bounds of the events that are read and planned at a time. Steps apply them piece by piece.
const (
	foldEvents = 256
	foldBytes  = 1 << 20
)

// newEventTime is what the events of a piece are expected to take before any was applied.
const newEventTime = 50 * time.Microsecond

// batch is the next events of a tenant. Their bodies are read once, for all folds, and what
// they change is worked out before the writer is taken. What one step had no time for, the
// next one applies.
type batch struct {
	tenant int64
	pieces []*piece // in order, each beginning where the one before ends
}

// piece is what a step applies whole: events after a number, up to another one.
type piece struct {
	after, upTo int64
	records     []record.Record
	changes     []change        // by fold, in the order of Folds.all; empty if there are no records
	without     map[string]bool // folds that do without the one event of the piece
}

// newPiece works out what the records of some events change in each fold.
func (f *Folds) newPiece(tenant, after, upTo int64, records []record.Record) *piece {
	p := &piece{after: after, upTo: upTo, records: records}
	if len(records) == 0 {
		return p
	}
	p.changes = make([]change, len(f.all))
	for i, g := range f.all {
		p.changes[i] = g.plan(tenant, records)
	}
	return p
}

// changeAfter returns what the piece changes in a fold, the i-th, that has seen the events up
// to a number; nil if none of the records is new to it. Folds are rarely apart, so what all
// records change is planned beforehand.
func (p *piece) changeAfter(g fold, i int, tenant, seen int64) change {
	first := slices.IndexFunc(p.records, func(r record.Record) bool { return r.Event.Seq > seen })
	switch {
	case first < 0 || p.without[g.name()]:
		return nil
	case first == 0:
		return p.changes[i]
	}
	return g.plan(tenant, p.records[first:])
}

// split puts a piece for each event in the place of a piece.
func (f *Folds) split(b *batch, p *piece) {
	singles := make([]*piece, len(p.records))
	after := p.after
	for i := range p.records {
		upTo := p.records[i].Event.Seq
		if i == len(p.records)-1 {
			upTo = p.upTo
		}
		singles[i] = f.newPiece(b.tenant, after, upTo, p.records[i:i+1])
		after = upTo
	}
	at := slices.Index(b.pieces, p)
	b.pieces = slices.Replace(b.pieces, at, at+1, singles...)
}

// step folds the next events of a tenant, up to a number, for as long as a step may take.
// more: there are others left.
func (f *Folds) step(ctx context.Context, tenant, to int64) (more bool, err error) {
	if f.cfg.In == sqldb.SQLite && f.came(tenant) >= to { // elsewhere another process may have put positions back
		return false, nil
	}
	turn, err := f.turn(ctx, tenant)
	if err != nil {
		return false, err
	}
	defer turn()

	from, err := f.lowest(ctx, f.cfg.Read, tenant)
	if err != nil {
		return false, err
	}
	if from >= to {
		f.note(tenant, from)
		return false, nil
	}

	b := &batch{tenant: tenant}
	if from != resetting { // else the step takes rows away
		asFolds(func() { b, err = f.prepare(ctx, tenant, from, to) })
		if err != nil {
			return false, err
		}
	}
	upTo, err := f.fold(ctx, b)
	if err != nil {
		return false, err
	}
	if upTo >= to {
		f.note(tenant, upTo)
	}
	return upTo < to, nil
}

// prepare returns the next events of a tenant in (from, to] and what they change: those that
// the step before had no time for, or others.
func (f *Folds) prepare(ctx context.Context, tenant, from, to int64) (*batch, error) {
	if b := f.takeRest(tenant); b != nil && b.pieces[0].after == from {
		return b, nil
	}
	events, upTo, err := f.read(ctx, tenant, from, to)
	if err != nil {
		return nil, err
	}

	b := &batch{tenant: tenant}
	records := record.ReadAll(events)
	size := f.pieceSize()
	for after := from; after < upTo; {
		n := min(size, len(records))
		end := upTo
		if n < len(records) {
			end = records[n-1].Event.Seq
		}
		b.pieces = append(b.pieces, f.newPiece(tenant, after, end, records[:n:n]))
		records = records[n:]
		after = end
	}
	return b, nil
}

// takeRest returns what the last step of a tenant had no time for; nil if there is nothing.
func (f *Folds) takeRest(tenant int64) *batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.rest[tenant]
	delete(f.rest, tenant)
	return b
}

// keepRest keeps the pieces of a batch that were not applied, for the next step.
func (f *Folds) keepRest(b *batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(b.pieces) > 0 {
		f.rest[b.tenant] = b
	}
}

// pieceSize returns how many events take about half of the time that a step has.
func (f *Folds) pieceSize() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return min(max(int(f.stepTime/2/f.eventTime), f.leastPiece), foldEvents)
}

// noteTime notes how long it took to apply some events.
func (f *Folds) noteTime(events int, took time.Duration) {
	if events == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.eventTime = max((7*f.eventTime+took/time.Duration(events))/8, time.Microsecond)
}

// unfit is an error of a fold with what the database cannot hold in one of the
// events of a piece, however often it is tried.
type unfit struct {
	fold  string
	piece *piece
	err   error
}

func (u unfit) Error() string { return u.fold + ": " + u.err.Error() }
func (u unfit) Unwrap() error { return u.err }

// fold applies what it has time for of a batch, and returns the number up to which it came. A
// fold that cannot hold an event goes on without it: one event must not end the figures of all
// that come later.
func (f *Folds) fold(ctx context.Context, b *batch) (came int64, err error) {
	for {
		var done atomic.Int64 // pieces; a step that nobody waits for any more may still run
		err := f.transact(ctx, b.tenant, func(tx Tx) error {
			n, err := f.advance(ctx, tx, b)
			done.Store(int64(n))
			return err
		})

		bad, is := errors.AsType[unfit](err)
		switch {
		case err == nil:
			n := done.Load()
			if n == 0 {
				return resetting, nil
			}
			came = b.pieces[n-1].upTo
			f.keepRest(&batch{tenant: b.tenant, pieces: b.pieces[n:]})
			return came, nil
		case !is:
			return 0, err

		// One of the events is the cause: they are tried one by one, and that one without the
		// fold that cannot hold it.
		case len(bad.piece.records) > 1:
			f.split(b, bad.piece)
		default:
			if bad.piece.without == nil {
				bad.piece.without = map[string]bool{}
			}
			bad.piece.without[bad.fold] = true
			f.cfg.Log.ErrorContext(ctx, "an event is left out of figures",
				"tenant", b.tenant, "event", bad.piece.records[0].Event.Seq, "fold", bad.fold, "err", bad.err)
		}
	}
}

// advance applies pieces of a batch to each fold that has not seen them, until the time of
// the step is over, and returns how many they are. It ends between two events, and the
// positions go with the rows.
func (f *Folds) advance(ctx context.Context, tx Tx, b *batch) (done int, err error) {
	began := time.Now()
	at, err := f.claim(ctx, tx, b.tenant)
	if err != nil {
		return 0, err
	}
	for _, g := range f.all {
		if at[g.name()] == resetting {
			if err := f.advanceReset(ctx, tx, g, b.tenant); err != nil {
				return 0, err
			}
		}
	}

	moved := map[string]int64{}
	last := time.Duration(0) // what the last piece took
	for _, p := range b.pieces {
		start := time.Now()
		if done > 0 && f.isOver(start.Sub(began)+last) {
			break
		}
		for i, g := range f.all {
			seen := at[g.name()]
			if seen < p.after || seen >= p.upTo {
				continue // put back since we looked, or another process was here: the next step sees
			}
			if err := f.advanceFold(ctx, tx, g, i, b.tenant, p, seen); err != nil {
				return 0, err
			}
			at[g.name()] = p.upTo
			moved[g.name()] = p.upTo
		}
		done++
		last = time.Since(start)
		f.noteTime(len(p.records), last)
	}
	return done, setPositions(ctx, tx, b.tenant, moved)
}

// isOver reports whether a step ends before another piece, with which it would have the
// writer for some time.
func (f *Folds) isOver(held time.Duration) bool {
	return held > f.aloneTime || held > f.stepTime && f.cfg.Store.Writes()
}

// advanceReset deletes more rows of a fold that is made again, which begins once none is
// left.
func (f *Folds) advanceReset(ctx context.Context, tx Tx, g fold, tenant int64) error {
	more, err := g.reset(ctx, tx, tenant)
	if err != nil {
		return fmt.Errorf("reset %s: %w", g.name(), err)
	}
	if more {
		return nil
	}
	return setPositions(ctx, tx, tenant, map[string]int64{g.name(): 0})
}

// advanceFold applies a piece to a fold, the i-th, that has seen the events up to a number.
func (f *Folds) advanceFold(ctx context.Context, tx Tx, g fold, i int, tenant int64, p *piece, seen int64) error {
	c := p.changeAfter(g, i, tenant, seen)
	if c == nil {
		return nil
	}
	err := c.apply(ctx, tx)
	switch {
	case sqldb.IsUnfit(err):
		return unfit{fold: g.name(), piece: p, err: err}
	case err != nil:
		return fmt.Errorf("%s: %w", g.name(), err)
	}
	return nil
}

// transact runs fn in a write transaction, when the pace of the folds allows it: of SQLite's
// writer, or, on PostgreSQL, of a connection beside the writers' own.
func (f *Folds) transact(ctx context.Context, tenant int64, fn func(tx Tx) error) error {
	if err := f.pace.begin(ctx, tenant); err != nil {
		return err
	}
	var began atomic.Int64 // Unix ns; 0: the transaction has not begun
	defer func() {
		held := time.Duration(0)
		if at := began.Load(); at > 0 {
			held = max(0, time.Since(time.Unix(0, at)))
		}
		f.pace.end(held)
	}()
	timed := func(tx Tx) (err error) {
		began.CompareAndSwap(0, time.Now().UnixNano())
		asFolds(func() { err = fn(tx) })
		return err
	}

	if f.cfg.In == sqldb.SQLite {
		return f.cfg.Store.Step(ctx, timed)
	}
	var err error
	for range sqldb.ConflictTries {
		if err = f.try(ctx, timed); !sqldb.IsConflict(err) {
			break
		}
	}
	if err != nil && sqldb.Unavailable(err) {
		err = fmt.Errorf("%w: %w", ingest.ErrBusy, err)
	}
	return err
}

// asFolds runs fn so that a CPU profile shows its time as that of the folds: under the label
// work=folds, which the bench reads. fn runs on a goroutine that has no other labels, such as
// the writer's.
func asFolds(fn func()) {
	pprof.Do(context.Background(), pprof.Labels("work", "folds"), func(context.Context) { fn() })
}

// stepSettings are those of a step on PostgreSQL. What a crash of the server takes away is
// folded again: rows and positions go together. Plans of prepared statements are made for
// their values, as one that is made while a new table is empty would serve no other.
const stepSettings = "SET LOCAL synchronous_commit = off; SET LOCAL plan_cache_mode = force_custom_plan"

// try runs fn in one transaction on PostgreSQL.
func (f *Folds) try(ctx context.Context, fn func(tx Tx) error) error {
	tx, err := f.cfg.Write.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, stepSettings); err != nil {
		return err
	}
	if err := fn(f.prepared.In(tx)); err != nil {
		return err
	}
	return tx.Commit()
}

// claim returns the positions and keeps others from moving them until tx ends.
func (f *Folds) claim(ctx context.Context, tx Tx, tenant int64) (map[string]int64, error) {
	query, args := f.positionsOf(tenant)
	if f.cfg.In == sqldb.Postgres {
		query += " ORDER BY name FOR UPDATE"
	}
	for inserted := false; ; inserted = true {
		var rows []positionRow
		if err := tx.SelectContext(ctx, &rows, query, args...); err != nil {
			return nil, fmt.Errorf("positions: %w", err)
		}
		at := positionsByName(rows)
		if inserted || f.hasAll(at) {
			return at, nil
		}
		for _, g := range f.all { // no row, no lock on it
			if _, err := tx.ExecContext(ctx, "INSERT INTO folds (name, tenant, position) VALUES (?, ?, 0) ON CONFLICT (name, tenant) DO NOTHING",
				g.name(), tenant); err != nil {
				return nil, fmt.Errorf("positions: %w", err)
			}
		}
	}
}

// hasAll reports whether every fold has a position.
func (f *Folds) hasAll(at map[string]int64) bool {
	return !slices.ContainsFunc(f.all, func(g fold) bool {
		_, there := at[g.name()]
		return !there
	})
}

// setPositions sets the positions of folds of a tenant, most often of all to one number.
func setPositions(ctx context.Context, tx Tx, tenant int64, moved map[string]int64) error {
	names := map[int64][]any{} // by position
	for name, at := range moved {
		names[at] = append(names[at], name)
	}
	for at, of := range names {
		of = sqldb.Filled(of)
		if _, err := tx.ExecContext(ctx, "UPDATE folds SET position = ? WHERE tenant = ? AND name IN ("+sqldb.Values("?", len(of))+")",
			append([]any{at, tenant}, of...)...); err != nil {
			return fmt.Errorf("positions: %w", err)
		}
	}
	return nil
}

// read returns the next events of a tenant in (from, to] that folds look at, and the number
// up to which it has seen all events.
func (f *Folds) read(ctx context.Context, tenant, from, to int64) (events []*event.Event, upTo int64, err error) {
	all, here := f.cfg.Store.EventsAfter(tenant, from, foldEvents)
	if !here || f.isCold(tenant, from) || f.cfg.In == sqldb.Postgres { // where others commit too
		if all, err = f.load(ctx, tenant, from, to); err != nil {
			return nil, 0, err
		}
	}

	upTo = from
	size := 0
	for i, e := range all {
		size += len(e.Body)
		if e.Seq > to {
			return events, to, nil
		}
		if i > 0 && size > foldBytes {
			return events, upTo, nil
		}
		upTo = e.Seq
		if !e.Test && e.Body != nil {
			events = append(events, e)
		}
	}
	if len(all) < foldEvents { // there are no others
		upTo = to
	}
	return events, upTo, nil
}

// load reads the next events of a tenant in (from, to] from the store.
func (f *Folds) load(ctx context.Context, tenant, from, to int64) ([]*event.Event, error) {
	rows, err := f.cfg.Read.QueryContext(ctx, `SELECT e.seq, e.id, e.type, e.order_key, e.occurred_at, e.accepted_at, e.test, b.bytes
		FROM events e LEFT JOIN bodies b ON b.seq = e.seq WHERE e.tenant = ? AND e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT ?`,
		tenant, from, to, foldEvents)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer rows.Close()

	var events []*event.Event
	for rows.Next() {
		e := &event.Event{Tenant: tenant}
		var body sql.RawBytes
		if err := rows.Scan(&e.Seq, &e.ID, &e.Type, &e.OrderKey, &e.OccurredAt, &e.AcceptedAt, &e.Test, &body); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		if body != nil {
			if e.Body, err = sqldb.DecodeBody(body); err != nil {
				return nil, fmt.Errorf("read event %d: %w", e.Seq, err)
			}
		}
		events = append(events, e)
	}
	return events, rows.Err()
}
