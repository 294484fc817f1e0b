package sobot

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
)

// kind says how a field of a record is shown. A text that is absent is "", a number or a
// time null.
type kind uint8

const (
	text    kind = iota
	integer      // the examples show some as texts, but the tables say that they are integers
	counter      // an integer; 0 when absent
	instant      // Unix ms
	amount       // money, with at most 2 decimals
	flag         // false when absent
	cause        // a text; "0" when absent
	data         // custom data: the object, also when the sender wrote it as a text
)

// field is a field of a talk list.
type field struct {
	name    string
	kind    kind
	from    []string                       // names in the record, of which the first with a value counts; nil: name
	derived func(r row) (n int64, ok bool) // the number that follows from other fields if this one is absent
}

// row is the members of a record's body, read once.
type row map[string]event.Value

func newRow(body []byte) row {
	r := row{}
	for name, v := range event.Members(body) {
		r[string(name)] = v
	}
	return r
}

// callFields are those of Main Customer Talk List: the fields in the document's table, then
// those that only the examples have. mainDialType is a filter and in neither, and is shown
// all the same. lastAgent… and belongAgent… mean one agent, the last who answered; the lists
// have both.
var callFields = []field{
	{name: "callID"},
	{name: "callType", kind: integer},
	{name: "mainDialType"},
	{name: "screenNumber"},
	{name: "customerNumber"},
	{name: "encryptCustomerNumber"},
	{name: "areaPrefix"},
	{name: "areaCode"},
	{name: "areaProvince"},
	{name: "areaCity"},
	{name: "customerId"},
	{name: "gatewayNumber"},
	{name: "startTime", kind: instant},
	{name: "alertTime", kind: instant},
	{name: "answerTime", kind: instant},
	{name: "bridgeTime", kind: instant},
	{name: "endTime", kind: instant},
	{name: "alertDuration", kind: integer},
	{name: "accumAgentRingingDuration", kind: integer},
	{name: "duration", kind: integer, derived: seconds("bridgeTime", "endTime")},
	{name: "totalDuration", kind: integer, derived: seconds("startTime", "endTime")},
	{name: "callResult", kind: integer},
	{name: "earlyDetectCause", kind: cause},
	{name: "reasonOfNotAnswer"},
	{name: "hangupDisposition", kind: integer},
	{name: "attachedData", kind: data},
	{name: "recordUrl"},
	{name: "platformId"},
	{name: "companyId"},
	{name: "feeSeconds", kind: integer, derived: seconds("answerTime", "endTime")},
	{name: "feeMinutes", kind: integer, derived: feeMinutes},
	{name: "firstRouteId"},
	{name: "firstRouteName"},
	{name: "belongAgentUUID", from: []string{"belongAgentUUID", "lastAgentUUID"}},
	{name: "belongAgentID", from: []string{"belongAgentID", "lastAgentID"}},
	{name: "belongAgentName", from: []string{"belongAgentName", "lastAgentName"}},
	{name: "belongAgentDN", from: []string{"belongAgentDN", "lastAgentDN"}},
	// a text, unlike the others
	{name: "belongAgentPhoneType", from: []string{"belongAgentPhoneType", "lastAgentPhoneType"}},
	{name: "belongAgentPSTN", from: []string{"belongAgentPSTN", "lastAgentPstn"}},
	{name: "transferCount", kind: counter},
	{name: "consultCount", kind: counter},
	{name: "callerNumber"},
	{name: "callerAgentUUID"},
	{name: "callerDN"},
	{name: "calleeNumber"},
	{name: "calleeAgentUUID"},
	{name: "calleeDN"},
	{name: "firstCallAgentUUID"},
	{name: "firstCallAgentID"},
	{name: "firstCallAgentName"},
	{name: "firstAgentUUID"},
	{name: "firstAgentID"},
	{name: "firstAgentName"},
	{name: "firstAgentDN"},
	{name: "firstAgentPhoneType", kind: counter},
	{name: "firstAgentPstn"},
	{name: "lastAgentUUID", from: []string{"lastAgentUUID", "belongAgentUUID"}},
	{name: "lastAgentName", from: []string{"lastAgentName", "belongAgentName"}},
	{name: "lastAgentID", from: []string{"lastAgentID", "belongAgentID"}},
	{name: "lastAgentDN", from: []string{"lastAgentDN", "belongAgentDN"}},
	{name: "lastAgentPhoneType", kind: counter, from: []string{"lastAgentPhoneType", "belongAgentPhoneType"}},
	{name: "lastAgentPstn", from: []string{"lastAgentPstn", "belongAgentPSTN"}},
	{name: "sourceType", kind: counter},
	{name: "sourceId"},
	{name: "sourceCode"},
	{name: "sourceRecordSubId"},
	{name: "sourceRecordSubCode"},
	{name: "sourceRecordMainId"},
	{name: "sourceRecordMainCode"},
	{name: "departmentId"},
	{name: "chargeDepartmentId"},
	{name: "fee", kind: amount},
	{name: "numberType", kind: integer},
}

