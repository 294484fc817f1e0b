package stream_test

import (
	"context"
	"errors"
	"net/http/httptest"
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
