package comm100

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/dialect"
)

// failure is the body of an error. The document shows statuses only: this shape is our
// own.
type failure struct {
	ErrorCode    int    `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
}

// problem is why a request is refused. The text begins with the name of the parameter
// when one is at fault.
type problem struct {
	Status int
	Text   string
}

func (p *problem) Error() string { return p.Text }

// tooMany is the error for an address that has used its allowance up.
type tooMany struct {
	after time.Duration // how long to wait
}

func (t *tooMany) Error() string { return "too many calls from this address in 5 minutes" }

// double is a number that always has a decimal, like 0.0.
type double float64

// MarshalJSON implements json.Marshaler.
func (d double) MarshalJSON() ([]byte, error) {
	s := strconv.FormatFloat(float64(d), 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return []byte(s), nil
}

// timeSpan is a length of time in ms. It is shown as .NET writes a TimeSpan:
// [d.]hh:mm:ss[.fffffff].
type timeSpan int64

// MarshalText implements encoding.TextMarshaler.
func (t timeSpan) MarshalText() ([]byte, error) {
	ms := int64(t)
	s := fmt.Sprintf("%02d:%02d:%02d", ms/3_600_000%24, ms/60_000%60, ms/1000%60)
	if days := ms / 86_400_000; days > 0 {
		s = fmt.Sprint(days, ".", s)
	}
	if fraction := ms % 1000; fraction > 0 {
		s += fmt.Sprintf(".%03d0000", fraction)
	}
	return []byte(s), nil
}

// write answers with a JSON body.
func write(w http.ResponseWriter, status int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the caller is gone
	return nil
}

// Refuse implements dialect.Dialect.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	a.fail(w, r, &problem{status, text})
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problemOf(w, r, err)
	if p == nil {
		return // the caller is gone
	}
	if err := write(w, p.Status, failure{p.Status, p.Text}); err != nil {
		a.Log().Error("answer", "err", err)
	}
}

// problemOf returns what an error is to the client, and sets the headers that go with
// it. It is nil when the client is gone.
func (a *API) problemOf(w http.ResponseWriter, r *http.Request, err error) *problem {
	var p *problem
	var many *tooMany
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &many):
		dialect.RetryAfter(w, many.after)
		return &problem{http.StatusTooManyRequests, err.Error()}
	}

	f := dialect.FaultOf(w, r, a.Log(), err)
	if f == nil {
		return nil
	}
	if f.Status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", `Basic realm="hookline"`)
	}
	return &problem{f.Status, f.Text}
}
