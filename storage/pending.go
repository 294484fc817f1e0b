package storage

import "sync"

// pendingCounts knows how many runs are pending, by subscription and by tenant,
// without asking the database. It may count one that is about to be committed,
// or was just ended. An embedded store never misses one that is there; with
// several processes those of the others come in with the next recount.
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
	plus  map[int64]fresh
	minus map[int64]int
}

// fresh is what a transaction adds to a subscription of a tenant.
type fresh struct {
	tenant int64
	n      int
	lowest int64 // number of an event
}

func newPendingDelta() pendingDelta {
	return pendingDelta{plus: map[int64]fresh{}, minus: map[int64]int{}}
}

// add a run of an event. Numbers of later calls are higher.
func (d *pendingDelta) add(sub, tenant, seq int64) {
	f, known := d.plus[sub]
	if !known {
		f = fresh{tenant: tenant, lowest: seq}
	}
	f.n++
	d.plus[sub] = f
}

func (d *pendingDelta) done(sub int64) { d.minus[sub]++ }

// drop forgets a transaction that failed.
func (d *pendingDelta) drop() { clear(d.plus); clear(d.minus) }

// apply counts a transaction that was committed and says who has new rows.
// While commits come in the order of their numbers none is below another; else
// each says from where on there may be some.
func (p *pendingCounts) apply(d *pendingDelta, unordered bool) (nudges []Rows) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub, f := range d.plus {
		p.change(sub, f.tenant, f.n)
		r := Rows{Sub: sub}
		if unordered {
			r.From = f.lowest
		}
		nudges = append(nudges, r)
	}
	for sub, n := range d.minus {
		p.change(sub, p.tenants[sub], -n)
	}
	d.drop()
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

// PendingOf is how many runs of a tenant's deliveries are pending.
func (db *DB) PendingOf(tenant int64) int {
	p := &db.w.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byTenant[tenant]
}

// countPending counts the pending runs of each subscription that has some.
// SQLite does so at its start; recountPending is for PostgreSQL, where it is asked
// again and again. It finds the subscriptions by leaps through the index.
const (
	countPending = `SELECT d.sub, s.tenant, d.n FROM
		(SELECT sub, count(*) AS n FROM deliveries WHERE state = 0 GROUP BY sub) d JOIN subscriptions s ON s.no = d.sub`
	recountPending = `WITH RECURSIVE leap(sub) AS (
			(SELECT sub FROM deliveries WHERE state = 0 ORDER BY sub LIMIT 1)
			UNION ALL
			SELECT (SELECT d.sub FROM deliveries d WHERE d.state = 0 AND d.sub > leap.sub ORDER BY d.sub LIMIT 1) FROM leap WHERE leap.sub IS NOT NULL)
		SELECT s.no, s.tenant, greatest(1,
			(SELECT COALESCE(sum(h.matched - h.delivered - h.exhausted - h.expired - h.cancelled - h.superseded), 0) FROM delivery_hours h
				WHERE h.sub = s.no AND h.hour >= oldest.accepted_at / 3600000 - 1)
			+ (SELECT count(*) FROM deliveries r JOIN deliveries f ON f.sub = r.sub AND f.seq = r.seq AND f.run = 0 AND f.state = 1
				WHERE r.sub = s.no AND r.state = 0 AND r.run > 0))
		FROM leap JOIN subscriptions s ON s.no = leap.sub
			JOIN LATERAL (SELECT accepted_at FROM deliveries WHERE state = 0 AND sub = leap.sub ORDER BY seq, run LIMIT 1) oldest ON true`
)
