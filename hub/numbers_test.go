package hub_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// lockedBuffer is a log that a test reads while a hub writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// numbered is an event about a customer's number.
func numbered(id, number string) string {
	return fmt.Sprintf(`{"type":"cdr.call","id":%q,"data":{"callID":%q,"customerNumber":%q}}`, id, id, number)
}

// idsOf returns what a list of events, or of deliveries, has as event ids, in its order.
func idsOf(a hubtest.Answer) (ids []string) {
	for _, line := range gjson.GetBytes(a.Body, "data").Array() {
		id := line.Get("event")
		if !id.Exists() {
			id = line.Get("id")
		}
		ids = append(ids, id.String())
	}
	return ids
}

// A customer's number finds its events and deliveries in whatever spelling, in every list
// that takes filters, also for an auditor who may not see numbers. The audit log knows who
// looked for it, by a code; no log knows the number.
func TestNumberSearch(t *testing.T) {
	for store, change := range map[string]func(t *testing.T, log *slog.Logger) *hubtest.Hub{
		"sqlite": func(t *testing.T, log *slog.Logger) *hubtest.Hub { return hubtest.StartLogging(t, log) },
		"postgres": func(t *testing.T, log *slog.Logger) *hubtest.Hub {
			return hubtest.StartLogging(t, log, hubtest.OnPostgres(t))
		},
	} {
		t.Run(store, func(t *testing.T) {
			log := new(lockedBuffer)
			h := change(t, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			testNumberSearch(t, h)
			require.NotContains(t, log.String(), "6591234567")
			require.NotContains(t, log.String(), "9123 4567")
		})
	}
}

func testNumberSearch(t *testing.T, h *hubtest.Hub) {
	receiver := hubtest.NewReceiver(t)
	h.Subscribe(receiver.URL, "events", []string{"cdr.*"})
	h.Send(numbered("e1", "+65 9123 4567"), numbered("e2", "91234567"), numbered("e3", "sip:6591234567@10.1.2.3"),
		numbered("e4", "+65 8000 0000"))
	receiver.Wait(t, 4)
	hubtest.Eventually(t, "all deliveries have ended", func() bool {
		return len(idsOf(do(t, h, "GET", "/v1/deliveries?state=pending", nil, 200))) == 0
	})
	ask := func(path, number string, want ...string) {
		t.Helper()
		a := do(t, h, "GET", path+"number="+url.QueryEscape(number), nil, 200)
		require.Equal(t, want, idsOf(a), "%s", a.Body)
		require.NotContains(t, string(a.Body), "indexedFrom")
	}

	// Lists, pages, other filters with it, facets and exports.
	for _, spelling := range []string{"6591234567", "0065-9123-4567", "tel:+65(9123)4567;ext=1", "+65 9123 4567 x12"} {
		ask("/v1/events?", spelling, "e3", "e1")
		ask("/v1/deliveries?", spelling, "e3", "e1")
		ask("/v1/deliveries?sort=asc&", spelling, "e1", "e3")
	}
	ask("/v1/events?", "91234567", "e2")
	ask("/v1/deliveries?state=pending&", "6591234567")
	ask("/v1/events?type=call.*&", "6591234567")
	ask("/v1/events?", "65912345670")
	first := do(t, h, "GET", "/v1/deliveries?limit=1&number=6591234567", nil, 200)
	require.Equal(t, []string{"e3"}, idsOf(first))
	ask("/v1/deliveries?limit=1&cursor="+gjson.GetBytes(first.Body, "nextCursor").String()+"&", "6591234567", "e1")
	require.Equal(t, int64(2), gjson.GetBytes(do(t, h, "GET", "/v1/facets/deliveries?number=6591234567", nil, 200).Body, "counted").Int())
	export := string(do(t, h, "GET", "/v1/exports/deliveries?format=ndjson&number=6591234567", nil, 200).Body)
	require.Equal(t, 2, strings.Count(export, "\n"))

	// Jobs. They keep the code, never the number.
	dry := `{"filter":{"from":"2020-01-01T00:00:00Z","number":"+65 9123 4567"},"only":"all","dryRun":true}`
	require.Equal(t, int64(2), gjson.GetBytes(do(t, h, "POST", "/v1/replays", dry, 200).Body, "matching").Int())
	id := made(t, h, "/v1/replays", strings.Replace(dry, `,"dryRun":true`, "", 1))
	job := jobIs(t, h, id, "done")
	require.Equal(t, int64(2), job.Get("progress.written").Int())
	code := job.Get("filter.number").String()
	require.Regexp(t, `^subject:[0-9a-f]{32}$`, code)
	require.Len(t, receiver.Wait(t, 6), 6)
	mirror := h.Subscribe(receiver.URL, "events", []string{"cdr.*"}, "name", "mirror")["id"].(string)
	events := fmt.Sprintf(`{"filter":{"events":{"from":%q,"number":6591234567,"type":"cdr.call"}},"only":"never-sent","to":%q}`, longAgo, mirror)
	id = made(t, h, "/v1/replays", events)
	job = jobIs(t, h, id, "done")
	require.Equal(t, int64(2), job.Get("progress.written").Int())
	line := explain(t, h, h.Owner, "e1")["mirror"]
	require.Equal(t, "createdLater", line.Get("verdict").String(), "as at acceptance")
	require.Equal(t, id, line.Get("madeBy").String())
	require.Equal(t, "delivered", line.Get("state").String(), "%s", line)
	require.NotEmpty(t, line.Get("delivery").String())
	require.Equal(t, code, job.Get("filter.events.number").String())
	a := do(t, h, "POST", "/v1/cancellations", `{"filter":{"number":"6591234567"},"dryRun":true}`, 200)
	require.Zero(t, gjson.GetBytes(a.Body, "matching").Int())
	do(t, h, "POST", "/v1/cancellations", `{"filter":{"number":"6591234567"},"reason":"+65-9123-4567 asked"}`, 422)

	// An auditor who may not see the number may look for it.
	auditor := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"auditor","name":"a"}`).JSON(t)["key"].(string)
	a = h.Do("GET", "/v1/events?number=6591234567", auditor, nil)
	require.Equal(t, 200, a.Status)
	require.Equal(t, []string{"e3", "e1"}, idsOf(a))

	// The audit log says who did.
	rows := gjson.GetBytes(do(t, h, "GET", "/v1/audit?limit=500", nil, 200).Body, "data").Array()
	who := map[string]bool{}
	for _, row := range rows {
		require.NotContains(t, row.Raw, "91234567")
		if row.Get("action").String() == "number.search" && row.Get("object").String() == code {
			who[row.Get("who").String()] = true
		}
	}
	require.Len(t, who, 2, "the owner and the auditor")

	// Bad numbers are answered by the name of the field.
	for number, why := range map[string]string{
		"": "5 digits", "1234": "5 digits", "abc": "letters", "9123456a": "letters", "91234567,81234567": "one phone number",
		strings.Repeat("9", 41): "40 digits", strings.Repeat(" ", 300): "200 characters", "139****0001": "without *",
	} {
		for _, path := range []string{"/v1/events?", "/v1/deliveries?", "/v1/facets/deliveries?", "/v1/exports/deliveries?"} {
			a := do(t, h, "GET", path+"number="+url.QueryEscape(number), nil, 400)
			require.Equal(t, "number", gjson.GetBytes(a.Body, "errors.0.field").String())
			require.Contains(t, gjson.GetBytes(a.Body, "errors.0.message").String(), why)
		}
	}
	do(t, h, "GET", "/v1/events?number=91234567&number=81234567", nil, 400)
	a = do(t, h, "POST", "/v1/replays", `{"filter":{"state":"exhausted","number":"12"},"only":"failed"}`, 422)
	require.Equal(t, "filter.number", gjson.GetBytes(a.Body, "errors.0.field").String())
}
