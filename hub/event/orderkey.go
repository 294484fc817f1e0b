package event

import (
	"slices"
	"strings"
)

const agentPattern = "agent/<agentUUID, else agentID>"

// OrderKeyPattern shows people what the order keys of a type are made of, like
// "cdr/<callID>/<partyId>"; "" when its events have no order.
func (t Type) OrderKeyPattern() string {
	b := bodies[t]
	switch {
	case len(b.parts) == 0:
		return ""
	case b.parts[0] == agentUUID:
		return agentPattern
	}

	names := make([]string, len(b.parts))
	for i, s := range b.parts {
		names[i] = "<" + slotNames[s] + ">"
	}

	pattern := b.key + strings.Join(names, "/")
	aboutAgent := func(of []slot) bool { return slices.Contains(of, agentID) }
	if slices.ContainsFunc(b.needs, aboutAgent) { // the event may be about an agent alone
		pattern += ", else " + agentPattern
	}
	return pattern
}
