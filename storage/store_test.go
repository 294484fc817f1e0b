package storage

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// eachStore runs a test on both databases.
func eachStore(t *testing.T, test func(t *testing.T)) { storetest.Each(t, test) }

// eachStoreRapidly is eachStore for tests that call checkRapidly, which changes a flag, so that
// no two may run at the same time.
func eachStoreRapidly(t *testing.T, test func(t *testing.T)) {
	t.Run("sqlite", test)
	t.Run(postgresTest, test)
}

// either returns the statement for the database that the store is in.
func (db pastDB) either(sqlite, postgres string) string {
	if db.in == sqldb.Postgres {
		return postgres
	}
	return sqlite
}

// fewer returns how many of something a test does: fewer on PostgreSQL, where each statement is
// a round trip.
func fewer[N int | uint64](t testing.TB, sqlite, postgres N) N {
	return storetest.Fewer(t, sqlite, postgres)
}

// checkRapidly is rapid.Check with half as many checks, and on PostgreSQL a tenth of them. The
// flag -rapid.checks asks for more.
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

// newPlace returns where a store of the test is, which has its tables and nothing
// else: a folder, or the URL of a database.
func newPlace(t testing.TB) string {
	return storetest.Place(t, makeStore)
}

// emptyStore is newPlace on PostgreSQL, whatever the test is called.
func emptyStore(t testing.TB) string { return storetest.Database(t, makeStore) }

func makeStore(place string) (io.Closer, error) {
	box, err := signing.NewBox(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	cfg := Config{Dir: place, Box: box, Log: slog.New(slog.DiscardHandler)}
	if sqldb.IsURL(place) {
		cfg.Dir, cfg.URL = "", place
	}
	return Open(context.Background(), cfg)
}
