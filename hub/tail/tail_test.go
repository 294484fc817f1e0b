package tail

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// report of an attempt for a subscription of a tenant.
func report(tenant, sub, seq int64, typ event.Type) delivery.Report {
	return delivery.Report{
		Sub: &subscriptions.Subscription{No: sub, ID: "s", Tenant: tenant},
		Item: &delivery.Item{
			ID: delivery.ID{Sub: sub, Seq: seq}, Type: typ, Event: &event.Event{ID: "e", OrderKey: "k", Body: []byte("{}")},
		},
		Attempt: &delivery.Attempt{N: 1, StatusCode: 200, Body: []byte("ok")},
	}
}

// received returns what waits in a stream.
func received(s *Stream) (seqs []int64) {
	for {
		select {
		case a, open := <-s.C():
			if !open {
				return seqs
			}
			seqs = append(seqs, a.Item.Seq)
		default:
			return seqs
		}
	}
}

func TestStreamsHearWhatTheyAskedFor(t *testing.T) {
	cdr, ok := event.ParseType("cdr.call")
	require.True(t, ok)
	ringing, ok := event.ParseType("call.ringing")
	require.True(t, ok)
	var f Feed
	f.Observe(report(1, 1, 1, cdr)) // nobody listens yet
	all, two := f.Open(Filter{Tenant: 1}), f.Open(Filter{Tenant: 1, Sub: 2})
	types, other := f.Open(Filter{Tenant: 1, Types: event.Mask(1) << cdr}), f.Open(Filter{Tenant: 2})
	f.Observe(report(1, 1, 2, cdr))
	f.Observe(report(1, 2, 3, ringing))
	f.Observe(report(2, 3, 4, cdr))
	unsent := report(1, 1, 5, cdr)
	unsent.Attempt = nil // ended without one
	f.Observe(unsent)
	require.Equal(t, []int64{2, 3}, received(all))
	require.Equal(t, []int64{3}, received(two))
	require.Equal(t, []int64{2}, received(types))
	require.Equal(t, []int64{4}, received(other))

	all.Close()
	all.Close()
	f.Observe(report(1, 1, 6, cdr))
	_, open := <-all.C()
	require.False(t, open)
	require.False(t, all.Slow())
}

func TestAttemptsAreCopies(t *testing.T) {
	var f Feed
	s := f.Open(Filter{Tenant: 1})
	r := report(1, 1, 1, 0)
	f.Observe(r)
	r.Item.Tries, r.Item.Event, r.Attempt.StatusCode = 9, nil, 500
	a := <-s.C()
	require.Zero(t, a.Item.Tries)
	require.Equal(t, 200, a.Attempt.StatusCode)
	require.Equal(t, "e", a.Event)
	require.Equal(t, "k", a.OrderKey)
	require.Nil(t, a.Attempt.Body, "a listener that is behind holds no bodies")
	require.Nil(t, a.Item.Event)
}

func TestSlowListenerIsDropped(t *testing.T) {
	var f Feed
	slow, quick := f.Open(Filter{Tenant: 1}), f.Open(Filter{Tenant: 1})
	for i := range int64(Buffer + 1) {
		f.Observe(report(1, 1, i+1, 0))
		require.Len(t, received(quick), 1)
	}
	require.Len(t, received(slow), Buffer, "what waited is not lost")
	_, open := <-slow.C()
	require.False(t, open)
	require.True(t, slow.Slow())
	f.Observe(report(1, 1, 1000, 0))
	require.Equal(t, []int64{1000}, received(quick))
}

func TestCloseEndsAll(t *testing.T) {
	var f Feed
	s := f.Open(Filter{Tenant: 1})
	f.Close()
	f.Close()
	for _, s := range []*Stream{s, f.Open(Filter{Tenant: 1})} {
		_, open := <-s.C()
		require.False(t, open)
		require.False(t, s.Slow())
		s.Close()
	}
	require.Zero(t, f.listening.Load())
}

func TestObserveTogether(t *testing.T) {
	var f Feed
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range int64(500) {
				f.Observe(report(1, 1, i, 0))
			}
		})
		wg.Go(func() {
			for range 50 {
				s := f.Open(Filter{Tenant: 1})
				received(s)
				s.Close()
			}
		})
	}
	wg.Wait()
	require.Zero(t, f.listening.Load())
	require.Empty(t, f.streams)
}

// BenchmarkObserve is what every attempt pays while nobody listens.
func BenchmarkObserve(b *testing.B) {
	var f Feed
	r := report(1, 1, 1, 0)
	b.ReportAllocs()
	for b.Loop() {
		f.Observe(r)
	}
}

// An attempt of another process is what one of this process would be, to those who
// asked for it.
func TestAttemptsOfOtherProcesses(t *testing.T) {
	opened := 0
	f := Feed{Opened: func() { opened++ }}
	cdr, ok := event.ParseType("cdr.call")
	require.True(t, ok)
	here, one, other := f.Open(Filter{Tenant: 1}), f.Open(Filter{Tenant: 1, Sub: 9}), f.Open(Filter{Tenant: 2})
	same := f.Open(Filter{Tenant: 1})
	require.Equal(t, 4, opened)
	require.ElementsMatch(t, []Filter{{Tenant: 1}, {Tenant: 1, Sub: 9}, {Tenant: 2}}, f.Listening())

	r := report(1, 7, 8, cdr)
	*r.Attempt = delivery.Attempt{
		N: 2, At: 1_800_000_000_000, Total: 1234 * time.Microsecond, RemoteIP: "192.0.2.1", StatusCode: 503,
		Class: delivery.Status,
		Err:   strings.Repeat("ü", 300), Late: true, Replay: true,
	}
	r.Item.Run, r.Verdict = 3, delivery.Verdict{State: delivery.Pending, DueAt: 1_800_000_001_000}
	raw, err := Encode(Of(r))
	require.NoError(t, err)
	heard, ok := Decode(raw)
	require.True(t, ok)
	f.Hear(heard)
	want := Of(r)
	want.Attempt.Err = strings.Repeat("ü", 256)
	require.Equal(t, want, <-here.C())
	require.Equal(t, want, <-same.C())
	require.Empty(t, one.C())
	require.Empty(t, other.C())
	for _, bad := range []string{
		"", "[]", `{"type":"none","state":"pending"}`, `{"type":"cdr.call","state":"?"}`,
		`{"type":"cdr.call","state":"pending","class":"?"}`,
	} {
		_, ok := Decode([]byte(bad))
		require.False(t, ok, bad)
	}

	f.Missed(1)
	_, open := <-one.C()
	require.False(t, open)
	require.True(t, one.Slow())
	require.Equal(t, []Filter{{Tenant: 2}}, f.Listening())
	f.Missed(0)
	_, open = <-other.C()
	require.False(t, open)
}
