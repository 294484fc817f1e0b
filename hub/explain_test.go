package hub_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/hubtest"
)

// explanation is what an event's explanation says of each subscription, by name.
type explanation map[string]gjson.Result

// explain asks for the explanation of an event, page by page.
func explain(t *testing.T, h *hubtest.Hub, key, event string) explanation {
	t.Helper()
	all := explanation{}
	for cursor := ""; ; {
		a := h.Do("GET", "/v1/events/"+event+"/explain?limit=4"+cursor, key, nil)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		for _, line := range gjson.GetBytes(a.Body, "data").Array() {
			require.NotEmpty(t, line.Get("words").String(), "%s", line)
			all[line.Get("name").String()] = line
		}
		next := gjson.GetBytes(a.Body, "nextCursor").String()
		if next == "" {
			return all
		}
		cursor = "&cursor=" + next
	}
}

// An explanation says of every subscription whether it wanted an event, and what holds a
// delivery now. Every reason that exists is given here once: the code lists them.
func TestExplain(t *testing.T) {
	for store, start := range map[string]func(t *testing.T) *hubtest.Hub{
		"sqlite":   func(t *testing.T) *hubtest.Hub { return hubtest.Start(t) },
		"postgres": func(t *testing.T) *hubtest.Hub { return hubtest.Start(t, hubtest.OnPostgres(t)) },
	} {
		t.Run(store, func(t *testing.T) { testExplain(t, start(t)) })
	}
}

