package access

import "sync"

// Quota counts what tenants do at the same time in this process. The zero Quota
// is empty.
type Quota struct {
	mu   sync.Mutex
	used map[int64]int
}

// Take one for a tenant; false: it has limit already. Give it back.
func (q *Quota) Take(tenant int64, limit int) bool {
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

// Give back what Take took.
func (q *Quota) Give(tenant int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[tenant]--; q.used[tenant] == 0 {
		delete(q.used, tenant)
	}
}
