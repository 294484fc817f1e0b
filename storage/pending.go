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
