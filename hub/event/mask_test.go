package event

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMaskedPlaces(t *testing.T) {
	for _, c := range []struct {
		typ                 Type
		body, partial, drop string
	}{
		// The form of the number stays, and all the rest of the body.
		{
			CDRCall, `{"callType":2, "customerNumber" : "13911110001","n":1.50}`,
			`{"callType":2, "customerNumber" : "139****0001","n":1.50}`, `{"callType":2, "customerNumber" : "","n":1.50}`,
		},
		{
			CDRCall, `{"customerNumber":"+86 139-1111-0001"}`, `{"customerNumber":"+86 1**-****-0001"}`, `{"customerNumber":""}`,
		},
		{CDRCall, `{"customerNumber":13911110001}`, `{"customerNumber":"139****0001"}`, `{"customerNumber":""}`},
		{
			CDRCall, `{"customerNumber":"\u0031391111000\u0031"}`, `{"customerNumber":"\u003139****000\u0031"}`,
			`{"customerNumber":""}`,
		},
		{CDRCall, `{"customerNumber":"1391111000"}`, `{"customerNumber":"139***1000"}`, `{"customerNumber":""}`},
		{CDRCall, `{"customerNumber":"91234567"}`, `{"customerNumber":"******67"}`, `{"customerNumber":""}`},
		{CDRCall, `{"customerNumber":"12"}`, `{"customerNumber":"12"}`, `{"customerNumber":""}`},
		{CDRCall, `{"customerNumber":"139****0001"}`, `{"customerNumber":"139****0001"}`, `{"customerNumber":""}`},
		{CDRCall, `{"customerNumber":"anonymous"}`, `{"customerNumber":"anonymous"}`, `{"customerNumber":""}`},
		{
			CDRCall, `{"customerNumber":null,"callerNumber":""}`, `{"customerNumber":null,"callerNumber":""}`,
			`{"customerNumber":null,"callerNumber":""}`,
		},
		{CDRCall, `{}`, `{}`, `{}`},
		{CDRCall, " {\n} ", " {\n} ", " {\n} "},

		// Whose number it is, by callType.
		{
			CDRCall, `{"callType":2,"callerNumber":"13911110001","calleeNumber":"01088881234"}`,
			`{"callType":2,"callerNumber":"139****0001","calleeNumber":"01088881234"}`,
			`{"callType":2,"callerNumber":"","calleeNumber":"01088881234"}`,
		},
		{
			CDRCall, `{"callType":"3","callerNumber":"01088881234","calleeNumber":"13911110001"}`,
			`{"callType":"3","callerNumber":"01088881234","calleeNumber":"139****0001"}`,
			`{"callType":"3","callerNumber":"01088881234","calleeNumber":""}`,
		},
		{
			CDRCall, `{"callType":1,"callerNumber":"13911110001","calleeNumber":"13911110002"}`,
			`{"callType":1,"callerNumber":"13911110001","calleeNumber":"13911110002"}`,
			`{"callType":1,"callerNumber":"13911110001","calleeNumber":"13911110002"}`,
		},
		{
			CDRCall, `{"callerNumber":"13911110001","calleeNumber":"13911110002"}`,
			`{"callerNumber":"139****0001","calleeNumber":"139****0002"}`, `{"callerNumber":"","calleeNumber":""}`,
		},
		{
			CDRCall, `{"callType":3,"screenNumber":"01088881234","gatewayNumber":"01088881234"}`,
			`{"callType":3,"screenNumber":"01088881234","gatewayNumber":"01088881234"}`,
			`{"callType":3,"screenNumber":"01088881234","gatewayNumber":"01088881234"}`,
		},
		{CDRCall, `{"screenNumber":"13911110001"}`, `{"screenNumber":"139****0001"}`, `{"screenNumber":""}`},
		{
			CDRParty, `{"agentRole":2,"DNIS":"13800002222","customerNumber":"13911110001"}`,
			`{"agentRole":2,"DNIS":"13800002222","customerNumber":"139****0001"}`,
			`{"agentRole":2,"DNIS":"13800002222","customerNumber":""}`,
		},
		{
			CDRParty, `{"agentRole":4,"DNIS":"13800002222"}`, `{"agentRole":4,"DNIS":"138****2222"}`,
			`{"agentRole":4,"DNIS":""}`,
		},
		{
			CDRBotParty, `{"agentRole":"4","DNIS":"13800002222"}`, `{"agentRole":"4","DNIS":"138****2222"}`,
			`{"agentRole":"4","DNIS":""}`,
		},
		{
			QueueEntered, `{"customerNumber":"13911110001","gatewayNumber":"01088881234"}`,
			`{"customerNumber":"139****0001","gatewayNumber":"01088881234"}`,
			`{"customerNumber":"","gatewayNumber":"01088881234"}`,
		},

		// And by whose view of the call it is.
		{
			CallRinging, `{"callType":"Inbound","partyRole":"Agent","ANI":"13911110001","DNIS":"01088881234","thisDN":"1001","otherDN":"13911110001","thirdDN":"1002"}`,
			`{"callType":"Inbound","partyRole":"Agent","ANI":"139****0001","DNIS":"01088881234","thisDN":"1001","otherDN":"139****0001","thirdDN":"1002"}`,
			`{"callType":"Inbound","partyRole":"Agent","ANI":"","DNIS":"01088881234","thisDN":"1001","otherDN":"","thirdDN":"1002"}`,
		},
		{
			CallDialing, `{"callType":"Outbound","partyRole":"Agent","ANI":"01088881234","DNIS":"13911110001","thisDN":"1001","otherDN":"13911110001"}`,
			`{"callType":"Outbound","partyRole":"Agent","ANI":"01088881234","DNIS":"139****0001","thisDN":"1001","otherDN":"139****0001"}`,
			`{"callType":"Outbound","partyRole":"Agent","ANI":"01088881234","DNIS":"","thisDN":"1001","otherDN":""}`,
		},
		{
			CallHeld, `{"callType":"Inbound","partyRole":"Customer","ANI":"","DNIS":"01088881234","thisDN":"13911110001","otherDN":"1001"}`,
			`{"callType":"Inbound","partyRole":"Customer","ANI":"","DNIS":"01088881234","thisDN":"139****0001","otherDN":"1001"}`,
			`{"callType":"Inbound","partyRole":"Customer","ANI":"","DNIS":"01088881234","thisDN":"","otherDN":"1001"}`,
		},
		{
			CallPartyDeleted, `{"callType":"Outbound","partyRole":"Agent","ANI":"01088881234","DNIS":"13911110001","otherDN":"1002","thirdDN":"13911110001"}`,
			`{"callType":"Outbound","partyRole":"Agent","ANI":"01088881234","DNIS":"139****0001","otherDN":"1002","thirdDN":"139****0001"}`,
			`{"callType":"Outbound","partyRole":"Agent","ANI":"01088881234","DNIS":"","otherDN":"1002","thirdDN":""}`,
		},
		{
			CallPartyAdded, `{"callType":"Inbound","ANI":"13911110001","thirdDN":"13800002222","otherDN":"01088881234","DNIS":"01088881234"}`,
			`{"callType":"Inbound","ANI":"139****0001","thirdDN":"138****2222","otherDN":"01088881234","DNIS":"01088881234"}`,
			`{"callType":"Inbound","ANI":"","thirdDN":"","otherDN":"01088881234","DNIS":"01088881234"}`,
		},
		{
			CallHeld, `{"callType":"Internal","partyRole":"Agent","ANI":"1001","DNIS":"1002","otherDN":"1002"}`,
			`{"callType":"Internal","partyRole":"Agent","ANI":"1001","DNIS":"1002","otherDN":"1002"}`,
			`{"callType":"Internal","partyRole":"Agent","ANI":"1001","DNIS":"1002","otherDN":"1002"}`,
		},
		{
			CallHeld, `{"callType":"Consult","partyRole":"Agent","ANI":"","DNIS":"","otherDN":"1002"}`,
			`{"callType":"Consult","partyRole":"Agent","ANI":"","DNIS":"","otherDN":"1002"}`,
			`{"callType":"Consult","partyRole":"Agent","ANI":"","DNIS":"","otherDN":"1002"}`,
		},
		{
			CallHeld, `{"ANI":"12345","otherDN":"12345","DNIS":"678901"}`, `{"ANI":"***45","otherDN":"***45","DNIS":"****01"}`,
			`{"ANI":"","otherDN":"","DNIS":""}`,
		},

		// The same number wherever it is.
		{
			CDRCall, `{"customerNumber":"13911110001","note":"call 139 1111 0001 or +8613911110001!"}`,
			`{"customerNumber":"139****0001","note":"call 139 **** 0001 or +86139****0001!"}`,
			`{"customerNumber":"","note":"call *** **** **** or +86***********!"}`,
		},
		{
			CDRCall, `{"customerNumber":"+8613911110001","x":"13911110001"}`,
			`{"customerNumber":"+861******0001","x":"1******0001"}`, `{"customerNumber":"","x":"***********"}`,
		},
		{
			CDRCall, `{"customerNumber":"+6591234567","x":"91234567"}`, `{"customerNumber":"+659***4567","x":"9***4567"}`,
			`{"customerNumber":"","x":"********"}`,
		},
		{
			CDRCall, `{"x":[13911110001,{"13911110001":[true,13911110001]}],"customerNumber":"13911110001"}`,
			`{"x":["139****0001",{"139****0001":[true,"139****0001"]}],"customerNumber":"139****0001"}`,
			`{"x":["***********",{"***********":[true,"***********"]}],"customerNumber":""}`,
		},
		{
			CDRCall, `{"customerNumber":"13911110001","attachedData":"{\"phone\": 13911110001, \"p2\":\"\\u0031391111000\\u0031\",\"deep\":\"[\\\"13911110001\\\",13911110001]\"}"}`,
			`{"customerNumber":"139****0001","attachedData":"{\"phone\": \"139****0001\", \"p2\":\"\\u003139****000\\u0031\",\"deep\":\"[\\\"139****0001\\\",\\\"139****0001\\\"]\"}"}`,
			`{"customerNumber":""}`,
		},
		{
			CDRCall, `{"recordUrl":"https://r/?n=%2B8613911110001&m=%31391111000%31","customerNumber":"13911110001"}`,
			`{"recordUrl":"https://r/?n=%2B86139****0001&m=%3139****000%31","customerNumber":"139****0001"}`,
			`{"recordUrl":"https://r/?n=%2B86***********&m=***********","customerNumber":""}`,
		},
		{
			CDRCall, `{"customerNumber":"91234567","startTime":1691234567000,"x":1691234567000}`,
			`{"customerNumber":"******67","startTime":1691234567000,"x":"16******67000"}`,
			`{"customerNumber":"","startTime":1691234567000,"x":"16********000"}`,
		},
		{
			CDRCall, `{"customerNumber":"12345","x":"a12345b","y":"112345","duration":12345,"z":12345}`,
			`{"customerNumber":"***45","x":"a***45b","y":"112345","duration":12345,"z":"***45"}`,
			`{"customerNumber":"","x":"a*****b","y":"112345","duration":12345,"z":"*****"}`,
		},
		{
			CDRCall, `{"customerNumber":"13911110001","x":"１３９１１１１０００１"}`, `{"customerNumber":"139****0001","x":"１３９****０００１"}`,
			`{"customerNumber":"","x":"***********"}`,
		},

		// What drop leaves out, with the right commas.
		{
			CDRBotCall, `{ "userData":{}, "callID":"c" ,"dialogue":[1]}`, `{ "userData":{}, "callID":"c" ,"dialogue":[1]}`,
			`{ "callID":"c"}`,
		},
		{
			CDRBotCall, `{"variablesCollectedDuringCall":1,"encryptCustomerNumber":"x"}`,
			`{"variablesCollectedDuringCall":1,"encryptCustomerNumber":"x"}`, `{}`,
		},
		{CDRBotCall, `{"a":1,"attachedD\u0061ta":1, "b":2}`, `{"a":1,"attachedD\u0061ta":1, "b":2}`, `{"a":1, "b":2}`},

		{CDRCall, `[1]`, `{}`, `{}`},
		{CDRCall, `{"customerNumber":"13911110001"`, `{}`, `{}`},
		{CDRCall, `{"customerNumber":"13911110001"} x`, `{}`, `{}`},
	} {
		require.Equal(t, c.body, string(Unmasked.Body(c.typ, []byte(c.body))))
		partial := Partial.Body(c.typ, []byte(c.body))
		require.Equal(t, c.partial, string(partial), "%s %s", c.typ, c.body)
		require.Equal(t, c.partial, string(Partial.Body(c.typ, partial)), "twice: %s %s", c.typ, c.body)
		require.Equal(t, c.drop, string(Dropped.Body(c.typ, []byte(c.body))), "%s %s", c.typ, c.body)
	}
}

