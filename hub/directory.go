package hub

import (
	"context"
	"time"
)

// followEvery bounds how long a change of the directory by another process goes
// unnoticed here.
const followEvery = 2 * time.Second

// followDirectory reads what other processes changed, until ctx ends. Changes of
// this process are there already.
func (h *Hub) followDirectory(ctx context.Context) error {
	if h.cfg.DatabaseURL == "" {
		return nil // there are none
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := h.db.FollowDirectory(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("follow the directory", "err", err)
		}
	}
}
