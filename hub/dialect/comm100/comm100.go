// Package comm100 answers Comm100's live chat real-time API: agents, queue, today and
// right now, in the paths, parameters and shapes of its document. Where the document
// says nothing, the comment beside the code says what holds.
package comm100

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

var _ dialect.Dialect = (*API)(nil)

// API answers the requests. Its fields are what the handlers need.
type API struct {
	dialect.Kit

	// Caller returns whose key it is that came with a request; key is "" when there
	// is none. The errors are those of access.
	Caller func(r *http.Request, key string) (access.Caller, error)
	// Address returns the address of the client.
	Address func(r *http.Request) string
	// Settings returns those of a tenant. Default: all are the defaults.
	Settings func(tenant int64) Settings

	calls allowance
}

// Settings are those of one tenant.
type Settings struct {
	RateLimit int // calls of an address in 5 min; default 300, as the document has it
	// StatusIDs are the tenant's own ids for why agents are busy, by reason code.
	StatusIDs map[int64]string
}

// settings returns those of a tenant, with the defaults filled in.
func (a *API) settings(tenant int64) (s Settings) {
	if a.Settings != nil {
		s = a.Settings(tenant)
	}
	if s.RateLimit == 0 {
		s.RateLimit = 300
	}
	return s
}
