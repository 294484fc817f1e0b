package deepcall_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

const (
	queuePath  = "/api/v2/liveQueue/count"
	agentsPath = "/api/v2/Agent/live"
)

func testClock(c *config.Config) { c.TestClock = true }

// eachStore runs a test against a hub on each database, which believes X-Hookline-Now.
func eachStore(t *testing.T, test func(t *testing.T, h *hubtest.Hub)) {
	hubtest.Each(t, test, testClock)
}

// ask posts a body, its credential and all, at a moment.
func ask(h *hubtest.Hub, path, body string, now int64, headers ...string) hubtest.Answer {
	return h.Do("POST", path, "", body,
		append([]string{"Content-Type", "text/plain", "X-Hookline-Now", strconv.FormatInt(now, 10)}, headers...)...)
}

// body is that of a request with a key and what else is asked.
func body(key, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`{"ssid": %q%s}`, key, more)
}

// example is one of the documents', without the blanks that people read it with.
func example(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, raw))
	return compact.String()
}

// put a directory.
func put(t *testing.T, h *hubtest.Hub, directory map[string]any) {
	t.Helper()
	a := h.Do("PUT", "/v1/directory", h.Owner, directory)
	require.Less(t, a.Status, 300, "%s", a.Body)
}

type object = map[string]any

// status is an event of an agent's state.
func status(agent string, at time.Time, login, reason, work int) string {
	return fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": %q, "startTime": %d, "loginStatus": %d, "notReadyStatus": %d, "workStatus": %d}}`,
		agent, at.UnixMilli(), login, reason, work)
}

// send events in one request.
func send(t *testing.T, h *hubtest.Hub, events ...string) {
	t.Helper()
	a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(events, ",")+"]")
	require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
}

// The example of liveQueue/count: 13 agents, 2 of them on the web, nobody waits.
func TestQueueExample(t *testing.T) { eachStore(t, testQueueExample) }

func testQueueExample(t *testing.T, h *hubtest.Hub) {
	now := time.Date(2024, 11, 29, 4, 16, 15, 0, time.UTC)
	var agents []object
	for i := range 13 {
		agents = append(agents, object{"agentUUID": fmt.Sprintf("u%d", i), "clientType": "Web"})
	}
	put(t, h, object{"agents": agents})
	for i, login := range []int{1, 2, 0} {
		h.Send(status(fmt.Sprintf("u%d", i), now.Add(-time.Hour), login, 0, 1))
	}
	for _, path := range []string{queuePath, "/deepcall" + queuePath, queuePath + "/", "/deepcall" + queuePath + "/"} {
		a := ask(h, path, body(h.Owner, ""), now.UnixMilli())
		require.Equal(t, example(t, "live-queue.json"), string(a.Body), path)
		require.Equal(t, `W/"9f-5CvV3aU8QdyXuu8UyL7A+65/6As"`, a.Header.Get("ETag"))
		require.Equal(t, "159", a.Header.Get("Content-Length"))
		asVendor(t, a)
	}
}

// asVendor checks the headers that every answer of the documents has.
func asVendor(t *testing.T, a hubtest.Answer) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Access-Control-Allow-Origin": "*",
		"Access-Control-Allow-Methods":     "POST, GET, OPTIONS, PATCH, DELETE",
		"Access-Control-Allow-Headers":     "X-Requested-With, content-type",
		"Access-Control-Allow-Credentials": "true", "Vary": "Origin",
	} {
		require.Equal(t, want, a.Header.Get(name), name)
	}
	require.True(t, strings.HasPrefix(a.Header.Get("ETag"), fmt.Sprintf(`W/"%x-`, len(a.Body))), a.Header.Get("ETag"))
	require.Empty(t, a.Header.Get("Strict-Transport-Security"), "not over plain HTTP")
}

// The example of Agent/live: ten agents, whose statuses are of the times that it
// shows.
func TestAgentsExample(t *testing.T) { eachStore(t, testAgentsExample) }

