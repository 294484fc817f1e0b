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

// walk goes down an index by event number and keeps the rows that its filter picks.
// However rare these are, each step looks at a bounded number of rows.
type walk struct {
	table  string // and the index, when it is not the clustered one
	where  string // what holds for the whole range of the index, in the words of its declaration
	args   []any  // of where
	filter string // tested row by row; "": all rows are kept
	picks  []any  // the filter's arguments
	below  int64  // the walk has passed the rows at or above this number; going up: none of interest is there
	low    int64  // the lowest number of interest
	up     bool   // it goes up instead
	above  int64  // going up, it has passed the rows at or below this number
	reach  int64  // how many numbers above first a step may cross; 0: any
	first  int64
	done   bool // nothing is left at or above low
}

// step returns the next event numbers, highest first, at most limit of them and each
// once. It looks at no more than look rows.
func (w *walk) step(ctx context.Context, q sqlx.QueryerContext, look, limit int) ([]int64, error) {
	if w.up {
		return w.stepUp(ctx, q, look, limit)
	}

	// The lowest number that this step reaches: by its reach, and by the rows that it may
	// look at when they have to be tested. whole: nothing of interest is below it.
	low, whole := w.low, true
	if w.reach > 0 && w.below-w.reach > max(w.first, w.low) {
		low = w.below - w.reach
		whole = false
	}
	floor := low
	if w.filter != "" {
		err := sqlx.GetContext(ctx, q, &floor, "SELECT seq FROM "+w.table+" WHERE "+w.where+
			" AND seq < ? AND seq >= ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
			slices.Concat(w.args, []any{w.below, low, look - 1})...)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			floor = low
		case err != nil:
			return nil, err
		default:
			whole = false
		}
	}

	query := "SELECT seq FROM " + w.table + " WHERE " + w.where + " AND seq < ? AND seq >= ?"
	args := slices.Concat(w.args, []any{w.below, floor})
	if w.filter != "" {
		query += " AND (" + w.filter + ")"
		args = append(args, w.picks...)
	}
	var seqs []int64
	if err := sqlx.SelectContext(ctx, q, &seqs, query+" ORDER BY seq DESC LIMIT ?", append(args, limit)...); err != nil {
		return nil, err
	}

	switch {
	case len(seqs) == limit:
		w.below = seqs[limit-1] // it skips further runs of that delivery, which is found already
	case whole:
		w.done = true
	default:
		w.below = floor
	}
	w.done = w.done || w.below <= w.low
	return unique(seqs), nil
}

// stepUp is step for a walk that goes up: it returns the lowest numbers first.
func (w *walk) stepUp(ctx context.Context, q sqlx.QueryerContext, look, limit int) ([]int64, error) {
	// The highest number that this step reaches, by the rows that it may look at when they
	// have to be tested.
	ceiling, whole := w.below-1, true
	if w.filter != "" {
		err := sqlx.GetContext(ctx, q, &ceiling, "SELECT seq FROM "+w.table+" WHERE "+w.where+
			" AND seq > ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?",
			slices.Concat(w.args, []any{w.above, w.below, look - 1})...)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			ceiling = w.below - 1
		case err != nil:
			return nil, err
		default:
			whole = false
		}
	}

	query := "SELECT seq FROM " + w.table + " WHERE " + w.where + " AND seq > ? AND seq <= ?"
	args := slices.Concat(w.args, []any{w.above, ceiling})
	if w.filter != "" {
		query += " AND (" + w.filter + ")"
		args = append(args, w.picks...)
	}
	var seqs []int64
	if err := sqlx.SelectContext(ctx, q, &seqs, query+" ORDER BY seq LIMIT ?", append(args, limit)...); err != nil {
		return nil, err
	}

	switch {
	case len(seqs) == limit:
		w.above = seqs[limit-1]
	case whole:
		w.done = true
	default:
		w.above = ceiling
	}
	w.done = w.done || w.above >= w.below-1
	return unique(seqs), nil
}

// narrow adds a condition to the filter.
func (w *walk) narrow(filter string, picks ...any) {
	if w.filter != "" {
		filter = w.filter + " AND " + filter
	}
	w.filter = filter
	w.picks = append(w.picks, picks...)
}

// unique removes repetitions from a sorted slice, in place.
func unique(seqs []int64) []int64 {
	kept := seqs[:0]
	for i, s := range seqs {
		if i == 0 || s != seqs[i-1] {
			kept = append(kept, s)
		}
	}
	return kept
}

// seqRange returns a range [low, below) of event numbers that contains all events of a
// tenant accepted at from <= t < to, Unix ms; 0 means open. In SQLite it contains no others.
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

// accepted returns the filter for the times that seqRange may exceed; "" if it does not.
func (snap snapshot) accepted(from, to int64) (filter string, picks []any) {
	if snap.In == sqldb.SQLite || from <= 0 && to <= 0 {
		return "", nil
	}
	if to <= 0 {
		to = math.MaxInt64
	}
	return "accepted_at >= ? AND accepted_at < ?", []any{from, to}
}

// seqAt finds by bisection the number from which on the tenant's events were accepted
// at or after ms. Times of acceptance never fall while numbers grow, give or take
// acceptSkew.
func (snap snapshot) seqAt(ctx context.Context, tenant, ms int64) (int64, error) {
	low, high, err := snap.seqsAround(ctx, tenant, ms)
	if err != nil {
		return 0, fmt.Errorf("range of events: %w", err)
	}
	for low < high {
		middle := low + (high-low)/2
		var seq, at int64
		err := snap.Q.QueryRowxContext(ctx,
			"SELECT seq, accepted_at FROM events WHERE tenant = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT 1",
			tenant, middle, high).Scan(&seq, &at)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			high = middle
		case err != nil:
			return 0, fmt.Errorf("event at %d: %w", ms, err)
		case at >= ms:
			high = middle
		default:
			low = seq + 1
		}
	}
	return low, nil
}

// seqsAround returns the range of numbers that an event accepted at ms may have.
func (snap snapshot) seqsAround(ctx context.Context, tenant, ms int64) (lo, hi int64, err error) {
	if snap.In == sqldb.Postgres { // a number begins with the day, or the one before it
		day := ms / dayMS
		return max(0, day-1) << dayBits, (day + 2) << dayBits, nil
	}
	err = snap.Q.QueryRowxContext(ctx, `SELECT
		COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq LIMIT 1), 0),
		COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq DESC LIMIT 1) + 1, 0)`, tenant, tenant).Scan(&lo, &hi)
	return lo, hi, err
}

// acceptSkew returns by how many ms at most an event was accepted before one with a lower
// number. SQLite has one writer. On PostgreSQL number and time come from the server in
// one statement, and the server may stall in between.
func acceptSkew(in sqldb.Dialect) int64 {
	if in == sqldb.Postgres {
		return 5000
	}
	return 0
}
