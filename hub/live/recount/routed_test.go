package recount

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/live"
)

// compareRouted holds against the recount whose phones ring for which call that waits,
// and the queues of the agents to whom chats are routed.
func (r *recount) compareRouted(t *testing.T, what string, board *live.Board, rows map[string]*agentRow) {
	t.Helper()
	ringing := map[string][]string{}
	for i := range board.Waiting {
		w := &board.Waiting[i]
		if w.Media != "call" {
			continue
		}
		for _, row := range board.Ringers(w) {
			ringing[w.ID] = append(ringing[w.ID], row.Key)
		}
		slices.Sort(ringing[w.ID])
	}
	for id := range ringing {
		if len(ringing[id]) == 0 {
			delete(ringing, id)
		}
	}
	require.Equal(t, r.ringers(rows), ringing, what)

	queues := map[string]live.ChatQueue{}
	for _, q := range board.AgentQueues(r.now) {
		queues[q.Agent.UUID] = q.ChatQueue
	}
	require.Equal(t, r.agentQueues(rows), queues, what)
}

// ringers returns the keys of the agents whose phones ring, by the call that waits.
func (r *recount) ringers(rows map[string]*agentRow) map[string][]string {
	all := map[string][]string{}
	for id, c := range r.calls {
		if !r.waiting(c.waits, c.over(), c.lastEvent) {
			continue
		}
		for _, p := range c.parties {
			work, _ := p.workAt(unended)
			agent := p.agent()
			rings := work == workStatus["call.ringing"] && !p.released() && p.role() != "Customer"
			if rings && rows[agent] != nil && !slices.Contains(all[id], agent) {
				all[id] = append(all[id], agent)
				slices.Sort(all[id])
			}
		}
	}
	return all
}

// routedTo returns the agentUUID to which a chat is routed at a moment.
func (c *chat) routedTo(moment int64) (agent string) {
	for _, w := range c.waits {
		if w.at <= moment {
			agent = w.text("agentUUID")
		}
	}
	return agent
}

// agentQueues returns the queue of each agent to whom a chat that waits is routed, by
// agentUUID.
func (r *recount) agentQueues(rows map[string]*agentRow) map[string]live.ChatQueue {
	all := map[string]live.ChatQueue{}
	for id, c := range r.chats {
		waits := r.waiting(c.waits, c.first("chat.ended") != nil, max(c.lastEvent, r.lastQueueEvent(c)))
		if !waits || r.chatState(c) != chatWaiting {
			continue
		}
		agent := lastOf(c.waits).text("agentUUID")
		if rows[keyOf(agent)] == nil {
			continue
		}
		asked := c.first("chat.requested")
		q := all[agent]
		q.Waiting = append(q.Waiting, live.WaitingChat{
			ID: id, Visitor: asked.text("visitorId"), Identity: asked.text("contactIdentityId"), Since: asked.at,
		})
		all[agent] = q
	}
	for agent, q := range all {
		all[agent] = r.countRouted(agent, q)
	}
	return all
}

// countRouted adds to the queue of an agent what goes on, and what left it.
func (r *recount) countRouted(agent string, q live.ChatQueue) live.ChatQueue {
	var waits, waited [2]int64 // of those that left the queue in the last half hour, and hour
	for _, c := range r.chats {
		if r.chatState(c) == chatOngoing && c.routedTo(r.now) == agent {
			q.Ongoing++
		}

		if at, ms := c.leftQueue(); at >= 0 && at <= r.now && c.routedTo(at) == agent {
			for i, last := range []int64{hour / 2, hour} {
				if at > r.now-last {
					waits[i]++
					waited[i] += ms
				}
			}
		}

		ended := c.first("chat.ended")
		if ended == nil || ended.at > r.now || ended.at <= r.now-hour/2 || c.routedTo(ended.at) != agent {
			continue
		}
		switch ended.text("reason") {
		case "abandoned":
			q.Abandoned++
		case "switched_to_message":
			q.Switched++
		}
	}

	q.Wait30 = meanHalfUp(waited[0], waits[0], 1)
	q.Wait60 = meanHalfUp(waited[1], waits[1], 1)
	slices.SortFunc(q.Waiting, func(a, b live.WaitingChat) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID))
	})
	return q
}
