package sobot

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

// The document prints the times of its reports as "00 : 00" and "24 : 00".
func TestPrintedClocks(t *testing.T) {
	const (
		day    = 1_640_995_200_000 // 2022-01-01 00:00 on the wall
		minute = 60_000
	)
	for _, tt := range []struct {
		start, end       string
		from, to         int64 // after midnight
		refused, because string
	}{
		{start: "00 : 00", end: "24 : 00", to: 24 * 60 * minute},
		{start: " 00 :00 ", end: "23: 59", to: (23*60 + 59) * minute},
		{start: "09\t:\t30", end: "24:00", from: (9*60 + 30) * minute, to: 24 * 60 * minute},
		{start: "24 : 00", end: "24 : 00", refused: "startTime", because: "must be a time as HH:mm"},
		{start: "00 : 00", end: "24 : 01", refused: "endTime", because: "must be a time as HH:mm"},
		{start: "0 0:00", end: "24:00", refused: "startTime", because: "must be a time as HH:mm"},
		{start: "9 : 00", end: "24:00", refused: "startTime", because: "must be a time as HH:mm"},
		{start: "00 :: 00", end: "24:00", refused: "startTime", because: "must be a time as HH:mm"},
	} {
		for kind, more := range map[*reportKind]string{
			&relayReport:      `"dimensions": 1, "customerFields": "inbound_calls"`,
			&agentReport:      `"dimensions": 1, "agentReportType": 2, "customerFields": "inbound_agent_partits"`,
			&departmentReport: `"dimensions": 1, "callType": 2, "customerFields": "inbound_agent_partits"`,
		} {
			p, err := parseBody(fmt.Appendf(nil, `{"dateType": 13, "startDate": "2022-01-01", "startTime": %q, "endDate": "2022-01-01", "endTime": %q, %s}`,
				tt.start, tt.end, more))
			require.NoError(t, err)
			q, err := kind.read(p)
			if tt.refused != "" {
				require.EqualError(t, err, "PARAM_VALUE: "+tt.refused+": "+tt.because)
				continue
			}
			require.NoError(t, err, "%q %q", tt.start, tt.end)
			require.Equal(t, day+tt.from, q.From, "%q", tt.start)
			require.Equal(t, day+tt.to, q.To, "%q", tt.end)
		}
	}
}

func readMetricsWith(header, query string) (metricsQuery, error) {
	r := &http.Request{Header: http.Header{}, URL: &url.URL{RawQuery: query}}
	if header != "" {
		r.Header.Set("Idempotency-Key", header)
	}
	return readMetrics(r, access.Caller{})
}

// An Idempotency-Key is a UUID with its dashes or, as the document writes its ids,
// without. It is one key in both spellings.
func TestIdempotencyKey(t *testing.T) {
	const key = "6f1c1c1e-7a0c-4a6e-9f5e-aabbccddeeff"
	for _, same := range []string{
		key, "6f1c1c1e7a0c4a6e9f5eaabbccddeeff", "6F1C1C1E7A0C4A6E9F5EAABBCCDDEEFF", "6F1C1C1E-7A0C-4A6E-9F5E-AABBCCDDEEFF",
	} {
		q, err := readMetricsWith(same, "product=scc")
		require.NoError(t, err, "%s", same)
		require.Equal(t, key, q.key, "%s", same)
		q, err = readMetricsWith("", "product=scc&idempotencyKey="+same)
		require.NoError(t, err, "%s", same)
		require.Equal(t, key, q.key, "%s", same)
	}
	for _, wrong := range []string{
		"x", "6f1c1c1e7a0c4a6e9f5eaabbccddeef", "6f1c1c1e7a0c4a6e9f5eaabbccddeeff0", "6f1c1c1e7a0c4a6e9f5eaabbccddeefg",
		"6f1c1c1e-7a0c-4a6e-9f5eaabbccddeeff", "{" + key + "}", "urn:uuid:" + key, "6f1c1c1e_7a0c_4a6e_9f5e_aabbccddeeff",
	} {
		_, err := readMetricsWith(wrong, "product=scc")
		require.ErrorContains(t, err, "PARAM_VALUE: Idempotency-Key: must be a UUID", "%s", wrong)
	}
}

// The list of S10 and S11 is sorted by each column that it shows.
func TestSortByEachColumn(t *testing.T) {
	var columns []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[agentMetrics]()) {
		if !f.Anonymous {
			columns = append(columns, f.Tag.Get("json"))
		}
	}
	require.Len(t, columns, 18)
	for _, column := range append(columns, "agentNumber") {
		for _, way := range []string{"", ",asc", ",desc"} {
			_, err := readMetricsWith("6f1c1c1e7a0c4a6e9f5eaabbccddeeff", "product=scc&sort="+column+way)
			require.NoError(t, err, "%s", column+way)
		}
	}
}

// noReadyStatus 1 is in the document's example of S9, so that it can be asked for.
func TestReasonOfTheExample(t *testing.T) {
	for _, name := range []string{"noReadyStatus", "notReadyStatus"} {
		p, err := parseBody(fmt.Appendf(nil,
			`{"startTime": "2022-07-07 01:00", "endTime": "2022-07-07 23:59", "pageNum": 1, "pageSize": 15, %q: [1]}`, name))
		require.NoError(t, err)
		q, err := readHistory(p, time.UTC)
		require.NoError(t, err)
		require.Equal(t, []int64{1}, q.filter.Reason)
	}
	q, err := readMetricsWith("6f1c1c1e7a0c4a6e9f5eaabbccddeeff", "product=scc&agentBusyReasonCodes=1")
	require.NoError(t, err)
	require.Equal(t, []int64{1}, q.busy)
}
