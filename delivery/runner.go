package delivery

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

const (
	probeSoon  = 20 * time.Millisecond // the breaker's own clock may be a little behind ours
	refills    = 8                     // reads of rows in a row
	keyRows    = 16                    // rows read for one order key
	expireMost = 64                    // at least maxInFlight's most; outcomes without attempt under way at once
	lookEvery  = 10 * time.Second      // how often a held lane looks for what has expired
	failingFor = 5 * 24 * time.Hour
	storeWait  = 10 * time.Second // bound of one question to the store
	lostWait   = 30 * time.Second // before a run is tried again whose outcome could not be recorded
)

// runner is the goroutine of a lane: it reads rows, launches attempts, takes
// their outcomes, and keeps breaker and holds. All its fields but the inbox
// belong to that goroutine.
type runner struct {
	d   *Dispatcher
	t   *tenure
	sub int64

	wake  chan struct{} // of one: the inbox has something
	stop  chan struct{} // closed: launch nothing more
	ended chan ended

	mu     sync.Mutex // the inbox
	told   bool
	from   int64
	pended int // rows pending as the store counts them; for recheck

	cfg       *subscriptions.Subscription
	target    *url.URL
	lane      *lane
	gone      bool // the subscription was deleted
	reorder   bool // its ordering changed: once nothing is out, all is read anew
	breaker   *breaker
	releases  int64 // of the subscription, as of which breaker and hold are
	hold      Hold
	unsaved   bool          // hold could not be written: try again
	rate      *rate.Limiter // nil: no bound
	sending   int           // attempts in flight, their outcomes included until committed
	expiring  int
	limit     int // in flight at most, below the subscription's own while it ramps up
	timeouts  int // in a row
	idleSince time.Time
	retryRead time.Time // the store failed: ask again then
}

// ended is a run whose outcome was committed, or lost.
type ended struct {
	outcome *Outcome
	permit  *permit // for the attempt; nil: it was to end without one
	err     error
}

func newRunner(d *Dispatcher, t *tenure, sub int64) *runner {
	return &runner{
		d: d, t: t, sub: sub,
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		ended: make(chan ended, 2*expireMost), // never more are out: Done does not block the writer
	}
}

func (r *runner) nudge(from int64) {
	r.mu.Lock()
	if from > 0 && (r.from == 0 || from < r.from) {
		r.from = from
	}
	r.told = true
	r.mu.Unlock()
	r.signal()
}

func (r *runner) recheck(pending int) {
	r.mu.Lock()
	r.pended = pending
	r.mu.Unlock()
	r.signal()
}

func (r *runner) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *runner) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stop := r.stop
	var cut <-chan struct{} // once it stops: closed when it has waited long enough
	for {
		wait := lookEvery
		if stop != nil {
			wait = r.step()
		} else if r.out() == 0 {
			return
		}
		if wait < 0 {
			if r.out() == 0 && r.d.retire(r) {
				return
			}
			wait = time.Second
		}
		timer.Reset(wait)
		select {
		case <-r.wake:
			r.readInbox()
		case e := <-r.ended:
			r.take(e)
		case <-timer.C:
		case <-stop:
			stop, cut = nil, r.t.held.Done()
		case <-cut:
			// The shard is lost, or the process has waited long enough to stop. What
			// is not recorded is still pending in the store, and is sent again.
			return
		}
		r.takeAll()
	}
}

// out is how many runs were given out and not yet taken back.
func (r *runner) out() int { return r.sending + r.expiring }

// takeAll takes the outcomes that a commit brought together.
func (r *runner) takeAll() {
	for {
		select {
		case e := <-r.ended:
			r.take(e)
		default:
			return
		}
	}
}

func (r *runner) readInbox() {
	r.mu.Lock()
	told, from, pended := r.told, r.from, r.pended
	r.told, r.from, r.pended = false, 0, 0
	r.mu.Unlock()
	if r.lane == nil {
		return
	}
	if told {
		r.lane.nudge(from)
	}
	// Should a nudge ever be lost: a lane that has read everything, and could
	// hold what the store counts, looks at all of it once more.
	if pended > 0 && pended <= heldMax && r.lane.end && len(r.lane.known)+len(r.lane.free) < pended {
		r.lane.nudge(1)
	}
}

