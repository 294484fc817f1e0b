package hubtest

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/hub/hubtest/sqlitetest"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/signing"
)

// EmptyPostgres makes an empty database for the test and returns its URL (pgtest).
func EmptyPostgres(t testing.TB) string { return pgtest.Database(t) }

// Postgres makes a database for the test that has tables and nothing else, and returns
// its URL. It is for tests of several hubs on one database.
func Postgres(t testing.TB) string {
	return pgtest.Copy(t, func(url string) error { return migrate("postgres", url, InDatabase(url)) })
}

// StoreVariable is the environment variable that says where Start puts stores:
// "postgres", or else SQLite. With it make test runs some packages on both.
const StoreVariable = "HUBTEST_STORE"

// OnPostgres puts a hub's store into a database of its own, which has tables and
// nothing else.
func OnPostgres(t testing.TB) func(*config.Config) {
	return InDatabase(Postgres(t))
}

// Folder makes a folder for the test with an embedded store that has tables and nothing
// else, and returns its path.
func Folder(t testing.TB) string {
	dir := t.TempDir()
	makeTables(t, dir)
	return dir
}

// makeTables puts an embedded store with its tables and nothing else into a folder,
// and a master key.
func makeTables(t testing.TB, dir string) {
	t.Helper()
	sqlitetest.Copy(t, dir, func(dir string) error {
		return migrate("sqlite", filepath.Join(dir, sqlitetest.File), InFolder(dir))
	})
	_, key := signing.NewMasterKey()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "master.key"), []byte(key), 0o600))
}

// migrate makes the tables of a store, which a driver opens by its name, and leaves
// it as the first process finds it: with neither a master key, nor the server that
// it was made on.
func migrate(driver, name string, place func(*config.Config)) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg := config.Config{Addr: "127.0.0.1:0", ShutdownTimeout: time.Second}
	place(&cfg)
	if err := operate.Migrate(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}

	db, err := sql.Open(driver, name)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DELETE FROM meta")
	return errors.Join(err, db.Close())
}

// Each runs a test against a hub on each database, both at a time: a hub waits for
// its database more than it computes. change may alter the configuration of both.
func Each(t *testing.T, test func(t *testing.T, h *Hub), change ...func(*config.Config)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, Start(t, change...))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Start(t, append(slices.Clone(change), OnPostgres(t))...))
	})
}

// InFolder puts a hub's store into a folder of the test's choice, whatever
// StoreVariable says. It is for tests of the embedded store's files.
func InFolder(dir string) func(*config.Config) {
	return func(c *config.Config) { c.Data, c.DatabaseURL, c.MasterKey = dir, "", "" }
}

// SameStore lets a hub use the store of h. h must have stopped, or be on PostgreSQL.
func (h *Hub) SameStore() func(*config.Config) {
	return func(c *config.Config) {
		c.Data, c.DatabaseURL, c.MasterKey = h.cfg.Data, h.cfg.DatabaseURL, h.cfg.MasterKey
	}
}

// InDatabase lets a hub use the database of a URL, which others may use too.
func InDatabase(url string) func(*config.Config) {
	return func(c *config.Config) {
		c.DatabaseURL, c.MasterKey = url, base64.StdEncoding.EncodeToString(make([]byte, 32))
	}
}
