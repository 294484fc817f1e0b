package deepcall

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller returns who makes a request, if that caller may query. The credential is in the
// body: ssid, or userId and token ("When userId and token are used, ssid should not be
// present"). The session and the token are both keys here, and userId may be anything.
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
	if err != nil {
		return c, err
	}
	return c, dialect.MayQuery(c)
}

// statusErrors reports whether the tenant of the key in p, be the key valid or not, wants
// errors to be HTTP statuses as well.
func (a *API) statusErrors(p *params) bool {
	if p == nil {
		return false
	}
	for _, name := range []string{"ssid", "token"} {
		if company, ok := access.ParseKey(textOf(p.values[name])); ok {
			return a.setting(company, "deepcall.httpStatusErrors") == true
		}
	}
	return false
}
