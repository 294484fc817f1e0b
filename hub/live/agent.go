// Package live is what the boards show: agents and their states, from the events
// and the directory, as a function of those and of the moment that is asked
// about. There is no clock and no SQL in it.
package live

import (
	"strings"

	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/event"
)

// AgentKey tells agents apart: by agentUUID, or, without one, by agentID. A work
// number is never guessed to be that of some UUID. "": nobody is named.
func AgentKey(uuid, id string) string {
	switch {
	case uuid != "":
		return "u" + uuid
	case id != "":
		return "i" + id
	}
	return ""
}

// Mention is what one event says of an agent that it names.
type Mention struct {
	UUID      string
	AgentID   string
	Name      string
	DN        string // thisDN
	PhoneType int64
	At        int64 // Unix ms, the time of the event; 0: it has none
}

// Key of the agent.
func (n *Mention) Key() string { return AgentKey(n.UUID, n.AgentID) }

// Mentions returns the agents that an event names, with what it says of each.
func Mentions(e *event.Event) (all []Mention) {
	add := func(n Mention) {
		if n.Key() != "" {
			all = append(all, n)
		}
	}
	switch t := e.Type; {
	case t == event.AgentStatus:
		b := read(e.Body)
		add(Mention{UUID: b.text("agentUUID"), AgentID: b.text("agentID"), Name: b.text("agentName"), At: b.time("startTime")})
	case t == event.CDRCall:
		b := read(e.Body)
		add(Mention{UUID: b.text("firstCallAgentUUID"), At: b.time("startTime", "endTime")})
	case t == event.CDRParty:
		b := read(e.Body)
		if role, there := b.value("agentRole").Int(); there && role != 2 {
			return nil
		}
		phone, _ := b.value("phoneType").Int()
		add(Mention{
			UUID: b.text("agentUUID"), AgentID: b.text("agentID"), Name: b.text("agentName"), DN: b.text("agentDN"),
			PhoneType: phone, At: b.time("startTime", "endTime"),
		})
	case t >= event.CallCreated && t <= event.CallAgentError:
		b := read(e.Body)
		switch b.text("partyRole") {
		case "Customer", "VirtualAgent", "ThirdPSTN":
			return nil
		}
		add(Mention{UUID: b.text("agentUUID"), AgentID: b.text("agentID"), Name: b.text("agentName"), DN: b.text("thisDN"), At: e.OccurredAt})
	case t == event.QueueEntered, t == event.QueueLeft:
		b := read(e.Body)
		at := "enteredAt"
		if t == event.QueueLeft {
			at = "leftAt"
		}
		add(Mention{UUID: b.text("agentUUID"), At: b.time(at)})
	case t >= event.ChatRequested && t <= event.ChatRated:
		b := read(e.Body)
		if t != event.ChatAccepted || b.text("handledBy") != "bot" {
			add(Mention{UUID: b.text("agentUUID"), At: b.time("at")})
		}
		add(Mention{UUID: b.text("toAgentUUID"), At: b.time("at")})
	}
	return all
}

// body is that of an event, by the names of its members.
type body map[string]event.Value

func read(raw []byte) body {
	b := body{}
	for name, v := range event.Members(raw) {
		b[string(name)] = v
	}
	return b
}

// value of a member; null when there is none.
func (b body) value(name string) event.Value {
	if v, there := b[name]; there {
		return v
	}
	return event.Value("null")
}

// text of a member; "" when absent. NUL is none that every store can keep: what it
// would make of it must not tell ids apart that are then one.
func (b body) text(name string) string {
	return strings.ReplaceAll(b.value(name).Text(), "\x00", "\uFFFD")
}

// time is the first of the names that has one; 0: none has.
func (b body) time(names ...string) int64 {
	for _, n := range names {
		if t := b.value(n).Time(); t > 0 {
			return t
		}
	}
	return 0
}

// code is nil when absent.
func (b body) code(names ...string) *int64 {
	for _, name := range names {
		if n, there := b.value(name).Int(); there {
			return &n
		}
	}
	return nil
}

// Agent is what the events say of an agent: the newest value of each that is not
// empty, by the time of the event, then by arrival.
type Agent struct {
	Key       string // AgentKey
	UUID      string
	AgentID   string
	Name      string
	DN        string
	PhoneType int64
}

// With is the agent with what the directory says, which wins unless it is empty.
func (a Agent) With(d *directory.Directory) Agent {
	if a.UUID == "" {
		return a
	}
	known := d.Agent(a.UUID)
	if known == nil {
		return a
	}
	for _, f := range []struct {
		field *string
		says  string
	}{{&a.AgentID, known.AgentID}, {&a.Name, known.AgentName}, {&a.DN, known.ThisDN}} {
		if f.says != "" {
			*f.field = f.says
		}
	}
	if known.PhoneType != 0 {
		a.PhoneType = int64(known.PhoneType)
	}
	return a
}
