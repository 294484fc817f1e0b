package live

import (
	"context"

	"github.com/hookline/hookline/hub/event"
)

// State of an agent: login status (0 offline, 1 online, 2 occupied, 98 locked),
// reason of being occupied, work status. Before the first status all are 0.
type State struct {
	Login  int64 `db:"login"`
	Reason int64 `db:"reason"`
	Work   int64 `db:"work"`
}

// Status is one change of an agent's state. Of several with one start the one
// made last counts, then the last to arrive.
type Status struct {
	UUID    string
	AgentID string
	Start   int64 // Unix ms
	Created int64 // Unix ms; 0: it does not say
	Seq     int64 // number of its event
	ID      string
	// The codes; nil: it keeps its value.
	Login, Reason, Work *int64
	CallID              string
	CallType            int64
}

// ReadStatus reads an event of type agent.status.
func ReadStatus(e *event.Event) Status {
	b := read(e.Body)
	callType, _ := b.value("callType").Int()
	return Status{
		UUID: b.text("agentUUID"), AgentID: b.text("agentID"), Start: b.time("startTime"), Created: b.time("creationTime"), Seq: e.Seq, ID: e.ID,
		Login: b.code("loginStatus"), Reason: b.code("notReadyStatus", "noReadyStatus"), Work: b.code("workStatus"),
		CallID: b.text("callID"), CallType: callType,
	}
}

// After is the state that a status leads to from another.
func (s *Status) After(was State) State {
	for _, c := range []struct {
		field *int64
		says  *int64
	}{{&was.Login, s.Login}, {&was.Reason, s.Reason}, {&was.Work, s.Work}} {
		if c.says != nil {
			*c.field = *c.says
		}
	}
	return was
}

// Open is the end of the stretch that still lasts.
const Open = 1<<63 - 1

// AgentStretch is a stretch in the history of an agent: neither the one before it nor
// the one after it has the same state.
type AgentStretch struct {
	Stretch

	Agent Agent
	ID    string // of the event that began it
}

// Length until the end, or, while it is open, until now, in ms; never negative.
func (s *AgentStretch) Length(now int64) int64 {
	end := s.End
	if end == Open {
		end = now
	}
	return max(0, end-s.Start)
}

// HistoryFilter picks stretches of a tenant's agents that overlap a range, by
// start, then agentUUID, then agentID. Empty lists pick all.
type HistoryFilter struct {
	Tenant   int64
	From, To int64 // Unix ms: From <= t < To; one that only touches the range is not picked
	Now      int64 // Unix ms: until when an open one lasts

	Login, Reason, Work []int64
	// Agents picks among those that there are; nil: all. It gives their keys.
	Agents func(all []Agent) []string

	Offset, Limit int
}

// History answers from all that was accepted before it is asked.
type History interface {
	// FindStretches gives a page, and how many there are on all pages.
	FindStretches(ctx context.Context, f HistoryFilter) (page []AgentStretch, total int, err error)
}
