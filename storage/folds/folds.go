// Package folds keeps the tables that the query APIs answer from: each fold turns
// the sequence of a tenant's events into rows, and remembers how far it came.
package folds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// fold is a table, or several, kept from the sequence of events: what is in
// them follows from the events up to its position and from nothing else. A new
// figure is a new fold, not a change to the way in.
//
// A step is made in two parts. plan works out what a batch of records changes, without
// the database: others write during that time. The change that it returns is then applied
// inside a transaction, which the one writer of SQLite is kept for.
type fold interface {
	// name returns the fold's name in the table of positions; it never changes.
	name() string
	// plan works out what records of one tenant change: each comes once, in the order of
	// the numbers of their events. There is one at least. Test events are not among them,
	// nor those whose body retention removed.
	plan(tenant int64, records []record.Record) change
	// reset deletes about chunk rows of one tenant; more: there are others left.
	reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error)
}

// change is what records change in the rows of a fold.
type change interface {
	// apply makes the change. The transaction may fail and be made again, so apply may be
	// called again: it changes nothing in memory.
	apply(ctx context.Context, tx *sqlx.Tx) error
}

// trimmer is a fold whose rows go when retention removes the bodies that they came from.
type trimmer interface {
	// trim deletes about chunk rows of one tenant that come from events below a number;
	// more: there are others left.
	trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error)
}

// chunk is how many rows are taken away in one transaction, so that others get
// their turn in between.
const chunk = 1000

// Bounds of one step, hence of the time for which accepts and outcomes wait for it.
const (
	foldEvents = 256
	foldBytes  = 1 << 20
)

const (
	foldEvery = 250 * time.Millisecond // between two looks for something new
	foldSweep = time.Minute            // between two looks at all tenants, also those that others serve
	// A step that others wait for is followed by a pause of so many times its
	// length, less the more events wait, and none when there are so many that a
	// query would take many seconds.
	foldPause = 19
	foldLag   = 200_000
)

// resetting is the position of a fold whose rows are being taken away.
const resetting = -1

// Store is what the folds need of the store whose events they are made of.
type Store interface {
	// EventsAfter returns the tenant's next events after a number, at most n of them
	// and in order, if this process still has them in memory; here is false if it
	// does not have them all. Only a store with a single process may be asked.
	EventsAfter(tenant, seq int64, n int) (events []*event.Event, here bool)
	// LastEvent returns the number of the tenant's last event that this process
	// committed; 0 means none since it started.
	LastEvent(tenant int64) int64
	// LastEvents returns LastEvent of every tenant that has one.
	LastEvents() map[int64]int64
	// Busy reports whether events or outcomes wait for the writer.
	Busy() bool
	// Change runs fn in a write transaction of the store's writer. fn may be run
	// again after a conflict.
	Change(ctx context.Context, what string, fn func(tx *sqlx.Tx) error) error
}

// Config of the folds of a store.
type Config struct {
	Store Store
	In    sqldb.Dialect
	Read  *sqlx.DB // connections that only read
	Write *sqlx.DB // connections that write beside the store's writer, on PostgreSQL
	Key   []byte   // makes the codes that stand for customers' numbers in reports
	Log   *slog.Logger
}

// Folds keeps the folds of a store, each with a position of its own for each
// tenant: whoever asks about one tenant waits for no other's backlog. What was
// accepted before a query began is folded before it reads (FoldTo); Run does it
// ahead of the queries, as far as that disturbs nobody.
//
// Its questions wait until the folds are whole. Those of AsIs answer at once.
type Folds struct {
	*shared
	asIs bool // questions are answered from what is folded
}

// shared is what a Folds has in common with those that AsIs makes of it.
type shared struct {
	cfg Config
	all []fold

	mu    sync.Mutex
	turns map[int64]chan struct{} // of one, by tenant: who folds
	done  map[int64]int64         // by tenant: all folds came to this number, or further
	cold  map[int64]int64         // by tenant: up to this number events are read from the store

	facts map[int64]*factCache // by tenant
}

