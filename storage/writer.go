package storage

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/fair"
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

// Bounds of what waits. Of each a tenant gets as much as the others leave free then,
// and half of it at most (fair.Budget).
const (
	maxAdmins     = 1000 // changes
	eventOverhead = 256  // bytes that an event counts beside its body
)

// writer is group commit without a timer: its workers take whatever waits, commit
// it as one transaction, and then take what has gathered since. What enters the next
// transaction is chosen in turns of the tenants (fair.Queue), so the flood of one
// delays the others by one transaction at most.
//
// SQLite has one worker for everything. PostgreSQL has one for outcomes, which never wait
// behind a flood of accepts, one or more for accepts, and one for changes by admins, which
// wait for other processes now and then.
type writer struct {
	db      *DB
	workers []*worker
	wake    [3]chan struct{} // by kind: some of it waits; a worker of several kinds has one channel
	stat    Stats
	busy    atomic.Bool  // on SQLite: the worker is at a transaction, and not at a step of the folds
	away    atomic.Int64 // when the database last refused a commit, e.g. because it is full, Unix ms; 0: it did not

	mu       sync.Mutex
	accepts  fair.Queue[int64, *acceptOp]         // by tenant; cost: events
	outcomes fair.Queue[int64, *delivery.Outcome] // by tenant; cost: 1
	admins   fair.Queue[int64, *adminOp]          // by tenant, 0 is the hub itself; cost: µs of the writer
	closing  bool
	running  sync.WaitGroup

	acceptBytes fair.Budget[int64] // of the events that wait or are being committed
	adminPlaces fair.Budget[int64] // of the changes that wait

	pending pendingCounts
	bytes   byteCounts

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
	tenant int64 // whose turn it takes; 0: the hub's own

	what string
	fn   func(*sqlx.Tx) error
	then []func() // called after the commit, before the next batch is matched
	fold bool     // a step of the folds, which is made again if a crash takes it away
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
	w.acceptBytes.Total = int64(db.cfg.QueueBytes)
	w.adminPlaces.Total = maxAdmins
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
	if err := w.bytes.load(ctx, w.workers[0].conn); err != nil {
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

// take removes from the queues what the next transaction holds. changed says that the
// transaction before it was a change: then events and outcomes come first, so that
// many changes do not keep the others from the writer.
func (w *writer) take(of kinds, changed bool) (b batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	others := of&ofAccepts != 0 && w.accepts.Len() > 0 || of&ofOutcomes != 0 && w.outcomes.Len() > 0
	if of&ofAdmins != 0 && w.admins.Len() > 0 && !(changed && others) {
		b.admin = w.admins.Take()
		w.adminPlaces.Give(b.admin.tenant, 1)
		return b
	}

	// Requests stay whole, so one with more events than fit is taken alone.
	for events := int64(0); of&ofAccepts != 0; {
		more, waits := w.accepts.Next()
		if !waits || events > 0 && events+more > maxAcceptEvents {
			break
		}
		events += more
		b.accepts = append(b.accepts, w.accepts.Take())
	}
	for of&ofOutcomes != 0 && len(b.outcomes) < maxOutcomes && w.outcomes.Len() > 0 {
		b.outcomes = append(b.outcomes, w.outcomes.Take())
	}
	return b
}

// hasWork reports whether SQLite's worker is at a transaction, or something waits for it. A
// step of the folds does not count while it is made.
func (w *writer) hasWork() bool {
	if w.busy.Load() {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.accepts.Len()+w.outcomes.Len()+w.admins.Len() > 0
}

// takeAccepts removes all events that wait from their queue.
func (w *writer) takeAccepts() (ops []*acceptOp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.accepts.Len() > 0 {
		ops = append(ops, w.accepts.Take())
	}
	return ops
}

// queue adds events to those that wait. The error is that the writer is closing, or
// that no more may wait.
func (w *writer) queue(op *acceptOp) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return ErrClosed
	}

	// One request is always admitted when nothing else waits, whatever its size.
	if !w.acceptBytes.Take(op.tenant, op.bytes) {
		if w.acceptBytes.Held() > 0 {
			return busy(&w.acceptBytes, op.tenant, "events that wait to be stored")
		}
		op.bytes = 0
	}
	w.accepts.Push(op.tenant, max(1, int64(len(op.events))), op)
	w.signal(ofAccepts)
	return nil
}

// busy returns the error of a tenant for whom a budget has no room. It is
// ingest.ErrBusy, and says by a *fair.Full whether that is the tenant's own doing.
func busy(b *fair.Budget[int64], tenant int64, what string) error {
	return fmt.Errorf("%w: %w", ingest.ErrBusy, b.Full(tenant, what))
}

// tenantOf returns the tenant whose turn an outcome takes; 0 if nobody knows.
func (w *writer) tenantOf(o *delivery.Outcome) int64 {
	if o.Item.Event != nil {
		return o.Item.Event.Tenant
	}
	if sub := w.db.index.Get(o.Item.Sub); sub != nil {
		return sub.Tenant
	}
	return 0
}

// putBack lets outcomes wait at the head of the queue again. It returns false when
// the writer is closing, because nobody would take them.
func (w *writer) putBack(outcomes []*delivery.Outcome) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return false
	}
	for _, o := range slices.Backward(outcomes) {
		w.outcomes.Return(w.tenantOf(o), 1, o)
	}
	w.signal(ofOutcomes)
	return true
}

// finish answers those who wait for the commit of their events.
func (w *writer) finish(ops []*acceptOp, err error) {
	for _, op := range ops {
		w.acceptBytes.Give(op.tenant, op.bytes)
		op.done <- err
	}
}

// admin makes a change of the hub's own.
func (db *DB) admin(ctx context.Context, what string, fn func(tx *sqlx.Tx) error, then ...func()) error {
	return db.adminFor(ctx, 0, what, fn, then...)
}

// changeCost is what a change costs its tenant until it is known, in µs.
const changeCost = 1000

// adminFor makes a change for a tenant: it runs fn in a write transaction of its own, when
// it is the tenant's turn. Events accepted after it returns are matched with what fn
// changed. fn is run again when another process got in its way. Each of then is called
// after the commit, before the next change and, on SQLite, before the next event is matched.
//
// When ctx ends adminFor returns, though fn may still run: what fn sets may be read only
// after nil.
func (db *DB) adminFor(
	ctx context.Context, tenant int64, what string, fn func(tx *sqlx.Tx) error, then ...func(),
) error {
	return db.writer.change(ctx, &adminOp{tenant: tenant, what: what, fn: fn, then: then})
}

// change makes a change, see adminFor.
func (w *writer) change(ctx context.Context, op *adminOp) error {
	op.done = make(chan error, 1)
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return ErrClosed
	}
	if !w.adminPlaces.Take(op.tenant, 1) {
		w.mu.Unlock()
		return fmt.Errorf("%s: %w", op.what, busy(&w.adminPlaces, op.tenant, "changes"))
	}
	w.admins.Push(op.tenant, changeCost, op)
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

// charge makes a tenant pay for a change by the time that it took.
func (w *writer) charge(tenant int64, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admins.Charge(tenant, took.Microseconds()-changeCost)
}

// Stats returns what the writer did since the store was opened.
func (db *DB) Stats() *Stats { return &db.writer.stat }
