package sobot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/hub/search"
)

// Whatever a client sends is a query within the bounds, or a problem that says 400.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{
		`{"startTime": 1, "endTime": 2, "pageNum": 1, "pageSize": 1000, "callType": "2", "attachedData": "{\"a\": 1}"}`,
		`{"startTime": "1", "endTime": 31622400001, "currPage": " 7 ", "pageSize": 15, "agent": 1001, "agentType": 1, "mainDialType": "Internal;"}`,
		`{"startTime": null, "a": {"b": [1, 2e9, "\ud800"]}}`, `{"attachedData": {}}`, `[]`, ``, "{\"callID\": \"\\u0000\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parseBody(raw)
		var q query
		if err == nil {
			q, err = readSearch(p)
		}
		if err != nil {
			var bad *problem
			if !errors.As(err, &bad) || bad.Status != 400 || bad.Text == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		of := q.filter
		if of.Limit < 1 || of.Limit > maxPageSize || of.Offset < 0 || of.Offset+of.Limit > maxRows || of.To <= of.From ||
			of.To-of.From > maxSpan {
			t.Fatalf("%+v", of)
		}
		if of.Attached != nil && len(of.Attached.Atoms) > maxAttached {
			t.Fatalf("%d values", len(of.Attached.Atoms))
		}
	})
}

