package hub_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/julienschmidt/httprouter"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/source"
)

// town is a hub with one object of each kind in the tenant demo, and another tenant
// that has nothing.
type town struct {
	*hubtest.Hub
	t       *testing.T
	keys    map[access.Role]string // of demo, and the platform's
	foreign string                 // owner key of the other tenant
	revoked string                 // owner key of demo that was revoked
	ids     map[string]string      // prefix of a path → what :id stands for below it
	keyID   string                 // what :keyId stands for
	inputID string                 // what :inputId stands for
	calls   int
}

func newTown(t *testing.T) *town {
	h := hubtest.Start(t, func(c *config.Config) { c.TrustedProxies, c.MetricsAddr = []string{"loopback"}, c.Addr })
	w := &town{Hub: h, t: t, keys: map[access.Role]string{access.Platform: hubtest.PlatformKey}}

	// The keys.
	for _, role := range access.Roles[1:] {
		w.keys[role] = w.made("/v1/tenants/demo/keys", fmt.Sprintf(`{"role":%q}`, role))["key"].(string)
	}
	w.keyID = w.made("/v1/tenants/demo/keys", `{"role":"ingest"}`)["id"].(string)
	w.made("/v1/tenants", `{"companyId":"other"}`)
	w.foreign = w.made("/v1/tenants/other/keys", `{"role":"owner"}`)["key"].(string)
	gone := w.made("/v1/tenants/demo/keys", `{"role":"owner"}`)
	w.revoked = gone["key"].(string)
	require.Equal(t, 204, h.Do("DELETE", "/v1/tenants/demo/keys/"+gone["id"].(string), hubtest.PlatformKey, nil).Status)

	// The objects.
	sink := hubtest.NewReceiver(t)
	sub := h.Subscribe(sink.URL)["id"].(string)
	event := h.Send(hubtest.CDR("c1", 1))[0]
	push := sink.Wait(t, 1)[0]
	w.ids = map[string]string{
		"/openapi/":          "sobot.json",
		"/docs/":             "sobot",
		"/v1/tenants/":       "demo",
		"/v1/subscriptions/": sub,
		"/v1/events/":        event,
		"/v1/deliveries/":    push.Header.Get("webhook-id"),

		"/v1/replays/":          "",
		"/v1/cancellations/":    "",
		"/v1/apps/":             "",
		"/v1/directory/agents/": "agent-of-demo",
		"/v1/recordings/":       "recording-of-demo",
	}
	made := h.Do("POST", "/v1/apps", h.Owner, `{"kind":"sobot"}`)
	require.Equal(t, 201, made.Status, "%s", made.Body)
	w.ids["/v1/apps/"] = made.JSON(t)["id"].(string)
	for path, body := range map[string]string{
		"/v1/replays":       `{"filter":{"state":"exhausted"},"only":"all"}`,
		"/v1/cancellations": `{"filter":{"state":"pending"}}`,
	} {
		made := h.Do("POST", path, h.Owner, body)
		require.Equal(t, 201, made.Status, "%s", made.Body)
		w.ids[path+"/"] = made.JSON(t)["id"].(string)
	}
	require.Equal(t, 200, h.Do("PUT", "/v1/directory/agents/agent-of-demo", h.Owner, `{}`).Status)
	w.addSource()
	put := h.Do("PUT", "/v1/recordings/recording-of-demo", h.Owner, "mp3", "Content-Type", "audio/mpeg")
	require.Equal(t, 200, put.Status)
	return w
}

// addSource makes a source with an input.
func (w *town) addSource() {
	a := w.Do("POST", "/v1/sources", w.Owner,
		`{"name":"bus","kind":"eventbridge","mapping":{"match":[{"emit":"call.created","set":{"callID":"m.id"}}]}}`)
	require.Equal(w.t, 201, a.Status, "%s", a.Body)
	made := a.JSON(w.t)
	_, token, _ := strings.Cut(made["url"].(string), source.Path)
	w.ids["/v1/sources/"] = made["id"].(string)
	w.ids[source.Path] = token
	require.Equal(w.t, 200, w.Do("POST", source.Path+token, "", `{"id":"c1"}`).Status)
	inputs := w.Do("GET", "/v1/sources/"+made["id"].(string)+"/inputs", w.Owner, nil)
	w.inputID = inputs.JSON(w.t)["data"].([]any)[0].(map[string]any)["id"].(string)
}

// made makes an object as the platform, and returns it.
func (w *town) made(path, body string) map[string]any {
	w.t.Helper()
	a := w.Do("POST", path, hubtest.PlatformKey, body)
	require.Equal(w.t, 201, a.Status, "%s", a.Body)
	return a.JSON(w.t)
}

