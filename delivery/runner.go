package delivery

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/subscriptions"
)

const (
	probeSoon  = 20 * time.Millisecond // until the breaker is asked again for a probe: its clock may be behind ours
	refills    = 8                     // reads of rows in a row; then outcomes may come in
	keyRows    = 16                    // rows in one read for an order key
	expireMost = 64                    // outcomes without an attempt at once; no less than the highest maxInFlight
	lookEvery  = 10 * time.Second      // how often a held lane looks for what has expired
	failingFor = 5 * 24 * time.Hour    // how long a breaker may be open until the subscription is paused
	storeWait  = 10 * time.Second      // bound of one question to the store
	lostWait   = 30 * time.Second      // until a run is tried again whose outcome could not be recorded
)

// runner is the goroutine of a lane: it reads rows, launches attempts, takes
// their outcomes, and keeps breaker and holds. All its fields but the inbox
// belong to that goroutine.
type runner struct {
	d   *Dispatcher
	t   *tenure
	sub int64

	wake    chan struct{} // capacity 1: something is in the inbox
	stop    chan struct{} // closed when nothing more may be launched
	runEnds chan runEnd

	rateHolds atomic.Bool // the next push waits for ratePerSecond; any goroutine may ask

	// The inbox, which other goroutines fill.
	mu           sync.Mutex
	nudged       bool
	news         Nudge // what the nudges say
	pendingCount int   // how many rows are pending by the store's count, for recheck; 0 if it did not count

	// The subscription, at the version that the lane works with.
	cfg     *subscriptions.Subscription
	target  *url.URL
	deleted bool
	lane    *lane
	reorder bool // once nothing is out, the lane starts again: its ordering changed, or runs ended without it

	// Runs of replays, beside the lane.
	replays      *replays
	replaysStale bool // they may have changed in the store

	// What the receiver's answers taught.
	breaker      *breaker
	hold         Hold
	holdUnsaved  bool  // the store did not take the hold: try again
	releases     int64 // of the subscription, when breaker and hold began
	timeoutCount int   // attempts in a row that timed out

	// Bounds of what is out.
	rate        *rate.Limiter // nil if there is no ratePerSecond
	inFlightMax int           // below the subscription's maxInFlight while it ramps up
	sending     int           // attempts in flight, and those whose outcome is not committed yet
	expiring    int           // outcomes without an attempt that are not committed yet

	idleSince time.Time // zero while there is something to do
	retryRead time.Time // the store failed: ask it again then
}

// runEnd is a run whose outcome was committed, or lost.
type runEnd struct {
	outcome *Outcome
	permit  *permit // for its attempt; nil if it was to end without one
	err     error
}

func newRunner(d *Dispatcher, t *tenure, sub int64) *runner {
	return &runner{
		d: d, t: t, sub: sub,
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		runEnds: make(chan runEnd, 2*expireMost), // as many as can be out, so that Done never blocks the writer
	}
}

// nudge tells the lane that rows may have become visible. It may be called from any
// goroutine, as may recheck.
func (r *runner) nudge(n Nudge) {
	r.mu.Lock()
	r.news = r.news.And(n)
	r.nudged = true
	r.mu.Unlock()
	r.signal()
}

// recheck tells the lane how many rows are pending, as the store counts them.
func (r *runner) recheck(pending int) {
	r.mu.Lock()
	r.pendingCount = pending
	r.mu.Unlock()
	r.signal()
}

func (r *runner) signal() { wake.Up(r.wake) }

// run works until the lane is stopped and nothing of it is out, until it has
// been idle for long enough, or until its shard is lost.
func (r *runner) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stop := r.stop
	var cut <-chan struct{} // after stop: closed when the lane has waited long enough for what is out
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
		case e := <-r.runEnds:
			r.take(e)
		case <-timer.C:
		case <-stop:
			stop, cut = nil, r.t.owned.Done()
		case <-cut:
			// The shard is lost, or the process has waited long enough to stop. What
			// is not recorded is still pending in the store, and is sent again.
			return
		}
		r.takeAll()
	}
}

// out returns how many runs were given out and not yet taken back.
func (r *runner) out() int { return r.sending + r.expiring }

// takeAll takes the outcomes that a commit brought together.
func (r *runner) takeAll() {
	for {
		select {
		case e := <-r.runEnds:
			r.take(e)
		default:
			return
		}
	}
}

