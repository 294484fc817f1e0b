// Package comm100 answers Comm100's live chat real-time API: agents, queue, today,
// right now, in the paths, parameters and shapes of its document. Where that is
// silent, the comment beside the code says what holds.
package comm100

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
	// Caller finds out whose a key is that came with a request, "": none; the errors
	// are those of access.
	Caller func(r *http.Request, key string) (access.Caller, error)
	// Address of the client.
	Address func(r *http.Request) string
	// Now is Unix ms: the moment that a query is about. An error is a header that
	// cannot be read. nil: the clock.
	Now    func(r *http.Request) (int64, error)
	Boards *live.Boards
	// Zone of a tenant, where a request gives no utcOffset; nil: Asia/Singapore.
	Zone func(tenant int64) *time.Location
	// Settings of a tenant; nil: the defaults.
	Settings func(tenant int64) Settings
	Log      *slog.Logger // default slog.Default()

	calls allowance
}

// Settings of a tenant.
type Settings struct {
	RateLimit int // calls of an address in 5 min; 0: 300, the document's
	// StatusIDs are the tenant's own ids of what keeps agents busy, by reason code.
	StatusIDs map[int64]string
}

func (a *API) settings(tenant int64) (s Settings) {
	if a.Settings != nil {
		s = a.Settings(tenant)
	}
	if s.RateLimit == 0 {
		s.RateLimit = 300
	}
	return s
}

func (a *API) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}

// queryTime bounds a query.
const queryTime = 30 * time.Second

func (a *API) now(r *http.Request) (int64, error) {
	if a.Now == nil {
		return time.Now().UnixMilli(), nil
	}
	now, err := a.Now(r)
	if err != nil {
		return 0, &problem{http.StatusBadRequest, err.Error()}
	}
	return now, nil
}

func (a *API) zone(tenant int64) *time.Location {
	if a.Zone != nil {
		if loc := a.Zone(tenant); loc != nil {
			return loc
		}
	}
	loc, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		return time.UTC
	}
	return loc
}
