package fair_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/fair"
)

// While one holder has all it may have and asks for more, another gets the next
// place that comes free, and the first its turn after that.
func TestSlotsOfOneHolderLeaveOthersTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fair.Slots[int]{What: "questions", Total: 3, Each: 2, Waiting: 10, Patience: time.Minute}
		var flood []*fair.Place
		for range 2 {
			p, err := s.Take(t.Context(), 1, 0)
			require.NoError(t, err)
			flood = append(flood, p)
		}
		order := make(chan int, 10)
		ask := func(holder int) {
			go func() {
				p, err := s.Take(context.Background(), holder, 0)
				if err == nil {
					order <- holder
					time.Sleep(time.Second)
					p.Free()
				}
			}()
			synctest.Wait()
		}
		ask(1)
		ask(1)
		require.Empty(t, order, "its share is used up")
		ask(2)
		require.Equal(t, 2, <-order, "a place is left for the other")
		ask(2)
		ask(3)
		require.Empty(t, order, "all places are taken")

		flood[0].Free()
		synctest.Wait()
		require.Equal(t, 3, <-order, "it has none yet")
		flood[0].Free()
		synctest.Wait()
		require.Empty(t, order, "a place is given back once")
		time.Sleep(time.Minute)
		require.ElementsMatch(t, []int{1, 1, 2}, []int{<-order, <-order, <-order})
		flood[1].Free()
		require.Zero(t, s.Taken(1))
	})
}

// Who waits too long, or whose request ends, waits no longer, and takes no place.
func TestSlotsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fair.Slots[string]{What: "questions", Total: 1, Each: 1, Waiting: 1, Patience: 5 * time.Second}
		p, err := s.Take(t.Context(), "a", 0)
		require.NoError(t, err)

		began := time.Now()
		_, err = s.Take(t.Context(), "a", 0)
		var full *fair.Full
		require.ErrorAs(t, err, &full)
		require.True(t, full.Own)
		require.Equal(t, 429, full.Status())
		require.Equal(t, 5*time.Second, time.Since(began))

		_, err = s.Take(t.Context(), "b", 0)
		require.ErrorAs(t, err, &full)
		require.False(t, full.Own, "another has the only place")
		require.Equal(t, 503, full.Status())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.Take(ctx, "b", 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		go func() { _, _ = s.Take(context.Background(), "b", 0) }()
		synctest.Wait()
		began = time.Now()
		_, err = s.Take(t.Context(), "b", 0)
		require.ErrorAs(t, err, &full)
		require.Zero(t, time.Since(began), "one may wait, no more")

		p.Free()
		synctest.Wait()
		require.Equal(t, 1, s.Taken("b"))
		_, err = s.Take(t.Context(), "c", 3)
		require.Error(t, err, "a larger share is no place")
	})
}

// Whatever holders do, in whatever order: places are never more than there are, no
// holder has more than its share, nobody waits while there is a place for it, and
// when all is given back nothing is left.
func TestSlotsProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			const holders = 4
			s := fair.Slots[int]{
				What: "questions", Total: rapid.IntRange(1, 5).Draw(rt, "total"), Each: rapid.IntRange(1, 5).Draw(rt, "each"),
				Waiting:  rapid.IntRange(0, 5).Draw(rt, "waiting"),
				Patience: time.Duration(rapid.IntRange(0, 20).Draw(rt, "patience")) * time.Second,
			}
			var mu sync.Mutex // of the counts: many go on at the same moment
			var having, waiting [holders]int
			count := func(of *[holders]int, h, by int) {
				mu.Lock()
				defer mu.Unlock()
				of[h] += by
			}
			total := func(of [holders]int) (n int) {
				for _, k := range of {
					n += k
				}
				return n
			}
			check := func() {
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				for h := range holders {
					require.LessOrEqual(t, having[h], s.Each)
					require.Equal(t, having[h], s.Taken(h))
					require.LessOrEqual(t, waiting[h], s.Waiting)
					if waiting[h] > 0 {
						require.True(t, having[h] == s.Each || total(having) == s.Total, "%d waits in vain", h)
					}
				}
				require.LessOrEqual(t, total(having), s.Total)
			}
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				h := rapid.IntRange(0, holders-1).Draw(rt, "holder")
				work := time.Duration(rapid.IntRange(1, 10).Draw(rt, "work")) * time.Second
				give := time.Duration(rapid.IntRange(0, 30).Draw(rt, "give up")) * time.Second
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), give)
					defer cancel()
					count(&waiting, h, 1)
					p, err := s.Take(ctx, h, 0)
					count(&waiting, h, -1)
					var full *fair.Full
					if err != nil {
						require.True(t, errors.As(err, &full) || errors.Is(err, context.DeadlineExceeded), "%v", err)
						return
					}
					count(&having, h, 1)
					time.Sleep(work)
					count(&having, h, -1)
					p.Free()
				}()
				check()
				time.Sleep(time.Duration(rapid.IntRange(0, 3).Draw(rt, "pause")) * time.Second)
				check()
			}
			time.Sleep(time.Hour)
			check()
			require.Zero(t, total(having)+total(waiting))
		})
	})
}

// Try waits for nothing, and a holder may have another share than the others.
func TestSlotsTry(t *testing.T) {
	var s fair.Slots[int]
	require.NoError(t, s.Try(1, 2))
	require.NoError(t, s.Try(1, 2))
	var full *fair.Full
	require.ErrorAs(t, s.Try(1, 2), &full)
	require.True(t, full.Own)
	require.NoError(t, s.Try(2, 1), "without a total each has its share")
	s.Give(1)
	require.NoError(t, s.Try(1, 2))

	s.Total = 4
	require.NoError(t, s.Try(3, 9))
	require.ErrorAs(t, s.Try(4, 9), &full)
	require.False(t, full.Own)
}

// A holder pauses after its work while others are served, and not when it is alone.
func TestSlotsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lately fair.Lately[string]
		s := fair.Slots[string]{
			What: "places", Total: 4, Each: 1, Waiting: 8, Patience: time.Hour,
			Rest: &fair.Rest[string]{Times: 3, Beside: &lately},
		}
		ctx := t.Context()
		var done atomic.Int64 // pieces of the flood's work, of 10 ms each
		work := func(holder string) {
			lately.Note(holder)
			p, err := s.Take(ctx, holder, 0)
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
			if holder == "flood" {
				done.Add(1)
			}
			p.Free()
		}
		for range 6 {
			go func() {
				for ctx.Err() == nil && done.Load() < 1000 {
					work("flood")
				}
			}()
		}

		time.Sleep(time.Second)
		synctest.Wait()
		require.InDelta(t, 100, done.Load(), 2, "alone")

		done.Store(0)
		began := time.Now()
		for range 20 {
			work("calm")
			time.Sleep(40 * time.Millisecond)
		}
		require.Equal(t, time.Second, time.Since(began), "calm never waits")
		require.InDelta(t, 25, done.Load(), 2, "beside another")

		time.Sleep(2 * time.Second) // the other is forgotten
		done.Store(0)
		time.Sleep(time.Second)
		require.InDelta(t, 100, done.Load(), 2, "alone again")
		done.Store(1000)
		time.Sleep(time.Second)
		require.Zero(t, s.Taken("flood"))
	})
}
