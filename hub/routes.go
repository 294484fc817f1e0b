package hub

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/openapi"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/source"
)

// Routes holds every URL of the hub and who may call it.
type Routes struct {
	Auth *access.Authenticator
	// Admit lets the request of a caller begin, for which it may wait.
	Admit func(r *http.Request, c access.Caller) error
	API   *api.API
	// Ingest takes events. typ is the type in the path; it is empty if each event names
	// its own.
	Ingest  func(w http.ResponseWriter, r *http.Request, c access.Caller, typ string)
	Inbox   http.Handler // takes what platforms send to sources, each with a credential in its path
	Healthz http.Handler
	Readyz  http.Handler
	Console http.Handler                 // the pages for people, below /console/
	OpenAPI http.Handler                 // the document of this API
	Docs    http.Handler                 // the same as a page
	Vendors map[string]*openapi.Document // those of the vendors' APIs, by name
	Metrics http.Handler                 // nil if it is served on an address of its own
	// Dialects are the vendors' APIs. Each knows its own callers and errors.
	Dialects []dialect.Dialect
	Log      *slog.Logger // default slog.Default()
}

// route is one line of the table.
type route struct {
	method, path string
	who          audience
	handle       api.Responder
}

// audience says who may call a route. The zero audience is a mistake, not an open
// door.
type audience struct {
	public bool          // anyone, without a credential
	roles  []access.Role // callers with a key of one of these roles
	inURL  bool          // the key may come as ?key=, and no cookie counts
	fresh  bool          // a session must have shown its key a short time ago
}

func only(roles ...access.Role) audience { return audience{roles: roles} }

// fresh is only, for what a stolen cookie must not do: keys, secrets and deletions. A
// session has to show its key again for it.
func fresh(roles ...access.Role) audience { return audience{roles: roles, fresh: true} }

