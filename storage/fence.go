package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookline/hookline/delivery"
)

// Ownership of a subscription's shard, as the process believes it to be.
type Ownership struct {
	Shard int
	Epoch int64
	Owned bool
}

// ErrFenced is what becomes of an outcome whose shard another process owns by
// now: it is not recorded, and the run is for the new owner to judge.
var ErrFenced = errors.New("the shard of this subscription belongs to another process")

// fence takes out of the batch the outcomes of shards that this process does not
// own, and tells them. The rows of the others stay as they are until the
// transaction ends: nobody takes over a shard while its outcomes are recorded.
func (k *worker) fence(ctx context.Context, b *batch) error {
	owner := k.db.cfg.Owner
	if owner == nil || len(b.outcomes) == 0 {
		return nil
	}
	believed := map[int]int64{}
	of := make([]Ownership, len(b.outcomes))
	for i, o := range b.outcomes {
		if of[i] = owner(o.Item.Sub); of[i].Owned {
			believed[of[i].Shard] = of[i].Epoch
		}
	}
	held, err := k.heldShards(ctx, believed)
	if err != nil {
		return fmt.Errorf("check ownership: %w", err)
	}
	var kept []*delivery.Outcome
	for i, o := range b.outcomes {
		if of[i].Owned && held[of[i].Shard] {
			kept = append(kept, o)
			continue
		}
		k.w.stat.Fenced.Add(1)
		o.Done(ErrFenced)
	}
	b.outcomes = kept
	return nil
}

// heldShards are those of which the database says the same as this process.
func (k *worker) heldShards(ctx context.Context, believed map[int]int64) (map[int]bool, error) {
	held := make(map[int]bool, len(believed))
	if k.db.in == inSQLite {
		for shard := range believed {
			held[shard] = true
		}
		return held, nil
	}
	var rows []struct {
		Shard int    `db:"shard"`
		Owner string `db:"owner"`
		Epoch int64  `db:"epoch"`
	}
	if err := sqlx.SelectContext(ctx, k.conn, &rows, "SELECT shard, owner, epoch FROM shards WHERE shard = ANY(?) ORDER BY shard FOR SHARE",
		pq.Array(slices.Sorted(maps.Keys(believed)))); err != nil {
		return nil, err
	}
	for _, r := range rows {
		held[r.Shard] = r.Owner == k.db.cfg.Process && r.Epoch == believed[r.Shard]
	}
	return held, nil
}

// epoch with which the process owns the shard of a subscription.
func (k *worker) epoch(sub int64) int64 {
	if k.db.cfg.Owner == nil {
		return 0
	}
	return k.db.cfg.Owner(sub).Epoch
}
