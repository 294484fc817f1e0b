package live

// agentCount is what a call counts for an agent on the day in which at lies.
type agentCount struct {
	agent string
	at    int64
	Counters
}

// Counters of one day.
type Counters struct {
	InboundEstablished  int64
	InboundAbandoned    int64
	Outbound            int64
	OutboundEstablished int64
}

// Add others.
func (n *Counters) Add(o Counters) {
	n.InboundEstablished += o.InboundEstablished
	n.InboundAbandoned += o.InboundAbandoned
	n.Outbound += o.Outbound
	n.OutboundEstablished += o.OutboundEstablished
}

// Count adds what the call counts for agents in a day, From <= t < To. Events
// and records that tell the same count once.
func (c *Call) Count(from, to int64, into map[string]*Counters) {
	all := c.count
	if c.cached != nil {
		all = func() []agentCount { return c.cached.counts }
	}
	for _, n := range all() {
		if n.at <= 0 || n.at < from || n.at >= to {
			continue
		}
		if into[n.agent] == nil {
			into[n.agent] = &Counters{}
		}
		into[n.agent].Add(n.Counters)
	}
}

func (c *Call) count() (all []agentCount) {
	dir := c.Direction()
	began := map[string]int64{} // by agent: when it called out
	reached := c.Main != nil && (c.Main.Result == 8 || c.Main.Result == 21)
	for _, p := range c.parties() {
		if p.Role == "Customer" && p.Answered > 0 {
			reached = true
		}
		if !p.counts() {
			continue
		}
		if p.Dialing > 0 && dir == 3 {
			began[p.agent()] = earliest(began[p.agent()], p.Dialing)
		}
		instant, result := p.First, int64(0)
		if p.CDR != nil {
			instant, result = earliest(instant, p.CDR.Start), p.CDR.Result
		}
		switch {
		case dir != 2:
		case p.Answered > 0 || result == 3:
			all = append(all, agentCount{p.agent(), instant, Counters{InboundEstablished: 1}})
		case p.Rung && (p.released() || c.over()), result == 1, result == 2:
			all = append(all, agentCount{p.agent(), instant, Counters{InboundAbandoned: 1}})
		}
	}
	if dir != 3 {
		return all
	}
	if c.Main != nil && c.Main.FirstAgent != "" {
		key := AgentKey(c.Main.FirstAgent, "")
		began[key] = earliest(began[key], c.Main.Start)
	}
	for agent, at := range began {
		n := agentCount{agent, at, Counters{Outbound: 1}}
		if reached {
			n.OutboundEstablished = 1
		}
		all = append(all, n)
	}
	return all
}