// refresh takes over the subscription's current version. It reports whether the
// lane can work.
func (r *runner) refresh() bool {
	sub := r.d.cfg.Subs.Get(r.sub)
	if r.gone = sub == nil; r.gone {
		return false
	}
	if sub == r.cfg && !r.reorder {
		return true
	}
	target, err := subscriptions.Target(sub.URL)
	if err != nil { // checked when it was made
		r.d.cfg.Log.Error("callback URL", "subscription", sub.ID, "err", err)
		return false
	}
	ctx, cancel := context.WithTimeout(r.t.held, storeWait)
	defer cancel()

	// From here on hold and breaker are this lane's own, until somebody releases
	// the subscription.
	if r.breaker == nil || r.releases != sub.Releases {
		hold, err := r.d.cfg.Store.FindHold(ctx, r.sub)
		if err != nil {
			r.d.cfg.Log.Error("read hold", "subscription", sub.ID, "err", err)
			return false
		}
		r.hold, r.unsaved, r.releases = hold, false, sub.Releases
		r.breaker = restore(hold, r.d.cfg.Now())
		r.limit, r.timeouts = sub.MaxInFlight, 0
		if r.breaker.opens > 0 {
			r.limit = 1
		}
	}

	r.reorder = r.reorder || r.cfg != nil && r.cfg.Ordering != sub.Ordering
	r.cfg, r.target = sub, target
	r.setRate(sub.RatePerSecond)
	if r.lane != nil {
		r.lane.supersede = sub.Supersede && r.lane.ordered
	}
	if r.lane == nil || r.reorder && r.out() == 0 {
		return r.restart(ctx)
	}
	return !r.reorder
}

// restart reads everything anew: runs tried before first, so that each holds
// its key before a later one of it is seen.
func (r *runner) restart(ctx context.Context) bool {
	waiting, err := r.d.cfg.Store.Waiting(ctx, r.sub, heldMax)
	if err != nil {
		r.d.cfg.Log.Error("read waiting deliveries", "subscription", r.cfg.ID, "err", err)
		r.cfg = nil // refresh tries again
		return false
	}
	r.lane, r.reorder = newLane(r.cfg.Ordering == subscriptions.OrderingKey, r.cfg.Supersede), false
	now := r.d.cfg.Now().UnixMilli()
	for _, it := range waiting {
		r.lane.add(it, now)
	}
	return true
}

// step does all that can be done now and says how long until something more
// can; below 0 when there has been nothing to do for long enough to end.
func (r *runner) step() time.Duration {
	if !r.refresh() {
		if r.gone {
			return -1
		}
		return time.Second // the store has trouble, or what is out must come back first
	}
	now := r.d.cfg.Now()
	ms := now.UnixMilli()
	if r.unsaved && !r.retryRead.After(now) {
		if r.saveHold(); r.unsaved {
			r.retryRead = now.Add(time.Second)
		}
	}
	next := r.lane.wake(ms) // Unix ms at which to look again
	if next == 0 {
		next = ms + lookEvery.Milliseconds()
	}
	if !r.retryRead.After(now) && !r.read(ms) {
		r.retryRead = now.Add(time.Second)
	}
	if r.retryRead.After(now) || r.lane.wantsRows() {
		next = min(next, max(r.retryRead.UnixMilli(), ms+1))
	}
	r.endReplaced()
	if !r.d.lease.valid() {
		next = min(next, ms+leaseLook.Milliseconds())
	} else if !r.cfg.Paused() {
		r.expire(now)
		if r.hold.Until > ms {
			next = min(r.hold.Until, ms+lookEvery.Milliseconds())
		} else if again := r.launch(now); again > 0 {
			next = min(next, now.Add(again).UnixMilli()+1)
		}
	}
	if r.lane.idle() {
		return r.rest(now)
	}
	r.idleSince = time.Time{}
	return max(time.UnixMilli(next).Sub(r.d.cfg.Now()), time.Millisecond)
}

