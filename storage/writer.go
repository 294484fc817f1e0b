package storage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
)

// ErrClosed is returned to those who ask the writer after Close began.
var ErrClosed = errors.New("the store is closing")

// Bounds of one transaction: what waits beyond them goes into the next one, so
// that an outcome never waits long behind a flood of accepts.
const (
	maxAcceptEvents = 256
	maxOutcomes     = 1024
)

// writer is group commit without a timer: it takes whatever waits, commits it
// as one transaction, and takes what gathered meanwhile.
type writer struct {
	db   *DB
	conn *sqlx.Conn
	stmt statements

	wake chan struct{} // of one: something waits
	end  chan struct{} // closed when the writer is done
	stat Stats
	full atomic.Int64 // when the last commit failed for want of space, Unix ms; 0: it did not

	mu       sync.Mutex
	accepts  []*acceptOp
	outcomes []*delivery.Outcome
	admins   []*adminOp
	bytes    int // of the accepts waiting or being committed
	closing  bool

	// of the writer's goroutine alone
	lastSeq int64
	lastAt  int64
	pending pendingCounts
	hours   hourDeltas
	after   func() // set by an admin's fn: what must hold in memory before the next batch is matched
}

// Stats counts what the writer did, for metrics and benchmarks.
type Stats struct {
	Commits  atomic.Int64
	Events   atomic.Int64
	Outcomes atomic.Int64
	Failures atomic.Int64
}

type acceptOp struct {
	events   []*event.Event
	named    []bool // the sender gave the id
	verdicts []ingest.Verdict
	bytes    int
	done     chan error
}

type adminOp struct {
	what string
	fn   func(*sqlx.Tx) error
	done chan error
}

func newWriter(ctx context.Context, db *DB) (*writer, error) {
	conn, err := db.pool.Connx(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, conn: conn, wake: make(chan struct{}, 1), end: make(chan struct{})}
	w.pending = newPendingCounts()
	w.hours.reset()
	return w, w.stmt.prepare(ctx, conn)
}

// load reads what the writer keeps in memory.
func (w *writer) load(ctx context.Context) error {
	last, err := lastEvent(ctx, w.conn)
	if err != nil {
		return err
	}
	w.lastSeq, w.lastAt = last.Seq, last.At
	return w.pending.load(ctx, w.conn)
}

func (w *writer) start() { go w.run() }

// stop commits what waits and ends. What comes later is refused.
func (w *writer) stop() {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.signal()
	<-w.end
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) run() {
	defer close(w.end)
	for range w.wake {
		for {
			// Those whom the last commit woke have more to write: they come first,
			// for a commit of its own costs as much as twenty rows.
			runtime.Gosched()
			b := w.take()
			if b.empty() {
				break
			}
			w.commit(b)
		}
		w.mu.Lock()
		done := w.closing && len(w.accepts)+len(w.outcomes)+len(w.admins) == 0
		w.mu.Unlock()
		if done {
			return
		}
	}
}

// batch is what one transaction holds: either one change of an admin, alone
// because matching after it must see it, or accepts and outcomes together.
type batch struct {
	accepts  []*acceptOp
	outcomes []*delivery.Outcome
	admin    *adminOp
}

func (b batch) empty() bool { return len(b.accepts)+len(b.outcomes) == 0 && b.admin == nil }

func (w *writer) take() (b batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.admins) > 0 {
		b.admin = w.admins[0]
		w.admins = w.admins[1:]
		return b
	}
	n, events := 0, 0
	for n < len(w.accepts) && (n == 0 || events+len(w.accepts[n].events) <= maxAcceptEvents) {
		events += len(w.accepts[n].events)
		n++
	}
	b.accepts, w.accepts = w.accepts[:n:n], w.accepts[n:]
	n = min(len(w.outcomes), maxOutcomes)
	b.outcomes, w.outcomes = w.outcomes[:n:n], w.outcomes[n:]
	return b
}

// commit makes the batch durable, or, should it fail, finds out what can be.
func (w *writer) commit(b batch) {
	if b.admin != nil {
		err := w.commitAdmin(b.admin)
		if isFull(err) {
			w.full.Store(time.Now().UnixMilli())
			err = fmt.Errorf("%w: %w", ingest.ErrBusy, err)
		}
		b.admin.done <- err
		return
	}
	began := time.Now()
	err := w.try(b)
	if err == nil {
		w.committed(b, time.Since(began))
		return
	}
	w.stat.Failures.Add(1)
	w.hours.reset()
	w.pending.drop()
	w.stmt.drop()
	switch {
	case isFull(err):
		w.withoutSpace(b, err)
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
		w.finish(b.accepts, fmt.Errorf("accept: %w", err))
	default:
		o := b.outcomes[0]
		w.db.log.Error("outcome cannot be recorded", "sub", o.Item.Sub, "seq", o.Item.Seq, "err", err)
		o.Done(err)
	}
}

