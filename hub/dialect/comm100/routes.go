package comm100

import (
	"context"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// prefix of the paths below /v4, in small letters.
const prefix = "/livechat/realtime/"

// query is the request of a caller who may query.
type query struct {
	access.Caller
	*params

	settings Settings
	now      int64 // Unix ms
}

// handlers returns the handlers by the last part of the path, in small letters.
func (a *API) handlers() map[string]func(ctx context.Context, q *query) (any, error) {
	return map[string]func(context.Context, *query) (any, error){
		"agents": a.agents, "queue": a.queue, "today": a.today, "rightnow": a.rightNow,
	}
}

// Routes implements dialect.Dialect. The document's server takes paths in any case,
// so that a route cannot have all of the path in it.
func (a *API) Routes() (routes []dialect.Route) {
	for _, v := range []string{"/v4", "/V4"} {
		routes = append(routes, dialect.Route{Method: "GET", Path: v + "/*path", Handle: a.serve})
	}
	return routes
}

// Owns implements dialect.Dialect.
func (a *API) Owns(path string) bool {
	return len(path) > 3 && strings.EqualFold(path[:4], "/v4/")
}

// serve answers any path under /v4.
func (a *API) serve(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
	path := strings.ToLower(strings.TrimSuffix(ps.ByName("path"), "/"))
	name, is := strings.CutPrefix(path, prefix)
	handle := a.handlers()[name]
	if !is || handle == nil {
		a.Refuse(w, r, http.StatusNotFound, "there is nothing at this path")
		return
	}
	ctx, stop := dialect.Bound(r)
	defer stop()
	q, err := a.query(r)
	if err == nil {
		var answer any
		if answer, err = handle(ctx, q); err == nil {
			err = write(w, http.StatusOK, answer)
		}
	}
	if err != nil {
		a.fail(w, r, err)
	}
}

// query reads what all queries begin with, and counts the call.
func (a *API) query(r *http.Request) (*query, error) {
	c, err := a.caller(r)
	if err != nil {
		return nil, err
	}
	q := &query{Caller: c, settings: a.settings(c.Tenant)}
	if wait := a.calls.take(c.Tenant, a.Address(r), q.settings.RateLimit); wait > 0 {
		return nil, &tooMany{wait}
	}
	if q.now, err = a.Now(r); err != nil {
		return nil, err
	}
	zone, err := a.Zone(c.Tenant)
	if err != nil {
		return nil, err
	}
	q.params, err = readParams(r.URL.RawQuery, zone)
	return q, err
}
