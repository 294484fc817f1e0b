package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// worker is a goroutine of the writer, with the connection that it holds if it
// takes batches. All that it has belongs to that goroutine.
type worker struct {
	db    *DB
	w     *writer
	wake  <-chan struct{}
	takes kinds
	part  int64 // of the counts by hour

	conn *sqlx.Conn // nil: lost, or not there yet
	stmt statements

	// of the batch under way
	until time.Time // give up then what is not committed; zero: never

	// of the transaction under way
	now    int64 // Unix ms
	delta  pendingDelta
	hours  hourDeltas
	heads  heads         // of the subscriptions, as the transaction sees them
	epochs map[int]int64 // of the shards that this process owns, likewise
}

// Pauses of a worker: it has nothing better to do.
const (
	awayPause = 250 * time.Millisecond // nobody can write
	poolTries = 5                      // to find a connection in the pool that lives
)

// acceptWait bounds the time in which events are stored on PostgreSQL, give or take
// a statement: behind a network that carries nothing, or hardly anything, who sent
// them should hear soon that they were not.
const acceptWait = 10 * time.Second

// tooLate says whether to give up.
func (k *worker) tooLate() bool { return !k.until.IsZero() && time.Now().After(k.until) }

func newWorker(w *writer, wake <-chan struct{}, takes kinds) *worker {
	k := &worker{db: w.db, w: w, wake: wake, takes: takes, delta: newPendingDelta(), epochs: map[int]int64{}}
	k.hours.reset()
	return k
}

// connect takes a connection, unless there is one. Those that lie in the pool may
// have died there.
func (k *worker) connect(ctx context.Context) (err error) {
	for tries := 0; k.conn == nil; tries++ {
		if k.conn, err = k.db.pool.Connx(ctx); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		if k.db.in == sqldb.Postgres && k.takes&ofAccepts != 0 {
			err = k.db.checkOrigin(ctx, k.conn)
		}
		if err == nil && k.db.in == sqldb.Postgres {
			_, err = k.conn.ExecContext(ctx, pointQueries)
		}
		if err == nil {
			err = k.stmt.prepare(ctx, k.conn, k.db.in)
		}
		if err == nil {
			return nil
		}
		err = errors.Join(err, k.disconnect())
		if !sqldb.IsLost(err) || tries == poolTries || k.tooLate() {
			return err
		}
	}
	return nil
}

// disconnect gives the connection up. On PostgreSQL its statements go with it;
// in SQLite one that is left would keep the file open.
func (k *worker) disconnect() error {
	if k.conn == nil {
		return nil
	}
	var errs []error
	if k.db.in == sqldb.SQLite {
		errs = append(errs, k.stmt.close())
	} else {
		_ = k.conn.Raw(func(any) error { return driver.ErrBadConn }) // it is not used again
	}
	if err := k.conn.Close(); !errors.Is(err, sql.ErrConnDone) {
		errs = append(errs, err)
	}
	k.conn, k.stmt = nil, statements{}
	return errors.Join(errs...)
}

// run works until the writer is stopped, and then until nothing is left.
func (k *worker) run() {
	for open := true; open; {
		_, open = <-k.wake
		for {
			// Those whom the last commit woke have more to write: they come first,
			// for a commit of its own costs as much as twenty rows.
			runtime.Gosched()
			b := k.w.take(k.takes)
			if b.empty() {
				break
			}
			k.commit(b)
		}
	}
}

// errRecorded says that attempts of a batch are there already: its commit
// succeeded once, but the answer to it was lost.
var errRecorded = errors.New("attempts were recorded before")

// errNotBegun: the transaction did not even begin.
var errNotBegun = errors.New("begin")

