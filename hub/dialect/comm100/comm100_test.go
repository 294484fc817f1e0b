package comm100_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

func eachStore(t *testing.T, test func(t *testing.T, h *hubtest.Hub)) {
	clock := func(c *config.Config) { c.TestClock = true }
	hubtest.Each(t, test, clock)
}

const (
	base = "/v4/livechat/realTime/"
	// The day of the document's sample, in the zone of these tests.
	midnight = 1_656_979_200_000 // 2022-07-05 00:00 UTC
	second   = 1000
	hour     = 3600 * second
)

// at asks at a moment.
func at(now int64) []string { return []string{"X-Hookline-Now", strconv.FormatInt(now, 10)} }

func send(t *testing.T, h *hubtest.Hub, events ...string) {
	t.Helper()
	for _, e := range events {
		got := h.Do("POST", "/v1/events", h.Owner, e)
		require.Equal(t, http.StatusAccepted, got.Status, "%s", got.Body)
	}
}

func event(typ, body string, args ...any) string {
	return fmt.Sprintf(`{"type": %q, "data": %s}`, typ, fmt.Sprintf(body, args...))
}

func directory(t *testing.T, h *hubtest.Hub, body string) {
	t.Helper()
	got := h.Do("PUT", "/v1/directory", h.Owner, body)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
}

// golden is a sample of the document, without its blanks.
func golden(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	out, err := json.Marshal(json.RawMessage(raw))
	require.NoError(t, err)
	return string(out)
}

// The samples of the document, from events. Its times of 100 ns cannot be, as events
// have ms. Queue's sample is of types, not of values: it has what can be of it.
func TestDocumentExamples(t *testing.T) { eachStore(t, testDocumentExamples) }

func testDocumentExamples(t *testing.T, h *hubtest.Hub) {
	send(t, h, event("visitor.arrived", `{"visitorId": "v", "at": %d}`, midnight))
	ids := []string{
		"51f36e1a-d521-43bf-a0a8-20cbade284e4", "841d966b-744b-405e-86d1-7e8c573ebc60",
		"74ed2bc3-a41f-4dc8-9ae0-f562ebea5943",
		"7bf10c1d-2973-4848-b08f-cd5195e6b337", "ed22fff9-5000-4430-8a32-efb530c9f049",
	}
	var agents []string
	for i, name := range []string{"srita2 chen", "srita chen 10001", " frank 10001", "1 1", "1000 1"} {
		agents = append(agents,
			fmt.Sprintf(`{"agentUUID": "a%d", "agentID": "%d", "agentName": %q, "chatAgentId": %q, "maxConcurrentChats": 0}`, i,
				i+1, name, ids[i]))
	}
	for i := range 27 {
		agents = append(agents, fmt.Sprintf(`{"agentUUID": "b%d", "agentID": "%d"}`, i, 100+i))
	}
	directory(t, h, `{"agents": [`+strings.Join(agents, ",")+`]}`)
	now := int64(midnight + 20*hour)
	for i, had := range []int64{6*hour + 53*60*second + 57_050, 20*60*second + 38_265} {
		send(
			t, h,
			event("agent.status", `{"agentUUID": "a%d", "startTime": %d, "loginStatus": 1, "workStatus": 1}`, i, midnight-hour),
			event("chat.accepted", `{"chatId": "past-%d", "at": %d, "agentUUID": "a%d"}`, i, midnight-hour, i),
			event("chat.ended", `{"chatId": "past-%d", "at": %d}`, i, midnight+had),
			event("chat.accepted", `{"chatId": "now-%d", "at": %d, "agentUUID": "a%d"}`, i, now-hour, i),
		)
	}
	window := "?utcOffset=0&startTime=2022-07-05T00:00:00&endTime=2022-07-05T10:00:00"
	got := h.Do("GET", base+"Agents"+window, h.Owner, nil, at(now)...)
	require.Equal(t, golden(t, "agents"), string(got.Body))
	// Without parameters, as the document asks, the pages are its own.
	page := h.Do("GET", base+"Agents", h.Owner, nil, at(now)...).JSON(t)
	require.Equal(t, []any{32.0, 7.0, 1.0, 5.0},
		[]any{page["total"], page["pageCount"], page["pageIndex"], page["pageSize"]})
	require.Len(t, page["list"], 5)

	// A chat that goes on with an agent of whom nothing is known.
	send(
		t, h,
		event("chat.ended", `{"chatId": "now-0", "at": %d}`, now), event("chat.ended", `{"chatId": "now-1", "at": %d}`, now),
		event("chat.accepted", `{"chatId": "nobody", "at": %d}`, now),
	)
	got = h.Do("GET", base+"RightNow", h.Owner, nil, at(now)...)
	require.Equal(t, golden(t, "rightnow"), string(got.Body))
	require.Equal(t, "application/json; charset=utf-8", got.Header.Get("Content-Type"))

	// Today two weeks before: nobody asked for a chat, and the one agent there was had
	// one all day.
	const before = midnight - 14*24*hour
	send(
		t, h,
		event("agent.status", `{"agentUUID": "a2", "startTime": %d, "loginStatus": 2, "notReadyStatus": 1}`, before-hour),
		event("agent.status", `{"agentUUID": "a2", "startTime": %d, "loginStatus": 0}`, before+25*hour),
		event("chat.requested", `{"chatId": "long", "at": %d}`, before-hour),
		event("chat.accepted", `{"chatId": "long", "at": %d, "agentUUID": "a2"}`, before-hour),
		event("chat.ended", `{"chatId": "long", "at": %d}`, before+25*hour),
	)
	got = h.Do("GET", base+"Today?startTime=2022-06-21T00:00:00&endTime=2022-06-21T23:59:59&utcOffset=0", h.Owner, nil,
		at(now)...)
	require.Equal(t, golden(t, "today"), string(got.Body))

	const guid = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	directory(t, h,
		`{"departments": [{"departmentId": "d", "guid": "`+guid+`", "name": "string", "description": "string"}]}`)
	send(t, h,
		event("chat.requested", `{"chatId": "w", "at": %d, "departmentId": "d", "visitorId": %q, "contactIdentityId": %q}`,
			now, guid, guid))
	got = h.Do("GET", base+"Queue", h.Owner, nil, at(now)...)
	require.Equal(t, golden(t, "queue"), string(got.Body))
	require.NotContains(t, string(got.Body), "apiKey")
}

