// Package problem writes errors to callers as application/problem+json
// (RFC 9457). It imports nothing of ours.
package problem

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ContentType of every error answer.
const ContentType = "application/problem+json"

// Details says why a request is refused. It is an error that a function can return up to
// the handler, which writes it.
type Details struct {
	Type       string        // what kind of problem it is, as a URI; default about:blank
	Status     int           // HTTP status, 400..599
	Title      string        // default: the status's text
	Detail     string        // what was wrong, for people
	Errors     []Error       // the fields at fault, if it is about input
	RetryAfter time.Duration // sent in whole seconds, rounded up; 0: not sent
}

// Error is what is wrong with one field of the input.
type Error struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (d *Details) Error() string {
	var b strings.Builder
	b.WriteString(d.title())
	if d.Detail != "" {
		b.WriteString(": " + d.Detail)
	}
	for _, e := range d.Errors {
		b.WriteString("; " + e.Field + ": " + e.Message)
	}
	return b.String()
}

func (d *Details) title() string {
	if d.Title != "" {
		return d.Title
	}
	return http.StatusText(d.Status)
}

// New returns a problem without fields.
func New(status int, detail string) *Details {
	return &Details{Status: status, Detail: detail}
}

// Field returns a problem with one field of the input.
func Field(status int, field, message string) *Details {
	return &Details{Status: status, Detail: field + ": " + message, Errors: []Error{{Field: field, Message: message}}}
}

// Write answers with d. Headers that were set before (Allow, WWW-Authenticate) stay.
func Write(w http.ResponseWriter, d Details) {
	body, err := json.Marshal(struct {
		Type   string  `json:"type"`
		Title  string  `json:"title"`
		Status int     `json:"status"`
		Detail string  `json:"detail,omitempty"`
		Errors []Error `json:"errors,omitempty"`
	}{cmp.Or(d.Type, "about:blank"), d.title(), d.Status, d.Detail, d.Errors})
	if err != nil {
		// Cannot happen: strings and an int always marshal. The status says enough.
		body = []byte(`{"type":"about:blank"}`)
	}

	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	if d.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((d.RetryAfter+time.Second-1)/time.Second), 10))
	}

	w.WriteHeader(d.Status)
	_, _ = w.Write(body) // an error means that the caller went away
}
