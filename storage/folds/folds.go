// Package folds keeps the tables that the query APIs answer from: each fold turns
// the sequence of a tenant's events into rows, and remembers how far it came.
package folds

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// fold is a table, or several, kept from the sequence of events: what is in
// them follows from the events up to its position and from nothing else. A new
// figure is a new fold, not a change to the way in.
//
// A step is made in two parts. plan works out what records change, without the database:
// others write during that time. The change that it returns is then applied inside a
// transaction, which the one writer of SQLite is kept for.
type fold interface {
	// name returns the fold's name in the table of positions; it never changes.
	name() string
	// plan works out what records of one tenant change: each comes once, in the order of
	// the numbers of their events. There is one at least. Test events are not among them,
	// nor those whose body retention removed.
	plan(tenant int64, records []record.Record) change
	// reset deletes about chunk rows of one tenant; more: there are others left.
	reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error)
}

// change is what records change in the rows of a fold.
type change interface {
	// apply makes the change. The transaction may fail and be made again, so apply may be
	// called again: it changes nothing in memory.
	apply(ctx context.Context, tx Tx) error
}

// Tx is the transaction of a step. Statements stay prepared from one step to the next, so
// there must be few: lists of values have one of few lengths (sqldb.Lengths).
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// trimmer is a fold whose rows go when retention removes the bodies that they came from.
type trimmer interface {
	// trim deletes about chunk rows of one tenant that come from events below a number;
	// more: there are others left.
	trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error)
}

// chunk is how many rows of a table are taken away in one step.
const chunk = 256

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
	// Writes reports whether SQLite's writer has anything else to do: now, if no step has it,
	// or else after the step.
	Writes() bool
	// Step runs fn in a transaction of SQLite's writer. If ctx ends, fn may run after Step
	// has returned.
	Step(ctx context.Context, fn func(tx Tx) error) error
}

// Config of the folds of a store.
type Config struct {
	Store    Store
	In       sqldb.Dialect
	Read     *sqlx.DB        // connections that only read
	Write    *sqlx.DB        // connections that write beside the store's writer, on PostgreSQL
	Key      []byte          // makes the codes that stand for customers' numbers in reports
	Subjects search.Subjects // makes those of the index of numbers
	Log      *slog.Logger
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
	rest  map[int64]*batch        // by tenant: what the last step had no time for

	facts map[int64]*factCache // by tenant

	pace       pace
	stepTime   time.Duration // that a step may have the writer while others wait for it
	aloneTime  time.Duration // that it may have the writer while nobody does
	leastPiece int           // events that a step applies whatever they take
	eventTime  time.Duration // that one event takes of it, about; guarded by mu

	prepared *sqldb.Prepared // on PostgreSQL, for the step whose turn it is
}

// New returns the folds of a store that is open.
func New(cfg Config) *Folds {
	f := &Folds{shared: &shared{
		cfg: cfg, all: allFolds(cfg.Key, cfg.Subjects),
		stepTime: stepSQLite, aloneTime: aloneSQLite, leastPiece: leastSQLite, eventTime: newEventTime,
		turns: map[int64]chan struct{}{}, done: map[int64]int64{}, cold: map[int64]int64{}, rest: map[int64]*batch{},
		facts: map[int64]*factCache{},
	}}
	f.pace.writes = cfg.Store.Writes
	if cfg.In == sqldb.Postgres {
		f.pace.writes = nil // steps have connections of their own
		f.stepTime = stepPostgres
		f.aloneTime = stepPostgres
		f.leastPiece = leastPostgres
		f.prepared = sqldb.NewPrepared(cfg.Write)
	}
	return f
}

func allFolds(reportKey []byte, subjects search.Subjects) []fold {
	return []fold{
		recordFold{}, agentFold{}, callFold{}, chatFold{}, visitorFold{}, queueFold{}, reportFold{reportKey}, subjectFold{subjects},
	}
}

// Names returns what the folds are called.
func Names() (names []string) {
	for _, f := range allFolds(nil, search.Subjects{}) {
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
	defer f.pace.ask(tenant)()
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
			at, err := f.positions(ctx, snap.Q, tenant)
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
			at, err := f.positions(ctx, snap.Q, tenant)
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
	f.takeRest(tenant)
	f.chill(tenant, f.cfg.Store.LastEvent(tenant))
	defer f.forget(tenant)
	return f.transact(ctx, tenant, func(tx Tx) error {
		at, err := f.claim(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if _, err := mark(ctx, tx, rebuilt, tenant, at[rebuilt]+1); err != nil {
			return err
		}
		moved := map[string]int64{}
		for _, g := range f.all {
			if len(names) == 0 || slices.Contains(names, g.name()) {
				moved[g.name()] = resetting
			}
		}
		return setPositions(ctx, tx, tenant, moved)
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

// positionRow is the position of a fold, or a mark.
type positionRow struct {
	Name     string `db:"name"`
	Position int64  `db:"position"`
}

// positionsOf returns the question for the positions and marks of a tenant. It names them,
// as rows are found by their name first.
func (f *Folds) positionsOf(tenant int64) (query string, args []any) {
	args = []any{tenant, rebuilt, trimmed, indexed}
	for _, g := range f.all {
		args = append(args, g.name())
	}
	return "SELECT name, position FROM folds WHERE tenant = ? AND name IN (" + sqldb.Values("?", len(args)-1) + ")", args
}

// positions returns the positions of a tenant's folds, apart from those that never began.
func (f *Folds) positions(ctx context.Context, q sqlx.QueryerContext, tenant int64) (map[string]int64, error) {
	query, args := f.positionsOf(tenant)
	var rows []positionRow
	if err := sqlx.SelectContext(ctx, q, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("positions: %w", err)
	}
	return positionsByName(rows), nil
}

func positionsByName(rows []positionRow) map[string]int64 {
	at := map[string]int64{}
	for _, r := range rows {
		at[r.Name] = r.Position
	}
	return at
}

// lowest returns the lowest position of a tenant's folds; resetting: one of them has rows
// left to delete.
func (f *Folds) lowest(ctx context.Context, q sqlx.QueryerContext, tenant int64) (int64, error) {
	at, err := f.positions(ctx, q, tenant)
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
func mark(ctx context.Context, tx Tx, name string, tenant, at int64) (news bool, err error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO folds (name, tenant, position) VALUES (?, ?, ?)
		ON CONFLICT (name, tenant) DO UPDATE SET position = excluded.position WHERE folds.position <> excluded.position`, name, tenant, at)
	if err != nil {
		return false, fmt.Errorf("mark %s: %w", name, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
