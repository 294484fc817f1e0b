package live

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/event"
)

// Call is what the events and records of one call say, in a form that later ones
// can be added to in any order. Times are Unix ms, 0: none.
type Call struct {
	ID     string `json:"-"`
	Known  bool   `json:"k,omitempty"` // from call.* events
	First  int64  `json:"s,omitempty"` // of its call.* events
	Latest int64  `json:"l,omitempty"` // of its call.* and queue.* events
	Last   int64  `json:"m,omitempty"` // of all of its times

	Deleted  int64     `json:"d,omitempty"` // by call.deleted
	Main     *Main     `json:"c,omitempty"`
	Bot      bool      `json:"b,omitempty"` // there is a main bot record
	BotEnd   int64     `json:"e,omitempty"` // its end, else its start
	Dir      firstText `json:"r,omitzero"`  // as its events say
	Customer firstText `json:"u,omitzero"`  // number, as its events say
	Line     firstText `json:"i,omitzero"`  // the tenant's own number, as its events say
	Dial     firstText `json:"a,omitzero"`  // mainDialType of call.created

	Queue   QueueEvents       `json:"qs,omitempty"`
	Parties map[string]*Party `json:"p,omitempty"`

	cached *callSummary // of Prepare
}

// Main is a main record.
type Main struct {
	Type, Result, Start, End int64
	FirstAgent               string // firstCallAgentUUID
	Customer, Gateway, Dial  string
}

// end of the call that a record says.
func end(start, end int64) int64 {
	if end > 0 {
		return end
	}
	return start
}

// firstText is the text of the earliest event that has one.
type firstText struct {
	At   int64  `json:"t,omitempty"`
	Text string `json:"v,omitempty"`
	Some bool   `json:"s,omitempty"`
}

// note takes a text if it is not empty and no earlier event had one. When the same event
// comes twice, the body that came last counts.
func (f *firstText) note(at int64, v string) {
	if v != "" && (!f.Some || at <= f.At) {
		*f = firstText{at, v, true}
	}
}

// maxParties of a call, and queues that it leaves: further ones are not looked at.
const maxParties = 500

var directions = map[string]string{"Internal": "1", "Inbound": "2", "Outbound": "3", "1": "1", "2": "2", "3": "3"}

// CallOf is the callID of an event that says something of a call; "": none does.
func CallOf(e *event.Event) string {
	switch t := e.Type; {
	case t >= event.CDRCall && t <= event.CDRBotParty, t >= event.CallCreated && t <= event.CallAgentError:
		return read(e.Body).text("callID")
	case t == event.QueueEntered, t == event.QueueLeft:
		if b := read(e.Body); b.text("media") == "call" {
			return b.text("contactId")
		}
	}
	return ""
}

// Add what an event says.
func (c *Call) Add(e *event.Event) {
	b := read(e.Body)
	or := func(name string, absent int64) int64 {
		if n, there := b.value(name).Int(); there {
			return n
		}
		return absent
	}
	num := func(name string) int64 { return or(name, 0) }
	switch t := e.Type; t {
	case event.CDRCall:
		c.Main = &Main{
			num("callType"), num("callResult"), b.time("startTime"), b.time("endTime"),
			b.text("firstCallAgentUUID"), b.text("customerNumber"), b.text("gatewayNumber"), b.text("mainDialType"),
		}
		c.Last = max(c.Last, b.time("startTime"), b.time("endTime"))
	case event.CDRBotCall:
		c.Bot, c.BotEnd = true, b.time("endTime", "startTime")
		c.Last = max(c.Last, b.time("startTime"), b.time("endTime"))
	case event.CDRParty, event.CDRBotParty:
		c.Last = max(c.Last, b.time("startTime"), b.time("endTime"))
		p := c.party("p" + b.text("partyId"))
		if p == nil {
			return
		}
		if t == event.CDRBotParty {
			p.Bot, p.BotEnd = true, b.time("endTime", "startTime")
			return
		}
		p.CDR = &CDR{
			b.text("agentUUID"), b.text("agentID"), or("agentRole", 2), or("dialType", 1), num("callResult"), num("callType"),
			b.time("startTime"), b.time("endTime"), talk(b),
		}
	case event.QueueEntered, event.QueueLeft:
		f := readQueueEvent(t, b)
		c.Queue.add(f)
		c.Latest, c.Last = max(c.Latest, f.At), max(c.Last, f.At)
	default:
		c.addEvent(e, b)
	}
}

