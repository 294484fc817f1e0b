package event

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]string{
		"6591234567":                       "6591234567",
		"+65 9123 4567":                    "6591234567",
		" 65 9123 4567":                    "6591234567", // a + that was not escaped in a query
		"0065-9123-4567":                   "6591234567",
		"(0065) 9123.4567":                 "6591234567",
		"+65/9123/4567":                    "6591234567",
		"[65] 91234567":                    "6591234567",
		"tel:+65-9123-4567":                "6591234567",
		"tel:+65-9123-4567;ext=12345":      "6591234567",
		"sip:6591234567@pbx1.example.com":  "6591234567",
		"sip:6591234567@10.20.30.40:5060":  "6591234567",
		"SIPS:+6591234567@h;user=phone":    "6591234567",
		"<sip:6591234567@10.20.30.40>":     "6591234567",
		"6591234567 ext. 12":               "6591234567",
		"6591234567x12345":                 "6591234567",
		"6591234567 Extension: 12345":      "6591234567",
		"6591234567#12345":                 "6591234567",
		"030 123 45 67-12":                 "0301234567",
		"+49 89 1234567-0":                 "49891234567",
		"01 23 45 67 89":                   "0123456789", // in pairs: the last one is no extension
		"01-23-45-67-89":                   "0123456789",
		"+49 30 1234 567":                  "49301234567",
		"\u0661\u0662\u0663\u0664\u0665":   "12345",
		"\uFF0B\uFF16\uFF15\uFF19\uFF11-3": "65913",
		"0012345":                          "12345",
		"001234":                           "001234", // too short without its 00
		"91234567":                         "91234567",
		"12345":                            "12345",
	} {
		digits, err := ParseNumber(text)
		require.NoError(t, err, text)
		require.Equal(t, want, digits, text)
	}

	for text, why := range map[string]string{
		"":                         "5 digits or more",
		"1234":                     "5 digits or more",
		"+":                        "5 digits or more",
		"1 2-3/4":                  "5 digits or more",
		"abc":                      "without letters",
		"9123456a":                 "without letters",
		"sip:bob@example.com":      "without letters",
		"139****0001":              "without *",
		"91234567, 81234567":       "one phone number",
		"91234567 ;81234567":       "one phone number",
		"91234567!":                "must be a phone number",
		strings.Repeat("1", 41):    "at most 40 digits",
		strings.Repeat("1 ", 101):  "at most 200 characters",
		"+65 91234567 +6581234567": "one phone number",
	} {
		_, err := ParseNumber(text)
		require.ErrorContains(t, err, why, text)
	}
}

func TestCustomerNumbers(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		body string
		want []string
	}{
		{CDRCall, `{"customerNumber":"+65 9123-4567"}`, []string{"6591234567"}},
		{CDRCall, `{"customerNumber":91234567}`, []string{"91234567"}},
		{CDRCall, `{"customerNumber":"\u0039\u00312345\u00367"}`, []string{"91234567"}},
		{CDRCall, `{"customerNumber":"1234","callerNumber":null}`, nil},
		{CDRCall, `{"customerNumber":"139****0001"}`, nil},
		{CDRCall, `{"callType":2,"callerNumber":"sip:13911110001@10.20.30.40","calleeNumber":"01088881234"}`, []string{"13911110001"}},
		{CDRCall, `{"callType":3,"callerNumber":"01088881234","calleeNumber":"13911110001"}`, []string{"13911110001"}},
		{CDRCall, `{"customerNumber":"91234567 / 81234567"}`, []string{"91234567", "81234567"}},
		{CDRCall, `{"customerNumber":"91234567","screenNumber":"0091234567"}`, []string{"91234567"}},
		{CDRCall, `[]`, nil},
		{CDRCall, `{"notes":"call 91234567"}`, nil},
	} {
		require.Equal(t, c.want, CustomerNumbers(c.typ, []byte(c.body)), c.body)
	}
}

// spellings are ways to write a number of some digits, all of which are that number.
func spellings(rt *rapid.T, digits string) string {
	var b strings.Builder
	b.WriteString(rapid.SampledFrom([]string{"", "+", "00", "tel:+", "tel:", "sip:+", " ", "(00", "+ "}).Draw(rt, "prefix"))
	for i, d := range digits {
		if i > 0 && i < len(digits)-4 && rapid.Bool().Draw(rt, "apart") {
			b.WriteString(rapid.SampledFrom([]string{" ", "-", ".", "/", " (", ") ", "\u00A0", "\u2013"}).Draw(rt, "separator"))
		}
		b.WriteRune(d)
	}
	b.WriteString(rapid.SampledFrom([]string{"", " x12", " ext. 345", "#9876543", ";ext=123456", "@10.20.30.40", "@pbx7.example;user=phone", " "}).Draw(rt, "suffix"))
	return b.String()
}

// However a number is written, it is the same digits, in a search and in an event, and
// masking hides it.
func TestSpellingsOfNumbers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		digits := rapid.StringMatching(`[1-9][0-9]{6,14}`).Draw(rt, "digits")
		text := spellings(rt, digits)
		parsed, err := ParseNumber(text)
		require.NoError(rt, err, text)
		require.Equal(rt, digits, parsed, text)

		body, err := json.Marshal(map[string]string{"customerNumber": text, "remark": "called " + digits})
		require.NoError(rt, err)
		require.Contains(rt, CustomerNumbers(CDRCall, body), digits, "%s", body)
		require.NotContains(rt, string(Partial.Body(CDRCall, body)), digits)
	})
}

func FuzzParseNumber(f *testing.F) {
	for _, text := range []string{
		"", "+65 9123 4567", "tel:+65;ext=1", "sip:12345678@10.2.3.4", "1 x 2", "00", "\u0661\u0662\u0663\u0664\u0665",
		"%31%32345", `\u0031\u00322345`, "12345-1-1", "#", "1#23456", "\xff12345", "139****0001",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		digits, err := ParseNumber(text)
		if err != nil {
			require.Empty(t, digits)
			return
		}
		require.Regexp(t, `^[0-9]{5,40}$`, digits)
		again, err := ParseNumber("+" + digits)
		require.NoError(t, err)
		if !strings.HasPrefix(digits, "00") {
			require.Equal(t, digits, again, "digits are a spelling of the number that they are")
		}

		// Whoever finds a number by this text finds it in an event with this text.
		body, err := json.Marshal(map[string]string{"customerNumber": text})
		require.NoError(t, err)
		require.Contains(t, CustomerNumbers(CDRCall, body), digits, "%s", body)
	})
}
