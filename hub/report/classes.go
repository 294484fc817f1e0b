package report

import (
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/record"
)

// class returns the number of a class with what settings say of it; -1: such facts are not
// asked for.
func (e *engine) class(c Class) int {
	if e.q.Kind == States {
		e.settleState(&c)
	} else {
		if c.Flags&e.q.Only == 0 {
			return -1
		}
		c.Flags |= e.q.Settings.route(&c)
		c.Route = ""
	}
	if no, there := e.classNos[c]; there {
		return no
	}

	// A new one, and its pair with Long.
	no := len(e.classes)
	e.classNos[c] = no
	long := c
	long.Flags |= Long
	for _, of := range []Class{c, long} {
		e.classes = append(e.classes, of)
		var counts uint8
		for n, bit := range e.distinct {
			if n.where(of) {
				counts |= 1 << bit
			}
		}
		e.counts = append(e.counts, counts)
	}
	return no
}

// settleState sets the flags of a state's reason, and drops codes that no indicator asks
// for: they must not make classes without end.
func (e *engine) settleState(c *Class) {
	if slices.Contains(e.q.Settings.ReasonsA, c.Reason) {
		c.Flags |= InA
	}
	if slices.Contains(e.q.Settings.ReasonsB, c.Reason) {
		c.Flags |= InB
	}
	if c.Reason != 2 && (c.Reason < 11 || c.Reason > 18) {
		c.Reason = 0
	}
	if c.Work < 0 || c.Work > 8 {
		c.Work = 0
	}
}

// route returns the route kind of an inbound call as a flag; 0: it has none.
func (s *Settings) route(c *Class) Flags {
	if c.Flags&(In|Taken) != In|Taken {
		return 0
	}
	if kind, set := s.RouteKinds[c.Route]; set && c.Route != "" {
		return map[RouteKind]Flags{RouteAgent: ToAgent, RouteThird: ToThird, RouteMemory: ToMemory}[kind]
	}
	switch {
	case c.Flags&FirstHere != 0:
		return ToAgent
	case c.Flags&FirstAway != 0:
		return ToThird
	case c.Flags&Sought != 0:
		return ToAgent
	}
	return 0
}

// keysOf returns the numbers of the keys of the rows in which a fact counts; none: a filter
// leaves it out.
func (e *engine) keysOf(k Key) []int32 {
	if e.q.Report == Department {
		return e.departmentKeys(k)
	}
	if e.q.Report == Agent && k.Name == "" {
		return nil // nobody is named
	}
	if e.wanted != nil && !e.wanted[e.filtered(k.Name)] {
		return nil
	}
	if !e.q.ByKey {
		k.Name = ""
	}
	return []int32{e.key(k.Name)}
}

// departmentKeys is keysOf for the department report: a fact counts in each of its
// departments, and once where rows are of time only.
func (e *engine) departmentKeys(k Key) []int32 {
	departments := e.departments(k)
	if e.wanted != nil {
		departments = slices.DeleteFunc(departments, func(d string) bool { return !e.wanted[d] })
	}
	if !e.q.ByKey && len(departments) > 0 {
		return []int32{e.key("")}
	}
	nos := make([]int32, len(departments))
	for i, d := range departments {
		nos[i] = e.key(d)
	}
	return nos
}

// filtered returns what the filter compares of a key; "" matches nothing there.
func (e *engine) filtered(name string) string {
	if e.q.Report != Agent {
		return name
	}
	if e.q.WorkNumbers {
		return e.person(name).Number
	}
	uuid, _ := record.SplitKey(name)
	return uuid
}

// departments returns those of a party: its own, else its agent's, else "".
func (e *engine) departments(k Key) []string {
	if k.Departments != "" {
		return strings.Split(k.Departments, "|")
	}
	if uuid, _ := record.SplitKey(k.Name); uuid != "" {
		if ids := tidy(e.q.Settings.AgentDepartments[uuid]); len(ids) > 0 {
			return ids
		}
	}
	return []string{""}
}

// key returns the number of a key.
func (e *engine) key(name string) int32 {
	no, there := e.keyNos[name]
	if !there {
		no = int32(len(e.keys))
		e.keyNos[name] = no
		e.keys = append(e.keys, name)
	}
	return no
}

// person returns what is known of an agent.
func (e *engine) person(key string) Person {
	uuid, number := record.SplitKey(key)
	newest := e.people[key]
	if number == "" {
		number = newest.Number
	}
	return Person{UUID: uuid, Number: number, Name: newest.Name}
}
