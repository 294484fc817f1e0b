// Package storetest holds what the tests of the store and of its folds share: both
// databases, connections past the store, plans of statements, timings of pages.
package storetest

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest/pgtest"
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

// Place returns where a store of the test may be: a folder, or the URL of a database
// that is a copy of the one that empty prepared once.
func Place(t testing.TB, empty func(url string) error) string {
	if OnPostgres(t) {
		return pgtest.Copy(t, empty)
	}
	return t.TempDir()
}

// OpenRows opens a connection past the store, with which tests write and read rows.
// Who opens it closes it.
func OpenRows(t testing.TB, place string) *sqlx.DB {
	t.Helper()
	if sqldb.IsURL(place) {
		rows, err := sqldb.OpenPostgres(place, "", sqldb.Settings{Name: "test"})
		require.NoError(t, err)
		return rows
	}
	file := filepath.Join(place, "hookline.db")
	rows, err := sqlx.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
	require.NoError(t, err)
	return rows
}

// InsertTenant writes the row of a tenant.
func InsertTenant(ctx context.Context, tx *sqlx.Tx, no int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tenants (no, company_id, name, timezone, settings, limits, allow_networks, version, created_at, updated_at)
		VALUES (?, ?, '', 'UTC', '{}', '{}', '[]', 1, 0, 0)`, no, fmt.Sprint("company-", no))
	return err
}
