package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/problem"
)

// Handler answers one request of a caller that the route table let through. The
// view is written as JSON with the status; a nil view means an answer without a
// body. An error is answered as fail says, and nothing of the view is written.
type Handler func(r *http.Request, c access.Caller, ps httprouter.Params) (status int, view any, err error)

// Responder writes its answer itself, because it is a stream or a file.
type Responder func(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params)

// Respond makes a Responder of a Handler.
func (a *API) Respond(h Handler) Responder {
	return func(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) {
		status, view, err := h(r, c, ps)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.answer(w, r, status, view)
	}
}

// answer writes a view as JSON, or nothing but the status for a nil one.
func (a *API) answer(w http.ResponseWriter, r *http.Request, status int, view any) {
	if v, ok := view.(viewWithHeader); ok {
		maps.Copy(w.Header(), v.header)
		view = v.view
	}
	if view == nil {
		w.WriteHeader(status)
		return
	}

	body, err := json.Marshal(view)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller went away: there is nobody to report this to
}

// viewWithHeader is a view whose answer has header fields of its own.
type viewWithHeader struct {
	view   any
	header http.Header
}

// versioned adds the ETag of an object's version to its view.
func versioned(view any, version int64) viewWithHeader {
	etag := `"` + strconv.FormatInt(version, 10) + `"`
	return viewWithHeader{view, http.Header{"Etag": {etag}}}
}

// at adds the path of an object that the request has made.
func (v viewWithHeader) at(path string) viewWithHeader {
	v.header.Set("Location", path)
	return v
}

// fail answers err: problems and the errors of this package as themselves,
// anything else as 500 with its reason in the log only.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var d *problem.Details
	var full *fair.Full
	var taken *NameTaken
	switch {

	// Errors that bring their own answer.
	case errors.As(err, &d):
		problem.Write(w, *d)
	case errors.As(err, &full):
		problem.Write(w, problem.Details{Status: full.Status(), Detail: full.Error(), RetryAfter: full.After})
	case errors.As(err, &taken):
		problem.Write(w, taken.problem())

	// What the caller can change.
	case errors.Is(err, ErrNotFound):
		problem.Write(w, problem.Details{Status: http.StatusNotFound, Detail: "no such object in this tenant"})
	case errors.Is(err, ErrExists), errors.Is(err, ErrLastKey):
		problem.Write(w, problem.Details{Status: http.StatusConflict, Detail: err.Error()})
	case errors.Is(err, ErrVersion):
		problem.Write(w, problem.Details{
			Status: http.StatusPreconditionFailed,
			Detail: "it has another version than If-Match says: read it again",
		})
	case errors.Is(err, ErrLimit):
		problem.Write(w, problem.Details{Status: http.StatusTooManyRequests, Detail: err.Error()})

	// What passes.
	case errors.Is(err, ingest.ErrBusy):
		problem.Write(w, problem.Details{
			Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
			Detail: "the hub is full, or its store is away: come again, and see first whether this was done",
		})
	case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
		a.log().ErrorContext(r.Context(), "query took too long", "path", r.URL.Path, "err", err)
		problem.Write(w, problem.Details{
			Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Detail: "the hub cannot answer this now",
		})
	case r.Context().Err() != nil: // the caller went away, and nobody reads the answer
		problem.Write(w, problem.Details{Status: http.StatusServiceUnavailable, Detail: "the request was given up"})

	// Our own fault: the caller gets no detail of it.
	default:
		a.log().ErrorContext(r.Context(), "request failed",
			"method", r.Method, "path", r.URL.Path, "request", w.Header().Get("X-Request-Id"), "err", err)
		problem.Write(w, problem.Details{
			Status: http.StatusInternalServerError,
			Detail: "the hub could not do this; its log says why",
		})
	}
}
