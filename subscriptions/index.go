package subscriptions

import (
	"cmp"
	"slices"
	"sync"

	"github.com/hookline/hookline/hub/event"
)

// Index finds the subscriptions that want an event, in memory. The cost depends on
// the number of subscriptions of the event's tenant only. It is safe for concurrent
// use; the subscriptions in it never change.
type Index struct {
	mu      sync.RWMutex
	byNo    map[int64]*Subscription
	tenants map[int64][]entry // by number; a reader may hold a slice of it: what is in it is never overwritten
	version int64

	// Departments returns those of an agent by the tenant's directory, for filters of
	// events that name no department; nil if there is no directory. Set it before use.
	Departments func(tenant int64, agentUUID, agentID string) []string
}

// entry keeps the mask beside the pointer, so that Match passes over subscriptions
// that do not want an event without reading their memory.
type entry struct {
	types event.Mask
	sub   *Subscription
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{byNo: map[int64]*Subscription{}, tenants: map[int64][]entry{}}
}

// Put adds s, or puts it in the place of its earlier version. A deleted subscription
// is removed. A version older than the one there is ignored.
func (x *Index) Put(s *Subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.version = max(x.version, s.Version)
	old := x.byNo[s.No]
	if old != nil && old.Version > s.Version {
		return
	}
	if s.DeletedAt != nil {
		x.remove(old)
		return
	}
	if old != nil && old.Standstill.Mark > s.Standstill.Mark {
		// The row was read before its hold changed.
		c := *s
		c.Standstill = old.Standstill
		s = &c
	}
	x.put(s)
}

// SetStandstill gives a subscription a later standstill. An earlier one than the
// one there, and one of a subscription that is not there, is ignored.
func (x *Index) SetStandstill(no int64, st Standstill) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.byNo[no]
	if old == nil || old.Standstill.Mark >= st.Mark {
		return
	}
	c := *old
	c.Standstill = st
	x.put(&c)
}

func (x *Index) put(s *Subscription) {
	x.byNo[s.No] = s
	of, e := x.tenants[s.Tenant], entry{s.Types, s}
	at, found := position(of, s.No)
	switch {
	case found:
		of = slices.Clone(of)
		of[at] = e
	case at == len(of):
		of = append(of, e) // past the end of every slice that a reader holds
	default:
		of = slices.Concat(of[:at], []entry{e}, of[at:])
	}
	x.tenants[s.Tenant] = of
}

// Remove takes out the subscription with this number, if it is there.
func (x *Index) Remove(no int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(x.byNo[no])
}

func (x *Index) remove(s *Subscription) {
	if s == nil {
		return
	}
	delete(x.byNo, s.No)
	of := x.tenants[s.Tenant]
	at, _ := position(of, s.No)
	if len(of) == 1 {
		delete(x.tenants, s.Tenant)
		return
	}
	x.tenants[s.Tenant] = slices.Concat(of[:at], of[at+1:])
}

func position(of []entry, no int64) (int, bool) {
	return slices.BinarySearchFunc(of, no, func(e entry, no int64) int { return cmp.Compare(e.sub.No, no) })
}

// Get returns the subscription with this number; nil if it is not there or deleted.
func (x *Index) Get(no int64) *Subscription {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byNo[no]
}

// Match appends to into the subscriptions of the event's tenant that want it, by
// number. Paused ones are among them, because their backlog is kept.
func (x *Index) Match(e *event.Event, into []*Subscription) []*Subscription {
	var facets *event.Facets // read once, and only when a filter asks
	for _, n := range x.of(e.Tenant) {
		if !n.types.Has(e.Type) {
			continue
		}
		if facets == nil && n.sub.Filter != nil {
			facets = x.Facets(e)
		}
		if n.sub.Wants(e.Type, facets) {
			into = append(into, n.sub)
		}
	}
	return into
}

// Facets returns what filters look at in e: the facets of its body, and, if it names
// no department, those of its agents by the directory.
func (x *Index) Facets(e *event.Event) *event.Facets {
	f := event.FacetsOf(e)
	if len(f.Departments) == 0 && x.Departments != nil {
		for _, a := range f.Agents {
			f.Departments = append(f.Departments, x.Departments(e.Tenant, a.UUID, a.ID)...)
		}
	}
	return f
}

// OfTenant lists the subscriptions of a tenant by number.
func (x *Index) OfTenant(tenant int64) []*Subscription {
	of := x.of(tenant)
	subs := make([]*Subscription, len(of))
	for i, e := range of {
		subs[i] = e.sub
	}
	return subs
}

// Len returns the number of subscriptions.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byNo)
}

// Version returns the highest version that was put in.
func (x *Index) Version() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.version
}

func (x *Index) of(tenant int64) []entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.tenants[tenant]
}
