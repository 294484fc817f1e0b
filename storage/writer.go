package storage

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Bounds of one transaction: what waits beyond them goes into the next one, so
// that an outcome never waits long behind a flood of accepts.
const (
	maxAcceptEvents = 256
	maxOutcomes     = 1024
)

// maxAdmins is how many changes may wait; further ones are refused.
const maxAdmins = 1000

// writer is group commit without a timer: its workers take whatever waits, commit
// it as one transaction, and then take what has gathered since. SQLite has one
// worker for everything. PostgreSQL has one for outcomes, which never wait behind a
// flood of accepts, one or more for accepts, and one for changes by admins, which
// wait for other processes now and then.
type writer struct {
	db      *DB
	workers []*worker
	wake    [3]chan struct{} // by kind: some of it waits; a worker of several kinds has one channel
	stat    Stats
	away    atomic.Int64 // when the database last refused a commit, e.g. because it is full, Unix ms; 0: it did not

	mu       sync.Mutex
	accepts  []*acceptOp
	outcomes []*delivery.Outcome
	admins   []*adminOp
	bytes    int // of the accepts that wait or are being committed
	closing  bool
	running  sync.WaitGroup

	pending pendingCounts

	last struct { // what numbers and times go on from
		sync.Mutex
		highMark
	}
}

// Stats counts what the writer did, for metrics and benchmarks.
type Stats struct {
	Commits   atomic.Int64
	Events    atomic.Int64
	Outcomes  atomic.Int64
	Failures  atomic.Int64
	Conflicts atomic.Int64 // transactions that were repeated because another got in their way
	Fenced    atomic.Int64 // outcomes of shards that another process owns by now
}

// adminOp is a change that waits for a transaction of its own.
type adminOp struct {
	what string
	fn   func(*sqlx.Tx) error
	then []func() // called after the commit, before the next batch is matched
	done chan error
}

// kinds of work, and sets of them.
type kinds uint8

const (
	ofAccepts kinds = 1 << iota
	ofOutcomes
	ofAdmins
)

// batches reports whether a worker for these kinds keeps a connection, on which its
// statements are prepared.
func (k kinds) batches() bool { return k&(ofAccepts|ofOutcomes) != 0 }

func newWriter(ctx context.Context, db *DB) (*writer, error) {
	w := &writer{db: db, pending: newPendingCounts()}
	if db.in == sqldb.SQLite {
		w.employ(1, ofAccepts|ofOutcomes|ofAdmins)
	} else {
		w.employ(max(1, db.cfg.Writers-1), ofAccepts)
		w.employ(1, ofOutcomes)
		w.employ(1, ofAdmins)
	}
	for _, worker := range w.workers {
		if !worker.takes.batches() {
			continue
		}
		if err := worker.connect(ctx); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

// employ makes n workers for some kinds of work.
func (w *writer) employ(n int, takes kinds) {
	calls := make(chan struct{}, n)
	for i := range w.wake {
		if takes&(1<<i) != 0 {
			w.wake[i] = calls
		}
	}
	for i := range n {
		worker := newWorker(w, calls, takes)
		worker.part = w.db.hourPart(takes, i)
		w.workers = append(w.workers, worker)
	}
}

// load reads what the writer keeps in memory.
func (w *writer) load(ctx context.Context) (err error) {
	if w.last.highMark, err = lastEvent(ctx, w.workers[0].conn); err != nil {
		return err
	}
	return w.pending.recount(ctx, w.workers[0].conn, w.db.in)
}

func (w *writer) start() {
	for _, worker := range w.workers {
		w.running.Go(worker.run)
	}
}

// stop commits what waits and ends. Whatever is asked for afterwards is refused.
func (w *writer) stop() {
	w.mu.Lock()
	w.closing = true
	for i, calls := range w.wake {
		if !slices.Contains(w.wake[:i], calls) {
			close(calls)
		}
	}
	w.mu.Unlock()
	w.running.Wait()
}

// close frees the connections of the workers. They must have ended.
func (w *writer) close() error {
	var errs []error
	for _, worker := range w.workers {
		errs = append(errs, worker.disconnect())
	}
	return errors.Join(errs...)
}

// signal wakes a worker for a kind of work. Callers hold the lock, and have seen
// that the writer is not closing.
func (w *writer) signal(of kinds) { wake.Up(w.wake[bits.TrailingZeros8(uint8(of))]) }

// batch is what one transaction holds: either one change by an admin, which is alone
// because the matching after it must see it, or accepts and outcomes together.
type batch struct {
	accepts  []*acceptOp
	outcomes []*delivery.Outcome
	admin    *adminOp
}

func (b batch) empty() bool { return len(b.accepts)+len(b.outcomes) == 0 && b.admin == nil }

func (b batch) events() (n int) {
	for _, op := range b.accepts {
		n += len(op.events)
	}
	return n
}

// take removes from the queues what the next transaction holds.
func (w *writer) take(of kinds) (b batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if of&ofAdmins != 0 && len(w.admins) > 0 {
		b.admin = w.admins[0]
		w.admins = w.admins[1:]
		return b
	}

	// Requests stay whole, so one with more events than fit is taken alone.
	if of&ofAccepts != 0 {
		n, events := 0, 0
		for n < len(w.accepts) && (n == 0 || events+len(w.accepts[n].events) <= maxAcceptEvents) {
			events += len(w.accepts[n].events)
			n++
		}
		b.accepts, w.accepts = w.accepts[:n:n], w.accepts[n:]
	}
	if of&ofOutcomes != 0 {
		n := min(len(w.outcomes), maxOutcomes)
		b.outcomes, w.outcomes = w.outcomes[:n:n], w.outcomes[n:]
	}
	return b
}

// takeAccepts removes all events that wait from their queue.
func (w *writer) takeAccepts() []*acceptOp {
	w.mu.Lock()
	defer w.mu.Unlock()
	ops := w.accepts
	w.accepts = nil
	return ops
}

// putBack lets outcomes wait at the head of the queue again. It returns false when
// the writer is closing, because nobody would take them.
func (w *writer) putBack(outcomes []*delivery.Outcome) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return false
	}
	w.outcomes = append(outcomes, w.outcomes...)
	w.signal(ofOutcomes)
	return true
}

// finish answers those who wait for the commit of their events.
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

// admin runs fn in a write transaction of its own. Events accepted after it returns
// are matched with what fn changed. fn is run again when another process got in its
// way. Each of then is called after the commit, before the next change and, on
// SQLite, before the next event is matched.
func (db *DB) admin(ctx context.Context, what string, fn func(tx *sqlx.Tx) error, then ...func()) error {
	op := &adminOp{what: what, fn: fn, then: then, done: make(chan error, 1)}
	w := db.writer
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return ErrClosed
	}
	if len(w.admins) >= maxAdmins {
		w.mu.Unlock()
		return fmt.Errorf("%s: %w", what, ingest.ErrBusy)
	}
	w.admins = append(w.admins, op)
	w.signal(ofAdmins)
	w.mu.Unlock()

	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		// The change will be committed all the same, but its caller does not wait for it.
		return ctx.Err()
	}
}

// Stats returns what the writer did since the store was opened.
func (db *DB) Stats() *Stats { return &db.writer.stat }