// Every figure of Today, Agents and Queue once with a value that is not 0.
func TestFigures(t *testing.T) { eachStore(t, testFigures) }

func testFigures(t *testing.T, h *hubtest.Hub) {
	const now = midnight + 10*hour
	directory(t, h, `{"agents": [{"agentUUID": "a", "agentID": "7", "agentName": "Ann", "departmentIds": ["d"], "maxConcurrentChats": 4}],
		"departments": [{"departmentId": "d", "guid": "6f1c1c1e-7a0c-4a6e-9f5e-111111111111", "name": "Sales"}]}`)
	send(
		t, h,
		event("agent.status", `{"agentUUID": "a", "startTime": %d, "loginStatus": 1}`, midnight+8*hour),
		event("agent.status", `{"agentUUID": "a", "startTime": %d, "loginStatus": 2, "notReadyStatus": 11}`, midnight+9*hour),
		// First a bot, then the agent; rated.
		event("chat.requested", `{"chatId": "1", "at": %d, "visitorId": "v1", "invited": true, "departmentId": "d"}`,
			now-2*hour),
		event("chat.accepted", `{"chatId": "1", "at": %d, "handledBy": "bot"}`, now-2*hour+2*second),
		event("chat.transferred", `{"chatId": "1", "at": %d, "toDepartmentId": "d"}`, now-2*hour+4*second),
		event("chat.accepted", `{"chatId": "1", "at": %d, "agentUUID": "a"}`, now-2*hour+10*second),
		event("chat.ended", `{"chatId": "1", "at": %d, "reason": "closed", "agentReplies": 4, "agentResponseMs": 6000}`,
			now-2*hour+102*second),
		event("chat.rated", `{"chatId": "1", "at": %d, "score": 4.5}`, now-2*hour+103*second),
		// Gone while they waited.
		event("chat.requested", `{"chatId": "2", "at": %d, "visitorId": "v1", "departmentId": "d"}`, now-10*60*second),
		event("chat.missed", `{"chatId": "2", "at": %d, "agentUUID": "a"}`, now-9*60*second),
		event("chat.ended", `{"chatId": "2", "at": %d, "reason": "abandoned"}`, now-10*60*second+5*second),
		event("chat.requested", `{"chatId": "3", "at": %d, "departmentId": "other"}`, now-10*60*second),
		event("chat.ended", `{"chatId": "3", "at": %d, "reason": "switched_to_message"}`, now-10*60*second+5*second),
		// Waits, and goes on.
		event("chat.requested", `{"chatId": "4", "at": %d}`, now-65*second),
		event("chat.requested", `{"chatId": "5", "at": %d, "visitorId": "v2", "departmentId": "d"}`, now-40*60*second),
		event("chat.accepted", `{"chatId": "5", "at": %d, "agentUUID": "a"}`, now-40*60*second+8*second),
	)
	got := h.Do("GET", base+"today?starttime=2022-07-05T08:00:00&UTCOFFSET=0", h.Owner, nil, at(now)...)
	require.JSONEq(t, `{"chatRequests": 5, "totalChats": 2, "chats": 2, "chatAcceptanceRate": 0.4, "abandondedChats": 1, "switchedToMessageChats": 1,
		"missedChats": 1, "avgWaitingTime": 5.0, "avgChatTime": 100.0, "agentAvgResponseTime": 1.5, "acceptedInvitations": 1,
		"serviceAccessibilityRate": 0.5, "departmentTransferredChats": 1, "totalTransferredChats": 1, "uniqueChatRate": 1.0,
		"agentUtilization": `+strconv.FormatFloat(float64(92+40*60-8)/7200, 'f', -1, 64)+`, "avgScore": 4.5}`, string(got.Body))
	require.Contains(t, string(got.Body), `"avgWaitingTime":5.0,`, "doubles have a decimal")

	got = h.Do("GET", base+"Agents?includeStatusDistribution=True&utcOffset=0&startTime=2022-07-05T08:00:00", h.Owner, nil,
		at(now)...)
	require.JSONEq(t, `{"total": 1, "pageCount": 1, "list": [{"agentId": "a", "displayName": "Ann", "currentStatusId": "00000000-0000-0000-0000-000000000001",
		"ongoingChats": 1, "maxConcurrentChats": 4, "intradayChats": 2, "intradayLinearChatTime": "00:41:24",
		"statusDistribution": {"00000000-0000-0000-0000-000000000000": "01:00:00", "00000000-0000-0000-0000-000000000001": "01:00:00"}}],
		"pageIndex": 1, "pageSize": 5}`, string(got.Body))
	for _, d := range []string{"d", "6f1c1c1e-7a0c-4a6e-9f5e-111111111111"} {
		require.EqualValues(t, 1, h.Do("GET", base+"Agents?departmentId="+d, h.Owner, nil, at(now)...).JSON(t)["total"])
	}
	require.EqualValues(t, 0, h.Do("GET", base+"Agents?departmentId=nosuch", h.Owner, nil, at(now)...).JSON(t)["total"])
	require.Empty(t, h.Do("GET", base+"Agents?pageIndex=2", h.Owner, nil, at(now)...).JSON(t)["list"])

	got = h.Do("PATCH", "/v1/tenants/demo", h.Owner,
		`{"settings": {"comm100.statusIds": {"11": "5827eacf-c08e-4eb9-b09c-00155d081d0b"}}}`)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
	require.Contains(t, string(h.Do("GET", base+"Agents", h.Owner, nil, at(now)...).Body),
		`"currentStatusId":"5827eacf-c08e-4eb9-b09c-00155d081d0b"`)

	var queue []map[string]any
	require.NoError(t, json.Unmarshal(h.Do("GET", "/V4/LIVECHAT/realtime/queue/", h.Owner, nil, at(now)...).Body, &queue))
	require.Len(t, queue, 3, "the site, the directory's department, the other one")
	shown := func(q map[string]any) string {
		return fmt.Sprintln(q["routeToDepartmentId"], q["ongoingChats"], q["maxConcurrentChats"], q["currentQueueLength"],
			q["avgWaitTimeinLast30Mins"],
			q["avgWaitTimeinLast60Mins"], q["abandonedChatsinLast30Mins"], q["switchedtoMessagesinLast30Mins"],
			len(q["visitors"].([]any)))
	}
	require.Equal(t, "<nil> 0 4 1 00:00:00 00:00:00 0 0 1\n", shown(queue[0]))
	require.Equal(t, "6f1c1c1e-7a0c-4a6e-9f5e-111111111111 1 4 0 00:00:05 00:00:06.5000000 1 0 0\n", shown(queue[1]))
	require.Equal(t, "other", queue[2]["routeToDepartment"].(map[string]any)["id"])
	require.EqualValues(t, 1, queue[2]["switchedtoMessagesinLast30Mins"])
	require.Equal(t, "00:01:05", queue[0]["visitors"].([]any)[0].(map[string]any)["waitTime"])

	require.JSONEq(t, `{"agentsInChat": 1, "ongoingChats": 1, "ongoingChatsWithAgent": 1, "ongoingChatsWithBot": 0, "currentQueueLength": 1,
		"visitorOnSite": 0, "loggedInAgents": 1, "chatUtilization": 0.25}`, string(h.Do("GET", base+"RightNow?startTime=2020-01-01T00:00:00", h.Owner, nil, at(now)...).Body))
}

