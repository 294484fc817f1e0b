package storage

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/jmoiron/sqlx"
)

// bulk inserts many rows with few statements: prepared ones of some sizes.
type bulk struct {
	cols  int
	args  []any
	sizes []int // rows of each statement, falling to 1
	by    []*sql.Stmt
}

// prepareBulk: insert is "INSERT … VALUES", tail what follows the rows.
func prepareBulk(ctx context.Context, conn *sqlx.Conn, sizes []int, insert string, cols int, tail string) (*bulk, error) {
	b := &bulk{cols: cols, sizes: sizes}
	row := "(?" + strings.Repeat(",?", cols-1) + ")"
	for _, n := range sizes {
		stmt, err := conn.PrepareContext(ctx, insert+" "+row+strings.Repeat(","+row, n-1)+" "+tail) //nolint:sqlclosecheck // lives as long as the connection
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.by = append(b.by, stmt)
	}
	return b, nil
}

func (b *bulk) close() error {
	var errs []error
	for _, stmt := range b.by {
		errs = append(errs, stmt.Close())
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
			res, err := b.by[i].ExecContext(ctx, b.args[at*b.cols:(at+n)*b.cols]...)
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
