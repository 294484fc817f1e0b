package delivery

import (
	"context"
	"slices"
)

// replaysMax is how many runs of replays a lane keeps in memory. The jobs that write
// them ahead stop at about half of it.
const replaysMax = 2000

// replays keeps the pending runs of replays of one subscription. They lie beside the
// lane and not in it: the lane's order is by event number, so these runs, which are
// old, would go before all that is live, and would stop its refill. Like the lane it
// has no clock, no database and no goroutine.
//
//	set (all pending rows, in order)
//	   ▼
//	 runs ── next: due, and no run of its order key comes first ──▶ out
//	   ▲                                                             │
//	   └──────────────── done: pending again ◀───────────────────────┤
//	                                                                 ▼ ended
//
// A run that is out holds its order key in the lane: live runs of the key wait for it.
// A run that is not out holds nothing, so a live run never waits for more of a replay
// than what is in flight.
type replays struct {
	runs []*Item      // not out, by event number
	out  map[ID]int64 // given out, with the order key that each holds; 0: it holds no key
}

func newReplays() *replays { return &replays{out: map[ID]int64{}} }

// set takes the rows that are pending in the store, in order, in place of what was
// known. Runs that are out are not taken again.
func (p *replays) set(rows []*Item) {
	p.runs = p.runs[:0]
	for _, it := range rows {
		if _, isOut := p.out[it.ID]; !isOut {
			p.runs = append(p.runs, it)
		}
	}
}

// find returns the place of the earliest run that may go now; -1 if there is no such
// run. It may go when it is due and its order key is free: no live run of the key is
// pending, no run of the key is out, and no earlier run of a replay waits for its
// retry.
func (p *replays) find(l *lane, now int64) int {
	var waiting map[int64]bool // keys of earlier runs that are not due
	for i, it := range p.runs {
		l.step(it, now)
		key := l.keyOf(it)
		switch {
		case key != 0 && (waiting[key] || l.keys[key] != nil):
		case it.DueAt <= now:
			return i
		case key != 0:
			if waiting == nil {
				waiting = map[int64]bool{}
			}
			waiting[key] = true
		}
	}
	return -1
}

// next takes the run at a place that find returned.
func (p *replays) next(l *lane, i int) *Item {
	it := p.runs[i]
	p.runs = slices.Delete(p.runs, i, i+1)
	key := l.keyOf(it)
	if key != 0 {
		l.hold(key)
	}
	p.out[it.ID] = key
	return it
}

// putBack takes back a run that next gave out, but that was not attempted.
func (p *replays) putBack(l *lane, it *Item, now int64) {
	p.free(l, it, now)
	p.insert(it)
}

// done takes back a run that next or takeExpired gave out, after its outcome was
// committed.
func (p *replays) done(l *lane, it *Item, v Verdict, now int64) {
	p.free(l, it, now)
	if v.State == Pending {
		it.DueAt = v.DueAt
		it.AsideAt = v.AsideAt
		p.insert(it)
	}
}

// free ends the time for which a run is out.
func (p *replays) free(l *lane, it *Item, now int64) {
	key := p.out[it.ID]
	delete(p.out, it.ID)
	if key != 0 {
		l.unhold(key, now)
	}
}

func (p *replays) insert(it *Item) {
	at, _ := slices.BinarySearchFunc(p.runs, it.ID, func(o *Item, id ID) int { return o.Compare(id) })
	p.runs = slices.Insert(p.runs, at, it)
}

// takeExpired takes out up to most runs that should not be tried any more. They are
// out until done is called for them.
func (p *replays) takeExpired(over func(*Item) bool, most int) []*Item {
	var expired []*Item
	p.runs = slices.DeleteFunc(p.runs, func(it *Item) bool {
		if len(expired) == most || !over(it) {
			return false
		}
		p.out[it.ID] = 0
		expired = append(expired, it)
		return true
	})
	return expired
}

// nextAt returns the next time after now at which a run is due, or steps aside; 0 if
// no run waits for a time.
func (p *replays) nextAt(now int64) (next int64) {
	for _, it := range p.runs {
		for _, at := range [...]int64{it.DueAt, it.AsideAt} {
			if at > now && (next == 0 || at < next) {
				next = at
			}
		}
	}
	return next
}

// idle reports whether no run is known.
func (p *replays) idle() bool { return len(p.runs) == 0 && len(p.out) == 0 }

// hold keeps the live runs of an order key back, of which no run is known, until
// unhold is called.
func (l *lane) hold(key int64) { l.keys[key] = &heldKey{leaving: 1} }

// unhold lets the live runs of an order key go that hold kept back.
func (l *lane) unhold(key int64, now int64) {
	held := l.keys[key]
	held.leaving--
	if held.leaving == 0 {
		l.release(key, now)
	}
}

// readReplays reads the pending runs of replays when they may have changed. It returns
// false if the store has trouble.
func (r *runner) readReplays() bool {
	if !r.replaysStale {
		return true
	}
	ctx, cancel := context.WithTimeout(r.t.owned, storeWait)
	defer cancel()
	rows, err := r.d.cfg.Store.Replays(ctx, r.sub, replaysMax)
	if err != nil {
		r.d.cfg.Log.Error("read replays", "subscription", r.cfg.ID, "err", err)
		return false
	}
	r.replays.set(rows)
	r.replaysStale = false
	return true
}

// liveQueue is what the lane has to send.
func (r *runner) liveQueue() queue {
	return queue{
		ready: func() bool { return len(r.lane.ready) > 0 },
		next:  r.lane.next,
	}
}

// replayQueue is what replays have to send at a time.
func (r *runner) replayQueue(ms int64) queue {
	at := -1
	return queue{
		ready: func() bool {
			at = r.replays.find(r.lane, ms)
			return at >= 0
		},
		next: func() *Item { return r.replays.next(r.lane, at) },
	}
}

// mayReplay reports whether it is the turn of replays: the lane has nothing live that
// is ready, and nothing live that it has not read.
func (r *runner) mayReplay() bool { return len(r.lane.ready) == 0 && r.lane.end }

// OfReplay reports whether the run belongs to a replay.
func (i *Item) OfReplay() bool { return i.Replay > 0 }
