package live_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/live"
)

// number is a page that shows a number; encoded counts the messages that were made.
type number struct {
	n       int
	encoded *atomic.Int64
}

func (p *number) Same(o live.Page) bool { return p.n == o.(*number).n }

func (p *number) Full(live.Stamp) ([]byte, error) {
	p.encoded.Add(1)
	return fmt.Appendf(nil, "=%d", p.n), nil
}

func (p *number) Since(was live.Page, _ live.Stamp) ([]byte, error) {
	p.encoded.Add(1)
	if p.n == was.(*number).n {
		return nil, nil
	}
	return fmt.Appendf(nil, "%d>%d", was.(*number).n, p.n), nil
}

// watched is a tenant whose view shows a number.
type watched struct {
	*live.Watches
	*testing.T
	quota   fair.Slots[int64]
	n       atomic.Int64          // what the view shows
	err     atomic.Pointer[error] // why it cannot be shown; nil: it can
	shown   atomic.Int64          // how often View.Show was called
	encoded atomic.Int64          // how many messages were made
	stop    context.CancelFunc
}

// startWatches starts the watches of a tenant. The caller stops them.
func startWatches(t *testing.T) *watched {
	s := &watched{T: t}
	s.Watches = &live.Watches{
		Log: slog.New(slog.DiscardHandler), Streams: &s.quota, Limit: func(int64) int { return 1000 },
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Watches.Run(ctx) }()
	s.stop = func() {
		stop()
		require.NoError(t, <-ended)
	}
	return s
}

// view returns a view of the number.
func (s *watched) view(key string, delay time.Duration) live.View {
	return live.View{Tenant: 1, Key: key, Delay: delay, Show: func(context.Context, int64) (live.Page, error) {
		s.shown.Add(1)
		if err := s.err.Load(); err != nil {
			return nil, *err
		}
		return &number{int(s.n.Load()), &s.encoded}, nil
	}}
}

// open starts a stream.
func (s *watched) open(v live.View, key string) *live.Stream {
	s.Helper()
	st, err := s.Open(v, key, nil)
	require.NoError(s, err)
	return st
}

// set changes the number, and says that events did.
func (s *watched) set(n int64) {
	s.n.Store(n)
	s.Changed(1)
}

// requireNext waits for the next message of a stream.
func (s *watched) requireNext(st *live.Stream, want string) {
	s.Helper()
	require.Equal(s, want, string(<-st.C()))
}

// A stream gets what has changed, at most one message in its delay.
func TestWatchesSendWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		defer s.stop()
		began := time.Now()
		a := s.open(s.view("v", time.Second), "")
		defer a.Close()
		s.requireNext(a, "=0")
		require.Zero(t, time.Since(began))

		// What comes within the delay comes as one.
		for n := range int64(5) {
			s.set(n + 1)
			time.Sleep(10 * time.Millisecond)
		}
		s.requireNext(a, "0>5")
		require.Equal(t, time.Second, time.Since(began).Round(100*time.Millisecond))
		require.GreaterOrEqual(t, time.Since(began), time.Second)

		// After a quiet time it comes at once.
		time.Sleep(10 * time.Second)
		at := time.Now()
		s.set(6)
		s.requireNext(a, "5>6")
		require.Less(t, time.Since(at), 100*time.Millisecond)

		// There and back again is nothing.
		s.set(7)
		time.Sleep(time.Millisecond)
		s.set(6)
		time.Sleep(5 * time.Second)
		require.Empty(t, a.C())

		// What no event says is seen within a second.
		s.n.Store(8)
		s.requireNext(a, "6>8")
	})
}