// withoutSpace: nothing can be written now. Accepts are refused; outcomes stay,
// and with them their slots, until there is space.
func (w *writer) withoutSpace(b batch, err error) {
	w.full.Store(time.Now().UnixMilli())
	w.finish(b.accepts, fmt.Errorf("%w: %w", ingest.ErrBusy, err))
	if len(b.outcomes) == 0 {
		return
	}
	w.mu.Lock()
	closing := w.closing
	if !closing {
		w.outcomes = append(b.outcomes, w.outcomes...)
	}
	w.mu.Unlock()
	if closing { // they will be sent again after the next start
		for _, o := range b.outcomes {
			o.Done(err)
		}
		return
	}
	w.db.log.Error("no space to record outcomes, trying again", "outcomes", len(b.outcomes), "err", err)
	time.Sleep(250 * time.Millisecond) // the writer has nothing better to do: nobody can write
}

func (w *writer) try(b batch) error {
	ctx := context.Background() // a commit is never cancelled half way
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := w.recordOutcomes(ctx, b.outcomes)
	if err == nil {
		err = w.insertEvents(ctx, b.accepts)
	}
	if err == nil {
		err = w.hours.write(ctx, &w.stmt)
	}
	if err == nil {
		if _, err = w.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// After some errors SQLite has rolled back by itself; then this one says so.
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// committed tells everybody who waits.
func (w *writer) committed(b batch, took time.Duration) {
	w.full.Store(0)
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
	w.db.cache.put(fresh)
	nudges := w.pending.apply()
	w.hours.reset()
	w.stat.Commits.Add(1)
	w.stat.Events.Add(int64(len(fresh)))
	w.stat.Outcomes.Add(int64(len(b.outcomes)))
	w.finish(b.accepts, nil)
	for _, o := range b.outcomes {
		o.Done(nil)
	}
	if len(nudges) > 0 {
		w.db.cfg.Nudge(nudges)
	}
	if w.db.cfg.Committed != nil {
		w.db.cfg.Committed(events, len(b.outcomes), took)
	}
}

func (w *writer) finish(ops []*acceptOp, err error) {
	bytes := 0
	for _, op := range ops {
		bytes += op.bytes
		op.done <- err
	}
	w.mu.Lock()
	w.bytes -= bytes
	w.mu.Unlock()
}

func (w *writer) commitAdmin(op *adminOp) error {
	w.after = nil
	tx, err := w.conn.BeginTxx(context.Background(), nil)
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
	if w.after != nil {
		w.after()
	}
	return nil
}

// admin runs fn in a write transaction of its own. Events accepted after it
// returns are matched with what it changed.
func (db *DB) admin(ctx context.Context, what string, fn func(tx *sqlx.Tx) error) error {
	op := &adminOp{what: what, fn: fn, done: make(chan error, 1)}
	w := db.w
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return ErrClosed
	}
	if len(w.admins) >= 1000 {
		w.mu.Unlock()
		return fmt.Errorf("%s: %w", what, ingest.ErrBusy)
	}
	w.admins = append(w.admins, op)
	w.mu.Unlock()
	w.signal()
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		// It will be committed all the same; nobody is left to hear of it.
		return ctx.Err()
	}
}

// Accept queues the events of one request and waits for their commit.
func (db *DB) Accept(ctx context.Context, events []*event.Event) ([]ingest.Verdict, error) {
	op := &acceptOp{
		events: events, named: make([]bool, len(events)),
		verdicts: make([]ingest.Verdict, len(events)), done: make(chan error, 1),
	}
	for i, e := range events {
		op.named[i] = e.ID != ""
		op.bytes += len(e.Body)
	}
	w := db.w
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return nil, ErrClosed
	}
	if w.bytes+op.bytes > db.cfg.QueueBytes && w.bytes > 0 {
		w.mu.Unlock()
		return nil, ingest.ErrBusy
	}
	w.bytes += op.bytes
	w.accepts = append(w.accepts, op)
	w.mu.Unlock()
	w.signal()
	// Once queued it will be committed: whoever sent it must hear so, however
	// long that takes. The writer always answers.
	return op.verdicts, <-op.done
}

// Record queues an outcome. The queue holds at most what is in flight, which is bounded.
func (db *DB) Record(o *delivery.Outcome) {
	w := db.w
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		o.Done(ErrClosed)
		return
	}
	w.outcomes = append(w.outcomes, o)
	w.mu.Unlock()
	w.signal()
}

// Stats of the writer.
func (db *DB) Stats() *Stats { return &db.w.stat }

func isFull(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}
