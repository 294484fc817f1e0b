package simulate

import (
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// talk begins when agent and customer hear each other.
func (c *Centre) talk(k *call) {
	k.talkEnds = c.now + min(10_000+c.exp(160_000), 1_800_000)
	c.listen(k)
}

// listen lets them talk for a while, then comes a turn.
func (c *Centre) listen(k *call) {
	c.after(min(c.between(5, 45), max(k.talkEnds-c.now, 1000)), func() { c.turn(k) })
}

// turn decides how a talk goes on.
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

func (c *Centre) hold(k *call) {
	c.held(k.host)
	c.after(c.between(5, 60), func() {
		if c.chance(0.03) {
			c.hangUp(k, byCustomer, "NORMAL_CLEARING") // had enough
			return
		}
		c.retrieved(k.host)
		c.listen(k)
	})
}

func (c *Centre) held(p *party) {
	b := c.callBody(event.CallHeld, p.call, p)
	b.ReferenceID = c.asked()
	c.tellCall(event.CallHeld, p.call, b)
	c.status(p.agent, loginOnline, reasonNone, workHolding)
}

func (c *Centre) retrieved(p *party) {
	b := c.callBody(event.CallRetrieved, p.call, p)
	b.ReferenceID = c.asked()
	c.tellCall(event.CallRetrieved, p.call, b)
	c.status(p.agent, loginOnline, reasonNone, workTalking)
}

// inquire asks a colleague while the customer is held; some of these talks
// become a conference.
func (c *Centre) inquire(k *call) {
	c.withColleague(k, func(b *agent) {
		p := c.leg(k, b, dialInquiry, "ConsultBy", k.host)
		p.word, p.from = "Consult", k.host.agent
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

// transfer hands the customer to a colleague; if nobody answers, it takes the customer back.
func (c *Centre) transfer(k *call) {
	c.withColleague(k, func(b *agent) {
		k.transfers++
		old := k.host
		p := c.leg(k, b, dialTransfer, "TransferTo", k.customer)
		p.from = old.agent
		c.alert(p)
		c.answerOr(p, func() {
			c.establish(p)
			k.host, k.customer.other = p, p
			changed := c.callBody(event.CallPartyChanged, k, k.customer)
			changed.ThirdDN, changed.ThirdDNRole = old.dn(), "DeletedParty"
			c.tellCall(event.CallPartyChanged, k, changed)
			c.release(old, byAgent, "BLIND_TRANSFER")
			c.wrap(old.agent, c.between(5, 40))
			c.listen(k)
		}, func() {
			c.retrieved(old)
			c.listen(k)
		})
	})
}

// withColleague holds the customer and goes on with a colleague who is free
// when the number is dialled, if there is one.
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
	c.tellCall(event.CallPartyAdded, k, own)
	c.after(c.between(15, 90), func() {
		c.release(p, byAgent, "NORMAL_CLEARING")
		c.third(event.CallPartyDeleted, k, p, "DeletedParty")
		c.wrap(p.agent, c.between(2, 10))
		c.listen(k)
	})
}

// third tells agent and customer of a third who came or went.
func (c *Centre) third(t event.Type, k *call, p *party, role string) {
	for _, other := range []*party{k.host, k.customer} {
		b := c.callBody(t, k, other)
		b.ThirdDN, b.ThirdDNRole = p.dn(), role
		if t == event.CallPartyAdded {
			b.DialType = dialInquiry
		}
		c.tellCall(t, k, b)
	}
}

// changeData: the agent notes what the call is about.
func (c *Centre) changeData(k *call) {
	k.attach(intents[c.rng.IntN(len(intents))], notes[c.rng.IntN(len(notes))])
	b := c.callBody(event.CallAttachedDataChanged, k, nil)
	b.ReferenceID = c.asked()
	b.ChangedKeys = []string{"intent", "note"}
	c.tellCall(event.CallAttachedDataChanged, k, b)
}

func (c *Centre) digits(p *party) {
	var s strings.Builder
	for range 1 + c.rng.IntN(6) {
		s.WriteByte("0123456789*#"[c.rng.IntN(12)])
	}
	b := c.callBody(event.CallDTMFSent, p.call, p)
	b.DTMFDigits = s.String()
	c.tellCall(event.CallDTMFSent, p.call, b)
}

// asked numbers what an agent asks the platform to do.
func (c *Centre) asked() int64 {
	c.request++
	return c.request
}
