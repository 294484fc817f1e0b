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

	Deleted  int64 `json:"d,omitempty"` // by call.deleted
	Main     *Main `json:"c,omitempty"`
	Bot      bool  `json:"b,omitempty"` // there is a main bot record
	BotEnd   int64 `json:"e,omitempty"` // its end, else its start
	Dir      first `json:"r,omitzero"`  // as its events say
	Customer first `json:"u,omitzero"`  // number, as its events say
	Line     first `json:"i,omitzero"`  // the tenant's own number, as its events say
	Dial     first `json:"a,omitzero"`  // mainDialType of call.created

	Queued  Queued            `json:"qs,omitempty"`
	Parties map[string]*Party `json:"p,omitempty"`

	told *callTold // of Prepare
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

// first is the value of the earliest event that has one.
type first struct {
	At   int64  `json:"t,omitempty"`
	Is   string `json:"v,omitempty"`
	Some bool   `json:"s,omitempty"`
}

// hear a value. Of one event that is told twice the later body counts.
func (f *first) hear(at int64, v string) {
	if v != "" && (!f.Some || at <= f.At) {
		*f = first{at, v, true}
	}
}

// Party is what events and records say of one party of a call.
type Party struct {
	First    int64    `json:"f,omitempty"` // of its call.* events
	Story    []change `json:"h,omitempty"` // by time, then in the order of partyStates
	Rung     bool     `json:"g,omitempty"` // it did at some time
	Dialing  int64    `json:"d,omitempty"` // the first
	Answered int64    `json:"e,omitempty"` // the first time it was established
	Dir      first    `json:"i,omitzero"`  // as its events say
	Released int64    `json:"r,omitempty"` // the first
	Role     string   `json:"o,omitempty"`
	RoleAt   int64    `json:"p,omitempty"`
	DN       string   `json:"n,omitempty"`
	DNAt     int64    `json:"m,omitempty"`
	UUID, ID string   // of the newest event that names its agent
	NamedAt  int64    `json:"a,omitempty"`
	Bot      bool     `json:"b,omitempty"` // there is a party bot record
	BotEnd   int64    `json:"x,omitempty"` // its end, else its start
	CDR      *CDR     `json:"c,omitempty"`

	who  string // its agent, of Prepare
	sure bool   // who is known
}

// change of a party's state.
type change struct {
	State int   `json:"s"` // of partyStates
	At    int64 `json:"t"`
}

// maxStory of a party: further changes take the place of the earliest.
const maxStory = 100

// CDR is a party record.
type CDR struct {
	UUID, ID                                 string
	Role, DialType, Result, Type, Start, End int64
	Talk                                     int64 // s
}

// partyStates in the order in which equal times count, and the work status that
// each stands for.
var partyStates = [...]struct {
	event event.Type
	work  int64
}{{event.CallDialing, 5}, {event.CallRinging, 6}, {event.CallEstablished, 7}, {event.CallHeld, 8}, {event.CallRetrieved, 7}}

const ringing = 1 // of partyStates

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
		f := queueFact(t, b)
		c.Queued.add(f)
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
	c.Dir.hear(at, dir)
	switch dir {
	case "2":
		c.Customer.hear(at, b.text("ANI"))
		c.Line.hear(at, b.text("DNIS"))
	case "3":
		c.Customer.hear(at, b.text("DNIS"))
		c.Line.hear(at, b.text("ANI"))
	}
	switch e.Type {
	case event.CallCreated:
		c.Dial.hear(at, b.text("mainDialType"))
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
	p.Dir.hear(at, dir)
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

// callTold is what a call comes to.
type callTold struct {
	parties []*Party
	stays   []Stay
	waits   *Stay // the one that nothing has ended; nil: none
	dir     int64
	gateway string
	counted []counted
}

// counted is what a call counts for an agent, when at lies in the day.
type counted struct {
	agent string
	at    int64
	Counters
}

// Prepare makes questions cheap, and safe to ask at one time. Nothing may be added
// afterwards.
func (c *Call) Prepare() {
	t := &callTold{parties: c.parties(), stays: c.stays(), dir: c.Direction(), gateway: c.Gateway()}
	for _, p := range t.parties {
		p.who = p.agent()
		p.sure = true
	}
	t.waits = running(t.stays)
	c.told = t
	t.counted = c.count()
}

// stays of the contact that the call is.
func (c *Call) stays() []Stay {
	if c.told != nil {
		return c.told.stays
	}
	return c.Queued.stays()
}

// parties with those that events without partyID speak of put where they belong.
func (c *Call) parties() (all []*Party) {
	if c.told != nil {
		return c.told.parties
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

func (p *Party) merge(o *Party) {
	p.First, p.Dialing, p.Released = earliest(p.First, o.First), earliest(p.Dialing, o.Dialing), earliest(p.Released, o.Released)
	p.Answered = earliest(p.Answered, o.Answered)
	if o.Dir.Some {
		p.Dir.hear(o.Dir.At, o.Dir.Is)
	}
	p.Story = slices.Clone(p.Story) // it was its own
	for _, c := range o.Story {
		p.become(c.State, c.At)
	}
	if o.Role != "" && o.RoleAt >= p.RoleAt {
		p.Role, p.RoleAt = o.Role, o.RoleAt
	}
}

// agent of a party: that of its record, else of its newest event that names one.
func (p *Party) agent() string {
	if p.sure {
		return p.who
	}
	if p.CDR != nil {
		if key := AgentKey(p.CDR.UUID, p.CDR.ID); key != "" {
			return key
		}
	}
	return AgentKey(p.UUID, p.ID)
}

// counts says whether the party is one of its agent's in the counters.
func (p *Party) counts() bool {
	if p.CDR != nil && (p.CDR.Role != 2 || p.CDR.DialType < 1 || p.CDR.DialType > 3) {
		return false
	}
	return p.agent() != "" && (p.Role == "" || p.Role == "Agent")
}

// become adds a change to the story.
func (p *Party) become(state int, at int64) {
	c := change{state, at}
	i, told := slices.BinarySearchFunc(p.Story, c, func(a, b change) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.State, b.State)) })
	if told {
		return
	}
	if p.Story = slices.Insert(p.Story, i, c); len(p.Story) > maxStory {
		p.Story = p.Story[1:]
	}
	p.Rung = p.Rung || state == ringing
}

