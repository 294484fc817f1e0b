// Package liveperson answers LivePerson's operational real-time API: the state of the
// queues by skill, in the paths, parameters and shapes of its document. A skill is a
// queue here. Where the document says nothing, the comment beside the code says what
// holds.
package liveperson

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/fair"
)

var _ dialect.Dialect = (*API)(nil)

// API answers the requests. Its fields are what the handlers need.
type API struct {
	dialect.Kit

	// Caller returns who makes a request, by a key or by OAuth 1.0a. The errors are
	// those of access.
	Caller func(r *http.Request) (access.Caller, error)

	answering fair.Slots[int64] // requests of each tenant
}