func testExplain(t *testing.T, h *hubtest.Hub) {
	hang := make(chan struct{})
	defer close(hang)
	fine := hubtest.NewReceiver(t)
	failing := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	busy := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	hanging := hubtest.NewReceiverFunc(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	later := map[string]any{"live": map[string]any{"schedule": []string{"20m", "20m"}, "jitter": 0}}
	soonAgain := map[string]any{"live": map[string]any{
		"schedule": []string{"1ms", "1ms", "1ms", "1ms", "20m"}, "jitter": 0,
	}}
	ids := map[string]string{}
	subscribe := func(name, url string, fields ...any) {
		t.Helper()
		ids[name] = h.Subscribe(url, append([]any{"name", name, "events", calls}, fields...)...)["id"].(string)
	}

	subscribe("deleted", fine.URL)
	do(t, h, "DELETE", "/v1/subscriptions/"+ids["deleted"], nil, http.StatusNoContent)
	subscribe("delivered", fine.URL)
	subscribe("types", fine.URL, "events", []string{"cdr.*", "chat.*"})
	for field, value := range map[string]any{
		"agentIDs": []string{"77"}, "queueIds": []string{"q9", "q8"}, "gatewayNumbers": []string{"999"},
		"callTypes": []any{"Outbound"},
	} {
		subscribe("filter "+field, fine.URL, "filter", map[string]any{field: value})
	}
	subscribe("filter departmentIds", fine.URL, "filter", map[string]any{"departmentIds": []string{"d9"}})
	subscribe("paused", fine.URL)
	do(t, h, "POST", "/v1/subscriptions/"+ids["paused"]+"/pause", nil, http.StatusOK)
	subscribe("breaker", failing.URL, "retry", soonAgain)
	subscribe("hold", busy.URL, "retry", later)
	subscribe("retry", failing.URL, "retry", later)
	subscribe("rate", fine.URL, "ratePerSecond", 0.01, "ordering", "none")
	subscribe("slots", hanging.URL, "maxInFlight", 1, "timeoutMs", 30000, "ordering", "none")
	do(t, h, "PUT", "/v1/directory/agents/u1", map[string]any{"agentID": "1001", "departmentIds": []string{"d1"}},
		http.StatusOK)

	// Two events of one order key, so that the second waits behind the first.
	body := `{"type":"call.ringing","data":{"callID":"c","partyID":"p","thisDN":"1001","agentUUID":"u1","agentID":"1001",` +
		`"callType":2,"queueId":"q1","dnis":"400","n":%d}}`
	first := h.Send(fmt.Sprintf(body, 1))[0]
	second := h.Send(fmt.Sprintf(body, 2))[0]
	subscribe("later", fine.URL)
	test := do(t, h, "POST", "/v1/subscriptions/"+ids["delivered"]+"/test", map[string]any{"type": "call.ringing"},
		http.StatusAccepted)

	// What holds each delivery shows once the first tries were made.
	said := map[string]bool{"bodyGone": true} // all reasons that were seen; that one is for TestExplainWithoutBody
	look := func(event string) explanation {
		t.Helper()
		all := explain(t, h, h.Owner, event)
		for _, line := range all {
			for _, path := range []string{"verdict", "field", "waiting.for", "uncertain"} {
				said[line.Get(path).String()] = true
			}
		}
		return all
	}
	waitsFor := func(event, name, what string) {
		t.Helper()
		hubtest.Eventually(t, name+" waits for "+what, func() bool {
			line := look(event)[name]
			return line.Get("waiting.for").String() == what
		})
	}
	waitsFor(first, "breaker", "breaker")
	waitsFor(first, "hold", "hold")
	waitsFor(first, "retry", "retry")
	waitsFor(second, "retry", "key")
	waitsFor(second, "rate", "rate")
	waitsFor(second, "slots", "slots")
	hubtest.Eventually(t, "one is delivered", func() bool {
		return explain(t, h, h.Owner, first)["delivered"].Get("state").String() == "delivered"
	})

	of := look(first)
	then := look(second)
	require.Len(t, of, len(ids), "every subscription once")
	for name, want := range map[string]string{
		"deleted": "deleted", "later": "createdLater", "types": "type", "delivered": "matched", "paused": "matched",
		"filter agentIDs": "filter", "filter departmentIds": "filter", "filter queueIds": "filter",
		"filter gatewayNumbers": "filter", "filter callTypes": "filter",
	} {
		require.Equal(t, want, of[name].Get("verdict").String(), "%s: %s", name, of[name])
	}
	require.Equal(t, `["cdr.*","chat.*"]["call.ringing"]`, of["types"].Get("wanted").Raw+of["types"].Get("found").Raw)
	for _, field := range []string{"agentIDs", "departmentIds", "queueIds", "callTypes"} {
		require.Equal(t, field, of["filter "+field].Get("field").String())
		require.NotEmpty(t, of["filter "+field].Get("wanted").Array(), field)
		require.NotEmpty(t, of["filter "+field].Get("found").Array(), field)
	}
	require.Equal(t, `["q9","q8"]["q1"]`, of["filter queueIds"].Get("wanted").Raw+of["filter queueIds"].Get("found").Raw)
	require.Equal(t, "directory", of["filter departmentIds"].Get("uncertain").String())
	require.False(t, of["filter queueIds"].Get("uncertain").Exists())
	require.True(t, of["deleted"].Get("deleted").Bool())
	require.Equal(t, "paused", of["paused"].Get("waiting.for").String())
	require.EqualValues(t, 5, of["paused"].Get("retriesLeft").Int(), "the default schedule: 1, 5, 30 s, 2, 10 min")
	require.EqualValues(t, 2, of["retry"].Get("retriesLeft").Int())
	require.NotEmpty(t, of["retry"].Get("waiting.until").String())
	require.NotEmpty(t, of["hold"].Get("waiting.until").String())
	require.Equal(t, of["retry"].Get("delivery").String(), then["retry"].Get("waiting.behind").String())
	look(gjson.GetBytes(test.Body, "event").String())

	// No reason is left out.
	for _, reason := range api.Reasons() {
		require.True(t, said[reason], "no subscription shows %q", reason)
	}
}

// Without the body of an event nobody can say which field of a filter said no.
func TestExplainWithoutBody(t *testing.T) {
	dir := t.TempDir()
	h := hubtest.Start(t, hubtest.InFolder(dir))
	r := hubtest.NewReceiver(t)
	h.Subscribe(r.URL, "name", "all", "events", calls)
	h.Subscribe(r.URL, "name", "some", "events", calls, "filter", map[string]any{"queueIds": []string{"q9"}})
	event := h.Send(hubtest.Ringing("c", 1))[0]
	r.Wait(t, 1)
	h.Stop()
	newFiller(t, dir).exec("DELETE FROM bodies")
	h.Restart()

	got := explain(t, h, h.Owner, event)
	require.Equal(t, "filter", got["some"].Get("verdict").String())
	require.Equal(t, "bodyGone", got["some"].Get("uncertain").String())
	require.False(t, got["some"].Get("field").Exists())
	require.Equal(t, "matched", got["all"].Get("verdict").String())
}

// Explanations show numbers as everything else does, and refuse what they do not know.
func TestExplainOfOthers(t *testing.T) {
	h := hubtest.Start(t)
	key := do(t, h, "POST", "/v1/tenants/demo/keys", map[string]any{"role": "auditor"},
		http.StatusCreated).JSON(t)["key"].(string)
	h.Subscribe("https://crm.example/push", "name", "line", "events", calls, "filter",
		map[string]any{"gatewayNumbers": []string{"400"}})
	event := h.Send(`{"type":"call.ringing","data":{"callID":"c","partyID":"p","thisDN":"1001","callType":2,` +
		`"gatewayNumber":"13911110001","customerNumber":"13911110001"}}`)[0]
	require.Equal(t, `["13911110001"]`, explain(t, h, h.Owner, event)["line"].Get("found").Raw)
	masked := explain(t, h, key, event)["line"]
	require.NotContains(t, masked.Raw, "13911110001")
	require.Contains(t, masked.Raw, "139****0001")

	for path, status := range map[string]int{
		"/v1/events/nothing/explain":                  http.StatusNotFound,
		"/v1/events/" + event + "/explain?limit=0":    http.StatusBadRequest,
		"/v1/events/" + event + "/explain?cursor=x":   http.StatusBadRequest,
		"/v1/events/" + event + "/explain?colour=red": http.StatusBadRequest,
	} {
		do(t, h, "GET", path, nil, status)
	}
}
