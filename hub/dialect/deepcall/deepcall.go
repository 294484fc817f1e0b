// Package deepcall answers DeepCall's live queue and live agents: the paths,
// parameters, codes and bytes of its two documents, so that a client of them works
// with Hookline. Where they are silent or contradict themselves, the comment beside
// the code says what holds.
package deepcall

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

var _ dialect.Dialect = (*API)(nil)

// API holds what the handlers need.
type API struct {
	dialect.Kit

	// Caller returns whose key stands in the body of a request. Its errors are those of
	// access.
	Caller func(r *http.Request, key string) (access.Caller, error)
	// Tenant returns the tenant with this companyId, for its settings, or nil. Default:
	// there are no settings.
	Tenant func(companyID string) *access.Tenant
}

// setting returns one setting of a tenant; nil when the tenant has not set it.
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