func (c *Call) addEvent(e *event.Event, b body) {
	at := e.OccurredAt
	c.Known = true
	c.First = earliest(c.First, at)
	c.Latest, c.Last = max(c.Latest, at), max(c.Last, at)
	dir := directions[b.text("callType")]
	c.Dir.note(at, dir)
	switch dir {
	case "2":
		c.Customer.note(at, b.text("ANI"))
		c.Line.note(at, b.text("DNIS"))
	case "3":
		c.Customer.note(at, b.text("DNIS"))
		c.Line.note(at, b.text("ANI"))
	}
	switch e.Type {
	case event.CallCreated:
		c.Dial.note(at, b.text("mainDialType"))
	case event.CallDeleted:
		c.Deleted = earliest(c.Deleted, at)
	}
	// Without partyID: of the party of its agent, else of the one with its thisDN.
	uuid, id, dn := b.text("agentUUID"), b.text("agentID"), b.text("thisDN")
	key := "p" + b.text("partyID")
	if key == "p" {
		switch agent := AgentKey(uuid, id); {
		case agent != "":
			key = "a" + agent
		case dn != "":
			key = "d" + dn
		default:
			return
		}
	}
	p := c.party(key)
	if p == nil {
		return
	}
	p.First = earliest(p.First, at)
	p.Dir.note(at, dir)
	for i, s := range partyStates {
		if s.event == e.Type {
			p.become(i, at)
		}
	}
	switch e.Type {
	case event.CallDialing:
		p.Dialing = earliest(p.Dialing, at)
	case event.CallEstablished:
		p.Answered = earliest(p.Answered, at)
	case event.CallReleased:
		p.Released = earliest(p.Released, at)
	}
	if role := b.text("partyRole"); role != "" && at >= p.RoleAt {
		p.Role, p.RoleAt = role, at
	}
	if dn != "" && at >= p.DNAt {
		p.DN, p.DNAt = dn, at
	}
	if AgentKey(uuid, id) != "" && at >= p.NamedAt {
		p.UUID, p.ID, p.NamedAt = uuid, id, at
	}
}

func (c *Call) party(key string) *Party {
	p := c.Parties[key]
	if p == nil && len(c.Parties) < maxParties {
		if c.Parties == nil {
			c.Parties = map[string]*Party{}
		}
		p = &Party{}
		c.Parties[key] = p
	}
	return p
}

// earliest of two times.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// callSummary is what Prepare derives from a call.
type callSummary struct {
	parties []*Party
	waits   []Wait
	wait    *Wait // the one that nothing has ended; nil: none
	dir     int64
	gateway string
	counts  []agentCount
}

// Prepare makes questions cheap, and safe to ask at one time. Nothing may be added
// afterwards.
func (c *Call) Prepare() {
	t := &callSummary{parties: c.parties(), waits: c.waits(), dir: c.Direction(), gateway: c.Gateway()}
	for _, p := range t.parties {
		p.who = p.agent()
		p.sure = true
	}
	t.wait = runningWait(t.waits)
	c.cached = t
	t.counts = c.count()
}

// waits of the contact that the call is.
func (c *Call) waits() []Wait {
	if c.cached != nil {
		return c.cached.waits
	}
	return c.Queue.waits(c.ID)
}

// parties returns the parties, with those that events without partyID speak of put where they belong.
func (c *Call) parties() (all []*Party) {
	if c.cached != nil {
		return c.cached.parties
	}
	var loose []string
	for _, key := range slices.Sorted(maps.Keys(c.Parties)) {
		if key[0] != 'p' {
			loose = append(loose, key) // a before d, both before p
			continue
		}
		p := *c.Parties[key]
		all = append(all, &p)
	}
	for _, key := range loose {
		from := c.Parties[key]
		i := slices.IndexFunc(all, func(p *Party) bool {
			if key[0] == 'a' {
				return p.agent() == key[1:]
			}
			return p.DN == key[1:]
		})
		switch {
		case i >= 0:
			all[i].merge(from)
		case key[0] == 'a':
			p := *from
			all = append(all, &p)
		}
	}
	return all
}

