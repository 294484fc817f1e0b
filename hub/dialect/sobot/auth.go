package sobot

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
)

// caller returns who makes a request, when he may query.
func (a *API) caller(r *http.Request) (access.Caller, error) { return mayQuery(a.Caller(r)) }

// streamCaller is caller for streams, where an agent token may be in the URL.
func (a *API) streamCaller(r *http.Request) (access.Caller, error) {
	return mayQuery(a.StreamCaller(r))
}

// mayQuery adds to the answer of a Caller whether he may query.
func mayQuery(c access.Caller, err error) (access.Caller, error) {
	if err != nil {
		return c, err
	}
	return c, dialect.MayQuery(c)
}