// commit makes the batch durable, or, should it fail, finds out what can be.
func (k *worker) commit(b batch) {
	if b.admin != nil {
		b.admin.done <- k.commitAdmin(b.admin)
		return
	}
	began := time.Now()
	if k.until = (time.Time{}); k.db.in == sqldb.Postgres && len(b.accepts) > 0 {
		k.until = began.Add(acceptWait)
	}
	err := k.try(&b)
	if errors.Is(err, errNotBegun) && sqldb.IsLost(err) && !k.tooLate() { // while nobody wrote anything
		_ = k.disconnect() // it is lost
		err = k.try(&b)
	}
	for tries := 1; sqldb.IsConflict(err) && tries < sqldb.ConflictTries; tries++ {
		k.w.stat.Conflicts.Add(1)
		err = k.try(&b)
	}
	if err == nil {
		k.committed(b, time.Since(began))
		return
	}
	k.w.stat.Failures.Add(1)
	switch {
	case sqldb.Unavailable(err):
		k.refused(b, err, time.Since(began))
	case errors.Is(err, errRecorded) && k.tellRecorded(&b):
		k.commit(b)
	case len(b.accepts) > 0 && len(b.outcomes) > 0:
		k.commit(batch{outcomes: b.outcomes})
		k.commit(batch{accepts: b.accepts})
	case len(b.accepts) > 1:
		k.commit(batch{accepts: b.accepts[:len(b.accepts)/2]})
		k.commit(batch{accepts: b.accepts[len(b.accepts)/2:]})
	case len(b.outcomes) > 1:
		k.commit(batch{outcomes: b.outcomes[:len(b.outcomes)/2]})
		k.commit(batch{outcomes: b.outcomes[len(b.outcomes)/2:]})
	case len(b.accepts) == 1:
		k.w.finish(b.accepts, fmt.Errorf("accept: %w", err))
	case len(b.outcomes) == 1:
		o := b.outcomes[0]
		k.db.log.Error("outcome cannot be recorded", "sub", o.Item.Sub, "seq", o.Item.Seq, "err", err)
		o.Done(err)
	}
}

// refused: nothing can be written now, or nobody knows whether it was. Accepts
// are refused: who sent them sends them again, with the same ids. Outcomes stay,
// and with them their slots, until the database takes them.
func (k *worker) refused(b batch, err error, after time.Duration) {
	k.w.away.Store(time.Now().UnixMilli())
	k.w.finish(b.accepts, sqldb.AsBusy(err))
	if len(b.accepts) > 0 && after > sqldb.LockWait { // who came meanwhile has waited long enough
		k.w.finish(k.w.takeAccepts(), sqldb.AsBusy(err))
	}
	if k.db.in == sqldb.Postgres {
		if err := k.disconnect(); err != nil {
			k.db.log.Debug("give up a connection", "err", err)
		}
	}
	if len(b.outcomes) == 0 {
		return
	}
	if !k.w.putBack(b.outcomes) { // they will be sent again after the next start
		for _, o := range b.outcomes {
			o.Done(err)
		}
		return
	}
	k.db.log.Error("outcomes cannot be recorded now, trying again", "outcomes", len(b.outcomes), "err", err)
	time.Sleep(awayPause)
}

func (k *worker) try(b *batch) error {
	ctx := context.Background() // a commit is never cancelled half way
	err := k.connect(ctx)
	if err == nil {
		err = k.transact(ctx, b)
	}
	if err != nil {
		k.hours.reset()
		k.delta.drop()
		k.stmt.drop()
	}
	return err
}

