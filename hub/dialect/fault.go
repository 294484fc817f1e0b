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

// Fault is what an error that the dialects share is to a client: of access, or
// the hub's own trouble.
type Fault struct {
	Status int    // 401, 403, 429, 500, 503
	Text   string // for people
}

// FaultOf an error. It sets Retry-After, and tells the log of the hub's own
// trouble, which is none of the client's business. nil: the caller went away.
func FaultOf(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) *Fault {
	var slow *access.SlowDown
	var full *fair.Full
	switch {
	case errors.As(err, &full):
		RetryAfter(w, full.After)
		return &Fault{full.Status(), err.Error()}
	case errors.As(err, &slow):
		RetryAfter(w, slow.After)
		return &Fault{http.StatusTooManyRequests, err.Error()}
	case errors.Is(err, access.ErrSignLimit):
		RetryAfter(w, time.Second)
		return &Fault{http.StatusTooManyRequests, "too many signed requests, wait some minutes"}
	case errors.Is(err, access.ErrNoCredential), errors.Is(err, access.ErrCredential), errors.Is(err, access.ErrSignTime), errors.Is(err, access.ErrSignUsed):
		return &Fault{http.StatusUnauthorized, err.Error()}
	case errors.Is(err, access.ErrSuspended), errors.Is(err, access.ErrQueryRole), errors.Is(err, access.ErrTokenInURL):
		return &Fault{http.StatusForbidden, err.Error()}
	case errors.Is(err, ingest.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		log.Error("query", "path", r.URL.Path, "err", err)
		RetryAfter(w, time.Second)
		return &Fault{http.StatusServiceUnavailable, "the hub cannot answer this now"}
	case r.Context().Err() != nil:
		return nil
	}
	log.Error("query", "path", r.URL.Path, "err", err)
	return &Fault{http.StatusInternalServerError, "the hub could not do this; its log says why"}
}

// RetryAfter says when to come again, in whole seconds, at least one.
func RetryAfter(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
}
