package hub

import (
	"context"
	"sync"
	"time"
)

// refreshEvery bounds how long a change that another process made goes
// unnoticed here, should the news of it be lost.
const refreshEvery = 3 * time.Second

const refreshWait = 10 * time.Second

// refresh reads anew what other processes changed, when they say so and from
// time to time, until ctx ends: subscriptions by their version, tenants, keys
// and apps when the audit log has grown, for no change goes without a row in it.
func (h *Hub) refresh(ctx context.Context) error {
	if !h.db.Shared() {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if err := h.readChanges(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("read what other processes changed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-h.pipe.news:
		}
	}
}

// changes of other processes that this one knows.
type changes struct {
	sync.Mutex
	mark string // until where
}

// readChanges returns when what was changed before is known.
func (h *Hub) readChanges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshWait)
	defer cancel()
	h.changes.Lock()
	defer h.changes.Unlock()
	// Before what it marks: a change in between is read twice, not missed.
	mark, err := h.db.ChangeMark(ctx)
	if err != nil || mark == h.changes.mark {
		return err
	}
	if err = h.db.CatchUp(ctx); err == nil {
		err = h.book.Sync(ctx, h.db.LoadAccess)
	}
	if err == nil {
		err = h.book.SyncApps(ctx, h.db.LoadApps)
	}
	if err == nil {
		h.changes.mark = mark
	}
	return err
}