func TestBadParameters(t *testing.T) {
	h := hubtest.Start(t)
	for query, message := range map[string]string{
		"Today":                               "startTime: is required",
		"Today?startTime=2022-07-05":          "startTime: must be a time, yyyy-mm-ddThh:mm:ss, from 1970 on; a fraction, Z or an offset may follow",
		"Today?startTime=1969-07-05T00:00:00": "startTime: must be a time, yyyy-mm-ddThh:mm:ss, from 1970 on; a fraction, Z or an offset may follow",
		"Today?startTime=2022-07-05T00:00:00&endTime=2022-07-04T00:00:00":    "endTime: is before startTime",
		"RightNow?startTime=2022-07-05T00:00:00&endTime=2022-07-04T00:00:00": "endTime: is before startTime",
		"RightNow?startTime=x":                 "startTime: must be a time, yyyy-mm-ddThh:mm:ss, from 1970 on; a fraction, Z or an offset may follow",
		"Agents?pageSize=101":                  "pageSize: must be a whole number from 1 to 100",
		"Agents?pageIndex=0":                   "pageIndex: must be a whole number from 1 to 1000000",
		"Agents?includeStatusDistribution=2":   "includeStatusDistribution: must be true or false",
		"Agents?utcOffset=1000":                "utcOffset: must be a whole number: minutes from -840 to 840, or hours from -14 to 14",
		"Agents?departmentId=a&DEPARTMENTID=b": "is given more than once",
		"Queue?a=%zz":                          "query: is malformed",
	} {
		got := h.Do("GET", base+query, h.Owner, nil)
		require.Equal(t, http.StatusBadRequest, got.Status, query)
		body := got.JSON(t)
		require.EqualValues(t, 400, body["errorCode"])
		require.Contains(t, body["errorMessage"], message, query)
	}
	require.Equal(t, http.StatusOK,
		h.Do("GET", base+"Agents?departmentId="+strings.Repeat("x", 5000), h.Owner, nil).Status)
	for path, status := range map[string]int{base + "nothing": 404, "/v4/other": 404} {
		got := h.Do("GET", path, h.Owner, nil)
		require.Equal(t, status, got.Status)
		require.EqualValues(t, status, got.JSON(t)["errorCode"])
	}
	require.Equal(t, http.StatusMethodNotAllowed, h.Do("POST", base+"Queue", h.Owner, nil).Status)
}

