package storetest

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Pages asks for pages for as long as the benchmark lasts, and reports the median
// and the 99th percentile of their times.
func Pages(b *testing.B, page func() error) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		require.NoError(b, page())
		took = append(took, time.Since(began))
	}
	ReportTimes(b, took)
}

// ReportTimes reports the median and the 99th percentile of what took these times.
func ReportTimes(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// CPU returns the processor time that this process has used.
func CPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
