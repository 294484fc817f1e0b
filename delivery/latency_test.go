package delivery

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLatencyBucket(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want int
	}{
		{0, 0},
		{time.Millisecond, 0},
		{time.Millisecond + 1, 1},
		{1414 * time.Microsecond, 1},
		{1415 * time.Microsecond, 2},
		{2 * time.Millisecond, 2},
		{30 * time.Second, 30},
		{65536 * time.Millisecond, 32},
		{65537 * time.Millisecond, 33},
		{time.Hour, 33},
	} {
		require.Equal(t, tt.want, LatencyBucket(tt.d), tt.d)
	}
}

// A quantile is as near to the true one as Latencies promises.
func TestQuantile(t *testing.T) {
	var none Latencies
	_, ok := none.Quantile(0.5)
	require.False(t, ok)

	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Int64Range(0, int64(60*time.Second)), 1, 200).Draw(t, "took")
		var l Latencies
		for _, d := range took {
			l[LatencyBucket(time.Duration(d))]++
		}
		slices.Sort(took)
		require.EqualValues(t, len(took), l.Count())
		for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
			got, ok := l.Quantile(q)
			require.True(t, ok)
			want := time.Duration(took[max(0, int(math.Ceil(q*float64(len(took))))-1)])
			if want <= time.Millisecond {
				require.LessOrEqual(t, got, time.Millisecond)
				continue
			}
			off := float64(got) / float64(want)
			require.True(t, off <= math.Sqrt2*1.0001 && off >= 1/math.Sqrt2/1.0001, "%v of %v is %v", q, want, got)
		}
	})

	long := Latencies{LatencyBuckets - 1: 1}
	got, ok := long.Quantile(0.5)
	require.True(t, ok)
	require.InDelta(t, 65.536, got.Seconds(), 0.001)
}