// A wall time without utcOffset is in the tenant's zone.
func TestZones(t *testing.T) {
	h := hubtest.Start(t, func(c *config.Config) { c.TestClock = true })
	send(t, h, event("chat.requested", `{"chatId": "1", "at": %d}`, midnight))
	requests := func(query string) any {
		return h.Do("GET", base+"Today?"+query, h.Owner, nil, at(midnight+hour)...).JSON(t)["chatRequests"]
	}
	require.EqualValues(t, 1, requests("startTime=2022-07-05T08:00:00"), "the demo tenant is in Singapore")
	require.EqualValues(t, 0, requests("startTime=2022-07-05T08:00:01"))
	for _, offset := range []string{"8", "480"} {
		require.EqualValues(t, 1, requests("startTime=2022-07-05T08:00:00&utcOffset="+offset))
		require.EqualValues(t, 0, requests("startTime=2022-07-05T08:00:01&utcOffset="+offset))
	}
	require.EqualValues(t, 1, requests("startTime=2022-07-05T00:00:00&endTime=2022-07-05T00:00:00&utcOffset=0"),
		"the last second is whole")
	require.EqualValues(t, 1, requests("startTime=2022-07-04T19:30:00&utcOffset=-270"))

	// A time may say its own offset, whatever utcOffset is, and a fraction of a second.
	for query, want := range map[string]int{
		"startTime=2022-07-05T00:00:00Z":                                    1,
		"startTime=2022-07-05T00:00:00Z&utcOffset=480":                      1,
		"startTime=2022-07-05T00:00:00.001Z":                                0,
		"startTime=2022-07-05T00:00:00.0000000Z":                            1,
		"startTime=2022-07-05T08:00:00.000":                                 1,
		"startTime=2022-07-05T05:30:00%2B05:30":                             1,
		"startTime=2022-07-05T05:30:00.000+05:30":                           1, // a + in a query is a blank
		"startTime=2022-07-05T05:30:01%2B0530":                              0,
		"startTime=2022-07-04T21:00:00-03:00":                               1,
		"startTime=2022-07-04T00:00:00Z&endTime=2022-07-04T23:59:59.999Z":   0, // the day is over
		"startTime=2022-07-04T00:00:00Z&endTime=2022-07-05T00:00:00Z":       1,
		"startTime=2022-07-04T00:00:00Z&endTime=2022-07-05T08:00:00%2B0800": 1,
	} {
		require.EqualValues(t, want, requests(query), query)
	}
}

