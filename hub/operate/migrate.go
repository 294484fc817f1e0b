// Package operate is what an operator runs beside the hub, on its store: the
// doctor, a backup, a migration, a rebuild of the folds, and the check of the
// audit log.
package operate

import (
	"context"
	"log/slog"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/storage"
)

// Migrate brings the store of cfg to this version's schema.
func Migrate(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	db, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	return db.Close()
}

func openStore(ctx context.Context, cfg config.Config, log *slog.Logger) (*storage.DB, error) {
	s, err := cfg.Read()
	if err != nil {
		return nil, err
	}
	return storage.Open(ctx, storage.Config{
		Dir: s.Data, URL: s.DatabaseURL, Process: config.ProcessName(), Box: s.Box, Log: log,
	})
}
