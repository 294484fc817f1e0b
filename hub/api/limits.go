package api

import "github.com/hookline/hookline/hub/access"

// limits returns the limits in force for the caller's tenant.
func (a *API) limits(c access.Caller) access.Limits {
	if t := a.Book.Tenant(c.Tenant); t != nil {
		return t.Limits.Effective()
	}
	return access.DefaultLimits
}
