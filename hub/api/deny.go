package api

import (
	"errors"
	"net/http"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
)

// Deny answers an error of an access.Authenticator. It does nothing and returns false for
// any other error.
func Deny(w http.ResponseWriter, err error) bool {
	d := problem.Details{Status: http.StatusUnauthorized, Detail: err.Error()}
	var slow *access.SlowDown
	switch {
	case errors.As(err, &slow):
		d.Status = http.StatusTooManyRequests
		d.RetryAfter = slow.After
	case errors.Is(err, access.ErrSuspended), errors.Is(err, access.ErrQueryRole):
		d.Status = http.StatusForbidden
	case errors.Is(err, access.ErrNoCredential), errors.Is(err, access.ErrCredential):
		w.Header().Set("WWW-Authenticate", "Bearer")
	default:
		return false
	}
	problem.Write(w, d)
	return true
}
