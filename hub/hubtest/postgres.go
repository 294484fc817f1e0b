package hubtest

import (
	"testing"

	"github.com/hookline/hookline/hub/hubtest/pgtest"
)

// Postgres makes an empty database for the test and returns its URL (pgtest).
func Postgres(t testing.TB) string { return pgtest.Database(t) }
