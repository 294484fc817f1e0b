package access

import "sync"

// Quota counts what each tenant does at the same time in this process. The zero Quota
// is empty and ready. It is safe for concurrent use.
type Quota struct {
	mu    sync.Mutex
	taken map[int64]int // by tenant
}

// Take counts one more for a tenant, unless there are limit of them already: then it
// returns false. Call Give at the end.
func (q *Quota) Take(tenant int64, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken[tenant] >= limit {
		return false
	}
	if q.taken == nil {
		q.taken = map[int64]int{}
	}
	q.taken[tenant]++
	return true
}

// Give counts one less for a tenant: it gives back what Take took.
func (q *Quota) Give(tenant int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken[tenant]--
	if q.taken[tenant] == 0 {
		delete(q.taken, tenant)
	}
}
