package hub

import (
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
)

// Line is a line of the route table, for tests that walk it.
type Line struct {
	Method, Path  string
	Public, InURL bool
	Roles         []access.Role
}

// Table returns all routes.
func Table() []Line {
	nothing := http.NotFoundHandler()
	var lines []Line
	for _, r := range (&Routes{API: &api.API{}, Healthz: nothing, Readyz: nothing, Metrics: nothing, Console: nothing}).table() {
		lines = append(lines, Line{r.method, r.path, r.who.public, r.who.inURL, r.who.roles})
	}
	return lines
}

// Guarded returns a hub that has one route.
func Guarded(public bool, roles []access.Role, h api.Responder) http.Handler {
	rt := &Routes{Auth: &access.Authenticator{Book: &access.Book{}}}
	guard := rt.guard(route{"GET", "/", audience{public: public, roles: roles}, h})
	return rt.outermost(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { guard(w, r, nil) }))
}
