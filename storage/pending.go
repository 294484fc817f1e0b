package storage

import (
	"context"
	"fmt"
	"sync"

	"github.com/jmoiron/sqlx"
)

// pendingCounts knows how many runs are pending, by subscription and by tenant,
// without asking the database. It may count one that is about to be committed,
// or was just ended; it never misses one that is there.
type pendingCounts struct {
	mu       sync.Mutex
	bySub    map[int64]int
	byTenant map[int64]int
	tenants  map[int64]int64 // of the subscriptions in bySub

	// of the transaction under way
	plus  map[int64]fresh
	minus map[int64]int
}

// fresh is what a transaction adds to a subscription of a tenant.
type fresh struct {
	tenant int64
	n      int
}

func newPendingCounts() pendingCounts {
	return pendingCounts{
		bySub: map[int64]int{}, byTenant: map[int64]int{}, tenants: map[int64]int64{},
		plus: map[int64]fresh{}, minus: map[int64]int{},
	}
}

func (p *pendingCounts) load(ctx context.Context, conn *sqlx.Conn) error {
	rows, err := conn.QueryContext(ctx, `SELECT d.sub, s.tenant, d.n FROM
		(SELECT sub, count(*) AS n FROM deliveries WHERE state = 0 GROUP BY sub) d JOIN subscriptions s ON s.no = d.sub`)
	if err != nil {
		return fmt.Errorf("count pending: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var sub, tenant int64
		var n int
		if err := rows.Scan(&sub, &tenant, &n); err != nil {
			return fmt.Errorf("count pending: %w", err)
		}
		p.change(sub, tenant, n)
	}
	return rows.Err()
}

func (p *pendingCounts) add(sub, tenant int64) { p.plus[sub] = fresh{tenant, p.plus[sub].n + 1} }
func (p *pendingCounts) done(sub int64)        { p.minus[sub]++ }

// drop forgets a transaction that failed.
func (p *pendingCounts) drop() { clear(p.plus); clear(p.minus) }

// apply counts a transaction that was committed and says who has new rows.
// Commits come in the order of their numbers, so none is below another.
func (p *pendingCounts) apply() (nudges []Rows) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub, f := range p.plus {
		p.change(sub, f.tenant, f.n)
		nudges = append(nudges, Rows{Sub: sub})
	}
	for sub, n := range p.minus {
		p.change(sub, p.tenants[sub], -n)
	}
	p.drop()
	return nudges
}

// change by what a transaction did. Callers outside apply use Change.
func (p *pendingCounts) change(sub, tenant int64, by int) {
	p.tenants[sub] = tenant
	p.byTenant[tenant] += by
	if p.bySub[sub] += by; p.bySub[sub] <= 0 {
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

// subsOf lists the tenant's subscriptions that have pending runs.
func (p *pendingCounts) subsOf(tenant int64) (subs []int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub, t := range p.tenants {
		if t == tenant {
			subs = append(subs, sub)
		}
	}
	return subs
}

// PendingOf is how many runs of a tenant's deliveries are pending.
func (db *DB) PendingOf(tenant int64) int {
	p := &db.w.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byTenant[tenant]
}
