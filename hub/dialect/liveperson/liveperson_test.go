package liveperson_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

const demo = "/operations/api/account/demo/queuestate"

func testClock(c *config.Config) { c.TestClock = true }

// eachStore runs a test against a hub on each database, which believes X-Hookline-Now.
func eachStore(t *testing.T, test func(t *testing.T, h *hubtest.Hub)) {
	hubtest.Each(t, test, testClock)
}

type object = map[string]any

func put(t *testing.T, h *hubtest.Hub, directory object) {
	t.Helper()
	a := h.Do("PUT", "/v1/directory", h.Owner, directory)
	require.Less(t, a.Status, 300, "%s", a.Body)
}

// ask for the state at a moment.
func ask(t *testing.T, h *hubtest.Hub, query string, now int64) string {
	t.Helper()
	a := h.Do("GET", demo+"?"+query, h.Owner, nil, "X-Hookline-Now", strconv.FormatInt(now, 10))
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	return string(a.Body)
}

// The four examples of the document: what waits, from queue events, and what the
// agents of four skills have free.
func TestDocumentExamples(t *testing.T) { eachStore(t, testDocumentExamples) }

func testDocumentExamples(t *testing.T, h *hubtest.Hub) {
	const now = 1_700_020_800_000
	var agents, queues []object
	var events []string
	for i, skill := range []struct {
		slots, size int
		wait        int64
	}{{5, 5, 15253}, {11, 14, 75388}, {6, 15, 15253}, {27, 0, 0}} {
		id := strconv.Itoa(i + 1)
		queues = append(queues, object{"queueId": id, "media": "chat"})
		agent := "u" + id
		agents = append(agents, object{"agentUUID": agent, "queueIds": []string{id}, "maxConcurrentChats": skill.slots})
		events = append(events,
			fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": %q, "startTime": %d, "loginStatus": 1, "workStatus": 1}}`,
				agent, now-3_600_000))
		for n := range skill.size {
			events = append(events,
				fmt.Sprintf(`{"type": "queue.entered", "data": {"contactId": "c%d-%d", "media": "chat", "queueId": %q, "enteredAt": %d}}`,
					i, n, id, now-skill.wait+int64(n)*100))
		}
	}
	put(t, h, object{"agents": agents, "queues": queues})
	a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(events, ",")+"]")
	require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	for query, name := range map[string]string{
		"v=1": "all-v1", "v=1&skillIds=all": "all-v1", "skillIds=&v=2": "all-v2", "v=1&skillIds=1,2": "skills-1-2-v1",
	} {
		require.Equal(t, example(t, name), ask(t, h, query, now), query)
	}
	// The last example is of another time, at which the first of skill 1 has waited longer.
	require.Equal(t, example(t, "skills-1-100-v2"), ask(t, h, "v=2&skillIds=1,100", now+65203-15253))
	h.Restart()
	require.Equal(t, example(t, "all-v2"), ask(t, h, "v=2", now))
}

func example(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(t, err)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, raw))
	return compact.String()
}

// Skills without data count for nothing, all come in the order of their numbers,
// and a list in its own.
func TestSkills(t *testing.T) {
	h := hubtest.Start(t, testClock)
	const now = 1_700_020_800_000
	require.JSONEq(t,
		`{"skills":{},"totals":{"currentAvailableSlots":0,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1}}`,
		ask(t, h, "v=2", now))
	require.JSONEq(t, `{"skills":{},"totals":{"currentAvailableSlots":0,"currentQueueSize":0}}`,
		ask(t, h, "v=1&skillIds=all", now))
	put(t, h, object{
		"queues": []object{{"queueId": "10"}, {"queueId": "9", "media": "call"}, {"queueId": "sales"}},
		"agents": []object{
			{"agentUUID": "a", "queueIds": []string{"9", "10", "nowhere"}, "maxConcurrentChats": 3},
			{"agentUUID": "b", "queueIds": []string{"sales"}, "maxConcurrentChats": -1},
			{"agentUUID": "c", "queueIds": []string{"9", "10", "sales"}, "maxConcurrentChats": 2},
		},
	})
	h.Send(
		`{"type": "queue.entered", "data": {"contactId": "x", "media": "call", "queueId": "2", "enteredAt": 1700020790000}}`,
		`{"type": "queue.left", "data": {"contactId": "x", "media": "call", "queueId": "2", "leftAt": 1700020791000}}`,
		// not ready for calls
		`{"type": "agent.status", "data": {"agentUUID": "a", "startTime": 1700020000000, "loginStatus": 1, "workStatus": 4}}`,
		`{"type": "agent.status", "data": {"agentUUID": "b", "startTime": 1700020000000, "loginStatus": 1, "workStatus": 1}}`,
		// not online
		`{"type": "agent.status", "data": {"agentUUID": "c", "startTime": 1700020000000, "loginStatus": 2, "workStatus": 1}}`,
	)
	require.Equal(t, `{"skills":{"2":{"currentAvailableSlots":0,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1},"9":{"currentAvailableSlots":0,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1},`+
		`"10":{"currentAvailableSlots":3,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1},"sales":{"currentAvailableSlots":1,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1}},`+
		`"totals":{"currentAvailableSlots":4,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1}}`, ask(t, h, "v=7", now))
	require.Equal(t, `{"skills":{"100":{"currentAvailableSlots":-1,"currentQueueSize":-1},"10":{"currentAvailableSlots":3,"currentQueueSize":0}},"totals":{"currentAvailableSlots":3,"currentQueueSize":0}}`,
		ask(t, h, "v=1&skillIds=100,10,100", now))
	require.JSONEq(t, `{"skills":{"7":{"currentAvailableSlots":-1,"currentQueueSize":-1,"currentMaxWaitTimeInQueue":-1}},"totals":{"currentAvailableSlots":0,"currentQueueSize":0,"currentMaxWaitTimeInQueue":-1}}`,
		ask(t, h, "v=2&skillIds=7", now))
}

