package deepcall

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outcome of reading a body: what was read, or the code and text of the problem.
func outcome[T any](t *testing.T, read func(*params) (T, error), body string) (T, string) {
	t.Helper()
	p, err := parseBody([]byte(body))
	var q T
	if err == nil {
		q, err = read(p)
	}
	if err == nil {
		return q, ""
	}
	var why *problem
	require.ErrorAs(t, err, &why)
	return q, fmt.Sprintf("%d %s", why.Code, why.Error())
}

func TestReadCount(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	many := strings.Repeat(`{"did":"1"},`, maxConditions) + `{"did":"1"}`
	for body, want := range map[string]string{
		`{}`: "",
		`{"filter": null, "extra": [], "breakDown": "", "disPlay": " ", "fields": [], "multi": null}`:                                   "",
		`{"filter": [{"key": "groupId", "value": ["55", 56]}, {"field": "st", "operator": "ne", "value": "On Hold"}, {"did": "1"}]}`:    "",
		`{"filter": [{"grp": "1", "str": "a", "ctyp": "Inbound", "campId": 7, "queueId": ["a"], "agentId": "1", "status": "Waiting"}]}`: "",
		`{"extra": [{"includeInactive": "true"}, {"key": "timeZone", "value": "UTC+5:30"}, {"groupBy": "hourly"}]}`:                     "",
		`{"extra": [{"includeInactive": "false", "timeZone": "Asia/Singapore", "groupBy": "daily"}]}`:                                   "",
		`{"breakDown": "agentId", "disPlay": "date", "fields": ["TC", "AC", "WT", "AT", "AHT", "ABT"], "multi": false}`:                 "",
		`{"breakDown": "agentId, did", "multi": true}`:                                                                                  "",

		``:                  "1047 Invalid Request Data: body must be a JSON object",
		`[]`:                "1047 Invalid Request Data: body must be a JSON object",
		`{} {}`:             "1047 Invalid Request Data: body must be a JSON object",
		`{"a": 1,}`:         "1047 Invalid Request Data: body must be a JSON object",
		"{\"a\": \"\xff\"}": "1047 Invalid Request Data: body must be a JSON object",

		`{"filters": []}`:        `1000 Invalid parameter(s): "filters" is not a field of this request`,
		`{"filter": {}}`:         "1001 Invalid data type: filter must be an array",
		`{"filter": "x"}`:        "1001 Invalid data type: filter must be an array",
		`{"extra": {}}`:          "1001 Invalid data type: extra must be an array",
		`{"fields": "TC"}`:       "1001 Invalid data type: fields must be an array",
		`{"breakDown": ["did"]}`: "1001 Invalid data type: breakDown must be a string",
		`{"disPlay": 1}`:         "1001 Invalid data type: disPlay must be a string",
		`{"multi": "true"}`:      "1001 Invalid data type: multi must be true or false",
		`{"multi": 1}`:           "1001 Invalid data type: multi must be true or false",
		`{"disPlay": "` + long + `"}`: fmt.Sprintf("1000 Invalid parameter(s): disPlay must not be longer than %d bytes",
			maxText),

		`{"filter": ["x"]}`:                                               "1502 Invalid filter value: filter[0] must be an object",
		`{"filter": [{"did": "1"}, null]}`:                                "1502 Invalid filter value: filter[1] must be an object",
		`{"filter": [{"colour": "red"}]}`:                                 `1502 Invalid filter value: filter[0]."colour" is not known`,
		`{"filter": [{"key": "colour", "value": "red"}]}`:                 `1502 Invalid filter value: filter[0].key "colour" is not known`,
		`{"filter": [{"key": 1, "value": "red"}]}`:                        `1502 Invalid filter value: filter[0].key "" is not known`,
		`{"filter": [{"key": "did"}]}`:                                    "1502 Invalid filter value: filter[0].value must be a string, a number or an array of these",
		`{"filter": [{"key": "did", "value": {}}]}`:                       "1502 Invalid filter value: filter[0].value must be a string, a number or an array of these",
		`{"filter": [{"key": "did", "value": [true]}]}`:                   "1502 Invalid filter value: filter[0].value must be a string, a number or an array of these",
		`{"filter": [{"did": []}]}`:                                       "1502 Invalid filter value: filter[0].did must have 1 to 1000 values",
		`{"filter": [{"key": "did", "value": "1", "and": 1}]}`:            `1502 Invalid filter value: filter[0]."and" is not known`,
		`{"filter": [{"key": "did", "operator": "like", "value": "1"}]}`:  `1502 Invalid filter value: filter[0].value: operator "like" must be one of eq, in, ne, gt, gte, lt, lte`,
		`{"filter": [{"key": "did", "operator": "gt", "value": [1, 2]}]}`: "1502 Invalid filter value: filter[0].value must be one value with the operator gt",
		`{"filter": [{"did": "` + long +
			`"}]}`: "1502 Invalid filter value: filter[0].did must not be longer than 4096 bytes",
		`{"filter": [` + many +
			`]}`: "1502 Invalid filter value: filter must not have more than 100 conditions",
		`{"filter": [{"did": [` + strings.Repeat("1,", 1000) +
			`1]}]}`: "1502 Invalid filter value: filter[0].did must have 1 to 1000 values",

		`{"extra": [{"timeZone": "Mars"}]}`:       "1502 Invalid filter value: extra[0].timeZone must be UTC, UTC+5:30 or a name such as Asia/Singapore",
		`{"extra": [{"timeZone": 5}]}`:            "1502 Invalid filter value: extra[0].timeZone must be UTC, UTC+5:30 or a name such as Asia/Singapore",
		`{"extra": [{"groupBy": "weekly"}]}`:      "1502 Invalid filter value: extra[0].groupBy must be hourly or daily",
		`{"extra": [{"includeInactive": "yes"}]}`: `1502 Invalid filter value: extra[0].includeInactive must be "true" or "false"`,
		`{"extra": [{"key": "timeZone"}]}`:        "1502 Invalid filter value: extra[0].value must be UTC, UTC+5:30 or a name such as Asia/Singapore",
		`{"extra": [{"key": "groupBy"}]}`:         "1502 Invalid filter value: extra[0].value must be hourly or daily",
		`{"extra": [{"key": null, "value": 1}]}`:  `1502 Invalid filter value: extra[0].key "" is not known`,
		`{"extra": [{"limit": 5}]}`:               `1502 Invalid filter value: extra[0]."limit" is not known`,
		`{"breakDown": "colour"}`:                 "1502 Invalid filter value: breakDown must be one of agentId, groupId, did, campId, ctype, status, date, hour",
		`{"breakDown": "did,did", "multi": true}`: "1502 Invalid filter value: breakDown must be one of agentId, groupId, did, campId, ctype, status, date, hour",
		`{"breakDown": "agentId,did"}`:            "1502 Invalid filter value: breakDown must be one field unless multi is true",
		`{"disPlay": "colour"}`:                   "1502 Invalid filter value: disPlay must be one of agentId, groupId, did, campId, ctype, status, date, hour",
		`{"fields": ["TC", "tc"]}`:                "1502 Invalid filter value: fields[1] must be one of TC, AC, WT, AT, AHT, ABT",
		`{"fields": [1]}`:                         "1502 Invalid filter value: fields[0] must be one of TC, AC, WT, AT, AHT, ABT",
	} {
		_, got := outcome(t, readCount, body)
		require.Equal(t, want, got, "%.200s", body)
	}
	q, got := outcome(t, readCount,
		`{"multi": true, "breakDown": " did , hour ", "fields": ["AC"], "extra": [{"key": "includeInactive", "value": true}, {"timeZone": "UTC-03:30"}]}`)
	require.Empty(t, got)
	require.Equal(t, []string{"did", "hour"}, q.breakDown)
	require.True(t, q.inactive)
	_, offset := time.Unix(0, 0).In(q.zone).Zone()
	require.Equal(t, -(3*3600 + 1800), offset)
}

