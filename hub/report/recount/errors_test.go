package recount

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// wrong value of a parameter, as JSON ("": it is not there), and the reason why.
type wrong struct{ json, reason string }

func because(reason string, values ...string) (all []wrong) {
	for _, v := range values {
		all = append(all, wrong{v, reason})
	}
	return all
}

// parameter of a report: every way in which it can be wrong, and what else is right.
type parameter struct {
	name  string
	wrong []wrong
	right []string
}

func concat[T any](lists ...[]T) (all []T) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var notGiven = []string{``, `null`, `""`, `" \t"`}

// integer parameter with some values that are not allowed.
func integer(name string, required bool, right []string, not ...string) parameter {
	p := parameter{name, concat(
		because("PARAM_TYPE", `13.0`, `1e1`, `true`, `"x"`, `"1.0"`, `"+1"`, `"1 1"`, `[]`, `[1]`, `{}`, `"-"`),
		because("PARAM_VALUE",
			append(not, `0`, `-1`, `"-1"`, `99999999999999999999`, `"99999999999999999999"`, `-99999999999999999999`)...),
	), right}
	return p.given(required)
}

// given says whether the parameter must be.
func (p parameter) given(required bool) parameter {
	if required {
		p.wrong = append(p.wrong, because("PARAM_REQUIRED", notGiven...)...)
	} else {
		p.right = append(p.right, notGiven...)
	}
	return p
}

func dateParameter(name string) parameter {
	p := parameter{name, concat(
		because("PARAM_TYPE", `20220317`, `true`, `["2022-03-17"]`, `{}`),
		because("PARAM_VALUE", `"2022-3-17"`, `"2022-02-30"`, `"2023-02-29"`, `"1999-12-31"`, `"2100-01-01"`,
			`"2022-03-17T00:00"`, `"2022/03/17"`,
			`"20220317"`, `"-022-03-17"`, `"today"`, `"2022-13-01"`, `"2022-00-01"`, `"２022-03-17"`),
	), []string{`" 2022-03-17\n"`}}
	return p.given(true)
}

func timeParameter(name string, required bool, not ...string) parameter {
	p := parameter{name, concat(
		because("PARAM_TYPE", `900`, `true`, `[]`, `{"h": 9}`),
		because("PARAM_VALUE",
			append(not, `"9:00"`, `"0 : 00"`, `"10:00:00"`, `"23:60"`, `"24:01"`, `"25:00"`, `"-1:00"`, `"10.00"`, `"noon"`,
				`"1000"`)...),
	), []string{`"09:00\t"`, `"09 : 00"`}}
	return p.given(required)
}

func listParameter(name string, required bool) parameter {
	p := parameter{
		name: name,
		wrong: because("PARAM_TYPE", `5`, `true`, `{}`, `[1]`, `["a",null]`, `[["a"]]`, `"[1]"`, `"[a]"`, `"[\"a\""`,
			`" [\"a\"] x"`),
	}
	if empty := []string{`[]`, `"[]"`, `" , "`, `[" ", ""]`, `"[ ]"`}; required {
		p.wrong = append(p.wrong, because("PARAM_REQUIRED", empty...)...)
	} else {
		p.right = append(empty, `"a"`, `["a"]`, `"[\"a\"]"`, `"a, b,,a"`)
	}
	return p.given(required)
}

