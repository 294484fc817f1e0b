package storage

import (
	"flag"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/hubtest/pgtest"
)

// eachStore runs a test on both databases: they keep the same promises.
func eachStore(t *testing.T, test func(t *testing.T)) {
	t.Run("sqlite", test)
	t.Run(postgresTest, test)
}

// either is what to say to the database that the store is in.
func (db pastDB) either(sqlite, postgres string) string {
	if db.in == inPostgres {
		return postgres
	}
	return sqlite
}

// fewer of something on PostgreSQL, where each statement is a round trip.
func fewer[N int | uint64](t testing.TB, sqlite, postgres N) N {
	if strings.Contains(t.Name(), "/"+postgresTest) {
		return postgres
	}
	return sqlite
}

// checkRapidly is rapid.Check.
func checkRapidly(t *testing.T, prop func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	all := checks.String()
	n, err := strconv.Atoi(all)
	require.NoError(t, err)
	require.NoError(t, checks.Set(strconv.Itoa(fewer(t, n, n/4))))
	defer func() { require.NoError(t, checks.Set(all)) }()
	rapid.Check(t, prop)
}

const postgresTest = "postgres"

// newPlace is where a store of the test may be: a folder, or the URL of an empty
// database.
func newPlace(t testing.TB) string {
	if strings.Contains(t.Name(), "/"+postgresTest) {
		return pgtest.Database(t)
	}
	return t.TempDir()
}
