package subscriptions

import (
	"github.com/hookline/hookline/hub/event"
)

// Names of the fields of a filter.
const (
	FilterAgents      = "agentIDs"
	FilterDepartments = "departmentIds"
	FilterQueues      = "queueIds"
	FilterGateways    = "gatewayNumbers"
	FilterCallTypes   = "callTypes"
)

// FilterFields lists the fields of a filter in the order in which they are looked at.
var FilterFields = []string{FilterAgents, FilterDepartments, FilterQueues, FilterGateways, FilterCallTypes}

// AsksDepartments reports whether the filter looks at departments, which the directory
// has of an agent when an event names none.
func (f *Filter) AsksDepartments() bool { return len(f.departments.list) > 0 }

// Wanted returns the values that a field of the filter takes, as they were given.
func (f *Filter) Wanted(field string) (values []string) {
	switch field {
	case FilterAgents:
		return f.agents.list
	case FilterDepartments:
		return f.departments.list
	case FilterQueues:
		return f.queues.list
	case FilterGateways:
		return f.gateways.list
	case FilterCallTypes:
		for _, t := range f.callTypes {
			values = append(values, t.String())
		}
	}
	return values
}

// FoundBy returns the values of an event that a field of a filter looks at.
func FoundBy(field string, e *event.Facets) (values []string) {
	switch field {
	case FilterAgents:
		for _, a := range e.Agents {
			if a.ID != "" {
				values = append(values, a.ID)
			}
		}
	case FilterDepartments:
		return e.Departments
	case FilterQueues:
		return e.Queues
	case FilterGateways:
		return e.Gateways
	case FilterCallTypes:
		if e.Direction != 0 {
			values = append(values, e.Direction.String())
		}
	}
	return values
}
