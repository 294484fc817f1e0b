package live

import (
	"context"

	"github.com/hookline/hookline/hub/record"
)

// Stretch is a time in which an agent's state stays the same.
type Stretch struct {
	record.State

	Start int64 `db:"start_at"` // Unix ms
	End   int64 `db:"end_at"`   // may be record.Open
}

// Length returns the length in ms: until the end, or until now while it is open; never
// negative.
func (s *Stretch) Length(now int64) int64 {
	end := s.End
	if end == record.Open {
		end = now
	}
	return max(0, end-s.Start)
}

// AgentStretch is a stretch in the history of an agent: neither the one before it nor the
// one after it has the same state.
type AgentStretch struct {
	Stretch

	Agent Agent
	ID    string // of the event that began it
}

// HistoryFilter picks stretches of a tenant's agents that overlap a range, by start, then
// agentUUID, then agentID. Empty lists pick all.
type HistoryFilter struct {
	Tenant   int64
	From, To int64 // Unix ms: From <= t < To; one that only touches the range is not picked
	Now      int64 // Unix ms: until when an open one lasts

	Login, Reason, Work []int64
	// Agents picks some of all agents and returns their keys; nil: it picks all.
	Agents func(all []Agent) []string

	Offset, Limit int
}

// History answers from all that was accepted before it is asked.
type History interface {
	// FindStretches returns a page, and how many there are on all pages.
	FindStretches(ctx context.Context, f HistoryFilter) (page []AgentStretch, total int, err error)
}
