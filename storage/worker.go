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
	db     *DB
	writer *writer
	calls  <-chan struct{} // there may be work; closed when the writer stops
	takes  kinds
	part   int64 // of the counts by hour

	conn  *sqlx.Conn // nil: lost, or not there yet
	stmt  statements
	folds *sqldb.Prepared // statements of the folds, on SQLite; nil: no connection

	// Of the batch under way.
	until time.Time // give up then what is not committed; zero: never

	// Of the transaction under way.
	now      int64 // Unix ms
	delta    pendingDelta
	counts   countDeltas
	bytes    byteDeltas
	rejected map[int64]int64 // refused events that it counts, by tenant
	heads    heads           // of the subscriptions, as the transaction sees them
	epochs   map[int]int64   // of the shards that this process owns, as the transaction sees them
}

// Pauses and tries of a worker, which has nothing better to do.
const (
	awayPause = 250 * time.Millisecond // while the database takes nothing
	poolTries = 5                      // to find a connection in the pool that is alive
)

// acceptWait bounds the time in which events are stored on PostgreSQL, give or take
// a statement. Behind a network that carries nothing, or hardly anything, whoever
// sent events should be refused soon.
const acceptWait = 10 * time.Second

// tooLate reports whether the batch under way took longer than its senders wait.
func (w *worker) tooLate() bool { return !w.until.IsZero() && time.Now().After(w.until) }

func newWorker(writer *writer, calls <-chan struct{}, takes kinds) *worker {
	w := &worker{
		db: writer.db, writer: writer, calls: calls, takes: takes,
		delta: newPendingDelta(), epochs: map[int]int64{}, bytes: byteDeltas{},
	}
	w.counts.reset()
	return w
}

// pointQueries are settings of the connections that write. Their statements look for
// rows by key. PostgreSQL keeps the plans of such statements, and if it made them
// while a new table is empty, they would read all of the table.
const pointQueries = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; " +
	"SET enable_seqscan = off; SET enable_bitmapscan = off"

// connect takes a connection from the pool, unless the worker has one. Connections
// may have died while they lay in the pool, so it tries a few.
func (w *worker) connect(ctx context.Context) (err error) {
	for tries := 0; w.conn == nil; tries++ {
		if w.conn, err = w.db.pool.Connx(ctx); err != nil {
			return fmt.Errorf("connect: %w", err)
		}

		if w.db.in == sqldb.Postgres && w.takes&ofAccepts != 0 {
			err = w.db.checkOrigin(ctx, w.conn)
		}
		if err == nil && w.db.in == sqldb.Postgres {
			_, err = w.conn.ExecContext(ctx, pointQueries)
		}
		if err == nil {
			err = w.stmt.prepare(ctx, w.conn, w.db.in)
			w.folds = sqldb.NewPrepared(w.conn)
		}
		if err == nil {
			return nil
		}

		err = errors.Join(err, w.disconnect())
		if !sqldb.IsLost(err) || tries == poolTries || w.tooLate() {
			return err
		}
	}
	return nil
}

// disconnect gives the connection up. On PostgreSQL its statements go with it;
// in SQLite one that is left would keep the file open.
func (w *worker) disconnect() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	if w.db.in == sqldb.SQLite {
		errs = append(errs, w.stmt.close())
		if w.folds != nil {
			errs = append(errs, w.folds.Close())
		}
	} else {
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that the pool does not use it again
	}
	if err := w.conn.Close(); !errors.Is(err, sql.ErrConnDone) {
		errs = append(errs, err)
	}
	w.conn = nil
	w.stmt = statements{}
	w.folds = nil
	return errors.Join(errs...)
}

// run works until the writer is stopped, and then until nothing is left.
func (w *worker) run() {
	changed := false // by the last transaction
	for open := true; open; {
		_, open = <-w.calls
		for {
			// Those whom the last commit woke have more to write. Let them come first,
			// for a commit of its own costs as much as twenty rows.
			runtime.Gosched()
			b := w.writer.take(w.takes, changed)
			if b.empty() {
				break
			}
			changed = b.admin != nil
			w.writer.busy.Store(true)
			w.commit(b)
			w.writer.busy.Store(false)
		}
	}
}

// errRecorded means that attempts of a batch are stored already: its commit
// succeeded once, but the answer to it was lost.
var errRecorded = errors.New("attempts were recorded before")

// errNotBegun means that the transaction did not even begin.
var errNotBegun = errors.New("begin")

