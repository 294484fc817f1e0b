package hub_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// browser is what a page of the console sends: the cookie, and where the request comes from.
type browser struct {
	t      *testing.T
	h      *hubtest.Hub
	cookie string
}

func (b *browser) do(method, path string, body any, headers ...string) hubtest.Answer {
	b.t.Helper()
	return b.h.Do(method, path, "", body, append([]string{"Cookie", b.cookie, "Sec-Fetch-Site", "same-origin"}, headers...)...)
}

// signIn signs a browser in by a key, or by a body with a code.
func signIn(t *testing.T, h *hubtest.Hub, key string, body any) (*browser, *http.Cookie) {
	t.Helper()
	a := h.Do("POST", "/v1/session", key, body, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, 204, a.Status, "%s", a.Body)
	cookie, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
	require.NoError(t, err)
	return &browser{t, h, cookie.Name + "=" + cookie.Value}, cookie
}

// The life of a session, on each store: it holds over a restart, counts for pages of this hub
// alone and never for sending events, and ends with its key, its tenant, and at sign-out.
func TestSession(t *testing.T) {
	for name, store := range map[string]func(*config.Config){
		"sqlite":   func(*config.Config) {},
		"postgres": hubtest.OnPostgres(t),
	} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.Start(t, store)
			b, cookie := signIn(t, h, h.Owner, nil)
			require.True(t, cookie.HttpOnly)
			require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
			require.Contains(t, cookie.Name, "hookline-", "no prefix that Safari refuses without https")
			who := b.do("GET", "/v1/session", nil)
			require.Equal(t, 200, who.Status)
			require.Equal(t, "owner", who.JSON(t)["role"])

			// Only pages of this hub can use it, and no event comes in by it.
			refused(t, 401, h.Do("GET", "/v1/session", "", nil, "Cookie", b.cookie))
			refused(t, 401, h.Do("GET", "/v1/session", "", nil, "Cookie", b.cookie, "Sec-Fetch-Site", "cross-site"))
			refused(t, 401, h.Do("POST", "/v1/subscriptions", "", `{"url":"http://127.0.0.1:1/"}`, "Cookie", b.cookie, "Origin", "https://elsewhere.example"))
			require.Equal(t, 200, h.Do("GET", "/v1/session", "", nil, "Cookie", b.cookie, "Origin", h.URL).Status)
			refused(t, 401, b.do("POST", "/v1/events", hubtest.CDR("c", 1)))
			refused(t, 403, h.Do("POST", "/v1/session", h.Owner, nil, "Sec-Fetch-Site", "cross-site"))

			h.Restart()
			_, port, _ := strings.Cut(strings.TrimPrefix(h.URL, "http://"), ":")
			b.cookie = "hookline-" + port + "=" + cookie.Value // the hub has another port now
			require.Equal(t, 200, b.do("GET", "/v1/session", nil).Status, "it is in the store")

			// It ends at sign-out, and with its key.
			require.Equal(t, 204, b.do("DELETE", "/v1/session", nil).Status)
			refused(t, 401, b.do("GET", "/v1/session", nil))
			made := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"auditor"}`).JSON(t)
			auditor, _ := signIn(t, h, made["key"].(string), nil)
			require.Equal(t, 200, auditor.do("GET", "/v1/deliveries", nil).Status)
			refused(t, 403, auditor.do("GET", "/v1/apps", nil))
			require.Equal(t, 204, h.Do("DELETE", "/v1/tenants/demo/keys/"+made["id"].(string), h.Owner, nil).Status)
			refused(t, 401, auditor.do("GET", "/v1/deliveries", nil))

			ingest := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"ingest"}`).JSON(t)["key"].(string)
			refused(t, 403, h.Do("POST", "/v1/session", ingest, nil))

			rows := string(h.Do("GET", "/v1/audit", h.Owner, nil).Body)
			require.Contains(t, rows, "session.create")
			require.Contains(t, rows, "session.end")
		})
	}
}

// A stream of a session ends when somebody signs out.
func TestStreamEndsWithItsSession(t *testing.T) {
	h := hubtest.Start(t)
	b, _ := signIn(t, h, h.Owner, nil)
	s := h.Stream("/v1/tail", "", "Cookie", b.cookie, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, 200, s.Status)
	require.Equal(t, 204, b.do("DELETE", "/v1/session", nil).Status)
	for {
		e, open := s.Next(t)
		if !open || e.Name == "ended" {
			break
		}
	}
}

