package dialect

import "sync"

// Crowd counts the requests of each tenant that are answered now. The zero Crowd
// is empty and ready.
type Crowd struct {
	mu  sync.Mutex
	now map[int64]int
}

// Enter one more of a tenant's, unless most are in already. Call leave when ok.
func (c *Crowd) Enter(tenant int64, most int) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now[tenant] >= most {
		return nil, false
	}
	if c.now == nil {
		c.now = map[int64]int{}
	}
	c.now[tenant]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.now[tenant]--; c.now[tenant] == 0 {
			delete(c.now, tenant)
		}
	}, true
}
