package ingest

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets holds a token bucket for each tenant.
type buckets struct {
	mu       sync.Mutex
	limiters map[int64]*rate.Limiter
	sweep    int // number of tenants at which full buckets are dropped
}

// firstSweep is the number of tenants at which full buckets are first dropped.
const firstSweep = 1024

// find returns the tenant's bucket, which fills at perSecond events a second. A bucket
// holds at least one full request, so that no request is refused for its size alone.
func (b *buckets) find(tenant int64, perSecond int, now time.Time) *rate.Limiter {
	burst := max(perSecond, MaxEvents)
	b.mu.Lock()
	defer b.mu.Unlock()

	l := b.limiters[tenant]
	if l == nil {
		if b.limiters == nil {
			b.limiters, b.sweep = map[int64]*rate.Limiter{}, firstSweep
		}
		if len(b.limiters) >= b.sweep {
			b.dropFull(now)
		}
		l = rate.NewLimiter(rate.Limit(perSecond), burst)
		b.limiters[tenant] = l
	}

	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimitAt(now, rate.Limit(perSecond))
		l.SetBurstAt(now, burst)
	}
	return l
}

// dropFull drops buckets that are full: a new one would be the same. The buckets that
// stay belong to tenants that sent within the last burst.
func (b *buckets) dropFull(now time.Time) {
	for tenant, l := range b.limiters {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(b.limiters, tenant)
		}
	}
	b.sweep = max(firstSweep, 2*len(b.limiters))
}

// wait returns how long it takes until l has n tokens.
func wait(l *rate.Limiter, n int, now time.Time) time.Duration {
	missing := float64(n) - l.TokensAt(now)
	seconds := math.Ceil(missing / float64(l.Limit()))
	return max(time.Second, time.Duration(seconds)*time.Second)
}
