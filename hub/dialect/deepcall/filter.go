package deepcall

import (
	"cmp"

	"github.com/hookline/hookline/hub/live"
)

// The properties that conditions of a filter may be on, by what the documents call them.
var (
	queueProperties = map[string]string{
		"agentId": "agentId", "groupId": "groupId", "grp": "groupId", "queueId": "queueId", "status": "status",
		"st":       "status",
		"strategy": "strategy", "str": "strategy", "ctype": "ctype", "ctyp": "ctype", "campId": "campId", "did": "did",
	}
	agentProperties = map[string]string{"agentId": "agentId", "groupId": "groupId", "grp": "groupId", "queueId": "queueId"}
)

// filter is conditions that must all hold. A condition applies to things that have its
// property; other things it lets through.
type filter []condition

// wants reports whether a thing is asked for. has returns the values of a property of the
// thing, and whether the thing has the property at all.
func (f filter) wants(has func(property string) ([]string, bool)) bool {
	for i := range f {
		if values, some := has(f[i].key); some && !f[i].holds(values...) {
			return false
		}
	}
	return true
}

// callTypes are the names of the call types, as the document's table has them.
var callTypes = [...]string{"", "Internal", "Inbound", "Outbound"}

// number returns what the vendor's clients call an agent by.
func number(r *live.Row) string { return cmp.Or(r.AgentID, r.UUID) }

// list returns the value in a list, which is empty if there is no value.
func list(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// ofAgent returns the values of a property of an agent, and whether agents have it.
func ofAgent(r *live.Row, property string) ([]string, bool) {
	switch property {
	case "agentId":
		return []string{number(r)}, true
	case "groupId":
		if r.Entry != nil {
			return r.Entry.GroupIDs, true
		}
		return nil, true
	case "queueId":
		if r.Entry != nil {
			return r.Entry.QueueIDs, true
		}
		return nil, true
	}
	return nil, false
}

// ofWaiting returns the values of a property of a waiting contact, and whether these have it.
func ofWaiting(b *live.Board, w *live.WaitRow, property string) ([]string, bool) {
	switch property {
	case "agentId":
		if w.Agent != nil {
			return []string{number(w.Agent)}, true
		}
		return list(w.AgentUUID), true
	case "groupId":
		return list(w.GroupID), true
	case "queueId":
		return list(w.Queue), true
	case "status":
		return statusesOf(b, w), true
	case "strategy":
		return list(w.Strategy), true
	case "ctype":
		return list(callTypes[w.CallType]), true
	case "campId":
		return list(w.Campaign), true
	case "did":
		return list(w.DID), true
	}
	return nil, false
}

// ofCall returns the values of a property of a call, and whether calls have it.
func ofCall(c *live.CallRow, property string) (all []string, some bool) {
	switch property {
	case "ctype":
		return list(callTypes[c.Direction]), true
	case "did":
		return list(c.DID), true
	}

	for _, a := range c.Agents {
		values, _ := ofAgent(a, property)
		all = append(all, values...)
	}

	_, some = ofAgent(&live.Row{}, property)
	return all, some
}

// ofAnswered returns the values of a property of an answered party, and whether these have it.
func ofAnswered(a *live.Answered, property string) ([]string, bool) {
	switch property {
	case "ctype":
		return list(callTypes[a.Direction]), true
	case "did":
		return list(a.DID), true
	}
	return ofAgent(a.Agent, property)
}

// pick returns a filter as live takes it.
func (f filter) pick(b *live.Board) live.Pick {
	if len(f) == 0 {
		return live.Pick{}
	}
	return live.Pick{
		Agent: f.agent,
		Waiting: func(w *live.WaitRow) bool {
			return f.wants(func(p string) ([]string, bool) { return ofWaiting(b, w, p) })
		},
		Call: func(c *live.CallRow) bool {
			return f.wants(func(p string) ([]string, bool) { return ofCall(c, p) })
		},
		Answered: func(a *live.Answered) bool {
			return f.wants(func(p string) ([]string, bool) { return ofAnswered(a, p) })
		},
	}
}

func (f filter) agent(r *live.Row) bool {
	return f.wants(func(p string) ([]string, bool) { return ofAgent(r, p) })
}
