package fair

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Slots are places for work that holders share. A holder has at most its share of
// them; what it asks for beyond that, or while all places are taken, waits in a
// queue of its own. A place that comes free goes to the holder that uses the least
// part of its share. Of several it goes to the one that was served longest ago. So
// however much one holder asks for, another waits for one place at most.
//
// Set the fields before the first use.
type Slots[K comparable] struct {
	What     string        // the places are for, in the plural; for errors
	Total    int           // places of all holders together; 0: no bound
	Each     int           // share of a holder that Take is not told another one of
	Waiting  int           // requests of one holder that may wait; 0: nobody waits
	Patience time.Duration // for which one waits at most
	Rest     *Rest[K]      // that a holder takes after its work; nil: it never does

	// Given, if it is set, is called with each place that a holder is given: how many it has
	// now, and its share. It must not call the Slots.
	Given func(id K, taken, share int)

	mu      sync.Mutex
	taken   int
	served  uint64 // places that were given so far
	holders map[K]*holder
}

// Rest is for places whose work keeps a processor busy and that nobody waits for. If others
// were served lately, the holder's place stays empty after its work for so many times as
// long as that took. Other holders may have it.
type Rest[K comparable] struct {
	Times  int
	Beside *Lately[K]
}

// restMost bounds a rest: work may also take long because it waits for something.
const restMost = 100 * time.Millisecond

// holder is one that has a place or waits for one.
type holder struct {
	share int
	taken int
	last  uint64 // when it was served, as a number of Slots.served
	queue []*waiter
}

// waiter is a request that waits for a place.
type waiter struct {
	turn chan struct{} // closed when it has one
	has  bool
}

// Place is one that was taken. Free it.
type Place struct{ free func() }

// Free gives the place back. A second time it does nothing, and a nil Place has
// nothing to give back.
func (p *Place) Free() {
	if p != nil && p.free != nil {
		p.free()
		p.free = nil
	}
}

// Take returns a place for the holder, for which it may wait. share is how many the
// holder may have; 0 means Each. The error is a *Full, or that of ctx.
func (s *Slots[K]) Take(ctx context.Context, id K, share int) (*Place, error) {
	s.mu.Lock()
	h := s.find(id)
	h.share = cmp.Or(share, s.Each)
	s.serve() // those who wait, if the share grew

	// Who came before waits only if there is no place for this one either.
	if len(h.queue) == 0 && h.taken < h.share && s.room() {
		defer s.mu.Unlock()
		s.give(id, h)
		return s.place(id), nil
	}
	if len(h.queue) >= s.Waiting {
		defer s.mu.Unlock()
		defer s.forget(id, h)
		return nil, s.full(h)
	}

	w := &waiter{turn: make(chan struct{})}
	h.queue = append(h.queue, w)
	s.mu.Unlock()
	return s.wait(ctx, id, w)
}

// wait returns the place that w is given, or why it waits no longer.
func (s *Slots[K]) wait(ctx context.Context, id K, w *waiter) (*Place, error) {
	patience := time.NewTimer(s.Patience)
	defer patience.Stop()
	var err error
	select {
	case <-w.turn:
		return s.place(id), nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-patience.C:
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if w.has { // at the same moment: nothing was in vain
		return s.place(id), nil
	}
	h := s.holders[id]
	h.queue = slices.DeleteFunc(h.queue, func(o *waiter) bool { return o == w })
	if err == nil {
		err = s.full(h)
	}
	s.forget(id, h)
	return nil, err
}

// full says which of the two has no place: the holder, or all together.
func (s *Slots[K]) full(h *holder) error {
	return &Full{Own: h.taken >= h.share, What: s.What, After: retryAfter}
}

// place makes the Place that gives back one of the holder's.
func (s *Slots[K]) place(id K) *Place {
	began := time.Now()
	return &Place{free: func() { s.leave(id, time.Since(began)) }}
}

// leave gives back a place in which the holder's work took some time. After a rest the
// holder may take it again. All others may at once.
func (s *Slots[K]) leave(id K, took time.Duration) {
	s.mu.Lock()
	rest := time.Duration(0)
	if r := s.Rest; r != nil && r.Beside.Others(id) {
		rest = min(time.Duration(r.Times)*took, restMost)
	}
	if rest == 0 {
		s.mu.Unlock()
		s.Give(id)
		return
	}
	defer s.mu.Unlock()
	s.taken--
	s.serve()
	time.AfterFunc(rest, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.freeShare(id)
	})
}

// Try takes a place for the holder, or none, without waiting: then the error is a
// *Full. share is as in Take. Give the place back by Give.
func (s *Slots[K]) Try(id K, share int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(id)
	h.share = cmp.Or(share, s.Each)
	if len(h.queue) > 0 || h.taken >= h.share || !s.room() {
		defer s.forget(id, h)
		return s.full(h)
	}
	s.give(id, h)
	return nil
}

// Give gives back a place that Try took.
func (s *Slots[K]) Give(id K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.freeShare(id)
}

// freeShare lets the holder take one place more again.
func (s *Slots[K]) freeShare(id K) {
	h := s.holders[id]
	h.taken--
	s.serve()
	s.forget(id, h)
}

// room reports whether any place is free.
func (s *Slots[K]) room() bool { return s.Total == 0 || s.taken < s.Total }

// serve gives free places to those who wait.
func (s *Slots[K]) serve() {
	for s.room() {
		id, h := s.next()
		if h == nil {
			return
		}
		w := h.queue[0]
		h.queue = h.queue[1:]
		w.has = true
		s.give(id, h)
		close(w.turn)
	}
}

// next returns the id and the holder whose turn it is; nil: nobody waits who may have a place.
func (s *Slots[K]) next() (of K, first *holder) {
	for id, h := range s.holders {
		if len(h.queue) == 0 || h.taken >= h.share {
			continue
		}
		if first == nil || h.before(first) {
			of = id
			first = h
		}
	}
	return of, first
}

// before reports whether it is the turn of h rather than of o.
func (h *holder) before(o *holder) bool {
	// Parts of the shares, without a division: a/b < c/d is a*d < c*b.
	mine := h.taken * o.share
	theirs := o.taken * h.share
	if mine != theirs {
		return mine < theirs
	}
	return h.last < o.last
}

func (s *Slots[K]) give(id K, h *holder) {
	s.taken++
	s.served++
	h.taken++
	h.last = s.served
	if s.Given != nil {
		s.Given(id, h.taken, h.share)
	}
}

func (s *Slots[K]) find(id K) *holder {
	h := s.holders[id]
	if h == nil {
		if s.holders == nil {
			s.holders = map[K]*holder{}
		}
		h = &holder{}
		s.holders[id] = h
	}
	return h
}

// forget drops a holder that has no place and waits for none.
func (s *Slots[K]) forget(id K, h *holder) {
	if h.taken == 0 && len(h.queue) == 0 {
		delete(s.holders, id)
	}
}

// Taken returns how many places the holder has.
func (s *Slots[K]) Taken(id K) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.holders[id]; h != nil {
		return h.taken
	}
	return 0
}