func TestParseMasking(t *testing.T) {
	for _, m := range []Masking{Unmasked, Partial, Dropped} {
		got, ok := ParseMasking(m.String())
		require.True(t, ok)
		require.Equal(t, m, got)
	}
	_, ok := ParseMasking("all")
	require.False(t, ok)
}

func TestMaskedText(t *testing.T) {
	body := []byte(`{"customerNumber":"13911110001"}`)
	for text, want := range map[string]string{
		`{"got":"13911110001"}`:           `{"got":"139****0001"}`,
		`thanks, 139-1111-0001 of 2 rows`: `thanks, 139-****-0001 of 2 rows`,
		`other 91234567, id 123456`:       `other ******67, id 123456`,
		`\u0031391111000\u0031`:           `\u003139****000\u0031`,
		"\xff13911110001":                 "\xff139****0001",
		`ok`:                              `ok`,
	} {
		require.Equal(t, want, string(Partial.Text(CDRCall, body, []byte(text))))
		require.Equal(t, text, string(Unmasked.Text(CDRCall, body, []byte(text))))
	}
	require.Equal(t, `******67`, string(Partial.Text(CDRCall, nil, []byte(`91234567`))), "its event is gone")
}

// hiding writes a number into something odd; the JSON of a value.
var hiding = []func(n string) string{
	func(n string) string { return n },
	func(n string) string { return strconv.Quote(n) },
	func(n string) string { return strconv.Quote("+86" + n) },
	func(n string) string { return strconv.Quote("tel " + n[:3] + "-" + n[3:7] + " " + n[7:] + ", please") },
	func(n string) string { return strconv.Quote("https://crm.example/" + url.PathEscape(n) + "?n=%2B" + n) },
	func(n string) string { return `"` + escaped(n) + `"` },
	func(n string) string { return strconv.Quote(`{"p":"` + escaped(n) + `"}`) },
	func(n string) string { return strconv.Quote(`{"p":"` + escaped(n)) }, // looks like JSON
	func(n string) string { return strconv.Quote(`{"p":` + n + `}`) },
	func(n string) string { return strconv.Quote(strconv.Quote(`[` + n + `]`)) },
	func(n string) string { return strconv.Quote(`{"q":` + strconv.Quote(`{"p":[`+n+`]}`) + `}`) },
	func(n string) string { return `{"` + n + `":[[` + n + `]]}` },
	func(n string) string { return strconv.Quote("%" + fmt.Sprintf("%x", n[0]) + n[1:]) },
	func(n string) string { return n[:1] + "." + n[1:] + "e10" },
}

