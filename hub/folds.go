package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
)

// Rebuild makes the folds anew from the events that are there: all of them, or
// those of the names given. Queries meanwhile wait for those of their tenant.
func (h *Hub) Rebuild(ctx context.Context, names ...string) error {
	return h.folds.RebuildAll(ctx, names...)
}

// Rebuilding says what RebuildStore makes anew.
type Rebuilding struct {
	CompanyID string   // of one tenant; "": of all
	Folds     []string // by name (FoldNames); none: all
	// Done is told of each tenant and how long it took; may be nil.
	Done func(companyID string, took time.Duration)
}

// FoldNames are what folds are called.
func FoldNames() []string { return folds.Names() }

// RebuildStore makes folds of the store of cfg anew from the events that are
// there. On PostgreSQL hubs may serve it meanwhile: queries that need these folds
// wait. The embedded store must not be served. When it is interrupted, the next
// query, or the next start, goes on where it was.
func RebuildStore(ctx context.Context, cfg Config, what Rebuilding, log *slog.Logger) (err error) {
	s, err := cfg.read()
	if err != nil {
		return err
	}
	db, err := storage.Open(ctx, storage.Config{Dir: s.Data, URL: s.DatabaseURL, Process: processName(), Box: s.box, Log: log})
	if errors.Is(err, storage.ErrLocked) {
		return fmt.Errorf("%w: stop it first; on PostgreSQL a rebuild needs no stop", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tenants, _, err := db.LoadAccess(ctx)
	if err != nil {
		return err
	}
	all, found := storage.NewFolds(db), false
	for _, t := range tenants {
		if what.CompanyID != "" && what.CompanyID != t.CompanyID {
			continue
		}
		found = true
		began := time.Now()
		if err := all.Rebuild(ctx, t.No, what.Folds...); err != nil {
			return fmt.Errorf("tenant %s: %w", t.CompanyID, err)
		}
		if what.Done != nil {
			what.Done(t.CompanyID, time.Since(began))
		}
	}
	if !found && what.CompanyID != "" {
		return fmt.Errorf("there is no tenant %q", what.CompanyID)
	}
	return nil
}
