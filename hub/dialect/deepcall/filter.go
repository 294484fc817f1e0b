package deepcall

import (
	"cmp"

	"github.com/hookline/hookline/hub/live"
)

// properties that conditions of a filter may be on, by what the documents call
// them.
var (
	queueProperties = map[string]string{
		"agentId": "agentId", "groupId": "groupId", "grp": "groupId", "queueId": "queueId", "status": "status", "st": "status",
		"strategy": "strategy", "str": "strategy", "ctype": "ctype", "ctyp": "ctype", "campId": "campId", "did": "did",
	}
	agentProperties = map[string]string{"agentId": "agentId", "groupId": "groupId", "grp": "groupId", "queueId": "queueId"}
)

// filter is conditions that all hold. One applies to the things that have its
// property, and narrows no others.
type filter []condition

// wants says whether a thing is asked for; has gives the values of a property of
// it, and whether it has that at all.
func (f filter) wants(has func(property string) ([]string, bool)) bool {
	for i := range f {
		if values, some := has(f[i].key); some && !f[i].holds(values...) {
			return false
		}
	}
	return true
}

// callTypes as the document's table has them.
var callTypes = [...]string{"", "Internal", "Inbound", "Outbound"}

// number of an agent: what the vendor's clients know it by.
func number(r *live.Row) string { return cmp.Or(r.AgentID, r.UUID) }

// only what is there.
func only(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func ofAgent(r *live.Row, property string) ([]string, bool) {
	switch property {
	case "agentId":
		return []string{number(r)}, true
	case "groupId":
		if r.Listed != nil {
			return r.Listed.GroupIDs, true
		}
		return nil, true
	case "queueId":
		if r.Listed != nil {
			return r.Listed.QueueIDs, true
		}
		return nil, true
	}
	return nil, false
}

func ofWaiting(b *live.Board, w *live.WaitRow, property string) ([]string, bool) {
	switch property {
	case "agentId":
		if w.Agent != nil {
			return []string{number(w.Agent)}, true
		}
		return only(w.AgentUUID), true
	case "groupId":
		return only(w.GroupID), true
	case "queueId":
		return only(w.Queue), true
	case "status":
		return statusesOf(b, w), true
	case "strategy":
		return only(w.Strategy), true
	case "ctype":
		return only(callTypes[w.CallType]), true
	case "campId":
		return only(w.Campaign), true
	case "did":
		return only(w.DID), true
	}
	return nil, false
}

func ofCall(c *live.CallRow, property string) (all []string, some bool) {
	switch property {
	case "ctype":
		return only(callTypes[c.Direction]), true
	case "did":
		return only(c.DID), true
	}
	for _, a := range c.Agents {
		values, _ := ofAgent(a, property)
		all = append(all, values...)
	}
	_, some = ofAgent(&live.Row{}, property)
	return all, some
}

func ofAnswered(a *live.Answered, property string) ([]string, bool) {
	switch property {
	case "ctype":
		return only(callTypes[a.Direction]), true
	case "did":
		return only(a.DID), true
	}
	return ofAgent(a.Agent, property)
}

// pick returns what a filter counts of a board.
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
