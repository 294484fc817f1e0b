package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/hookline/hookline/hub/event"
)

// doing says what an agent is doing, as far as the story needs it.
type doing uint8

const (
	offDuty doing = iota
	ready
	away   // on a break, or locked out by the system for missing calls
	onCall // from the first ring to the last word
	wrapUp
)

// The codes of agent.status.
const (
	loginOffline, loginOnline, loginOccupied = 0, 1, 2

	workUnknown, workReady, workOccupied, workSorting                    = 0, 1, 2, 4
	workDialing, workRinging, workTalking, workHolding                   = 5, 6, 7, 8
	reasonNone, reasonBreak, reasonTraining, reasonMeeting, reasonDining = 0, 11, 12, 13, 14
	reasonSystem                                                         = 98
)

// An agent is on duty 8 h of 12, so two thirds of them are there at any time.
const (
	shiftHours = 8
	cycleHours = 12
)

// settleTime is how long, in ms, an agent is ready before anything reaches it, so
// that every status lasts for some time.
const settleTime = 200

type agent struct {
	uuid, id, name, dn, pstn string
	phoneType                int // 1 web, 3 phone, 4 SIP
	department               string
	skills                   [len(queues)]bool

	doing       doing
	since       int64  // when the last status began
	statusCount int    // number of statuses so far
	shift       int    // number of the shift: what was planned in an earlier one is void
	breakDue    bool   // the agent pauses as soon as the call is over
	leaveDue    bool   // the agent goes home as soon as the call is over
	missed      int    // how many calls in a row were missed
	party       *party // what the agent has in a call; nil without a call
}

// newAgent makes the i-th agent of a company, who is the same person in every story.
func newAgent(company string, i int) *agent {
	h := sha256.Sum256(fmt.Appendf(nil, "agent|%s|%d", company, i))
	a := &agent{
		uuid:       hex.EncodeToString(h[:16]),
		id:         strconv.Itoa(1001 + i),
		name:       firstNames[int(h[16])%len(firstNames)] + " " + lastNames[int(h[17])%len(lastNames)],
		dn:         strconv.Itoa(81001 + i),
		phoneType:  []int{1, 1, 1, 4, 3}[i%5],
		department: departments[i%len(departments)],
	}
	if a.phoneType == 3 {
		a.pstn = fmt.Sprintf("1370%07d", i)
	}
	if i%7 == 6 { // some belong to two departments
		a.department += "|" + departments[(i+1)%len(departments)]
	}
	a.skills[i%len(queues)] = true
	a.skills[(i+1)%len(queues)] = true
	if i == 0 {
		a.skills = [len(queues)]bool{true, true, true} // so that a centre of one agent serves every queue
	}
	return a
}

// openShifts puts every agent somewhere in the cycle of shifts. Agents on duty log in
// within two minutes. The first agent has nearly a whole shift ahead.
func (c *Centre) openShifts() {
	for i, a := range c.agents {
		at := c.between(0, cycleHours*3600)
		if i == 0 {
			at = c.between(0, 600)
		}
		if left := shiftHours*3_600_000 - at; left > 300_000 {
			c.after(c.between(1, 120), func() { c.login(a, left) })
		} else {
			c.after(cycleHours*3_600_000-at, func() { c.login(a, shiftHours*3_600_000) })
		}
	}
}

// login begins a shift of some length.
func (c *Centre) login(a *agent, length int64) {
	if c.closing {
		return
	}
	a.shift++
	a.breakDue = false
	a.leaveDue = false
	a.missed = 0
	shift := a.shift
	c.after(length, func() {
		if a.shift == shift {
			a.leaveDue = true
			c.settle(a)
		}
	})
	c.planBreak(a)
	c.ready(a)
}

// planBreak lets a break become due after a while.
func (c *Centre) planBreak(a *agent) {
	shift := a.shift
	c.after(c.between(40*60, 80*60), func() {
		if a.shift == shift {
			a.breakDue = true
			c.settle(a)
		}
	})
}