// commit makes the batch durable or, if that fails, finds out which part of it can be.
func (w *worker) commit(b batch) {
	began := time.Now()
	if b.admin != nil {
		err := w.commitAdmin(b.admin)
		w.writer.charge(b.admin.tenant, time.Since(began))
		b.admin.done <- err
		return
	}

	w.until = time.Time{}
	if w.db.in == sqldb.Postgres && len(b.accepts) > 0 {
		w.until = began.Add(acceptWait)
	}

	// A connection may have died while nothing was written; another may do.
	err := w.try(&b)
	if errors.Is(err, errNotBegun) && sqldb.IsLost(err) && !w.tooLate() {
		_ = w.disconnect() // it is lost anyway
		err = w.try(&b)
	}
	for tries := 1; sqldb.IsConflict(err) && tries < sqldb.ConflictTries; tries++ {
		w.writer.stat.Conflicts.Add(1)
		err = w.try(&b)
	}
	if err == nil {
		w.committed(b, time.Since(began))
		return
	}

	// Unless nothing at all can be written, halve the batch until the bad row is alone.
	w.writer.stat.Failures.Add(1)
	switch {
	case sqldb.Unavailable(err):
		w.refused(b, err, time.Since(began))
	case errors.Is(err, errRecorded) && w.finishRecorded(&b):
		w.commit(b)
	case len(b.accepts) > 0 && len(b.outcomes) > 0:
		w.commit(batch{outcomes: b.outcomes})
		w.commit(batch{accepts: b.accepts})
	case len(b.accepts) > 1:
		w.commit(batch{accepts: b.accepts[:len(b.accepts)/2]})
		w.commit(batch{accepts: b.accepts[len(b.accepts)/2:]})
	case len(b.outcomes) > 1:
		w.commit(batch{outcomes: b.outcomes[:len(b.outcomes)/2]})
		w.commit(batch{outcomes: b.outcomes[len(b.outcomes)/2:]})
	case len(b.accepts) == 1:
		w.writer.finish(b.accepts, fmt.Errorf("accept: %w", err))
	case len(b.outcomes) == 1:
		o := b.outcomes[0]
		w.db.log.Error("outcome cannot be recorded", "sub", o.Item.Sub, "seq", o.Item.Seq, "err", err)
		o.Done(err)
	}
}

// refused answers for a batch when nothing can be written now, or nobody knows
// whether it was. Accepts are refused; whoever sent them sends them again, with the
// same ids. Outcomes stay, and with them their slots, until the database takes them.
func (w *worker) refused(b batch, err error, after time.Duration) {
	w.writer.away.Store(time.Now().UnixMilli())
	w.writer.finish(b.accepts, sqldb.AsBusy(err))
	if len(b.accepts) > 0 && after > sqldb.LockWait { // those who came during that time have waited long enough
		w.writer.finish(w.writer.takeAccepts(), sqldb.AsBusy(err))
	}
	if w.db.in == sqldb.Postgres {
		if err := w.disconnect(); err != nil {
			w.db.log.Debug("give up a connection", "err", err)
		}
	}

	if len(b.outcomes) == 0 {
		return
	}
	if !w.writer.putBack(b.outcomes) { // these deliveries will be sent again after the next start
		for _, o := range b.outcomes {
			o.Done(err)
		}
		return
	}
	w.db.log.Error("outcomes cannot be recorded now, trying again", "outcomes", len(b.outcomes), "err", err)
	time.Sleep(awayPause)
}

// try runs one transaction for the batch, and forgets it if it fails.
func (w *worker) try(b *batch) error {
	ctx := context.Background() // a commit is never cancelled half way
	err := w.connect(ctx)
	if err == nil {
		err = w.transact(ctx, b)
	}
	if err != nil {
		w.counts.reset()
		w.db.rejected.add(w.rejected)
		w.rejected = nil
		w.delta.drop()
		clear(w.bytes)
		w.stmt.drop()
	}
	return err
}

func (w *worker) transact(ctx context.Context, b *batch) error {
	seqs, err := w.begin(ctx, *b)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotBegun, err)
	}

	err = w.recordOutcomes(ctx, w.ours(b.outcomes))
	if err == nil {
		err = w.insertEvents(ctx, b.accepts, seqs)
	}
	if err == nil {
		err = w.counts.write(ctx, &w.stmt, w.db.in, w.part)
	}
	if err == nil && w.tooLate() {
		err = sqldb.ErrSlow
	}
	if err == nil {
		if err = w.end(ctx); err == nil {
			return nil
		}
	}

	// After some errors the database has rolled back by itself, or is away. Then the
	// ROLLBACK fails too, and the first error is the one that matters.
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// end commits the transaction, with what it adds to the counts of bytes. On PostgreSQL both
// go in one round trip, so that others wait for a count no longer than for the commit.
func (w *worker) end(ctx context.Context) error {
	if w.db.in == sqldb.Postgres {
		commit := "COMMIT"
		if counts := w.bytes.upsert(w.part); counts != "" {
			commit = counts + "; COMMIT"
		}
		_, err := w.conn.ExecContext(ctx, commit)
		return err
	}

	for _, k := range sortedKeys(w.bytes, tenantDay.compare) {
		w.stmt.bytes.add(k.tenant, k.day, w.bytes[k], int64(partOfAdmins))
	}
	if _, err := w.stmt.bytes.flush(ctx); err != nil {
		return fmt.Errorf("count bytes: %w", err)
	}
	_, err := w.conn.ExecContext(ctx, "COMMIT")
	return err
}

