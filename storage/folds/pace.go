package folds

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Shares of the writer. A step that had the writer for some time is followed by so many
// times that time in which no other step begins.
const (
	restAhead = 3 // folds ahead of queries take a quarter of the writer at most
	restBusy  = 9 // and a tenth for as long as others keep the writer busy
	restAsked = 1 // folds of a tenant that somebody waits for take half of it
)

// busyPause is the least time between two looks whether the writer is still busy.
const busyPause = time.Millisecond

// pace shares the writer's time between the folds of all tenants and everything else that
// writes. One step has the writer at a time. Steps that somebody waits for come before the
// others, and those of one kind in the order in which they came. There is no lag past which
// this does not hold.
type pace struct {
	writes func() bool // reports whether the writer has anything else to do; nil: never

	mu     sync.Mutex
	queue  []*place
	asked  map[int64]int // by tenant: how many wait for its folds
	busy   bool          // a step has the writer
	ended  time.Time     // when the last step ended
	held   time.Duration // for how long it had the writer
	wakeup *time.Timer   // calls next when the first place may go on; nil: not made yet
}

// place is a step that waits for its turn.
type place struct {
	tenant int64
	turn   chan struct{} // closed when it is its turn
}

// ask notes that somebody waits for a tenant's folds, until done is called.
func (p *pace) ask(tenant int64) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[int64]int{}
	}
	p.asked[tenant]++
	p.next()

	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked[tenant]--
		if p.asked[tenant] == 0 {
			delete(p.asked, tenant)
		}
	}
}

// begin waits until a step of a tenant may have the writer. Call end after it.
func (p *pace) begin(ctx context.Context, tenant int64) error {
	mine := &place{tenant: tenant, turn: make(chan struct{})}
	p.mu.Lock()
	p.queue = append(p.queue, mine)
	p.next()
	p.mu.Unlock()

	select {
	case <-mine.turn:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.queue, mine); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		return ctx.Err()
	}
	p.busy = false // its turn came at this very moment
	p.next()
	return ctx.Err()
}

// end says that a step is over, which had the writer for some time.
func (p *pace) end(held time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.ended = time.Now()
	p.held = held
	p.next()
}

// next gives the writer to the step whose turn it is, or sets the timer for it. The caller
// holds the lock.
func (p *pace) next() {
	if p.busy || len(p.queue) == 0 {
		return
	}

	first := slices.IndexFunc(p.queue, func(o *place) bool { return p.asked[o.tenant] > 0 })
	asked := first >= 0
	first = max(first, 0)
	if wait := p.wait(asked); wait > 0 {
		if p.wakeup == nil {
			p.wakeup = time.AfterFunc(wait, p.wake)
		} else {
			p.wakeup.Reset(wait)
		}
		return
	}

	p.busy = true
	close(p.queue[first].turn)
	p.queue = slices.Delete(p.queue, first, first+1)
}

// wait returns for how long no step begins, unless somebody comes to ask. asked: somebody
// waits for the first one already. The caller holds the lock.
func (p *pace) wait(asked bool) time.Duration {
	rested := time.Since(p.ended)
	if asked {
		return restAsked*p.held - rested
	}
	if wait := restAhead*p.held - rested; wait > 0 {
		return wait
	}

	// The share is there. Folds have time, so while others write they leave more to them.
	wait := restBusy*p.held - rested
	if wait <= 0 || p.writes == nil || !p.writes() {
		return 0
	}
	return min(wait, max(p.held, busyPause))
}

// wake is called by the timer.
func (p *pace) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next()
}