// ready makes an agent ready again after anything else. If it is time to leave or to
// pause, the agent does that instead.
func (c *Centre) ready(a *agent) {
	a.party = nil
	switch {
	case a.leaveDue && !(c.closing && c.wanted(a)):
		c.logout(a)
	case a.breakDue && !c.closing:
		c.pause(a)
	default:
		a.doing = ready
		c.status(a, loginOnline, reasonNone, workReady)
		c.site.dispatch()
		c.after(c.between(0.25, 0.8), func() { c.settle(a) }) // later than settleTime
	}
}

// settle gives a ready agent what is due: the end of the shift, a break, a call.
func (c *Centre) settle(a *agent) {
	switch {
	case !c.free(a):
	case a.leaveDue && !(c.closing && c.wanted(a)):
		c.logout(a)
	case a.breakDue && !c.closing:
		c.pause(a)
	default:
		c.dispatch()
	}
}

// free reports whether a call can reach the agent now.
func (c *Centre) free(a *agent) bool { return a.doing == ready && c.now-a.since >= settleTime }

// wanted reports whether a caller waits whom this agent can serve.
func (c *Centre) wanted(a *agent) bool {
	for q, w := range c.waiting {
		if a.skills[q] && len(w) > 0 {
			return true
		}
	}
	return false
}

// logout ends a shift, and plans the next one.
func (c *Centre) logout(a *agent) {
	a.doing = offDuty
	a.shift++
	c.site.leave(a)
	c.status(a, loginOffline, reasonNone, workUnknown)
	if !c.closing {
		rest := (cycleHours-shiftHours)*3_600_000 + c.between(-600, 600)
		c.after(rest, func() { c.login(a, shiftHours*3_600_000) })
	}
}

// pause begins a break. Most are short, lunch is not.
func (c *Centre) pause(a *agent) {
	a.doing = away
	a.breakDue = false
	reason, length := reasonBreak, c.between(4*60, 12*60)
	switch x := c.rng.Float64(); {
	case x < 0.15:
		reason, length = reasonDining, c.between(20*60, 45*60)
	case x < 0.25:
		reason, length = reasonMeeting, c.between(10*60, 30*60)
	case x < 0.30:
		reason, length = reasonTraining, c.between(15*60, 40*60)
	}
	c.status(a, loginOccupied, reason, workOccupied)
	c.planBreak(a)
	c.comeBack(a, length)
}

// lock gives an agent who missed several calls in a row no calls for a while.
func (c *Centre) lock(a *agent) {
	a.doing = away
	a.missed = 0
	a.party = nil
	c.status(a, loginOccupied, reasonSystem, workOccupied)
	c.comeBack(a, c.between(60, 180))
}

// comeBack makes an agent ready after some time.
func (c *Centre) comeBack(a *agent, ms int64) { c.after(ms, func() { c.ready(a) }) }

// wrap begins after-call work. Its status still names the call.
func (c *Centre) wrap(a *agent, ms int64) {
	a.doing = wrapUp
	c.status(a, loginOnline, reasonNone, workSorting)
	c.comeBack(a, ms)
}

// colleague returns a free agent of any skill, other than this one; nil if there is
// no such agent.
func (c *Centre) colleague(other *agent) *agent {
	n := len(c.agents)
	first := c.rng.IntN(n)
	for i := range n {
		if a := c.agents[(first+i)%n]; a != other && c.free(a) && !a.leaveDue {
			return a
		}
	}
	return nil
}

// status emits what the agent is doing from now on.
func (c *Centre) status(a *agent, login, reason, work int) {
	a.since = c.now
	a.statusCount++
	b := statusBody{
		CompanyID: c.company, MessageID: event.AgentStatus.MessageID(),
		MsgType: "agent_working_status_changed_successfully", CreationTime: c.now,
		AgentUUID: a.uuid, AgentID: a.id, AgentName: a.name,
		LoginStatus: login, NotReadyStatus: reason, WorkStatus: work, StartTime: c.now,
	}
	if p := a.party; p != nil {
		b.CallID, b.PartyID, b.DialType = p.call.id, p.id, p.dialType
		b.CallType = strconv.Itoa(p.call.direction())
		b.AttachedData = p.call.dataText
	}
	c.emit(c.run+"-"+a.id+"-"+strconv.Itoa(a.statusCount), event.AgentStatus, a.uuid, &b)
}
