package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
)

// named requires that an error names the field that is at fault, or says that the query
// as a whole cannot be read.
func named(t *testing.T, err error) {
	t.Helper()
	var d *problem.Details
	require.True(t, errors.As(err, &d), "%v", err)
	require.Less(t, d.Status, 500)
	require.True(t, len(d.Errors) > 0 || d.Detail != "")
}

// Whatever a report is asked for is either refused by the name of a field, or within the
// bounds of the engine.
func FuzzReportQuestion(f *testing.F) {
	f.Add([]byte(`{"report":"agent","indicators":["inbound_agent_partits"],"from":"2026-01-01","to":"2026-02-01T10:30","rows":["key","time"],"records":"states"}`))
	f.Add([]byte(`{"report":"relay","indicators":["inbound_calls"],"from":"2026-01-01","to":"2026-02-01","scope":"bot","limit":3,"zone":"Europe/Berlin","weekStart":"sunday"}`))
	f.Add([]byte(`{"report":"x","rows":["time","time"],"limit":0,"cursor":"x","keys":[],"bucket":"year"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in reportBody
		if err := decodeBytes(raw, &in); err != nil {
			named(t, err)
			return
		}
		q, err := (&API{}).readReport(&in, access.Caller{})
		if err != nil {
			named(t, err)
			return
		}
		require.NotNil(t, q.Report)
		require.NotEmpty(t, q.Indicators)
		require.Less(t, q.From, q.To)
		require.LessOrEqual(t, q.To-q.From, int64(maxReportDays*24*hour))
		require.Positive(t, q.Limit)
		require.LessOrEqual(t, q.Limit, maxReportRows)
		require.NotZero(t, q.DateType)
	})
}

// Whatever boards and calls are asked for is either refused by the name of a parameter, or
// within bounds.
func FuzzBoardAndCallQuestions(f *testing.F) {
	f.Add("department=a,b&group=&queue=1&limit=7&inTime=30")
	f.Add("from=2026-01-01T00:00:00Z&to=1767225600001&agent=u&agentID=1&number=%2B65&callType=2&limit=1")
	f.Add("limit=0&x=1&limit=2&%zz")
	f.Add("cursor=AAAA&from=x&callID=%00")
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/", RawQuery: raw}
		for _, k := range []*boardKind{&agentsBoard, &queuesBoard} {
			q, err := readBoard(r, access.Caller{}, k)
			if err != nil {
				named(t, err)
				continue
			}
			require.Positive(t, q.limit)
			require.LessOrEqual(t, q.limit, maxBoardRows)
			require.LessOrEqual(t, len(q.departments)+len(q.groups)+len(q.queues), 3*maxBoardPicks)
			require.True(t, q.hideNumbers)
		}

		a := &API{DepartmentAgents: func(int64, string) []string { return nil }}
		c, err := a.callFilter(r, access.Caller{}, 1_700_000_000_000)
		if err != nil {
			named(t, err)
			return
		}
		require.LessOrEqual(t, c.From, c.To)
		require.LessOrEqual(t, c.To-c.From, int64(maxCallSpan))
		require.Positive(t, c.Limit)
	})
}
