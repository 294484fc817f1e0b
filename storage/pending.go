package storage

import (
	"context"
	"fmt"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// pendingCounts knows how many runs are pending, by subscription and by tenant,
// without asking the database. For a moment it may count a run too many that is about
// to be committed, or has just ended. An embedded store never counts one too few;
// with several processes, those of the others are counted with the next recount.
type pendingCounts struct {
	mu       sync.Mutex
	bySub    map[int64]int
	byTenant map[int64]int
	tenants  map[int64]int64 // of the subscriptions in bySub
}

func newPendingCounts() pendingCounts {
	return pendingCounts{bySub: map[int64]int{}, byTenant: map[int64]int{}, tenants: map[int64]int64{}}
}

// pendingDelta is what a transaction under way does to the counts.
type pendingDelta struct {
	added     map[int64]addedRuns // by subscription
	endCounts map[int64]int       // by subscription
}

// addedRuns is what a transaction adds to a subscription of a tenant.
type addedRuns struct {
	tenant int64
	n      int
	lowest int64 // number of an event
}

func newPendingDelta() pendingDelta {
	return pendingDelta{added: map[int64]addedRuns{}, endCounts: map[int64]int{}}
}

// add counts a run of an event. Numbers of later calls are higher.
func (d *pendingDelta) add(sub, tenant, seq int64) {
	a, there := d.added[sub]
	if !there {
		a = addedRuns{tenant: tenant, lowest: seq}
	}
	a.n++
	d.added[sub] = a
}

func (d *pendingDelta) done(sub int64) { d.endCounts[sub]++ }

// drop forgets a transaction that failed.
func (d *pendingDelta) drop() {
	clear(d.added)
	clear(d.endCounts)
}

// apply counts a transaction that was committed, and returns which subscriptions
// have new rows. While commits come in the order of their numbers, none of these is
// below another. If they do not (unordered), each says from where on there may be some.
func (p *pendingCounts) apply(d *pendingDelta, unordered bool) (nudges []Rows) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub, a := range d.added {
		p.change(sub, a.tenant, a.n)
		r := Rows{Sub: sub}
		if unordered {
			r.From = a.lowest
		}
		nudges = append(nudges, r)
	}
	for sub, n := range d.endCounts {
		p.change(sub, p.tenants[sub], -n)
	}
	d.drop()
	return nudges
}

// change changes the counts; callers hold the lock.
func (p *pendingCounts) change(sub, tenant int64, by int) {
	p.tenants[sub] = tenant
	p.byTenant[tenant] += by
	p.bySub[sub] += by
	if p.bySub[sub] <= 0 {
		delete(p.bySub, sub)
		delete(p.tenants, sub)
	}
	if p.byTenant[tenant] <= 0 {
		delete(p.byTenant, tenant)
	}
}

// Change counts rows that an admin's transaction made pending or ended.
func (p *pendingCounts) Change(sub, tenant int64, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(sub, tenant, by)
}

// PendingOf returns how many runs of a tenant's deliveries are pending.
func (db *DB) PendingOf(tenant int64) int {
	p := &db.writer.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byTenant[tenant]
}

// countPending and recountPending count the pending runs of each subscription that
// has some. SQLite counts once, at its start. PostgreSQL is asked again and again, so
// recountPending leaps from subscription to subscription through the index, and takes
// the sums of the hours from that of the oldest pending run on.
const (
	countPending = `SELECT d.sub, s.tenant, d.n FROM
		(SELECT sub, count(*) AS n FROM deliveries WHERE state = 0 GROUP BY sub) d JOIN subscriptions s ON s.no = d.sub`
	recountPending = `WITH RECURSIVE leap(sub) AS (
			(SELECT sub FROM deliveries WHERE state = 0 ORDER BY sub LIMIT 1)
			UNION ALL
			SELECT (SELECT d.sub FROM deliveries d WHERE d.state = 0 AND d.sub > leap.sub ORDER BY d.sub LIMIT 1)
				FROM leap WHERE leap.sub IS NOT NULL)
		SELECT s.no, s.tenant, greatest(1,
			(SELECT COALESCE(sum(h.matched - h.delivered - h.exhausted - h.expired - h.cancelled - h.superseded), 0)
				FROM delivery_hours h WHERE h.sub = s.no AND h.hour >= oldest.accepted_at / 3600000 - 1)
			+ (SELECT count(*) FROM deliveries r
				JOIN deliveries f ON f.sub = r.sub AND f.seq = r.seq AND f.run = 0 AND f.state = 1
				WHERE r.sub = s.no AND r.state = 0 AND r.run > 0)
			- (SELECT count(*) FROM deliveries r WHERE r.sub = s.no AND r.state = 7 AND r.run = 0
				AND r.accepted_at / 3600000 >= oldest.accepted_at / 3600000 - 1))
		FROM leap JOIN subscriptions s ON s.no = leap.sub
			JOIN LATERAL (SELECT accepted_at FROM deliveries
				WHERE state = 0 AND sub = leap.sub ORDER BY seq, run LIMIT 1) oldest ON true`
)

// recount counts what is pending in the database. On PostgreSQL it adds up the hours
// of each subscription, from the hour of its oldest pending run on: before that hour
// nothing is pending. To these it adds later runs of deliveries that were delivered
// before, which no hour counts, and takes away deliveries that a replay made, which are
// pending beside the live ones. What this process commits during the recount may be
// missing until the next one.
func (p *pendingCounts) recount(ctx context.Context, q sqlx.QueryerContext, in sqldb.Dialect) error {
	query := countPending
	if in == sqldb.Postgres {
		query = recountPending
	}
	rows, err := q.QueryxContext(ctx, query)
	if err != nil {
		return fmt.Errorf("count pending: %w", err)
	}
	defer rows.Close()

	counted := newPendingCounts()
	for rows.Next() {
		var sub, tenant int64
		var n int
		if err := rows.Scan(&sub, &tenant, &n); err != nil {
			return fmt.Errorf("count pending: %w", err)
		}
		counted.change(sub, tenant, n)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("count pending: %w", err)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.bySub = counted.bySub
	p.byTenant = counted.byTenant
	p.tenants = counted.tenants
	return nil
}
