package folds

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/storage/internal/sqldb"
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
			at, err := f.positions(ctx, snap.Q, tenant)
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
	if err := sqlx.GetContext(ctx, snap.Q, &as.At, `SELECT coalesce((SELECT accepted_at FROM events
		WHERE tenant = ? AND seq <= ? ORDER BY seq DESC LIMIT 1), 0)`, tenant, from); err != nil {
		return as, err
	}
	err = sqlx.GetContext(ctx, snap.Q, &as.Behind, `SELECT count(*) FROM (SELECT seq FROM events
		WHERE tenant = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?) k`, tenant, from, to, mostCounted)
	return as, err
}

// mostCounted is how many events are counted of those that a tenant's folds lack. Past them
// nobody looks at the number, and counting would cost as much as folding.
const mostCounted = 100_000

// Lag is what a fold lacks, of all tenants.
type Lag struct {
	Fold   string
	Events int64 // accepted and not folded; of each tenant 100,000 are counted at most
	Oldest int64 // Unix ms: when the first of them was accepted; 0: nothing is missing
}

// Lags returns what each fold lacks, in the order of Names.
func (f *Folds) Lags(ctx context.Context) ([]Lag, error) {
	lags := make([]Lag, len(f.all))
	for i, g := range f.all {
		lags[i].Fold = g.name()
	}
	err := f.snapshot(ctx, "lag of folds", func(snap snapshot) error {
		tenants, err := f.tenantsBehind(ctx, snap)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if err := f.addLags(ctx, snap, t, lags); err != nil {
				return fmt.Errorf("tenant %d: %w", t, err)
			}
		}
		return nil
	})
	return lags, err
}

// tenantsBehind returns the tenants that have events which some fold lacks.
func (f *Folds) tenantsBehind(ctx context.Context, snap snapshot) (behind []int64, err error) {
	var names []any
	for _, g := range f.all {
		names = append(names, g.name())
	}
	// A fold that never began has no row, and then none of the others has one.
	err = sqlx.SelectContext(ctx, snap.Q, &behind, `SELECT t.no FROM tenants t WHERE t.deleted_at IS NULL AND EXISTS
		(SELECT 1 FROM events e WHERE e.tenant = t.no AND e.seq > coalesce((SELECT min(f.position) FROM folds f
			WHERE f.tenant = t.no AND f.name IN (`+sqldb.Values("?", len(names))+")), 0)) ORDER BY t.no", names...)
	return behind, err
}

// addLags adds what the folds of a tenant lack.
func (f *Folds) addLags(ctx context.Context, snap snapshot, tenant int64, lags []Lag) error {
	at, err := f.positions(ctx, snap.Q, tenant)
	if err != nil {
		return err
	}
	missing := map[int64]Lag{} // by position: most often the folds have one
	for i := range lags {
		from := at[lags[i].Fold]
		l, counted := missing[from]
		if !counted {
			row := snap.Q.QueryRowxContext(ctx, `SELECT count(*), coalesce(min(accepted_at), 0) FROM
				(SELECT accepted_at FROM events WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?) k`, tenant, from, mostCounted)
			if err := row.Scan(&l.Events, &l.Oldest); err != nil {
				return err
			}
			missing[from] = l
		}

		lags[i].Events += l.Events
		if l.Oldest > 0 && (lags[i].Oldest == 0 || l.Oldest < lags[i].Oldest) {
			lags[i].Oldest = l.Oldest
		}
	}
	return nil
}
