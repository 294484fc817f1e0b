package folds

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

// steps makes steps of a tenant one after the other, each of which has the writer for
// some time, until ctx ends; took is how long they had it in all.
func steps(ctx context.Context, p *pace, tenant int64, each time.Duration, took *time.Duration) {
	for p.begin(ctx, tenant) == nil {
		time.Sleep(each)
		*took += each
		p.end(each)
	}
}

// However far folds are behind, they take a quarter of the writer, and half of it while
// somebody waits.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		var one, two time.Duration
		var both sync.WaitGroup
		both.Go(func() { steps(ctx, &p, 1, 2*time.Millisecond, &one) })
		both.Go(func() { steps(ctx, &p, 2, 2*time.Millisecond, &two) })
		both.Wait()
		require.InDelta(t, 250, (one + two).Milliseconds(), 5)
		require.InDelta(t, one.Milliseconds(), two.Milliseconds(), 3, "in turn")

		// Only the tenant that somebody waits for goes on meanwhile.
		done := p.ask(2)
		one, two = 0, 0
		ctx, stop = context.WithTimeout(t.Context(), time.Second)
		defer stop()
		both.Go(func() { steps(ctx, &p, 1, 2*time.Millisecond, &one) })
		both.Go(func() { steps(ctx, &p, 2, 2*time.Millisecond, &two) })
		both.Wait()
		require.InDelta(t, 500, (one + two).Milliseconds(), 10)
		require.Greater(t, two, 9*one, "who waits comes first")
		done()
		require.Empty(t, p.asked)
	})
}

// While others keep the writer busy, folds take a tenth of it, unless somebody waits for
// them. What the others leave is theirs, up to a quarter.
func TestPaceBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		busy := time.Second // from the beginning on
		p := pace{writes: func() bool { return time.Since(began) < busy }}
		share := func(within time.Duration) int64 {
			ctx, stop := context.WithTimeout(t.Context(), within)
			defer stop()
			var took time.Duration
			steps(ctx, &p, 1, 2*time.Millisecond, &took)
			return took.Milliseconds()
		}
		require.InDelta(t, 100, share(time.Second), 5)
		require.InDelta(t, 250, share(time.Second), 5, "the others have gone")

		busy = time.Hour
		done := p.ask(1)
		require.InDelta(t, 500, share(time.Second), 10)
		done()
		require.InDelta(t, 100, share(time.Second), 5)
	})
}

// A step goes on for as long as nobody else waits for the writer, up to a bound of its own.
func TestStepsAlone(t *testing.T) {
	writes := writing(false)
	f := &Folds{shared: &shared{cfg: Config{Store: &writes}, stepTime: 2, aloneTime: 16}}
	require.False(t, f.isOver(2))
	require.False(t, f.isOver(16))
	require.True(t, f.isOver(17))
	writes = true
	require.False(t, f.isOver(2))
	require.True(t, f.isOver(3))
}

// writing is a Store of which only Writes may be asked.
type writing bool

func (w *writing) Writes() bool { return bool(*w) }

func (*writing) EventsAfter(int64, int64, int) ([]*event.Event, bool) { panic("not asked") }
func (*writing) LastEvent(int64) int64                                { panic("not asked") }
func (*writing) LastEvents() map[int64]int64                          { panic("not asked") }
func (*writing) Step(context.Context, func(Tx) error) error           { panic("not asked") }

// A long step is paid for before the next one begins; who comes to ask shortens that.
func TestPaceAfterALongStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		ctx := t.Context()
		require.NoError(t, p.begin(ctx, 1))
		p.end(100 * time.Millisecond)

		began := time.Now()
		require.NoError(t, p.begin(ctx, 1))
		require.Equal(t, 300*time.Millisecond, time.Since(began))
		p.end(100 * time.Millisecond)

		began = time.Now()
		time.AfterFunc(20*time.Millisecond, func() { p.ask(1) })
		require.NoError(t, p.begin(ctx, 1))
		require.Equal(t, 100*time.Millisecond, time.Since(began))
		p.end(0)
	})
}

// Who gives up leaves no place behind, and keeps nobody from the writer.
func TestPaceGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		require.NoError(t, p.begin(t.Context(), 1))
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		require.ErrorIs(t, p.begin(short, 2), context.DeadlineExceeded)
		require.Empty(t, p.queue)
		p.end(0)
		require.NoError(t, p.begin(t.Context(), 3))
		p.end(0)
	})
}
