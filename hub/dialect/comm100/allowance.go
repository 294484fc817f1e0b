package comm100

import (
	"sync"
	"time"
)

const (
	allowanceTime = 5 * time.Minute
	// allowanceMost is how many callers are counted apart. The others share one count
	// for each tenant.
	allowanceMost = 100_000
)

// allowance counts the calls from each address to each tenant. The zero allowance is
// empty and ready. It is safe for concurrent use.
type allowance struct {
	mu      sync.Mutex
	cleaned time.Time // when counts that were over were dropped last
	counts  map[client]*count
}

// client is one address that asks about one tenant.
type client struct {
	tenant  int64
	address string // "" stands for those that are not counted apart
}

// count is the calls of a client in 5 min.
type count struct {
	calls int
	until time.Time
}

// take counts a call, unless the client made most calls in the 5 min that began with
// the first of them. Then it returns how long to wait for the next 5 min.
func (a *allowance) take(tenant int64, address string, most int) (wait time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = map[client]*count{}
	}

	// Counts that are over are dropped every 5 min, not at every call.
	if now.Sub(a.cleaned) >= allowanceTime {
		for key, c := range a.counts {
			if !now.Before(c.until) {
				delete(a.counts, key)
			}
		}
		a.cleaned = now
	}

	key := client{tenant, address}
	c := a.counts[key]
	if c == nil && len(a.counts) >= allowanceMost {
		key.address = ""
		c = a.counts[key]
	}
	if c == nil || !now.Before(c.until) {
		c = &count{until: now.Add(allowanceTime)}
		a.counts[key] = c
	}
	if c.calls >= most {
		return c.until.Sub(now)
	}
	c.calls++
	return 0
}
