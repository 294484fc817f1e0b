package folds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

const (
	foldEvery = 250 * time.Millisecond // between two looks for something new
	foldSweep = time.Minute            // between two looks at all tenants, also those that others serve
)

// Run folds what is new until ctx ends, deletes what retention says, and indexes what is
// older than the index of numbers. Tenants take turns: one that is far behind delays no
// other.
func (f *Folds) Run(ctx context.Context) error {
	indexing := make(chan struct{})
	go func() {
		defer close(indexing)
		f.runIndex(ctx)
	}()
	defer func() { <-indexing }()

	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	behind := map[int64]int64{} // by tenant: up to which number it is folded
	for sweep := time.Now(); ctx.Err() == nil; {
		// The tenants whose events this process stored, and now and then all others: their
		// events came through other processes, or before this one started.
		tenants := f.cfg.Store.LastEvents()
		if !time.Now().Before(sweep) {
			sweep = time.Now().Add(foldSweep)
			all, err := f.tenants(ctx)
			if err = errors.Join(err, f.Trim(ctx)); err != nil && ctx.Err() == nil {
				f.cfg.Log.Error("folds", "err", err)
			}
			for _, t := range all {
				if _, here := tenants[t]; !here {
					tenants[t] = 0
				}
			}
		}

		f.findBehind(ctx, tenants, behind)
		for _, tenant := range slices.Sorted(maps.Keys(behind)) {
			more, err := f.step(ctx, tenant, behind[tenant])
			f.complain(ctx, tenant, err)
			if err != nil || !more {
				delete(behind, tenant)
			}
		}
		if len(behind) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// findBehind adds the tenants that have something new, with the number up to which that is,
// to those that are behind. tenants has the last number of each, 0 if nobody knows it.
func (f *Folds) findBehind(ctx context.Context, tenants, behind map[int64]int64) {
	for tenant, last := range tenants {
		if _, there := behind[tenant]; there || last > 0 && f.came(tenant) >= last {
			continue
		}
		to, err := f.horizon(ctx, tenant)
		f.complain(ctx, tenant, err)
		if err == nil {
			behind[tenant] = to
		}
	}
}

// complain logs why a tenant was not folded ahead of queries, unless the store closes.
func (f *Folds) complain(ctx context.Context, tenant int64, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, sqldb.ErrClosed) {
		f.cfg.Log.Error("folds", "tenant", tenant, "err", err)
	}
}

// Trim deletes what came from bodies that retention removed.
func (f *Folds) Trim(ctx context.Context) error {
	var tenants []struct {
		No    int64 `db:"tenant"`
		Below int64 `db:"payload"`
	}
	if err := f.cfg.Read.SelectContext(ctx, &tenants, "SELECT tenant, payload FROM retention"); err != nil {
		return err
	}
	for _, t := range tenants {
		for _, g := range f.all {
			if err := f.trimFold(ctx, g, t.No, t.Below); err != nil {
				return fmt.Errorf("%s of tenant %d: %w", g.name(), t.No, err)
			}
		}

		news := false
		if err := f.transact(ctx, t.No, func(tx Tx) (err error) {
			news, err = mark(ctx, tx, trimmed, t.No, t.Below)
			return err
		}); err != nil {
			return fmt.Errorf("trim tenant %d: %w", t.No, err)
		}
		if news {
			f.forget(t.No)
		}
	}
	return nil
}

// trimFold deletes the rows of a fold that come from events below a number.
func (f *Folds) trimFold(ctx context.Context, g fold, tenant, below int64) error {
	old, is := g.(trimmer)
	for more := is; more; {
		if err := f.transact(ctx, tenant, func(tx Tx) (err error) {
			more, err = old.trim(ctx, tx, tenant, below)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (f *Folds) tenants(ctx context.Context) (all []int64, err error) {
	err = f.cfg.Read.SelectContext(ctx, &all, "SELECT no FROM tenants WHERE deleted_at IS NULL ORDER BY no")
	return all, err
}
