package operate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
)

// Rebuilding says what Rebuild makes again.
type Rebuilding struct {
	CompanyID string   // of one tenant; of all if it is empty
	Folds     []string // by name (FoldNames); all if it is empty
	// Done is called after each tenant with the time that it took. It may be nil.
	Done func(companyID string, took time.Duration)
}

// FoldNames returns the names of all folds.
func FoldNames() []string { return folds.Names() }

// Rebuild makes folds of the store of cfg again from the events whose bodies are
// still kept, and, if it makes all of them, counts the bytes of events and recordings again. On PostgreSQL hubs may serve the store at the same time: queries
// that need these folds wait. The embedded store must not be served. If Rebuild is
// interrupted, the next query, or the next start, goes on where it stopped.
func Rebuild(ctx context.Context, cfg config.Config, what Rebuilding, log *slog.Logger) (err error) {
	db, err := openStore(ctx, cfg, log)
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
	all := storage.NewFolds(db)
	found := false
	for _, t := range tenants {
		if what.CompanyID != "" && what.CompanyID != t.CompanyID {
			continue
		}
		found = true
		began := time.Now()
		if err := all.Rebuild(ctx, t.No, what.Folds...); err != nil {
			return fmt.Errorf("tenant %s: %w", t.CompanyID, err)
		}
		if len(what.Folds) == 0 {
			if err := db.RecountBytes(ctx, t.No); err != nil {
				return fmt.Errorf("tenant %s: %w", t.CompanyID, err)
			}
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
