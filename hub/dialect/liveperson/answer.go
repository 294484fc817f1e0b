package liveperson

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/ingest"
)

// failure is our contract's: the document shows statuses and no body.
type failure struct {
	Error failureDetails `json:"error"`
}

type failureDetails struct {
	StatusCode   int    `json:"statusCode"`
	InternalCode string `json:"internalCode"`
	Message      string `json:"message"`
}

// problem is why a request is refused: HTTP status, a code, and a text that begins
// with the parameter's name where there is one.
type problem struct {
	Status int
	Code   string
	Text   string
}

func (p *problem) Error() string { return p.Code + ": " + p.Text }

// bad is a parameter that cannot be taken.
func bad(param, text string) *problem {
	return &problem{http.StatusBadRequest, "BAD_REQUEST", param + ": " + text}
}

func write(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // not with the types of this package
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the caller went away: nobody is left to tell
}

// Refuse implements dialect.Dialect.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	codes := map[int]string{
		http.StatusNotFound: "NOT_FOUND", http.StatusMethodNotAllowed: "METHOD_NOT_ALLOWED", http.StatusInternalServerError: "INTERNAL",
	}
	a.fail(w, r, &problem{status, codes[status], text})
}

// fail answers an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problemOf(w, r, err)
	if p == nil {
		return // nobody is left to hear it
	}
	write(w, p.Status, failure{failureDetails{p.Status, p.Code, p.Text}})
}

// problemOf an error: a problem, one of access, or the hub's own trouble. It sets
// the headers that go with it. nil: the caller went away.
func (a *API) problemOf(w http.ResponseWriter, r *http.Request, err error) *problem {
	var p *problem
	var slow *access.SlowDown
	wait := 1 // s: "a window of at least 1 second"
	switch {
	case errors.As(err, &p):
	case errors.As(err, &slow):
		wait = max(1, int(math.Ceil(slow.After.Seconds())))
		p = &problem{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", err.Error()}
	case errors.Is(err, access.ErrSignLimit):
		p = &problem{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "too many signed requests, or use a key: it needs no nonce"}
	case errors.Is(err, access.ErrNoCredential), errors.Is(err, access.ErrCredential), errors.Is(err, access.ErrSignTime), errors.Is(err, access.ErrSignUsed):
		p = &problem{http.StatusUnauthorized, "UNAUTHORIZED", err.Error()}
	case errors.Is(err, access.ErrSuspended):
		p = &problem{http.StatusForbidden, "FORBIDDEN", err.Error()}
	case errors.Is(err, ingest.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		a.log().Error("query", "path", r.URL.Path, "err", err)
		p = &problem{http.StatusServiceUnavailable, "UNAVAILABLE", "the hub cannot answer this now"}
	case r.Context().Err() != nil:
		return nil //nolint:nilerr // nobody is left to hear of it
	default:
		a.log().Error("query", "path", r.URL.Path, "err", err)
		p = &problem{http.StatusInternalServerError, "INTERNAL", "the hub could not do this; its log says why"}
	}
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Add("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", "OAuth")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(wait))
	}
	return p
}
