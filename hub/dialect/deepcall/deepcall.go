// Package deepcall answers DeepCall's live queue and live agents: the paths,
// parameters, codes and bytes of its two documents, so that a client of them works
// with Hookline. Where they are silent or contradict themselves, the comment beside
// the code says what holds.
package deepcall

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
)

var _ dialect.Dialect = (*API)(nil)

// API holds what the handlers need.
type API struct {
	// Caller finds out whose a key is that stood in the body of a request; the
	// errors are those of access.
	Caller func(r *http.Request, key string) (access.Caller, error)
	// Tenant by its companyId, for its settings; nil: there is none.
	Tenant func(companyID string) *access.Tenant
	// Now is Unix ms: the moment that a query is about. An error is a header that
	// cannot be read. nil: the clock.
	Now func(r *http.Request) (int64, error)
	// Zone of a tenant where a request names none; nil: Asia/Singapore.
	Zone   func(tenant int64) *time.Location
	Boards *live.Boards
	Log    *slog.Logger // default slog.Default()
}

func (a *API) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}

// setting of a tenant; nil: it has none.
func (a *API) setting(companyID, name string) any {
	if a.Tenant == nil {
		return nil
	}
	t := a.Tenant(companyID)
	if t == nil {
		return nil
	}
	return t.Settings[name]
}

// queryTime bounds a query.
const queryTime = 30 * time.Second

func (a *API) now(r *http.Request) (int64, error) {
	if a.Now == nil {
		return time.Now().UnixMilli(), nil
	}
	now, err := a.Now(r)
	if err != nil {
		return 0, &problem{Code: badParameter, Text: err.Error()}
	}
	return now, nil
}

// zone of a tenant.
func (a *API) zone(c access.Caller) (*time.Location, error) {
	if a.Zone != nil {
		if loc := a.Zone(c.Tenant); loc != nil {
			return loc, nil
		}
	}
	return time.LoadLocation("Asia/Singapore")
}
