package simulate

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

// The codes of records.
const (
	// callResult of a main CDR
	resultAgentNotFound, resultFastHangup, resultAgentMissed = 4, 5, 6
	resultCustomerMissed, resultAnswered                     = 7, 8

	// callResult of a party CDR
	partyMissed, partyAnswered = 2, 3

	// hangupDisposition
	byOthers, byAgent, byCustomer = 1, 2, 3

	// dialType of a party
	dialCall, dialTransfer, dialInquiry = 1, 2, 3
)

// call is one call from its creation to its records.
type call struct {
	id         string
	eventCount int // number of events so far
	inbound    bool
	dialType   string // mainDialType
	who        customer
	gateway    string
	queue      int
	data       attached // changes while they talk
	dataText   string   // data as JSON

	customer *party
	parties  []*party // of agents, in the order of their start
	host     *party   // of the agent who talks with the customer; nil if there is no such agent
	over     bool
	answered bool  // by an agent, or by the customer whom an agent called
	talkEnds int64 // when both have said everything

	started, ended       int64
	entered              int64 // when it entered the queue
	transfers, inquiries int
	result, hangup       int
	cause, reason        string // hangupCause, reasonOfNotAnswer
}

// party is one leg of a call.
type party struct {
	call     *call
	agent    *agent // nil for the customer
	id       string
	role     string // thisDNRole
	other    *party // whom it talks with; nil for the gateway
	dialType int
	word     string // callType of its events
	from     *agent // who sent the call here

	start, alert, answer, end int64 // Unix ms; 0 if it did not happen
	result, hangup            int
}

// dn returns the number of the party.
func (p *party) dn() string {
	if p.agent != nil {
		return p.agent.dn
	}
	return p.call.who.number
}

func (p *party) partyRole() string {
	if p.agent != nil {
		return "Agent"
	}
	return "Customer"
}

// direction returns the callType of records.
func (k *call) direction() int {
	if k.inbound {
		return 2
	}
	return 3
}

// word returns the callType of events.
func (k *call) word() string {
	if k.inbound {
		return "Inbound"
	}
	return "Outbound"
}

// newCall creates a call with a random customer.
func (c *Centre) newCall(inbound bool, dialType string) *call {
	k := &call{
		id:       fmt.Sprintf("%016x%016x", c.rng.Uint64(), c.rng.Uint64()),
		inbound:  inbound,
		dialType: dialType,
		who:      newCustomer(c.company, c.rng.IntN(customers)),
		gateway:  gateways[c.rng.IntN(len(gateways))],
		queue:    c.rng.IntN(len(queues)),
		started:  c.now,
	}
	k.attach(intents[c.rng.IntN(len(intents))], "")
	k.customer = &party{call: k, id: k.id[:20] + "c0", word: k.word(), start: c.now}
	b := c.callBody(event.CallCreated, k, nil)
	b.MainDialType = dialType
	c.emitCall(event.CallCreated, k, b)
	return k
}

// leg adds an agent to the call.
func (c *Centre) leg(k *call, a *agent, dialType int, role string, other *party) *party {
	p := &party{
		call: k, agent: a, id: k.id[:20] + "a" + strconv.Itoa(len(k.parties)+1), role: role, other: other,
		dialType: dialType, word: k.word(), start: c.now, alert: c.now,
	}
	k.parties = append(k.parties, p)
	a.doing = onCall
	a.party = p
	return p
}

// inbound lets a customer call, who hears the greeting and then waits in the queue.
func (c *Centre) inbound() {
	k := c.newCall(true, "Inbound")
	k.customer.role = "Origination"
	k.customer.alert = c.now
	c.party(event.CallDialing, k.customer)
	if c.chance(0.04) {
		c.after(c.between(1, 4.9), func() {
			k.result = resultFastHangup
			c.end(k, byCustomer, "ORIGINATOR_CANCEL")
		})
		return
	}
	greeting := c.between(4, 15)
	if c.chance(0.4) {
		c.after(greeting/2, func() { c.digits(k.customer) })
	}
	c.after(greeting, func() { c.enqueue(k) })
}

