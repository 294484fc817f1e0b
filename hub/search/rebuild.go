package search

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// Request is a request as the receiver got it.
type Request struct {
	Method string
	URL    string
	Header http.Header // with Host and Content-Length; names spelled as sent
	Body   []byte
}

// Rebuild makes the request of an attempt again, byte for byte. body is the plain body as
// it was pushed. sub is the subscription at the version of the attempt, with its keys.
func Rebuild(d *Delivery, a *Attempt, e *event.Event, body []byte, sub *subscriptions.Subscription) (*Request, error) {
	if keys := sub.KeysAt(time.UnixMilli(a.SignedAt)); len(keys) == 0 || keys[0].N != a.KeyN {
		return nil, fmt.Errorf("rebuild attempt %d of %s: key %d of the subscription is not there", a.N, d.PublicID(), a.KeyN)
	}

	target, err := subscriptions.Target(sub.URL)
	if err != nil {
		return nil, fmt.Errorf("rebuild attempt %d of %s: callback URL is malformed", a.N, d.PublicID())
	}

	p := delivery.Push{
		ID: delivery.ID{Sub: d.Sub, Seq: d.Seq, Run: a.Run}, AcceptedAt: d.AcceptedAt, Event: e, Body: body, Sub: sub,
		At: a.SignedAt, RandomCode: a.RandomCode, Nonce: a.Nonce, N: a.N, Late: a.Late, Replay: a.Replay,
	}
	header, body, err := p.Request()
	if err != nil {
		return nil, fmt.Errorf("rebuild attempt %d of %s: %w", a.N, d.PublicID(), err)
	}

	// The HTTP client writes these two itself.
	header["Host"] = []string{target.Host}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	return &Request{Method: http.MethodPost, URL: target.String(), Header: header, Body: body}, nil
}

// SentTo returns the URL to which pushes of a subscription go, encoded as they
// are sent.
func SentTo(sub *subscriptions.Subscription) string {
	target, err := subscriptions.Target(sub.URL)
	if err != nil { // cannot happen: the URL was checked when it was set
		return sub.URL
	}
	return target.String()
}

// Hide replaces the values of the subscription's own headers, which may hold secrets.
func (r *Request) Hide(sub *subscriptions.Subscription) {
	for name := range sub.Headers {
		r.Header[http.CanonicalHeaderKey(name)] = []string{"***"}
	}
}

// HideQuery returns a URL with *** for its query and fragment, if it has any.
func HideQuery(s string) string {
	before, query, _ := strings.Cut(s, "?")
	if query == "" {
		return s
	}
	return before + "?***"
}

var queryInText = regexp.MustCompile(`\?[^\s"'<>]+`)

// HideQueries hides the query of every URL in a text, such as a header field of
// a receiver that redirects.
func HideQueries(text string) string { return queryInText.ReplaceAllString(text, "?***") }