// committed brings what is in memory up to date, and answers everybody who waits.
func (w *worker) committed(b batch, took time.Duration) {
	writer := w.writer
	writer.away.Store(0)
	var stored []*event.Event
	events := 0
	for _, op := range b.accepts {
		events += len(op.events)
		for i, e := range op.events {
			if op.verdicts[i] == ingest.Stored {
				stored = append(stored, e)
			}
		}
	}

	// Before anybody is answered, bodies are in the cache and pending runs counted.
	w.db.cache.put(stored)
	nudges := writer.pending.apply(&w.delta, w.db.in == sqldb.Postgres)
	w.counts.reset()
	writer.bytes.add(w.bytes)
	clear(w.bytes)
	w.rejected = nil
	writer.stat.Commits.Add(1)
	writer.stat.Events.Add(int64(len(stored)))

	writer.finish(b.accepts, nil)
	for _, o := range b.outcomes {
		if !w.mayRecord(o) {
			writer.stat.Fenced.Add(1)
			o.Done(delivery.ErrNotOwner)
			continue
		}
		writer.stat.Outcomes.Add(1)
		o.Done(nil)
	}

	if len(nudges) > 0 {
		w.db.cfg.Nudge(nudges)
	}
	if w.db.cfg.Committed != nil {
		w.db.cfg.Committed(events, len(b.outcomes), took)
	}
	for i, e := range stored {
		if w.db.cfg.Stored != nil && (i == 0 || stored[i-1].Tenant != e.Tenant) {
			w.db.cfg.Stored(e.Tenant)
		}
	}
}

// commitAdmin makes a change durable, and calls what is to be done after it.
func (w *worker) commitAdmin(op *adminOp) error {
	err := w.tryAdmin(op)
	for tries := 1; sqldb.IsConflict(err) && tries < sqldb.ConflictTries; tries++ {
		w.writer.stat.Conflicts.Add(1)
		err = w.tryAdmin(op)
	}
	switch {
	case err == nil:
		for _, then := range op.then {
			then()
		}
	case sqldb.Unavailable(err):
		if w.takes.batches() {
			w.writer.away.Store(time.Now().UnixMilli())
		}
		err = sqldb.AsBusy(err)
	}
	return err
}

func (w *worker) tryAdmin(op *adminOp) error {
	if op.fold {
		full, err := w.unsynced()
		if err != nil {
			return fmt.Errorf("%s: %w", op.what, err)
		}
		defer full()
	}

	begin := w.db.pool.BeginTxx
	if w.conn != nil {
		begin = w.conn.BeginTxx
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

// unsynced lets commits on SQLite's connection end without waiting for the disk, until full is
// called: those of the folds. The next commit that waits takes them along, for the log is one
// file, and what a power cut takes away is folded again.
func (w *worker) unsynced() (full func(), err error) {
	ctx := context.Background()
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return nil, err
	}

	return func() {
		if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
			w.db.log.Error("a new connection, as this one does not wait for the disk", "err", err)
			_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // or the pool would use it again
			_ = w.disconnect()
		}
	}, nil
}

// finishRecorded finishes the outcomes whose attempt is stored already, and leaves
// the others in the batch. It returns false if there were no such outcomes.
func (w *worker) finishRecorded(b *batch) bool {
	var left []*delivery.Outcome
	for _, o := range b.outcomes {
		if o.Attempt == nil {
			left = append(left, o)
			continue
		}

		var stored struct {
			At      int64  `db:"at"`
			Code    string `db:"random_code"`
			Process string `db:"process"`
		}
		it := o.Item
		n := it.Tries + 1
		err := w.db.read.GetContext(context.Background(), &stored,
			"SELECT at, random_code, process FROM attempts WHERE sub = ? AND seq = ? AND run = ? AND n = ?",
			it.Sub, it.Seq, it.Run, n)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			left = append(left, o)
		case err != nil:
			o.Done(err)
		case stored.At == o.Attempt.At && stored.Code == o.Attempt.RandomCode && stored.Process == w.db.cfg.Process:
			o.Done(nil)
		default: // another process made this attempt, so what the lane knows of this run is out of date
			o.Done(fmt.Errorf("attempt %d of run %d of event %d for subscription %d: %w",
				n, it.Run, it.Seq, it.Sub, errRecorded))
		}
	}
	found := len(left) < len(b.outcomes)
	b.outcomes = left
	return found
}