// call calls a line of the table with a key, each time from another address, so that
// wrong keys are not slowed down.
func (w *town) call(l hub.Line, key string) hubtest.Answer {
	w.t.Helper()
	path := strings.ReplaceAll(l.Path, ":kind", "agents")
	for prefix, id := range w.ids {
		if rest, ok := strings.CutPrefix(path, prefix+":id"); ok {
			path = prefix + id + rest
		}
	}
	path = strings.ReplaceAll(path, ":keyId", w.keyID)
	path = strings.ReplaceAll(path, "*filepath", "deliveries")
	path = strings.ReplaceAll(path, ":inputId", w.inputID)
	if l.Path == "/v1/events/:id" && l.Method == "POST" {
		path = "/v1/events/call.ringing"
	}
	require.NotContains(w.t, path, ":", "newTown has no object for this route: add one")

	var body any
	if l.Method == "POST" || l.Method == "PATCH" || l.Method == "PUT" {
		body = `{}`
	}
	if strings.HasPrefix(l.Path, "/v1/sources/") && strings.HasSuffix(l.Path, "/try") {
		body = `{"last":1}`
	}
	if strings.HasSuffix(l.Path, "/rotate-key") { // it checks the body before it looks for the subscription
		body = `{"overlap":"1h"}`
	}

	w.calls++
	from := fmt.Sprintf("192.0.2.%d", w.calls%250+1)
	if l.Path == "/v1/tail" { // it does not end by itself
		s := w.Stream(path, key, "X-Forwarded-For", from)
		defer s.Close()
		return s.Answer
	}
	return w.Do(l.Method, path, key, body, "X-Forwarded-For", from)
}

// publicStatus is what public routes answer that are not for programs without a credential.
var publicStatus = map[string]int{
	"POST /v1/session": 403, // not by https, and from another machine
	"GET /":            404, // leads browsers only
	"HEAD /":           404,
}

// Every route asks for the credential and role that the table says, and shows nothing
// of another tenant. The test walks the table, so it tests a new route too.
func TestEveryRouteRoleAndForeignTenant(t *testing.T) {
	w := newTown(t)
	lines := hub.Table()
	// Routes that delete come last, as the others need the objects.
	slices.SortStableFunc(lines, func(a, b hub.Line) int { return strings.Compare(last(a.Method), last(b.Method)) })
	for _, l := range lines {
		t.Run(l.Method+" "+l.Path, func(t *testing.T) {
			w.t = t
			require.NotEqual(t, l.Public, len(l.Roles) > 0, "either public or for some roles")

			keyless := w.call(l, "")
			if l.Public {
				require.Equal(t, cmp.Or(publicStatus[l.Method+" "+l.Path], 200), keyless.Status)
				return
			}
			refused(t, 401, keyless)
			require.Equal(t, "Bearer", keyless.Header.Get("WWW-Authenticate"))
			refused(t, 401, w.call(l, access.NewKey("demo")))
			refused(t, 401, w.call(l, w.revoked))

			for _, role := range access.Roles {
				if !slices.Contains(l.Roles, role) {
					refused(t, 403, w.call(l, w.keys[role]))
				}
			}

			// The other tenant's owner gets 404 for an object, and lists without it.
			switch {
			case l.Method == "PUT": // it would make an object of that tenant: TestDirectory…, TestRecording…
			case slices.Contains(l.Roles, access.Owner):
				got := w.call(l, w.foreign)
				if strings.Contains(l.Path, ":id") && !l.InURL {
					refused(t, 404, got)
				}
				for _, id := range w.ids {
					require.NotContains(t, string(got.Body), `"`+id+`"`, "shown to another tenant")
				}
			default:
				refused(t, 403, w.call(l, w.foreign))
			}

			for _, role := range l.Roles {
				got := w.call(l, w.keys[role])
				require.NotContains(t, []int{401, 403, 405, 429}, got.Status, "%s: %s", role, got.Body)
				require.Less(t, got.Status, 500, "%s: %s", role, got.Body)
				if l.Method == "GET" {
					require.Equal(t, 200, got.Status, "%s: %s", role, got.Body)
				}
			}
		})
	}
}

// last returns a text by which DELETE is sorted after all other methods.
func last(method string) string {
	if method == "DELETE" {
		return "2"
	}
	return "1"
}

// refused requires that an answer is a problem with a status.
func refused(t *testing.T, status int, got hubtest.Answer) {
	t.Helper()
	require.Equal(t, status, got.Status, "%s", got.Body)
	require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"))
	if got.Method == http.MethodHead {
		return
	}
	var p struct{ Status int }
	require.NoError(t, json.Unmarshal(got.Body, &p))
	require.Equal(t, status, p.Status)
}

func TestSuspendedTenantIsRefusedEverywhere(t *testing.T) {
	w := newTown(t)
	require.Equal(t, 200, w.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"suspended":true}`).Status)
	for _, l := range hub.Table() {
		if slices.Contains(l.Roles, access.Owner) {
			refused(t, 403, w.call(l, w.keys[access.Owner]))
		}
	}
	require.Equal(t, 200, w.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"suspended":false}`).Status)
	require.Equal(t, 200, w.Do("GET", "/v1/tenants/demo", w.keys[access.Owner], nil).Status)
}

