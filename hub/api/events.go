package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
)

// What an answer says of a caller who may not see phone numbers.
const (
	masked   = "phone numbers are masked: they are shown to owners, and to auditors whose key says pii"
	unsealed = masked + "; the push was sealed, this is its plain body"
	withheld = "not a text, so it cannot be masked: it is shown to owners, and to auditors whose key says pii"
)

// pastRetention says why an answer lacks a body.
const pastRetention = "the body is past retention"

// seesNumbers reports whether a caller may see the phone numbers of customers.
func seesNumbers(c access.Caller) bool { return c.Role != access.Auditor || c.PII }

// listsNumbers reports whether a caller sees customers' numbers on boards and in lists of
// calls, which a key of role query does only if it says pii.
func listsNumbers(c access.Caller) bool { return c.Role == access.Owner || c.PII }

type eventView struct {
	ID             string          `json:"id"`
	EventHandle    string          `json:"eventHandle,omitempty"` // stands for the id where that is masked
	Type           string          `json:"type"`
	OrderKey       string          `json:"orderKey,omitempty"`
	OrderKeyHandle string          `json:"orderKeyHandle,omitempty"` // stands for the order key where that is masked
	Time           Time            `json:"time"`
	AcceptedAt     Time            `json:"acceptedAt"`
	Sequence       int64           `json:"sequence"`
	Source         string          `json:"source"`
	KeyID          string          `json:"keyId,omitempty"`
	Size           int             `json:"size"`
	Matched        int             `json:"matched"` // subscriptions that wanted it
	Warnings       []event.Problem `json:"warnings,omitempty"`
	Hops           int             `json:"hops,omitempty"`
	Test           bool            `json:"test,omitempty"`
}

// event returns what the log says of an event, as the caller may see it.
func (v viewer) event(e *search.Event) eventView {
	view := eventView{
		Type: e.Type.String(), Time: timeOf(e.OccurredAt), AcceptedAt: timeOf(e.AcceptedAt), Sequence: e.Seq,
		Source: e.Source,
		KeyID:  e.KeyID, Size: e.Size, Matched: e.Matched, Warnings: e.Warnings, Hops: e.Hops, Test: e.Test,
	}
	view.ID, view.EventHandle = v.eventID(e.ID)
	view.OrderKey, view.OrderKeyHandle = v.orderKey(e.OrderKey)
	return view
}

// ListEvents is GET /v1/events: newest first. A page may be short although a
// cursor follows.
func (a *API) ListEvents(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	f, err := a.eventFilter(r, c)
	if err != nil {
		return 0, nil, err
	}

	indexed, err := a.searchNumber(r, c, f.Subject)
	if err != nil {
		return 0, nil, err
	}
	events, next, err := a.Search.FindEvents(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}

	cursor := ""
	if next != 0 {
		cursor = a.Cursors.Make("events", next)
	}
	return http.StatusOK, pageOf(viewsOf(events, a.viewer(c).event), cursor).about(indexed), nil
}

// eventFilter reads the parameters of a page of events.
func (a *API) eventFilter(r *http.Request, c access.Caller) (f search.EventFilter, err error) {
	f.Tenant = c.Tenant
	if f.Limit, err = a.readPage(r, "events", &f.Before, "type", "orderKey", "number", "from", "to", "matched",
		"warnings"); err != nil {
		return f, err
	}

	q := r.URL.Query()

	if f.OrderKey, err = a.orderKeyOf(c, q); err != nil {
		return f, err
	}
	if f.Subject, err = a.subjectOf(c, q); err != nil {
		return f, err
	}
	if f.Types, err = typesOf(q); err != nil {
		return f, err
	}
	if f.From, f.To, err = timesOf(q); err != nil {
		return f, err
	}
	if f.Matched, err = boolOf(q, "matched"); err != nil {
		return f, err
	}
	f.Warnings, err = boolOf(q, "warnings")
	return f, err
}

// found turns search.ErrNotFound into ErrNotFound of this package.
func found(err error) error {
	if errors.Is(err, search.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

// unmatchedView says why a subscription did not get an event.
type unmatchedView struct {
	Subscription string `json:"subscription"`
	Name         string `json:"name,omitempty"`
	Reason       string `json:"reason"` // type, filter.<field>, createdLater
}

// GetEvent is GET /v1/events/{id}: the event with its body and its deliveries. When
// nothing matched, it says for each subscription why not.
func (a *API) GetEvent(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}

	e, err := a.eventNamed(r, c, ps)
	if err != nil {
		return 0, nil, err
	}

	ds, err := a.Search.EventDeliveries(r.Context(), c.Tenant, e.Seq)
	if err != nil {
		return 0, nil, err
	}

	v := a.viewer(c)
	view := struct {
		eventView
		Data       json.RawMessage `json:"data,omitempty"`
		Note       string          `json:"note,omitempty"` // what is not shown, and why
		Deliveries []deliveryView  `json:"deliveries"`
		Unmatched  []unmatchedView `json:"unmatched,omitempty"`
	}{eventView: v.event(e), Deliveries: viewsOf(ds, v.delivery)}

	switch {
	case e.Body == nil:
		view.Note = pastRetention
	case !seesNumbers(c):
		view.Data, view.Note = v.body(e.Event, e.Body), masked
	default:
		view.Data = e.Body
	}

	// The body is shown only after the audit log knows it.
	if view.Data != nil {
		if err := a.viewed(r, c, "event", e.ID); err != nil {
			return 0, nil, err
		}
	}

	if len(ds) == 0 {
		if view.Unmatched, err = a.whyUnmatched(r, c, e); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, view, nil
}

// whyUnmatched says for each subscription of the tenant why it did not want an event.
func (a *API) whyUnmatched(r *http.Request, c access.Caller, e *search.Event) ([]unmatchedView, error) {
	subs, err := a.Subscriptions.VersionsAt(r.Context(), c.Tenant, e.AcceptedAt)
	if err != nil {
		return nil, err
	}

	x := a.explainer(c, e)
	why := make([]unmatchedView, 0, len(subs))
	for _, s := range subs {
		verdict, field, _ := x.judge(s)
		reason := verdict.String()
		if field != "" && s.Filter.Misses(x.facets) != "" { // else it was so by the directory of then
			reason += "." + field
		}
		why = append(why, unmatchedView{Subscription: s.ID, Name: s.Name, Reason: reason})
	}
	return why, nil
}