func TestReadAgents(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "",
		`{"userId": "1", "token": "t", "groupid": "55", "status": "login", "A": 1, "filter": [{"agentId": [468, "6"]}]}`: "",
		`{"groupid": "", "status": "all", "A": 0, "filter": []}`:                                                         "",

		`{"group": "55"}`:                   `1521 Please Provide Only Valid fields: "group" is not a field of this request`,
		`{"groupid": 55}`:                   "1001 Invalid data type: groupid must be a string",
		`{"status": true}`:                  "1001 Invalid data type: status must be a string",
		`{"status": "busy"}`:                "1508 Invalid status value: status must be all or login",
		`{"A": "1"}`:                        "1001 Invalid data type: A must be a number",
		`{"A": true}`:                       "1001 Invalid data type: A must be a number",
		`{"A": 2}`:                          "1000 Invalid parameter(s): A must be 0 or 1",
		`{"A": 1e400}`:                      "1001 Invalid data type: A must be a number",
		`{"filter": 1}`:                     "1001 Invalid data type: filter must be an array",
		`{"filter": [{"did": "1"}]}`:        `1502 Invalid filter value: filter[0]."did" is not known`,
		`{"filter": [{"agentId": false}]}`:  "1502 Invalid filter value: filter[0].agentId must be a string, a number or an array of these",
		`{"status": "busy", "filter": [1]}`: "1508 Invalid status value: status must be all or login",
	} {
		_, got := outcome(t, readAgents, body)
		require.Equal(t, want, got, "%s", body)
	}
	for body, want := range map[string]bool{`{"A": 1}`: true, `{"A": 1.0}`: true, `{"A": 0}`: false, `{}`: false} {
		q, got := outcome(t, readAgents, body)
		require.Empty(t, got, body)
		require.Equal(t, want, q.more, body)
	}
}

