package subscriptions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hookline/hookline/hub/event"
)

const (
	maxFilterValues = 1000 // of one field
	maxFilterValue  = 256  // characters
	fewValues       = 8    // up to here looking through them is quicker than a map
)

// Filter narrows a subscription to events whose bodies have certain values.
// All fields given must match; an event whose body lacks such a field does not.
// It never changes.
type Filter struct {
	agents, departments, queues, gateways Values
	callTypes                             []callType
}

// callType is a direction in the way it was given.
type callType struct {
	event.Direction
	word bool // not its number
}

// Values that a field may have, in the order given.
type Values struct {
	list []string
	in   map[string]struct{} // the same, when they are many
}

func newValues(list []string) Values {
	v := Values{list: list}
	if len(list) > fewValues {
		v.in = make(map[string]struct{}, len(list))
		for _, s := range list {
			v.in[s] = struct{}{}
		}
	}
	return v
}

func (v Values) has(s string) bool {
	if v.in == nil {
		return slices.Contains(v.list, s)
	}
	_, ok := v.in[s]
	return ok
}

// misses reports whether v asks for something, and no value of an event is that.
func (v Values) misses(values []string) bool {
	return len(v.list) > 0 && !slices.ContainsFunc(values, v.has)
}

// Misses returns the name of the first field of the filter that the event does not
// match; "" if the event passes.
func (f *Filter) Misses(e *event.Facets) string {
	switch {
	case len(f.agents.list) > 0 && !slices.ContainsFunc(e.Agents, f.hasAgent):
		return FilterAgents
	case f.departments.misses(e.Departments):
		return FilterDepartments
	case f.queues.misses(e.Queues):
		return FilterQueues
	case f.gateways.misses(e.Gateways):
		return FilterGateways
	case len(f.callTypes) > 0 && !slices.ContainsFunc(f.callTypes, func(t callType) bool {
		return t.Direction == e.Direction
	}):
		return FilterCallTypes
	}
	return ""
}

func (f *Filter) hasAgent(a event.Agent) bool { return a.ID != "" && f.agents.has(a.ID) }

// filterJSON is a filter as the API shows it and as it is stored.
type filterJSON struct {
	AgentIDs       []string `json:"agentIDs,omitempty"`
	DepartmentIDs  []string `json:"departmentIds,omitempty"`
	QueueIDs       []string `json:"queueIds,omitempty"`
	GatewayNumbers []string `json:"gatewayNumbers,omitempty"`
	CallTypes      []any    `json:"callTypes,omitempty"` // 1, 2, 3, or a word
}

// MarshalJSON shows the fields that were given.
func (f *Filter) MarshalJSON() ([]byte, error) {
	j := filterJSON{
		AgentIDs: f.agents.list, DepartmentIDs: f.departments.list,
		QueueIDs: f.queues.list, GatewayNumbers: f.gateways.list,
	}
	for _, t := range f.callTypes {
		if t.word {
			j.CallTypes = append(j.CallTypes, t.String())
		} else {
			j.CallTypes = append(j.CallTypes, int(t.Direction))
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Filter) UnmarshalJSON(raw []byte) error {
	var in input
	read := in.filter(nil, "", raw)
	if len(in.problems) > 0 {
		return fmt.Errorf("filter%s %s", in.problems[0].Field, in.problems[0].Message)
	}
	if *f = (Filter{}); read != nil {
		*f = *read
	}
	return nil
}

// filter reads a filter as a merge patch of base, which may be nil: null and []
// take a field out. It returns nil if no field is left, since that filters nothing.
func (in *input) filter(base *Filter, pointer string, raw json.RawMessage) *Filter {
	var f Filter
	if base != nil {
		f = *base
	}
	members, _ := in.object(pointer, raw)
	for _, m := range members {
		var to *Values
		switch m.name {
		case FilterAgents:
			to = &f.agents
		case FilterDepartments:
			to = &f.departments
		case FilterQueues:
			to = &f.queues
		case FilterGateways:
			to = &f.gateways
		case FilterCallTypes:
			f.callTypes = in.callTypes(m)
			continue
		default:
			in.problem(m.pointer, "unknown_field", "must be agentIDs, departmentIds, queueIds, gatewayNumbers or callTypes")
			continue
		}
		*to = newValues(in.filterValues(m))
	}
	if len(f.agents.list)+len(f.departments.list)+len(f.queues.list)+len(f.gateways.list)+len(f.callTypes) == 0 {
		return nil
	}
	return &f
}

func (in *input) filterValues(m member) (values []string) {
	if m.isNull() {
		return nil
	}
	items, _ := in.array(m.pointer, m.value, 0, maxFilterValues)
	for i, item := range items {
		var s string
		at := m.pointer + "/" + strconv.Itoa(i)
		if !in.text(&s, at, item, 1, maxFilterValue) {
			continue
		}
		if s = strings.TrimSpace(s); s == "" {
			in.problem(at, "invalid_value", "must not be blank")
			continue
		}
		values = append(values, s)
	}
	return values
}

// callTypes reads 1, "1" or "Internal", and so on.
func (in *input) callTypes(m member) (ts []callType) {
	if m.isNull() {
		return nil
	}
	items, _ := in.array(m.pointer, m.value, 0, maxFilterValues)
	for i, item := range items {
		s := strings.Trim(string(item), `"`)
		d, ok := event.ParseDirection(s)
		if !ok {
			in.problem(m.pointer+"/"+strconv.Itoa(i), "invalid_value",
				"must be 1 or Internal, 2 or Inbound, 3 or Outbound, or Consult")
			continue
		}
		ts = append(ts, callType{d, s == d.String()})
	}
	return ts
}

// setFilter merges by name, as a merge patch does.
func (e *edit) setFilter(field string, raw json.RawMessage) {
	e.Filter = e.filter(e.Filter, field, raw)
}
