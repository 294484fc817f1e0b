package delivery

import (
	"math"
	"slices"
	"time"
)

// LatencyBuckets is the number of buckets by which latencies of attempts are
// counted.
const LatencyBuckets = 34

// Latencies counts attempts by how long they took, in steps of √2: bucket 0 is up to
// 1 ms, bucket b up to 2^(b/2) ms, and the last one beyond 65.536 s, which no timeout
// allows. So a quantile that is read from it is wrong by less than a factor of √2, or
// by less than 1 ms if the true one is below 1 ms.
type Latencies [LatencyBuckets]int64

// latencyBounds are the upper ends of all buckets but the last.
var latencyBounds = func() (to [LatencyBuckets - 1]time.Duration) {
	for b := range to {
		to[b] = time.Duration(math.Exp2(float64(b)/2) * float64(time.Millisecond))
	}
	return to
}()

// LatencyBucket returns the index of a duration in Latencies.
func LatencyBucket(d time.Duration) int {
	b, _ := slices.BinarySearch(latencyBounds[:], d)
	return b
}

// Add adds what o counted.
func (l *Latencies) Add(o *Latencies) {
	for b, n := range o {
		l[b] += n
	}
}

// Count returns the number of attempts.
func (l *Latencies) Count() (n int64) {
	for _, k := range l {
		n += k
	}
	return n
}

// Quantile returns the duration that a share q (0..1) of the attempts did not
// exceed, interpolated within its bucket; false if there are no attempts.
func (l *Latencies) Quantile(q float64) (time.Duration, bool) {
	total := l.Count()
	if total == 0 {
		return 0, false
	}

	// Find the bucket in which the attempt of that rank lies.
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
