package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/hookline/hookline/subscriptions"
)

// leaseLook is how often a lane without a lease looks whether it may send again.
const leaseLook = 200 * time.Millisecond

// tenure is the time during which this process owns a shard, under one epoch.
type tenure struct {
	epoch    int64
	began    time.Time
	owned    context.Context // ends when the shard is lost: from then on nothing may be sent or recorded
	end      context.CancelFunc
	leaving  bool           // the shard is being handed over: no lane starts any more
	runners  sync.WaitGroup // its lanes
	unlooked bool           // nobody has read yet what is pending
}

// Own makes the dispatcher send what is pending in a shard, and will be, until
// Lose or Release. The epoch goes with every outcome.
func (d *Dispatcher) Own(shard int, epoch int64) {
	t := &tenure{epoch: epoch, began: d.cfg.Now(), unlooked: true}
	t.owned, t.end = context.WithCancel(d.owned)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose(shard)
	d.tenures[shard] = t
	d.lookSoon()
}

// OwnAll makes the process the owner of all shards, for ever. It is for a store with
// one process.
func (d *Dispatcher) OwnAll() {
	d.lease.renew(time.Time{})
	for shard := range subscriptions.Shards {
		d.Own(shard, 1)
	}
}

// Owns reports whether what is in a shard is sent from here.
func (d *Dispatcher) Owns(shard int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tenures[shard] != nil
}

// NudgeShard says that any subscription of a shard may have new pending rows. code is
// an encoded Nudge.
func (d *Dispatcher) NudgeShard(shard int, code int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenures[shard]
	if t == nil {
		return
	}
	for _, r := range d.lanes {
		if r.t == t {
			r.nudge(DecodeNudge(code))
		}
	}
	t.unlooked = true
	d.lookSoon()
}

// Renewed says until when, by the monotonic clock of this process, requests may be
// sent from the shards that it owns. After that time no request begins and those in
// flight are cut off, until Renewed is called again.
func (d *Dispatcher) Renewed(until time.Time) { d.lease.renew(until) }

// Lose gives a shard up at once. What it has in flight is cut off and not recorded.
func (d *Dispatcher) Lose(shard int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose(shard)
}

func (d *Dispatcher) lose(shard int) {
	t := d.tenures[shard]
	if t == nil {
		return
	}
	delete(d.tenures, shard)
	d.leave(t)
	t.end()
	for sub, r := range d.lanes {
		if r.t == t {
			delete(d.lanes, sub)
			d.count.Add(-1)
		}
	}
}

// leave stops the lanes of a tenure: they launch nothing more.
func (d *Dispatcher) leave(t *tenure) {
	if t.leaving {
		return
	}
	t.leaving = true
	for _, r := range d.lanes {
		if r.t == t {
			close(r.stop)
		}
	}
}

// Release gives a shard up in good order: nothing more is launched, and what is in
// flight is finished and recorded, or cut off after drain. It returns when another
// process may have the shard. If the shard is lost already, or owned under another
// epoch, it does nothing.
func (d *Dispatcher) Release(shard int, epoch int64, drain time.Duration) {
	d.mu.Lock()
	t := d.tenures[shard]
	if t == nil || t.epoch != epoch {
		d.mu.Unlock()
		return
	}
	d.leave(t)
	d.mu.Unlock()

	cut := time.AfterFunc(drain, t.end)
	defer cut.Stop()
	t.runners.Wait()

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenures[shard] == t {
		d.lose(shard)
	}
}

// lease is the permission to send. It ends by itself unless it is renewed.
type lease struct {
	mu    sync.Mutex
	until time.Time // zero, if there is a ctx, means for ever
	ctx   context.Context
	end   context.CancelFunc
	timer *time.Timer
}

func (l *lease) renew(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := time.Until(until)
	if !until.IsZero() && left <= 0 {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.ctx == nil || !l.validNow() {
		if l.end != nil {
			l.end()
		}
		l.ctx, l.end = context.WithCancel(context.Background())
	}
	if l.until = until; !until.IsZero() {
		l.timer = time.AfterFunc(left, l.end)
	}
}

func (l *lease) validNow() bool {
	return l.ctx != nil && l.ctx.Err() == nil && (l.until.IsZero() || time.Now().Before(l.until))
}

// valid reports whether a request may be sent now. It asks the clock, because timers
// fire late in a process that was stopped for a while.
func (l *lease) valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.validNow()
}

// during returns a context that ends with held, and also when the lease lapses.
func (l *lease) during(held context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithCancel(held)
	if !l.validNow() {
		cancel()
		return ctx, cancel
	}
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
