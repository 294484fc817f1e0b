package sobot

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// prefixes are what the paths of the reports begin with: that of the document
// (Telemarketing), and that of its twin for Call Center V6, which is the same but for
// the prefix.
var prefixes = []string{"/callservice/tm/tm-reports", "/callservice/v6/cc-reports"}

// handler answers a caller who may query.
type handler func(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) error

// moment is who asks a query about one moment, which moment that is, and the time
// zone of its days.
type moment struct {
	access.Caller

	now  int64 // Unix ms
	zone *time.Location
}

// momentHandler answers a caller who asks about a moment. ctx ends when the query has
// taken too long.
type momentHandler func(ctx context.Context, w http.ResponseWriter, r *http.Request, at moment) error

// at reads what all queries about a moment begin with.
func (a *API) at(h momentHandler) handler {
	return func(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) error {
		zone, err := a.zoneOf(r.Header.Get("timezoneid"), c.Tenant)
		if err != nil {
			return err
		}
		now, err := a.Now(r)
		if err != nil {
			return err
		}
		ctx, stop := dialect.Bound(r)
		defer stop()
		return h(ctx, w, r, moment{c, now, zone})
	}
}

// Routes implements dialect.Dialect.
func (a *API) Routes() (routes []dialect.Route) {
	for _, p := range prefixes {
		for _, rt := range []struct {
			method, path string
			handle       handler
		}{
			{"POST", "/maincdrs/_search", a.searchCalls},
			{"GET", "/maincdrs/:callID/partycdrs", a.listParties},
			{"POST", "/cdrs/_search", a.findCall},
			{"POST", "/agent-histories/_search", a.at(a.searchHistory)},
			{"GET", "/gateway_number/check_plan", a.checkPlan},
			{"POST", "/gateway-number-table/_search", a.at(a.searchReport(&relayReport))},
			{"POST", "/agent-table/_search", a.at(a.searchReport(&agentReport))},
			{"POST", "/depart-table/_search", a.at(a.searchReport(&departmentReport))},
		} {
			routes = append(routes, dialect.Route{Method: rt.method, Path: p + rt.path, Handle: a.guard(rt.handle)})
		}
	}

	return append(routes,
		dialect.Route{Method: "GET", Path: metricsPath, Handle: forPages(a.guard(a.at(a.getMetrics)))},
		dialect.Route{Method: "OPTIONS", Path: metricsPath, Handle: forPages(preflight)},
		dialect.Route{Method: "GET", Path: watchPath, Handle: forPages(a.answer(a.streamCaller, a.at(a.watchMetrics)))},
		dialect.Route{Method: "OPTIONS", Path: watchPath, Handle: forPages(preflight)},
		dialect.Route{Method: "GET", Path: recordingPath, Handle: a.guard(a.getRecording)},
		dialect.Route{Method: "HEAD", Path: recordingPath, Handle: a.guard(a.getRecording)},

		// The request holds its own sign: no other credential is asked for.
		dialect.Route{Method: "POST", Path: "/tokens/company", Handle: a.companyToken},
		dialect.Route{Method: "POST", Path: "/tokens/agent", Handle: a.agentToken},
		dialect.Route{Method: "GET", Path: "/api/get_token", Handle: a.oldToken},
	)
}

// Owns implements dialect.Dialect.
func (a *API) Owns(path string) bool {
	return strings.HasPrefix(path, "/callservice/") || strings.HasPrefix(path, "/tokens/") || path == "/api/get_token"
}

// guard lets callers through who may query, and answers with the error of the handler.
func (a *API) guard(h handler) httprouter.Handle { return a.answer(a.caller, h) }

// answer lets callers through whom caller finds, and answers with the error of the
// handler.
func (a *API) answer(caller func(*http.Request) (access.Caller, error), h handler) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
		c, err := caller(r)
		if err == nil {
			err = h(w, r, c, ps)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	}
}

// forPages lets pages of any origin read the answer: customers show the boards in pages
// of their own. A page sends its credential itself, never a cookie, so that it learns
// no more than anybody else who has the credential.
func forPages(h httprouter.Handle) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
		h(w, r, ps)
	}
}

// preflight answers a browser that asks whether a page may send these headers.
func preflight(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Token, Idempotency-Key, Timezoneid, "+
		"Last-Event-ID, Content-Type, Cache-Control, X-Request-Id, "+dialect.NowHeader)
	w.Header().Set("Access-Control-Max-Age", "600")
	w.Header().Set("Allow", "GET, OPTIONS")
	w.WriteHeader(http.StatusNoContent)
}
