package folds

import (
	"context"
	"fmt"
	"time"

	"github.com/hookline/hookline/hub/record"
)

// AsIs returns the same folds for questions that are answered at once, from what is folded.
// Wait says how far that is.
func (f *Folds) AsIs() *Folds { return &Folds{shared: f.shared, asIs: true} }

// Wait folds what a tenant has accepted before the call, for as long as atMost allows, and
// returns how far the folds are then. Questions that are asked AsIs afterwards see at least
// that. It is no error if the time was not enough.
func (f *Folds) Wait(ctx context.Context, tenant int64, atMost time.Duration) (record.AsOf, error) {
	bound, stop := context.WithTimeout(ctx, atMost)
	defer stop()
	to, err := f.foldTo(bound, tenant)
	whole := err == nil
	if !whole {
		if bound.Err() == nil || ctx.Err() != nil {
			return record.AsOf{}, err
		}
		// On PostgreSQL to is the last number given out: perhaps to an event that is not
		// committed yet, which is then not counted.
		if to, err = f.lastNumber(ctx, tenant); err != nil {
			return record.AsOf{}, fmt.Errorf("as of: %w", err)
		}
	}

	var as record.AsOf
	err = f.snapshot(ctx, "as of", func(snap snapshot) error {
		from := to
		if !whole {
			at, err := positions(ctx, snap.Q, tenant)
			if err != nil {
				return err
			}
			from = f.least(at)
		}
		as, err = snap.asOf(ctx, tenant, from, to)
		return err
	})
	return as, err
}

// asOf returns how far folds are that have seen the events up to from, of those up to to.
func (snap snapshot) asOf(ctx context.Context, tenant, from, to int64) (as record.AsOf, err error) {
	row := snap.Q.QueryRowxContext(ctx, `SELECT
			coalesce((SELECT accepted_at FROM events WHERE tenant = ? AND seq <= ? ORDER BY seq DESC LIMIT 1), 0),
			(SELECT count(*) FROM events WHERE tenant = ? AND seq > ? AND seq <= ?)`, tenant, from, tenant, from, to)
	return as, row.Scan(&as.At, &as.Behind)
}
