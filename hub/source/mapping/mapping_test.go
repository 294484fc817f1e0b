package mapping

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMillis(t *testing.T) {
	for _, tt := range []struct {
		value            any
		unit, zone, want string
	}{
		{"1637068256.419123", "s", "", "2021-11-16T13:10:56.419Z"},
		{int64(1637068256), "s", "", "2021-11-16T13:10:56Z"},
		{"1637068256419", "ms", "", "2021-11-16T13:10:56.419Z"},
		{"1637068256419999", "us", "", "2021-11-16T13:10:56.419Z"},
		{"63804287456", "gregorian-s", "", "2021-11-16T13:10:56Z"},
		{"2021-11-16T14:10:56.419+01:00", "iso", "", "2021-11-16T13:10:56.419Z"},
		{"Tue, 16 Nov 2021 13:10:56 +0000", "rfc2822", "", "2021-11-16T13:10:56Z"},
		{"2021-11-16 21:10:56", "local", "Asia/Shanghai", "2021-11-16T13:10:56Z"},
		// The night in which clocks are set back: of the hour that comes twice the first.
		{"2026-10-25 02:30:00", "local", "Europe/Berlin", "2026-10-25T00:30:00Z"},
		{"2026-10-25 03:30:00", "local", "Europe/Berlin", "2026-10-25T02:30:00Z"},
		// The night in which they are set forward: the hour that does not exist.
		{"2026-03-29 02:30:00", "local", "Europe/Berlin", "2026-03-29T01:30:00Z"},
	} {
		got, err := millis(tt.value, tt.unit, tt.zone)
		require.NoError(t, err, "%v", tt)
		want, err := time.Parse(time.RFC3339, tt.want)
		require.NoError(t, err)
		require.Equal(t, want.UTC(), time.UnixMilli(got).UTC(), "%v", tt)
	}
	for _, bad := range [][3]string{
		{"x", "s", ""}, {"1/2", "s", ""}, {"1e999999999", "s", ""}, {"9999999999999999999", "ms", ""}, {"2021", "iso", ""},
		{"2021-11-16 21:10:56", "local", "Nowhere/City"}, {"1", "fortnights", ""},
	} {
		_, err := millis(bad[0], bad[1], bad[2])
		require.Error(t, err, "%v", bad)
	}
}

func compile(t testing.TB, spec string, tables map[string]any) *Mapping {
	t.Helper()
	var s Spec
	require.NoError(t, json.Unmarshal([]byte(spec), &s))
	m, err := Compile(Source{Own: &s, Tables: tables})
	require.NoError(t, err)
	return m
}

// Rows see the message, headers and query, and the functions do what they say.
func TestExpressions(t *testing.T) {
	m := compile(t, `{"decode":"json","match":[{"emit":"call.created","set":{
		"a":"m.x.y","b":"table('t', m.k)","c":"table('t', 'nothing', 'other')","d":"table('t', 'nothing')",
		"e":"inTable('trunks', 'PJSIP/trunk-7')","f":"inTable('trunks', 'PJSIP/1001')","g":"millis(m.at, 's')","h":"number(m.n)",
		"i":"part('a-b-c', '-', 1)","j":"strip('+49123', '+')","k":"headers.?x.orValue('none')","l":"query.uuid","m":"upper('ab') + text(7)",
		"n":7,"o":true,"p":"m.?missing.orValue(3)","q":"size(hash('x'))","r":"m.list.filter(x, x > 1)","s":"rest","t":"received"}}]}`,
		map[string]any{"t": map[string]any{"k1": "v1"}, "trunks": []any{"PJSIP/trunk-*"}})
	out, err := m.Map(Input{
		Body: []byte(`{"x":{"y":1.5},"k":"k1","at":"1637068256.5","n":"42","list":[1,2,3]}`), Query: "uuid=u1", Rest: "r", Received: 9,
	})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"a": 1.5, "b": "v1", "c": "other", "e": true, "f": false, "g": int64(1637068256500), "h": int64(42), "i": "b", "j": "49123",
		"k": "none", "l": "u1", "m": "AB7", "n": 7.0, "o": true, "p": int64(3), "q": int64(32), "r": []any{int64(2), int64(3)},
		"s": "r", "t": int64(9),
	}, out[0].Fields)
}

