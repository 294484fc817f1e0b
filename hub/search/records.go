package search

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// Scope keeps the records of people and of bots apart, even with equal callIDs.
type Scope uint8

// Scopes. The numbers are stored.
const (
	Telemarketing Scope = iota
	Bot
)

// Record is the current version of a call detail record: the last to arrive
// replaces the earlier ones as a whole.
type Record struct {
	Seq  int64 // number of its event
	Type event.Type
	Body []byte // as it was pushed
}

// Records answers from all that was accepted before it is asked.
type Records interface {
	// FindCalls gives a page of main records, and how many there are on all pages.
	FindCalls(ctx context.Context, f CallFilter) (page []Record, total int, err error)
	// FindCall gives a call's main record, nil while only parties are known, and
	// those of its parties by startTime and partyId. ErrNotFound when there is
	// neither.
	FindCall(ctx context.Context, tenant int64, s Scope, callID string) (call *Record, parties []Record, err error)
}

// Amount of what a record counts: none, one, several, or at least one of it.
type Amount uint8

// Amounts.
const (
	Any Amount = iota
	None
	One
	Several // two or more
	Some    // one or more
)

// CallFilter picks main records of a tenant, newest startTime first and those
// of one time by callID. Zero values pick all. A record without startTime is in
// no list.
type CallFilter struct {
	Tenant   int64
	Scope    Scope
	From, To int64 // Unix ms of startTime: From <= t < To

	CallID     string
	AgentUUID  string // of any party
	AgentID    string // of any party
	Customer   string // customerNumber
	Gateway    string // gatewayNumber
	CallType   int64
	DialType   string // mainDialType
	CallResult int64
	Hangup     int64  // hangupDisposition
	Agents     Amount // distinct agents that answered: parties with agentRole 2 and callResult 3
	Transfers  Amount // transferCount
	Consults   Amount // consultCount
	// Department of any party, of the call, or, with DepartmentAgents, of the
	// agent who answered first.
	Department       string
	DepartmentAgents []string // agentUUIDs of the department
	Attached         *Attached

	Offset, Limit int
}

// Attached picks by custom data.
type Attached struct {
	text   string
	object map[string]any // nil: text may stand anywhere in the data
	words  [][]byte       // that stand in every body with such an object and without escapes
}

// ParseAttached reads a filter: a JSON object, whose every key must be in the
// data with an equal value, objects in it in the same way; or any other text,
// which must stand in the data as it is serialised, without blanks.
func ParseAttached(s string) *Attached {
	s = strings.TrimSpace(s)
	a := &Attached{text: s}
	if v, ok := decodeJSON([]byte(s)).(map[string]any); ok {
		a.object = v
		for k, v := range v {
			a.need(k)
			if s, ok := v.(string); ok {
				a.need(s)
			}
		}
	}
	return a
}

// need notes a text, unless JSON may write it in several ways.
func (a *Attached) need(s string) {
	for _, r := range s {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\\/<>&`, r) {
			return
		}
	}
	a.words = append(a.words, []byte(`"`+s+`"`))
}

// rulesOut says that a body surely does not match, without reading it.
func (a *Attached) rulesOut(body []byte) bool {
	return len(a.words) > 0 && bytes.IndexByte(body, '\\') < 0 &&
		slices.ContainsFunc(a.words, func(w []byte) bool { return !bytes.Contains(body, w) })
}

// Matches says whether the body of a main record has data that the filter picks.
func (a *Attached) Matches(body []byte) bool {
	if a.rulesOut(body) {
		return false
	}
	var data event.Value
	for name, v := range event.Members(body) {
		if string(name) == "attachedData" {
			data = v
		}
	}
	text := AttachedText(data)
	if text == "" {
		return false
	}
	if a.object == nil {
		return strings.Contains(text, a.text)
	}
	v, ok := decodeJSON([]byte(text)).(map[string]any)
	return ok && contains(v, a.object)
}

// AttachedText is custom data as it is serialised: an object or a list without
// blanks, or the string that holds it. "" when there is none.
func AttachedText(v event.Value) string {
	if len(v) == 0 {
		return ""
	}
	if v[0] == '{' || v[0] == '[' {
		var b bytes.Buffer
		if json.Compact(&b, v) != nil {
			return ""
		}
		return b.String()
	}
	text := v.Text()
	var b bytes.Buffer
	if text != "" && (text[0] == '{' || text[0] == '[') && json.Compact(&b, []byte(text)) == nil {
		return b.String()
	}
	return text
}

// decodeJSON keeps numbers as they are written; nil: it is no JSON.
func decodeJSON(b []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return nil
	}
	return v
}

// contains says whether each key of part is in whole, with an equal value.
func contains(whole, part map[string]any) bool {
	for k, want := range part {
		have, there := whole[k]
		if !there || !equal(have, want) {
			return false
		}
	}
	return true
}

func equal(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		return ok && contains(h, w)
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			if !equal(h[i], w[i]) {
				return false
			}
		}
		return true
	}
	return have == want
}
