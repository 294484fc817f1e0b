package stream_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/stream"
)

// How a stream ends, and what it says while there is nothing to tell.
func TestFollow(t *testing.T) {
	plain := func(s string) ([]byte, error) { return []byte(s), nil }
	follow := func(t *testing.T, ctx context.Context, holds func() bool, from chan string,
		encode func(string) ([]byte, error),
	) (string, error) {
		t.Helper()
		rec := httptest.NewRecorder()
		e := stream.NewEvents(rec, "text/event-stream")
		defer e.Release()
		e.Holds = holds
		err := stream.Follow(ctx, e, from, encode)
		require.Equal(t, "text/event-stream", rec.Header().Get("Content-Type"))
		require.True(t, rec.Flushed || rec.Body.Len() == 0)
		return rec.Body.String(), err
	}
	yes := func() bool { return true }
	synctest.Test(t, func(t *testing.T) {
		from := make(chan string, 2)
		from <- "data: a\n\n"
		time.AfterFunc(31*time.Second, func() { close(from) })
		text, err := follow(t, t.Context(), yes, from, plain)
		require.NoError(t, err)
		require.Equal(t, "data: a\n\n: ping\n\n: ping\n\n", text)
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := follow(t, t.Context(), func() bool { return time.Since(began) < 3*time.Second }, nil, plain)
		require.ErrorIs(t, err, stream.ErrRevoked)
		require.Equal(t, 4*time.Second, time.Since(began))
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := follow(t, ctx, yes, nil, plain)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) {
		from, odd := make(chan string, 1), errors.New("odd")
		from <- "x"
		_, err := follow(t, t.Context(), yes, from, func(string) ([]byte, error) { return nil, odd })
		require.ErrorIs(t, err, odd)
	})
}

// What comes while a stream pauses after a part goes into the next part.
func TestFollowGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &parts{ResponseRecorder: httptest.NewRecorder()}
		e := stream.NewEvents(rec, "text/event-stream")
		e.Holds = func() bool { return true }
		from := make(chan string, 256)
		done := make(chan error, 1)
		go func() {
			done <- stream.Follow(t.Context(), e, from, func(s string) ([]byte, error) { return []byte(s), nil })
		}()

		from <- "1"
		synctest.Wait()
		require.Equal(t, []string{"1"}, rec.all(), "at once")
		for _, s := range []string{"2", "3", "4"} {
			from <- s
			synctest.Wait()
		}
		require.Equal(t, []string{"1"}, rec.all())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"1", "234"}, rec.all())

		from <- strings.Repeat("x", 64<<10)
		from <- "5"
		close(from)
		require.NoError(t, <-done)
		require.Len(t, rec.all(), 4)
		require.Equal(t, "5", rec.all()[3])
	})
}

// parts notes what is written at a time.
type parts struct {
	*httptest.ResponseRecorder

	mu   sync.Mutex
	sent []string
}

func (p *parts) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, string(b))
	return len(b), nil
}

// all returns what was written so far.
func (p *parts) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}
