package simulate

import (
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// talk begins the talk of agent and customer, and decides how long it will be.
func (c *Centre) talk(k *call) {
	k.talkEnds = c.now + min(10_000+c.exp(160_000), 1_800_000)
	c.listen(k)
}

// listen lets them talk for a while until something happens.
func (c *Centre) listen(k *call) {
	c.after(min(c.between(5, 45), max(k.talkEnds-c.now, 1000)), func() { c.turn(k) })
}

// turn decides what happens next in a talk, which may be its end.
func (c *Centre) turn(k *call) {
	if c.now >= k.talkEnds {
		side := byAgent
		if c.chance(0.6) {
			side = byCustomer
		}
		c.hangUp(k, side, "NORMAL_CLEARING")
		return
	}

	switch x := c.rng.Float64(); {
	case x < 0.12:
		c.hold(k)
	case x < 0.22:
		c.changeData(k)
		c.listen(k)
	case x < 0.25:
		c.digits(k.customer)
		c.listen(k)
	case x < 0.29:
		c.inquire(k)
	case x < 0.33:
		c.transfer(k)
	default:
		c.listen(k)
	}
}

// hold lets the customer wait for a while. A few hang up.
func (c *Centre) hold(k *call) {
	c.held(k.host)
	c.after(c.between(5, 60), func() {
		if c.chance(0.03) {
			c.hangUp(k, byCustomer, "NORMAL_CLEARING")
			return
		}
		c.retrieved(k.host)
		c.listen(k)
	})
}

// held emits that an agent put the other party on hold.
func (c *Centre) held(p *party) {
	b := c.callBody(event.CallHeld, p.call, p)
	b.ReferenceID = c.asked()
	c.emitCall(event.CallHeld, p.call, b)
	c.status(p.agent, loginOnline, reasonNone, workHolding)
}

// retrieved emits that an agent talks with the other party again.
func (c *Centre) retrieved(p *party) {
	b := c.callBody(event.CallRetrieved, p.call, p)
	b.ReferenceID = c.asked()
	c.emitCall(event.CallRetrieved, p.call, b)
	c.status(p.agent, loginOnline, reasonNone, workTalking)
}

// inquire lets the agent ask a colleague while the customer is on hold. Some of these
// talks become a conference.
func (c *Centre) inquire(k *call) {
	c.withColleague(k, func(b *agent) {
		p := c.leg(k, b, dialInquiry, "ConsultBy", k.host)
		p.word = "Consult"
		p.from = k.host.agent
		c.alert(p)
		c.answerOr(p, func() {
			k.inquiries++
			c.establish(p)
			c.after(c.between(8, 60), func() {
				if c.chance(0.25) {
					c.conference(k, p)
					return
				}
				c.release(p, byAgent, "NORMAL_CLEARING")
				c.wrap(b, c.between(2, 10))
				c.retrieved(k.host)
				c.listen(k)
			})
		}, func() {
			c.retrieved(k.host)
			c.listen(k)
		})
	})
}

// transfer hands the customer to a colleague. If the colleague does not answer, the
// agent takes the customer back.
func (c *Centre) transfer(k *call) {
	c.withColleague(k, func(b *agent) {
		k.transfers++
		old := k.host
		p := c.leg(k, b, dialTransfer, "TransferTo", k.customer)
		p.from = old.agent
		c.alert(p)
		c.answerOr(p, func() {
			c.establish(p)
			k.host = p
			k.customer.other = p
			changed := c.callBody(event.CallPartyChanged, k, k.customer)
			changed.ThirdDN, changed.ThirdDNRole = old.dn(), "DeletedParty"
			c.emitCall(event.CallPartyChanged, k, changed)
			c.release(old, byAgent, "BLIND_TRANSFER")
			c.wrap(old.agent, c.between(5, 40))
			c.listen(k)
		}, func() {
			c.retrieved(old)
			c.listen(k)
		})
	})
}

// withColleague puts the customer on hold, and calls do with a colleague who is free
// when the number is dialled. Without such a colleague the talk just goes on.
func (c *Centre) withColleague(k *call, do func(*agent)) {
	if c.colleague(k.host.agent) == nil {
		c.listen(k)
		return
	}
	c.held(k.host)
	c.after(c.between(1, 3), func() {
		b := c.colleague(k.host.agent)
		if b == nil {
			c.retrieved(k.host)
			c.listen(k)
			return
		}
		do(b)
	})
}

// conference takes the colleague into the talk with the customer, for a while.
func (c *Centre) conference(k *call, p *party) {
	c.retrieved(k.host)
	c.third(event.CallPartyAdded, k, p, "NewParty")
	own := c.callBody(event.CallPartyAdded, k, p)
	own.ThirdDN, own.ThirdDNRole, own.DialType = k.host.dn(), "AddedBy", dialInquiry
	c.emitCall(event.CallPartyAdded, k, own)
	c.after(c.between(15, 90), func() {
		c.release(p, byAgent, "NORMAL_CLEARING")
		c.third(event.CallPartyDeleted, k, p, "DeletedParty")
		c.wrap(p.agent, c.between(2, 10))
		c.listen(k)
	})
}

// third emits, for agent and customer, that a third party came or went.
func (c *Centre) third(t event.Type, k *call, p *party, role string) {
	for _, other := range []*party{k.host, k.customer} {
		b := c.callBody(t, k, other)
		b.ThirdDN, b.ThirdDNRole = p.dn(), role
		if t == event.CallPartyAdded {
			b.DialType = dialInquiry
		}
		c.emitCall(t, k, b)
	}
}

// changeData lets the agent note what the call is about.
func (c *Centre) changeData(k *call) {
	k.attach(intents[c.rng.IntN(len(intents))], notes[c.rng.IntN(len(notes))])
	b := c.callBody(event.CallAttachedDataChanged, k, nil)
	b.ReferenceID = c.asked()
	b.ChangedKeys = []string{"intent", "note"}
	c.emitCall(event.CallAttachedDataChanged, k, b)
}

// digits lets a party press some keys.
func (c *Centre) digits(p *party) {
	var s strings.Builder
	for range 1 + c.rng.IntN(6) {
		s.WriteByte("0123456789*#"[c.rng.IntN(12)])
	}
	b := c.callBody(event.CallDTMFSent, p.call, p)
	b.DTMFDigits = s.String()
	c.emitCall(event.CallDTMFSent, p.call, b)
}

// asked returns the next number of a request by an agent to the platform.
func (c *Centre) asked() int64 {
	c.request++
	return c.request
}
