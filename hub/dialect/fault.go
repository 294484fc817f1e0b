package dialect

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
)

// Fault is why a request is refused, for reasons that all dialects have: the
// credential, the body, or trouble of the hub itself. Each dialect answers it in
// its own shape.
type Fault struct {
	Status int    // 400, 401, 403, 413, 415, 429, 500, 503
	Text   string // for people
	Body   bool   // the body of the request is at fault
}

func (f *Fault) Error() string { return f.Text }

// FaultOf returns what an error is to a client; nil when the client is gone. It
// sets the header Retry-After, and logs trouble of the hub itself, of which the
// client learns no details.
func FaultOf(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) *Fault {
	if f, is := errors.AsType[*Fault](err); is {
		return f
	}

	var slow *access.SlowDown
	var full *fair.Full
	switch {
	case errors.As(err, &full):
		RetryAfter(w, full.After)
		return &Fault{Status: full.Status(), Text: err.Error()}
	case errors.As(err, &slow):
		RetryAfter(w, slow.After)
		return &Fault{Status: http.StatusTooManyRequests, Text: err.Error()}
	case errors.Is(err, access.ErrSignLimit):
		RetryAfter(w, time.Second)
		return &Fault{Status: http.StatusTooManyRequests, Text: "too many signed requests, wait some minutes"}
	case errors.Is(err, access.ErrNoCredential), errors.Is(err, access.ErrCredential),
		errors.Is(err, access.ErrSignTime), errors.Is(err, access.ErrSignUsed):
		return &Fault{Status: http.StatusUnauthorized, Text: err.Error()}
	case errors.Is(err, access.ErrSuspended), errors.Is(err, access.ErrQueryRole),
		errors.Is(err, access.ErrTokenInURL):
		return &Fault{Status: http.StatusForbidden, Text: err.Error()}
	case errors.Is(err, ingest.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		log.Error("query", "path", r.URL.Path, "err", err)
		RetryAfter(w, time.Second)
		return &Fault{Status: http.StatusServiceUnavailable, Text: "the hub cannot answer this now"}
	case r.Context().Err() != nil:
		return nil //nolint:nilerr // the caller went away
	}

	log.Error("query", "path", r.URL.Path, "err", err)
	return &Fault{Status: http.StatusInternalServerError, Text: "the hub could not do this; its log says why"}
}

// RetryAfter sets the header that says when to come again, in whole seconds, at
// least one.
func RetryAfter(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
}
