package comm100

import (
	"sync"
	"time"
)

const (
	allowanceTime = 5 * time.Minute
	// allowanceMost are the callers who are counted. Further ones, from so many
	// addresses, share one count.
	allowanceMost = 100_000
)

// allowance counts the calls of each tenant's addresses. The zero allowance is
// empty and ready.
type allowance struct {
	mu    sync.Mutex
	began time.Time // of the round in which old ones are dropped
	of    map[allowed]*used
}

type allowed struct {
	tenant  int64
	address string
}

type used struct {
	calls int
	until time.Time
}

// take one of most calls in 5 min, which begin with the first; else it says how
// long to wait for the next 5 min.
func (a *allowance) take(tenant int64, address string, most int) time.Duration {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.began) >= allowanceTime || a.of == nil {
		for k, u := range a.of {
			if !now.Before(u.until) {
				delete(a.of, k)
			}
		}
		if a.of == nil {
			a.of = map[allowed]*used{}
		}
		a.began = now
	}
	key := allowed{tenant, address}
	u := a.of[key]
	if u == nil && len(a.of) >= allowanceMost {
		key.address = ""
		u = a.of[key]
	}
	if u == nil || !now.Before(u.until) {
		u = &used{until: now.Add(allowanceTime)}
		a.of[key] = u
	}
	if u.calls >= most {
		return u.until.Sub(now)
	}
	u.calls++
	return 0
}
