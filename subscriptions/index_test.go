package subscriptions_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

var types = event.Types()

// The index finds what a search through a plain map finds, whatever happened before.
func TestIndexAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := subscriptions.NewIndex()
		naive := map[int64]*subscriptions.Subscription{}
		version := int64(0)
		var heldOf int64 = -1
		var held, heldCopy []*subscriptions.Subscription
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				no := rapid.Int64Range(1, 12).Draw(t, "no")
				version++
				s := &subscriptions.Subscription{
					No: no, Tenant: no % 3, Version: version, State: rapid.SampledFrom([]string{"active", "paused"}).Draw(t, "state"),
					Types: event.Mask(rapid.Uint64().Draw(t, "types")),
				}
				x.Put(s)
				naive[no] = s
			},
			"put an old version": func(t *rapid.T) {
				no := rapid.Int64Range(1, 12).Draw(t, "no")
				if naive[no] != nil {
					x.Put(&subscriptions.Subscription{No: no, Tenant: no % 3, Version: naive[no].Version - 1})
				}
			},
			"put deleted": func(t *rapid.T) {
				no := rapid.Int64Range(1, 12).Draw(t, "no")
				version++
				x.Put(&subscriptions.Subscription{No: no, Tenant: no % 3, Version: version, DeletedAt: new(time.Time)})
				delete(naive, no)
			},
			"remove": func(t *rapid.T) {
				no := rapid.Int64Range(1, 12).Draw(t, "no")
				x.Remove(no)
				delete(naive, no)
			},
			"hold a list": func(t *rapid.T) {
				heldOf = rapid.Int64Range(0, 2).Draw(t, "tenant")
				held = x.OfTenant(heldOf)
				heldCopy = slices.Clone(held)
			},
			"": func(t *rapid.T) {
				require.Equal(t, heldCopy, held)
				require.Equal(t, version, x.Version())
				require.Equal(t, len(naive), x.Len())
				for no := int64(1); no <= 12; no++ {
					require.Same(t, naive[no], x.Get(no))
				}
				e := &event.Event{Tenant: rapid.Int64Range(0, 3).Draw(t, "of"), Type: rapid.SampledFrom(types).Draw(t, "type")}
				var want, all []*subscriptions.Subscription
				for no := int64(1); no <= 12; no++ {
					if s := naive[no]; s != nil && s.Tenant == e.Tenant {
						all = append(all, s)
						if s.Types.Has(e.Type) {
							want = append(want, s)
						}
					}
				}
				require.ElementsMatch(t, all, x.OfTenant(e.Tenant))
				before := &subscriptions.Subscription{}
				got := x.Match(e, []*subscriptions.Subscription{before})
				require.Same(t, before, got[0], "Match appends")
				require.True(t, slices.Equal(want, got[1:]), "in order of number")
			},
		})
	})
}

func TestIndexIsSafeForReadersBesideAWriter(t *testing.T) {
	x := subscriptions.NewIndex()
	const last = 300
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var into []*subscriptions.Subscription
			for seen := int64(0); seen < last; seen = x.Version() {
				into = x.Match(&event.Event{Tenant: 1, Type: event.CDRCall}, into[:0])
				if !slices.IsSortedFunc(into, func(a, b *subscriptions.Subscription) int { return int(a.No - b.No) }) {
					t.Error("out of order")
				}
			}
		})
	}
	for v := int64(1); v <= last; v++ {
		x.Put(&subscriptions.Subscription{No: v * 7 % 41, Tenant: 1, Version: v, Types: event.Of(event.CDRCall)})
		if v%5 == 0 {
			x.Remove(v % 41)
		}
	}
	wg.Wait()
}

func TestPausedStillMatch(t *testing.T) {
	x := subscriptions.NewIndex()
	x.Put(&subscriptions.Subscription{No: 1, Tenant: 1, Version: 1, State: "paused", Types: event.Of(event.CDRCall)})
	require.Len(t, x.Match(&event.Event{Tenant: 1, Type: event.CDRCall}, nil), 1)
}

// loaded is an index as it is after a start: each subscription read from its stored fields.
func loaded(tb testing.TB, tenants, each int) *subscriptions.Index {
	tb.Helper()
	stored, err := create(tb, with(`"events": ["cdr.*", "call.*"]`)).Fields(flip)
	require.NoError(tb, err)
	x := subscriptions.NewIndex()
	no := int64(0)
	for tenant := range tenants {
		company := fmt.Sprintf("company-%d", tenant)
		for range each {
			no++
			s := &subscriptions.Subscription{
				No: no, ID: fmt.Sprintf("0190d5e2-7b1c-7000-8000-%012d",
					no), Tenant: int64(tenant), CompanyID: company, Version: no,
				CreatedAt: now, UpdatedAt: now,
				Keys: []subscriptions.Key{{
					N: 1, AppKey: fmt.Sprintf("%043d", no), Encryption: fmt.Appendf(nil, "%032d", no), From: now,
				}},
			}
			require.NoError(tb, s.SetFields(stored, nil))
			s.URL = fmt.Sprintf("https://crm-%d.example/callbacks/hookline?subscription=%d", tenant, no)
			x.Put(s)
		}
	}
	return x
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 100,000 idle subscriptions must fit in 150 MB.
func TestIndexMemory(t *testing.T) {
	const n = 20_000
	before := heap()
	x := loaded(t, n/5, 5)
	perSubscription := float64(heap()-before) / n
	runtime.KeepAlive(x)
	t.Logf("%.0f bytes per subscription", perSubscription)
	require.Less(t, perSubscription, 1500.0)
}

func BenchmarkMatch(b *testing.B) {
	x := loaded(b, 20_000, 5) // what the other tenants hold does not matter, only that they are there
	into := make([]*subscriptions.Subscription, 0, 8)
	for _, c := range []struct {
		name string
		typ  event.Type
	}{{"all five", event.CallRinging}, {"none of five", event.ChatEnded}} {
		b.Run(c.name, func(b *testing.B) {
			e := &event.Event{Type: c.typ}
			b.ReportAllocs()
			for b.Loop() {
				e.Tenant = (e.Tenant + 7919) % 20_000
				into = x.Match(e, into[:0])
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		loaded(b, 200, 5)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/subscription")
}
