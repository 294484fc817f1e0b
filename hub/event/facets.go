package event

import (
	"bytes"
	"strconv"
	"strings"
)

// Direction of a call: a number in records, a word in call events.
type Direction uint8

// Directions, numbered as in records; Consult has a word only.
const (
	Internal Direction = iota + 1
	Inbound
	Outbound
	Consult
)

var directions = [...]string{Internal: "Internal", Inbound: "Inbound", Outbound: "Outbound", Consult: "Consult"}

func (d Direction) String() string { return directions[d] }

// ParseDirection reads "Inbound" or "2"; false: neither a known word nor a known number.
func ParseDirection(s string) (Direction, bool) {
	for d := Internal; d <= Consult; d++ {
		if s == directions[d] || d < Consult && s == strconv.Itoa(int(d)) {
			return d, true
		}
	}
	return 0, false
}

// Facets are the values of a body that the filters of subscriptions look at:
// trimmed texts, an integer as its digits. What is absent, empty or of another
// kind is not among them.
type Facets struct {
	Agents      []Agent  // agentID, belongAgentID, firstAgentID, firstCallAgentID
	Departments []string // departmentId, split at the bar
	Queues      []string // queueId, thisQueue, thisQueues, fromQueueID
	Gateways    []string // gatewayNumber; of a call event without it ANI or DNIS, whichever is ours
	Direction   Direction
}

// Agent that a body names. One of both may be empty.
type Agent struct{ UUID, ID string }

// The agents of a body, by the name of the field before "AgentUUID" and "AgentID".
const (
	itself = iota
	belong
	firstCall
	first
	agents
)

// FacetsOf reads the body of e once. A name that comes twice counts by its last value.
func FacetsOf(e *Event) *Facets {
	var (
		f                                  Facets
		named                              [agents]Agent
		department, queue, thisQueue, from string
		thisQueues                         []string
		gateway, ani, dnis                 string
		s                                  = scan{b: e.Body}
	)
	s.space()
	if s.peek() != '{' {
		return &f
	}
	s.open()
	for start := true; ; start = false {
		key := s.key(start)
		if key == nil {
			break
		}
		at := s.i
		if !s.skip() {
			break
		}
		tok := s.b[at:s.i]
		name := key[1 : len(key)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = []byte(unescape(key))
		}
		switch string(name) {
		case "agentUUID":
			named[itself].UUID = textOf(tok)
		case "agentID":
			named[itself].ID = textOf(tok)
		case "belongAgentUUID":
			named[belong].UUID = textOf(tok)
		case "belongAgentID":
			named[belong].ID = textOf(tok)
		case "firstCallAgentUUID":
			named[firstCall].UUID = textOf(tok)
		case "firstCallAgentID":
			named[firstCall].ID = textOf(tok)
		case "firstAgentUUID":
			named[first].UUID = textOf(tok)
		case "firstAgentID":
			named[first].ID = textOf(tok)
		case "departmentId":
			department = textOf(tok)
		case "queueId":
			queue = textOf(tok)
		case "thisQueue":
			thisQueue = textOf(tok)
		case "fromQueueID":
			from = textOf(tok)
		case "thisQueues":
			thisQueues = textsOf(tok)
		case "gatewayNumber":
			gateway = textOf(tok)
		case "ANI":
			ani = textOf(tok)
		case "DNIS":
			dnis = textOf(tok)
		case "callType":
			f.Direction, _ = ParseDirection(textOf(tok))
		}
	}
	for _, a := range named {
		if a != (Agent{}) {
			f.Agents = append(f.Agents, a)
		}
	}
	for d := range strings.SplitSeq(department, "|") {
		f.Departments = appendText(f.Departments, strings.Trim(d, " \t\r\n"))
	}
	f.Queues = appendText(f.Queues, queue, thisQueue, from)
	f.Queues = appendText(f.Queues, thisQueues...)
	if gateway == "" && CallCreated <= e.Type && e.Type <= CallAgentError {
		switch f.Direction {
		case Inbound: // the caller is the customer
			gateway = dnis
		case Outbound:
			gateway = ani
		}
	}
	f.Gateways = appendText(f.Gateways, gateway)
	return &f
}

// appendText adds those that are not empty.
func appendText(to []string, texts ...string) []string {
	for _, t := range texts {
		if t != "" {
			to = append(to, t)
		}
	}
	return to
}

// textOf a token that may be a text; "" when it is not.
func textOf(tok []byte) string {
	s, _ := readText(tok)
	return string(s)
}

// textsOf a list of texts, or a string that holds one, or a single text.
func textsOf(tok []byte) (texts []string) {
	if tok[0] == '"' {
		s, _ := readText(tok)
		if len(s) == 0 || s[0] != '[' {
			return appendText(nil, string(s))
		}
		check := scan{b: s}
		if !check.skip() || check.i != len(s) {
			return nil
		}
		tok = s
	}
	if tok[0] != '[' {
		return appendText(nil, textOf(tok))
	}
	s := scan{b: tok}
	s.open()
	for start := true; s.element(start); start = false {
		at := s.i
		if !s.skip() {
			break
		}
		texts = appendText(texts, textOf(s.b[at:s.i]))
	}
	return texts
}
