package storage

import (
	"slices"
	"sync"

	"github.com/hookline/hookline/hub/event"
)

// cache keeps the events that this process has just committed, so that their
// push need not read them back, nor the folds. Bounded in bytes; the oldest go
// first.
type cache struct {
	mu    sync.Mutex
	max   int
	bytes int
	byseq map[int64]*event.Event
	order []int64 // seqs in order of arrival, from head on
	head  int
	tails map[int64]*tail // by tenant
}

// tail is the end of a tenant's events as this process committed them: those
// of seqs are in the cache, in order, and are all that it committed after from.
type tail struct {
	from, last int64
	seqs       []int64
}

func newCache(max int) *cache {
	return &cache{max: max, byseq: map[int64]*event.Event{}, tails: map[int64]*tail{}}
}

func cost(e *event.Event) int { return len(e.Body) + 400 }

func (c *cache) put(events []*event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		c.byseq[e.Seq] = e
		c.order = append(c.order, e.Seq)
		c.bytes += cost(e)
		t := c.tails[e.Tenant]
		if t == nil {
			t = &tail{from: e.Seq - 1}
			c.tails[e.Tenant] = t
		}
		t.seqs, t.last = append(t.seqs, e.Seq), max(t.last, e.Seq)
	}
	for c.bytes > c.max && c.head < len(c.order) {
		e := c.byseq[c.order[c.head]]
		delete(c.byseq, c.order[c.head])
		c.bytes -= cost(e)
		c.head++
		t := c.tails[e.Tenant] // both in order of arrival: it is their oldest too
		t.from, t.seqs = max(t.from, e.Seq), t.seqs[1:]
	}
	if c.head > 1024 && c.head > len(c.order)/2 {
		c.order = append([]int64(nil), c.order[c.head:]...)
		c.head = 0
	}
}

func (c *cache) get(seq int64) *event.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byseq[seq]
}

// last is the number of the tenant's last event that this process committed; 0: none.
func (c *cache) last(tenant int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tails[tenant]; t != nil {
		return t.last
	}
	return 0
}

// lasts are those of all tenants.
func (c *cache) lasts() map[int64]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := make(map[int64]int64, len(c.tails))
	for tenant, t := range c.tails {
		m[tenant] = t.last
	}
	return m
}

// after are the tenant's next events after a number, at most n of them; false:
// not all of them are here. For a store whose only process this is.
func (c *cache) after(tenant, seq int64, n int) ([]*event.Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tails[tenant]
	if t == nil || seq < t.from {
		return nil, false
	}
	i, _ := slices.BinarySearch(t.seqs, seq+1)
	seqs := t.seqs[i:min(i+n, len(t.seqs))]
	events := make([]*event.Event, len(seqs))
	for i, s := range seqs {
		events[i] = c.byseq[s]
	}
	return events, true
}
