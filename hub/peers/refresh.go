package peers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/source"
)

// refreshEvery bounds how long a change that another process made goes unnoticed
// here if the news of it is lost.
const refreshEvery = 3 * time.Second

// refreshWait bounds one reading of what was changed.
const refreshWait = 10 * time.Second

// ChangeStore knows what all processes changed.
type ChangeStore interface {
	// ChangeMark returns another text after every change of a tenant, a key, an app
	// or a subscription. No such change goes without a row in the audit log.
	ChangeMark(ctx context.Context) (string, error)
	// CatchUp reads the subscriptions that were changed.
	CatchUp(ctx context.Context) error
	LoadAccess(ctx context.Context) ([]access.Tenant, []access.Key, error)
	LoadApps(ctx context.Context) ([]access.App, error)
	LoadSources(ctx context.Context) ([]source.Source, []source.Token, error)
}

// Refresh keeps what this process holds of subscriptions, tenants, keys and apps
// in step with the changes of other processes.
type Refresh struct {
	Store   ChangeStore
	Book    *access.Book
	Sources *source.Book
	Changes <-chan struct{} // gets a signal when another process changed something
	Log     *slog.Logger

	mu   sync.Mutex
	mark string // of what was read last
}

// Run reads what was changed, at each signal and from time to time, until ctx ends.
func (r *Refresh) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if err := r.Read(ctx); err != nil && ctx.Err() == nil {
			r.Log.Warn("read what other processes changed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.Changes:
		}
	}
}

// Read returns when this process knows every change that was made before the call.
func (r *Refresh) Read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshWait)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()

	// The mark is read before the changes: one that comes in between is read twice,
	// but not missed.
	mark, err := r.Store.ChangeMark(ctx)
	if err != nil || mark == r.mark {
		return err
	}
	if err := r.Store.CatchUp(ctx); err != nil {
		return err
	}
	if err := r.Book.Sync(ctx, r.Store.LoadAccess); err != nil {
		return err
	}
	if err := r.Book.SyncApps(ctx, r.Store.LoadApps); err != nil {
		return err
	}
	if err := r.Sources.Sync(ctx, r.Store.LoadSources); err != nil {
		return err
	}
	r.mark = mark
	return nil
}
