// Package dialect holds what the vendors' APIs share: kit.go is what all of them need
// and do alike, fault.go how they refuse a request for reasons that all have.
//
// Each dialect is a folder with the same files: sobot.go, or what it is called there,
// says what the dialect is and needs, routes.go has every URL of it, auth.go makes a
// Caller of a credential, params.go reads what is asked, and answer.go is the shape of
// answers and errors. The others are one per subject. Dialects are shapes only: they
// have no SQL and keep nothing.
package dialect

import (
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// NowHeader is the header by which a test sets the moment that a query is about, in
// Unix ms.
const NowHeader = "X-Hookline-Now"

// Dialect is one vendor's API.
type Dialect interface {
	// Routes returns the URLs that the dialect answers, with its own credentials and
	// errors.
	Routes() []Route
	// Owns reports whether a path belongs to the dialect, even if it has no route.
	Owns(path string) bool
	// Refuse answers in the dialect's shape what none of its handlers answers: 404, 405
	// and 500. text is for people.
	Refuse(w http.ResponseWriter, r *http.Request, status int, text string)
}

// Route is one URL.
type Route struct {
	Method, Path string
	Handle       httprouter.Handle
}
