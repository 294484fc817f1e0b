package access

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/fair"
)

// An address may fail 10 times at once and then once every 6 s.
const (
	failEvery = 6 * time.Second
	failBurst = 10

	// Addresses remembered: at most two generations of this many, about 5 MiB.
	// Whoever owns more addresses than that is not slowed by counting them.
	failGeneration = 32_768
)

// failures counts wrong keys per address: a token bucket each, kept as the time
// at which it is full again.
type failures struct {
	mu        sync.Mutex
	cur, prev map[netip.Addr]time.Time
}

// count one failure of ip; above 0 it is past its limit and must wait so long.
func (f *failures) count(ip netip.Addr, now time.Time) (wait time.Duration) {
	ip = fair.Network(ip)
	f.mu.Lock()
	defer f.mu.Unlock()
	full, ok := f.cur[ip]
	if !ok {
		full = f.prev[ip]
	}
	if full.Before(now) {
		full = now
	}
	full = full.Add(failEvery)
	if over := full.Sub(now) - failBurst*failEvery; over > 0 {
		return over // not counted, so that the wait does not grow
	}
	if len(f.cur) >= failGeneration || f.cur == nil {
		f.prev, f.cur = f.cur, make(map[netip.Addr]time.Time)
	}
	f.cur[ip] = full
	return 0
}