// table returns all routes. httprouter wants one parameter name per position, and no
// static sibling of a parameter.
func (h *Routes) table() []route {
	const (
		platform = access.Platform
		owner    = access.Owner
		auditor  = access.Auditor
	)
	var (
		anyone = audience{public: true}
		ingest = audience{roles: []access.Role{owner, access.Ingest}, inURL: true}
		v1     = h.API.Respond // for handlers that return what is answered
	)
	t := []route{
		{"GET", "/healthz", anyone, plain(h.Healthz)},
		{"HEAD", "/healthz", anyone, plain(h.Healthz)},
		{"GET", "/readyz", anyone, plain(h.Readyz)},
		{"HEAD", "/readyz", anyone, plain(h.Readyz)},
		{"GET", "/openapi.json", anyone, plain(h.OpenAPI)},
		{"GET", "/docs", anyone, plain(h.Docs)},
		{"GET", "/", anyone, h.root},
		{"HEAD", "/", anyone, h.root},
		{"GET", "/console", anyone, plain(http.RedirectHandler("/console/", http.StatusPermanentRedirect))},
		{"GET", "/console/*filepath", anyone, plain(h.Console)},
		{"HEAD", "/console/*filepath", anyone, plain(h.Console)},

		{"GET", "/openapi/:id", anyone, h.vendorDocument},
		{"GET", "/docs/:id", anyone, h.vendorPage},

		{"POST", "/v1/events", ingest, h.ingest},
		{"POST", "/v1/events/:id", ingest, h.ingest}, // :id is the type
		{"GET", "/v1/events", only(owner, auditor), v1(h.API.ListEvents)},
		{"GET", "/v1/events/:id", only(owner, auditor), v1(h.API.GetEvent)},
		{"GET", "/v1/events/:id/explain", only(owner, auditor), v1(h.API.ExplainEvent)},
		{"GET", "/v1/events/:id/body", only(owner, auditor), h.API.GetBody},

		{"POST", "/v1/session", anyone, h.API.CreateSession},
		{"GET", "/v1/session", only(platform, owner, access.Query, auditor), v1(h.API.GetSession)},
		{"DELETE", "/v1/session", only(platform, owner, access.Query, auditor), h.API.EndSession},

		{"POST", "/v1/tenants", only(platform), v1(h.API.CreateTenant)},
		{"GET", "/v1/tenants", only(platform), v1(h.API.ListTenants)},
		{"GET", "/v1/tenants/:id", only(platform, owner), v1(h.API.GetTenant)},
		{"PATCH", "/v1/tenants/:id", only(platform, owner), v1(h.API.PatchTenant)},
		{"GET", "/v1/tenants/:id/usage", only(platform, owner), v1(h.API.GetUsage)},
		{"GET", "/v1/hub", only(platform), v1(h.API.GetHub)},
		{"POST", "/v1/tenants/:id/keys", fresh(platform, owner), v1(h.API.CreateKey)},
		{"GET", "/v1/tenants/:id/keys", only(platform, owner), v1(h.API.ListKeys)},
		{"DELETE", "/v1/tenants/:id/keys/:keyId", fresh(platform, owner), v1(h.API.RevokeKey)},

		{"POST", "/v1/subscriptions", only(owner), v1(h.API.CreateSubscription)},
		{"GET", "/v1/subscriptions", only(owner, auditor), v1(h.API.ListSubscriptions)},
		{"GET", "/v1/subscriptions/:id", only(owner, auditor), v1(h.API.GetSubscription)},
		{"PATCH", "/v1/subscriptions/:id", only(owner), v1(h.API.PatchSubscription)},
		{"DELETE", "/v1/subscriptions/:id", fresh(owner), v1(h.API.DeleteSubscription)},
		{"GET", "/v1/subscriptions/:id/versions", only(owner, auditor), v1(h.API.ListVersions)},
		{"POST", "/v1/subscriptions/:id/pause", only(owner), v1(h.API.PauseSubscription)},
		{"POST", "/v1/subscriptions/:id/resume", only(owner), v1(h.API.ResumeSubscription)},
		{"POST", "/v1/subscriptions/:id/rotate-key", fresh(owner), v1(h.API.RotateKey)},
		{"POST", "/v1/subscriptions/:id/test", only(owner), v1(h.API.TestSubscription)},

		{"POST", "/v1/previews", only(owner), v1(h.API.Preview)},
		{"POST", "/v1/probes", only(owner), v1(h.API.Probe)},

		{"GET", "/v1/deliveries", only(owner, auditor), v1(h.API.ListDeliveries)},
		{"GET", "/v1/deliveries/:id", only(owner, auditor), v1(h.API.GetDelivery)},
		{"GET", "/v1/deliveries/:id/attempts", only(owner, auditor), v1(h.API.ListAttempts)},
		{"POST", "/v1/deliveries/:id/retry", only(owner), v1(h.API.RetryDelivery)},

		{"POST", "/v1/replays", only(owner), v1(h.API.CreateReplay)},
		{"GET", "/v1/replays", only(owner), v1(h.API.ListReplays)},
		{"GET", "/v1/replays/:id", only(owner), v1(h.API.GetReplay)},
		{"DELETE", "/v1/replays/:id", only(owner), v1(h.API.StopReplay)},
		{"POST", "/v1/replays/:id/pause", only(owner), v1(h.API.PauseReplay)},
		{"POST", "/v1/replays/:id/resume", only(owner), v1(h.API.ResumeReplay)},
		{"POST", "/v1/retries", only(owner), v1(h.API.CreateRetries)},
		{"POST", "/v1/cancellations", only(owner), v1(h.API.CreateCancellation)},
		{"GET", "/v1/cancellations", only(owner), v1(h.API.ListCancellations)},
		{"GET", "/v1/cancellations/:id", only(owner), v1(h.API.GetCancellation)},

		{"POST", "/v1/sources", only(owner), v1(h.API.CreateSource)},
		{"GET", "/v1/sources", only(owner), v1(h.API.ListSources)},
		{"GET", "/v1/sources/:id", only(owner), v1(h.API.GetSource)},
		{"PATCH", "/v1/sources/:id", only(owner), v1(h.API.PatchSource)},
		{"DELETE", "/v1/sources/:id", only(owner), v1(h.API.DeleteSource)},
		{"POST", "/v1/sources/:id/rotate", only(owner), v1(h.API.RotateSource)},
		{"POST", "/v1/sources/:id/pause", only(owner), v1(h.API.PauseSource)},
		{"POST", "/v1/sources/:id/resume", only(owner), v1(h.API.ResumeSource)},
		{"POST", "/v1/sources/:id/try", only(owner), v1(h.API.TrySource)},
		{"POST", "/v1/sources/:id/replays", only(owner), v1(h.API.ReplaySource)},
		{"GET", "/v1/sources/:id/inputs", only(owner, auditor), v1(h.API.ListInputs)},
		{"GET", "/v1/sources/:id/inputs/:inputId", only(owner, auditor), v1(h.API.GetInput)},
		{"GET", "/v1/sources/:id/state", only(owner, auditor), v1(h.API.GetSourceState)},
		{"GET", "/v1/source-kinds", only(owner), v1(h.API.ListSourceKinds)},
		{"POST", source.Path + ":id", anyone, plain(h.Inbox)}, // :id is the token of a source

		{"GET", "/v1/types", only(owner, access.Ingest, access.Query, auditor), v1(h.API.ListTypes)},
		{"GET", "/v1/boards/agents", only(owner, access.Query), h.API.BoardAgents},
		{"GET", "/v1/calls", only(owner, access.Query), v1(h.API.ListCalls)},
		{"GET", "/v1/recordings", only(owner, access.Query), v1(h.API.ListRecordings)},
		{"GET", "/v1/indicators", only(owner, access.Query), h.API.ListIndicators},
		{"POST", "/v1/reports", only(owner, access.Query), h.API.RunReport},
		{"GET", "/v1/boards/queues", only(owner, access.Query), h.API.BoardQueues},
		{"GET", "/v1/subscriptions/:id/health", only(owner, auditor), v1(h.API.SubscriptionHealth)},
		{"GET", "/v1/health", only(owner, auditor), v1(h.API.ListHealth)},
		{"GET", "/v1/facets/deliveries", only(owner, auditor), v1(h.API.DeliveryFacets)},
		{"GET", "/v1/stats", only(owner, auditor), h.API.Stats},

		{"GET", "/v1/exports/deliveries", only(owner, auditor), h.API.ExportDeliveries},
		{"GET", "/v1/tail", only(owner, auditor), h.API.TailAttempts},
		{"GET", "/v1/audit", only(platform, owner, auditor), v1(h.API.ListAudit)},

		{"POST", "/v1/apps", fresh(owner), v1(h.API.CreateApp)},
		{"GET", "/v1/apps", only(owner), v1(h.API.ListApps)},
		{"DELETE", "/v1/apps/:id", fresh(owner), v1(h.API.DeleteApp)},

		{"PUT", "/v1/directory", only(owner), v1(h.API.PutDirectory)},
		{"GET", "/v1/directory/:kind", only(owner), v1(h.API.ListObjects)},
		{"PUT", "/v1/directory/:kind/:id", only(owner), v1(h.API.PutObject)},
		{"GET", "/v1/directory/:kind/:id", only(owner), v1(h.API.GetObject)},
		{"DELETE", "/v1/directory/:kind/:id", fresh(owner), v1(h.API.DeleteObject)},

		{"PUT", "/v1/recordings/:id", only(owner), v1(h.API.PutRecording)},
		{"GET", "/v1/recordings/:id", only(owner, access.Query), h.API.GetRecording},
		{"HEAD", "/v1/recordings/:id", only(owner, access.Query), h.API.GetRecording},
		{"DELETE", "/v1/recordings/:id", fresh(owner), v1(h.API.DeleteRecording)},
	}
	if h.Metrics != nil {
		t = append(t, route{"GET", "/metrics", anyone, plain(h.Metrics)})
	}
	return t
}