// Whatever a record holds, it is shown as JSON, with all of its fields.
func FuzzShow(f *testing.F) {
	for _, s := range []string{
		`{"callID": "\ud800", "startTime": "12", "fee": 1e300, "attachedData": "{\"a\": 1}", "duration": -1, "lastAgentFlag": "true"}`,
		`{"attachedData": "{", "fee": "1.005", "answerTime": 1, "endTime": 9223372036854775807, "feeSeconds": -9223372036854775808}`,
		`{"attachedData": [1, {"a": "<"}], "earlyDetectCause": null, "phoneType": ""}`, `{"attachedData": "text"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return // the gate lets no such body in
		}
		for _, fields := range [][]field{callFields, partyFields} {
			out := newRow(body).show(nil, fields)
			var shown map[string]any
			if err := json.Unmarshal(out, &shown); err != nil || len(shown) != len(fields) {
				t.Fatalf("%d fields, %v: %s", len(shown), err, out)
			}
		}
		text := search.AttachedText(body)
		if atoms := search.AttachedAtoms(text); atoms != nil &&
			!slices.Equal(slices.Sorted(slices.Values(search.ParseAttached(string(body)).Atoms)),
				slices.Sorted(slices.Values(atoms))) {
			t.Fatalf("an object does not contain itself: %s", text)
		}
	})
}

// Whatever a client sends to S9 is a query within the bounds, or a problem that says 400.
func FuzzHistory(f *testing.F) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{"startTime": " 2022-07-07 01 : 00 ", "endTime": "2022-07-07 23:59", "pageNum": 1, "pageSize": 15, "agent": "1001,=1002;", "loginStatus": [1, "2"]}`,
		`{"startTime": "2023-03-26 02:30", "endTime": "2023-10-29 02:30", "pageNum": 1, "pageSize": 15, "departmentId": "[\"a\"]", "workStatus": "5,6"}`,
		`{"startTime": "9999-12-31 23:59", "endTime": "9999-12-31 23:59", "pageNum": 1, "pageSize": 15, "agent": [null, "", 1]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parseBody(raw)
		var q historyQuery
		if err == nil {
			q, err = readHistory(p, berlin)
		}
		if err != nil {
			var bad *problem
			if !errors.As(err, &bad) || bad.Status != 400 || bad.Text == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		of := q.filter
		if of.Limit < 1 || of.Limit > maxPageSize || of.Offset < 0 || of.Offset+of.Limit > maxRows || of.To <= of.From ||
			of.To-of.From > maxSpan+60_000 ||
			len(q.agents) > maxItems || len(q.departments) > maxItems || len(of.Login) > len(loginCodes) {
			t.Fatalf("%+v", of)
		}
	})
}

// Whatever a client asks S11 for is within the bounds, or a problem that says 400.
func FuzzMetrics(f *testing.F) {
	for _, s := range []string{
		"product=scc&agents=1001,=1002&departmentIds[]=a;&sort=agentName,desc&pageNum=2&pageSize=1000",
		"agentWorkStatuses=5,6;&delay=60000&agentType=1", "%zz", ";", "currPage=9999999999999999999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{
			Header: http.Header{"Idempotency-Key": {"6f1c1c1e-7a0c-4a6e-9f5e-111111111111"}}, URL: &url.URL{RawQuery: query},
		}
		q, err := readMetrics(r, access.Caller{})
		if err != nil {
			var bad *problem
			if !errors.As(err, &bad) || bad.Status != 400 || bad.Text == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if q.pageNum < 1 || q.pageSize < 1 || q.pageSize > maxPageSize || q.pageNum*q.pageSize > maxRows ||
			len(q.agents) > maxItems || len(q.work) > maxItems {
			t.Fatalf("%+v", q)
		}
		q.show(&live.AgentBoard{Rows: make([]live.Row, 3)}, "demo")
	})
}

// Whatever a client asks of a report is a query that the engine can answer, or a
// problem that says 400 and names a parameter.
func FuzzReport(f *testing.F) {
	for _, s := range []string{
		`{"dimensions": 3, "dateType": 11, "startDate": "2022-03-17", "startTime": "16:00", "endDate": "2022-03-17", "endTime": "24:00", "customerFields": "inbound_calls,outbound_calls", "callType": "2", "gatewayNumber": ["a"]}`,
		`{"dimensions": "9", "dateType": 14, "weekType": 1, "startDate": " 2024-02-29 ", "startTime": "00:00", "endDate": "2024-03-01", "endTime": "00:01", "agentReportType": 4, "customerFields": "[\"agent_login_sum_duration\"]", "currPage": 9223372036854775807, "pageSize": 1000}`,
		`{"dimensions": 13, "dateType": 15, "startDate": "2022-01-01", "startTime": "00:00", "endDate": "2022-12-31", "endTime": "24:00", "callType": 3, "customerFields": ["outbound_calls"], "departIds": "[\"a\", null]"}`,
		`{"dimensions": 1e1}`, `{"startTime": "24:00"}`, `{"customerFields": "[1]"}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, k := range []*reportKind{&relayReport, &agentReport, &departmentReport} {
			p, err := parseBody(raw)
			var q *reportQuery
			if err == nil {
				q, err = k.read(p)
			}
			if err != nil {
				var bad *problem
				if !errors.As(err, &bad) || bad.Status != 400 || !strings.Contains(bad.Text, ": ") {
					t.Fatalf("%v", err)
				}
				continue
			}
			if q.From < 946_684_800_000 || q.To <= q.From || q.To-q.From > maxRange*dayMS || q.Offset < 0 || q.Limit < 1 ||
				q.Limit > maxPageSize ||
				len(q.Indicators) == 0 || !q.ByTime && !q.ByKey || q.Kind != report.States && q.Only == 0 {
				t.Fatalf("%+v", q)
			}
			q.Zone, q.Settings.XSeconds = time.UTC, 30
			if _, err := report.Run(t.Context(), noFacts{}, &q.Query); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// noFacts is a store without any.
type noFacts struct{}

func (n noFacts) ReadFacts(_ context.Context, _ int64, fn func(report.Facts) error) error {
	return fn(n)
}

func (noFacts) Blocks(context.Context, report.Kind, report.Span, func(*report.Block) error) error {
	return nil
}
func (noFacts) Lasting(context.Context, int64) ([]report.Fact, error) { return nil, nil }
func (noFacts) Namings(context.Context) ([]report.Naming, error)      { return nil, nil }
