package delivery

import (
	"math"
	"slices"
	"time"
)

// LatencyBuckets is how many classes of duration the latencies of attempts are
// counted in.
const LatencyBuckets = 34

// Latencies counts attempts by how long they took, in steps of √2: bucket 0 is
// up to 1 ms, bucket b up to 2^(b/2) ms, the last one is beyond 65.536 s, which
// no timeout allows. So a quantile read from it is off by less than a factor of
// √2, or by less than 1 ms where the truth is below that.
type Latencies [LatencyBuckets]int64

// latencyBounds are the upper ends of all buckets but the last.
var latencyBounds = func() (to [LatencyBuckets - 1]time.Duration) {
	for b := range to {
		to[b] = time.Duration(math.Exp2(float64(b)/2) * float64(time.Millisecond))
	}
	return to
}()

// LatencyBucket is the index in Latencies of a duration.
func LatencyBucket(d time.Duration) int {
	b, _ := slices.BinarySearch(latencyBounds[:], d)
	return b
}

// Add what another one counted.
func (l *Latencies) Add(o *Latencies) {
	for b, n := range o {
		l[b] += n
	}
}

// Count of the attempts.
func (l *Latencies) Count() (n int64) {
	for _, k := range l {
		n += k
	}
	return n
}

// Quantile is the duration that a share q (0..1) of the attempts did not
// exceed, interpolated within its bucket; false when there are none.
func (l *Latencies) Quantile(q float64) (time.Duration, bool) {
	total := l.Count()
	if total == 0 {
		return 0, false
	}
	rank, b := q*float64(total), 0
	for b < LatencyBuckets-1 && (rank > float64(l[b]) || l[b] == 0) {
		rank -= float64(l[b])
		b++
	}
	if b == LatencyBuckets-1 {
		return latencyBounds[b-1], true // longer than that; how much was not counted
	}
	share := math.Max(rank, 0) / float64(l[b])
	if b == 0 {
		return time.Duration(share * float64(latencyBounds[0])), true
	}
	return time.Duration(float64(latencyBounds[b-1]) * math.Exp2(share/2)), true
}
