package event

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// An integer is one however it is spelled, as JSON Schema has it.
func TestIntegersAsSendersWriteThem(t *testing.T) {
	for tok, want := range map[string]int64{
		"1637068256419.0": 1637068256419, "1.637068256419e12": 1637068256419, "1637068256419.000": 1637068256419, "1E3": 1000,
		"10e-1": 1,
		"-5.0":  -5, "0.0": 0, "-0.0": 0, "0e99": 0, "9223372036854775807.0": 9223372036854775807,
		"-9223372036854775808.0": -9223372036854775808,
		"0.0012e4":               12, `"12"`: 12,
	} {
		n, ok := Value(tok).Int()
		require.True(t, ok, tok)
		require.Equal(t, want, n, tok)
	}
	for _, tok := range []string{
		"1.5", "15e-1", "1e-9", "1e99999999999", "9223372036854775808.0", "1e19", `"1.0"`, `"1e3"`,
	} {
		_, ok := Value(tok).Int()
		require.False(t, ok, tok)
	}
	require.Equal(t, "1001", Value("1001.0").Text())
	require.Equal(t, "1001", Value("1.001e3").Text())
	require.Empty(t, Value("1.5").Text())
	require.Empty(t, Value("1e999999999").Text())
}

func FuzzNumber(f *testing.F) {
	f.Add("1637068256419.0")
	f.Add("-1.5e-7")
	f.Add("1e99999999999999999999")
	f.Fuzz(func(t *testing.T, tok string) {
		s := scan{b: []byte(tok)}
		if !s.number() || s.i != len(tok) {
			return
		}
		one := Number([]byte(tok))
		require.Equal(t, one, Number([]byte(one)), "one way to write it")
		x, err := strconv.ParseFloat(tok, 64)
		if err != nil {
			return
		}
		y, err := strconv.ParseFloat(one, 64)
		require.NoError(t, err)
		require.InDelta(t, x, y, 0)
		if n, ok := Value(tok).Int(); ok {
			require.InDelta(t, x, float64(n), 0)
		}
	})
}

func TestCodings(t *testing.T) {
	for value, want := range map[string][]string{
		"": nil, "identity": nil, "utf-8": nil, "UTF-8": nil, "iso-8859-1": nil, "binary": nil, "8bit": nil, "none": nil,
		" , ":  nil,
		"gzip": {"gzip"}, " GZIP ": {"gzip"}, "x-gzip": {"x-gzip"}, "deflate, gzip": {"deflate", "gzip"}, "utf-8, br": {"br"},
	} {
		require.Equal(t, want, Codings(value), value)
	}
}

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
