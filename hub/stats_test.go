package hub_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// Stats come by type, error and minute, and of events, as JSON and as CSV, and their sums
// agree. What cannot be asked for is answered by the name of the parameter.
func TestStatsForms(t *testing.T) {
	h := hubtest.Start(t)
	failing := hubtest.NewReceiver(t, 500, 200, 200)
	h.Subscribe(failing.URL, "events", []string{"cdr.call"}, "retry",
		map[string]any{"cdr": map[string]any{"schedule": []string{"1ms"}, "jitter": 0}})
	h.Send(`{"type":"cdr.call","id":"e1","data":{"callID":"c1"}}`, `{"type":"cdr.call","id":"e2","data":{"callID":"c2"}}`,
		`{"type":"cdr.party","id":"e3","data":{"callID":"c2","partyId":"p"}}`)
	require.Equal(t, 207, h.Do("POST", "/v1/events", h.Owner, `[{"type":"cdr.call","id":"e1","data":{"callID":"c1"}},{"type":"odd","data":{}}]`).Status)
	failing.Wait(t, 3)

	total := func(query string) gjson.Result {
		return gjson.GetBytes(do(t, h, "GET", "/v1/stats"+query, nil, 200).Body, "total")
	}
	hubtest.Eventually(t, "all attempts are counted", func() bool { return total("").Get("attempts").Int() == 3 })
	all := total("")
	require.Equal(t, all.Raw, total("?by=type").Raw)
	require.Equal(t, all.Raw, total("?by=class").Raw)
	require.Equal(t, int64(1), all.Get("failedAttempts").Int())
	require.Equal(t, all.Get("failedAttempts").Int(), total("?by=error").Get("failedAttempts").Int())
	require.Equal(t, int64(3), total("?bucket=minute").Get("attempts").Int())
	errs := do(t, h, "GET", "/v1/stats?by=error", nil, 200)
	require.Equal(t, "status", gjson.GetBytes(errs.Body, "data.0.error").String())
	types := do(t, h, "GET", "/v1/stats?by=type", nil, 200)
	require.Equal(t, "cdr.call", gjson.GetBytes(types.Body, "data.0.type").String())
	hubtest.Eventually(t, "the refused event is counted", func() bool { return total("?of=events").Get("rejected").Int() == 1 })
	events := total("?of=events")
	require.Equal(t, []int64{3, 1, 1}, []int64{events.Get("accepted").Int(), events.Get("duplicate").Int(), events.Get("unmatched").Int()})

	for query, column := range map[string]string{
		"?": "matched", "?by=type&": "type", "?by=error&": "error", "?of=events&": "accepted", "?bucket=minute&by=subscription&": "attempts",
	} {
		a := do(t, h, "GET", "/v1/stats"+query+"format=csv", nil, 200)
		require.Contains(t, a.Header.Get("Content-Type"), "text/csv")
		rows, err := csv.NewReader(strings.NewReader(string(a.Body))).ReadAll()
		require.NoError(t, err)
		require.Greater(t, len(rows), 1, query)
		require.Contains(t, rows[0], column)
	}

	for query, field := range map[string]string{
		"?of=calls": "of", "?format=xml": "format", "?bucket=minute&by=type": "by", "?bucket=minute&of=events": "bucket",
		"?of=events&by=type": "by", "?by=mood": "by", "?bucket=week": "bucket", "?bucket=minute&from=2020-01-01T00:00:00Z": "from",
		"?bucket=minute&from=x": "from", "?odd=1": "odd",
	} {
		a := do(t, h, "GET", "/v1/stats"+query, nil, 400)
		require.Equal(t, field, gjson.GetBytes(a.Body, "errors.0.field").String(), query)
	}
}
