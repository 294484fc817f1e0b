package folds

import (
	"context"
	"fmt"
)

// BehindAll returns how many events of all tenants are not folded yet.
func (f *Folds) BehindAll(ctx context.Context) (behind int64, err error) {
	tenants, err := f.tenants(ctx)
	if err != nil {
		return 0, fmt.Errorf("tenants: %w", err)
	}
	for _, t := range tenants {
		as, err := f.Wait(ctx, t, 0)
		if err != nil {
			return 0, err
		}
		behind += as.Behind
	}
	return behind, nil
}
