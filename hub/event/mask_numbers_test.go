package event

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIdentifier(t *testing.T) {
	for id, want := range map[string]string{
		"":         "",
		"cdr/c1":   "cdr/c1",
		"call-123": "call-123",
		"cdr/017d2a31-4c90-7b1e-8f6a-2f4f5b0c7d11/p1": "cdr/017d2a31-4c90-7b1e-8f6a-2f4f5b0c7d11/p1",
		"cdr/CA1234567890abcdef1234567890abcdef":      "cdr/CA1234567890abcdef1234567890abcdef",
		"cdr/6bf3cbb1":                                "cdr/6bf3cbb1",
		"call/1637068256.419":                         "call/1637068256.419", // Asterisk's own
		"agent/1001":                                  "agent/1001",
		"pbx1-6bf3cbb1-ringing-2":                     "pbx1-6bf3cbb1-ringing-2",
		"batch 2026-11-30 18":                         "batch 2026-11-30 18",
		"192.168.30.40-7":                             "192.168.30.40-7",
		"cdr/12.34.56.78":                             "cdr/**.**.**.78",
		"visitor/+4915112345678":                      "visitor/+491******5678",
		"cdr/4915112345678":                           "cdr/491******5678",
		"cdr/4915112345678/12":                        "cdr/491********78/12",
		"cdr/+49 151 1234 5678":                       "cdr/+49 1** **** 5678",
		"cdr/0151-1234-5678":                          "cdr/015*-****-5678",
		"cdr/(0151) 12.34.56.78":                      "cdr/(015*) **.**.56.78",
		"cdr/030%2F1234567":                           "cdr/030%2F*****67",
		"call/030/123456":                             "call/***/****56",
		"cdr/%2B49%20151%201234%205678":               "cdr/%2B49%201**%20****%205678",
		"call/tel:+49-151-1234-5678":                  "call/tel:+49-1**-****-5678",
		"call/sip:4915112345678@10.0.0.1;user=phone":  "call/sip:491******5678@10.0.0.1;user=phone",
		"call/tel:030123456789;ext=12":                "call/tel:030*****6789;ext=12",
		"call/030123456789ext12":                      "call/030*****6789ext12",
		"call/030123456789x12":                        "call/030*****6789x12",
		"cust4915112345678":                           "cust491******5678",
		"1234567":                                     "*****67",
		"00000000-0000-0000-0004-915112345678":        "********-****-****-****-********5678",
		"visitor/+\u0664\u0669\u0661\u0665\u0661\u0661\u0662\u0663\u0664": "visitor/+*******\u0663\u0664",
	} {
		require.Equal(t, want, Partial.Identifier(id), "%q", id)
		require.Equal(t, want, Partial.Identifier(want), "%q twice", id)
		require.Equal(t, id, Unmasked.Identifier(id))
	}
}

func TestBodyAndIDs(t *testing.T) {
	body := `{"callID":"+4915112345678","visitorId":"0151 12345678","agentID":"1001","customerNumber":"13911110001","startTime":1637068256419}`
	require.Equal(t,
		`{"callID":"+491******5678","visitorId":"01** ****5678","agentID":"1001","customerNumber":"139****0001","startTime":1637068256419}`,
		string(Partial.BodyAndIDs(CDRCall, []byte(body), "e1", "cdr/+4915112345678")))
	require.Contains(t, string(Partial.Body(CDRCall, []byte(body))), `"callID":"+4915112345678"`, "a push keeps its ids")
	require.Equal(t, `{"visitorId":"+491******5678"}`,
		string(Partial.BodyAndIDs(VisitorLeft, []byte(`{"visitorId":"+4915112345678"}`), "visitor/+4915112345678")))
}

func TestMaskedForms(t *testing.T) {
	for body, want := range map[string]string{
		// The same number, its digits parted in other ways.
		`{"customerNumber":"+4915112345678","x":"0151/12345678"}`:          `{"customerNumber":"+491******5678","x":"01**/****5678"}`,
		`{"customerNumber":"+4915112345678","x":"(0151) 1234-5678"}`:       `{"customerNumber":"+491******5678","x":"(01**) ****-5678"}`,
		`{"customerNumber":"+4915112345678","x":"+49 (0) 151.1234.5678"}`:  `{"customerNumber":"+491******5678","x":"+49 (0) 1**.****.5678"}`,
		`{"customerNumber":"+4915112345678","x":"tel:+49-151-1234-5678"}`:  `{"customerNumber":"+491******5678","x":"tel:+49-1**-****-5678"}`,
		`{"customerNumber":"+4915112345678","x":"sip:+4915112345678@pbx"}`: `{"customerNumber":"+491******5678","x":"sip:+491******5678@pbx"}`,
		`{"customerNumber":"+4915112345678","x":"1,5,1,1,2,3,4,5,6,7,8"}`:  `{"customerNumber":"+491******5678","x":"1,*,*,*,*,*,*,5,6,7,8"}`,
		`{"customerNumber":"+4915112345678","x":"151_1234_5678 | 1"}`:      `{"customerNumber":"+491******5678","x":"1**_****_5678 | 1"}`,
		`{"customerNumber":"+4915112345678","x":"call 2345678 now"}`:       `{"customerNumber":"+491******5678","x":"call ***5678 now"}`,
		// A number with an extension, elsewhere without it, and the other way round.
		`{"customerNumber":"030 123 45 67-12","x":"0301234567"}`:           `{"customerNumber":"030 *** ** 67-12","x":"030***4567"}`,
		`{"customerNumber":"+49301234567 ext. 12","x":"030/1234567"}`:      `{"customerNumber":"+493****4567 ext. 12","x":"03*/***4567"}`,
		`{"customerNumber":"0301234567","x":"030 1234567 ext 12"}`:         `{"customerNumber":"030***4567","x":"030 ***4567 ext 12"}`,
		`{"customerNumber":"sip:0301234567;ext=12@pbx","x":"030-1234567"}`: `{"customerNumber":"sip:030***4567;ext=12@pbx","x":"030-***4567"}`,
	} {
		require.Equal(t, want, string(Partial.Body(CDRCall, []byte(body))), "%s", body)
	}

	for text, want := range map[string]string{
		"call 0151 1234 5678":                   "call 015* **** 5678",
		"call 0151/12345678, 2 times":           "call 015*/******78, 2 times",
		"(030) 12 34 56":                        "(***) ** ** 56",
		"on 2026-11-30 18:00 from 192.168.3.44": "on 2026-11-30 18:00 from 192.168.3.44",
		"2026-11-30 1234567":                    "2026-11-30 *****67",
		"Mon, 30 Nov 2026 18:00:00 GMT":         "Mon, 30 Nov 2026 18:00:00 GMT",
	} {
		require.Equal(t, want, string(Partial.Text(CDRCall, nil, []byte(text))), "%s", text)
	}
}