// parameters of the reports in the order in which they are checked (1.4).
func parameters(report string) []parameter {
	called := report == "relay"
	fields := listParameter("customerFields", true)
	fields.wrong = append(fields.wrong,
		because("UNKNOWN_INDICATOR", `"outbound_calls,nothing"`, `["OUTBOUND_CALLS"]`, `"outbound_calls outbound_calls"`)...)
	// another's
	only := map[string]string{
		"relay": "inbound_agent_partits", "agent": "inbound_calls", "department": "agent_login_sum_duration",
	}
	fields.wrong = append(fields.wrong, because("UNKNOWN_INDICATOR", `"`+only[report]+`"`)...)
	fields.right = []string{
		`["outbound_calls"]`, `" outbound_calls ,,outbound_calls_duration, outbound_calls"`, `"[\"outbound_calls\"]"`,
	}
	all := []parameter{
		{},
		integer("dateType", true, []string{`11`, `"12"`, `" 13\t"`, `14`, `15`}, `10`, `16`),
		integer("weekType", false, []string{`0`, `"1"`}, `2`),
		dateParameter("startDate"), timeParameter("startTime", !called, `"24:00"`),
		dateParameter("endDate"), timeParameter("endTime", !called),
		{},
		fields,
		integer("currPage", false, []string{`1`, `"7"`, `9223372036854775807`}),
		integer("pageSize", false, []string{`1`, `"1000"`}, `1001`),
	}
	// 0 is a week type.
	all[2].wrong = slices.DeleteFunc(all[2].wrong, func(w wrong) bool { return w.json == `0` })
	// What is no date because it is too large is no page number either: but there is no limit to it.
	all[9].wrong = slices.DeleteFunc(all[9].wrong,
		func(w wrong) bool { return w.json == `99999999999999999999` || w.json == `"99999999999999999999"` })
	switch report {
	case "relay":
		all[0] = integer("dimensions", true, []string{`1`, `"2"`, `3`, `4`}, `5`, `8`)
		all[7] = integer("callType", false, []string{`2`, `"3"`}, `1`, `4`)
		all = append(all, listParameter("gatewayNumber", false),
			integer("numberScope", false, []string{`2`, `"3"`}, `1`, `4`))
	case "agent":
		all[0] = integer("dimensions", true, []string{`1`, `"8"`, `9`, `10`}, `2`, `11`)
		all[7] = integer("agentReportType", true, []string{`2`, `"3"`, `4`}, `1`, `5`)
		all = append(all, listParameter("agents", false), integer("agentType", false, []string{`1`, `"2"`}, `3`))
	case "department":
		all[0] = integer("dimensions", true, []string{`1`, `"11"`, `12`, `13`}, `2`, `8`)
		all[7] = integer("callType", true, []string{`2`, `"3"`}, `1`, `4`)
		all = append(all, listParameter("departIds", false))
	}
	return all
}

// fine is a request that has nothing wrong.
func fine(report string) map[string]json.RawMessage {
	b := map[string]json.RawMessage{
		"dateType": json.RawMessage(`13`), "startDate": json.RawMessage(`"2022-03-17"`),
		"startTime": json.RawMessage(`"00:00"`),
		"endDate":   json.RawMessage(`"2022-03-18"`), "endTime": json.RawMessage(`"24:00"`),
		"customerFields": json.RawMessage(`"outbound_calls"`),
		"dimensions":     json.RawMessage(`1`),
	}
	switch report {
	case "agent":
		b["agentReportType"] = json.RawMessage(`2`)
	case "department":
		b["callType"] = json.RawMessage(`2`)
	}
	return b
}

func with(body map[string]json.RawMessage, name, value string) map[string]json.RawMessage {
	body = maps.Clone(body)
	delete(body, name)
	if value != "" {
		body[name] = json.RawMessage(value)
	}
	return body
}

