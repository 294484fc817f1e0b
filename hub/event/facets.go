package event

import (
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

// ParseDirection reads "Inbound" or "2". It returns false for another word or number.
func ParseDirection(s string) (Direction, bool) {
	for d := Internal; d <= Consult; d++ {
		if s == directions[d] || d < Consult && s == strconv.Itoa(int(d)) {
			return d, true
		}
	}
	return 0, false
}

// Facets are the values of a body that the filters of subscriptions look at: trimmed
// texts, and integers as their digits. A value that is absent, empty or of another kind
// is left out.
type Facets struct {
	Agents      []Agent  // agentID, belongAgentID, firstAgentID, firstCallAgentID
	Departments []string // departmentId, split at the bar
	Queues      []string // queueId, thisQueue, thisQueues, fromQueueID
	Gateways    []string // gatewayNumber; for a call event without it ANI or DNIS, whichever is ours
	Direction   Direction
}

// Agent is an agent that a body names. One of both fields may be empty.
type Agent struct{ UUID, ID string }

// The agents of a body, by the name of the field before "AgentUUID" and "AgentID".
const (
	itself = iota
	belong
	firstCall
	first
	agents
)

// FacetsOf reads the body of e once. If a name occurs twice, its last value counts.
func FacetsOf(e *Event) *Facets {
	var (
		f                                  Facets
		named                              [agents]Agent
		department, queue, thisQueue, from string
		thisQueues                         []string
		gateway, ani, dnis                 string
	)

	for name, tok := range Members(e.Body) {
		switch string(name) {
		case "agentUUID":
			named[itself].UUID = tok.Text()
		case "agentID":
			named[itself].ID = tok.Text()
		case "belongAgentUUID":
			named[belong].UUID = tok.Text()
		case "belongAgentID":
			named[belong].ID = tok.Text()
		case "firstCallAgentUUID":
			named[firstCall].UUID = tok.Text()
		case "firstCallAgentID":
			named[firstCall].ID = tok.Text()
		case "firstAgentUUID":
			named[first].UUID = tok.Text()
		case "firstAgentID":
			named[first].ID = tok.Text()
		case "departmentId":
			department = tok.Text()
		case "queueId":
			queue = tok.Text()
		case "thisQueue":
			thisQueue = tok.Text()
		case "fromQueueID":
			from = tok.Text()
		case "thisQueues":
			thisQueues = textsOf(tok)
		case "gatewayNumber":
			gateway = tok.Text()
		case "ANI":
			ani = tok.Text()
		case "DNIS":
			dnis = tok.Text()
		case "callType":
			f.Direction, _ = ParseDirection(tok.Text())
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

	// A call event without gatewayNumber shows our line as the other end of the customer's.
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

// appendText appends the texts that are not empty.
func appendText(to []string, texts ...string) []string {
	for _, t := range texts {
		if t != "" {
			to = append(to, t)
		}
	}
	return to
}

// textOf returns the text of a token, or "" when it is no text.
func textOf(tok []byte) string {
	s, _ := readText(tok)
	return string(s)
}

// textsOf reads a list of texts, a string that holds such a list, or a single text.
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
