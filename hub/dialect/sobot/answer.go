package sobot

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/search"
)

// envelope is that of every answer, in the order of the document.
type envelope struct {
	APIVersion string `json:"apiVersion"`
	Status     string `json:"status"`
	Message    string `json:"message"`
	Code       int    `json:"code"`
	Reason     string `json:"reason"`
	Kind       string `json:"kind"`
	Data       any    `json:"data"`
}

// failure is the envelope of an error. The document shows none: this shape is our own,
// and has code before message.
type failure struct {
	APIVersion string `json:"apiVersion"`
	Status     string `json:"status"`
	Code       int    `json:"code"`
	Message    string `json:"message"`
	Reason     string `json:"reason"`
	Kind       string `json:"kind"`
	Data       any    `json:"data"`
}

// reportEnvelope is the envelope of the reports and their schemes (S12 to S15), in the
// order of the document.
type reportEnvelope struct {
	APIVersion string   `json:"apiVersion"`
	Status     string   `json:"status"`
	Code       int      `json:"code"`
	Message    string   `json:"message"`
	Reason     string   `json:"reason"`
	Kind       string   `json:"kind"`
	MetaData   metaData `json:"metaData"`
	Data       any      `json:"data"`
}

// metaData is empty: what is answered was made by nobody at no time.
type metaData struct {
	CreatorID    string `json:"creatorId"`
	CreationTime int64  `json:"creationTime"`
	UpdateUserID string `json:"updateUserId"`
	UpdatedTime  int64  `json:"updatedTime"`
}

// succeedReport answers a report or a scheme.
func succeedReport(w http.ResponseWriter, kind string, data any) error {
	return write(w, http.StatusOK, reportEnvelope{apiVersion, "Success", http.StatusOK, "", "OK", kind, metaData{}, data})
}

const apiVersion = "6.2"

// succeed answers any other query.
func succeed(w http.ResponseWriter, kind string, data any) error {
	return write(w, http.StatusOK, envelope{apiVersion, "Success", "", http.StatusOK, "OK", kind, data})
}

// write answers with a JSON body.
func write(w http.ResponseWriter, status int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the caller is gone
	return nil
}

// problem is why a request is refused. The text begins with the name of the parameter
// when one is at fault.
type problem struct {
	Status int
	Reason string
	Text   string
}

func (p *problem) Error() string { return p.Reason + ": " + p.Text }

// bad returns the problem of a parameter that cannot be taken.
func bad(reason, param, text string) *problem {
	return &problem{http.StatusBadRequest, reason, param + ": " + text}
}

// Refuse implements dialect.Dialect.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	reasons := map[int]string{
		http.StatusNotFound:            "NOT_FOUND",
		http.StatusMethodNotAllowed:    "METHOD_NOT_ALLOWED",
		http.StatusInternalServerError: "INTERNAL",
	}
	a.fail(w, r, &problem{status, reasons[status], text})
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problemOf(w, r, err)
	if p == nil {
		return // the caller is gone
	}
	if err := write(w, p.Status, failure{apiVersion, "Fail", p.Status, p.Text, p.Reason, "Error", nil}); err != nil {
		a.Log().Error("answer", "err", err)
	}
}

// problemOf returns what an error is to the client, and sets the headers that go with
// it. It is nil when the client is gone.
func (a *API) problemOf(w http.ResponseWriter, r *http.Request, err error) *problem {
	var p *problem
	var full live.Full
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, search.ErrNotFound):
		return &problem{http.StatusNotFound, "NOT_FOUND", err.Error()}
	case errors.As(err, &full):
		dialect.RetryAfter(w, time.Second)
		return &problem{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", err.Error()}
	case errors.Is(err, live.ErrStopping), errors.Is(err, live.ErrReplaced):
		dialect.RetryAfter(w, time.Second)
		return &problem{http.StatusServiceUnavailable, "UNAVAILABLE", err.Error()}
	}

	f := dialect.FaultOf(w, r, a.Log(), err)
	if f == nil {
		return nil
	}
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if f.Body {
		reason := "BODY_INVALID"
		if f.Status == http.StatusRequestEntityTooLarge {
			reason = "BODY_TOO_LARGE"
		}
		return &problem{f.Status, reason, "body: " + f.Text}
	}
	return &problem{f.Status, faultReasons[f.Status], f.Text}
}

// faultReasons are the reasons of faults that all dialects share, by HTTP status.
var faultReasons = map[int]string{
	http.StatusBadRequest:          "PARAM_VALUE",
	http.StatusUnauthorized:        "UNAUTHORIZED",
	http.StatusForbidden:           "FORBIDDEN",
	http.StatusTooManyRequests:     "TOO_MANY_REQUESTS",
	http.StatusInternalServerError: "INTERNAL",
	http.StatusServiceUnavailable:  "UNAVAILABLE",
}
