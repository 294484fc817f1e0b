package simulate

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

// Results of calls (main CDR) and of parties (party CDR), hang-up sides, kinds of legs.
const (
	resultAgentNotFound, resultFastHangup, resultAgentMissed = 4, 5, 6
	resultCustomerMissed, resultAnswered                     = 7, 8

	partyMissed, partyAnswered = 2, 3

	byOthers, byAgent, byCustomer = 1, 2, 3

	dialCall, dialTransfer, dialInquiry = 1, 2, 3
)

// call is one call from its creation to its records.
type call struct {
	id       string
	told     int // events so far
	inbound  bool
	dialType string // mainDialType
	who      customer
	gateway  string
	queue    int
	data     attached // changed while they talk
	dataText string   // the same as JSON

	customer *party
	parties  []*party // of agents, in the order of their start
	host     *party   // the agent who faces the customer; nil: nobody does
	over     bool
	answered bool  // somebody did
	talkEnds int64 // when they have said all

	started, ended       int64
	entered              int64 // into the queue
	transfers, inquiries int
	result, hangup       int
	cause, reason        string // hangupCause, reasonOfNotAnswer
}

// party is one leg of a call.
type party struct {
	call     *call
	agent    *agent // nil: the customer
	id       string
	role     string // thisDNRole
	other    *party // whom it talks with; nil: the gateway
	dialType int
	word     string // callType of its events
	from     *agent // who sent the call here

	start, alert, answer, end int64 // Unix ms; 0: did not happen
	result, hangup            int
}

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

func (k *call) direction() int {
	if k.inbound {
		return 2
	}
	return 3
}

func (k *call) word() string {
	if k.inbound {
		return "Inbound"
	}
	return "Outbound"
}

func (c *Centre) newCall(inbound bool, dialType string) *call {
	k := &call{
		id: fmt.Sprintf("%016x%016x", c.rng.Uint64(), c.rng.Uint64()), inbound: inbound, dialType: dialType,
		who: newCustomer(c.company, c.rng.IntN(customers)), gateway: gateways[c.rng.IntN(len(gateways))],
		queue: c.rng.IntN(len(queues)), started: c.now,
	}
	k.attach(intents[c.rng.IntN(len(intents))], "")
	k.customer = &party{call: k, id: k.id[:20] + "c0", word: k.word(), start: c.now}
	b := c.callBody(event.CallCreated, k, nil)
	b.MainDialType = dialType
	c.tellCall(event.CallCreated, k, b)
	return k
}

// leg adds an agent to the call.
func (c *Centre) leg(k *call, a *agent, dialType int, role string, other *party) *party {
	p := &party{
		call: k, agent: a, id: k.id[:20] + "a" + strconv.Itoa(len(k.parties)+1), role: role, other: other,
		dialType: dialType, word: k.word(), start: c.now, alert: c.now,
	}
	k.parties = append(k.parties, p)
	a.doing, a.party = onCall, p
	return p
}

// inbound: a customer calls, hears the greeting, waits.
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

// dispatch rings, for each waiting call in turn, the agent idle for longest.
func (c *Centre) dispatch() {
	for q := range c.waiting {
		for len(c.waiting[q]) > 0 {
			a := c.idlest(q)
			if a == nil {
				break
			}
			k := c.waiting[q][0]
			c.waiting[q][0] = nil // the slice must not keep the call
			c.waiting[q] = c.waiting[q][1:]
			c.ring(k, a)
		}
	}
	if c.closing {
		c.homeward()
	}
}

func (c *Centre) idlest(queue int) (idlest *agent) {
	for _, a := range c.agents {
		if a.skills[queue] && c.free(a) && (idlest == nil || a.since < idlest.since) {
			idlest = a
		}
	}
	return idlest
}