// enqueue puts a call into its queue. The customer hangs up after a while.
func (c *Centre) enqueue(k *call) {
	k.entered = c.now
	c.queueEvent(event.QueueEntered, k, "", nil)
	c.waiting[k.queue] = append(c.waiting[k.queue], k)
	patience := min(10_000+c.exp(90_000), 600_000)
	c.after(patience, func() {
		if !k.answered && !k.over {
			c.abandon(k)
		}
	})
	c.dispatch()
}

// dispatch gives each waiting call, in their order, to the agent who has been idle for
// longest.
func (c *Centre) dispatch() {
	for q := range c.waiting {
		for len(c.waiting[q]) > 0 {
			a := c.idlest(q)
			if a == nil {
				break
			}
			k := c.waiting[q][0]
			c.waiting[q][0] = nil // or the array would keep the call in memory
			c.waiting[q] = c.waiting[q][1:]
			c.ring(k, a)
		}
	}
	if c.closing {
		c.homeward()
	}
}

// idlest returns the free agent of a queue who has been ready for longest; nil if
// there is no free agent.
func (c *Centre) idlest(queue int) (idlest *agent) {
	for _, a := range c.agents {
		if a.skills[queue] && c.free(a) && (idlest == nil || a.since < idlest.since) {
			idlest = a
		}
	}
	return idlest
}

// ring gives a call from the queue to an agent, who answers, or misses it so that it
// goes back to the front of the queue.
func (c *Centre) ring(k *call, a *agent) {
	p := c.leg(k, a, dialCall, "Destination", k.customer)
	k.host = p
	c.alert(p)
	c.answerOr(p, func() {
		k.answered = true
		c.establish(p)
		k.customer.other = p
		k.customer.answer = c.now
		c.party(event.CallEstablished, k.customer)
		c.queueEvent(event.QueueLeft, k, "answered", a)
		c.talk(k)
	}, func() {
		k.host = nil
		c.waiting[k.queue] = slices.Insert(c.waiting[k.queue], 0, k)
		c.dispatch()
	})
}

// alert makes an agent's phone ring.
func (c *Centre) alert(p *party) {
	b := c.callBody(event.CallRinging, p.call, p)
	if p.dialType == dialCall {
		b.ThisQueue = queues[p.call.queue].id
	}
	c.emitCall(event.CallRinging, p.call, b)
	c.status(p.agent, loginOnline, reasonNone, workRinging)
}

// answerOr waits for an agent whose phone rings. Nine of ten answer in time.
func (c *Centre) answerOr(p *party, answered, missed func()) {
	if c.chance(0.92) {
		c.after(c.between(2, 9), func() {
			if p.end == 0 {
				p.agent.missed = 0
				answered()
			}
		})
		return
	}
	c.after(c.between(15, 20), func() {
		if p.end != 0 {
			return
		}
		a := p.agent
		p.result = partyMissed
		c.release(p, byOthers, "NO_ANSWER")
		a.missed++
		if a.missed > 1 {
			c.lock(a)
		} else {
			c.ready(a)
		}
		missed()
	})
}

// establish notes that an agent has answered.
func (c *Centre) establish(p *party) {
	p.answer = c.now
	p.result = partyAnswered
	c.party(event.CallEstablished, p)
	c.status(p.agent, loginOnline, reasonNone, workTalking)
}

// abandon lets the customer hang up before an agent has answered.
func (c *Centre) abandon(k *call) {
	k.result = resultAgentNotFound
	if len(k.parties) > 0 {
		k.result = resultAgentMissed
	}

	ringing := k.host
	c.waiting[k.queue] = slices.DeleteFunc(c.waiting[k.queue], func(w *call) bool { return w == k })
	c.queueEvent(event.QueueLeft, k, "abandoned", nil)
	if ringing != nil {
		ringing.result = partyMissed
		c.release(ringing, byOthers, "ORIGINATOR_CANCEL")
		k.host = nil
	}
	c.end(k, byCustomer, "ORIGINATOR_CANCEL")
	if ringing != nil {
		c.ready(ringing.agent) // it does not count as missed
	}
}