// escaped writes every digit as \u003d.
func escaped(n string) string {
	var b strings.Builder
	for _, c := range n {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

// shown is all text of a JSON value: of strings in strings too, and behind escapes.
func shown(t require.TestingT, raw []byte) string {
	var all strings.Builder
	var add func(v any)
	add = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				add(name)
				add(x)
			}
		case []any:
			for _, x := range v {
				add(x)
			}
		case json.Number:
			all.WriteString(v.String() + "\n")
		case string:
			all.WriteString(v + "\n")
			if dec := json.NewDecoder(strings.NewReader(v)); v != "" {
				dec.UseNumber()
				var inner any
				if dec.Decode(&inner) == nil && inner != v {
					add(inner)
				}
			}
			if s, err := url.PathUnescape(v); err == nil && s != v {
				add(s)
			}
			if s, err := strconv.Unquote(`"` + v + `"`); err == nil && s != v {
				add(s)
			}
		}
	}

	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v), "%s", raw)
	add(v)
	return all.String()
}

// bare is a text without what may stand between digits.
var bare = strings.NewReplacer(" ", "", "-", "", ".", "")

// Numbers in odd places: no digit of the middle is left anywhere.
func TestMaskedNumbersAreNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The middle is of digits that nothing else here has: not the ends that stay,
		// no escape, no country code. So whatever is found of it was left of it.
		n := rapid.StringMatching(`[1-5]{3}[79]{4,6}[1-5]{4}`).Draw(t, "number")
		var members []string
		member := func(name, value string) { members = append(members, strconv.Quote(name)+":"+value) }
		typ := rapid.SampledFrom([]Type{CDRCall, CDRBotCall, CDRParty, CallRinging, QueueEntered, ChatEnded}).Draw(t, "type")
		member("customerNumber", rapid.SampledFrom(hiding[:3]).Draw(t, "known")(n))
		for i, name := range rapid.SliceOfN(rapid.SampledFrom([]string{
			"attachedData", "userData", "recordUrl", "callID", "encryptCustomerNumber", "x", "y", "z", n,
		}), 1, 6).Draw(t, "names") {
			member(name, hiding[rapid.IntRange(0, len(hiding)-1).Draw(t, strconv.Itoa(i))](n))
		}
		members = rapid.Permutation(members).Draw(t, "order")
		body := []byte("{" + strings.Join(members, ",") + "}")
		require.Contains(t, bare.Replace(shown(t, body)), n, "the test can see it")

		for _, m := range []Masking{Partial, Dropped} {
			out := m.Body(typ, body)
			left := bare.Replace(shown(t, out))
			require.NotContains(t, left, n, "%s", out)
			require.NotContains(t, left, n[2:len(n)-3], "%s: %s", m, out)
			// Ten digits have a middle of three; of more, no four in a row are left of it.
			for i := 3; i+4 <= len(n)-4; i++ {
				require.NotContains(t, left, n[i:i+4], "%s: %s of %s", m, out, body)
			}
		}
	})
}

