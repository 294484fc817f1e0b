package hub

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/admin"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/dialect/sobot"
)

// dialects are the vendors' APIs.
func (h *Hub) dialects(auth *access.Authenticator, api *admin.API) []dialect.Dialect {
	return []dialect.Dialect{
		&sobot.API{
			Caller:       func(r *http.Request) (access.Caller, error) { return auth.AuthenticateVendor(r, false) },
			StreamCaller: func(r *http.Request) (access.Caller, error) { return auth.AuthenticateVendor(r, true) },
			Tokens:       auth.Tokens, Wrong: auth.Wrong,
			Records: h.folds, Listen: api.Listen,
			SealNumber: func(companyID, number string) string { return h.cfg.box.Numbers(companyID).Seal(number) },
			DepartmentAgents: func(tenant int64, department string) []string {
				return h.db.Directory().Of(tenant).InDepartment(department)
			},
			Log: h.log,
		},
	}
}
