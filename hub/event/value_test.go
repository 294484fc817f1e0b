package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValue(t *testing.T) {
	values := map[string]Value{}
	for name, v := range Members([]byte(` {"text": " a\u0062 ", "digits": 7, "int": "-12 ", "past": -5, "half": 1.5, "none": null,
		"e\u0073c": true, "flag": "false", "empty": "", "deps": " a | |b|a", "list": [1], "int": 13,
		"tab": "\t8\r\n", "yes": "\u0020true\n", "part": "1.5\t"}`)) {
		values[string(name)] = v
	}
	require.Equal(t, "ab", values["text"].Text())
	require.Equal(t, "7", values["digits"].Text())
	require.Empty(t, values["none"].Text())
	require.Empty(t, values["list"].Text())
	n, ok := values["int"].Int()
	require.True(t, ok)
	require.Equal(t, int64(13), n, "the last one counts")
	for _, absent := range []string{"half", "none", "empty", "text", "list"} {
		_, ok := values[absent].Int()
		require.False(t, ok, absent)
		require.Zero(t, values[absent].Time())
	}
	n, ok = values["tab"].Int()
	require.True(t, ok, "blanks may be written as escapes")
	require.Equal(t, int64(8), n)
	require.Zero(t, values["past"].Time())
	require.Equal(t, int64(7), values["digits"].Time())
	is, there := values["esc"].Bool()
	require.True(t, is && there)
	is, there = values["flag"].Bool()
	require.True(t, !is && there)
	is, there = values["yes"].Bool()
	require.True(t, is && there)
	_, there = values["none"].Bool()
	require.False(t, there)
	f, ok := values["half"].Number()
	require.True(t, ok)
	require.InDelta(t, 1.5, f, 0)
	f, ok = values["part"].Number()
	require.True(t, ok)
	require.InDelta(t, 1.5, f, 0)
	require.Equal(t, []string{"a", "b"}, values["deps"].Departments())
	require.Empty(t, values["none"].Departments())
	for range Members([]byte(`[{"a": 1}]`)) {
		require.Fail(t, "no object")
	}
}
