package storage

import (
	"context"
	"time"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Times of what a process does again and again because others write the same database.
const (
	countEvery = 5 * time.Second
	dayEvery   = time.Minute
	upkeepWait = 30 * time.Second // bound of one round
)

// RunUpkeep keeps what this process knows of a shared database near the truth, and makes room
// for the days to come, until ctx ends. An embedded store does not need it.
func (db *DB) RunUpkeep(ctx context.Context) error {
	if db.in == sqldb.SQLite {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for days := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}

		round, cancel := context.WithTimeout(ctx, upkeepWait)
		if err := db.writer.pending.recount(round, db.read, db.in); err != nil && ctx.Err() == nil {
			db.log.Warn("upkeep", "err", err)
		}
		if err := db.writer.bytes.load(round, db.read); err != nil && ctx.Err() == nil {
			db.log.Warn("upkeep", "err", err)
		}
		if time.Since(days) >= dayEvery {
			days = time.Now()
			if err := db.prepareDays(round); err != nil && ctx.Err() == nil {
				db.log.Error("upkeep", "err", err)
			}
		}
		cancel()
	}
}
