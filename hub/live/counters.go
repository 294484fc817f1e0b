package live

import "github.com/hookline/hookline/hub/record"

// Counters of an agent for one day.
type Counters struct {
	InboundEstablished  int64
	InboundAbandoned    int64
	Outbound            int64
	OutboundEstablished int64
}

// Add adds others.
func (n *Counters) Add(o Counters) {
	n.InboundEstablished += o.InboundEstablished
	n.InboundAbandoned += o.InboundAbandoned
	n.Outbound += o.Outbound
	n.OutboundEstablished += o.OutboundEstablished
}

// agentCount is what a call counts for an agent on the day in which at lies.
type agentCount struct {
	agent string // record.AgentKey
	at    int64  // Unix ms; 0: it counts on no day
	Counters
}

// Count adds what the call counts for agents in a day, from <= t < to, by the agent's key.
// An event and a record that say the same count once.
func (c *Call) Count(from, to int64, into map[string]*Counters) {
	counts := c.count
	if c.cached != nil {
		counts = func() []agentCount { return c.cached.counts }
	}

	for _, n := range counts() {
		if n.at <= 0 || n.at < from || n.at >= to {
			continue
		}
		if into[n.agent] == nil {
			into[n.agent] = &Counters{}
		}
		into[n.agent].Add(n.Counters)
	}
}

// count returns what the call counts for its agents, whatever the day.
func (c *Call) count() []agentCount {
	switch c.Direction() {
	case record.Inbound:
		return c.countInbound()
	case record.Outbound:
		return c.countOutbound()
	}
	return nil
}

// countInbound counts each party of an agent that was established, or rang in vain.
func (c *Call) countInbound() (all []agentCount) {
	for _, p := range c.parties() {
		if !p.counts() {
			continue
		}

		n := agentCount{agent: p.agent(), at: p.First}
		result := int64(0)
		if p.CDR != nil {
			n.at = earliest(n.at, p.CDR.Start)
			result = p.CDR.Result
		}

		// Established wins: whatever says so, the party is not abandoned.
		rangInVain := p.Rung && (p.released() || c.over())
		switch {
		case p.Answered > 0 || result == 3:
			n.InboundEstablished = 1
		case rangInVain || result == 1 || result == 2:
			n.InboundAbandoned = 1
		default:
			continue
		}
		all = append(all, n)
	}
	return all
}

// countOutbound counts the call once for each agent who dialed, or was called first.
func (c *Call) countOutbound() (all []agentCount) {
	began := map[string]int64{} // by agent: when the agent began to call out
	reached := c.Main != nil && (c.Main.Result == 8 || c.Main.Result == 21)
	for _, p := range c.parties() {
		if p.Role == "Customer" && p.Answered > 0 {
			reached = true
		}
		if p.counts() && p.Dialing > 0 {
			began[p.agent()] = earliest(began[p.agent()], p.Dialing)
		}
	}
	if c.Main != nil && c.Main.FirstAgent != "" {
		key := record.AgentKey(c.Main.FirstAgent, "")
		began[key] = earliest(began[key], c.Main.Start)
	}

	for agent, at := range began { // in any order: they are added up by agent
		n := agentCount{agent: agent, at: at, Counters: Counters{Outbound: 1}}
		if reached {
			n.OutboundEstablished = 1
		}
		all = append(all, n)
	}
	return all
}
