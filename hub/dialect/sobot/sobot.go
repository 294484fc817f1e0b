// Package sobot answers the queries of Sobot's call-centre "Data Service API", in the
// paths, parameters, envelopes and field names of its document, so that a client of
// it works with Hookline. Where the document says nothing or contradicts itself, the
// comment beside the code says what holds.
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

// API answers the requests. Its fields are what the handlers need.
type API struct {
	dialect.Kit

	// Caller returns who makes a request. The errors are those of access.
	Caller func(r *http.Request) (access.Caller, error)
	// StreamCaller is Caller for streams, where an agent token may come as ?token=: the
	// EventSource of browsers sends no headers.
	StreamCaller func(r *http.Request) (access.Caller, error)
	Tokens       *access.Tokens
	// Wrong counts a request whose sign was wrong. It returns access.ErrCredential, or a
	// *access.SlowDown when there were too many from its address.
	Wrong   func(r *http.Request) error
	Records search.Records
	History live.History
	Watches *live.Watches
	// Holds reports whether a caller may go on with the stream that he opened.
	Holds   func(access.Caller) bool
	Beat    time.Duration // between the comments of a stream; default 15 s
	Reports report.Store
	// Settings returns those that a tenant has set. Default: nobody has set any.
	Settings func(tenant int64) map[string]any
	// Directory returns that of a tenant. Default: all are empty.
	Directory func(tenant int64) *directory.Directory
	// Listen answers with a recording of the caller's tenant. When it returns an error,
	// which may be one of the recording package, nothing has been answered.
	Listen func(w http.ResponseWriter, r *http.Request, c access.Caller, id string) error
	// SealNumber returns a customer's number as encryptCustomerNumber shows it.
	SealNumber func(companyID, number string) string
	// DepartmentAgents returns the agentUUIDs that the tenant's directory has in a
	// department. Default: there are none.
	DepartmentAgents func(tenant int64, department string) []string
}

// directory returns that of a tenant; never nil.
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
