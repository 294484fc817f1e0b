package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// bulk inserts many rows with few statements: of some sizes, each prepared when
// it is first needed.
type bulk struct {
	conn   *sqlx.Conn
	insert string // "INSERT … VALUES"
	tail   string // what follows the rows
	cols   int
	args   []any
	sizes  []int // rows of each statement, falling to 1
	by     []*sql.Stmt
}

func newBulk(conn *sqlx.Conn, sizes []int, insert string, cols int, tail string) *bulk {
	return &bulk{conn: conn, insert: insert, tail: tail, cols: cols, sizes: sizes, by: make([]*sql.Stmt, len(sizes))}
}

// stmt of the i-th size.
func (b *bulk) stmt(ctx context.Context, i int) (*sql.Stmt, error) {
	if b.by[i] != nil {
		return b.by[i], nil
	}
	row := "(?" + strings.Repeat(",?", b.cols-1) + ")"
	stmt, err := b.conn.PrepareContext(ctx, b.insert+" "+row+strings.Repeat(","+row, b.sizes[i]-1)+" "+b.tail)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40s: %w", b.insert, err)
	}
	b.by[i] = stmt
	return stmt, nil
}

func (b *bulk) close() error {
	var errs []error
	for _, stmt := range b.by {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// add one row of cols values.
func (b *bulk) add(values ...any) { b.args = append(b.args, values...) }

func (b *bulk) rows() int { return len(b.args) / b.cols }

func (b *bulk) drop() {
	clear(b.args)
	b.args = b.args[:0]
}

// flush writes the rows added and returns how many were inserted.
func (b *bulk) flush(ctx context.Context) (int64, error) {
	defer b.drop()
	rows, inserted := b.rows(), int64(0)
	for at := 0; at < rows; {
		for i, n := range b.sizes {
			if rows-at < n {
				continue
			}
			stmt, err := b.stmt(ctx, i) //nolint:sqlclosecheck // lives as long as the connection
			if err != nil {
				return inserted, err
			}
			res, err := stmt.ExecContext(ctx, b.args[at*b.cols:(at+n)*b.cols]...)
			if err != nil {
				return inserted, err
			}
			k, err := res.RowsAffected()
			if err != nil {
				return inserted, err
			}
			inserted += k
			at += n
			break
		}
	}
	return inserted, nil
}

// bulkSizes are the lengths in rows of INSERT statements. Over a socket a
// statement costs a round trip, inside the process next to nothing.
func bulkSizes(in sqldb.Dialect) []int {
	if in == sqldb.Postgres {
		return []int{128, 64, 32, 16, 8, 4, 2, 1}
	}
	return []int{32, 8, 1}
}