// New returns the folds of a store that is open.
func New(cfg Config) *Folds {
	return &Folds{shared: &shared{
		cfg: cfg, turns: map[int64]chan struct{}{}, done: map[int64]int64{}, cold: map[int64]int64{}, facts: map[int64]*factCache{},
		all: allFolds(cfg.Key),
	}}
}

func allFolds(reportKey []byte) []fold {
	return []fold{recordFold{}, agentFold{}, callFold{}, chatFold{}, visitorFold{}, queueFold{}, reportFold{reportKey}}
}

// Names returns what the folds are called.
func Names() (names []string) {
	for _, f := range allFolds(nil) {
		names = append(names, f.name())
	}
	return names
}

// snapshot is one state of the database, as queries of folds see it.
type snapshot struct{ sqldb.Snapshot }

// snapshot runs fn on one state of the database. what opens the text of an error.
func (f *Folds) snapshot(ctx context.Context, what string, fn func(snapshot) error) error {
	return sqldb.ReadSnapshot(ctx, f.cfg.In, f.cfg.Read, what, func(now sqldb.Snapshot) error { return fn(snapshot{now}) })
}

// FoldTo folds everything of a tenant that is committed when it is called.
func (f *Folds) FoldTo(ctx context.Context, tenant int64) error {
	_, err := f.foldTo(ctx, tenant)
	return err
}

// foldTo is FoldTo; it returns the number up to which that is.
func (f *Folds) foldTo(ctx context.Context, tenant int64) (to int64, err error) {
	if to, err = f.horizon(ctx, tenant); err != nil {
		return 0, fmt.Errorf("fold: %w", err)
	}
	for more := true; more; {
		if more, err = f.step(ctx, tenant, to); err != nil {
			return 0, fmt.Errorf("fold: %w", err)
		}
	}
	return to, nil
}

// ask runs fn on one state of the database in which the folds of a tenant hold all that was
// accepted before. AsIs, it is the state in which they are now.
func (f *Folds) ask(ctx context.Context, tenant int64, what string, fn func(snapshot) error) error {
	return f.askAt(ctx, tenant, what, func(snap snapshot, _ map[string]int64) error { return fn(snap) })
}

// askAt is ask; fn also gets the position of each fold in that state.
func (f *Folds) askAt(ctx context.Context, tenant int64, what string, fn func(snapshot, map[string]int64) error) error {
	if f.asIs {
		return f.snapshot(ctx, what, func(snap snapshot) error {
			at, err := positions(ctx, snap.Q, tenant)
			if err != nil {
				return err
			}
			return fn(snap, at)
		})
	}

	for whole := false; !whole; {
		to, err := f.foldTo(ctx, tenant)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := f.snapshot(ctx, what, func(snap snapshot) error {
			at, err := positions(ctx, snap.Q, tenant)
			if err != nil {
				return err
			}
			whole = f.least(at) >= to
			if !whole { // somebody rebuilds them just now: they are folded again
				return nil
			}
			return fn(snap, at)
		}); err != nil {
			return err
		}
	}
	return nil
}

// Rebuild makes the folds of a tenant again from the events that are there: all folds, or
// those of some names.
func (f *Folds) Rebuild(ctx context.Context, tenant int64, names ...string) error {
	if err := f.reset(ctx, tenant, names); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return f.FoldTo(ctx, tenant)
}

// RebuildAll is Rebuild of every tenant.
func (f *Folds) RebuildAll(ctx context.Context, names ...string) error {
	all, err := f.tenants(ctx)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	for _, t := range all {
		if err := f.Rebuild(ctx, t, names...); err != nil {
			return fmt.Errorf("tenant %d: %w", t, err)
		}
	}
	return nil
}

