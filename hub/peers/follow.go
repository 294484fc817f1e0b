package peers

import (
	"context"
	"log/slog"
	"time"
)

// followEvery bounds how long a change of the directory by another process goes
// unnoticed here.
const followEvery = 2 * time.Second

// DirectoryStore keeps the directory of all tenants.
type DirectoryStore interface {
	// FollowDirectory reads what was changed since the last call.
	FollowDirectory(ctx context.Context) error
}

// FollowDirectory reads the changes that other processes make to the directory,
// until ctx ends. The store knows this process's own changes already.
func FollowDirectory(ctx context.Context, store DirectoryStore, log *slog.Logger) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := store.FollowDirectory(ctx); err != nil && ctx.Err() == nil {
			log.Warn("follow the directory", "err", err)
		}
	}
}
