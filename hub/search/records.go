package search

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
)

// Record is the current version of a call detail record: each version that arrives
// replaces the earlier one as a whole.
type Record struct {
	Seq  int64 // number of its event
	Type event.Type
	Body []byte // as it was pushed
}

// Records answers from everything that was accepted before the question.
type Records interface {
	// FindCalls reads a page of main records, and counts those on all pages.
	FindCalls(ctx context.Context, f CallFilter) (page []Record, total int, err error)
	// FindCall reads a call's main record, which is nil while only parties are known,
	// and the records of its parties by startTime and partyId. ErrNotFound when
	// neither is there.
	FindCall(ctx context.Context, tenant int64, s record.Scope, callID string) (call *Record, parties []Record, err error)
}

// Amount says how many of something a record must have.
type Amount uint8

// Amounts.
const (
	Any Amount = iota
	None
	One
	Several // two or more
	Some    // one or more
)

// CallFilter picks main records of a tenant, newest startTime first, and by callID where
// the times are equal. Zero values pick all. No list has a record without startTime.
type CallFilter struct {
	Tenant   int64
	Scope    record.Scope
	From, To int64 // Unix ms of startTime: From <= t < To

	CallID     string
	AgentUUID  string // of any party
	AgentID    string // of any party
	Customer   string // customerNumber
	Gateway    string // gatewayNumber
	Queue      string // in which the call waited
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

// Attached picks by custom data. The data must have all Atoms. If Atoms is empty, the
// data must contain Text.
type Attached struct {
	Text  string
	Atoms []string
}

// ParseAttached reads a filter of custom data. If it is a JSON object, the data must have
// every key of it with an equal value, and objects within it in the same way. Any other
// text must stand in the data as it is serialised, without blanks.
func ParseAttached(s string) *Attached {
	s = strings.TrimSpace(s)
	return &Attached{Text: oneSpelling(s), Atoms: AttachedAtoms(s)}
}

// AttachedAtoms returns what a JSON object contains, each thing as a word of letters and
// digits: an object contains another one when it has all its atoms. It returns nil for a
// text that is no object. Atoms are stored.
func AttachedAtoms(text string) []string {
	if !strings.HasPrefix(text, "{") {
		return nil
	}
	object, is := decodeJSON([]byte(text)).(map[string]any)
	if !is {
		return nil
	}
	return appendAtoms(nil, fnv.New64a().Sum64(), object)
}

// appendAtoms appends the atoms of a value. at stands for the path to the value. A list
// contains only a list of the same length.
func appendAtoms(atoms []string, at uint64, v any) []string {
	is := func(kind byte, what string) []string {
		return append(atoms, strconv.FormatUint(down(at, kind, what), 36))
	}

	switch v := v.(type) {
	case map[string]any:
		atoms = is('{', "")
		for name, member := range v {
			atoms = appendAtoms(atoms, down(at, '.', name), member)
		}
		return atoms
	case []any:
		atoms = is('[', strconv.Itoa(len(v)))
		for i, item := range v {
			atoms = appendAtoms(atoms, down(at, '#', strconv.Itoa(i)), item)
		}
		return atoms
	case string:
		return is('"', v)
	case json.Number:
		return is('0', event.Number([]byte(v)))
	case bool:
		return is('b', strconv.FormatBool(v))
	}
	return is('n', "")
}

// down returns the path one step further.
func down(at uint64, kind byte, step string) uint64 {
	h := fnv.New64a()
	var from [9]byte
	binary.BigEndian.PutUint64(from[:], at)
	from[8] = kind
	h.Write(from[:])
	h.Write([]byte(step))
	return h.Sum64()
}

// AttachedValue returns custom data for a search of its text: as AttachedText does, but
// with one spelling for every string and number, whatever the sender wrote.
func AttachedValue(v event.Value) string { return oneSpelling(AttachedText(v)) }

// oneSpelling rewrites a text that is JSON, namely an object, a list or a string. It
// returns other texts as they are. Members keep their order.
func oneSpelling(text string) string {
	if text == "" || strings.IndexByte(`{["`, text[0]) < 0 || !json.Valid([]byte(text)) {
		return text
	}

	var b strings.Builder
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			end := endOfString(text, i)
			b.WriteString(plainString(text[i:end]))
			i = end
		case c == '-' || '0' <= c && c <= '9':
			end := i
			for end < len(text) && strings.IndexByte("+-.eE0123456789", text[end]) >= 0 {
				end++
			}
			b.WriteString(event.Number([]byte(text[i:end])))
			i = end
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// endOfString returns where the string ends that begins at from in valid JSON.
func endOfString(text string, from int) int {
	for i := from + 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// plainString returns the token of a string with no more escapes than JSON needs.
func plainString(tok string) string {
	if strings.IndexByte(tok, '\\') < 0 {
		return tok
	}
	var s string
	if json.Unmarshal([]byte(tok), &s) != nil {
		return tok
	}

	b := []byte{'"'}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = fmt.Appendf(b, "\\u%04x", c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// AttachedText returns custom data as it is serialised: an object or a list without
// blanks, or the string that holds it. It returns "" for a missing value.
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

// decodeJSON decodes JSON and keeps numbers as they are written. It returns nil for what
// is no JSON.
func decodeJSON(b []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return nil
	}
	return v
}
