package storage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// While processes are upgraded one by one, one of this version may start after
// the next one brought its schema along: that only adds, and keeps nobody out.
func TestStartsOnTheNextSchema(t *testing.T) { eachStore(t, testStartsOnTheNextSchema) }

func testStartsOnTheNextSchema(t *testing.T) {
	place := newPlace(t)
	db := openPastIn(t, place)
	for _, stmt := range []string{
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)",
		"ALTER TABLE tenants ADD COLUMN of_the_next_version TEXT NOT NULL DEFAULT ''",
	} {
		_, err := db.raw.ExecContext(t.Context(), stmt)
		require.NoError(t, err)
	}
	db.close(t)
	again := openPastIn(t, place)
	_, _, err := again.LoadAccess(t.Context())
	require.NoError(t, err)
}
