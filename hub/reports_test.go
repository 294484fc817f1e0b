package hub_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/report"
)

// records returns a call with its parties, some days before boardsNow.
func (p *played) records(n int) string {
	at := boardsNow - p.Int64N(5*24*3_600_000)
	call, direction := fmt.Sprintf("r-%d", n), 2+p.IntN(2)
	talk, results := p.IntN(90), []int{1, 2, 3, 8, 21}
	all := []string{fmt.Sprintf(`{"type":"cdr.call","data":{"callID":%q,"callType":%d,"callResult":%d,"startTime":%d,"endTime":%d,"duration":%d,"gatewayNumber":%q,"customerNumber":%q}}`,
		call, direction, results[p.IntN(len(results))], at, at+int64(talk)*1000+5000, talk,
		[]string{"", "800", "801", "=1+1"}[p.IntN(4)], fmt.Sprintf("+65912345%02d", p.IntN(20)))}
	for i := range 1 + p.IntN(2) {
		agent := fmt.Sprintf("u-%d", 1+p.IntN(5))
		all = append(all, fmt.Sprintf(`{"type":"cdr.party","data":{"callID":%q,"partyId":"p-%d","agentUUID":%q,"agentID":%q,"departmentId":%q,"callType":%d,"callResult":%d,"startTime":%d,"endTime":%d,"duration":%d}}`,
			call, i, agent, agent[2:], []string{"", "d-1", "d-1|d-2"}[p.IntN(3)], direction, 1+p.IntN(3), at,
			at+int64(talk)*1000, talk))
	}
	return strings.Join(all, ",")
}

// reportAsked is one question in the words of both routes.
type reportAsked struct {
	report, path   string
	native, vendor map[string]any
}

var vendorReports = map[string]struct{ path, typ string }{
	"relay": {"gateway-number-table", "callType"}, "agent": {"agent-table", "agentReportType"},
	"department": {"depart-table", "callType"},
}

// question makes a random question.
func (p *played) question() reportAsked {
	of := report.Reports[p.IntN(len(report.Reports))]
	var indicators []string
	for _, i := range p.Perm(len(of.Indicators))[:1+p.IntN(8)] {
		indicators = append(indicators, of.Indicators[i].Name)
	}
	day := time.UnixMilli(boardsNow).UTC().Truncate(24*time.Hour).AddDate(0, 0, -p.IntN(7))
	from := day.Add(time.Duration(p.IntN(48)) * 30 * time.Minute)
	to := from.Add(time.Duration(1+p.IntN(300)) * 30 * time.Minute)
	bucket, rows, records := p.IntN(5), p.IntN(4), p.IntN(2)
	zone := []string{"", "America/New_York", "Asia/Kolkata"}[p.IntN(3)]

	v := vendorReports[of.Name]
	first := map[string]int{"relay": 2, "agent": 8, "department": 11}[of.Name]
	q := reportAsked{
		report: of.Name, path: "/callservice/tm/tm-reports/" + v.path + "/_search",
		native: map[string]any{
			"report": of.Name, "indicators": indicators, "from": from.Format("2006-01-02T15:04"),
			"to": to.Format("2006-01-02T15:04"),
			"bucket": []string{
				"halfHour", "hour", "day", "week", "month",
			}[bucket], "records": []string{"inbound", "outbound"}[records],
			"rows": [][]string{{"time"}, {"key"}, {"time", "key"}, {"key", "time"}}[rows], "limit": 1000, "zone": zone,
		},
		vendor: map[string]any{
			"dimensions": []int{1, first, first + 1, first + 2}[rows], "dateType": 11 + bucket, v.typ: 2 + records,
			"startDate": from.Format("2006-01-02"), "startTime": from.Format("15:04"),
			"endDate": to.Format("2006-01-02"), "endTime": to.Format("15:04"), "customerFields": indicators, "pageSize": 1000,
		},
	}
	if of == report.Agent && p.IntN(3) == 0 {
		q.native["records"] = "states"
		q.vendor[v.typ] = 4
	}
	return q
}

