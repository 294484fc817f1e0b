package storage

import (
	"sync"

	"github.com/hookline/hookline/hub/event"
)

// cache keeps the events that this process has just committed, so that their
// push need not read them back. Bounded in bytes; the oldest go first.
type cache struct {
	mu    sync.Mutex
	max   int
	bytes int
	byseq map[int64]*event.Event
	order []int64 // seqs in order of arrival, from head on
	head  int
}

func newCache(max int) *cache { return &cache{max: max, byseq: map[int64]*event.Event{}} }

func cost(e *event.Event) int { return len(e.Body) + 400 }

func (c *cache) put(events []*event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		c.byseq[e.Seq] = e
		c.order = append(c.order, e.Seq)
		c.bytes += cost(e)
	}
	for c.bytes > c.max && c.head < len(c.order) {
		e := c.byseq[c.order[c.head]]
		delete(c.byseq, c.order[c.head])
		c.bytes -= cost(e)
		c.head++
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
