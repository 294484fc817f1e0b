package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// What a process does all the time because others write the same database.
const (
	countEvery = 5 * time.Second
	dayEvery   = time.Minute
	upkeepWait = 30 * time.Second // bound of one round
)

// RunUpkeep keeps what this process knows of a shared database near the truth,
// and makes room for the days to come, until ctx ends. An embedded store needs
// none of it.
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
		if err := db.w.pending.recount(round, db.read, db.in); err != nil && ctx.Err() == nil {
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

// recount counts what is pending; on PostgreSQL by the sums of the hours: one range a
// subscription, from the hour of its oldest pending run on. Before that hour
// nothing is pending. Runs that were asked for of deliveries which were
// delivered before are in no sum. What this process commits meanwhile may be
// missing from the counts until the next round.
func (p *pendingCounts) recount(ctx context.Context, q sqlx.QueryerContext, in sqldb.Dialect) error {
	question := countPending
	if in == sqldb.Postgres {
		question = recountPending
	}
	rows, err := q.QueryxContext(ctx, question)
	if err != nil {
		return fmt.Errorf("count pending: %w", err)
	}
	defer rows.Close()
	fresh := newPendingCounts()
	for rows.Next() {
		var sub, tenant int64
		var n int
		if err := rows.Scan(&sub, &tenant, &n); err != nil {
			return fmt.Errorf("count pending: %w", err)
		}
		fresh.change(sub, tenant, n)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("count pending: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bySub, p.byTenant, p.tenants = fresh.bySub, fresh.byTenant, fresh.tenants
	return nil
}