// What is not the number's stays as it is.
func TestMaskingKeepsTheRest(t *testing.T) {
	for _, typ := range Types() {
		for _, m := range []Masking{Partial, Dropped} {
			var before, after map[string]json.RawMessage
			body := Sample(typ)
			require.NoError(t, json.Unmarshal(body, &before))
			require.NoError(t, json.Unmarshal(m.Body(typ, body), &after), typ)
			for name, v := range before {
				switch {
				case m == Dropped && extra[name]:
					require.NotContains(t, after, name)
				case strings.Contains(string(v), "139111100"), strings.Contains(string(v), "139****"):
					require.NotContains(t, string(after[name]), "1111")
				default:
					require.Equal(t, string(v), string(after[name]), "%s of %s", name, typ)
				}
			}
		}
	}
}

func FuzzMasking(f *testing.F) {
	for _, t := range Types() {
		f.Add(uint8(t), string(Sample(t)), "13911110001")
	}

	for _, hide := range hiding {
		f.Add(uint8(CDRCall), `{"customerNumber":"13911110001","x":`+hide("13911110001")+`}`, "13911110001")
	}

	f.Fuzz(func(t *testing.T, typ uint8, body, text string) {
		for _, m := range []Masking{Partial, Dropped} {
			out := m.Body(Type(typ), []byte(body))
			require.True(t, json.Valid(out), "%s", out)
			m.Text(Type(typ), []byte(body), []byte(text))
			if !json.Valid([]byte(body)) {
				require.Equal(t, "{}", string(out))
				continue
			}
			mk := survey(m, Type(typ), []byte(body))
			if mk == nil {
				continue
			}
			for _, n := range mk.numbers {
				if len(n) >= 10 {
					require.NotContains(t, shown(t, out), n, "%s", out)
				}
			}
		}
	})
}