// rest keeps an idle lane for a while: the next event may come soon.
func (r *runner) rest(now time.Time) time.Duration {
	if r.idleSince.IsZero() {
		r.idleSince = now
	}
	if now.Sub(r.idleSince) >= idleFor {
		return -1
	}
	return idleFor
}

// read fills the lane from the store; false: the store has trouble.
func (r *runner) read(ms int64) bool {
	ctx, cancel := context.WithTimeout(r.t.held, storeWait)
	defer cancel()
	for len(r.lane.free) > 0 && len(r.lane.ready) < readyMax {
		f := r.lane.free[0]
		rows, err := r.d.cfg.Store.OfKey(ctx, r.sub, f.key, f.after, r.lane.cursor, keyRows)
		if err != nil {
			r.d.cfg.Log.Error("read deliveries of a key", "subscription", r.cfg.ID, "err", err)
			return false
		}
		r.lane.readKey(rows, keyRows, ms)
	}
	for range refills { // then outcomes may come in between
		if !r.lane.wantsRows() {
			break
		}
		rows, err := r.d.cfg.Store.Pending(ctx, r.sub, r.lane.cursor, readyMax)
		if err != nil {
			r.d.cfg.Log.Error("read deliveries", "subscription", r.cfg.ID, "err", err)
			return false
		}
		if keys := r.lane.keysOf(rows); len(keys) > 0 && r.lane.cursor != (ID{}) {
			earlier, err := r.d.cfg.Store.Earlier(ctx, r.sub, keys, r.lane.cursor, keyRows)
			if err != nil {
				r.d.cfg.Log.Error("read earlier deliveries", "subscription", r.cfg.ID, "err", err)
				return false
			}
			r.lane.earlier(earlier, keyRows, ms)
		}
		r.lane.refill(rows, readyMax, ms)
	}
	return true
}

// expire ends the runs whose giveUpAfter has passed, tried or not, and the live
// ones that are older than expiresAfter.
func (r *runner) expire(now time.Time) {
	if r.expiring >= expireMost {
		return
	}
	active := r.cfg.ActiveClock(now)
	expired := func(it *Item) bool {
		return r.cfg.ExpiresAfter > 0 && it.Type.Class() == event.Live && it.AcceptedAt+r.cfg.ExpiresAfter.Milliseconds() <= now.UnixMilli()
	}
	over := func(it *Item) bool { return it.GiveUpAt <= active || expired(it) }
	for _, it := range r.lane.takeExpired(over, expireMost-r.expiring) {
		v := Verdict{State: Exhausted}
		if expired(it) {
			v.State = Expired
		}
		r.expiring++
		r.record(&Outcome{Item: it, Verdict: v}, nil)
	}
}

// endReplaced ends the runs that gave way to a correction.
func (r *runner) endReplaced() {
	for _, old := range r.lane.takeReplaced(expireMost - r.expiring) {
		r.expiring++
		r.record(&Outcome{Item: old.Item, Verdict: Verdict{State: Superseded, SupersededBy: old.by}}, nil)
	}
}

// setRate bounds the pushes a second; the burst is one second's worth, at least one.
func (r *runner) setRate(perSecond float64) {
	switch {
	case perSecond == 0:
		r.rate = nil
	case r.rate == nil:
		r.rate = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
		// The owner before may have used all of it up.
		r.rate.AllowN(r.t.began, r.rate.Burst())
	default:
		r.rate.SetLimit(rate.Limit(perSecond))
		r.rate.SetBurst(max(1, int(perSecond)))
	}
}

// rateAllows says whether a push may go now, else how long until one may.
func (r *runner) rateAllows(now time.Time) (bool, time.Duration) {
	if r.rate == nil {
		return true, 0
	}
	res := r.rate.ReserveN(now, 1)
	wait := res.DelayFrom(now)
	if wait > 0 {
		res.CancelAt(now)
	}
	return wait == 0, wait
}

func (r *runner) record(o *Outcome, p *permit) {
	o.Epoch, o.Done = r.t.epoch, func(err error) { r.ended <- ended{o, p, err} }
	r.d.cfg.Store.Record(o)
}