// Native reports show what the vendor's routes show for random questions, cell for cell,
// as JSON and as CSV.
func TestReportsAreTheVendors(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		p := newPlayed(t, h)
		p.play(40)
		var all []string
		for n := range 60 {
			all = append(all, p.records(n))
		}
		a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(all, ",")+"]")
		require.Less(t, a.Status, 300, "%s", a.Body)

		rows := 0
		for range 20 {
			q := p.question()
			native := p.post("/v1/reports", q.native)
			vendor := p.post(q.path, q.vendor, "timezoneid", q.native["zone"].(string)).Get("data")
			require.Equal(t, vendor.Get("total").Int(), native.Get("count").Int(), "%v", q)
			require.JSONEq(t, vendor.Get("amount").Raw, native.Get("total").Raw, "%v", q)

			theirs, ours := vendor.Get("metric").Array(), native.Get("data").Array()
			require.Len(t, ours, len(theirs))
			for i := range ours {
				require.JSONEq(t, theirs[i].Raw, asVendor(t, ours[i]), "%v", q)
			}
			p.checkCSV(q, ours)
			rows += len(ours)
		}
		require.Positive(t, rows)
	}, withTestClock)
}

// post asks at boardsNow.
func (p *played) post(path string, body map[string]any, headers ...string) gjson.Result {
	p.t.Helper()
	headers = append(headers, "X-Hookline-Now", strconv.FormatInt(boardsNow, 10))
	return whole(p.t, func() hubtest.Answer { return p.Do("POST", path, p.Owner, body, headers...) })
}

// asVendor writes a native row as the vendor's routes do.
func asVendor(t *testing.T, row gjson.Result) string {
	out := map[string]json.RawMessage{}
	for native, name := range map[string]string{
		"date": "result_date", "gatewayNumber": "gateway_number",
		"agent.agentUUID": "serviceId", "agent.agentID": "serviceNo", "agent.name": "serviceName",
		"department.departmentId": "departId", "department.name": "departName",
	} {
		if v := row.Get(native); v.Exists() {
			out[name] = json.RawMessage(v.Raw)
		}
	}
	row.Get("figures").ForEach(func(name, figure gjson.Result) bool {
		out[name.String()] = json.RawMessage(figure.Raw)
		return true
	})
	raw, err := json.Marshal(out)
	require.NoError(t, err)
	return string(raw)
}

// checkCSV holds the file of a question against the rows of its JSON.
func (p *played) checkCSV(q reportAsked, rows []gjson.Result) {
	t := p.t
	t.Helper()
	delete(q.native, "limit")
	a := p.Do("POST", "/v1/reports", p.Owner, q.native, "Accept", "text/csv", "X-Hookline-Now",
		strconv.FormatInt(boardsNow, 10))
	require.Equal(t, 200, a.Status, "%s", a.Body)
	require.Equal(t, "0", a.Header.Get("X-Hookline-Behind"), "its JSON was whole")
	lines, err := csv.NewReader(strings.NewReader(string(a.Body))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, len(rows)+1)

	for i, row := range rows {
		for j, name := range lines[0] {
			cell := lines[i+1][j]
			switch name {
			case "date":
				require.Equal(t, row.Get("date").String(), strings.ReplaceAll(cell, "'", ""))
			case "gatewayNumber":
				require.Equal(t, row.Get("gatewayNumber").String(), strings.TrimPrefix(cell, "'"))
				require.NotRegexp(t, "^=", cell, "a spreadsheet would run it")
			case "agentUUID", "agentID", "name", "departmentId":
				require.Equal(t, row.Get("agent."+name).String()+row.Get("department."+name).String(), cell)
			default:
				require.Equal(t, row.Get("figures."+name).String(), cell, name)
			}
		}
	}
}

// Pages of a report, one after the other, are all of it.
func TestReportPages(t *testing.T) {
	h := hubtest.Start(t, withTestClock)
	p := newPlayed(t, h)
	var all []string
	for n := range 20 {
		all = append(all, p.records(n))
	}
	require.Less(t, h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(all, ",")+"]").Status, 300)

	ask := map[string]any{
		"report": "agent", "indicators": []string{"inbound_agent_partits"}, "from": "2023-11-01", "to": "2023-12-01",
		"rows": []string{"time", "key"},
	}
	whole := p.post("/v1/reports", ask)
	var rows []string
	for ask["limit"] = 3; ; {
		page := p.post("/v1/reports", ask)
		require.Equal(t, whole.Get("total").Raw, page.Get("total").Raw)
		require.Equal(t, whole.Get("count").Int(), page.Get("count").Int())
		require.LessOrEqual(t, len(page.Get("data").Array()), 3)
		for _, row := range page.Get("data").Array() {
			rows = append(rows, row.Raw)
		}
		if !page.Get("nextCursor").Exists() {
			break
		}
		ask["cursor"] = page.Get("nextCursor").String()
	}
	require.EqualValues(t, whole.Get("count").Int(), len(rows))
	require.Equal(t, whole.Get("data").Raw, "["+strings.Join(rows, ",")+"]")
}

