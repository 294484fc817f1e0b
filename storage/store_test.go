package storage

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// eachStore runs a test on both databases.
func eachStore(t *testing.T, test func(t *testing.T)) { storetest.Each(t, test) }

// eachStoreRapidly is eachStore for tests that call checkRapidly, which no other
// may do meanwhile.
func eachStoreRapidly(t *testing.T, test func(t *testing.T)) {
	t.Run("sqlite", test)
	t.Run(postgresTest, test)
}

// either is what to say to the database that the store is in.
func (db pastDB) either(sqlite, postgres string) string {
	if db.in == sqldb.Postgres {
		return postgres
	}
	return sqlite
}

// fewer of something on PostgreSQL, where each statement is a round trip.
func fewer[N int | uint64](t testing.TB, sqlite, postgres N) N {
	return storetest.Fewer(t, sqlite, postgres)
}

// checkRapidly is rapid.Check with half as many checks, on PostgreSQL a tenth: more
// by -rapid.checks.
func checkRapidly(t *testing.T, prop func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	all := checks.String()
	n, err := strconv.Atoi(all)
	require.NoError(t, err)
	require.NoError(t, checks.Set(strconv.Itoa(max(1, fewer(t, n/2, n/10)))))
	defer func() { require.NoError(t, checks.Set(all)) }()
	rapid.Check(t, prop)
}

const postgresTest = storetest.Postgres

// newPlace is where a store of the test may be: a folder, or the URL of an empty
// database.
func newPlace(t testing.TB) string {
	if strings.Contains(t.Name(), "/"+postgresTest) {
		return emptyStore(t)
	}
	return t.TempDir()
}

// emptyStore is a database as the first process makes it, with nothing in it yet:
// neither a master key, nor the server that it was made on.
func emptyStore(t testing.TB) string {
	return pgtest.Copy(t, func(url string) error {
		box, err := signing.NewBox(make([]byte, 32))
		if err != nil {
			return err
		}
		db, err := Open(context.Background(), Config{URL: url, Box: box, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		_, err = db.pool.ExecContext(context.Background(), "DELETE FROM meta")
		return errors.Join(err, db.Close())
	})
}
