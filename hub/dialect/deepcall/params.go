package deepcall

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
)

// Bounds of a request.
const (
	maxBody       = fair.StrangerBody // bytes; the credential is in the body, so the caller is unknown while it is read
	maxText       = 4096              // bytes of a text
	maxConditions = 100
	maxValues     = 1000 // of one condition
)

// params are the members of a request's body by name. Each method reads one of them, and
// the first one that is wrong is the problem of the request. Blanks around a text are
// dropped. A member that is null or an empty text counts as missing.
type params struct {
	values map[string]event.Value
	err    error
}

// readBody reads a body as JSON, whatever its content type says: the document's own samples
// send it as text/plain, as a form, or without a type.
func readBody(w http.ResponseWriter, r *http.Request) (*params, error) {
	raw, err := dialect.ReadBody(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	return parseBody(raw)
}

func parseBody(raw []byte) (*params, error) {
	values, ok := dialect.ReadObject(raw)
	if !ok {
		return nil, bad(badRequest, "body must be a JSON object")
	}
	return &params{values: values}, nil
}

// only refuses members other than these.
func (p *params) only(code int, names ...string) {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !slices.Contains(names, name) {
			p.refuse(code, "%s is not a field of this request", quote(name))
		}
	}
}

func quote(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return strconv.Quote(s)
}

func (p *params) refuse(code int, format string, args ...any) {
	if p.err == nil {
		p.err = bad(code, format, args...)
	}
}

// value returns a member; nil if it is missing.
func (p *params) value(name string) event.Value {
	v, there := p.values[name]
	if !there || v[0] == 'n' || v[0] == '"' && v.Text() == "" {
		return nil
	}
	return v
}

// text returns a member that is a text; "" if it is missing.
func (p *params) text(name string) string {
	v := p.value(name)
	switch {
	case v == nil:
		return ""
	case v[0] != '"':
		p.refuse(badType, "%s must be a string", name)
		return ""
	case len(v.Text()) > maxText:
		p.refuse(badParameter, "%s must not be longer than %d bytes", name, maxText)
		return ""
	}
	return v.Text()
}

// textOf returns a JSON string; "" for a missing or other value.
func textOf(raw []byte) string {
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	return event.Value(raw).Text()
}

// flag returns a member that is true or false; false if it is missing.
func (p *params) flag(name string) bool {
	v := p.value(name)
	if v == nil {
		return false
	}
	if v[0] != 't' && v[0] != 'f' {
		p.refuse(badType, "%s must be true or false", name)
	}
	return v[0] == 't'
}

// array returns the elements of a member that is an array; nil if it is missing.
func (p *params) array(name string) []json.RawMessage {
	v := p.value(name)
	if v == nil {
		return nil
	}

	all := []json.RawMessage{}
	if v[0] != '[' || json.Unmarshal(v, &all) != nil {
		p.refuse(badType, "%s must be an array", name)
		return nil
	}
	return all
}

// pairs reads names with values, as filter and extra have them: {"key": …, "value": …}, or
// {name: value} with one or more names. names has the known names, by what a request may
// call them.
func (p *params) pairs(name string, names map[string]string) (all []condition) {
	for i, raw := range p.array(name) {
		at := fmt.Sprintf("%s[%d]", name, i)
		members, ok := dialect.ReadObject(raw)
		if !ok {
			p.refuse(badFilter, "%s must be an object", at)
			return nil
		}

		key, isPair := members["key"]
		if !isPair {
			key, isPair = members["field"]
		}
		if isPair {
			c := condition{at: at + ".value", key: names[textOf(key)], op: "eq", value: members["value"]}
			if c.key == "" {
				p.refuse(badFilter, "%s.key %s is not known", at, quote(textOf(key)))
			}
			if op, there := members["operator"]; there {
				c.op = textOf(op)
			}
			for _, m := range slices.Sorted(maps.Keys(members)) {
				if !slices.Contains([]string{"key", "field", "operator", "value"}, m) {
					p.refuse(badFilter, "%s.%s is not known", at, quote(m))
				}
			}
			all = append(all, c)
			continue
		}

		for _, m := range slices.Sorted(maps.Keys(members)) {
			if names[m] == "" {
				p.refuse(badFilter, "%s.%s is not known", at, quote(m))
			}
			all = append(all, condition{at: at + "." + m, key: names[m], op: "eq", value: members[m]})
		}
	}

	if len(all) > maxConditions {
		p.refuse(badFilter, "%s must not have more than %d conditions", name, maxConditions)
	}
	return all
}