// The catalogue lists every indicator once, and is sent again only if it has changed.
func TestIndicators(t *testing.T) {
	h := hubtest.Start(t)
	a := h.Do("GET", "/v1/indicators", h.Owner, nil)
	require.Equal(t, 200, a.Status)
	list := gjson.GetBytes(a.Body, "data").Array()
	require.Len(t, list, 132)
	for _, i := range list {
		for _, name := range []string{"report", "name", "label", "unit", "type", "meaning"} {
			require.NotEmpty(t, i.Get(name).String(), "%s of %s", name, i)
		}
	}
	again := h.Do("GET", "/v1/indicators", h.Owner, nil, "If-None-Match", a.Header.Get("ETag"))
	require.Equal(t, 304, again.Status)
	require.Empty(t, again.Body)
}

// What is wrong with a question is said by the name of the field, of all fields at once.
func TestBadReports(t *testing.T) {
	h := hubtest.Start(t)
	good := `"report":"relay","indicators":["inbound_calls"],"from":"2026-01-01","to":"2026-02-01"`
	for body, fields := range map[string]string{
		`{}`:                                   "report from to",
		`{"report":"calls"}`:                   "report from to",
		`{"report":"relay"}`:                   "indicators from to",
		`{` + good + `,"rows":["key","key"]}`:  "rows",
		`{` + good + `,"rows":["agent"]}`:      "rows",
		`{` + good + `,"bucket":"year"}`:       "bucket",
		`{` + good + `,"weekStart":"friday"}`:  "weekStart",
		`{` + good + `,"records":"states"}`:    "records",
		`{` + good + `,"scope":"all"}`:         "scope",
		`{` + good + `,"workNumbers":true}`:    "workNumbers",
		`{` + good + `,"zone":"Local"}`:        "zone",
		`{` + good + `,"zone":"Mars/Olympus"}`: "zone",
		`{` + good + `,"limit":0}`:             "limit",
		`{` + good + `,"limit":1001}`:          "limit",
		`{` + good + `,"limit":"1"}`:           "limit",
		`{` + good + `,"cursor":"x"}`:          "cursor",
		`{` + good + `,"colour":"red"}`:        "colour",
		`{` + good + `,"keys":[1]}`:            "keys",
		`{"report":"relay","indicators":["inbound_calls","inbound_calls"],"from":"2026-01-01","to":"2026-02-01"}`:          "indicators[1]",
		`{"report":"relay","indicators":["agent_login_sum_duration"],"from":"2026-01-01","to":"2026-02-01"}`:               "indicators[0]",
		`{"report":"agent","scope":"bot","indicators":["inbound_agent_partits"],"from":"2026-01-01","to":"2026-02-01"}`:    "scope",
		`{"report":"relay","indicators":["inbound_calls"],"from":"2026-02-01","to":"2026-02-01"}`:                          "to",
		`{"report":"relay","indicators":["inbound_calls"],"from":"2026-01-01","to":"2027-02-01"}`:                          "to",
		`{"report":"relay","indicators":["inbound_calls"],"from":"2026-02-30","to":"2026-03-01T25:00"}`:                    "from to",
		`{"report":"relay","indicators":["inbound_calls"],"from":"1026-02-03","to":"2026-03-01T05:00:00Z"}`:                "from to",
		`{"report":"department","indicators":["inbound_agent_partits"],"records":"x","from":"2026-01-01","to":"2026-1-2"}`: "records to",
	} {
		a := h.Do("POST", "/v1/reports", h.Owner, body)
		require.Equal(t, 422, a.Status, "%s: %s", body, a.Body)
		var got []string
		for _, e := range gjson.GetBytes(a.Body, "errors").Array() {
			got = append(got, e.Get("field").String())
		}
		require.ElementsMatch(t, strings.Fields(fields), got, "%s: %s", body, a.Body)
	}
	a := h.Do("POST", "/v1/reports", h.Owner, `{`+good+`,"limit":5}`, "Accept", "text/csv")
	require.Equal(t, 422, a.Status, "%s", a.Body)
}