func (k *worker) transact(ctx context.Context, b *batch) error {
	seqs, err := k.begin(ctx, *b)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotBegun, err)
	}
	err = k.recordOutcomes(ctx, k.ours(b.outcomes))
	if err == nil {
		err = k.insertEvents(ctx, b.accepts, seqs)
	}
	if err == nil {
		err = k.hours.write(ctx, &k.stmt, k.db.in, k.part)
	}
	if err == nil && k.tooLate() {
		err = sqldb.ErrSlow
	}
	if err == nil {
		if _, err = k.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// After some errors the database has rolled back by itself, or is not there;
	// then this one says so.
	_, _ = k.conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// committed tells everybody who waits.
func (k *worker) committed(b batch, took time.Duration) {
	w := k.w
	w.away.Store(0)
	var fresh []*event.Event
	events := 0
	for _, op := range b.accepts {
		events += len(op.events)
		for i, e := range op.events {
			if op.verdicts[i] == ingest.Stored {
				fresh = append(fresh, e)
			}
		}
	}
	k.db.cache.put(fresh)
	nudges := w.pending.apply(&k.delta, k.db.in == sqldb.Postgres)
	k.hours.reset()
	w.stat.Commits.Add(1)
	w.stat.Events.Add(int64(len(fresh)))
	w.finish(b.accepts, nil)
	for _, o := range b.outcomes {
		if !k.mayRecord(o) {
			w.stat.Fenced.Add(1)
			o.Done(delivery.ErrNotOwner)
			continue
		}
		w.stat.Outcomes.Add(1)
		o.Done(nil)
	}
	if len(nudges) > 0 {
		k.db.cfg.Nudge(nudges)
	}
	if k.db.cfg.Committed != nil {
		k.db.cfg.Committed(events, len(b.outcomes), took)
	}
	for i, e := range fresh {
		if k.db.cfg.Stored != nil && (i == 0 || fresh[i-1].Tenant != e.Tenant) {
			k.db.cfg.Stored(e.Tenant)
		}
	}
}

func (k *worker) commitAdmin(op *adminOp) error {
	err := k.tryAdmin(op)
	for tries := 1; sqldb.IsConflict(err) && tries < sqldb.ConflictTries; tries++ {
		k.w.stat.Conflicts.Add(1)
		err = k.tryAdmin(op)
	}
	switch {
	case err == nil:
		if op.then != nil {
			op.then()
		}
	case sqldb.Unavailable(err):
		if k.takes.batches() {
			k.w.away.Store(time.Now().UnixMilli())
		}
		err = sqldb.AsBusy(err)
	}
	return err
}

func (k *worker) tryAdmin(op *adminOp) error {
	begin := k.db.pool.BeginTxx
	if k.conn != nil {
		begin = k.conn.BeginTxx
	}
	tx, err := begin(context.Background(), nil)
	if err != nil {
		return fmt.Errorf("%s: begin: %w", op.what, err)
	}
	if err := op.fn(tx); err != nil {
		_ = tx.Rollback() // the first error is the one that matters
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: commit: %w", op.what, err)
	}
	return nil
}

// tellRecorded tells those whose attempt is there already, and leaves the others
// in the batch; false: there are none.
func (k *worker) tellRecorded(b *batch) bool {
	var left []*delivery.Outcome
	for _, o := range b.outcomes {
		if o.Attempt == nil {
			left = append(left, o)
			continue
		}
		var was struct {
			At      int64  `db:"at"`
			Code    string `db:"random_code"`
			Process string `db:"process"`
		}
		it := o.Item
		err := k.db.read.GetContext(context.Background(), &was, "SELECT at, random_code, process FROM attempts WHERE sub = ? AND seq = ? AND run = ? AND n = ?",
			it.Sub, it.Seq, it.Run, it.Tries+1)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			left = append(left, o)
		case err != nil:
			o.Done(err)
		case was.At == o.Attempt.At && was.Code == o.Attempt.RandomCode && was.Process == k.db.cfg.Process:
			o.Done(nil)
		default: // somebody else made it: what the lane knows of this run is out of date
			o.Done(fmt.Errorf("attempt %d of run %d of event %d for subscription %d: %w", it.Tries+1, it.Run, it.Seq, it.Sub, errRecorded))
		}
	}
	found := len(left) < len(b.outcomes)
	b.outcomes = left
	return found
}

// pointQueries are settings of the connections that write. Their statements look
// for rows by their keys. Such a plan is kept, and made while a new table is empty
// it would be to read all of it.
const pointQueries = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_seqscan = off; SET enable_bitmapscan = off"
