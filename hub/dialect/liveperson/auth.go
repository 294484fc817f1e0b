package liveperson

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller returns who makes a request, when he may query the account: it must be that
// of his own tenant.
func (a *API) caller(r *http.Request, account string) (access.Caller, error) {
	c, err := a.Caller(r)
	switch {
	case err != nil:
		return c, err
	case c.CompanyID != account: // "Bad Authentication (invalid site or agent)"
		return c, &problem{http.StatusUnauthorized, "the credential is not of this account"}
	}
	return c, dialect.MayQuery(c)
}
