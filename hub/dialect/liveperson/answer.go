package liveperson

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hookline/hookline/hub/dialect"
)

// failure is the body of an error. The document shows statuses only: this shape is our
// own.
type failure struct {
	Error failureDetails `json:"error"`
}

type failureDetails struct {
	StatusCode   int    `json:"statusCode"`
	InternalCode string `json:"internalCode"`
	Message      string `json:"message"`
}

// problem is why a request is refused. The text begins with the name of the parameter
// when one is at fault.
type problem struct {
	Status int
	Text   string
}

func (p *problem) Error() string { return p.Text }

// bad returns the problem of a parameter that cannot be taken.
func bad(param, text string) *problem {
	return &problem{http.StatusBadRequest, param + ": " + text}
}

// write answers with a JSON body.
func write(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // not with the types of this package
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the caller is gone
}

// codes are the internalCodes by HTTP status.
var codes = map[int]string{
	http.StatusBadRequest:          "BAD_REQUEST",
	http.StatusUnauthorized:        "UNAUTHORIZED",
	http.StatusForbidden:           "FORBIDDEN",
	http.StatusNotFound:            "NOT_FOUND",
	http.StatusMethodNotAllowed:    "METHOD_NOT_ALLOWED",
	http.StatusTooManyRequests:     "TOO_MANY_REQUESTS",
	http.StatusInternalServerError: "INTERNAL",
	http.StatusServiceUnavailable:  "UNAVAILABLE",
}

// Refuse implements dialect.Dialect.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	a.fail(w, r, &problem{status, text})
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem
	if !errors.As(err, &p) {
		f := dialect.FaultOf(w, r, a.Log(), err)
		if f == nil {
			return // the caller is gone
		}
		p = &problem{f.Status, f.Text}
	}

	if p.Status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", "OAuth")
	}
	write(w, p.Status, failure{failureDetails{p.Status, codes[p.Status], p.Text}})
}
