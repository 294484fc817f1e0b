package folds

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// mostBehind is up to how many events of a tenant are counted that are not folded yet.
const mostBehind = 1_000_000

// Fresh returns how fresh a tenant's figures are: when the last event was accepted that
// all folds have seen, Unix ms, 0 if there is none; and how many accepted events they have
// not seen yet, counted up to a million.
func (f *Folds) Fresh(ctx context.Context, tenant int64) (asOf, behind int64, err error) {
	err = f.snapshot(ctx, "freshness of figures", func(now snapshot) error {
		asOf, behind, err = f.freshAt(ctx, now.Q, tenant)
		return err
	})
	return asOf, behind, err
}

func (f *Folds) freshAt(ctx context.Context, q sqlx.QueryerContext, tenant int64) (asOf, behind int64, err error) {
	low, err := f.lowest(ctx, q, tenant)
	if err != nil {
		return 0, 0, err
	}
	low = max(low, 0)
	if err := sqlx.GetContext(ctx, q, &asOf, `SELECT coalesce((SELECT accepted_at FROM events
		WHERE tenant = ? AND seq <= ? ORDER BY seq DESC LIMIT 1), 0)`, tenant, low); err != nil {
		return 0, 0, err
	}
	err = sqlx.GetContext(ctx, q, &behind, `SELECT count(*) FROM
		(SELECT 1 FROM events WHERE tenant = ? AND seq > ? LIMIT ?) unseen`, tenant, low, mostBehind)
	return asOf, behind, err
}

// BehindAll returns how many events of all tenants are not folded yet.
func (f *Folds) BehindAll(ctx context.Context) (behind int64, err error) {
	tenants, err := f.tenants(ctx)
	if err != nil {
		return 0, fmt.Errorf("tenants: %w", err)
	}
	for _, t := range tenants {
		_, of, err := f.Fresh(ctx, t)
		if err != nil {
			return 0, err
		}
		behind += of
	}
	return behind, nil
}
