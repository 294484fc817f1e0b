package hubtest

import (
	"encoding/base64"
	"testing"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
)

// Postgres makes an empty database for the test and returns its URL (pgtest).
func Postgres(t testing.TB) string { return pgtest.Database(t) }

// StoreVariable says where Start puts stores: "postgres", or else SQLite. So a
// package's tests run on the other database, as make test does with some.
const StoreVariable = "HUBTEST_STORE"

// OnPostgres puts a hub's store into an empty database of its own.
func OnPostgres(t testing.TB) func(*hub.Config) { return InDatabase(Postgres(t)) }

// InDatabase puts a hub's store into the database of a URL, with others.
func InDatabase(url string) func(*hub.Config) {
	return func(c *hub.Config) {
		c.DatabaseURL, c.MasterKey = url, base64.StdEncoding.EncodeToString(make([]byte, 32))
	}
}
