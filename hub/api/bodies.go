package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

// Forms of a body.
const (
	formPlain  = "plain"
	formMasked = "masked"
	formSealed = "sealed"
)

// GetBody is GET /v1/events/{id}/body: the bytes of an event as they are pushed. plain has
// nothing hidden; masked is as a subscription masks it, or partly without one; sealed is as
// a subscription would seal it now.
func (a *API) GetBody(w http.ResponseWriter, r *http.Request, c access.Caller, ps httprouter.Params) {
	body, name, err := a.bodyOf(r, c, ps)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // fails if the caller went away
}

// bodyOf returns the bytes that are asked for, and a name for a file of them.
func (a *API) bodyOf(r *http.Request, c access.Caller, ps httprouter.Params) (body []byte, name string, err error) {
	q, err := query(r, "form", "subscription")
	if err != nil {
		return nil, "", err
	}
	form := q.Get("form")
	switch form {
	case "":
		form = formMasked
		if seesNumbers(c) {
			form = formPlain
		}
	case formPlain, formMasked, formSealed:
	default:
		return nil, "", problem.Field(http.StatusBadRequest, "form", "must be plain, masked or sealed")
	}
	if form != formMasked && !seesNumbers(c) {
		return nil, "", problem.New(http.StatusForbidden, masked+": form=masked shows the rest")
	}

	var sub *subscriptions.Subscription
	if id := q.Get("subscription"); id != "" {
		s, err := a.Subscriptions.FindSubscription(r.Context(), c.Tenant, id)
		if errors.Is(err, ErrNotFound) || err == nil && s.DeletedAt != nil {
			return nil, "", problem.Field(http.StatusBadRequest, "subscription", "is not the id of a subscription of this tenant")
		}
		if err != nil {
			return nil, "", err
		}
		sub = s.Subscription
	}
	if form == formSealed && (sub == nil || sub.Encryption == signing.None) {
		return nil, "", problem.Field(http.StatusBadRequest, "subscription", "must be that of a subscription with encryption, for form=sealed")
	}

	e, err := a.eventNamed(r, c, ps)
	if err != nil {
		return nil, "", err
	}
	if e.Body == nil {
		return nil, "", problem.New(http.StatusGone, pastRetention)
	}
	if body, err = a.form(r, c, form, e, sub); err != nil {
		return nil, "", err
	}

	// Whoever may see numbers is noted, whatever the form hides of them.
	if err := a.viewed(r, c, "event", e.ID); err != nil {
		return nil, "", err
	}
	return body, fmt.Sprintf("event-%d-%s.json", e.Seq, form), nil
}

// form returns a form of an event's body; sub is nil when no subscription was named.
func (a *API) form(r *http.Request, c access.Caller, form string, e *search.Event, sub *subscriptions.Subscription) ([]byte, error) {
	m := event.Partial
	if sub != nil {
		m = sub.Masking
	}
	s := sent{api: a, caller: c, event: e, masked: map[event.Masking][]byte{}}
	switch form {
	case formPlain:
		return e.Pushed(event.Unmasked), nil
	case formMasked:
		body, err := s.pushed(r.Context(), m)
		if err != nil {
			return nil, err
		}
		return a.viewer(c).body(e.Event, body), nil
	}

	body, err := s.pushed(r.Context(), m)
	if err != nil {
		return nil, err
	}
	p := &delivery.Push{
		ID: delivery.ID{Sub: sub.No, Seq: e.Seq}, AcceptedAt: e.AcceptedAt, Event: e.Event, Body: body, Sub: sub, N: 1,
	}
	p.Stamp(a.now().UnixMilli())
	_, sealed, err := p.Request()
	return sealed, err
}