// An expression that costs too much is stopped, whatever it is.
func TestExpressionsAreBounded(t *testing.T) {
	body := []byte(`{"list":[` + strings.Repeat("1,", 5000) + `1],"text":"` + strings.Repeat("a", 200_000) + `"}`)
	for _, x := range []string{
		"m.list.all(a, m.list.all(b, a == b))", "m.list.map(a, m.list.map(b, m.text))", "size(lower(m.text))", "text(m.list)",
		"m.text + m.text + m.text + m.text + m.text", strings.Repeat("[", 40) + "m.list" + strings.Repeat("].map(x, x + x)[0]", 40),
		"m.list.exists(x, m.text.matches('b+$'))", "m.list.exists(x, m == m.list)",
	} {
		m := compile(t, `{"decode":"json","match":[{"emit":"call.created","set":{"callID":`+strconvQuote(x)+`}}]}`, nil)
		_, err := m.Map(Input{Body: body})
		require.ErrorContains(t, err, "row 1, set.callID", x)
	}
}

func strconvQuote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestCompileNamesTheField(t *testing.T) {
	for spec, field := range map[string]string{
		`{"decode":"json"}`:                                                                "mapping.match",
		`{"decode":"morse","match":[{"ignore":true}]}`:                                     "mapping.decode",
		`{"decode":"json","match":[{"when":"m.","ignore":true}]}`:                          "mapping.match[0].when",
		`{"decode":"json","match":[{"ignore":true},{"emit":"x"}]}`:                         "mapping.match[1].emit",
		`{"decode":"json","match":[{"emit":"call.created","set":{"callID":"nosuch(m)"}}]}`: "mapping.match[0].set.callID",
		`{"decode":"json","match":[{"emit":"call.created","set":{"callID":[]}}]}`:          "mapping.match[0].set.callID",
		`{"decode":"json","time":{"field":"x","unit":"y"},"match":[{"ignore":true}]}`:      "mapping.time.unit",
	} {
		var s Spec
		require.NoError(t, json.Unmarshal([]byte(spec), &s))
		_, err := Compile(Source{Own: &s})
		var p *Problem
		require.ErrorAs(t, err, &p, spec)
		require.Equal(t, field, p.Field)
	}
}

// The three forms in which FreeSWITCH posts a record as a form.
func TestFormJSON(t *testing.T) {
	record := `{"variables":{"uuid":"u-1","note":"a+b/c=?>~"}}`
	for _, form := range []string{
		"cdr=" + url.QueryEscape(record), "cdr=" + base64.StdEncoding.EncodeToString([]byte(record)),
		"cdr=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(record))),
	} {
		v, err := Decode(AsFormJSON, Input{Body: []byte(form)})
		require.NoError(t, err, form)
		require.Equal(t, map[string]any{"variables": map[string]any{"uuid": "u-1", "note": "a+b/c=?>~"}}, v)
	}
}

func TestXML(t *testing.T) {
	v, err := Decode(AsXML, Input{Body: []byte(
		`<?xml version="1.0"?><cdr core="c"><a>1</a><b x="2">t</b><b/><c><d>&lt;</d></c></cdr>`)})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"cdr": map[string]any{
		"@core": "c", "a": "1", "b": []any{map[string]any{"@x": "2", "#text": "t"}, ""}, "c": map[string]any{"d": "<"},
	}}, v)
}

func TestBuiltInMappingsCompile(t *testing.T) {
	specs, err := builtIn()
	require.NoError(t, err)
	require.NotEmpty(t, specs)
	for kind, s := range specs {
		_, err := Compile(Source{Kind: s})
		require.NoError(t, err, kind)
	}
}

// No bytes make a decoder panic, or take more than its bounds.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5,null,true,"x"]}`, `a=1&b=%20&cdr=e30=`, `<a b="c"><d/>e</a>`, `{"specversion":"1.0","id":"1","source":"s","type":"t"}`,
		"[[[[", "cdr=<cdr><variables/></cdr>", "cdr=e30=", `{"records":[{"data":"e30="}]}`, "{}\n{}\n", `<!DOCTYPE a>`,
	} {
		f.Add([]byte(seed), "application/cloudevents-batch+json")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		in := Input{Body: body, Headers: map[string]string{"content-type": contentType}}
		for _, format := range Formats {
			v, err := Decode(format, in)
			if err == nil {
				_, err = json.Marshal(v)
				require.NoError(t, err, "what is decoded can be written as JSON")
			}
			parts, err := Split(format, in)
			if err == nil {
				require.LessOrEqual(t, len(parts), MaxParts)
			}
		}
	})
}
