// Package dialect is what the vendors' APIs share. Each dialect is a folder with
// the same files: sobot.go (its like) says what the dialect is and needs,
// routes.go is every URL of it, auth.go makes a Caller of a credential,
// params.go reads what is asked, answer.go is the shape of answers and errors.
// The others are one per subject. Dialects are shapes only: no SQL, no state.
package dialect

import (
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// NowHeader sets the moment that a query is about, where tests may (Unix ms).
const NowHeader = "X-Hookline-Now"

// Dialect is one vendor's API.
type Dialect interface {
	// Routes are the URLs that the dialect answers, credentials and errors included.
	Routes() []Route
	// Owns says whether a path is the dialect's, also one without a route.
	Owns(path string) bool
	// Refuse answers what no handler of the dialect does, in its shape: 404, 405,
	// 500. text is for people.
	Refuse(w http.ResponseWriter, r *http.Request, status int, text string)
}

// Route is one URL.
type Route struct {
	Method, Path string
	Handle       httprouter.Handle
}