func TestKeyInURLIsForIngestOnly(t *testing.T) {
	w := newTown(t)
	url := func(role access.Role) string { return "?key=" + w.keys[role] }
	require.Equal(t, 202, w.Do("POST", "/v1/events"+url(access.Ingest), "", hubtest.CDR("c2", 1)).Status)
	refused(t, 403, w.Do("POST", "/v1/events"+url(access.Owner), "", hubtest.CDR("c2", 2)))
	refused(t, 401, w.Do("GET", "/v1/events"+url(access.Ingest), "", nil))
	refused(t, 401, w.Do("GET", "/v1/subscriptions"+url(access.Owner), "", nil))
}

func TestWrongKeysAre429(t *testing.T) {
	h := hubtest.Start(t)
	for range 10 {
		refused(t, 401, h.Do("GET", "/v1/events", access.NewKey("demo"), nil))
	}
	slow := h.Do("GET", "/v1/events", access.NewKey("demo"), nil)
	refused(t, 429, slow)
	require.Equal(t, "6", slow.Header.Get("Retry-After"))
	require.Equal(t, 200, h.Do("GET", "/v1/events", h.Owner, nil).Status, "a right key always passes")
}

func TestPathsThatAreNotThere(t *testing.T) {
	h := hubtest.Start(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/tenants/", 404, ""},
		{"GET", "/v1/TENANTS", 404, ""},
		{"GET", "/v1//tenants", 404, ""},
		{"GET", "/v1/tenants/a%2Fb", 404, ""},
		{"GET", "/v1/tenants/../../healthz", 404, ""},
		{"DELETE", "/v1/tenants", 405, "GET, OPTIONS, POST"},
		{"PUT", "/v1/subscriptions/x", 405, "DELETE, GET, OPTIONS, PATCH"},
		{"POST", "/healthz", 405, "GET, HEAD, OPTIONS"},
	} {
		got := h.Do(tt.method, tt.path, h.Owner, nil)
		refused(t, tt.status, got)
		require.Equal(t, tt.allow, got.Header.Get("Allow"), tt.path)
	}
}

func TestOptions(t *testing.T) {
	h := hubtest.Start(t)
	got := h.Do("OPTIONS", "/v1/events", "", nil)
	require.Equal(t, 200, got.Status)
	require.Equal(t, "GET, OPTIONS, POST", got.Header.Get("Allow"))
	require.Empty(t, got.Body)
}

func TestRequestID(t *testing.T) {
	h := hubtest.Start(t)
	first := h.Do("GET", "/healthz", "", nil).Header.Get("X-Request-Id")
	require.NotEmpty(t, first)
	require.NotEqual(t, first, h.Do("GET", "/healthz", "", nil).Header.Get("X-Request-Id"))
	require.Equal(t, "mine-1", h.Do("GET", "/healthz", "", nil, "X-Request-Id", "mine-1").Header.Get("X-Request-Id"))
	require.NotEqual(t, "a b", h.Do("GET", "/healthz", "", nil, "X-Request-Id", "a b").Header.Get("X-Request-Id"))
	long := strings.Repeat("x", 65)
	require.NotEqual(t, long, h.Do("GET", "/healthz", "", nil, "X-Request-Id", long).Header.Get("X-Request-Id"))
}

func TestRouteWithoutAudienceDoesNotStart(t *testing.T) {
	nothing := func(http.ResponseWriter, *http.Request, access.Caller, httprouter.Params) {}
	require.Panics(t, func() { hub.Guarded(false, nil, nothing) })
	require.Panics(t, func() { hub.Guarded(true, []access.Role{access.Owner}, nothing) })
}

func TestPanics(t *testing.T) {
	start := func(h func(http.ResponseWriter, *http.Request)) string {
		handler := func(w http.ResponseWriter, r *http.Request, _ access.Caller, _ httprouter.Params) { h(w, r) }
		srv := httptest.NewServer(hub.Guarded(true, nil, handler))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	get := func(url string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		return http.DefaultClient.Do(req)
	}

	resp, err := get(start(func(http.ResponseWriter, *http.Request) { panic("a bug with a secret in it") }))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 500, resp.StatusCode)
	require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
	line, err := bufio.NewReader(resp.Body).ReadString('}')
	require.NoError(t, err)
	require.NotContains(t, line, "secret")
	require.Contains(t, line, resp.Header.Get("X-Request-Id"))

	// Half an answer must not look like a whole one.
	resp, err = get(start(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic("a bug")
	}))
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = bufio.NewReader(resp.Body).ReadString('}')
	require.ErrorContains(t, err, "unexpected EOF")

	cut, err := get(start(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	if err == nil {
		cut.Body.Close()
	}
	require.Error(t, err)
}
