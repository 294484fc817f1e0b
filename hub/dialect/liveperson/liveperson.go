// Package liveperson answers LivePerson's operational real-time API: the state of
// the queues, by skill, in the paths, parameters and shapes of its document. A
// skill is a queue here. Where the document is silent, the comment beside the code
// says what holds.
package liveperson

import (
	"log/slog"
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
)

var _ dialect.Dialect = (*API)(nil)

// API holds what the handlers need.
type API struct {
	// Caller finds out who makes a request, by a key or by OAuth 1.0a; the errors
	// are those of access.
	Caller func(r *http.Request) (access.Caller, error)
	// Now is Unix ms: the moment that a query is about. An error is a header that
	// cannot be read. nil: the clock.
	Now    func(r *http.Request) (int64, error)
	Boards *live.Boards
	// Busy bounds the requests of a tenant that are answered at a time.
	Busy dialect.Crowd
	Log  *slog.Logger // default slog.Default()
}

func (a *API) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}
