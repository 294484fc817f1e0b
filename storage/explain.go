package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/subscriptions"
)

var _ api.ExplainStore = (*DB)(nil)

// FindVersionsAt implements api.ExplainStore.
func (db *DB) FindVersionsAt(
	ctx context.Context, tenant, at, before int64, limit int,
) ([]*subscriptions.Subscription, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return db.versionsAt(ctx, at, "s.tenant = ? AND s.no < ? ORDER BY s.no DESC LIMIT ?", tenant, before, limit)
}

// KeyHolder implements api.ExplainStore.
func (db *DB) KeyHolder(ctx context.Context, sub, seq int64, now time.Time) (string, error) {
	var key int64
	err := db.read.GetContext(ctx, &key, "SELECT order_key FROM deliveries WHERE sub = ? AND seq = ? AND run = 0", sub,
		seq)
	if errors.Is(err, sql.ErrNoRows) || err == nil && key == 0 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("order key of delivery: %w", err)
	}
	return holder(ctx, db.in, db.read, sub, key, now.UnixMilli())
}