// state is the party's work status at a moment, and since when; 0: none yet. Open:
// all that is told of it counts.
func (p *Party) state(moment int64) (work, since int64) {
	for _, c := range p.Story {
		if c.At > moment {
			break
		}
		if is := partyStates[c.State].work; is != work {
			work, since = is, c.At
		}
	}
	return work, since
}

func (p *Party) released() bool { return p.Released > 0 || p.CDR != nil || p.Bot }

// Direction of the call: 1 internal, 2 inbound, 3 outbound, 0 none.
func (c *Call) Direction() int64 {
	if c.told != nil {
		return c.told.dir
	}
	if c.Main != nil && c.Main.Type >= 1 && c.Main.Type <= 3 {
		return c.Main.Type
	}
	if c.Dir.Some {
		return int64(c.Dir.Is[0] - '0')
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
		return c.Customer.Is
	}
	return c.Queued.earliest(func(f *QueueFact) string { return f.Customer })
}

// Gateway is the tenant's own number in the call; "": unknown.
func (c *Call) Gateway() string {
	if c.told != nil {
		return c.told.gateway
	}
	if c.Main != nil && c.Main.Gateway != "" {
		return c.Main.Gateway
	}
	return cmp.Or(c.Queued.earliest(func(f *QueueFact) string { return f.Gateway }), c.Line.Is)
}

// CallBack says whether the call was begun for the agent, who was called first.
func (c *Call) CallBack() bool {
	dial := c.Dial.Is
	if dial == "" && c.Main != nil {
		dial = c.Main.Dial
	}
	return dial == "ClickToCallback" || dial == "TwoWayToPSTN"
}

// waits is the stay in which it is now, unless it is over; nil: none.
func (c *Call) waits() *Stay {
	if c.told != nil {
		return c.told.waits
	}
	return running(c.stays())
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
		if len(p.Story) == 0 || p.Story[0].At >= end {
			end = 0
		}
		all[agent] = max(all[agent], end)
	}
	return all
}

// Waits of the contact that are over.
func (c *Call) Waits() []Stay { return ended(c.Queued.stays(), c.over(), c.ends()) }

// ends is when a party that was released was, as events and records of its own
// say; 0: they do not.
func (p *Party) ends() int64 {
	switch {
	case p.Released > 0:
		return p.Released
	case p.CDR != nil:
		return end(p.CDR.Start, p.CDR.End)
	}
	return p.BotEnd
}

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
	if c.waits() != nil {
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
	if c.told != nil {
		all = func() []counted { return c.told.counted }
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

func (c *Call) count() (all []counted) {
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
			all = append(all, counted{p.agent(), instant, Counters{InboundEstablished: 1}})
		case p.Rung && (p.released() || c.over()), result == 1, result == 2:
			all = append(all, counted{p.agent(), instant, Counters{InboundAbandoned: 1}})
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
		n := counted{agent, at, Counters{Outbound: 1}}
		if reached {
			n.OutboundEstablished = 1
		}
		all = append(all, n)
	}
	return all
}