// launch starts attempts until a limit is reached, and says how long until
// more may be started although nothing happens meanwhile; 0: only an outcome
// or a row can help.
func (r *runner) launch(now time.Time) (again time.Duration) {
	room := min(r.limit, r.cfg.MaxInFlight, r.d.share()) - r.sending
	if room = min(room, len(r.lane.ready)); room <= 0 {
		return 0
	}
	items := make([]*Item, 0, room)
	permits := make([]*permit, 0, room)
	for len(items) < room {
		var ok bool
		if ok, again = r.rateAllows(now); !ok {
			break
		}
		p, ok := r.breaker.allow()
		if !ok {
			if r.sending+len(items) == 0 {
				again = probeSoon
			}
			break
		}
		items, permits = append(items, r.lane.next()), append(permits, p)
	}
	if len(items) == 0 {
		return again
	}
	ctx, cancel := context.WithTimeout(r.t.held, storeWait)
	defer cancel()
	if err := r.d.cfg.Store.Load(ctx, items, r.cfg.Masking); err != nil {
		r.d.cfg.Log.Error("load events", "subscription", r.cfg.ID, "err", err)
		r.retryRead = now.Add(time.Second)
		r.putBack(items, permits)
		return time.Second
	}
	if slices.ContainsFunc(items, func(it *Item) bool { return it.Version > r.cfg.Version }) {
		return r.reload(ctx, items, permits)
	}
	for i, it := range items {
		r.sending++
		if it.Event == nil { // its bytes are past retention: nothing is left to push
			r.record(&Outcome{Item: it, Verdict: Verdict{State: Exhausted}}, permits[i])
			continue
		}
		p := &Push{
			ID: it.ID, AcceptedAt: it.AcceptedAt, Event: it.Event, Body: it.Body, Sub: r.cfg,
			N: it.Tries + 1, Late: it.Late, Replay: it.Run > 0,
		}
		r.d.wg.Go(func() { r.attempt(it, p, r.target, permits[i]) })
	}
	return again
}

func (r *runner) putBack(items []*Item, permits []*permit) {
	for i, it := range items {
		permits[i].done(errNoRequest)
		r.lane.putBack(it)
	}
}

// reload waits with the items: they were matched, by another process, with a
// later version of the subscription than the one that is known here.
func (r *runner) reload(ctx context.Context, items []*Item, permits []*permit) time.Duration {
	r.putBack(items, permits)
	if err := r.d.cfg.Store.CatchUp(ctx); err != nil {
		r.d.cfg.Log.Error("reload", "subscription", r.cfg.ID, "err", err)
		return time.Second
	}
	return time.Millisecond // step begins with the new version
}

// attempt makes one request and hands its outcome to the writer. The slot stays
// taken until the outcome is committed, so that a crash repeats at most what
// was in flight.
func (r *runner) attempt(it *Item, p *Push, target *url.URL, permit *permit) {
	// ctx ends when the shard is lost, or the lease lapses, not when the process
	// stops: a stopping process finishes and records; one that may no longer be the
	// owner must not be heard.
	ctx, cancel := r.d.lease.during(r.t.held)
	defer cancel()
	if err := r.d.slots.Acquire(ctx, 1); err != nil {
		r.ended <- ended{&Outcome{Item: it}, permit, errLost}
		return
	}
	var a *Attempt
	heard := false
	if r.d.lease.valid() { // it may have waited long for its slot, or slept
		a, heard = r.d.cfg.Sender.Send(ctx, p, target)
	}
	r.d.slots.Release(1)
	if !heard {
		r.ended <- ended{&Outcome{Item: it}, permit, errLost}
		return
	}
	sub := cmp.Or(r.d.cfg.Subs.Get(r.sub), p.Sub) // deleted meanwhile: as it was
	r.record(&Outcome{Item: it, Attempt: a, Verdict: decide(it, a, sub, r.d.cfg.Now())}, permit)
}

