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

// number is a page that shows one; encoded counts the messages that were made.
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

// stage is a tenant whose view shows a number.
type stage struct {
	*live.Watches
	*testing.T
	quota          fair.Slots[int64]
	n              atomic.Int64
	shown, encoded atomic.Int64
	err            atomic.Pointer[error]
	stop           context.CancelFunc
}

func onStage(t *testing.T) *stage {
	s := &stage{T: t}
	s.Watches = &live.Watches{Log: slog.New(slog.DiscardHandler), Streams: &s.quota, Limit: func(int64) int { return 1000 }}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Watches.Run(ctx) }()
	s.stop = func() {
		stop()
		require.NoError(t, <-ended)
	}
	return s
}

func (s *stage) view(key string, delay time.Duration) live.View {
	return live.View{Tenant: 1, Key: key, Delay: delay, Show: func(context.Context, int64) (live.Page, error) {
		s.shown.Add(1)
		if err := s.err.Load(); err != nil {
			return nil, *err
		}
		return &number{int(s.n.Load()), &s.encoded}, nil
	}}
}

func (s *stage) open(v live.View, key string) *live.Stream {
	s.Helper()
	st, err := s.Open(v, key, nil)
	require.NoError(s, err)
	return st
}

// put a number on stage.
func (s *stage) put(n int64) {
	s.n.Store(n)
	s.Changed(1)
}

// hears waits for the next message of a stream.
func (s *stage) hears(st *live.Stream, want string) {
	s.Helper()
	require.Equal(s, want, string(<-st.C()))
}

func TestWatchesTellWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		defer s.stop()
		began := time.Now()
		a := s.open(s.view("v", time.Second), "")
		defer a.Close()
		s.hears(a, "=0")
		require.Zero(t, time.Since(began))
		// What comes within the delay comes as one.
		for n := range int64(5) {
			s.put(n + 1)
			time.Sleep(10 * time.Millisecond)
		}
		s.hears(a, "0>5")
		require.Equal(t, time.Second, time.Since(began).Round(100*time.Millisecond))
		require.GreaterOrEqual(t, time.Since(began), time.Second)
		// After a quiet time it comes at once.
		time.Sleep(10 * time.Second)
		at := time.Now()
		s.put(6)
		s.hears(a, "5>6")
		require.Less(t, time.Since(at), 100*time.Millisecond)
		// There and back again is nothing.
		s.put(7)
		time.Sleep(time.Millisecond)
		s.put(6)
		time.Sleep(5 * time.Second)
		require.Empty(t, a.C())
		// What nobody says is seen within a second.
		s.n.Store(8)
		s.hears(a, "6>8")
	})
}

// Whoever comes while others watch is shown all, at once, and hears the same from
// then on, in the same messages.
func TestWatchesShareWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		defer s.stop()
		var all []*live.Stream
		for range 300 {
			all = append(all, s.open(s.view("v", time.Second), ""))
		}
		for _, st := range all {
			s.hears(st, "=0")
		}
		made := s.encoded.Load()
		require.LessOrEqual(t, made, int64(2), "some may have come while the first were greeted")
		time.Sleep(5 * time.Second)
		s.put(1)
		time.Sleep(200 * time.Millisecond)
		s.put(2)
		time.Sleep(200 * time.Millisecond)
		late := s.open(s.view("v", time.Second), "")
		began := time.Now()
		s.hears(late, "=2")
		require.Less(t, time.Since(began), 100*time.Millisecond)
		for _, st := range all {
			s.hears(st, "0>1")
			s.hears(st, "1>2")
		}
		require.EqualValues(t, made+3, s.encoded.Load())
		// The one who came late is not told sooner than its delay allows, then as the others.
		require.Less(t, time.Since(began), time.Second)
		s.put(3)
		s.hears(late, "2>3")
		require.GreaterOrEqual(t, time.Since(began), time.Second)
		for _, st := range all {
			s.hears(st, "2>3")
		}
		require.EqualValues(t, made+4, s.encoded.Load())
		// Another delay is another rhythm.
		quick := s.open(s.view("v", 0), "")
		s.hears(quick, "=3")
		s.put(4)
		began = time.Now()
		s.hears(quick, "3>4")
		require.Less(t, time.Since(began), 200*time.Millisecond)
		for _, st := range append(all, late, quick) {
			st.Close()
		}
		shown := s.shown.Load()
		s.put(5)
		time.Sleep(10 * time.Second)
		require.Equal(t, shown, s.shown.Load(), "nobody watches")
		require.NoError(t, s.quota.Try(1, 1), "all places were given back")
	})
}

// A test's own first page is shown first; then the stream is as the others.
func TestWatchesBeginWithAGivenPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		defer s.stop()
		st, err := s.Open(s.view("v", 100*time.Millisecond), "", &number{42, &s.encoded})
		require.NoError(t, err)
		s.hears(st, "=42")
		s.hears(st, "42>0")
		s.put(1)
		s.hears(st, "0>1")
	})
}

func TestSlowListenersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		defer s.stop()
		slow, good := s.open(s.view("v", 0), ""), s.open(s.view("v", 0), "")
		s.hears(good, "=0")
		for n := range int64(40) {
			s.put(n + 1)
			s.hears(good, fmt.Sprintf("%d>%d", n, n+1))
		}
		heard := 0
		for range slow.C() {
			heard++
		}
		require.ErrorIs(t, slow.Err(), live.ErrSlow)
		require.Equal(t, 16, heard)
		require.NoError(t, good.Err())
	})
}

// One key, one stream: the later one takes the place of the earlier, also when
// there is no other place, and also when it is opened on another process.
func TestAKeyHasOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		defer s.stop()
		s.Limit = func(int64) int { return 1 }
		var told []string
		s.Opened = func(_ int64, key string, _ time.Time) { told = append(told, key) }
		first := s.open(s.view("v", 0), "k")
		s.hears(first, "=0")
		_, err := s.Open(s.view("v", 0), "other", nil)
		require.Equal(t, live.Full(1), err)
		require.EqualError(t, err, "the tenant has 1 streams open, which is its limit")
		second := s.open(s.view("w", 0), "k")
		_, open := <-first.C()
		require.False(t, open)
		require.ErrorIs(t, first.Err(), live.ErrReplaced)
		s.hears(second, "=0")
		opened := time.Now()
		s.Replace(1, "k", opened) // the news of its own
		s.Replace(1, "other", opened.Add(time.Second))
		s.Replace(2, "k", opened.Add(time.Second))
		s.put(1)
		s.hears(second, "0>1")
		s.Replace(1, "k", opened.Add(time.Millisecond))
		_, open = <-second.C()
		require.False(t, open)
		require.ErrorIs(t, second.Err(), live.ErrReplaced)
		require.Equal(t, []string{"k", "k"}, told)
		s.open(s.view("v", 0), "").Close()
	})
}

// What cannot be shown ends those who have seen nothing yet; the others hear of
// it when it works again.
func TestWatchesOutlastErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		defer s.stop()
		st := s.open(s.view("v", 0), "")
		s.hears(st, "=0")
		away := errors.New("away")
		s.err.Store(&away)
		s.put(1)
		time.Sleep(5 * time.Second)
		late := s.open(s.view("v", 0), "")
		_, open := <-late.C()
		require.False(t, open)
		require.ErrorIs(t, late.Err(), away)
		require.Less(t, s.shown.Load(), int64(20), "it is not asked all the time")
		s.err.Store(nil)
		s.hears(st, "0>1")
	})
}

func TestWatchesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onStage(t)
		st := s.open(s.view("v", time.Minute), "")
		s.hears(st, "=0")
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
