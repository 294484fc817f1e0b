package ingest

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets holds one token bucket a tenant.
type buckets struct {
	mu    sync.Mutex
	of    map[int64]*rate.Limiter
	sweep int // tenants at which full buckets are dropped
}

const firstSweep = 1024

// find the tenant's bucket, at perSecond events a second. A bucket holds at
// least one full request, so that none is refused for its size alone.
func (b *buckets) find(tenant int64, perSecond int, now time.Time) *rate.Limiter {
	burst := max(perSecond, MaxEvents)
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.of[tenant]
	if l == nil {
		if b.of == nil {
			b.of, b.sweep = map[int64]*rate.Limiter{}, firstSweep
		}
		if len(b.of) >= b.sweep {
			b.dropFull(now)
		}
		l = rate.NewLimiter(rate.Limit(perSecond), burst)
		b.of[tenant] = l
	}
	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimitAt(now, rate.Limit(perSecond))
		l.SetBurstAt(now, burst)
	}
	return l
}

// dropFull forgets buckets that are full: a new one would be the same. What
// stays belongs to tenants that sent within the last burst.
func (b *buckets) dropFull(now time.Time) {
	for tenant, l := range b.of {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(b.of, tenant)
		}
	}
	b.sweep = max(firstSweep, 2*len(b.of))
}

// wait until l has n tokens.
func wait(l *rate.Limiter, n int, now time.Time) time.Duration {
	missing := float64(n) - l.TokensAt(now)
	seconds := math.Ceil(missing / float64(l.Limit()))
	return max(time.Second, time.Duration(seconds)*time.Second)
}
