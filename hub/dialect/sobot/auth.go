package sobot

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
)

// caller is who makes a request, if he may query.
func (a *API) caller(r *http.Request) (access.Caller, error) {
	c, err := a.Caller(r)
	if err != nil {
		return c, err
	}
	if c.Role != access.Query && c.Role != access.Owner {
		return c, &problem{Status: http.StatusForbidden, Reason: "FORBIDDEN", Text: "a key of role " + string(c.Role) + " may not query"}
	}
	return c, nil
}
