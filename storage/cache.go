package storage

import (
	"slices"
	"sync"

	"github.com/hookline/hookline/hub/event"
)

// cache keeps the events that this process has just committed, so that neither their
// push nor the folds need to read them back. It is bounded in bytes; the oldest go
// first.
type cache struct {
	mu      sync.Mutex
	max     int
	bytes   int
	bySeq   map[int64]*event.Event
	order   []int64 // seqs in order of arrival, from head on
	head    int
	recents map[int64]*recent // by tenant
}

// recent is the end of a tenant's events as this process committed them: those of
// seqs are in the cache, in order, and are all that it committed after from.
type recent struct {
	from, last int64
	seqs       []int64
}

func newCache(max int) *cache {
	return &cache{max: max, bySeq: map[int64]*event.Event{}, recents: map[int64]*recent{}}
}

// cost returns about how many bytes an event takes.
func cost(e *event.Event) int { return len(e.Body) + 400 }

func (c *cache) put(events []*event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		c.bySeq[e.Seq] = e
		c.order = append(c.order, e.Seq)
		c.bytes += cost(e)

		r := c.recents[e.Tenant]
		if r == nil {
			r = &recent{from: e.Seq - 1}
			c.recents[e.Tenant] = r
		}
		r.seqs = append(r.seqs, e.Seq)
		r.last = max(r.last, e.Seq)
	}

	// The oldest of all is also the oldest of its tenant: both are in order of arrival.
	for c.bytes > c.max && c.head < len(c.order) {
		e := c.bySeq[c.order[c.head]]
		delete(c.bySeq, e.Seq)
		c.bytes -= cost(e)
		c.head++
		r := c.recents[e.Tenant]
		r.from = max(r.from, e.Seq)
		r.seqs = r.seqs[1:]
	}
	if c.head > 1024 && c.head > len(c.order)/2 {
		c.order = append([]int64(nil), c.order[c.head:]...)
		c.head = 0
	}
}

// get returns the event with a number; nil if it is not here.
func (c *cache) get(seq int64) *event.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bySeq[seq]
}

// last returns the number of the tenant's last event that this process committed; 0
// if it committed none.
func (c *cache) last(tenant int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.recents[tenant]; r != nil {
		return r.last
	}
	return 0
}

// lasts returns the last number of every tenant that has one.
func (c *cache) lasts() map[int64]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := make(map[int64]int64, len(c.recents))
	for tenant, r := range c.recents {
		m[tenant] = r.last
	}
	return m
}

// after returns the tenant's next events after a number, at most n of them; false if
// not all of them are here. It is for a store with a single process.
func (c *cache) after(tenant, seq int64, n int) ([]*event.Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.recents[tenant]
	if r == nil || seq < r.from {
		return nil, false
	}
	first, _ := slices.BinarySearch(r.seqs, seq+1)
	seqs := r.seqs[first:min(first+n, len(r.seqs))]
	events := make([]*event.Event, len(seqs))
	for i, s := range seqs {
		events[i] = c.bySeq[s]
	}
	return events, true
}
