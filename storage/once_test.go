package storage

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
)

// Who gives up waiting for the writer has said nothing: the next one may say it.
func TestOnceGivenUp(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := openPast(t)
		now := time.Now()

		// Something else has the writer while the caller gives up.
		begun, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- db.admin(context.Background(), "hold the writer", func(*sqlx.Tx) error {
				close(begun)
				<-goOn
				return nil
			})
		}()
		<-begun
		ctx, giveUp := context.WithCancel(t.Context())
		giveUp()
		first, err := db.Once(ctx, "news", now, now.Add(time.Minute))
		close(goOn)
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, first)
		require.NoError(t, <-ended)

		first, err = db.Once(t.Context(), "news", now, now.Add(time.Minute))
		require.NoError(t, err)
		require.True(t, first)
		first, err = db.Once(t.Context(), "news", now, now.Add(time.Minute))
		require.NoError(t, err)
		require.False(t, first)
	})
}
