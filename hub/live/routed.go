package live

import (
	"cmp"
	"slices"
)

// Ringers returns the agents whose phones ring now for a call that waits, in the order
// of the board.
func (b *Board) Ringers(w *WaitRow) (ringers []*Row) {
	if !w.Ringing {
		return nil
	}
	i := slices.IndexFunc(b.facts.Calls, func(c *Call) bool { return c.ID == w.ID })
	if i < 0 {
		return nil
	}
	for _, p := range b.facts.Calls[i].parties() {
		work, _ := p.state(1<<63 - 1) // its last state
		agent := b.rows[p.agent()]
		if work == 6 && !p.released() && p.Role != "Customer" && agent != nil && !slices.Contains(ringers, agent) {
			ringers = append(ringers, agent)
		}
	}
	slices.SortFunc(ringers, CompareRows)
	return ringers
}

// AgentQueue is the queue of the chats that are routed to one agent.
type AgentQueue struct {
	ChatQueue // its Department is empty

	Agent *Row
}

// AgentQueues returns the queue of each agent to whom a waiting chat is routed, in the
// order of the agentUUIDs. A chat is routed to an agent when its latest queue.entered, up
// to the moment in question, names the agent.
func (b *Board) AgentQueues(now int64) []AgentQueue {
	routed := map[string]*WaitRow{} // by chatId
	for i := range b.Waiting {
		if w := &b.Waiting[i]; w.Media == "chat" && w.Agent != nil {
			routed[w.ID] = w
		}
	}
	queues := map[string]*AgentQueue{} // by agentUUID
	for i := range b.chats {
		w := routed[b.chats[i].ID]
		if w == nil || b.chats[i].state != ChatWaiting {
			continue
		}
		if queues[w.AgentUUID] == nil {
			queues[w.AgentUUID] = &AgentQueue{Agent: w.Agent}
		}
		q := queues[w.AgentUUID]
		r := b.chats[i].summary().requested
		q.Waiting = append(q.Waiting, WaitingChat{w.ID, r.Visitor, r.Identity, r.At})
	}
	if len(queues) == 0 {
		return nil
	}

	// What goes on, and what left the queues.
	for i := range b.chats {
		if q := queues[b.chats[i].routedTo(now)]; q != nil && b.chats[i].state == ChatOngoing {
			q.Ongoing++
		}
	}
	sums := map[string]*[2]struct{ ms, n int64 }{}
	for _, c := range b.facts.Chats {
		b.addLeft(c, now, queues, sums)
	}

	list := make([]AgentQueue, 0, len(queues))
	for uuid, q := range queues {
		if s := sums[uuid]; s != nil {
			q.Wait30 = meanMS(s[0].ms, s[0].n)
			q.Wait60 = meanMS(s[1].ms, s[1].n)
		}
		slices.SortFunc(q.Waiting, func(a, b WaitingChat) int {
			return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID))
		})
		list = append(list, *q)
	}
	slices.SortFunc(list, func(a, b AgentQueue) int { return cmp.Compare(a.Agent.UUID, b.Agent.UUID) })
	return list
}

// addLeft counts a chat that left the queue of an agent in the last hour: its wait into
// the sums of the last 30 and 60 min, and how it ended.
func (b *Board) addLeft(c *Chat, now int64, queues map[string]*AgentQueue, sums map[string]*[2]struct{ ms, n int64 }) {
	within := func(at, length int64) bool { return at > now-length && at <= now }

	if at, left := c.leftQueue(); left && within(at, 60*minute) {
		if agent := c.routedTo(at); queues[agent] != nil {
			if sums[agent] == nil {
				sums[agent] = &[2]struct{ ms, n int64 }{}
			}
			for i, length := range []int64{30 * minute, 60 * minute} {
				if within(at, length) {
					sums[agent][i].ms += max(0, at-c.summary().requested.At)
					sums[agent][i].n++
				}
			}
		}
	}

	end := c.summary().end
	if end == nil || !within(end.At, 30*minute) {
		return
	}
	q := queues[c.routedTo(end.At)]
	switch {
	case q == nil:
	case end.Reason == Abandoned:
		q.Abandoned++
	case end.Reason == Switched:
		q.Switched++
	}
}

// routedTo returns the agentUUID of the agent to whom the chat is routed at a time, ""
// when it is routed to nobody.
func (c *Chat) routedTo(at int64) (agent string) {
	for _, w := range c.summary().waits {
		if w.At <= at {
			agent = w.Agent
		}
	}
	return agent
}
