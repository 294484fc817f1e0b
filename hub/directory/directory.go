package directory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// Directory is what one tenant's directory says at one moment. It never changes,
// and nor does what it hands out.
type Directory struct {
	version     int64
	agents      map[string]*Agent
	departments map[string]*Department
	groups      map[string]*Group
	queues      map[string]*Queue
}

// Version grows with every change of the tenant's directory; 0: it is empty.
func (d *Directory) Version() int64 { return d.version }

// Agent by its agentUUID; nil: there is none.
func (d *Directory) Agent(uuid string) *Agent { return d.agents[uuid] }

// Department by its id; nil: there is none.
func (d *Directory) Department(id string) *Department { return d.departments[id] }

// Group by its id; nil: there is none.
func (d *Directory) Group(id string) *Group { return d.groups[id] }

// Queue by its id; nil: there is none.
func (d *Directory) Queue(id string) *Queue { return d.queues[id] }

// Agents by agentUUID.
func (d *Directory) Agents() []*Agent { return sorted(d.agents) }

// Departments by departmentId.
func (d *Directory) Departments() []*Department { return sorted(d.departments) }

// Groups by groupId.
func (d *Directory) Groups() []*Group { return sorted(d.groups) }

// Queues by queueId.
func (d *Directory) Queues() []*Queue { return sorted(d.queues) }

// InDepartment are the agentUUIDs of a department's agents, in no order.
func (d *Directory) InDepartment(id string) (agents []string) {
	for uuid, a := range d.agents {
		if slices.Contains(a.DepartmentIDs, id) {
			agents = append(agents, uuid)
		}
	}
	return agents
}

func sorted[T Object](m map[string]T) []T {
	return slices.SortedFunc(maps.Values(m), func(a, b T) int { return cmp.Compare(a.Key(), b.Key()) })
}

// Change of one object.
type Change struct {
	Tenant  int64
	Version int64 // of the whole store: grows with every change of any tenant
	Kind    Kind
	Key     string
	Object  Object // nil: it was deleted
}

// Book holds the directories of all tenants in memory. The zero Book is empty
// and ready; it is safe for concurrent use.
type Book struct {
	mu      sync.RWMutex
	tenants map[int64]*shelf
}

// shelf is a tenant's directory, in a form that changes.
type shelf struct {
	Directory
	byID map[string]map[string]*Agent // agentID -> agentUUID -> agent
	shot *Directory                   // a copy that does not; nil: of an earlier version
}

// Apply changes, in the order of their versions.
func (b *Book) Apply(changes []Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range changes {
		s := b.tenants[c.Tenant]
		if s == nil {
			s = &shelf{Directory: empty(), byID: map[string]map[string]*Agent{}}
			if b.tenants == nil {
				b.tenants = map[int64]*shelf{}
			}
			b.tenants[c.Tenant] = s
		}
		s.apply(c)
	}
}

func empty() Directory {
	return Directory{
		agents: map[string]*Agent{}, departments: map[string]*Department{}, groups: map[string]*Group{}, queues: map[string]*Queue{},
	}
}

func (s *shelf) apply(c Change) {
	s.version, s.shot = max(s.version, c.Version), nil
	switch c.Kind {
	case Agents:
		if old := s.agents[c.Key]; old != nil {
			delete(s.byID[old.AgentID], c.Key)
			if len(s.byID[old.AgentID]) == 0 {
				delete(s.byID, old.AgentID)
			}
		}
		if a := put(s.agents, c); a != nil && a.AgentID != "" {
			if s.byID[a.AgentID] == nil {
				s.byID[a.AgentID] = map[string]*Agent{}
			}
			s.byID[a.AgentID][c.Key] = a
		}
	case Departments:
		put(s.departments, c)
	case Groups:
		put(s.groups, c)
	case Queues:
		put(s.queues, c)
	}
}

func put[T Object](into map[string]T, c Change) (o T) {
	o, ok := c.Object.(T)
	if !ok {
		delete(into, c.Key)
		return o
	}
	into[c.Key] = o
	return o
}

// nothing is the directory of a tenant without one.
var nothing Directory

// Of a tenant, as it is now; never nil. The copy is made at most once a change.
func (b *Book) Of(tenant int64) *Directory {
	b.mu.RLock()
	s := b.tenants[tenant]
	var shot *Directory
	if s != nil {
		shot = s.shot
	}
	b.mu.RUnlock()
	switch {
	case s == nil:
		return &nothing
	case shot != nil:
		return shot
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.shot == nil {
		s.shot = &Directory{s.version, maps.Clone(s.agents), maps.Clone(s.departments), maps.Clone(s.groups), maps.Clone(s.queues)}
	}
	return s.shot
}

// Departments of an agent of a tenant: of the one with this agentUUID, or, where
// that is "", of those with this agentID.
func (b *Book) Departments(tenant int64, agentUUID, agentID string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := b.tenants[tenant]
	if s == nil {
		return nil
	}
	if agentUUID != "" {
		if a := s.agents[agentUUID]; a != nil {
			return a.DepartmentIDs
		}
		return nil
	}
	var all []string
	for _, a := range s.byID[agentID] {
		all = append(all, a.DepartmentIDs...)
	}
	return all
}
