package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/signing"
)

// Condition of a store, as one who does not serve it finds it.
type Condition struct {
	Exists   bool
	Served   bool // a process holds the folder's lock
	Bytes    int64
	WALBytes int64 // of the write-ahead log
	Schema   int64 // number of the last migration
	Key      error // not nil: it was sealed with another master key, or says none
	Damage   error // not nil: what the integrity check found
	LastAt   int64 // Unix ms: when it accepted its latest event; 0: none
}

// Inspect looks at the store of a folder without changing it, also while it is
// served. The integrity check reads the whole file. box nil: the key is not compared.
func Inspect(ctx context.Context, dir string, box *signing.Box) (c Condition, err error) {
	path := filepath.Join(dir, File)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Exists, c.Bytes = true, info.Size()
	if wal, err := os.Stat(path + "-wal"); err == nil {
		c.WALBytes = wal.Size()
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	switch {
	case err == nil:
		_ = lock.Close() // at once: somebody may be about to start
	case errors.Is(err, ErrLocked):
		c.Served = true
	default:
		return c, err
	}
	read, err := openReader(dir)
	if err != nil {
		return c, err
	}
	defer read.Close()
	if c.Damage = quickCheck(ctx, read); c.Damage != nil {
		return c, nil
	}
	if box != nil {
		c.Key = checkKey(ctx, read, box)
	}
	if err := read.GetContext(ctx, &c.Schema, "SELECT max(version_id) FROM goose_db_version"); err != nil {
		return c, fmt.Errorf("schema: %w", err)
	}
	// The latest event of each tenant: one seek each.
	var at sql.NullInt64
	if err := read.GetContext(ctx, &at, `SELECT max((SELECT accepted_at FROM events WHERE tenant = no ORDER BY seq DESC LIMIT 1)) FROM tenants`); err != nil {
		return c, fmt.Errorf("latest event: %w", err)
	}
	c.LastAt = at.Int64
	return c, nil
}

// quickCheck reads the whole database; the error says what is damaged.
func quickCheck(ctx context.Context, q sqlx.QueryerContext) error {
	var found []string
	if err := sqlx.SelectContext(ctx, q, &found, "PRAGMA quick_check(10)"); err != nil {
		return err
	}
	if len(found) == 1 && found[0] == "ok" {
		return nil
	}
	return errors.New(strings.Join(found, "; "))
}
