package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// cpu is the processor time used so far: the wall clock also counts what else
// the machine does.
func reportPer(b *testing.B, what string, n int, began time.Duration) {
	b.ReportMetric(float64((storetest.CPU(b)-began).Nanoseconds())/float64(b.N*n), "cpu-ns/"+what)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/"+what)
}

func records(n int, from *int) []*event.Event {
	events := make([]*event.Event, n)
	for i := range events {
		*from++
		events[i] = &event.Event{
			Tenant: 1, CompanyID: "company-1", Type: event.CDRCall, OrderKey: fmt.Sprintf("cdr/%032d", *from), KeyID: "0190a6b2-0000-7000-8000-000000000000",
			Source: "http", OccurredAt: 1_790_000_000_000, Body: make([]byte, 1024),
		}
	}
	return events
}

// BenchmarkAccept commits transactions of so many events of 1 KB, each with a delivery.
func BenchmarkAccept(b *testing.B) {
	b.Run("sqlite", benchAccept)
	b.Run(postgresTest, benchAccept)
}

func benchAccept(b *testing.B) {
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := withTenants(b)
			db.subscribe(b, 1, `,"events":["*"]`)
			b.ReportAllocs()
			made, began := 0, storetest.CPU(b)
			for b.Loop() {
				_, err := db.Accept(b.Context(), records(n, &made))
				require.NoError(b, err)
			}
			reportPer(b, "event", n, began)
		})
	}
}

// BenchmarkRecord commits transactions of so many outcomes: an attempt each, and a delivery done.
func BenchmarkRecord(b *testing.B) {
	b.Run("sqlite", benchRecord)
	b.Run(postgresTest, benchRecord)
}

func benchRecord(b *testing.B) {
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := withTenants(b)
			sub := db.subscribe(b, 1, `,"events":["*"]`)
			b.ReportAllocs()
			var after delivery.ID
			var items []*delivery.Item
			made, began := 0, time.Duration(0)
			fill := func() {
				for range max(4096/n, 1) {
					_, err := db.Accept(b.Context(), records(min(n, 256), &made))
					require.NoError(b, err)
				}
				var err error
				items, err = db.Pending(b.Context(), sub.No, after, 4096)
				require.NoError(b, err)
				after = items[len(items)-1].ID
			}
			fill()
			began = storetest.CPU(b)
			done := make(chan error, n)
			for b.Loop() {
				if len(items) < n {
					b.StopTimer()
					aside := storetest.CPU(b)
					fill()
					began += storetest.CPU(b) - aside
					b.StartTimer()
				}
				outcomes := make([]*delivery.Outcome, n)
				for i, it := range items[:n] {
					outcomes[i] = &delivery.Outcome{
						Item: it, Epoch: 1, Verdict: delivery.Verdict{State: delivery.Delivered}, Done: func(err error) { done <- err },
						Attempt: &delivery.Attempt{
							N: 1, At: 1_790_000_000_000, First: time.Millisecond, Total: time.Millisecond, RemoteIP: "127.0.0.1",
							StatusCode: 204, Header: "Date: Fri, 20 Nov 2026 05:58:14 GMT\n", SignedAt: 1_790_000_000_000, RandomCode: "0123456789abcdef", KeyN: 1,
						},
					}
				}
				items = items[n:]
				db.writer.mu.Lock() // all of them in one transaction
				for _, o := range outcomes {
					db.writer.outcomes.Push(1, 1, o)
				}
				db.writer.signal(ofOutcomes)
				db.writer.mu.Unlock()
				for range n {
					require.NoError(b, <-done)
				}
			}
			reportPer(b, "outcome", n, began)
		})
	}
}