func BenchmarkMasking(b *testing.B) {
	body := Sample(CDRCall)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		Partial.Body(CDRCall, body)
	}
}

// cpuTime returns what the process has computed so far: unlike the time that passes,
// what a step takes of it does not depend on how busy the machine is.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// A body made to be slow is not. Each takes some 20 ms, and a second under the race
// detector; with work that grows as the square of the size it would be minutes.
func TestMaskingOfHostileBodies(t *testing.T) {
	const n = "13911110001"
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "%d,", 1_000_000+i)
	}
	nested := n
	for range 12 {
		nested = `["` + strings.ReplaceAll(strings.ReplaceAll(nested, `\`, `\u005c`), `"`, `\u0022`) + `"]`
	}
	ones := strings.Repeat("1", 200_000)
	for name, body := range map[string]string{
		"many numbers":   `{"customerNumber":"` + many.String() + `","x":"` + many.String() + `"}`,
		"a long number":  `{"customerNumber":` + ones + `}`,
		"many places":    `{"customerNumber":"` + ones[:40] + `","callerNumber":"` + ones[:39] + `","x":` + ones + `}`,
		"nested":         `{"customerNumber":"` + n + `","x":` + nested + `}`,
		"often escaped":  `{"customerNumber":"` + n + `","x":"%` + strings.Repeat("25", 100_000) + `31"}`,
		"many members":   `{"customerNumber":"` + n + `"` + strings.Repeat(`,"x":12345`, 20_000) + `}`,
		"many letters":   `{"customerNumber":"` + n + strings.Repeat("a", 200_000) + `1","x":"13911110002` + strings.Repeat("b", 200_000) + `"}`,
		"many backslash": `{"customerNumber":"` + n + `","x":"` + strings.Repeat(`\\`, 100_000) + `"}`,
	} {
		began := cpuTime(t)
		for _, m := range []Masking{Partial, Dropped} {
			require.True(t, json.Valid(m.Body(CDRCall, []byte(body))), name)
		}
		took := cpuTime(t) - began
		t.Log(name, took)
		require.Less(t, took, time.Minute, name)
	}
}

func TestMaskNumber(t *testing.T) {
	for number, want := range map[string]string{
		"":             "",
		"+6591234567":  "+659***4567",
		"12345":        "***45",
		"9123 4567 89": "912* **67 89",
	} {
		require.Equal(t, want, Partial.Number(number), "%q", number)
		require.Equal(t, number, Unmasked.Number(number))
		require.Empty(t, Dropped.Number(number))
	}
}