// The link that the hub prints signs in once.
func TestSignInLink(t *testing.T) {
	for name, store := range map[string]func(*config.Config){
		"sqlite":   func(*config.Config) {},
		"postgres": hubtest.OnPostgres(t),
	} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.Start(t, store)
			link := h.SignInLink()
			base, code, _ := strings.Cut(link, "#")
			require.Equal(t, h.URL+"/console/", base)
			b, _ := signIn(t, h, "", map[string]any{"code": code})
			require.Equal(t, "owner", b.do("GET", "/v1/session", nil).JSON(t)["role"])
			refused(t, 401, h.Do("POST", "/v1/session", "", map[string]any{"code": code}))
			refused(t, 401, h.Do("POST", "/v1/session", "", map[string]any{"code": "x"}))
			refused(t, 422, h.Do("POST", "/v1/session", "", map[string]any{"cod": "x"}))
			refused(t, 400, h.Do("POST", "/v1/session", "", nil))
		})
	}
}

// sessionMemory keeps sessions for TestOldSessionNeedsItsKey.
type sessionMemory struct {
	access.SessionStore
	session access.Session
}

func (m *sessionMemory) CreateSession(_ context.Context, _ access.Caller, s access.Session, _ int) error {
	m.session = s
	return nil
}

func (m *sessionMemory) FindSession(context.Context, [32]byte) (access.Session, error) {
	return m.session, nil
}
func (m *sessionMemory) SeeSession(_ context.Context, _ string, at time.Time) error {
	m.session.SeenAt = at
	return nil
}

func (m *sessionMemory) RenewSession(_ context.Context, _ access.Caller, _ string, at time.Time) error {
	m.session.SignedInAt = at
	return nil
}

// After 15 minutes a session is too old for keys and deletions, until its key is given again;
// after 12 hours without use, and after 7 days, it has ended.
func TestOldSessionNeedsItsKey(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	book := &access.Book{}
	text := access.NewKey("acme")
	book.PutTenant(access.Tenant{No: 1, CompanyID: "acme", Version: 1})
	book.PutKey(access.Key{ID: "k1", Tenant: 1, Role: access.Owner, Hash: access.HashKey(text)})
	s := &access.Sessions{Store: &sessionMemory{}, Book: book, Now: func() time.Time { return now }}
	owner, err := book.Lookup(text, now)
	require.NoError(t, err)
	cookie, _, err := s.Begin(t.Context(), owner, "a browser")
	require.NoError(t, err)
	caller := func() access.Caller {
		t.Helper()
		c, err := s.Caller(t.Context(), cookie)
		require.NoError(t, err)
		return c
	}

	now = now.Add(15*time.Minute - time.Second)
	require.True(t, caller().Fresh(now))
	now = now.Add(time.Second)
	c := caller()
	require.False(t, c.Fresh(now))
	require.NoError(t, s.Renew(t.Context(), c))
	require.True(t, caller().Fresh(now))

	now = now.Add(11 * time.Hour)
	require.True(t, s.Holds(caller()), "it is in use")
	now = now.Add(12 * time.Hour)
	require.False(t, s.Holds(c))
	_, err = s.Caller(t.Context(), cookie)
	require.ErrorIs(t, err, access.ErrCredential, "nobody has used it for 12 hours")
}

// GET / leads browsers to the console, and says to programs that nothing is there.
func TestRootLeadsBrowsers(t *testing.T) {
	h := hubtest.Start(t)
	get := func(path, accept string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+path, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	for path, status := range map[string]int{"/": 303, "/console": 308} {
		resp := get(path, "text/html,application/xhtml+xml")
		require.Equal(t, status, resp.StatusCode)
		require.Equal(t, "/console/", resp.Header.Get("Location"))
	}
	require.Equal(t, 404, get("/", "application/json").StatusCode)

	page := get("/console/deliveries/some.id", "text/html")
	require.Equal(t, 200, page.StatusCode)
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "require-trusted-types-for 'script'")
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.Equal(t, "nosniff", page.Header.Get("X-Content-Type-Options"))
	require.NotContains(t, page.Header.Get("Content-Security-Policy"), "unsafe")
}