// operators of conditions: whether an operator takes one value only, and whether it holds
// for a value of a property and a value that is asked for. Values are compared as text.
var operators = map[string]struct {
	one   bool
	holds func(has, asked string) bool
}{
	"eq":  {false, func(has, asked string) bool { return has == asked }},
	"in":  {false, func(has, asked string) bool { return has == asked }},
	"ne":  {false, func(has, asked string) bool { return has != asked }},
	"gt":  {true, func(has, asked string) bool { return has > asked }},
	"gte": {true, func(has, asked string) bool { return has >= asked }},
	"lt":  {true, func(has, asked string) bool { return has < asked }},
	"lte": {true, func(has, asked string) bool { return has <= asked }},
}

// condition is one condition of a filter.
type condition struct {
	at     string // its place in the request
	key    string // property
	op     string
	value  event.Value
	values []string // what the request asks for
}

// filter reads conditions on the properties that names has.
func (p *params) filter(names map[string]string) []condition {
	all := p.pairs("filter", names)
	for i := range all {
		c := &all[i]
		op, known := operators[c.op]
		if !known {
			p.refuse(badFilter, "%s: operator %s must be one of eq, in, ne, gt, gte, lt, lte", c.at, quote(c.op))
			return nil
		}

		c.values = p.scalars(c.at, c.value)
		if op.one && len(c.values) > 1 {
			p.refuse(badFilter, "%s must be one value with the operator %s", c.at, c.op)
		}
	}
	return all
}

// scalars reads texts and numbers: one, or an array of them.
func (p *params) scalars(at string, v event.Value) (all []string) {
	list := []json.RawMessage{json.RawMessage(v)}
	if len(v) > 0 && v[0] == '[' && json.Unmarshal(v, &list) != nil {
		list = nil
	}

	for _, raw := range list {
		v := event.Value(raw)
		text := ""
		switch {
		case len(v) > 0 && v[0] == '"':
			text = v.Text()
		case len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9'):
			text = string(v)
		default:
			p.refuse(badFilter, "%s must be a string, a number or an array of these", at)
		}

		if len(text) > maxText {
			p.refuse(badFilter, "%s must not be longer than %d bytes", at, maxText)
		}
		all = append(all, text)
	}

	if len(list) == 0 || len(list) > maxValues {
		p.refuse(badFilter, "%s must have 1 to %d values", at, maxValues)
	}
	return all
}

// holds reports whether a thing with these values of the property is asked for. eq and in
// hold if any of the values is asked for, ne if no value is.
func (c *condition) holds(has ...string) bool {
	op := operators[c.op]
	asked := func(has string) bool {
		return slices.ContainsFunc(c.values, func(value string) bool { return operators["eq"].holds(has, value) })
	}

	switch {
	case c.op == "ne":
		return !slices.ContainsFunc(has, asked)
	case op.one:
		return slices.ContainsFunc(has, func(h string) bool { return op.holds(h, c.values[0]) })
	}
	return slices.ContainsFunc(has, asked)
}

// parseZone reads UTC, UTC±h[:mm] or a name of the IANA database; nil for anything else.
func parseZone(name string) *time.Location {
	if name == "UTC" {
		return time.UTC
	}
	if rest, is := strings.CutPrefix(name, "UTC"); is {
		return offset(rest)
	}
	loc, _ := dialect.ZoneNamed(name)
	return loc
}

// offset reads ±h[:mm]; nil for anything else.
func offset(s string) *time.Location {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return nil
	}

	hours, minutes, has := strings.Cut(s[1:], ":")
	digits := func(s string, least, most int) (int, bool) {
		n, err := strconv.ParseUint(s, 10, 8)
		return int(n), err == nil && len(s) >= least && len(s) <= 2 && int(n) <= most
	}

	h, ok := digits(hours, 1, 14)
	m := 0
	if ok && has {
		m, ok = digits(minutes, 2, 59)
	}
	if !ok || h == 14 && m > 0 {
		return nil
	}

	seconds := h*3600 + m*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone("UTC"+s, seconds)
}