// refused checks a failure.
func refused(t *testing.T, a hubtest.Answer, status int, code, begins string) {
	t.Helper()
	require.Equal(t, status, a.Status, "%s", a.Body)
	e := a.JSON(t)["error"].(object)
	require.InDelta(t, status, e["statusCode"], 0)
	require.Equal(t, code, e["internalCode"])
	require.True(t, strings.HasPrefix(e["message"].(string), begins), "%s", a.Body)
	require.Len(t, a.JSON(t), 1)
}

func TestCredentials(t *testing.T) {
	h := hubtest.Start(t)
	a := h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId": "other"}`)
	require.Equal(t, http.StatusCreated, a.Status)
	key := func(company, role string) string {
		a := h.Do("POST", "/v1/tenants/"+company+"/keys", hubtest.PlatformKey, object{"role": role, "name": role})
		require.Equal(t, http.StatusCreated, a.Status)
		return a.JSON(t)["key"].(string)
	}
	get := func(key string, headers ...string) hubtest.Answer {
		return h.Do("GET", demo+"?v=1", key, nil, headers...)
	}
	require.Equal(t, http.StatusOK, get(key("demo", "query")).Status)
	for _, a := range []hubtest.Answer{
		get(""), get("hk_demo_wrongwrongwrongwrong"), get(key("other", "owner")), get(hubtest.PlatformKey),
		get("", "Authorization", "Basic "+h.Owner),
	} {
		refused(t, a, 401, "UNAUTHORIZED", "")
		require.Equal(t, []string{"Bearer", "OAuth"}, a.Header.Values("WWW-Authenticate"))
	}
	for _, role := range []string{"ingest", "auditor"} {
		refused(t, get(key("demo", role)), 403, "FORBIDDEN", "")
	}
	refused(t, h.Do("GET", demo, h.Owner, nil), 400, "BAD_REQUEST", "v: ")
	refused(t, h.Do("GET", demo+"?v=1&skillIds=sales", h.Owner, nil), 400, "BAD_REQUEST", "skillIds: ")
	refused(t, h.Do("POST", demo+"?v=1", h.Owner, `{}`), 405, "METHOD_NOT_ALLOWED", "")
	refused(t, h.Do("GET", "/operations/api/account/demo/agentstate", h.Owner, nil), 404, "NOT_FOUND", "")
	// Too many wrong credentials: wait, at least a second.
	for range 20 {
		a = get("hk_demo_wrongwrongwrongwrong")
	}
	refused(t, a, 429, "TOO_MANY_REQUESTS", "")
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, seconds, 1)
	require.Equal(t, http.StatusOK, get(h.Owner).Status, "a right key passes all the same")
}

// Requests signed by OAuth 1.0a with an app, by another implementation of it.
func TestOAuth(t *testing.T) { eachStore(t, testOAuth) }

func testOAuth(t *testing.T, h *hubtest.Hub) {
	a := h.Do("POST", "/v1/apps", h.Owner, `{"kind": "oauth1"}`)
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	app := a.JSON(t)
	id, secret := app["appId"].(string), app["appSecret"].(string)
	do := func(c *oauth1.Config, tok *oauth1.Token, path string) (status int, header string, body object) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+path, nil)
		require.NoError(t, err)
		resp, err := c.Client(context.Background(), tok).Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		return resp.StatusCode, resp.Request.Header.Get("Authorization"), body
	}
	for _, tok := range []*oauth1.Token{oauth1.NewToken("", ""), oauth1.NewToken(id, secret)} {
		for _, signer := range []oauth1.Signer{nil, &oauth1.HMAC256Signer{ConsumerSecret: secret}} {
			c := oauth1.NewConfig(id, secret)
			c.Signer = signer
			status, _, body := do(c, tok, demo+"?skillIds=4,15,3&v=2")
			require.Equal(t, http.StatusOK, status, "%v", body)
		}
	}
	c, tok := oauth1.NewConfig(id, secret), oauth1.NewToken("", "")
	status, _, _ := do(c, tok, "/operations/api/account/other/queuestate?v=1")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _, _ = do(oauth1.NewConfig(id, "wrong"), tok, demo+"?v=1")
	require.Equal(t, http.StatusUnauthorized, status)

	// A signature is good once.
	c.Noncer = nonce("n-1")
	header := signed(t, c, h.URL+demo+"?v=1")
	require.Equal(t, http.StatusOK, h.Do("GET", demo+"?v=1", "", nil, "Authorization", header).Status)
	refused(t, h.Do("GET", demo+"?v=1", "", nil, "Authorization", header), 401, "UNAUTHORIZED", "the sign was used before")
	h.Restart()
	require.Equal(t, http.StatusNoContent, h.Do("DELETE", "/v1/apps/"+id, h.Owner, nil).Status)
	c.Noncer = nonce("n-2")
	refused(t, h.Do("GET", demo+"?v=1", "", nil, "Authorization", signed(t, c, h.URL+demo+"?v=1")), 401, "UNAUTHORIZED",
		"")
}

type nonce string

func (n nonce) Nonce() string { return string(n) }

// signed is the header of a GET, which is not sent.
func signed(t *testing.T, c *oauth1.Config, target string) (header string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx = context.WithValue(ctx, oauth1.HTTPClient,
		&http.Client{Transport: trip(func(r *http.Request) { header = r.Header.Get("Authorization") })})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	require.NoError(t, err)
	resp, err := c.Client(ctx, oauth1.NewToken("", "")).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return header
}

type trip func(r *http.Request)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}
