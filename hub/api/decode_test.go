package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/problem"
)

type sample struct {
	Name   string            `json:"name"`
	Count  int               `json:"count"`
	Inner  *struct{ N int8 } `json:"inner"`
	List   []innerSample     `json:"list"`
	Map    map[string]int    `json:"map"`
	Free   json.RawMessage   `json:"free"`
	When   moment            `json:"when"`
	Hidden string            `json:"-"`
}

type innerSample struct {
	A bool `json:"a"`
}

func TestDecode(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		status int // 0: accepted
		field  string
		detail string
	}{
		"empty object":        {body: `{}`},
		"all fields":          {body: ` {"name":"n","count":3,"inner":{"N":1},"list":[{"a":true}],"map":{"x":1},"free":{"any":[{"thing":1}]}} `},
		"null":                {body: `{"name":null,"inner":null,"list":null}`},
		"same name elsewhere": {body: `{"map":{"name":1},"free":{"name":1}}`},
		"a byte order mark":   {body: "\xef\xbb\xbf" + `{"name":"n"}`},
		"a mark and nothing":  {body: "\xef\xbb\xbf", status: 400, detail: "the body is empty; a JSON object is needed"},
		"two marks":           {body: "\xef\xbb\xbf\xef\xbb\xbf{}", status: 422, detail: "the body must be a JSON object"},
		"nothing":             {body: " \n", status: 400, detail: "the body is empty; a JSON object is needed"},
		"not an object":       {body: `[]`, status: 422, detail: "the body must be a JSON object"},
		"null body":           {body: `null`, status: 422, detail: "the body must be a JSON object"},
		"ends too early":      {body: `{"name":"n"`, status: 400, detail: "malformed JSON: it ends too early"},
		"malformed":           {body: `{"name":tru}`, status: 400},
		"trailing data":       {body: `{} {}`, status: 400, detail: "there is more after the end of the JSON value"},
		"trailing nonsense":   {body: `{}]`, status: 400, detail: "there is more after the end of the JSON value"},
		"invalid UTF-8":       {body: "{\"name\":\"\xff\"}", status: 400, detail: "the body is not valid UTF-8"},
		"unknown field":       {body: `{"nmae":"n"}`, status: 422, field: "nmae"},
		"field in other case": {body: `{"Name":"n"}`, status: 422, field: "Name"},
		"hidden field":        {body: `{"Hidden":"n"}`, status: 422, field: "Hidden"},
		"hidden by dash":      {body: `{"-":"n"}`, status: 422, field: "-"},
		"unknown within":      {body: `{"inner":{"M":1}}`, status: 422, field: "inner.M"},
		"unknown in a list":   {body: `{"list":[{"a":true},{"b":true}]}`, status: 422, field: "list[1].b"},
		"unknown, null":       {body: `{"nope":null}`, status: 422, field: "nope"},
		"twice":               {body: `{"name":"a","name":"b"}`, status: 400, field: "name"},
		"twice, escaped":      {body: `{"name":"a","n\u0061me":"b"}`, status: 400, field: "name"},
		"twice in a map":      {body: `{"map":{"x":1,"x":2}}`, status: 400, field: "map.x"},
		"twice in free JSON":  {body: `{"free":[{"x":1,"x":2}]}`, status: 400, field: "free[0].x"},
		"wrong type":          {body: `{"name":7}`, status: 422, field: "name"},
		"wrong type within":   {body: `{"inner":{"N":"1"}}`, status: 422, field: "inner.N"},
		"not whole":           {body: `{"count":1.5}`, status: 422, field: "count"},
		"too large a number":  {body: `{"count":1e400}`, status: 422, field: "count"},
		"out of range":        {body: `{"inner":{"N":300}}`, status: 422, field: "inner.N"},
		"object for a list":   {body: `{"list":{}}`, status: 422, field: "list"},
		"bad time":            {body: `{"when":"tomorrow"}`, status: 400, field: "expiresAt"},
		"deep, yet allowed":   {body: `{"free":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`},
		"too deep": {
			body: `{"free":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, status: 400,
			detail: "arrays and objects are nested deeper than 32",
		},
		"deep without an end": {
			body: `{"free":` + strings.Repeat(`{"a":`, 100_000), status: 400,
			detail: "arrays and objects are nested deeper than 32",
		},
		"larger than a MiB": {body: `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413},
	} {
		t.Run(name, func(t *testing.T) {
			var got sample
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
			err := decode(r, &got)

			if tt.status == 0 {
				require.NoError(t, err)
				return
			}

			var d *problem.Details
			require.ErrorAs(t, err, &d)
			require.Equal(t, tt.status, d.Status, d.Error())
			if tt.field != "" {
				require.Len(t, d.Errors, 1, d.Error())
				require.Equal(t, tt.field, d.Errors[0].Field)
			}
			if tt.detail != "" {
				require.Equal(t, tt.detail, d.Detail)
			}
		})
	}
}

func TestDecodeHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		header, value string
		status        int
	}{
		"json":        {"Content-Type", "application/json; charset=utf-8", 0},
		"merge patch": {"Content-Type", "application/merge-patch+json", 0},
		"form":        {"Content-Type", "application/x-www-form-urlencoded", 415},
		"nonsense":    {"Content-Type", ";;", 415},
		"gzip":        {"Content-Encoding", "gzip", 415},
		"identity":    {"Content-Encoding", "identity", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{}`))
			r.Header.Set(tt.header, tt.value)
			err := decode(r, &sample{})
			if tt.status == 0 {
				require.NoError(t, err)
				return
			}
			var d *problem.Details
			require.ErrorAs(t, err, &d)
			require.Equal(t, tt.status, d.Status)
		})
	}
}

func TestDecodeOfABodyThatBreaksOff(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", breaksOff{})
	var d *problem.Details
	require.ErrorAs(t, decode(r, &sample{}), &d)
	require.Equal(t, 400, d.Status)
}

type breaksOff struct{}

func (breaksOff) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// Whatever is accepted means to encoding/json exactly what was checked; nothing panics.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"n","count":3,"inner":{"N":1},"list":[{"a":true}],"map":{"x":1},"free":[1,{"b":null}]}`))
	f.Add([]byte(`{"name":"a","n\u0061me":"b"}`))
	f.Add([]byte(`{"when":1700000000000}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got sample
		err := decodeBytes(raw, &got)
		if err == nil {
			var again sample
			require.True(t, json.Valid(raw))
			require.NoError(t, json.Unmarshal(raw, &again))
			require.Equal(t, again, got)
			return
		}
		var d *problem.Details
		require.ErrorAs(t, err, &d)
		require.Contains(t, []int{400, 422}, d.Status)
	})
}

func TestMerge(t *testing.T) {
	// The examples of RFC 7396, appendix A.
	for _, tt := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		var doc, patch any
		require.NoError(t, json.Unmarshal([]byte(tt[0]), &doc))
		require.NoError(t, json.Unmarshal([]byte(tt[1]), &patch))
		got, err := json.Marshal(merge(doc, patch))
		require.NoError(t, err)
		require.JSONEq(t, tt[2], string(got), "%s + %s", tt[0], tt[1])
	}
}
