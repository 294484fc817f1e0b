package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jmoiron/sqlx"
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
	done   bool   // nothing is left above low
}

// step returns the next event numbers, at most limit, downwards, each once,
// out of at most look rows.
func (w *walk) step(ctx context.Context, q sqlx.QueryerContext, look, limit int) ([]int64, error) {
	floor, whole := w.low, true
	if w.filter != "" {
		err := sqlx.GetContext(ctx, q, &floor, "SELECT seq FROM "+w.table+" WHERE "+w.where+
			" AND seq < ? AND seq >= ? ORDER BY seq DESC LIMIT 1 OFFSET ?", slices.Concat(w.args, []any{w.below, w.low, look - 1})...)
		if errors.Is(err, sql.ErrNoRows) {
			floor = w.low
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

// seqRange is the range [low, below) of event numbers of a tenant accepted at
// from <= t < to, Unix ms; 0 is open. accepted_at never falls while seq grows.
func (l log) seqRange(ctx context.Context, tenant, from, to int64) (low, below int64, err error) {
	low, below = 1, math.MaxInt64
	if from > 0 {
		if low, err = l.seqAt(ctx, tenant, from); err != nil {
			return 0, 0, err
		}
	}
	if to > 0 {
		if below, err = l.seqAt(ctx, tenant, to); err != nil {
			return 0, 0, err
		}
	}
	return low, below, nil
}

// seqAt finds by bisection the number from which on the tenant's events were
// accepted at or after ms.
func (l log) seqAt(ctx context.Context, tenant, ms int64) (int64, error) {
	var lo, hi int64
	err := l.q.QueryRowxContext(ctx, `SELECT
		COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq LIMIT 1), 0),
		COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq DESC LIMIT 1) + 1, 0)`, tenant, tenant).Scan(&lo, &hi)
	if err != nil {
		return 0, fmt.Errorf("range of events: %w", err)
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		var seq, at int64
		err := l.q.QueryRowxContext(ctx, "SELECT seq, accepted_at FROM events WHERE tenant = ? AND seq >= ? ORDER BY seq LIMIT 1", tenant, mid).Scan(&seq, &at)
		if err != nil {
			return 0, fmt.Errorf("event at %d: %w", ms, err)
		}
		if at >= ms {
			hi = mid
		} else {
			lo = seq + 1
		}
	}
	return lo, nil
}
