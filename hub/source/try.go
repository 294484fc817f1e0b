package source

import (
	"encoding/json"
	"time"

	"github.com/hookline/hookline/hub/event"
)

// Trial is what would become of an input.
type Trial struct {
	Status Status
	Reason string
	Row    int
	Events []*event.Event
}

// Try returns what would become of inputs by the mapping of s, one after the other. It stores
// nothing. The error says why the mapping does not work at all.
func Try(s *Source, strict bool, inputs []Input, now time.Time) ([]Trial, error) {
	m, err := s.Compile()
	if err != nil {
		return nil, err
	}
	t := &translator{
		source: s, mapping: m, now: func() time.Time { return now },
		gate: event.Gate{CompanyID: s.CompanyID, Strict: strict, Now: func() time.Time { return now }},
	}
	trials := make([]Trial, len(inputs))
	for i := range inputs {
		in := inputs[i]
		in.Replayed = false // of what is stale already the events are worth seeing too
		events, outcome := t.one(&in)
		trials[i] = Trial{Status: outcome.Status, Reason: outcome.Reason, Row: outcome.Row, Events: events}
	}
	return trials, nil
}

// Same reports whether two trials of one input made the same.
func (t Trial) Same(o Trial) bool {
	if t.Status != o.Status || t.Reason != o.Reason || len(t.Events) != len(o.Events) {
		return false
	}
	for i, e := range t.Events {
		other := o.Events[i]
		if e.Type != other.Type || e.OccurredAt != other.OccurredAt || string(e.Body) != string(other.Body) {
			return false
		}
	}
	return true
}

// TrialInput reads an input that somebody wrote to try a mapping with.
func TrialInput(body string, contentType string, headers map[string]string, query string, now time.Time) Input {
	m := Meta{Headers: map[string]string{}, Query: cut(query, maxQuery)}
	for name, v := range headers {
		m.Headers[name] = v
	}
	if contentType != "" {
		m.Headers["content-type"] = contentType
	}
	return Input{Seq: 1, ReceivedAt: now.UnixMilli(), Meta: m, Body: []byte(body), Size: int64(len(body))}
}

// MetaJSON returns what is kept of a request beside its body, for those who look at it.
func (in *Input) MetaJSON() json.RawMessage {
	raw, err := json.Marshal(in.Meta)
	if err != nil {
		return json.RawMessage("{}") // cannot happen: it was read from JSON
	}
	return raw
}
