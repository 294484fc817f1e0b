package deepcall

import (
	"errors"
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller returns who makes a request, if that caller may query. The credential is in the
// body: ssid, or userId and token ("When userId and token are used, ssid should not be
// present"). The session and the token are both keys here, and userId may be anything.
//
// With an error, the caller has a tenant only if the key was right: nothing in the answer
// to a wrong key may depend on the tenant that the key names.
func (a *API) caller(r *http.Request, p *params) (access.Caller, error) {
	ssid, userID, token := p.text("ssid"), p.text("userId"), p.text("token")
	switch {
	case p.err != nil:
		return access.Caller{}, p.err
	case ssid != "" && (userID != "" || token != ""):
		return access.Caller{}, bad(badParameter, "ssid must not be there with userId and token")
	case ssid == "" && token == "":
		return access.Caller{}, &problem{Code: noToken}
	case ssid == "" && userID == "":
		return access.Caller{}, &problem{Code: noUser}
	}

	c, err := a.Caller(r, ssid+token)
	if errors.Is(err, access.ErrSuspended) { // the key is right
		c.CompanyID, _ = access.ParseKey(ssid + token)
	}
	if err != nil {
		return c, err
	}
	return c, dialect.MayQuery(c)
}
