package subscriptions_test

import (
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/subscriptions"
)

// A query goes out as RFC 3986 has it; what is encoded already stays as it is.
func TestTargetEncodesTheQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                   "",
		"a=1&b=2;c=3":        "a=1&b=2;c=3",
		"name=Müller":        "name=M%C3%BCller",
		"name=M%C3%BCller":   "name=M%C3%BCller",
		"name=m%c3%bc+x":     "name=m%c3%bc+x",
		"q={a|b}":            "q=%7Ba%7Cb%7D",
		"q=a b":              "q=a%20b",
		"q[]=1":              "q%5B%5D=1",
		`q="<x>"^` + "`":     "q=%22%3Cx%3E%22%5E%60",
		"share=100%":         "share=100%25",
		"share=100%&x=%zz%4": "share=100%25&x=%25zz%254",
		"u=https://a/?b=@c":  "u=https://a/?b=@c",
		"日本":                 "%E6%97%A5%E6%9C%AC",
	} {
		u, err := subscriptions.Target("https://crm.example/päth?" + raw)
		require.NoError(t, err)
		require.Equal(t, want, u.RawQuery)
		u, problem := subscriptions.ParseURL("https://crm.example/?" + raw)
		require.Empty(t, problem, raw)
		require.Equal(t, want, u.RawQuery)
		require.LessOrEqual(t, len(raw), len(want))
	}
}

var wellFormedQuery = regexp.MustCompile(`^([-A-Za-z0-9._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$`)

func FuzzTarget(f *testing.F) {
	f.Add("https://crm.example/?name=Müller&x={}|%zz%")
	f.Add("http://[::1]:8080/a b?c d#e")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := subscriptions.Target(s)
		if err != nil {
			return
		}
		require.Regexp(t, wellFormedQuery, u.RawQuery)
		raw, err := url.Parse(s)
		require.NoError(t, err)
		if want, err := url.ParseQuery(raw.RawQuery); err == nil {
			got, err := url.ParseQuery(u.RawQuery)
			require.NoError(t, err)
			require.Equal(t, want, got, "it means the same")
		}
		again, err := subscriptions.Target(u.String())
		if err == nil {
			require.Equal(t, u.RawQuery, again.RawQuery, "encoded once")
		}
	})
}
