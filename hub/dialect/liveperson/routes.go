package liveperson

import (
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/dialect"
)

const prefix = "/operations/api/account/"

// Routes implements dialect.Dialect.
func (a *API) Routes() []dialect.Route {
	return []dialect.Route{{Method: "GET", Path: prefix + ":account/queuestate", Handle: a.serve}}
}

// Owns implements dialect.Dialect.
func (a *API) Owns(path string) bool { return strings.HasPrefix(path, prefix) }

func (a *API) serve(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
	c, err := a.caller(r, ps.ByName("account"))
	if err == nil {
		err = a.queueState(w, r, c)
	}
	if err != nil {
		a.fail(w, r, err)
	}
}
