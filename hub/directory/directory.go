package directory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// Directory is what one tenant's directory says at one moment. It never changes, and what
// it returns must not be changed.
type Directory struct {
	version     int64
	agents      map[string]*Agent
	departments map[string]*Department
	groups      map[string]*Group
	queues      map[string]*Queue
}

// Version grows with every change of the tenant's directory; 0: it is empty.
func (d *Directory) Version() int64 { return d.version }

// Agent returns the agent with an agentUUID, or nil.
func (d *Directory) Agent(uuid string) *Agent { return d.agents[uuid] }

// Department returns the department with an id, or nil.
func (d *Directory) Department(id string) *Department { return d.departments[id] }

// Group returns the group with an id, or nil.
func (d *Directory) Group(id string) *Group { return d.groups[id] }

// Queue returns the queue with an id, or nil.
func (d *Directory) Queue(id string) *Queue { return d.queues[id] }

// Agents returns all agents by agentUUID.
func (d *Directory) Agents() []*Agent { return sorted(d.agents) }

// Departments returns all departments by departmentId.
func (d *Directory) Departments() []*Department { return sorted(d.departments) }

// Groups returns all groups by groupId.
func (d *Directory) Groups() []*Group { return sorted(d.groups) }

// Queues returns all queues by queueId.
func (d *Directory) Queues() []*Queue { return sorted(d.queues) }

// InDepartment returns the agentUUIDs of a department's agents, in no order.
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

// Change is a change of one object.
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

// shelf is a tenant's directory in a form that changes.
type shelf struct {
	Directory
	byID     map[string]map[string]*Agent // agentID -> agentUUID -> agent
	snapshot *Directory                   // a copy that does not change; nil: made when somebody asks
}

// Apply makes changes, in the order of their versions.
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
		agents: map[string]*Agent{}, departments: map[string]*Department{}, groups: map[string]*Group{},
		queues: map[string]*Queue{},
	}
}

// apply makes one change, and drops the copy of the version before.
func (s *shelf) apply(c Change) {
	s.version, s.snapshot = max(s.version, c.Version), nil

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

// put stores the object of a change among those of its kind, or deletes it.
func put[T Object](into map[string]T, c Change) (o T) {
	o, ok := c.Object.(T)
	if !ok {
		delete(into, c.Key)
		return o
	}
	into[c.Key] = o
	return o
}

// nothing is the directory of a tenant that has none of its own.
var nothing Directory

// Of returns the directory of a tenant as it is now, never nil. A copy is made at most once
// for each change.
func (b *Book) Of(tenant int64) *Directory {
	b.mu.RLock()
	s := b.tenants[tenant]
	var snapshot *Directory
	if s != nil {
		snapshot = s.snapshot
	}
	b.mu.RUnlock()

	switch {
	case s == nil:
		return &nothing
	case snapshot != nil:
		return snapshot
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if s.snapshot == nil {
		s.snapshot = &Directory{
			s.version, maps.Clone(s.agents), maps.Clone(s.departments), maps.Clone(s.groups), maps.Clone(s.queues),
		}
	}
	return s.snapshot
}

// Departments returns the departments of an agent: of the one with an agentUUID, or, if
// that is "", of all with an agentID.
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