func (c *Centre) ring(k *call, a *agent) {
	p := c.leg(k, a, dialCall, "Destination", k.customer)
	k.host = p
	c.alert(p)
	c.answerOr(p, func() {
		k.answered = true
		c.establish(p)
		k.customer.other, k.customer.answer = p, c.now
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
	c.tellCall(event.CallRinging, p.call, b)
	c.status(p.agent, loginOnline, reasonNone, workRinging)
}

// answerOr waits for the agent: nine of ten answer in time.
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
		if a.missed++; a.missed > 1 {
			c.lock(a)
		} else {
			c.ready(a)
		}
		missed()
	})
}

// establish: the agent has answered.
func (c *Centre) establish(p *party) {
	p.answer, p.result = c.now, partyAnswered
	c.party(event.CallEstablished, p)
	c.status(p.agent, loginOnline, reasonNone, workTalking)
}

// abandon: the customer hangs up before anybody answered.
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
		c.ready(ringing.agent) // who was slow is not to blame
	}
}

// outbound: an agent calls a customer.
func (c *Centre) outbound() {
	a := c.colleague(nil)
	if a == nil {
		return // nobody has the time
	}
	k := c.newCall(false, []string{"RegularMakeCall", "RegularMakeCall", "ClickToCallback", "PreviewOutbound"}[c.rng.IntN(4)])
	k.customer.role = "Destination"
	p := c.leg(k, a, dialCall, "Origination", k.customer)
	p.result = partyAnswered // its own side of the call is up
	k.host, k.customer.other = p, p
	b := c.callBody(event.CallDialing, k, p)
	b.ReferenceID = c.asked()
	c.tellCall(event.CallDialing, k, b)
	c.status(a, loginOnline, reasonNone, workDialing)

	if c.chance(0.08) { // nothing rings at the other end
		f := failures[c.rng.IntN(len(failures))]
		c.after(c.between(1.5, 4), func() { c.unanswered(k, byOthers, f.cause, f.reason) })
		return
	}
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
			c.after(c.between(3, 12), func() { c.unanswered(k, byCustomer, "CALL_REJECTED", "CUSTOMER_REJECTION") })
		default:
			c.after(c.between(15, 40), func() { c.unanswered(k, byAgent, "NO_ANSWER", "NOT_ANSWER") })
		}
	})
}

func (c *Centre) unanswered(k *call, side int, cause, reason string) {
	k.result, k.reason = resultCustomerMissed, reason
	c.hangUp(k, side, cause)
}

// hangUp ends a call that has an agent.
func (c *Centre) hangUp(k *call, side int, cause string) {
	a := k.host.agent
	c.release(k.host, side, cause)
	c.end(k, side, cause)
	c.wrap(a, c.between(5, 60))
}

// release takes an agent off the call; what it does next is for the caller to say.
func (c *Centre) release(p *party, side int, cause string) {
	p.end, p.hangup = c.now, side
	b := c.callBody(event.CallReleased, p.call, p)
	b.HangupDisposition, b.HangupCause, b.CallResult = side, cause, p.result
	c.tellCall(event.CallReleased, p.call, b)
}

// end closes the call after its last agent is off it, and later sends the records.
func (c *Centre) end(k *call, side int, cause string) {
	k.over, k.ended, k.hangup, k.cause = true, c.now, side, cause
	if k.answered {
		k.result = resultAnswered
	}
	if k.customer.alert != 0 { // else it never heard of the call
		b := c.callBody(event.CallReleased, k, k.customer)
		b.HangupDisposition, b.HangupCause, b.CallResult = side, cause, k.result
		c.tellCall(event.CallReleased, k, b)
	}
	b := c.callBody(event.CallDeleted, k, nil)
	b.HangupDisposition, b.HangupCause = side, cause
	c.tellCall(event.CallDeleted, k, b)
	c.after(c.between(0.3, 1.5), func() { c.records(k) })
}

// homeward lets those go for whom nobody waits any more.
func (c *Centre) homeward() {
	for _, a := range c.agents {
		if c.free(a) && !c.wanted(a) {
			c.logout(a)
		}
	}
}
