// Package storetest holds what the tests of the store and of its folds share: both
// databases, connections past the store, plans of statements, timings of pages.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/hub/hubtest/sqlitetest"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Names of the tests on each database.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Each runs a test on both databases, because they keep the same promises. A test
// waits for its database more than it computes, so others run meanwhile.
func Each(t *testing.T, test func(t *testing.T)) {
	t.Parallel()
	for _, name := range []string{SQLite, Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// EachBench runs a benchmark on both databases.
func EachBench(b *testing.B, bench func(b *testing.B)) {
	for _, name := range []string{SQLite, Postgres} {
		b.Run(name, bench)
	}
}

// OnPostgres reports whether a test is the one on PostgreSQL.
func OnPostgres(t testing.TB) bool { return strings.Contains(t.Name(), "/"+Postgres) }

// Fewer returns how many of something a test does: fewer on PostgreSQL, where each
// statement is a round trip.
func Fewer[N int | uint64](t testing.TB, sqlite, postgres N) N {
	if OnPostgres(t) {
		return postgres
	}
	return sqlite
}

// Open opens the store of a place, a folder or the URL of a database, and makes its
// tables if it has none.
type Open func(place string) (io.Closer, error)

// Place returns where a store of the test is: a folder, or the URL of a database. The
// store has its tables and nothing else. It is a copy of one that open made, once for
// all tests.
func Place(t testing.TB, open Open) string {
	if OnPostgres(t) {
		return Database(t, open)
	}
	dir := t.TempDir()
	sqlitetest.Copy(t, dir, func(dir string) error { return makeTables(dir, open) })
	return dir
}

// Database is Place on PostgreSQL.
func Database(t testing.TB, open Open) string {
	return pgtest.Copy(t, func(url string) error { return makeTables(url, open) })
}

// makeTables leaves a store as the first process finds it: with neither a master key,
// nor the server that it was made on.
func makeTables(place string, open Open) error {
	store, err := open(place)
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}

	rows, err := openRows(place)
	if err != nil {
		return err
	}
	_, err = rows.ExecContext(context.Background(), "DELETE FROM meta")
	return errors.Join(err, rows.Close())
}

// OpenRows opens a connection past the store, with which tests write and read rows.
// Who opens it closes it.
func OpenRows(t testing.TB, place string) *sqlx.DB {
	t.Helper()
	rows, err := openRows(place)
	require.NoError(t, err)
	return rows
}

func openRows(place string) (*sqlx.DB, error) {
	if sqldb.IsURL(place) {
		return sqldb.OpenPostgres(place, "", sqldb.Settings{Name: "test"})
	}
	file := filepath.Join(place, sqlitetest.File)
	return sqlx.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
}

// InsertTenant writes the row of a tenant.
func InsertTenant(ctx context.Context, tx *sqlx.Tx, no int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tenants (no, company_id, name, timezone, settings, limits, allow_networks, version, created_at, updated_at)
		VALUES (?, ?, '', 'UTC', '{}', '{}', '[]', 1, 0, 0)`, no, fmt.Sprint("company-", no))
	return err
}
