package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Prepared runs statements and keeps them prepared, so that each is parsed once. One
// goroutine uses it at a time.
type Prepared struct {
	on   preparer
	tx   *sqlx.Tx              // in which they run; nil: whichever their connection is in
	kept map[string]*sqlx.Stmt // by their text
}

// preparer prepares statements: a connection, or a pool, which prepares them on each of its
// connections when they are first needed there.
type preparer interface {
	PreparexContext(ctx context.Context, query string) (*sqlx.Stmt, error)
}

// maxPrepared is how many statements are kept. Those who run them see to it that there are
// few: lists of values have few lengths (Lengths).
const maxPrepared = 500

// NewPrepared returns a Prepared of a connection, or of a pool, that has no statements yet.
func NewPrepared(on preparer) *Prepared {
	return &Prepared{on: on, kept: map[string]*sqlx.Stmt{}}
}

// In returns the same statements for a transaction of the pool.
func (p *Prepared) In(tx *sqlx.Tx) *Prepared { return &Prepared{on: p.on, tx: tx, kept: p.kept} }

// statement returns the statement with a text.
func (p *Prepared) statement(ctx context.Context, query string) (*sqlx.Stmt, error) {
	s := p.kept[query]
	if s == nil {
		if len(p.kept) >= maxPrepared {
			if err := p.Close(); err != nil {
				return nil, err
			}
		}
		var err error
		if s, err = p.on.PreparexContext(ctx, query); err != nil {
			return nil, fmt.Errorf("prepare %.40s: %w", query, err)
		}
		p.kept[query] = s
	}

	if p.tx == nil {
		return s, nil
	}
	return p.tx.StmtxContext(ctx, s), nil // ends with the transaction
}

// ExecContext runs a statement without rows.
func (p *Prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // it is kept until Close
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// GetContext reads one row into dest; sql.ErrNoRows if there is no row.
func (p *Prepared) GetContext(ctx context.Context, dest any, query string, args ...any) error {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // it is kept until Close
	if err != nil {
		return err
	}
	return s.GetContext(ctx, dest, args...)
}

// SelectContext reads all rows into dest, which points to a slice.
func (p *Prepared) SelectContext(ctx context.Context, dest any, query string, args ...any) error {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // it is kept until Close
	if err != nil {
		return err
	}
	return s.SelectContext(ctx, dest, args...)
}

// Close frees the statements. It is safe to repeat.
func (p *Prepared) Close() error {
	var errs []error
	for text, s := range p.kept {
		errs = append(errs, s.Close())
		delete(p.kept, text)
	}
	return errors.Join(errs...)
}

// Lengths are how many values, or rows, a statement lists: few, so that few statements are
// prepared. They fall to 1.
var Lengths = []int{64, 32, 16, 8, 4, 2, 1}

// Fitting returns the longest of the Lengths that n items can fill; n is above 0.
func Fitting(n int) int {
	for _, l := range Lengths {
		if l <= n {
			return l
		}
	}
	return 1
}

// Filled returns a list of at most Lengths[0] items, filled up to one of the Lengths with
// its last item. It is for lists in which an item may stand twice, such as that of IN.
func Filled[T any](items []T) []T {
	if len(items) == 0 {
		return items
	}
	length := Lengths[0]
	for _, l := range Lengths {
		if l >= len(items) {
			length = l
		}
	}
	full := append(make([]T, 0, length), items...)
	for len(full) < length {
		full = append(full, items[len(items)-1])
	}
	return full
}
