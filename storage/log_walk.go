package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// walk goes down one index by event number and keeps what its filter picks.
// However rare that is, each step looks at a bounded number of rows.
type walk struct {
	table  string // and the index, when it is not the clustered one
	where  string // what holds for the whole range of the index, in its own words
	args   []any
	filter string // tested row by row; "": all are kept
	picks  []any  // the filter's arguments
	below  int64  // rows at or above it are done with
	low    int64  // the lowest of interest
	span   int64  // how many numbers a step may cross above first; 0: any
	first  int64
	done   bool // nothing is left above low
}

// step returns the next event numbers, at most limit, downwards, each once,
// out of at most look rows.
func (w *walk) step(ctx context.Context, q sqlx.QueryerContext, look, limit int) ([]int64, error) {
	low, whole := w.low, true
	if w.span > 0 && w.below-w.span > max(w.first, w.low) {
		low, whole = w.below-w.span, false
	}
	floor := low
	if w.filter != "" {
		err := sqlx.GetContext(ctx, q, &floor, "SELECT seq FROM "+w.table+" WHERE "+w.where+
			" AND seq < ? AND seq >= ? ORDER BY seq DESC LIMIT 1 OFFSET ?", slices.Concat(w.args, []any{w.below, low, look - 1})...)
		if errors.Is(err, sql.ErrNoRows) {
			floor = low
		} else if err != nil {
			return nil, err
		} else {
			whole = false
		}
	}
	stmt := "SELECT seq FROM " + w.table + " WHERE " + w.where + " AND seq < ? AND seq >= ?"
	args := slices.Concat(w.args, []any{w.below, floor})
	if w.filter != "" {
		stmt += " AND (" + w.filter + ")"
		args = append(args, w.picks...)
	}
	var rows []int64
	if err := sqlx.SelectContext(ctx, q, &rows, stmt+" ORDER BY seq DESC LIMIT ?", append(args, limit)...); err != nil {
		return nil, err
	}
	switch {
	case len(rows) == limit:
		w.below = rows[limit-1] // further runs of the same delivery are skipped: it is found already
	case whole:
		w.done = true
	default:
		w.below = floor
	}
	w.done = w.done || w.below <= w.low
	return unique(rows), nil
}

// narrow the filter further.
func (w *walk) narrow(filter string, picks ...any) {
	if w.filter != "" {
		filter = w.filter + " AND " + filter
	}
	w.filter, w.picks = filter, append(w.picks, picks...)
}

// unique drops repetitions out of a sorted slice, in place.
func unique(seqs []int64) []int64 {
	kept := seqs[:0]
	for i, s := range seqs {
		if i == 0 || s != seqs[i-1] {
			kept = append(kept, s)
		}
	}
	return kept
}

// seqRange is a range [low, below) of event numbers of a tenant that holds all
// accepted at from <= t < to, Unix ms; 0 is open. In SQLite it holds no others.
func (snap snapshot) seqRange(ctx context.Context, tenant, from, to int64) (low, below int64, err error) {
	low, below = 1, math.MaxInt64
	if from > 0 {
		if low, err = snap.seqAt(ctx, tenant, from-acceptSkew(snap.In)); err != nil {
			return 0, 0, err
		}
	}
	if to > 0 {
		if below, err = snap.seqAt(ctx, tenant, to+acceptSkew(snap.In)); err != nil {
			return 0, 0, err
		}
	}
	return low, below, nil
}

// accepted is the filter for the times that a range of numbers may exceed.
func (snap snapshot) accepted(from, to int64) (filter string, picks []any) {
	if snap.In == sqldb.SQLite || from <= 0 && to <= 0 {
		return "", nil
	}
	if to <= 0 {
		to = math.MaxInt64
	}
	return "accepted_at >= ? AND accepted_at < ?", []any{from, to}
}

// seqAt finds by bisection the number from which on the tenant's events were
// accepted at or after ms: accepted_at never falls while numbers grow, give or
// take the skew of the sqldb.Dialect.
func (snap snapshot) seqAt(ctx context.Context, tenant, ms int64) (int64, error) {
	lo, hi, err := snap.seqsAround(ctx, tenant, ms)
	if err != nil {
		return 0, fmt.Errorf("range of events: %w", err)
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		var seq, at int64
		err := snap.Q.QueryRowxContext(ctx, "SELECT seq, accepted_at FROM events WHERE tenant = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT 1",
			tenant, mid, hi).Scan(&seq, &at)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			hi = mid
		case err != nil:
			return 0, fmt.Errorf("event at %d: %w", ms, err)
		case at >= ms:
			hi = mid
		default:
			lo = seq + 1
		}
	}
	return lo, nil
}

// seqsAround is where to look for an event accepted at ms.
func (snap snapshot) seqsAround(ctx context.Context, tenant, ms int64) (lo, hi int64, err error) {
	if snap.In == sqldb.Postgres { // its number says the day, or the one before it
		day := ms / dayMS
		return max(0, day-1) << dayBits, (day + 2) << dayBits, nil
	}
	err = snap.Q.QueryRowxContext(ctx, `SELECT
		COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq LIMIT 1), 0),
		COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq DESC LIMIT 1) + 1, 0)`, tenant, tenant).Scan(&lo, &hi)
	return lo, hi, err
}

// acceptSkew bounds by how much an event may have been accepted before one with a
// lower number, in ms. SQLite's writer is alone. On PostgreSQL number and time
// come from the server in one statement, and a process may stall in between.
func acceptSkew(in sqldb.Dialect) int64 {
	if in == sqldb.Postgres {
		return 5000
	}
	return 0
}