func TestParseZone(t *testing.T) {
	for name, seconds := range map[string]int{
		"UTC": 0, "UTC+5:30": 19800, "UTC+05:30": 19800, "UTC-3": -10800, "UTC+14": 50400, "UTC-14:00": -50400, "UTC+0": 0,
		"Asia/Kolkata": 19800,
	} {
		loc := parseZone(name)
		require.NotNil(t, loc, name)
		_, offset := time.Unix(1_700_000_000, 0).In(loc).Zone()
		require.Equal(t, seconds, offset, name)
	}
	for _, name := range []string{
		"", "Local", "utc", "UTC5", "UTC+", "UTC+15", "UTC+14:30", "UTC+5:3", "UTC+5:60", "UTC+005", "UTC++5", "UTC+-5",
		"UTC +5", "+5:30", "../etc/passwd", strings.Repeat("A", 100),
	} {
		require.Nil(t, parseZone(name), name)
	}
}

func TestConditions(t *testing.T) {
	for _, tt := range []struct {
		op    string
		asked []string
		has   []string
		want  bool
	}{
		{"eq", []string{"a", "b"}, []string{"x", "b"}, true},
		{"eq", []string{"a"}, []string{"b"}, false},
		{"eq", []string{"a"}, nil, false},
		{"in", []string{"a", "b"}, []string{"a"}, true},
		{"ne", []string{"a", "b"}, []string{"x", "b"}, false},
		{"ne", []string{"a"}, []string{"b"}, true},
		{"ne", []string{"a"}, nil, true},
		{"gt", []string{"b"}, []string{"a", "c"}, true},
		{"gt", []string{"b"}, []string{"b"}, false},
		{"gte", []string{"b"}, []string{"b"}, true},
		{"lt", []string{"2"}, []string{"10"}, true}, // as text
		{"lt", []string{"b"}, nil, false},
		{"lte", []string{"b"}, []string{"c"}, false},
	} {
		c := condition{op: tt.op, values: tt.asked}
		require.Equal(t, tt.want, c.holds(tt.has...), "%+v", tt)
	}
}

// The documents' examples have these lengths and ETags.
func TestETag(t *testing.T) {
	body := `{"data":{"onB":0,"onC":0,"web":2,"agTc":13,"size":0,"grp":[],"ag":[],"st":[],"str":{},"ctyp":{},"campId":[],"qDura":[],"did":[]},"status":"success","code":200}`
	require.Len(t, body, 159)
	require.Equal(t, `W/"9f-5CvV3aU8QdyXuu8UyL7A+65/6As"`, etag([]byte(body)))
}

// Whatever a client sends is a query within the bounds, or a problem of the vendor's codes.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"ssid": "hk_demo_0123456789abcdef", "filter": [{"key": "groupId", "operator": "in", "value": ["55"]}], "fields": ["TC"], "breakDown": "agentId,did", "multi": true}`,
		`{"userId": "1", "token": "t", "extra": [{"timeZone": "UTC+5:30"}, {"groupBy": "hourly"}, {"includeInactive": "true"}]}`,
		`{"groupid": "55", "status": "login", "A": 1, "filter": [{"agentId": 6}]}`, `[]`, `{"filter": [{"": ""}]}`,
		`{"filter":[{"key":"did","value":[[]]}]}`, "{\"\\u0000\": 1}", `{"A": -0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		check := func(err error) {
			var why *problem
			if err != nil && (!errors.As(err, &why) || messages[why.Code] == "") {
				t.Errorf("%q: %v", raw, err)
			}
		}
		p, err := parseBody(raw)
		check(err)
		if err != nil {
			return
		}
		q, err := readCount(p)
		check(err)
		if err == nil && (len(q.filter) > maxConditions || len(q.breakDown) > len(dimensions) ||
			q.zone == nil && len(q.display) > maxText) {
			t.Errorf("%q is beyond the bounds: %+v", raw, q)
		}
		p, _ = parseBody(raw)
		a, err := readAgents(p)
		check(err)
		for _, c := range a.filter {
			if err == nil && (len(c.values) == 0 || len(c.values) > maxValues || operators[c.op].holds == nil) {
				t.Errorf("%q is beyond the bounds: %+v", raw, c)
			}
		}
	})
}

// Strict-Transport-Security is for those who came by TLS.
func TestStrictTransport(t *testing.T) {
	r, w := httptest.NewRequest(http.MethodPost, "https://a.b/", nil), httptest.NewRecorder()
	write(w, r, http.StatusOK, failure{})
	require.Equal(t, "max-age=31536000; includeSubDomains", w.Header().Get("Strict-Transport-Security"))
	r, w = httptest.NewRequest(http.MethodPost, "http://a.b/", nil), httptest.NewRecorder()
	write(w, r, http.StatusOK, failure{})
	require.Empty(t, w.Header().Get("Strict-Transport-Security"))
}