func TestWhoMayAsk(t *testing.T) {
	h := hubtest.Start(t)
	ingest := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role": "ingest", "name": "i"}`).JSON(t)
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		auth   string
		status int
	}{
		{"Bearer " + h.Owner, 200},
		{"bearer  " + h.Owner, 200},
		{basic("a@b.com:" + h.Owner), 200},
		{"", 401},
		{h.Owner, 401},
		{"Bearer", 401},
		{"Bearer x", 401},
		{basic(h.Owner), 401},
		{basic("a@b.com:"), 401},
		{"Basic ???", 401},
		{"Bearer " + ingest["key"].(string), 403},
	} {
		headers := []string{"Authorization", c.auth}
		if c.auth == "" {
			headers = nil
		}
		got := h.Do("GET", base+"RightNow?siteId=1", "", nil, headers...)
		require.Equal(t, c.status, got.Status, c.auth)
		if c.status == 401 {
			require.Equal(t, []string{"Bearer", `Basic realm="hookline"`}, got.Header.Values("WWW-Authenticate"))
		}
	}
}

func TestRateLimit(t *testing.T) {
	h := hubtest.Start(t)
	got := h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings": {"comm100.rateLimit": 2}}`)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
	for range 2 {
		require.Equal(t, http.StatusOK, h.Do("GET", base+"RightNow", h.Owner, nil).Status)
	}
	got = h.Do("GET", base+"RightNow", h.Owner, nil)
	require.Equal(t, http.StatusTooManyRequests, got.Status)
	require.EqualValues(t, 429, got.JSON(t)["errorCode"])
	wait, err := strconv.Atoi(got.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.True(t, wait > 0 && wait <= 300, wait)
	for _, bad := range []string{
		`{"comm100.rateLimit": 0}`, `{"comm100.statusIds": {"x": "5827eacf-c08e-4eb9-b09c-00155d081d0b"}}`,
		`{"comm100.statusIds": {"11": "no"}}`,
	} {
		require.Equal(t, http.StatusUnprocessableEntity,
			h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings": `+bad+`}`).Status, bad)
	}
}

// An agent to whom a waiting chat is routed has an element of its own, with the figures
// of the chats that are routed there. They are in that of their department, too.
func TestQueueOfAnAgent(t *testing.T) { eachStore(t, testQueueOfAnAgent) }

func testQueueOfAnAgent(t *testing.T, h *hubtest.Hub) {
	const now = midnight + 10*hour
	directory(t, h, `{"agents": [{"agentUUID": "a", "agentID": "7", "agentName": " Ann", "email": "ann@example.com", "departmentIds": ["d", "x"],
			"chatAgentId": "3fa85f64-5717-4562-b3fc-2c963f66afa6"}, {"agentUUID": "b"}],
		"departments": [{"departmentId": "d", "guid": "6f1c1c1e-7a0c-4a6e-9f5e-111111111111", "name": "Sales", "siteId": 9}]}`)
	entered := func(chat, agent string, at int64) string {
		return event("queue.entered", `{"contactId": %q, "media": "chat", "queueId": "q", "enteredAt": %d, "agentUUID": %q}`,
			chat, at, agent)
	}
	send(
		t, h,
		event("chat.requested", `{"chatId": "w", "at": %d, "visitorId": "v", "departmentId": "d"}`,
			now-65*second), entered("w", "a", now-60*second),
		// Routed to a, and gone: accepted after 4 s and going on, abandoned after 8 s, long ago.
		event("chat.requested", `{"chatId": "1", "at": %d}`, now-20*60*second), entered("1", "a", now-20*60*second),
		event("chat.accepted", `{"chatId": "1", "at": %d, "agentUUID": "a"}`, now-20*60*second+4*second),
		event("chat.requested", `{"chatId": "2", "at": %d}`, now-20*60*second), entered("2", "a", now-20*60*second),
		event("chat.ended", `{"chatId": "2", "at": %d, "reason": "abandoned"}`, now-20*60*second+8*second),
		event("chat.requested", `{"chatId": "3", "at": %d}`, now-40*60*second), entered("3", "a", now-40*60*second),
		event("chat.ended", `{"chatId": "3", "at": %d, "reason": "switched_to_message"}`, now-40*60*second+18*second),
		// Routed to somebody else before it was to a; and for a, but to nobody.
		event("chat.requested", `{"chatId": "4", "at": %d}`,
			now-10*60*second), entered("4", "a", now-10*60*second), entered("4", "b", now-9*60*second),
		event("chat.ended", `{"chatId": "4", "at": %d, "reason": "abandoned"}`, now-8*60*second),
		event("chat.requested", `{"chatId": "5", "at": %d}`, now-30*second), entered("5", "", now-30*second),
	)
	var queue []map[string]any
	got := h.Do("GET", base+"Queue", h.Owner, nil, at(now)...)
	require.NoError(t, json.Unmarshal(got.Body, &queue), "%s", got.Body)
	require.Len(t, queue, 3, "the site, the department, the agent")
	require.EqualValues(t, 1, queue[1]["currentQueueLength"], "its department has the chat, too")
	raw, err := json.Marshal(queue[2])
	require.NoError(t, err)
	require.JSONEq(t, `{"routeToDepartmentId": null, "routeToDepartment": null, "routeToAgentId": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
		"routeToAgent": {"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "displayName": " Ann", "email": "ann@example.com", "isAdmin": false, "siteId": 9,
			"firstName": "", "lastName": "", "isActive": true, "phone": "", "title": "", "bio": "", "apiKey": "", "createdTime": "0001-01-01T00:00:00Z",
			"isLocked": false, "lockedTime": "0001-01-01T00:00:00Z", "isDeleted": false, "systemAvatarId": "00000000-0000-0000-0000-000000000000",
			"ifCustomizeAvatar": false, "customizeAvatar": "", "avatar": "", "departmentIds": ["6f1c1c1e-7a0c-4a6e-9f5e-111111111111", "x"]},
		"ongoingChats": 1, "maxConcurrentChats": 2, "currentQueueLength": 1, "avgWaitTimeinLast30Mins": "00:00:06", "avgWaitTimeinLast60Mins": "00:00:10",
		"abandonedChatsinLast30Mins": 1, "switchedtoMessagesinLast30Mins": 0,
		"visitors": [{"visitorId": "v", "contactIdentityId": "", "waitTime": "00:01:05"}]}`, string(raw))
	require.True(t,
		strings.HasPrefix(string(got.Body),
			`[{"routeToDepartmentId":null,"routeToDepartment":null,"routeToAgentId":null,"routeToAgent":null,`),
		"%s", got.Body)

	// Once it is accepted nobody waits for the agent.
	send(t, h, event("chat.accepted", `{"chatId": "w", "at": %d, "agentUUID": "a"}`, now))
	require.NoError(t, json.Unmarshal(h.Do("GET", base+"Queue", h.Owner, nil, at(now+1)...).Body, &queue))
	require.Len(t, queue, 2)
}