// A stream that is opened while others watch gets the whole page at once, and from then on
// the same messages as the others.
func TestWatchesShareWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		defer s.stop()
		var all []*live.Stream
		for range 300 {
			all = append(all, s.open(s.view("v", time.Second), ""))
		}
		for _, st := range all {
			s.requireNext(st, "=0")
		}
		made := s.encoded.Load()
		require.LessOrEqual(t, made, int64(2), "some may have come while the first were greeted")

		time.Sleep(5 * time.Second)
		s.set(1)
		time.Sleep(200 * time.Millisecond)
		s.set(2)
		time.Sleep(200 * time.Millisecond)
		late := s.open(s.view("v", time.Second), "")
		began := time.Now()
		s.requireNext(late, "=2")
		require.Less(t, time.Since(began), 100*time.Millisecond)
		for _, st := range all {
			s.requireNext(st, "0>1")
			s.requireNext(st, "1>2")
		}
		require.EqualValues(t, made+3, s.encoded.Load())

		// The late one gets nothing before its delay has passed, and then what all get.
		require.Less(t, time.Since(began), time.Second)
		s.set(3)
		s.requireNext(late, "2>3")
		require.GreaterOrEqual(t, time.Since(began), time.Second)
		for _, st := range all {
			s.requireNext(st, "2>3")
		}
		require.EqualValues(t, made+4, s.encoded.Load())

		// Another delay is another rhythm.
		quick := s.open(s.view("v", 0), "")
		s.requireNext(quick, "=3")
		s.set(4)
		began = time.Now()
		s.requireNext(quick, "3>4")
		require.Less(t, time.Since(began), 200*time.Millisecond)

		for _, st := range append(all, late, quick) {
			st.Close()
		}
		shown := s.shown.Load()
		s.set(5)
		time.Sleep(10 * time.Second)
		require.Equal(t, shown, s.shown.Load(), "nobody watches")
		require.NoError(t, s.quota.Try(1, 1), "all places were given back")
	})
}

// A stream may begin with a page of its own; then it is as the others.
func TestWatchesBeginWithAGivenPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		defer s.stop()
		st, err := s.Open(s.view("v", 100*time.Millisecond), "", &number{42, &s.encoded})
		require.NoError(t, err)
		s.requireNext(st, "=42")
		s.requireNext(st, "42>0")
		s.set(1)
		s.requireNext(st, "0>1")
	})
}

func TestSlowListenersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		defer s.stop()
		slow, good := s.open(s.view("v", 0), ""), s.open(s.view("v", 0), "")
		s.requireNext(good, "=0")
		for n := range int64(40) {
			s.set(n + 1)
			s.requireNext(good, fmt.Sprintf("%d>%d", n, n+1))
		}
		messages := 0
		for range slow.C() {
			messages++
		}
		require.ErrorIs(t, slow.Err(), live.ErrSlow)
		require.Equal(t, 16, messages)
		require.NoError(t, good.Err())
	})
}

// One key, one stream: the later one takes the place of the earlier, also when
// there is no other place, and also when it is opened on another process.
func TestAKeyHasOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		defer s.stop()
		s.Limit = func(int64) int { return 1 }
		var opened []string
		s.Opened = func(_ int64, key string, _ time.Time) { opened = append(opened, key) }
		first := s.open(s.view("v", 0), "k")
		s.requireNext(first, "=0")
		_, err := s.Open(s.view("v", 0), "other", nil)
		require.Equal(t, live.Full(1), err)
		require.EqualError(t, err, "the tenant has 1 streams open, which is its limit")

		second := s.open(s.view("w", 0), "k")
		_, open := <-first.C()
		require.False(t, open)
		require.ErrorIs(t, first.Err(), live.ErrReplaced)
		s.requireNext(second, "=0")

		at := time.Now()
		s.Replace(1, "k", at) // its own news
		s.Replace(1, "other", at.Add(time.Second))
		s.Replace(2, "k", at.Add(time.Second))
		s.set(1)
		s.requireNext(second, "0>1")
		s.Replace(1, "k", at.Add(time.Millisecond))
		_, open = <-second.C()
		require.False(t, open)
		require.ErrorIs(t, second.Err(), live.ErrReplaced)
		require.Equal(t, []string{"k", "k"}, opened)
		s.open(s.view("v", 0), "").Close()
	})
}

// A view that cannot be shown ends the streams that have nothing yet; the others get more
// when it can be shown again.
func TestWatchesOutlastErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		defer s.stop()
		st := s.open(s.view("v", 0), "")
		s.requireNext(st, "=0")

		away := errors.New("away")
		s.err.Store(&away)
		s.set(1)
		time.Sleep(5 * time.Second)
		late := s.open(s.view("v", 0), "")
		_, open := <-late.C()
		require.False(t, open)
		require.ErrorIs(t, late.Err(), away)
		require.Less(t, s.shown.Load(), int64(20), "it is not asked all the time")
		s.err.Store(nil)
		s.requireNext(st, "0>1")
	})
}

func TestWatchesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startWatches(t)
		st := s.open(s.view("v", time.Minute), "")
		s.requireNext(st, "=0")
		s.Close()
		_, open := <-st.C()
		require.False(t, open)
		require.ErrorIs(t, st.Err(), live.ErrStopping)
		_, err := s.Open(s.view("v", 0), "", nil)
		require.ErrorIs(t, err, live.ErrStopping)
		st.Close()
		s.stop()
	})
}