func testAgentsExample(t *testing.T, h *hubtest.Hub) {
	now := time.Date(2024, 11, 16, 12, 19, 25, 0, time.UTC)
	ago := func(hours, minutes, seconds int) time.Time {
		return now.Add(-time.Duration(hours*3600+minutes*60+seconds) * time.Second)
	}
	var agents []object
	var events []string
	for _, a := range []struct {
		number, name string
		login        time.Time // zero: it is not
		since        int64     // Unix s
	}{
		{"468", "AAKANSHA", ago(3434, 36, 12), 1719394993},
		{"6", "Bhawna", ago(3215, 18, 22), 1720184521},
		{"3", "bhawesh", time.Time{}, 1721038439},
		{"7", "Manoj Kumar111", time.Time{}, 1728365439},
		{"5", "Brijendra", ago(698, 47, 4), 1729243941},
		{"2", "bhawesh", time.Time{}, 1729835889},
		{"8", "manoj", time.Time{}, 1729839646},
		{"9", "Sumit", time.Time{}, 1729840759},
		{"4", "vijay developer", ago(290, 26, 25), 1730872522},
		{"10", "Manoj Kumar111", time.Time{}, 1731755383},
	} {
		uuid := "u" + a.number
		agents = append(agents, object{"agentUUID": uuid, "agentID": a.number, "agentName": a.name})
		since := time.Unix(a.since, 0)
		if a.login.IsZero() {
			events = append(events, status(uuid, since.Add(-time.Hour), 1, 0, 1), status(uuid, since, 0, 0, 0))
			continue
		}
		if a.login.Before(since) { // it came, and was ready later
			events = append(events, status(uuid, a.login, 1, 0, 4))
		}
		events = append(events, status(uuid, since, 1, 0, 1))
	}
	send(t, h, events...)
	put(t, h, object{"agents": agents})
	a := ask(h, agentsPath, fmt.Sprintf(`{"userId":"7","token":%q}`, h.Owner), now.UnixMilli())
	require.Equal(t, example(t, "agent-live.json"), string(a.Body))
	require.Equal(t, `W/"63e-/9QZd66dA5U3H0/g7We2krINLlM"`, a.Header.Get("ETag"))
	require.Equal(t, "1598", a.Header.Get("Content-Length"))
	asVendor(t, a)
	h.Restart()
	for _, path := range []string{"/deepcall" + agentsPath, agentsPath + "/", "/deepcall" + agentsPath + "/"} {
		require.Equal(t, example(t, "agent-live.json"), string(ask(h, path, body(h.Owner, ""), now.UnixMilli()).Body), path)
	}
}

// refused checks a failure: code, message, and HTTP status.
func refused(t *testing.T, a hubtest.Answer, status, code int, message string) {
	t.Helper()
	require.Equal(t, fmt.Sprintf(`{"status":"error","message":%q,"code":%d}`, message, code), string(a.Body))
	require.Equal(t, status, a.Status)
	asVendor(t, a)
}

func newKey(t *testing.T, h *hubtest.Hub, company, role string) string {
	t.Helper()
	a := h.Do("POST", "/v1/tenants/"+company+"/keys", hubtest.PlatformKey, object{"role": role, "name": role})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	return a.JSON(t)["key"].(string)
}

// Who may ask, and the rules between ssid, userId and token.
func TestCredentials(t *testing.T) {
	h := hubtest.Start(t)
	query := newKey(t, h, "demo", "query")
	for _, path := range []string{queuePath, agentsPath} {
		try := func(body string) hubtest.Answer { return h.Do("POST", path, "", body) }
		for _, fine := range []string{
			`{"ssid": "` + query + `"}`, `{"ssid": " ` + h.Owner + ` "}`, `{"userId": "anybody", "token": "` + query + `"}`,
			`{"ssid": "", "userId": "7", "token": "` + query + `"}`, `{"ssid": "` + query + `", "userId": null, "token": ""}`,
		} {
			a := try(fine)
			require.Equal(t, http.StatusOK, a.Status)
			require.Contains(t, string(a.Body), `"status":"success","code":200}`, fine)
		}
		refused(t, try(`{}`), 200, 1020, "Token not found")
		refused(t, try(`{"userId": "7"}`), 200, 1020, "Token not found")
		refused(t, try(`{"token": "`+query+`"}`), 200, 1002, "UserId not provided")
		refused(t, try(`{"ssid": "`+query+`", "userId": "7", "token": "`+query+`"}`), 200, 1000,
			"Invalid parameter(s): ssid must not be there with userId and token")
		refused(t, try(`{"ssid": "`+query+`", "token": "`+query+`"}`), 200, 1000,
			"Invalid parameter(s): ssid must not be there with userId and token")
		refused(t, try(`{"ssid": 7}`), 200, 1001, "Invalid data type: ssid must be a string")
		refused(t, try(`{"ssid": "hk_demo_wrongwrongwrongwrong"}`), 200, 1014, "Invalid token")
		refused(t, try(`{"userId": "7", "token": "nothing"}`), 200, 1014, "Invalid token")
		for _, role := range []string{"ingest", "auditor"} {
			refused(t, try(`{"ssid": "`+newKey(t, h, "demo", role)+`"}`), 200, 1015, "Permission denied")
		}
		refused(t, try(`{"ssid": "`+hubtest.PlatformKey+`"}`), 200, 1015, "Permission denied")
		// A key in a header is none.
		refused(t, h.Do("POST", path, query, `{}`), 200, 1020, "Token not found")
		refused(t, try(`[]`), 200, 1047, "Invalid Request Data: body must be a JSON object")
		refused(t, try(`{"ssid": "`+strings.Repeat("x", 5000)+`"}`), 200, 1000,
			"Invalid parameter(s): ssid must not be longer than 4096 bytes")
		refused(t, try(`{"ssid": "`+query+`", "filter": "`+strings.Repeat("x", 1<<20)+`"}`), 200, 1047,
			"Invalid Request Data: body must not be larger than 16384 bytes")
		refused(t, h.Do("POST", path, "", `{}`, "Content-Encoding", "gzip"), 200, 1047,
			"Invalid Request Data: body must not be encoded")
	}
	// Any content type does, and none.
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json", "nonsense"} {
		require.Contains(t, string(h.Do("POST", queuePath, "", body(query, ""), "Content-Type", ct).Body), `"code":200`, ct)
	}
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"suspended": true}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	refused(t, h.Do("POST", queuePath, "", body(query, "")), 200, 1039, "User account suspended")
}

