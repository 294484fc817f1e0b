package search_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/event"
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
		// By value, whatever escapes and number spelling the sender used.
		{`{"a": 1}`, `{"a": 1.0}`, true},
		{`{"a": 1e3}`, `{"a": 1000}`, true},
		{`{"a": 0.5}`, `{"a": 5E-1}`, true},
		{`{"a": 9007199254740993}`, `{"a": 9007199254740992}`, false},
		{`{"a": -0.0}`, `{"a": 0}`, true},
		{`{"a": [1.50]}`, `"{\"a\": [1.5]}"`, true},
		{`Müller`, `{"name":"M\u00fcller"}`, true},
		{`"name":"Müller"`, `"{\"name\": \"M\\u00fcller\"}"`, true},
		{`["M\u00fcller"]`, `["Müller"]`, true},
		{`x/y`, `{"a": "x\/y"}`, true},
		{`1000`, `{"a": 1e3}`, true},
		{`say \"hi\"`, `{"a": "say \u0022hi\u0022"}`, true},
		{`1.0`, `{"v": "1.0"}`, true},
	} {
		require.True(t, json.Valid([]byte(c.data)), c.data)
		require.Equal(t, c.want, picks(search.ParseAttached(c.filter), c.data), "%s in %s", c.filter, c.data)
		require.Equal(t, c.want, picks(search.ParseAttached("  "+c.filter), c.data), "%s in %s", c.filter, c.data)
	}
}

// picks as the store does.
func picks(a *search.Attached, data string) bool {
	text := search.AttachedValue(event.Value(data))
	if a.Atoms == nil {
		return text != "" && strings.Contains(text, a.Text)
	}
	have := search.AttachedAtoms(text)
	return !slices.ContainsFunc(a.Atoms, func(w string) bool { return !slices.Contains(have, w) })
}

// An object contains another just when it has all its atoms.
func TestAttachedAtoms(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		of := []*rapid.Generator[any]{
			rapid.SampledFrom([]any{"", "a", "1", "null", "{", 1.0, 2.0, true, false, nil}),
		}
		if depth > 0 {
			of = append(of, rapid.MapOfN(rapid.SampledFrom([]string{"", "a", "b", "1", ".a"}), value(depth-1), 0, 3).AsAny(),
				rapid.SliceOfN(value(depth-1), 0, 3).AsAny())
		}
		return rapid.OneOf(of...)
	}
	held := 0
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), value(2), 0, 2)
		whole, part := object.Draw(t, "whole"), object.Draw(t, "part")
		for k, v := range whole {
			if rapid.Bool().Draw(t, "same") {
				part[k] = v
			}
		}
		data, err := json.Marshal(whole)
		require.NoError(t, err)
		filter, err := json.Marshal(part)
		require.NoError(t, err)
		want := contains(whole, part)
		if want && len(part) > 0 {
			held++
		}
		require.Equal(t, want, picks(search.ParseAttached(string(filter)), string(data)), "%s in %s", filter, data)
	})
	require.Positive(t, held)
}

func contains(whole, part any) bool {
	switch p := part.(type) {
	case map[string]any:
		w, is := whole.(map[string]any)
		for k, v := range p {
			have, there := w[k]
			is = is && there && contains(have, v)
		}
		return is
	case []any:
		w, is := whole.([]any)
		is = is && len(w) == len(p)
		for i := range p {
			is = is && contains(w[i], p[i])
		}
		return is
	}
	return whole == part
}
