package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/subscriptions"
)

// Config of the dispatcher. Zero values mean the defaults.
type Config struct {
	Store    Store
	Sender   *Sender
	Subs     *subscriptions.Index
	Requests int              // requests in flight for the process; default 4,096
	Observe  func(Report)     // called with every outcome after its commit; may be nil
	Now      func() time.Time // default time.Now
	Log      *slog.Logger
}

// Report is what observers (log, metrics) learn of an outcome.
type Report struct {
	Sub     *subscriptions.Subscription
	Item    *Item
	Attempt *Attempt // nil if the run ended without one
	Verdict Verdict
}

const (
	reconcileEvery = 10 * time.Second
	idleFor        = 30 * time.Second // then a lane without work ends
)

// Dispatcher owns the lanes of the shards that this process owns. It starts a lane
// when a subscription has pending rows, and ends it when there has been no such row
// for a while. At first it owns no shard: see Own.
type Dispatcher struct {
	cfg   Config
	slots *semaphore.Weighted
	lease lease
	look  chan struct{} // capacity 1: there is a tenure whose backlog nobody has read

	mu       sync.Mutex
	tenures  map[int]*tenure // by shard
	lanes    map[int64]*runner
	count    atomic.Int64 // how many lanes there are
	stopping bool
	wg       sync.WaitGroup

	owned  context.Context // ends when nothing may be sent any more
	disown context.CancelFunc
}

// NewDispatcher returns a dispatcher; Run makes it work.
func NewDispatcher(cfg Config) *Dispatcher {
	if cfg.Requests == 0 {
		cfg.Requests = 4096
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Report) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	d := &Dispatcher{
		cfg: cfg, slots: semaphore.NewWeighted(int64(cfg.Requests)), look: make(chan struct{}, 1),
		tenures: map[int]*tenure{}, lanes: map[int64]*runner{},
	}
	d.owned, d.disown = context.WithCancel(context.Background())
	return d
}

// Run starts the lanes of everything that is pending, and looks every 10 s whether
// one was forgotten. When ctx ends it lets the requests in flight finish and their
// outcomes be committed. What is still out after drain is cut off: it is not
// recorded, and will be sent again.
func (d *Dispatcher) Run(ctx context.Context, drain time.Duration) error {
	defer d.disown()
	all := time.NewTicker(reconcileEvery)
	defer all.Stop()
	var again <-chan time.Time // after a failure
	for {
		select {
		case <-ctx.Done():
			d.stop(drain)
			return nil
		case <-all.C:
			d.Rescan()
			continue
		case <-d.look:
		case <-again:
		}
		again = nil
		if err := d.reconcile(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("reconcile", "err", err)
			again = time.After(time.Second)
		}
	}
}

// Rescan reads again all that is pending, in case news was missed.
func (d *Dispatcher) Rescan() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tenures {
		t.unlooked = true
	}
	d.lookSoon()
}

func (d *Dispatcher) lookSoon() { wake.Up(d.look) }

// reconcile wakes the lane of every subscription that has pending rows, in the
// shards whose backlog nobody has read.
func (d *Dispatcher) reconcile(ctx context.Context) error {
	var shards []int
	var tenures []*tenure
	d.mu.Lock()
	for shard, t := range d.tenures {
		if t.unlooked {
			t.unlooked = false
			shards, tenures = append(shards, shard), append(tenures, t)
		}
	}
	d.mu.Unlock()
	if len(shards) == 0 {
		return nil
	}
	err := d.wake(ctx, shards)
	if err != nil {
		d.mu.Lock()
		for _, t := range tenures {
			t.unlooked = true
		}
		d.mu.Unlock()
	}
	return err
}

// wake starts and rechecks the lanes of all subscriptions of some shards that have
// a backlog.
func (d *Dispatcher) wake(ctx context.Context, shards []int) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	// A subscription made elsewhere may have its first pending rows already.
	if err := d.cfg.Store.CatchUp(ctx); err != nil {
		return err
	}
	backlog, err := d.cfg.Store.BacklogOf(ctx, shards)
	if err != nil {
		return err
	}
	for sub, n := range backlog {
		if d.cfg.Subs.Get(sub) == nil {
			continue // deleted: a job cancels what is left
		}
		d.lane(sub, func(r *runner) { r.recheck(n) })
	}

	replaying, err := d.cfg.Store.Replaying(ctx, shards)
	if err != nil {
		return err
	}
	for _, sub := range replaying {
		if d.cfg.Subs.Get(sub) != nil {
			d.lane(sub, func(r *runner) { r.nudge(Nudge{Replays: true}) })
		}
	}
	return nil
}

func (d *Dispatcher) stop(drain time.Duration) {
	d.mu.Lock()
	d.stopping = true
	for _, t := range d.tenures {
		d.leave(t)
	}
	d.mu.Unlock()
	cut := time.AfterFunc(drain, d.disown)
	defer cut.Stop()
	d.wg.Wait()
}

// Nudge says that a subscription has new pending rows, or that it changed. code is an
// encoded Nudge: 0, or the number of an event from which on rows may have become
// visible below others, or more than that. It never blocks, and does nothing if another
// process owns the subscription's shard.
func (d *Dispatcher) Nudge(sub, code int64) {
	d.lane(sub, func(r *runner) { r.nudge(DecodeNudge(code)) })
}

// lane calls tell with the runner of a subscription, which it starts if need be.
func (d *Dispatcher) lane(sub int64, tell func(*runner)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenures[subscriptions.Shard(sub)]
	if d.stopping || t == nil || t.leaving {
		return
	}
	r := d.lanes[sub]
	if r == nil {
		r = newRunner(d, t, sub)
		d.lanes[sub] = r
		d.count.Add(1)
		t.runners.Add(1)
		d.wg.Go(func() {
			defer t.runners.Done()
			r.run()
		})
	}
	tell(r)
}

// retire takes the lane out, unless there is something in its inbox. It returns
// whether the lane may end.
func (d *Dispatcher) retire(r *runner) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lanes[r.sub] != r { // its shard is lost
		return true
	}
	if len(r.wake) > 0 {
		return false
	}
	delete(d.lanes, r.sub)
	d.count.Add(-1)
	return true
}

// Lanes returns the number of lanes at work.
func (d *Dispatcher) Lanes() int { return int(d.count.Load()) }

// RateHolds reports whether the next push of a subscription waits for its ratePerSecond.
// known is false when it has no lane in this process.
func (d *Dispatcher) RateHolds(sub int64) (holds, known bool) {
	d.mu.Lock()
	r := d.lanes[sub]
	d.mu.Unlock()
	if r == nil {
		return false, false
	}
	return r.rateHolds.Load(), true
}

// share returns how many requests in flight one lane may hold.
func (d *Dispatcher) share() int { return max(1, d.cfg.Requests/max(1, d.Lanes())) }

// errLost says that a run was given back without an attempt that may be recorded.
var errLost = errors.New("outcome was not recorded")
