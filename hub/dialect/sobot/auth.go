package sobot

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller is who makes a request, if he may query.
func (a *API) caller(r *http.Request) (access.Caller, error) { return mayQuery(a.Caller(r)) }

// streamCaller is the same where an agent token may be in the URL.
func (a *API) streamCaller(r *http.Request) (access.Caller, error) {
	return mayQuery(a.StreamCaller(r))
}

func mayQuery(c access.Caller, err error) (access.Caller, error) {
	if err != nil {
		return c, err
	}
	return c, dialect.MayQuery(c)
}
