package storage

import (
	"strings"
	"testing"

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

const postgresTest = "postgres"

// newPlace is where a store of the test may be: a folder, or the URL of an empty
// database.
func newPlace(t testing.TB) string {
	if strings.Contains(t.Name(), "/"+postgresTest) {
		return pgtest.Database(t)
	}
	return t.TempDir()
}
