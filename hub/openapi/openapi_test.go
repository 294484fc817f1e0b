package openapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestJSONKeepsOrderAndMerges(t *testing.T) {
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(`
x-anchors: {a: &a {two: 2, three: over}}
z: 1.50
b: {one: [true, null, "1"], <<: *a, three: "3"}
c: &inline
  <<: &more {x: <b>}
  y: *a
d: *inline
`), &root))
	var b bytes.Buffer
	require.NoError(t, writeJSON(&b, root.Content[0]))
	require.Equal(t, `{"z":1.5,"b":{"one":[true,null,"1"],"two":2,"three":"3"},`+
		`"c":{"x":"\u003cb\u003e","y":{"two":2,"three":"over"}},"d":{"x":"\u003cb\u003e","y":{"two":2,"three":"over"}}}`,
		b.String())
}

func TestPageEscapes(t *testing.T) {
	require.Equal(t, "<p>a &lt;b&gt; <code>c&lt;d</code></p><p>e</p>", string(text("a <b> `c<d`\n\ne\n")))
	for raw, want := range map[string]string{
		`{"$ref":"#/components/schemas/A<"}`:                                     `<a href="#A&lt;">A&lt;</a>`,
		`{"type":["string","null"]}`:                                             "string | null",
		`{"enum":["<",null,1]}`:                                                  "&lt; | null | 1",
		`{"type":"array","items":{"$ref":"#/x/B"}}`:                              `array of <a href="#B">B</a>`,
		`{"oneOf":[{"type":"null"},{"type":"array","items":{"type":"string"}}]}`: "null or array of string",
		`{}`: "any",
	} {
		var s schema
		require.NoError(t, json.Unmarshal([]byte(raw), &s))
		require.Equal(t, want, string(kind(s)), raw)
	}
	var s schema
	require.NoError(t, json.Unmarshal([]byte(`{"minimum":0.01,"maximum":5,"maxLength":7,"default":[1]}`), &s))
	require.Equal(t, "0.01 to 5; at most 7 characters; default [1]", limits(s))
}
