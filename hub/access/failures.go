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

	// failGeneration is how many addresses one generation remembers. There are two,
	// which take about 5 MiB. Who owns more addresses than that is not slowed down.
	failGeneration = 32_768
)

// failures counts the wrong keys from each address. An address has a bucket of
// tokens, kept as the time at which the bucket is full again.
type failures struct {
	mu        sync.Mutex
	cur, prev map[netip.Addr]time.Time
}

// count counts a failure of an address. Above 0, the address is past its limit and
// must wait so long.
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
