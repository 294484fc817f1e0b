package record

import (
	"cmp"
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// AgentKey returns what tells agents apart: the agentUUID, or, without one, the agentID.
// A work number is never guessed to be that of some UUID. "": nobody is named.
func AgentKey(uuid, id string) string {
	switch {
	case uuid != "":
		return "u" + uuid
	case id != "":
		return "i" + id
	}
	return ""
}

// SplitKey is the inverse of AgentKey.
func SplitKey(key string) (uuid, id string) {
	if uuid, is := strings.CutPrefix(key, "u"); is {
		return uuid, ""
	}
	return "", strings.TrimPrefix(key, "i")
}

// State of an agent: login status (0 offline, 1 online, 2 occupied, 98 locked), the
// reason of being occupied, and the work status. Before the first status all are 0.
type State struct {
	Login  int64 `db:"login"`
	Reason int64 `db:"reason"`
	Work   int64 `db:"work"`
}

// LoggedIn reports whether the agent is logged in.
func (s State) LoggedIn() bool { return s.Login == 1 || s.Login == 2 || s.Login == 98 }

// OnCall reports whether the agent has to do with a call.
func (s State) OnCall() bool { return s.Work >= 5 && s.Work <= 8 }

// OnBreak reports whether the agent has a break.
func (s State) OnBreak() bool { return s.Login == 2 && s.Reason >= 11 && s.Reason <= 18 }

// Codes are what a status says of the three codes of a state; a nil code keeps its value.
type Codes struct{ Login, Reason, Work *int64 }

// After returns the state that the codes lead to from another one.
func (c *Codes) After(was State) State {
	is := was
	if c.Login != nil {
		is.Login = *c.Login
	}
	if c.Reason != nil {
		is.Reason = *c.Reason
	}
	if c.Work != nil {
		is.Work = *c.Work
	}
	return is
}

// Status is an agent.status: a change of an agent's state. Of several with one Start the
// one with the greatest Created counts, then the last to arrive.
type Status struct {
	Codes

	UUID, AgentID, AgentName string
	Start                    int64 // Unix ms
	Created                  int64 // Unix ms; 0 when absent
	Call                     string
	CallType                 int64
}

// Key returns the key of the agent.
func (s *Status) Key() string { return AgentKey(s.UUID, s.AgentID) }

func readStatus(body []byte) *Status {
	s := &Status{}
	var otherReason *int64
	for name, v := range event.Members(body) {
		switch string(name) {
		case "agentUUID":
			s.UUID = text(v)
		case "agentID":
			s.AgentID = text(v)
		case "agentName":
			s.AgentName = text(v)
		case "startTime":
			s.Start = v.Time()
		case "creationTime":
			s.Created = v.Time()
		case "loginStatus":
			s.Login = code(v)
		case "notReadyStatus":
			s.Reason = code(v)
		case "noReadyStatus": // as the vendor's example spells it
			otherReason = code(v)
		case "workStatus":
			s.Work = code(v)
		case "callID":
			s.Call = text(v)
		case "callType":
			s.CallType = number(v, 0)
		}
	}

	s.Reason = cmp.Or(s.Reason, otherReason)
	return s
}

// Mention is what an event says of an agent whom it names.
type Mention struct {
	UUID, AgentID, AgentName string
	DN                       string // extension
	PhoneType                int64
	At                       int64 // Unix ms, the time of the event; 0: it has none
}

// Key returns the key of the agent.
func (m *Mention) Key() string { return AgentKey(m.UUID, m.AgentID) }

// AppendMentions appends the agents of the boards whom the event names (live.md, Who is
// an agent).
func (r *Record) AppendMentions(all []Mention) []Mention {
	var named, other Mention
	switch says := r.Says.(type) {
	case *Status:
		named = Mention{UUID: says.UUID, AgentID: says.AgentID, AgentName: says.AgentName, At: says.Start}
	case *Call:
		if says.Scope == Telemarketing {
			named = Mention{UUID: says.FirstCalled, At: cmp.Or(says.Start, says.End)}
		}
	case *Party:
		if says.Scope == Telemarketing && says.OfAgent() {
			named = Mention{
				UUID: says.UUID, AgentID: says.AgentID, AgentName: says.AgentName, DN: says.DN, PhoneType: says.PhoneType,
				At: cmp.Or(says.Start, says.End),
			}
		}
	case *CallEvent:
		if says.OfAgent() {
			named = Mention{UUID: says.UUID, AgentID: says.AgentID, AgentName: says.AgentName, DN: says.DN, At: says.At}
		}
	case *QueueEvent:
		named = Mention{UUID: says.Agent, At: says.At}
	case *ChatEvent:
		if !says.Bot {
			named = Mention{UUID: says.Agent, At: says.At}
		}
		other = Mention{UUID: says.ToAgent, At: says.At}
	}

	if named.Key() != "" {
		all = append(all, named)
	}
	if other.Key() != "" {
		all = append(all, other)
	}
	return all
}