// naive finds a number by its last digits in the plainest way: with up to 8
// characters between two digits that are neither letters nor digits.
func naive(number string) *regexp.Regexp {
	tail := number[len(number)-knownBy:]
	return regexp.MustCompile(strings.Join(strings.Split(tail, ""), `[^\p{L}\p{Nd}]{0,8}`))
}

// However the digits of a known number are parted, what a naive search finds is
// masked; where it finds nothing, nothing changes.
func TestNumbersPartedInAnyWay(t *testing.T) {
	partings := rapid.StringOfN(rapid.RuneFrom([]rune(" -./()[]{}_,;:|+#*~\u00a0\u2011\u2013\u200b\u00b7")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.StringMatching(`[1-5]{3}[79]{4,6}[1-5]{4}`).Draw(t, "number")
		var b strings.Builder
		b.WriteString(rapid.SampledFrom([]string{"", "tel:", "sip:", "+", "00", "call ", "x=", "(0) "}).Draw(t, "before"))
		for i := range n {
			if i > 0 {
				b.WriteString(partings.Draw(t, "between"))
			}
			b.WriteByte(n[i])
		}
		b.WriteString(rapid.SampledFrom([]string{
			"", ";ext=12", " ext. 12", "x12", "@pbx.example", ";phone-context=+86", "/12",
		}).Draw(t, "behind"))
		text := b.String()
		require.Regexp(t, naive(n), text, "the test can see it")

		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		for _, m := range []Masking{Partial, Dropped} {
			var out struct{ X string }
			require.NoError(t,
				json.Unmarshal(m.Body(CDRCall, []byte(`{"customerNumber":"`+n+`","x":`+string(quoted)+`}`)), &out))
			require.NotRegexp(t, naive(n), out.X, "%s of %s", out.X, text)
		}
	})

	rapid.Check(t, func(t *rapid.T) {
		const n = "3917777772345"
		text := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789 -./x")), 0, 40, -1).Draw(t, "text")
		if naive(n).MatchString(text) {
			return
		}
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		body := `{"customerNumber":"` + n + `","x":` + string(quoted) + `}`
		require.Contains(t, string(Partial.Body(CDRCall, []byte(body))), `"x":`+string(quoted))
	})
}

// A number in an id is masked in whatever form people write it.
func TestNumbersInIdentifiers(t *testing.T) {
	digits := regexp.MustCompile(`\D`)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.StringMatching(`[1-9][0-9]{8,14}`).Draw(t, "number")
		var b strings.Builder
		b.WriteString(rapid.SampledFrom([]string{
			"", "cdr/", "visitor/+", "call/tel:", "sip:+", "chat-", "agent/(",
		}).Draw(t, "before"))
		for i := range n {
			if i > 0 && i%rapid.IntRange(2, 4).Draw(t, "group") == 0 {
				b.WriteString(rapid.SampledFrom([]string{"", " ", "-", "/", "%2F", "%20", ") ", " - "}).Draw(t, "between"))
			}
			b.WriteByte(n[i])
		}
		b.WriteString(rapid.SampledFrom([]string{
			"", "@pbx.example", ";ext=12", "/p1", " x12", ";user=phone",
		}).Draw(t, "behind"))
		id := b.String()
		if date.MatchString(id) || clockID.MatchString(id) {
			return
		}

		shown := strings.NewReplacer("%2F", "/", "%20", " ").Replace(Partial.Identifier(id))
		require.NotContains(t, digits.ReplaceAllString(shown, ""), n, "%s of %s", shown, id)
		require.GreaterOrEqual(t, strings.Count(shown, "*"), 2, "%s of %s", shown, id)
		require.Equal(t, Partial.Identifier(id), Partial.Identifier(Partial.Identifier(id)))
	})
}

func FuzzIdentifier(f *testing.F) {
	for _, id := range []string{
		"cdr/+4915112345678", "%3", "%31%32\u0663", "a\xff1234567", "1637068256.419", "12345678-1234-1234-1234-123456789abc",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		shown := Partial.Identifier(id)
		require.Equal(t, shown, Partial.Identifier(shown))
		require.Empty(t, Dropped.Text(CDRCall, nil, nil))
	})
}
