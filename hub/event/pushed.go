package event

import (
	"bytes"
	"strconv"
)

// statusMsgType is the msgType of every status of an agent.
const statusMsgType = "agent_working_status_changed_successfully"

// Pushed returns the plain bytes that are pushed of an event: its body with the members
// that the vendor's document requires of a push, and its customers' numbers masked.
//
// A status of an agent has msgType and creationTime, the event's time, also when the
// sender left them out. They are not in the stored body: where two statuses of an agent
// have the same startTime, a creationTime that was left out counts as 0.
func (e *Event) Pushed(m Masking) []byte {
	body := e.Body
	if e.Completed && e.Type == AgentStatus {
		body = fillStatus(body, e.OccurredAt)
	}
	return m.Body(e.Type, body)
}

// fillStatus returns the body of a status with msgType and creationTime. It is body itself
// when the sender gave both.
func fillStatus(body []byte, at int64) []byte {
	var hasType, hasTime bool
	for name, v := range Members(body) {
		switch string(name) {
		case "msgType":
			hasType = v.Text() != ""
		case "creationTime":
			hasTime = v.Time() > 0
		}
	}
	if hasType && hasTime {
		return body
	}

	out := []byte{'{'}
	if !hasType {
		out = append(out, `"msgType":"`+statusMsgType+`",`...)
	}
	if !hasTime {
		out = strconv.AppendInt(append(out, `"creationTime":`...), at, 10)
		out = append(out, ',')
	}

	// What the sender wrote in their place, such as null, would come behind them and win:
	// it is left out. All other bytes are the sender's.
	rest := body
	if !hasType {
		rest = without(rest, "msgType")
	}
	if !hasTime {
		rest = without(rest, "creationTime")
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if inner := bytes.TrimSpace(rest[1:]); inner[0] == '}' {
		out = out[:len(out)-1]
	}
	return append(out, rest[1:]...)
}

// without returns a JSON object without the members that have a name. It is body itself
// when no member has it.
func without(body []byte, name string) []byte {
	for {
		s := scan{b: body}
		s.space()
		s.open()
		from, to := -1, -1
		for first := true; ; first = false {
			before := s.i
			key := s.key(first)
			if key == nil {
				break
			}

			is := unescape(key) == name
			if !s.skip() {
				break
			}
			if is {
				from, to = before, s.i
				break
			}
		}
		if from < 0 {
			return body
		}

		// With the comma before it, or, when it is the first member, the one behind it.
		rest := body[to:]
		if body[from] != ',' {
			if after := bytes.TrimLeft(rest, " \t\r\n"); len(after) > 0 && after[0] == ',' {
				rest = after[1:]
			}
		}
		body = append(append([]byte{}, body[:from]...), rest...)
	}
}
