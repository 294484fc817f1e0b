// Package api is our own API under /v1, apart from ingest: tenants, keys,
// subscriptions, events, deliveries. The route table of hub decides who may
// call what; a handler here only ever touches the caller's own tenant.
package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/recording"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/subscriptions"
)

// Handler answers one request of a caller that the route table let through.
type Handler func(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params)

// API holds what the handlers need.
type API struct {
	Tenants TenantStore
	Keys    KeyStore
	Apps    AppStore
	Book    *access.Book // changes of tenants and keys hold here from the moment they are answered
	Cursors Cursors

	Directory     DirectoryStore
	Recordings    *recording.Library
	Subscriptions SubscriptionStore
	Search        search.Store
	Facets        func(*event.Event) *event.Facets // what the filters of subscriptions look at
	Retries       RetryStore
	Figures       search.Figures
	Audit         AuditStore
	Tail          *tail.Feed
	Events        ingest.Store                           // takes test pushes
	Rules         func(tenant int64) subscriptions.Rules // what a tenant's subscriptions may be; Now is set here

	PublicURL string // base of links, without a slash at its end; "": they begin with one

	Now  func() time.Time // default time.Now
	Log  *slog.Logger     // default slog.Default()
	Beat time.Duration    // between the comments of a stream; default 15 s

	Streams *access.Quota // of server-sent events; required
	exports access.Quota

	// changes is held from the commit of a tenant or key until the book has it,
	// so that the book ends with what was committed last.
	changes sync.Mutex
}

// Errors that stores return and every handler answers alike.
var (
	ErrNotFound = errors.New("not found")                     // 404
	ErrExists   = errors.New("exists already")                // 409
	ErrVersion  = errors.New("changed in the meantime")       // 412
	ErrLimit    = errors.New("the tenant's limit is reached") // 429
)

func (a *API) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *API) log() *slog.Logger { return cmp.Or(a.Log, slog.Default()) }

// fail answers err: problems and the errors above as themselves, anything else
// as 500 with its reason in the log only.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var d *problem.Details
	switch {
	case errors.As(err, &d):
		problem.Write(w, *d)
	case errors.Is(err, ErrNotFound):
		problem.Write(w, problem.Details{Status: http.StatusNotFound, Detail: "no such object in this tenant"})
	case errors.Is(err, ErrExists), errors.Is(err, ErrLastKey):
		problem.Write(w, problem.Details{Status: http.StatusConflict, Detail: err.Error()})
	case errors.Is(err, ErrVersion):
		problem.Write(w, problem.Details{Status: http.StatusPreconditionFailed, Detail: "it has another version than If-Match says: read it again"})
	case errors.Is(err, ingest.ErrBusy):
		problem.Write(w, problem.Details{Status: http.StatusServiceUnavailable, Detail: "the hub is full, or its store is away: come again, and see first whether this was done", RetryAfter: time.Second})
	case errors.Is(err, ErrLimit):
		problem.Write(w, problem.Details{Status: http.StatusTooManyRequests, Detail: err.Error()})
	case r.Context().Err() != nil:
		// The caller went away; nobody reads the answer.
		problem.Write(w, problem.Details{Status: http.StatusServiceUnavailable, Detail: "the request was given up"})
	default:
		a.log().ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "request", w.Header().Get("X-Request-Id"), "err", err)
		problem.Write(w, problem.Details{Status: http.StatusInternalServerError, Detail: "the hub could not do this; its log says why"})
	}
}

// answer writes v as JSON.
func (a *API) answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller went away: nobody is left to tell
}
