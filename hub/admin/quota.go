package admin

import (
	"sync"

	"github.com/hookline/hookline/hub/access"
)

// quota counts what tenants do at the same time. The zero quota is empty.
type quota struct {
	mu   sync.Mutex
	used map[int64]int
}

// take one for a tenant; false: it has limit already. Give it back.
func (q *quota) take(tenant int64, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[tenant] >= limit {
		return false
	}
	if q.used == nil {
		q.used = map[int64]int{}
	}
	q.used[tenant]++
	return true
}

func (q *quota) give(tenant int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[tenant]--; q.used[tenant] == 0 {
		delete(q.used, tenant)
	}
}

// limits in force for the caller's tenant.
func (a *API) limits(c access.Caller) access.Limits {
	if t := a.Book.Tenant(c.Tenant); t != nil {
		return t.Limits.Effective()
	}
	return access.DefaultLimits
}