// root leads a browser to the console. Programs are told that nothing is there.
func (h *Routes) root(w http.ResponseWriter, r *http.Request, _ access.Caller, _ httprouter.Params) {
	w.Header().Set("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.refuse(w, r, http.StatusNotFound, "there is nothing at this path")
		return
	}
	http.Redirect(w, r, "/console/", http.StatusSeeOther)
}

func (h *Routes) ingest(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) {
	h.Ingest(w, r, c, ps.ByName("id"))
}

// vendorDocument answers with the document of a vendor's API: {vendor}.json.
func (h *Routes) vendorDocument(w http.ResponseWriter, r *http.Request, _ access.Caller, ps httprouter.Params) {
	name, is := strings.CutSuffix(ps.ByName("id"), ".json")
	d := h.Vendors[name]
	if !is || d == nil {
		h.refuse(w, r, http.StatusNotFound, "there is no such document")
		return
	}
	d.ServeJSON(w, r)
}

// vendorPage answers with the document of a vendor's API as a page.
func (h *Routes) vendorPage(w http.ResponseWriter, r *http.Request, _ access.Caller, ps httprouter.Params) {
	d := h.Vendors[ps.ByName("id")]
	if d == nil {
		h.refuse(w, r, http.StatusNotFound, "there is no such page")
		return
	}
	d.ServePage(w, r)
}

// plain lets an ordinary handler serve a route.
func plain(h http.Handler) api.Responder {
	return func(w http.ResponseWriter, r *http.Request, _ access.Caller, _ httprouter.Params) { h.ServeHTTP(w, r) }
}

// Handler serves the table. It panics if a route does not say who may call it.
func (h *Routes) Handler() http.Handler {
	m := httprouter.New()
	m.RedirectTrailingSlash = false
	m.RedirectFixedPath = false
	m.HandleMethodNotAllowed = true // sets Allow
	m.HandleOPTIONS = true          // sets Allow
	m.NotFound = h.refusal(http.StatusNotFound, "there is nothing at this path")
	m.MethodNotAllowed = h.refusal(http.StatusMethodNotAllowed, "this path has no such method; see the header Allow")

	for _, rt := range h.table() {
		m.Handle(rt.method, rt.path, h.guard(rt))
	}
	h.addInbox(m)
	for _, d := range h.Dialects {
		for _, rt := range d.Routes() {
			m.Handle(rt.Method, rt.Path, rt.Handle)
		}
	}
	return h.outermost(h.byEscapedPath(m))
}