// reset puts positions back to the beginning. If it fails, the next step deletes what is
// left over.
func (f *Folds) reset(ctx context.Context, tenant int64, names []string) error {
	for _, n := range names {
		if !slices.ContainsFunc(f.all, func(g fold) bool { return g.name() == n }) {
			return fmt.Errorf("there is no fold %q: they are %s", n, strings.Join(Names(), ", "))
		}
	}
	turn, err := f.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer turn()

	f.note(tenant, resetting)
	f.chill(tenant, f.cfg.Store.LastEvent(tenant))
	defer f.forget(tenant)
	return f.transact(ctx, func(tx *sqlx.Tx) error {
		at, err := f.claim(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if _, err := mark(ctx, tx, rebuilt, tenant, at[rebuilt]+1); err != nil {
			return err
		}
		for _, g := range f.all {
			n := g.name()
			if len(names) > 0 && !slices.Contains(names, n) {
				continue
			}
			if err := setPosition(ctx, tx, n, tenant, resetting); err != nil {
				return err
			}
		}
		return nil
	})
}

// turn waits until nobody else in this process folds the tenant's events. The caller calls end.
func (f *Folds) turn(ctx context.Context, tenant int64) (end func(), err error) {
	f.mu.Lock()
	t := f.turns[tenant]
	if t == nil {
		t = make(chan struct{}, 1)
		f.turns[tenant] = t
	}
	f.mu.Unlock()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// came returns the number up to which all folds of a tenant came, as far as this process
// knows.
func (f *Folds) came(tenant int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.done[tenant]; ok {
		return at
	}
	return resetting
}

// note sets the number that came returns.
func (f *Folds) note(tenant, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[tenant] = at
}

// chill makes folds read a tenant's events up to a number from the store: a rebuild is made
// of what is there, while the cache may hold what retention removed.
func (f *Folds) chill(tenant, upTo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cold[tenant] = max(f.cold[tenant], upTo)
}

// isCold reports whether events from a number on are read from the store.
func (f *Folds) isCold(tenant, from int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return from < f.cold[tenant]
}

// horizon returns a number that is at or above every event of the tenant which is committed
// now, and below every one which is not, also if that is committed later.
func (f *Folds) horizon(ctx context.Context, tenant int64) (last int64, err error) {
	last, err = f.lastNumber(ctx, tenant)
	if err == nil && f.cfg.In == sqldb.Postgres { // SQLite's one writer commits in the order of numbers
		err = f.settle(ctx)
	}
	return last, err
}

// lastNumber returns a number that is at or above every event of the tenant which is
// committed now.
func (f *Folds) lastNumber(ctx context.Context, tenant int64) (last int64, err error) {
	if f.cfg.In == sqldb.Postgres {
		err = f.cfg.Read.GetContext(ctx, &last, "SELECT last_value FROM event_seq")
		return last, err
	}
	if last := f.cfg.Store.LastEvent(tenant); last > 0 {
		return last, nil
	}
	err = f.cfg.Read.GetContext(ctx, &last, "SELECT coalesce(max(seq), 0) FROM events WHERE tenant = ?", tenant)
	return last, err
}

// openAccepts selects the transactions that store events and have not ended: each takes this
// lock before its numbers, and gives it back after all can see them.
const openAccepts = `SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND classid = ? AND objid = ? AND objsubid = 1
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'ShareLock' AND granted`

// settle waits until every transaction that may have taken a number before now has ended: on
// PostgreSQL a lower number can be committed after a higher one. It does not wait for those
// that begin during that time, and does not make them wait.
func (f *Folds) settle(ctx context.Context) error {
	class, object := sqldb.TurnMatching.Halves()
	var open []string
	if err := f.cfg.Read.SelectContext(ctx, &open, openAccepts, class, object); err != nil {
		return err
	}

	for pause := time.Millisecond; len(open) > 0; pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		var left []string
		if err := f.cfg.Read.SelectContext(ctx, &left, openAccepts, class, object); err != nil {
			return err
		}
		open = slices.DeleteFunc(open, func(t string) bool { return !slices.Contains(left, t) })
	}
	return nil
}

// step folds the next events of a tenant, up to a number. more: there are others left.
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

	b := &batch{tenant: tenant, from: from, upTo: from}
	if from != resetting {
		var events []*event.Event
		if events, b.upTo, err = f.read(ctx, tenant, from, to); err != nil {
			return false, err
		}
		b.records = record.ReadAll(events)
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

// batch is the next events of a tenant, those after from up to upTo: their bodies are read
// once, for all folds.
type batch struct {
	tenant, from, upTo int64
	records            []record.Record
	changes            map[string]change // by fold: what all of the records change
	without            map[string]bool   // folds that do without the one event that is left
}

// plan works out what the records change in each fold.
func (b *batch) plan(all []fold) {
	b.changes = map[string]change{}
	if len(b.records) == 0 {
		return
	}
	for _, g := range all {
		b.changes[g.name()] = g.plan(b.tenant, b.records)
	}
}

// after returns the change of a fold that has seen the events up to a number; nil: none of
// the records is new to it. Folds are rarely apart, so what all records change is planned
// beforehand.
func (b *batch) after(g fold, seen int64) change {
	i := slices.IndexFunc(b.records, func(r record.Record) bool { return r.Event.Seq > seen })
	switch {
	case i < 0 || b.without[g.name()]:
		return nil
	case i == 0:
		return b.changes[g.name()]
	}
	return g.plan(b.tenant, b.records[i:])
}

// halve leaves the first half of the records.
func (b *batch) halve() {
	b.records = b.records[:len(b.records)/2]
	b.upTo = b.records[len(b.records)-1].Event.Seq
}

// unfit is an error of a fold with what the database cannot hold in one of the
// events that it was given, however often it is tried.
type unfit struct {
	fold string
	err  error
}

func (u unfit) Error() string { return u.fold + ": " + u.err.Error() }
func (u unfit) Unwrap() error { return u.err }

// fold applies a batch and returns the number up to which it came: all of the batch, or,
// if one of its events does not fit, up to where this is clear. A fold that cannot hold an
// event goes on without it: one event must not end the figures of all that come later.
func (f *Folds) fold(ctx context.Context, b *batch) (came int64, err error) {
	b.without = map[string]bool{}
	for {
		b.plan(f.all)
		err := f.transact(ctx, func(tx *sqlx.Tx) error { return f.advance(ctx, tx, b) })
		bad, is := errors.AsType[unfit](err)
		switch {
		case !is:
			return b.upTo, err
		case len(b.records) > 1:
			b.halve()
		default:
			b.without[bad.fold] = true
			f.cfg.Log.ErrorContext(ctx, "an event is left out of figures",
				"tenant", b.tenant, "event", b.records[0].Event.Seq, "fold", bad.fold, "err", bad.err)
		}
	}
}

// advance applies a batch to each fold that has not seen it.
func (f *Folds) advance(ctx context.Context, tx *sqlx.Tx, b *batch) error {
	at, err := f.claim(ctx, tx, b.tenant)
	if err != nil {
		return err
	}
	for _, g := range f.all {
		switch seen := at[g.name()]; {
		case seen == resetting:
			err = f.advanceReset(ctx, tx, g, b.tenant)
		case seen < b.from, seen >= b.upTo:
			// Put back since we looked, or another process was here: the next step sees.
		default:
			err = f.advanceFold(ctx, tx, g, b, seen)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// advanceReset deletes more rows of a fold that is made again, which begins once none is
// left.
func (f *Folds) advanceReset(ctx context.Context, tx *sqlx.Tx, g fold, tenant int64) error {
	more, err := g.reset(ctx, tx, tenant)
	if err != nil {
		return fmt.Errorf("reset %s: %w", g.name(), err)
	}
	if more {
		return nil
	}
	return setPosition(ctx, tx, g.name(), tenant, 0)
}

// advanceFold applies a batch to a fold that has seen the events up to a number.
func (f *Folds) advanceFold(ctx context.Context, tx *sqlx.Tx, g fold, b *batch, seen int64) error {
	if c := b.after(g, seen); c != nil {
		err := c.apply(ctx, tx)
		switch {
		case sqldb.IsUnfit(err):
			return unfit{g.name(), err}
		case err != nil:
			return fmt.Errorf("%s: %w", g.name(), err)
		}
	}
	return setPosition(ctx, tx, g.name(), b.tenant, b.upTo)
}

// transact runs fn in a write transaction: of SQLite's writer, or, on PostgreSQL, of a
// connection beside the writers' own.
func (f *Folds) transact(ctx context.Context, fn func(tx *sqlx.Tx) error) (err error) {
	if f.cfg.In == sqldb.SQLite {
		return f.cfg.Store.Change(ctx, "fold", fn)
	}
	for range sqldb.ConflictTries {
		if err = f.try(ctx, fn); !sqldb.IsConflict(err) {
			break
		}
	}
	if err != nil && sqldb.Unavailable(err) {
		err = fmt.Errorf("%w: %w", ingest.ErrBusy, err)
	}
	return err
}

// try runs fn in one transaction on PostgreSQL.
func (f *Folds) try(ctx context.Context, fn func(tx *sqlx.Tx) error) error {
	tx, err := f.cfg.Write.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	// What a crash of the server takes away is folded again: rows and positions
	// go together.
	if _, err := tx.ExecContext(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// positions returns the positions of a tenant's folds, apart from those that never began.
func positions(ctx context.Context, q sqlx.QueryerContext, tenant int64) (map[string]int64, error) {
	var rows []struct {
		Name     string `db:"name"`
		Position int64  `db:"position"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows, "SELECT name, position FROM folds WHERE tenant = ?", tenant); err != nil {
		return nil, fmt.Errorf("positions: %w", err)
	}
	at := map[string]int64{}
	for _, r := range rows {
		at[r.Name] = r.Position
	}
	return at, nil
}

// lowest returns the lowest position of a tenant's folds; resetting: one of them has rows
// left to delete.
func (f *Folds) lowest(ctx context.Context, q sqlx.QueryerContext, tenant int64) (int64, error) {
	at, err := positions(ctx, q, tenant)
	return f.least(at), err
}

// least returns the lowest of the folds' positions.
func (f *Folds) least(at map[string]int64) (low int64) {
	if len(f.all) > 0 {
		low = at[f.all[0].name()]
	}
	for _, g := range f.all {
		low = min(low, at[g.name()])
	}
	return low
}

// Marks in the table of positions, with names that no fold has. Who keeps rows of folds in
// memory reads them again when a mark has changed.
const (
	rebuilt = "-rebuilt" // how often folds of a tenant were made again
	trimmed = "-trimmed" // up to which number rows were deleted
)

// mark sets a mark. news: it was another before.
func mark(ctx context.Context, tx *sqlx.Tx, name string, tenant, at int64) (news bool, err error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO folds (name, tenant, position) VALUES (?, ?, ?)
		ON CONFLICT (name, tenant) DO UPDATE SET position = excluded.position WHERE folds.position <> excluded.position`, name, tenant, at)
	if err != nil {
		return false, fmt.Errorf("mark %s: %w", name, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// claim returns the positions and keeps others from moving them until tx ends.
func (f *Folds) claim(ctx context.Context, tx *sqlx.Tx, tenant int64) (map[string]int64, error) {
	for _, g := range f.all { // no row, no lock on it
		if _, err := tx.ExecContext(ctx, "INSERT INTO folds (name, tenant, position) VALUES (?, ?, 0) ON CONFLICT (name, tenant) DO NOTHING", g.name(), tenant); err != nil {
			return nil, fmt.Errorf("positions: %w", err)
		}
	}

	if f.cfg.In == sqldb.Postgres {
		if _, err := tx.ExecContext(ctx, "SELECT 1 FROM folds WHERE tenant = ? ORDER BY name FOR UPDATE", tenant); err != nil {
			return nil, fmt.Errorf("positions: %w", err)
		}
	}
	return positions(ctx, tx, tenant)
}

func setPosition(ctx context.Context, tx *sqlx.Tx, name string, tenant, at int64) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO folds (name, tenant, position) VALUES (?, ?, ?)
		ON CONFLICT (name, tenant) DO UPDATE SET position = excluded.position`, name, tenant, at); err != nil {
		return fmt.Errorf("position of %s: %w", name, err)
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
		if e.Seq > to || i > 0 && size > foldBytes {
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

// Run folds what is new until ctx ends, and deletes what retention says.
func (f *Folds) Run(ctx context.Context) error {
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	for sweep := time.Now(); ; {
		// The tenants whose events this process stored, and now and then all others: their
		// events came through other processes, or before this one started.
		tenants := f.cfg.Store.LastEvents()
		if !time.Now().Before(sweep) {
			sweep = time.Now().Add(foldSweep)
			all, err := f.tenants(ctx)
			if err = errors.Join(err, f.Trim(ctx)); err != nil && ctx.Err() == nil {
				f.cfg.Log.Error("folds", "err", err)
			}
			for _, t := range all {
				if _, here := tenants[t]; !here {
					tenants[t] = 0
				}
			}
		}

		for tenant, last := range tenants {
			if err := f.ahead(ctx, tenant, last); err != nil && ctx.Err() == nil && !errors.Is(err, sqldb.ErrClosed) {
				f.cfg.Log.Error("folds", "tenant", tenant, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Trim deletes what came from bodies that retention removed.
func (f *Folds) Trim(ctx context.Context) error {
	var tenants []struct {
		No    int64 `db:"tenant"`
		Below int64 `db:"payload"`
	}
	if err := f.cfg.Read.SelectContext(ctx, &tenants, "SELECT tenant, payload FROM retention"); err != nil {
		return err
	}
	for _, t := range tenants {
		for _, g := range f.all {
			old, is := g.(trimmer)
			for more := is; more; {
				began := time.Now()
				if err := f.transact(ctx, func(tx *sqlx.Tx) (err error) {
					more, err = old.trim(ctx, tx, t.No, t.Below)
					return err
				}); err != nil {
					return fmt.Errorf("%s of tenant %d: %w", g.name(), t.No, err)
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Since(began)):
				}
			}
		}
		news := false
		if err := f.transact(ctx, func(tx *sqlx.Tx) (err error) {
			news, err = mark(ctx, tx, trimmed, t.No, t.Below)
			return err
		}); err != nil {
			return fmt.Errorf("trim tenant %d: %w", t.No, err)
		}
		if news {
			f.forget(t.No)
		}
	}
	return nil
}

func (f *Folds) tenants(ctx context.Context) (all []int64, err error) {
	err = f.cfg.Read.SelectContext(ctx, &all, "SELECT no FROM tenants WHERE deleted_at IS NULL ORDER BY no")
	return all, err
}

// ahead folds what is new of a tenant, and rests between steps while others have something
// to write.
func (f *Folds) ahead(ctx context.Context, tenant, last int64) error {
	if last > 0 && f.came(tenant) >= last {
		return nil
	}
	to, err := f.horizon(ctx, tenant)
	if err != nil {
		return err
	}
	for {
		began := time.Now()
		more, err := f.step(ctx, tenant, to)
		if err != nil || !more {
			return err
		}

		pause := time.Duration(0)
		if f.cfg.Store.Busy() {
			pause = time.Since(began)
			lag := f.cfg.Store.LastEvent(tenant) - f.came(tenant)
			pause = pause * foldPause * time.Duration(max(0, foldLag-lag)) / foldLag
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
