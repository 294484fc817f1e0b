package search_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/search"
)

func TestAttached(t *testing.T) {
	for _, c := range []struct {
		filter, data string
		want         bool
	}{
		{`{"a": 1}`, `{"b": 2, "a": 1}`, true},
		{`{"a": 1}`, `{"a": 2}`, false},
		{`{"a": 1}`, `{"a": "1"}`, false},
		{`{"a": 1}`, `"{\"a\": 1, \"b\": 2}"`, true},
		{`{"a": "x"}`, `{"\u0061": "\u0078"}`, true},
		{`{"a": "x/y"}`, `{"a": "x\/y"}`, true},
		{`{"a": "é"}`, `{"a": "\u00e9"}`, true},
		{`{"a": "x y"}`, `{"a": "x y"}`, true},
		{`{"a": "x"}`, `{"b": "x", "c": "a"}`, false},
		{`{"a": "x"}`, `{"b": {"a": "x"}}`, false},
		{`{"b": {"a": "x"}}`, `{"b": {"a": "x", "c": 1}}`, true},
		{`{"b": {"a": "x"}}`, `{"b": ["a", "x"]}`, false},
		{`{"a": [1, "x"]}`, `{"a": [1, "x"]}`, true},
		{`{"a": [1]}`, `{"a": [1, "x"]}`, false},
		{`{"a": null}`, `{"a": null}`, true},
		{`{"a": null}`, `{}`, false},
		{`{"a": true}`, `{"a": true}`, true},
		{`{}`, `{"a": 1}`, true},
		{`{}`, `"text"`, false},
		{`"a":"x"`, `{ "a" : "x" }`, true},
		{`"a": "x"`, `{"a":"x"}`, false},
		{`ext`, `"text"`, true},
		{`7`, `{"a": 17}`, true},
		{`[1]`, `[1]`, true},
		{`a`, `null`, false},
		{`a`, `true`, false},
	} {
		require.True(t, json.Valid([]byte(c.data)), c.data)
		a := search.ParseAttached(c.filter)
		require.Equal(t, c.want, a.Matches([]byte(`{"callID": "c", "attachedData": `+c.data+`, "tail": "é"}`)), "%s in %s", c.filter, c.data)
		require.False(t, a.Matches([]byte(`{"callID": "c", "other": `+c.data+`}`)), "%s in %s", c.filter, c.data)
	}
	require.True(t, search.ParseAttached(strings.Repeat(" ", 9)+`{"a":1}`).Matches([]byte(`{"attachedData":{"a":1}}`)))
}
