package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// Snapshot is one state of a database: whatever others commit, each query sees the same.
type Snapshot struct {
	In Dialect
	Q  sqlx.QueryerContext
}

// ReadSnapshot runs fn on the state in which the database is now. what opens the
// text of an error.
func ReadSnapshot(ctx context.Context, in Dialect, read *sqlx.DB, what string, fn func(Snapshot) error) error {
	tx, err := read.BeginTxx(ctx, in.SnapshotOptions())
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	if err := fn(Snapshot{In: in, Q: tx}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// SnapshotOptions returns the options of a transaction that sees one state of the database.
func (d Dialect) SnapshotOptions() *sql.TxOptions {
	if d == Postgres {
		return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// Values returns n rows of a VALUES list, or n items of an IN list, each as row says.
func Values(row string, n int) string {
	return strings.Repeat(row+",", n-1) + row
}

// BigInts returns n rows of cols whole numbers for VALUES. The first row says what
// they are, because PostgreSQL would take them for text.
func BigInts(cols, n int) string {
	first := "(CAST(? AS BIGINT)" + strings.Repeat(",CAST(? AS BIGINT)", cols-1) + ")"
	return first + strings.Repeat(",(?"+strings.Repeat(",?", cols-1)+")", n-1)
}