// take learns from an outcome.
func (r *runner) take(e ended) {
	now := r.d.cfg.Now()
	it, a, v := e.outcome.Item, e.outcome.Attempt, e.outcome.Verdict
	if e.permit == nil {
		r.expiring--
	} else {
		r.sending--
	}
	if a != nil {
		r.learn(a, e.permit, now)
	} else if e.permit != nil {
		e.permit.done(errNoRequest)
	}
	if e.err != nil && v.State == Superseded {
		r.lane.replaceAgain(replaced{it, v.SupersededBy})
		return
	}
	switch {
	case errors.Is(e.err, errLost):
		v = Verdict{State: Pending, DueAt: it.DueAt, AsideAt: it.AsideAt} // as soon as the lease is back
	case e.err != nil:
		// Not recorded, so the store still has it pending: it comes again.
		v = Verdict{State: Pending, DueAt: now.Add(lostWait).UnixMilli(), AsideAt: it.AsideAt}
	default:
		if a != nil {
			if it.Tries++; it.FirstTryAt == 0 {
				it.FirstTryAt = a.At
			}
		}
		r.d.cfg.Observe(Report{Sub: r.cfg, Item: it, Attempt: a, Verdict: v})
	}
	it.Body = nil // the subscription may ask for another masking by the next attempt
	if v.State != Pending {
		it.Event = nil
	}
	r.lane.done(it, v, now.UnixMilli())
}

// learn adapts breaker, holds and pace to how an attempt went.
func (r *runner) learn(a *Attempt, p *permit, now time.Time) {
	if p.from != r.breaker {
		// It began before somebody released the subscription: what it says is about
		// another receiver, or about a time that no longer counts.
		p.done(errNoRequest)
		return
	}

	result := ResultOf(a)
	opened, closed, wait := r.breaker.report(p, result != Failed, now)
	r.pace(a, result, closed)

	var retryAt int64
	if a.RetryAfter > 0 {
		retryAt = now.Add(a.RetryAfter).UnixMilli()
	}
	switch {
	case opened:
		until := max(now.Add(wait).UnixMilli(), retryAt)
		r.setHold(Hold{Until: until, Reason: "breaker", RetryAt: retryAt, Breaker: r.breaker.row()}, now)
	case closed:
		r.setHold(Hold{Breaker: r.breaker.row()}, now)
	case retryAt > r.hold.Until:
		r.setHold(Hold{Until: retryAt, Reason: "retryAfter", RetryAt: retryAt, Breaker: r.breaker.row()}, now)
	}

	if result == Gone && r.cfg != nil && !r.cfg.Paused() {
		r.pause("gone")
	}
}

// pace lowers and raises the number of requests in flight: 1 after time-outs
// and while the breaker probes, doubling with success.
func (r *runner) pace(a *Attempt, result Result, closed bool) {
	switch {
	case a.Class == Timeout:
		if r.timeouts++; r.timeouts >= 2 {
			r.limit = 1
		}
	case closed:
		r.timeouts, r.limit = 0, 2
	case result == Taken:
		r.timeouts = 0
		if r.limit < 64 {
			r.limit = min(r.limit*2, 64)
		}
	}
	if r.breaker.opens > 0 {
		r.limit = 1
	}
}

// setHold stops the lane and says so in the subscription's one row.
func (r *runner) setHold(h Hold, now time.Time) {
	r.hold = h
	r.saveHold()
	if h.Reason == "breaker" && h.Breaker.FailingSince > 0 && now.UnixMilli()-h.Breaker.FailingSince >= failingFor.Milliseconds() {
		r.pause("failing")
	}
}

// saveHold writes the hold. Should the store have trouble, the lane is held all
// the same, and step tries again: a restart must find the hold, and until it is
// written the active clock goes on.
func (r *runner) saveHold() {
	ctx, cancel := context.WithTimeout(r.t.held, storeWait)
	defer cancel()
	err := r.d.cfg.Store.SetHold(ctx, r.sub, r.t.epoch, r.releases, r.hold)
	r.unsaved = err != nil
	if err != nil {
		r.d.cfg.Log.Error("write hold", "sub", r.sub, "err", err)
	}
}

func (r *runner) pause(reason string) {
	ctx, cancel := context.WithTimeout(r.t.held, storeWait)
	defer cancel()
	if err := r.d.cfg.Store.Pause(ctx, r.sub, r.releases, reason); err != nil {
		r.d.cfg.Log.Error("pause", "sub", r.sub, "reason", reason, "err", err)
	}
}