// addInbox adds the other ways in which platforms reach a source: they send with the method and
// the path that they like.
func (h *Routes) addInbox(m *httprouter.Router) {
	inbox := func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) { h.Inbox.ServeHTTP(w, r) }
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT"} {
		m.Handle(method, source.Path+":id/*rest", inbox)
		if method != http.MethodPost { // which is in the table
			m.Handle(method, source.Path+":id", inbox)
		}
	}
}

// refusal returns a handler that only refuses.
func (h *Routes) refusal(status int, detail string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.refuse(w, r, status, detail) })
}

// refuse answers in place of a handler. Below the path of a dialect the answer has that
// vendor's shape.
func (h *Routes) refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	for _, d := range h.Dialects {
		if d.Owns(r.URL.Path) {
			d.Refuse(w, r, status, detail)
			return
		}
	}
	problem.Write(w, problem.Details{Status: status, Detail: detail})
}

// guard returns a handler that lets the callers of a route through, and refuses
// others.
func (h *Routes) guard(rt route) httprouter.Handle {
	if rt.who.public == (len(rt.who.roles) > 0) {
		panic("hub: route " + rt.method + " " + rt.path + " must be either public or for some roles")
	}

	if rt.who.public {
		return func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
			rt.handle(w, r, access.Caller{}, ps)
		}
	}
	return func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
		c, err := h.caller(r, rt.who)
		switch {
		case err != nil:
			deny(w, err)
		case !slices.Contains(rt.who.roles, c.Role):
			detail := "a key of role " + string(c.Role) + " may not do this"
			problem.Write(w, problem.Details{Status: http.StatusForbidden, Detail: detail})
		case rt.who.fresh && !c.Fresh(time.Now()):
			problem.Write(w, *api.NeedsKey())
		default:
			if err := h.Admit(r, c); err != nil {
				deny(w, err)
				return
			}
			rt.handle(w, r, c, ps)
		}
	}
}

// caller returns who makes a request: by a key, or else by the cookie of the console. No
// cookie counts where events come in.
func (h *Routes) caller(r *http.Request, who audience) (access.Caller, error) {
	c, err := h.Auth.Authenticate(r, who.inURL)
	if who.inURL || !errors.Is(err, access.ErrNoCredential) {
		return c, err
	}
	return h.Auth.AuthenticateSession(r)
}

// deny answers an error of Authenticate or Admit.
func deny(w http.ResponseWriter, err error) {
	if api.Deny(w, err) {
		return
	}
	d := problem.Details{Status: http.StatusServiceUnavailable, Detail: "the request was given up"}
	if full, is := errors.AsType[*fair.Full](err); is {
		d = problem.Details{Status: full.Status(), Detail: full.Error(), RetryAfter: full.After}
	}
	problem.Write(w, d)
}

// RequestID is the header that names a request, in its answer and in the log.
const RequestID = "X-Request-Id"

// outermost gives every request its id, and turns a panic into a 500.
func (h *Routes) outermost(next http.Handler) http.Handler {
	log := h.Log
	if log == nil {
		log = slog.Default()
	}
	ids := newRequestIDs()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(RequestID)
		if !validRequestID(id) {
			id = ids.next()
		}
		w := &answer{ResponseWriter: rw}
		w.Header()[RequestID] = []string{id}

		// A panic is logged and answered, unless the answer has begun.
		defer func() {
			what := recover()
			if what == nil {
				return
			}
			if what == http.ErrAbortHandler { //nolint:errorlint // a panic's value, never wrapped
				panic(what) // the handler wants the connection to be cut
			}
			log.Error("panic in a handler", "method", r.Method, "path", source.Redact(r.URL.Path), "request", id,
				"panic", what, "stack", string(debug.Stack()))
			if w.began {
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
			h.refuse(w, r, http.StatusInternalServerError, "the hub could not do this; its log says why under request "+id)
		}()

		next.ServeHTTP(w, r)
	})
}

// answer knows whether a handler has begun to answer.
type answer struct {
	http.ResponseWriter
	began bool
}

func (a *answer) WriteHeader(status int) {
	a.began = a.began || status >= 200 // 1xx are not answers
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.began = true
	return a.ResponseWriter.Write(b)
}

// Unwrap gives http.ResponseController access to deadlines and Flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// validRequestID reports whether a client's request id is short and harmless.
func validRequestID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// requestIDs makes ids of a prefix of this process and a number, which needs no random
// bytes per request.
type requestIDs struct {
	prefix string
	n      atomic.Uint64
}

func newRequestIDs() *requestIDs {
	return &requestIDs{prefix: rand.Text()[:10] + "-"}
}

func (g *requestIDs) next() string { return g.prefix + strconv.FormatUint(g.n.Add(1), 36) }
