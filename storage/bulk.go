package storage

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/jmoiron/sqlx"
)

// bulk inserts many rows with few statements: prepared ones of 32, 8 and 1 rows.
type bulk struct {
	cols int
	args []any
	by   [len(bulkSizes)]*sql.Stmt
}

var bulkSizes = [...]int{32, 8, 1}

// prepareBulk: insert is "INSERT … VALUES", tail what follows the rows.
func prepareBulk(ctx context.Context, conn *sqlx.Conn, insert string, cols int, tail string) (*bulk, error) {
	b := &bulk{cols: cols}
	row := "(?" + strings.Repeat(",?", cols-1) + ")"
	for i, n := range bulkSizes {
		stmt, err := conn.PrepareContext(ctx, insert+" "+row+strings.Repeat(","+row, n-1)+" "+tail) //nolint:sqlclosecheck // lives as long as the connection
		if err != nil {
			return nil, err
		}
		b.by[i] = stmt
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

func (b *bulk) drop() {
	clear(b.args)
	b.args = b.args[:0]
}

// flush writes the rows added and returns how many were inserted.
func (b *bulk) flush(ctx context.Context) (int64, error) {
	defer b.drop()
	rows, inserted := len(b.args)/b.cols, int64(0)
	for at := 0; at < rows; {
		for i, n := range bulkSizes {
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
