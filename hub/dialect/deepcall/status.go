package deepcall

import (
	"cmp"
	"slices"

	"github.com/hookline/hookline/hub/live"
)

// statusTypes are the status types of agents, in the order in which they are listed.
var statusTypes = []string{
	"Available", "Ringing", "On Call", "On Hold", "After Call Work", "On Break", "Logged Out",
}

// statusType returns the status type of an agent. An agent who is logged in but neither
// online nor at work is on a break: the document has no other word for being occupied.
func statusType(r *live.Row) string {
	if !r.LoggedIn() {
		return "Logged Out"
	}
	switch r.Work {
	case 6:
		return "Ringing"
	case 5, 7:
		return "On Call"
	case 8:
		return "On Hold"
	case 4:
		return "After Call Work"
	}
	if r.Login == 1 {
		return "Available"
	}
	return "On Break"
}

// agentsFor returns the agents whom a waiting contact is for: the one to whom it is
// routed, and those whose phones ring for it.
func agentsFor(b *live.Board, w *live.WaitRow) []*live.Row {
	agents := b.Ringers(w)
	if w.Agent != nil && !slices.Contains(agents, w.Agent) {
		agents = append([]*live.Row{w.Agent}, agents...)
	}
	return agents
}

// statusesOf returns the status types of the agents whom a waiting contact is for, each
// once.
func statusesOf(b *live.Board, w *live.WaitRow) (types []string) {
	for _, r := range agentsFor(b, w) {
		if t := statusType(r); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// waitingFor returns the names of the agents whom the waiting calls are for, by code
// point, and the status types of these agents in their order.
func waitingFor(b *live.Board, wants func(*live.WaitRow) bool) (names, types []string) {
	names = []string{}
	types = []string{}
	for i := range b.Waiting {
		w := &b.Waiting[i]
		if w.Media != "call" || wants != nil && !wants(w) {
			continue
		}
		for _, r := range agentsFor(b, w) {
			names = append(names, cmp.Or(r.Name, number(r)))
			types = append(types, statusType(r))
		}
	}
	slices.Sort(names)
	slices.SortFunc(types, func(x, y string) int {
		return cmp.Compare(slices.Index(statusTypes, x), slices.Index(statusTypes, y))
	})
	return slices.Compact(names), slices.Compact(types)
}