// outbound lets an agent call a customer.
func (c *Centre) outbound() {
	a := c.colleague(nil)
	if a == nil {
		return // no agent is free
	}
	kinds := []string{"RegularMakeCall", "RegularMakeCall", "ClickToCallback", "PreviewOutbound"}
	k := c.newCall(false, kinds[c.rng.IntN(4)])
	k.customer.role = "Destination"
	p := c.leg(k, a, dialCall, "Origination", k.customer)
	p.result = partyAnswered // its own side of the call is up
	k.host = p
	k.customer.other = p
	b := c.callBody(event.CallDialing, k, p)
	b.ReferenceID = c.asked()
	c.emitCall(event.CallDialing, k, b)
	c.status(a, loginOnline, reasonNone, workDialing)

	// Some numbers do not ring.
	if c.chance(0.08) {
		f := failures[c.rng.IntN(len(failures))]
		c.after(c.between(1.5, 4), func() { c.unanswered(k, byOthers, f.cause, f.reason) })
		return
	}

	// The others ring: customers answer, or refuse, or do not answer.
	c.after(c.between(1.5, 5), func() {
		k.customer.alert = c.now
		c.party(event.CallRinging, k.customer)
		switch {
		case c.chance(0.65):
			c.after(c.between(3, 20), func() {
				k.answered = true
				k.customer.answer = c.now
				c.party(event.CallEstablished, k.customer)
				c.establish(p)
				c.talk(k)
			})
		case c.chance(0.3):
			c.after(c.between(3, 12), func() {
				c.unanswered(k, byCustomer, "CALL_REJECTED", "CUSTOMER_REJECTION")
			})
		default:
			c.after(c.between(15, 40), func() { c.unanswered(k, byAgent, "NO_ANSWER", "NOT_ANSWER") })
		}
	})
}

// unanswered ends a call that the customer did not answer.
func (c *Centre) unanswered(k *call, side int, cause, reason string) {
	k.result = resultCustomerMissed
	k.reason = reason
	c.hangUp(k, side, cause)
}

// hangUp ends a call that has an agent.
func (c *Centre) hangUp(k *call, side int, cause string) {
	a := k.host.agent
	c.release(k.host, side, cause)
	c.end(k, side, cause)
	c.wrap(a, c.between(5, 60))
}

// release takes an agent off the call. The caller decides what the agent does next.
func (c *Centre) release(p *party, side int, cause string) {
	p.end = c.now
	p.hangup = side
	b := c.callBody(event.CallReleased, p.call, p)
	b.HangupDisposition, b.HangupCause, b.CallResult = side, cause, p.result
	c.emitCall(event.CallReleased, p.call, b)
}

// end closes the call after its last agent is off it, and later sends the records.
func (c *Centre) end(k *call, side int, cause string) {
	k.over = true
	k.ended = c.now
	k.hangup = side
	k.cause = cause
	if k.answered {
		k.result = resultAnswered
	}
	if k.customer.alert != 0 { // the customer's phone rang, or it was the customer who called
		b := c.callBody(event.CallReleased, k, k.customer)
		b.HangupDisposition, b.HangupCause, b.CallResult = side, cause, k.result
		c.emitCall(event.CallReleased, k, b)
	}
	b := c.callBody(event.CallDeleted, k, nil)
	b.HangupDisposition, b.HangupCause = side, cause
	c.emitCall(event.CallDeleted, k, b)
	c.after(c.between(0.3, 1.5), func() { c.records(k) })
}

// homeward lets free agents go home if no caller waits for them any more.
func (c *Centre) homeward() {
	for _, a := range c.agents {
		if c.free(a) && !c.wanted(a) {
			c.logout(a)
		}
	}
}
