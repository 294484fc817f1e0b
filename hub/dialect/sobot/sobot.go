// Package sobot answers the queries of Sobot's call-centre "Data Service API":
// the paths, parameters, envelopes and field names of its document, so that a
// client of it works with Hookline. Where the document is silent or contradicts
// itself, the comment beside the code says what holds.
package sobot

import (
	"net/http"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/hub/search"
)

var _ dialect.Dialect = (*API)(nil)

// API holds what the handlers need.
type API struct {
	dialect.Kit

	// Caller returns who makes a request. The errors are those of access.
	Caller func(r *http.Request) (access.Caller, error)
	// StreamCaller is Caller where an agent token may come as ?token=: browsers'
	// EventSource sends no headers.
	StreamCaller func(r *http.Request) (access.Caller, error)
	Tokens       *access.Tokens
	// Wrong counts a request whose sign was wrong: access.ErrCredential, or a
	// *access.SlowDown when there were too many from its address.
	Wrong   func(r *http.Request) error
	Records search.Records
	History live.History
	Watches *live.Watches
	// Holds says whether a caller may still hear the stream that he opened.
	Holds   func(access.Caller) bool
	Beat    time.Duration // between the comments of a stream; default 15 s
	Reports report.Store
	// Settings of a tenant, as it set them; nil: none.
	Settings func(tenant int64) map[string]any
	// Directory of a tenant; nil: all are empty.
	Directory func(tenant int64) *directory.Directory
	// Listen answers with a recording of the caller's tenant. After an error, one
	// of the recording package or unexpected, nothing has been answered.
	Listen func(w http.ResponseWriter, r *http.Request, c access.Caller, id string) error
	// SealNumber is how encryptCustomerNumber shows a number of a tenant.
	SealNumber func(companyID, number string) string
	// DepartmentAgents are the agentUUIDs that the tenant's directory has in a
	// department; may be nil.
	DepartmentAgents func(tenant int64, department string) []string
}

func (a *API) directory(tenant int64) *directory.Directory {
	if a.Directory == nil {
		return &directory.Directory{}
	}
	return a.Directory(tenant)
}

// zoneOf returns the time zone that has a name, or that of a tenant when the name
// is empty.
func (a *API) zoneOf(name string, tenant int64) (*time.Location, error) {
	loc, err := zoneNamed(name)
	if err != nil || loc != nil {
		return loc, err
	}
	return a.Zone(tenant)
}