func (r *runner) readInbox() {
	r.mu.Lock()
	nudged, news, pending := r.nudged, r.news, r.pendingCount
	r.nudged, r.news, r.pendingCount = false, Nudge{}, 0
	r.mu.Unlock()
	if r.lane == nil {
		return // it reads everything when it starts
	}

	r.replaysStale = r.replaysStale || news.Replays
	r.reorder = r.reorder || news.Again
	if nudged {
		r.lane.nudge(news.From)
	}
	// Should a nudge ever be lost: a lane that has read everything, and could
	// hold as much as the store counts, reads all of it once more.
	if pending > 0 && pending <= heldMax && r.lane.end && len(r.lane.ids)+len(r.lane.free) < pending {
		r.lane.nudge(1)
	}
}

// refresh takes over the subscription's current version. It reports whether the
// lane can work.
func (r *runner) refresh() bool {
	sub := r.d.cfg.Subs.Get(r.sub)
	if r.deleted = sub == nil; r.deleted {
		return false
	}
	if sub == r.cfg && !r.reorder {
		return true
	}
	target, err := subscriptions.Target(sub.URL)
	if err != nil { // it was checked when the subscription was made
		r.d.cfg.Log.Error("callback URL", "subscription", sub.ID, "err", err)
		return false
	}
	ctx, cancel := context.WithTimeout(r.t.owned, storeWait)
	defer cancel()

	// From here on hold and breaker are this lane's own, until somebody releases
	// the subscription.
	if r.breaker == nil || r.releases != sub.Releases {
		hold, err := r.d.cfg.Store.FindHold(ctx, r.sub)
		if err != nil {
			r.d.cfg.Log.Error("read hold", "subscription", sub.ID, "err", err)
			return false
		}
		r.hold, r.holdUnsaved, r.releases = hold, false, sub.Releases
		r.breaker = restore(hold, r.d.cfg.Now())
		r.inFlightMax, r.timeoutCount = sub.MaxInFlight, 0
		if r.breaker.opens > 0 {
			r.inFlightMax = 1
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

// restart makes a new lane and reads everything into it. Runs that were tried
// before come first, so that each holds its key before a later run of that key is
// seen.
func (r *runner) restart(ctx context.Context) bool {
	waiting, err := r.d.cfg.Store.Waiting(ctx, r.sub, heldMax)
	if err != nil {
		r.d.cfg.Log.Error("read waiting deliveries", "subscription", r.cfg.ID, "err", err)
		r.cfg = nil // refresh tries again
		return false
	}
	r.lane, r.reorder = newLane(r.cfg.Ordering == subscriptions.OrderingKey, r.cfg.Supersede), false
	r.replays, r.replaysStale = newReplays(), true
	now := r.d.cfg.Now().UnixMilli()
	for _, it := range waiting {
		r.lane.add(it, now)
	}
	return true
}

// step does all that can be done now. It returns how long until something more
// can be done; below 0 if there has been nothing to do for long enough to end.
func (r *runner) step() time.Duration {
	if !r.refresh() {
		if r.deleted {
			return -1
		}
		return time.Second // the store has trouble, or what is out must come back first
	}
	now := r.d.cfg.Now()
	ms := now.UnixMilli()
	if r.holdUnsaved && !r.retryRead.After(now) {
		if r.saveHold(); r.holdUnsaved {
			r.retryRead = now.Add(time.Second)
		}
	}

	// Fill the lane. next is the Unix ms at which to look again.
	next := r.lane.wake(ms)
	if next == 0 {
		next = ms + lookEvery.Milliseconds()
	}
	if !r.retryRead.After(now) && !(r.read(ms) && r.readReplays()) {
		r.retryRead = now.Add(time.Second)
	}
	if r.retryRead.After(now) || r.lane.wantsRows() {
		next = min(next, max(r.retryRead.UnixMilli(), ms+1))
	}

	// End what needs no attempt, and launch what does.
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
		if at := r.replays.nextAt(ms); at > 0 {
			next = min(next, at)
		}
	}

	if r.lane.idle() && r.replays.idle() && !r.replaysStale {
		return r.rest(now)
	}
	r.idleSince = time.Time{}
	return max(time.UnixMilli(next).Sub(r.d.cfg.Now()), time.Millisecond)
}

// rest keeps an idle lane for a while, because the next event may come soon.
func (r *runner) rest(now time.Time) time.Duration {
	if r.idleSince.IsZero() {
		r.idleSince = now
	}
	if now.Sub(r.idleSince) >= idleFor {
		return -1
	}
	return idleFor
}

// read fills the lane from the store. It returns false if the store has trouble.
func (r *runner) read(ms int64) bool {
	ctx, cancel := context.WithTimeout(r.t.owned, storeWait)
	defer cancel()

	// Keys that came free while more of their rows were in the store.
	for len(r.lane.free) > 0 && len(r.lane.ready) < readyMax {
		f := r.lane.free[0]
		rows, err := r.d.cfg.Store.OfKey(ctx, r.sub, f.key, f.after, r.lane.cursor, keyRows)
		if err != nil {
			r.d.cfg.Log.Error("read deliveries of a key", "subscription", r.cfg.ID, "err", err)
			return false
		}
		r.lane.readKey(rows, keyRows, ms)
	}

	// Rows past the cursor, and before each batch the earlier rows of its keys.
	for range refills {
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

// expire ends the runs whose giveUpAfter has passed, tried or not, and those of live
// events that are older than expiresAfter. Runs of replays never expire: whoever asks
// for a replay knows how old its events are.
func (r *runner) expire(now time.Time) {
	if r.expiring >= expireMost {
		return
	}
	active := r.cfg.ActiveClock(now)
	expired := func(it *Item) bool {
		return r.cfg.ExpiresAfter > 0 && !it.OfReplay() && it.Type.Class() == event.Live &&
			it.AcceptedAt+r.cfg.ExpiresAfter.Milliseconds() <= now.UnixMilli()
	}
	over := func(it *Item) bool { return it.GiveUpAt <= active || expired(it) }

	items := r.lane.takeExpired(over, expireMost-r.expiring)
	items = append(items, r.replays.takeExpired(over, expireMost-r.expiring-len(items))...)
	for _, it := range items {
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

// rateAllows reports whether a push may go now; if not, it returns how long
// until one may.
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

// record hands an outcome to the writer. It comes back through r.runEnds.
func (r *runner) record(o *Outcome, p *permit) {
	o.Epoch = r.t.epoch
	o.Done = func(err error) { r.runEnds <- runEnd{o, p, err} }
	r.d.cfg.Store.Record(o)
}

// launch starts attempts until a limit is reached: of live runs and, when it is their
// turn, of replays, for which one slot of several stays free. It returns how long until
// more may be started even if nothing happens before; 0 if only an outcome or a new
// row can help.
func (r *runner) launch(now time.Time) (again time.Duration) {
	r.rateHolds.Store(false)
	slots := min(r.inFlightMax, r.cfg.MaxInFlight, r.d.share())
	if again = r.launchFrom(r.liveQueue(), slots-r.sending, now); again > 0 || !r.mayReplay() {
		return again
	}
	if slots > 1 {
		slots--
	}
	return r.launchFrom(r.replayQueue(now.UnixMilli()), slots-r.sending, now)
}

// queue gives out runs that may be sent.
type queue struct {
	ready func() bool  // whether next has a run
	next  func() *Item // takes it
}

// launchFrom starts at most room attempts of the runs of a queue. It returns what
// launch does.
func (r *runner) launchFrom(q queue, room int, now time.Time) (again time.Duration) {
	var items []*Item
	var permits []*permit

	// Each attempt needs its share of the rate and a permit of the breaker.
	for len(items) < room && q.ready() {
		var ok bool
		ok, again = r.rateAllows(now)
		r.rateHolds.Store(!ok)
		if !ok {
			break
		}
		p, ok := r.breaker.allow()
		if !ok {
			if r.sending+len(items) == 0 {
				again = probeSoon
			}
			break
		}
		items = append(items, q.next())
		permits = append(permits, p)
	}
	if len(items) == 0 {
		return again
	}

	ctx, cancel := context.WithTimeout(r.t.owned, storeWait)
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
			N: it.Tries + 1, Late: it.Late, Replay: it.Run > 0 || it.OfReplay(),
		}
		target := r.target
		r.d.wg.Go(func() { r.attempt(it, p, target, permits[i]) })
	}
	return again
}

// putBack returns items that launch took from the lane, and their permits.
func (r *runner) putBack(items []*Item, permits []*permit) {
	for i, it := range items {
		permits[i].done(errNoRequest)
		if it.OfReplay() {
			r.replays.putBack(r.lane, it, r.d.cfg.Now().UnixMilli())
			continue
		}
		r.lane.putBack(it)
	}
}

// reload puts the items back and loads the subscription: another process matched
// them with a later version of it than the one that is known here.
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
	// stops. A stopping process finishes and records; a process that may no longer
	// be the owner must not be heard.
	ctx, cancel := r.d.lease.during(r.t.owned)
	defer cancel()
	if err := r.d.slots.Acquire(ctx, 1); err != nil {
		r.runEnds <- runEnd{&Outcome{Item: it}, permit, errLost}
		return
	}
	var a *Attempt
	made := false
	if r.d.lease.valid() { // the wait for the slot may have been long, or the machine have slept
		a, made = r.d.cfg.Sender.Send(ctx, p, target)
	}
	r.d.slots.Release(1)
	if !made {
		r.runEnds <- runEnd{&Outcome{Item: it}, permit, errLost}
		return
	}

	sub := cmp.Or(r.d.cfg.Subs.Get(r.sub), p.Sub) // as it was, if it was deleted since
	r.record(&Outcome{Item: it, Attempt: a, Verdict: decide(it, a, sub, r.d.cfg.Now())}, permit)
}

// take learns from an outcome and gives the run back to the lane.
func (r *runner) take(e runEnd) {
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
		// It was not recorded, so it is still pending in the store, and is tried again.
		v = Verdict{State: Pending, DueAt: now.Add(lostWait).UnixMilli(), AsideAt: it.AsideAt}
	default:
		if a != nil {
			it.Tries++
			if it.FirstTryAt == 0 {
				it.FirstTryAt = a.At
			}
		}
		r.d.cfg.Observe(Report{Sub: r.cfg, Item: it, Attempt: a, Verdict: v})
	}

	it.Body = nil // the subscription may ask for another masking by the next attempt
	if v.State != Pending {
		it.Event = nil
	}
	if !it.OfReplay() {
		r.lane.done(it, v, now.UnixMilli())
		return
	}

	// The replay may have been paused or stopped while the run was out. Then the run
	// must not wait here for its retry.
	r.replays.done(r.lane, it, v, now.UnixMilli())
	r.replaysStale = r.replaysStale || v.State == Pending
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

// pace lowers and raises how many requests may be in flight: 1 after time-outs
// and while the breaker probes, doubling with success.
func (r *runner) pace(a *Attempt, result Result, closed bool) {
	switch {
	case a.Class == Timeout:
		if r.timeoutCount++; r.timeoutCount >= 2 {
			r.inFlightMax = 1
		}
	case closed:
		r.timeoutCount, r.inFlightMax = 0, 2
	case result == Taken:
		r.timeoutCount = 0
		if r.inFlightMax < 64 {
			r.inFlightMax = min(r.inFlightMax*2, 64)
		}
	}
	if r.breaker.opens > 0 {
		r.inFlightMax = 1
	}
}

// setHold stops the lane and says so in the subscription's one row.
func (r *runner) setHold(h Hold, now time.Time) {
	r.hold = h
	r.saveHold()
	open := h.Reason == "breaker" && h.Breaker.FailingSince > 0
	if open && now.UnixMilli()-h.Breaker.FailingSince >= failingFor.Milliseconds() {
		r.pause("failing")
	}
}

// saveHold writes the hold. Should the store have trouble, the lane is held all
// the same, and step tries again: a restart must find the hold, and until it is
// written the active clock goes on.
func (r *runner) saveHold() {
	ctx, cancel := context.WithTimeout(r.t.owned, storeWait)
	defer cancel()
	err := r.d.cfg.Store.SetHold(ctx, r.sub, r.t.epoch, r.releases, r.hold)
	r.holdUnsaved = err != nil
	if err != nil {
		r.d.cfg.Log.Error("write hold", "sub", r.sub, "err", err)
	}
}

func (r *runner) pause(reason string) {
	ctx, cancel := context.WithTimeout(r.t.owned, storeWait)
	defer cancel()
	if err := r.d.cfg.Store.Pause(ctx, r.sub, r.releases, reason); err != nil {
		r.d.cfg.Log.Error("pause", "sub", r.sub, "reason", reason, "err", err)
	}
}