// partyFields are those of Sub Agent Talk List: the fields in the document's table, then
// those that only the examples have. phoneType, which an example has twice, is there once.
var partyFields = []field{
	{name: "callID"},
	{name: "callType", kind: integer},
	{name: "partyId"},
	{name: "dialType", kind: integer, derived: is(record.DefaultDialType)},
	{name: "agentRole", kind: integer, derived: is(record.DefaultAgentRole)},
	{name: "agentType", kind: integer, derived: agentType},
	{name: "phoneType", kind: counter},
	{name: "callResult", kind: integer},
	{name: "hangupDisposition", kind: integer},
	{name: "companyId"},
	{name: "belongAgentFlag", kind: flag, from: []string{"belongAgentFlag", "lastAgentFlag"}},
	{name: "agentUUID"},
	{name: "agentID"},
	{name: "agentName"},
	{name: "agentDN"},
	{name: "DNIS"},
	{name: "gatewayNumber"},
	{name: "startTime", kind: instant},
	{name: "alertTime", kind: instant},
	{name: "answerTime", kind: instant},
	{name: "bridgeTime", kind: instant},
	{name: "endTime", kind: instant},
	{name: "afterworkEndTime", kind: instant},
	{name: "duration", kind: integer, derived: seconds("bridgeTime", "endTime")},
	{name: "totalDuration", kind: integer, derived: seconds("startTime", "endTime")},
	{name: "feeSeconds", kind: integer, derived: seconds("answerTime", "endTime")},
	{name: "feeMinutes", kind: integer, derived: feeMinutes},
	{name: "fee", kind: amount},
	{name: "platformId"},
	{name: "earlyDetectCause", kind: cause},
	{name: "departmentId"},
	{name: "chargeDepartmentId"},
	{name: "numberType", kind: integer},
	{name: "fromAgentUUID"},
	{name: "fromAgentID"},
	{name: "fromAgentName"},
	{name: "lastAgentFlag", kind: flag, from: []string{"lastAgentFlag", "belongAgentFlag"}},
}

// seconds returns the seconds between two times, rounded up, as in the vendor's records.
func seconds(from, to string) func(row) (int64, bool) {
	return func(r row) (int64, bool) {
		a, b := r.instant(from), r.instant(to)
		if a == 0 || b < a {
			return 0, false
		}
		return (b - a + 999) / 1000, true
	}
}

// feeMinutes returns the minutes that feeSeconds has begun.
func feeMinutes(r row) (int64, bool) {
	n, ok := r.value("feeSeconds").Int()
	if !ok {
		n, ok = seconds("answerTime", "endTime")(r)
	}
	return (max(n, 0) + 59) / 60, ok
}

// is returns the same number for every record.
func is(n int64) func(row) (int64, bool) { return func(row) (int64, bool) { return n, true } }

// agentType returns 1 if the agent is known by a UUID, and 0 for a work number.
func agentType(r row) (int64, bool) {
	if r.text("agentUUID") != "" {
		return 1, true
	}
	return 0, true
}

// value returns the value of the first of the names that has one, or null.
func (r row) value(names ...string) event.Value {
	for _, name := range names {
		if v, ok := r[name]; ok && v[0] != 'n' && (v[0] != '"' || v.Text() != "") {
			return v
		}
	}

	return event.Value("null")
}

func (r row) text(names ...string) string { return r.value(names...).Text() }

func (r row) instant(name string) int64 { return r.value(name).Time() }

// show appends a record with the fields of a talk list.
func (r row) show(out []byte, fields []field) []byte {
	for i, f := range fields {
		out = append(out, ',')
		if i == 0 {
			out[len(out)-1] = '{'
		}

		out = append(strconv.AppendQuote(out, f.name), ':')
		out = r.field(out, f)
	}
	return append(out, '}')
}

// field appends the value of a field.
func (r row) field(out []byte, f field) []byte {
	v := r.value(f.name)
	if len(f.from) > 0 {
		v = r.value(f.from...)
	}

	switch f.kind {
	case instant:
		if t := v.Time(); t > 0 {
			return strconv.AppendInt(out, t, 10)
		}
	case integer, counter:
		n, ok := v.Int()
		if !ok && f.derived != nil {
			n, ok = f.derived(r)
		}
		if ok || f.kind == counter {
			return strconv.AppendInt(out, n, 10)
		}
	case amount:
		if n, ok := v.Number(); ok {
			return strconv.AppendFloat(out, math.Round(n*100)/100, 'f', -1, 64)
		}
	case flag:
		b, _ := v.Bool()
		return strconv.AppendBool(out, b)
	case cause:
		s := v.Text()
		if s == "" {
			s = "0"
		}
		return appendText(out, s)
	case data:
		return appendData(out, v)
	default:
		return appendText(out, v.Text())
	}
	return append(out, "null"...)
}

func appendText(out []byte, s string) []byte {
	raw, err := json.Marshal(s)
	if err != nil { // cannot happen: a string always marshals
		return append(out, `""`...)
	}
	return append(out, raw...)
}

// appendData shows custom data: as JSON if it is JSON, otherwise as a text, and as {} if it is
// absent.
func appendData(out []byte, v event.Value) []byte {
	s := search.AttachedText(v)
	switch {
	case s == "":
		return append(out, "{}"...)
	case s[0] == '{' || s[0] == '[':
		if json.Valid([]byte(s)) {
			return append(out, s...)
		}
	}
	return appendText(out, s)
}
