package deepcall

import (
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// handler answers a caller who may query.
type handler func(r *http.Request, c access.Caller, p *params) (any, error)

// tablePrefix begins the paths in the documents' tables, but not those in their samples.
const tablePrefix = "/deepcall"

// Routes implements dialect.Dialect. Agent/live/ comes with and without its slash.
func (a *API) Routes() (routes []dialect.Route) {
	for _, prefix := range []string{"", tablePrefix} {
		for _, slash := range []string{"", "/"} {
			for path, handle := range map[string]handler{
				"/api/v2/liveQueue/count": a.countQueue, "/api/v2/Agent/live": a.listAgents,
			} {
				path = prefix + path + slash
				routes = append(routes,
					dialect.Route{Method: "POST", Path: path, Handle: a.guard(handle)},
					dialect.Route{Method: "OPTIONS", Path: path, Handle: preflight})
			}
		}
	}
	return routes
}

// Owns implements dialect.Dialect.
func (a *API) Owns(path string) bool {
	path = strings.TrimPrefix(path, tablePrefix)
	return strings.HasPrefix(path, "/api/v2/liveQueue/") || strings.HasPrefix(path, "/api/v2/Agent/")
}

// guard makes a route of a handler: it lets callers through who may query, and answers
// what the handler refuses.
func (a *API) guard(h handler) httprouter.Handle {
	serve := func(w http.ResponseWriter, r *http.Request) {
		p, err := readBody(w, r)
		var c access.Caller
		if err == nil {
			c, err = a.caller(r, p)
		}
		var out any
		if err == nil {
			out, err = h(r, c, p)
		}
		if err != nil {
			a.fail(w, r, c.CompanyID, err)
			return
		}
		write(w, r, http.StatusOK, out)
	}
	return func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		if unmeasured(r) {
			serveUnmeasured(w, r, serve)
			return
		}
		serve(w, r)
	}
}

// preflight answers what browsers ask before they send a POST.
func preflight(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
	allow(w)
	w.Header().Set("Allow", "POST, OPTIONS")
	w.WriteHeader(http.StatusNoContent)
}