// Each parameter, wrong in each way, has its reason (1.2 to 1.6); whatever
// comes after it does not matter.
func TestErrors(t *testing.T) {
	h := hubtest.Start(t)
	c := newCompany(t, h, "errors", "")
	post := func(report string, body any, headers ...string) hubtest.Answer {
		return h.Do("POST", paths[report], c.key, body, headers...)
	}
	for report := range paths {
		t.Run(report, func(t *testing.T) {
			all := parameters(report)
			require.Len(t, all, map[string]int{"relay": 13, "agent": 13, "department": 12}[report])
			for i, p := range all {
				for _, v := range p.right {
					a := post(report, with(fine(report), p.name, v))
					require.Equal(t, 200, a.Status, "%s %s: %s", p.name, v, a.Body)
				}
				for _, w := range p.wrong {
					body := with(fine(report), p.name, w.json)
					refused(t, post(report, body), w.reason, p.name)
					// What comes later is wrong too, the range last of all.
					for _, later := range all[i+1:] {
						body = with(body, later.name, later.wrong[0].json)
					}
					if body["startDate"] != nil && p.name != "startDate" && p.name != "endDate" && i > 5 {
						body = with(with(body, "startDate", `"2022-03-17"`), "endDate", `"2022-03-16"`)
					}
					refused(t, post(report, body), w.reason, p.name)
				}
			}
			for _, zone := range []string{
				"Local", "+18:01", "GMT+8:0", "asia/singapore", "Nowhere/City", "../Asia/Singapore", "/usr/share/zoneinfo/UTC",
				"Asia/", "UTC UTC",
			} {
				refused(t, post(report, fine(report), "timezoneid", zone), "PARAM_VALUE", "timezoneid")
				refused(t, post(report, `[]`, "timezoneid", zone), "PARAM_VALUE", "timezoneid")
			}
			for _, zone := range []string{
				"", "UTC", "Asia/Singapore", "America/Argentina/Buenos_Aires", "Etc/GMT+8", "+08:00", "GMT+8", "Z",
			} {
				require.Equal(t, 200, post(report, fine(report), "timezoneid", zone).Status, zone)
			}
			for _, body := range []string{
				``, ` `, `[]`, `null`, `5`, `"x"`, `{"dimensions":1`, `{} {}`, `{'a':1}`, "{\"a\":\"\xff\"}", `[{}]`,
			} {
				refused(t, post(report, []byte(body)), "BODY_INVALID", "body")
			}
			ranges := func(startDate, startTime, endDate, endTime string) hubtest.Answer {
				body := fine(report)
				for name, v := range map[string]string{
					"startDate": startDate, "startTime": startTime, "endDate": endDate, "endTime": endTime,
				} {
					body[name] = json.RawMessage(`"` + v + `"`)
				}
				return post(report, body)
			}
			refused(t, ranges("2022-03-17", "10:00", "2022-03-17", "10:00"), "RANGE_INVALID", "endDate")
			refused(t, ranges("2022-03-17", "10:01", "2022-03-17", "10:00"), "RANGE_INVALID", "endDate")
			refused(t, ranges("2022-03-18", "00:00", "2022-03-17", "24:00"), "RANGE_INVALID", "endDate")
			refused(t, ranges("2023-03-17", "00:00", "2022-03-17", "24:00"), "RANGE_INVALID", "endDate")
			refused(t, ranges("2022-03-17", "10:00", "2023-03-18", "10:01"), "RANGE_TOO_LARGE", "endDate")
			refused(t, ranges("2000-01-01", "00:00", "2099-12-31", "24:00"), "RANGE_TOO_LARGE", "endDate")
			require.Equal(t, 200, ranges("2022-03-17", "10:00", "2023-03-18", "10:00").Status)
			require.Equal(t, 200, ranges("2099-12-31", "23:59", "2099-12-31", "24:00").Status)
			require.Equal(t, 200, ranges("2000-01-01", "00:00", "2000-01-01", "00:01").Status)
			require.Equal(t, 401, h.Do("POST", paths[report], "", `[]`, "timezoneid", "x").Status, "who asks comes before what")
		})
	}
}

// Of several things wrong the first in the documented order is told.
func TestOrderOfErrors(t *testing.T) {
	h := hubtest.Start(t)
	c := newCompany(t, h, "order", "")
	seed := *firstSeed
	g := rand.New(rand.NewPCG(seed, 16))
	for range 200 {
		report := []string{"relay", "agent", "department"}[g.IntN(3)]
		all := parameters(report)
		body, first := fine(report), -1
		var want wrong
		for range 2 + g.IntN(3) {
			i := g.IntN(len(all))
			w := all[i].wrong[g.IntN(len(all[i].wrong))]
			if body = with(body, all[i].name, w.json); first < 0 || i <= first {
				first, want = i, w
			}
		}
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		a := h.Do("POST", paths[report], c.key, raw)
		require.Contains(t, string(a.Body), fmt.Sprintf("%q:%q", "reason", want.reason), "seed %d, %s: %s", seed, report, raw)
		refused(t, a, want.reason, all[first].name)
	}
}