// With the tenant's setting the outcome is the HTTP status as well.
func TestStatusErrors(t *testing.T) {
	h := hubtest.Start(t)
	set := func(settings string) {
		a := h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings": `+settings+`}`)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	}
	set(`{"deepcall.httpStatusErrors": true}`)
	try := func(body string) hubtest.Answer { return h.Do("POST", agentsPath, "", body) }
	refused(t, try(`{"ssid": "`+newKey(t, h, "demo", "ingest")+`"}`), 403, 1015, "Permission denied")
	refused(t, try(body(h.Owner, `"groupid": "7"`)), 400, 1006, "GroupId does not exist")
	refused(t, try(body(h.Owner, `"status": "x"`)), 400, 1508, "Invalid status value: status must be all or login")

	// Without a right key nothing tells whether a tenant exists, and what it has set.
	refused(t, try(`{}`), 200, 1020, "Token not found")
	for _, company := range []string{"demo", "nobody"} {
		wrong := "hk_" + company + "_wrongwrongwrongwrong"
		refused(t, try(`{"ssid": "`+wrong+`"}`), 200, 1014, "Invalid token")
		refused(t, try(`{"ssid": "`+wrong+`", "token": "x"}`), 200, 1000,
			"Invalid parameter(s): ssid must not be there with userId and token")
	}
	set(`{"deepcall.httpStatusErrors": false}`)
	refused(t, try(body(h.Owner, `"groupid": "7"`)), 200, 1006, "GroupId does not exist")
	for _, bad := range []string{
		`{"deepcall.httpStatusErrors": "yes"}`, `{"deepcall.defaultGroup": 55}`, `{"deepcall.defaultGroup": ""}`,
	} {
		require.Equal(t, http.StatusUnprocessableEntity,
			h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings": `+bad+`}`).Status, bad)
	}
}

// Pages of other sites may ask here, and nowhere else.
func TestCORS(t *testing.T) {
	h := hubtest.Start(t)
	origin := []string{"Origin", "https://crm.example.com", "Access-Control-Request-Method", "POST"}
	for _, path := range []string{queuePath, agentsPath, agentsPath + "/", "/deepcall" + queuePath} {
		a := h.Do("OPTIONS", path, "", nil, origin...)
		require.Equal(t, http.StatusNoContent, a.Status)
		require.Empty(t, a.Body)
		require.Equal(t, "*", a.Header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, a.Header.Get("Access-Control-Allow-Methods"), "POST")
	}
	for _, path := range []string{
		"/v1/events", "/healthz", "/tokens/company", "/callservice/tm/tm-reports/maincdrs/_search",
	} {
		require.Empty(t, h.Do("OPTIONS", path, "", nil, origin...).Header.Get("Access-Control-Allow-Origin"), path)
		require.Empty(t, h.Do("POST", path, "", `{}`, origin...).Header.Get("Access-Control-Allow-Origin"), path)
	}
	refused(t, h.Do("POST", "/api/v2/liveQueue/list", "", `{}`), 404, 1047,
		"Invalid Request Data: there is nothing at this path")
	a := h.Do("GET", agentsPath, "", nil)
	refused(t, a, 405, 1047, "Invalid Request Data: this path has no such method; see the header Allow")
	require.Contains(t, a.Header.Get("Allow"), "POST")
}
