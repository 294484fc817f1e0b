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
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Bounds of one transaction: what waits beyond them goes into the next one, so
// that an outcome never waits long behind a flood of accepts.
const (
	maxAcceptEvents = 256
	maxOutcomes     = 1024
)

// writer is group commit without a timer: its workers take whatever waits,
// commit it as one transaction, and take what gathered meanwhile. SQLite has one
// worker for all. PostgreSQL has one for outcomes, which never wait behind a
// flood of accepts, one or more for those, and one for changes by admins, which
// wait for other processes now and then.
type writer struct {
	db      *DB
	workers []*worker
	wake    [3]chan struct{} // by kind: some of it waits; a worker of several kinds has one channel
	stat    Stats
	away    atomic.Int64 // when the database last refused a commit, as for want of space, Unix ms; 0: it did not

	mu       sync.Mutex
	accepts  []*acceptOp
	outcomes []*delivery.Outcome
	admins   []*adminOp
	bytes    int // of the accepts waiting or being committed
	closing  bool
	ended    sync.WaitGroup

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
	Conflicts atomic.Int64 // transactions made anew because another got in their way
	Fenced    atomic.Int64 // outcomes of shards that another process owns by now
}

type adminOp struct {
	what string
	fn   func(*sqlx.Tx) error
	then func() // after the commit, before the next batch is matched; may be nil
	done chan error
}

// kinds of work, and sets of them.
type kinds uint8

const (
	ofAccepts kinds = 1 << iota
	ofOutcomes
	ofAdmins
)

// batches are what a worker holds a connection for.
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
	for _, k := range w.workers {
		if !k.takes.batches() {
			continue
		}
		if err := k.connect(ctx); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

// employ n workers for some kinds of work.
func (w *writer) employ(n int, takes kinds) {
	wake := make(chan struct{}, n)
	for i := range w.wake {
		if takes&(1<<i) != 0 {
			w.wake[i] = wake
		}
	}
	for i := range n {
		k := newWorker(w, wake, takes)
		k.part = w.db.hourPart(takes, i)
		w.workers = append(w.workers, k)
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
	for _, k := range w.workers {
		w.ended.Go(k.run)
	}
}

// stop commits what waits and ends. What comes later is refused.
func (w *writer) stop() {
	w.mu.Lock()
	w.closing = true
	for i, wake := range w.wake {
		if !slices.Contains(w.wake[:i], wake) {
			close(wake)
		}
	}
	w.mu.Unlock()
	w.ended.Wait()
}

// close frees the connections of the workers, once they ended.
func (w *writer) close() error {
	var errs []error
	for _, k := range w.workers {
		errs = append(errs, k.disconnect())
	}
	return errors.Join(errs...)
}

// signal that some of a kind waits. Callers hold the lock, and have seen that
// nothing closes.
func (w *writer) signal(of kinds) {
	select {
	case w.wake[bits.TrailingZeros8(uint8(of))] <- struct{}{}:
	default:
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

func (b batch) events() (n int) {
	for _, op := range b.accepts {
		n += len(op.events)
	}
	return n
}

// take what waits of some kinds.
func (w *writer) take(of kinds) (b batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if of&ofAdmins != 0 && len(w.admins) > 0 {
		b.admin = w.admins[0]
		w.admins = w.admins[1:]
		return b
	}
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

// takeAccepts takes all events that wait.
func (w *writer) takeAccepts() []*acceptOp {
	w.mu.Lock()
	defer w.mu.Unlock()
	ops := w.accepts
	w.accepts = nil
	return ops
}

// putBack lets outcomes wait at the head of the queue again; false: it is too
// late for that, the writer is closing.
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

// admin runs fn in a write transaction of its own. Events accepted after it
// returns are matched with what it changed. When another process got in its way
// fn is run again.
func (db *DB) admin(ctx context.Context, what string, fn func(tx *sqlx.Tx) error) error {
	return db.adminThen(ctx, what, fn, nil)
}

// adminThen is admin, and calls then after the commit, before the next change
// and, on SQLite, before the next event is matched.
func (db *DB) adminThen(ctx context.Context, what string, fn func(tx *sqlx.Tx) error, then func()) error {
	op := &adminOp{what: what, fn: fn, then: then, done: make(chan error, 1)}
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
	w.signal(ofAdmins)
	w.mu.Unlock()
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		// It will be committed all the same; nobody is left to hear of it.
		return ctx.Err()
	}
}

// Stats of the writer.
func (db *DB) Stats() *Stats { return &db.w.stat }