// Direction of the call: 1 internal, 2 inbound, 3 outbound, 0 none.
func (c *Call) Direction() int64 {
	if c.cached != nil {
		return c.cached.dir
	}
	if c.Main != nil && c.Main.Type >= 1 && c.Main.Type <= 3 {
		return c.Main.Type
	}
	if c.Dir.Some {
		return int64(c.Dir.Text[0] - '0')
	}
	var dir, at int64
	for _, key := range slices.Sorted(maps.Keys(c.Parties)) {
		if r := c.Parties[key].CDR; r != nil && r.Type >= 1 && r.Type <= 3 && (dir == 0 || r.Start < at) {
			dir, at = r.Type, r.Start
		}
	}
	return dir
}

// Number of the customer; "": unknown.
func (c *Call) Number() string {
	switch {
	case c.Main != nil && c.Main.Customer != "":
		return c.Main.Customer
	case c.Customer.Some:
		return c.Customer.Text
	}
	return c.Queue.earliest(func(f *QueueEvent) string { return f.Customer })
}

// Gateway is the tenant's own number in the call; "": unknown.
func (c *Call) Gateway() string {
	if c.cached != nil {
		return c.cached.gateway
	}
	if c.Main != nil && c.Main.Gateway != "" {
		return c.Main.Gateway
	}
	return cmp.Or(c.Queue.earliest(func(f *QueueEvent) string { return f.Gateway }), c.Line.Text)
}

// CallBack says whether the call was begun for the agent, who was called first.
func (c *Call) CallBack() bool {
	dial := c.Dial.Text
	if dial == "" && c.Main != nil {
		dial = c.Main.Dial
	}
	return dial == "ClickToCallback" || dial == "TwoWayToPSTN"
}

// currentWait is the wait that nothing has ended; nil: the call does not wait.
func (c *Call) currentWait() *Wait {
	if c.cached != nil {
		return c.cached.wait
	}
	return runningWait(c.waits())
}

// Ends of the agents' parties, by agent; of one of which nothing says an end the
// last time that is known of the call. 0: it was never busy with it.
func (c *Call) Ends() map[string]int64 {
	all := map[string]int64{}
	for _, p := range c.parties() {
		agent := p.agent()
		if agent == "" || p.First == 0 {
			continue
		}
		end := c.Latest
		if p.released() || c.over() {
			end = p.end(c)
		}
		if len(p.Changes) == 0 || p.Changes[0].At >= end {
			end = 0
		}
		all[agent] = max(all[agent], end)
	}
	return all
}

// EndedWaits returns the waits of the call that are over.
func (c *Call) EndedWaits() []Wait { return endedWaits(c.Queue.waits(c.ID), c.over(), c.ends()) }

// ends is when a call that is not live ended.
func (c *Call) ends() int64 {
	switch {
	case c.Deleted > 0:
		return c.Deleted
	case c.Main != nil:
		return end(c.Main.Start, c.Main.End)
	case c.Bot:
		return c.BotEnd
	}
	last := int64(0)
	for _, p := range c.parties() {
		switch {
		case p.First == 0:
		case !p.released():
			return c.Latest // it is stale
		default:
			last = max(last, p.ends())
		}
	}
	return last
}

// talk in s, as the reports have it.
func talk(b body) int64 {
	if d, there := b.value("duration").Int(); there {
		return max(d, 0)
	}
	bridged, ended := b.time("bridgeTime"), b.time("endTime")
	if bridged == 0 || ended < bridged {
		return 0
	}
	return (ended - bridged) / 1000
}

// over for good: no later event makes the call live again.
func (c *Call) over() bool { return c.Deleted > 0 || c.Main != nil || c.Bot }

// Live says whether the call goes on. stale is after how long without an event,
// in ms, it does no more.
func (c *Call) Live(now, stale int64) bool {
	if !c.Known || c.over() || now-c.Latest >= stale {
		return false
	}
	if c.currentWait() != nil {
		return true
	}
	known := false
	for _, p := range c.parties() {
		if p.First == 0 {
			continue // only its record is there
		}
		if known = true; !p.released() {
			return true
		}
	}
	return !known
}
