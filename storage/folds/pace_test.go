package folds

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
