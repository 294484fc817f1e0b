package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

// Bounds of previews and probes.
const (
	previewEvents = 1000 // of the last ones it is said how many would match
	probesMax     = 10   // of a tenant, in
	probesEvery   = time.Minute
	probeTime     = 10 * time.Second
)

// ProbeStore counts the probes of a tenant over all processes.
type ProbeStore interface {
	// Once reports whether nobody said what since now, in any process: after true it is
	// false until the time until.
	Once(ctx context.Context, what string, now, until time.Time) (first bool, err error)
}

// pushBody is what a preview or a probe is asked of.
type pushBody struct {
	Subscription json.RawMessage `json:"subscription"` // an id, or what POST /v1/subscriptions takes
	Type         *string         `json:"type"`         // its sample; default hub.test
	Event        *string         `json:"event"`        // a real one, by its id
	Delivery     *string         `json:"delivery"`     // signed once more
}

// previewView shows a push that would be sent.
type previewView struct {
	Subscription string        `json:"subscription,omitempty"` // absent: it is not stored
	Event        string        `json:"event,omitempty"`        // absent: a sample
	Delivery     string        `json:"delivery,omitempty"`
	Type         string        `json:"type"`
	Plain        string        `json:"plain"`            // the body before masking and sealing
	Masked       *string       `json:"masked,omitempty"` // absent: it masks nothing
	Sealed       *string       `json:"sealed,omitempty"` // absent: it seals nothing
	SignedAt     Time          `json:"signedAt"`
	Request      requestView   `json:"request"`
	Matching     *matchingView `json:"matching,omitempty"` // absent when a delivery is shown
}

// matchingView says how many of the last events the subscription would get.
type matchingView struct {
	Events  int `json:"events"`            // that were looked at
	Matched int `json:"matched"`           // by types and filter as they are now
	Unknown int `json:"unknown,omitempty"` // whose body, which the filter reads, is past retention
}

// probeView is what became of a probe.
type probeView struct {
	At          Time          `json:"at"`
	Durations   durationsView `json:"durationsMs"`
	RemoteIP    string        `json:"remoteIp,omitempty"`
	Status      int           `json:"status,omitempty"`
	Error       string        `json:"error,omitempty"` // class; absent: it succeeded
	ErrorDetail string        `json:"errorDetail,omitempty"`
	Request     requestView   `json:"request"`
	Response    *responseView `json:"response,omitempty"` // absent: there was no answer
}

// Preview is POST /v1/previews: the bytes, headers and signatures of the push that a
// subscription, stored or not, would get of an event, of a sample, or of a delivery now.
// It sends nothing and stores nothing.
func (a *API) Preview(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	var in pushBody
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	p, view, err := a.pushOf(r, c, &in)
	if err != nil {
		return 0, nil, err
	}

	p.Stamp(a.now().UnixMilli())
	if view.Request, err = requestOf(p); err != nil {
		return 0, nil, err
	}
	view.SignedAt = timeOf(p.At)
	view.Type = p.Event.Type.String()
	view.Plain = string(p.Event.Pushed(event.Unmasked))
	if p.Sub.Masking != event.Unmasked {
		view.Masked = new(string(p.Body))
	}
	if p.Sub.Encryption != signing.None {
		view.Sealed = view.Request.Body
	}
	if in.Delivery == nil {
		if view.Matching, err = a.matching(r.Context(), c, p.Sub); err != nil {
			return 0, nil, err
		}
	}

	// A real event is seen as by GET /v1/events/{id}.
	if view.Event != "" {
		err = a.viewed(r, c, "event", view.Event)
	}
	return http.StatusOK, view, err
}

// Probe is POST /v1/probes: one signed push of a sample to a subscription, stored or not.
// It is no delivery: it is not retried, and counts for nothing.
func (a *API) Probe(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	var in struct {
		Subscription json.RawMessage `json:"subscription"`
		Type         *string         `json:"type"`
	}
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	p, view, err := a.pushOf(r, c, &pushBody{Subscription: in.Subscription, Type: in.Type})
	if err != nil {
		return 0, nil, err
	}
	target, err := subscriptions.Target(p.Sub.URL)
	if err != nil { // cannot happen: it was checked
		return 0, nil, problem.Field(http.StatusUnprocessableEntity, "subscription", "has no URL that can be called")
	}
	if err := a.admitProbe(r.Context(), c); err != nil {
		return 0, nil, err
	}
	deed := audit.Deed{Tenant: c.Tenant, Action: audit.ProbeSend, Object: "url/" + search.HideQuery(target.String())}
	if view.Subscription != "" {
		deed.Object = "subscription/" + view.Subscription
	}
	if err := a.Audit.Note(r.Context(), c, deed); err != nil {
		return 0, nil, err
	}

	at, ok := a.Send(r.Context(), p, target)
	if !ok {
		return 0, nil, r.Context().Err() // the caller went away
	}
	of := about{secrets: subscriptions.SecretsOf(p.Sub.URL), typ: p.Event.Type, body: p.Event.Body}
	s := sent{api: a, caller: c, viewer: a.viewer(c)}
	v := probeView{
		At: timeOf(at.At), RemoteIP: at.RemoteIP, Status: at.StatusCode, Error: at.Class.String(),
		ErrorDetail: s.viewer.line(at.Err, of),
		Durations:   durationsView{ms(at.DNS), ms(at.Connect), ms(at.TLS), ms(at.First), ms(at.Total)},
	}
	if at.StatusCode != 0 {
		v.Response = s.response(&search.Attempt{Attempt: *at}, of)
	}
	v.Request, err = requestOf(p)
	return http.StatusOK, v, err
}

// admitProbe bounds the probes of a tenant, over all processes.
func (a *API) admitProbe(ctx context.Context, c access.Caller) error {
	now := a.now()
	for i := range probesMax {
		first, err := a.Probes.Once(ctx, fmt.Sprintf("probe/%d/%d", c.Tenant, i), now, now.Add(probesEvery))
		if err != nil || first {
			return err
		}
	}
	return &problem.Details{
		Status: http.StatusTooManyRequests, RetryAfter: probesEvery,
		Detail: fmt.Sprintf("a tenant may send %d probes a minute", probesMax),
	}
}

// pushOf makes the push that is asked for, without time and random bytes. view has the ids
// of what it is of.
func (a *API) pushOf(r *http.Request, c access.Caller, in *pushBody) (p *delivery.Push, view previewView, err error) {
	given := 0
	for _, name := range []*string{in.Type, in.Event, in.Delivery} {
		if name != nil {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, view, problem.Field(http.StatusUnprocessableEntity, "type", "only one of type, event and delivery may be given")
	case in.Delivery != nil && in.Subscription != nil:
		return nil, view, problem.Field(http.StatusUnprocessableEntity, "subscription", "is that of the delivery: it may not be given beside it")
	case in.Delivery != nil:
		return a.pushOfDelivery(r, c, *in.Delivery)
	}

	sub, err := a.candidate(r, c, in.Subscription)
	if err != nil {
		return nil, view, err
	}
	view.Subscription = sub.ID
	var e *event.Event
	if in.Event != nil {
		e, err = a.eventOfPush(r, c, *in.Event)
		view.Event = *in.Event
	} else {
		e, err = a.sample(c, in.Type)
	}
	if err != nil {
		return nil, view, err
	}
	p = &delivery.Push{
		ID: delivery.ID{Sub: sub.No, Seq: e.Seq}, AcceptedAt: e.AcceptedAt, Event: e, Sub: sub, N: 1,
		Body: e.Pushed(sub.Masking),
	}
	return p, view, nil
}

// pushOfDelivery makes the next push of a delivery, with the bytes of those before it.
func (a *API) pushOfDelivery(r *http.Request, c access.Caller, id string) (p *delivery.Push, view previewView, err error) {
	missing := problem.Field(http.StatusUnprocessableEntity, "delivery", "is not the id of a delivery of this tenant")
	no, seq, _, err := delivery.ParseID(id)
	if err != nil {
		return nil, view, missing
	}
	d, err := a.Search.FindDelivery(r.Context(), c.Tenant, no, seq)
	if errors.Is(err, search.ErrNotFound) || err == nil && d.PublicID() != id {
		return nil, view, missing
	}
	if err != nil {
		return nil, view, err
	}
	sub, err := a.Subscriptions.FindSubscription(r.Context(), c.Tenant, d.Subscription)
	if err != nil {
		return nil, view, err
	}
	e, err := a.eventOfPush(r, c, d.EventID)
	if err != nil {
		return nil, view, err
	}

	s := sent{api: a, caller: c, delivery: d, event: &search.Event{Event: e}, masked: map[event.Masking][]byte{}}
	body, err := s.pushed(r.Context(), sub.Masking)
	if err != nil {
		return nil, view, err
	}
	view.Subscription = sub.ID
	view.Event = e.ID
	view.Delivery = id
	return &delivery.Push{
		ID: d.ID, AcceptedAt: d.AcceptedAt, Event: e, Body: body, Sub: sub.Subscription,
		N: d.Tries + 1, Late: d.Late, Replay: d.Run > 0,
	}, view, nil
}

// candidate reads a subscription: the id of one, or what would make one.
func (a *API) candidate(r *http.Request, c access.Caller, raw json.RawMessage) (*subscriptions.Subscription, error) {
	if len(raw) == 0 {
		return nil, problem.Field(http.StatusUnprocessableEntity, "subscription", "is required: an id, or an object")
	}
	if raw[0] != '"' {
		s, problems := subscriptions.Create(raw, a.rules(c))
		for i := range problems {
			problems[i].Field = "/subscription" + problems[i].Field
		}
		if len(problems) > 0 {
			return nil, refuse(problems)
		}
		s.Tenant = c.Tenant
		s.CompanyID = c.CompanyID
		return s, nil
	}

	var id string
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, problem.Field(http.StatusUnprocessableEntity, "subscription", "must be an id, or an object")
	}
	s, err := a.Subscriptions.FindSubscription(r.Context(), c.Tenant, id)
	if errors.Is(err, ErrNotFound) || err == nil && s.DeletedAt != nil {
		return nil, problem.Field(http.StatusUnprocessableEntity, "subscription", "is not the id of a subscription of this tenant")
	}
	if err != nil {
		return nil, err
	}
	return s.Subscription, nil
}

// eventOfPush finds an event that has a body.
func (a *API) eventOfPush(r *http.Request, c access.Caller, id string) (*event.Event, error) {
	e, err := a.Search.FindEvent(r.Context(), c.Tenant, id)
	switch {
	case errors.Is(err, search.ErrNotFound):
		return nil, problem.Field(http.StatusUnprocessableEntity, "event", "is not the id of an event of this tenant")
	case err != nil:
		return nil, err
	case e.Body == nil:
		return nil, problem.Field(http.StatusUnprocessableEntity, "event", "has no body any more: "+pastRetention)
	}
	return e.Event, nil
}

// sample makes an event of the sample body of a type.
func (a *API) sample(c access.Caller, name *string) (*event.Event, error) {
	typ := event.Test
	if name != nil {
		var ok bool
		if typ, ok = event.ParseType(*name); !ok {
			return nil, problem.Field(http.StatusUnprocessableEntity, "type", "is not a type of event; GET /v1/types lists them")
		}
	}
	e, bad := event.Gate{CompanyID: c.CompanyID, Internal: true, Now: a.Now}.Bare(typ, event.Sample(typ))
	if bad != nil {
		return nil, bad // our own sample: its test would have failed
	}
	e.Tenant = c.Tenant
	e.CompanyID = c.CompanyID
	e.AcceptedAt = a.now().UnixMilli()
	e.Source = "probe"
	e.Test = true
	return e, nil
}

// requestOf shows the request of a push as it is sent. Values of the subscription's own
// headers are hidden.
func requestOf(p *delivery.Push) (requestView, error) {
	header, body, err := p.Request()
	if err != nil {
		return requestView{}, err
	}
	req := search.Request{Header: header}
	req.Hide(p.Sub)

	v := requestView{
		Method: http.MethodPost, URL: search.SentTo(p.Sub), Headers: make(map[string]string, len(header)), Body: new(string(body)),
	}
	for name, values := range header {
		v.Headers[name] = strings.Join(values, ", ")
	}
	return v, nil
}

// matching counts how many of the tenant's last events a subscription would get.
func (a *API) matching(ctx context.Context, c access.Caller, s *subscriptions.Subscription) (*matchingView, error) {
	view := &matchingView{}
	f := search.EventFilter{Tenant: c.Tenant, Limit: MaxLimit}
	for view.Events < previewEvents {
		f.Limit = min(MaxLimit, previewEvents-view.Events)
		events, next, err := a.Search.FindEvents(ctx, f)
		if err != nil {
			return nil, err
		}
		for i := range events {
			if err := a.match(ctx, c, s, &events[i], view); err != nil {
				return nil, err
			}
		}
		if next == 0 {
			break
		}
		f.Before = next
	}
	return view, nil
}

// match counts an event. Its body is read only when the filter asks.
func (a *API) match(ctx context.Context, c access.Caller, s *subscriptions.Subscription, e *search.Event, view *matchingView) error {
	view.Events++
	switch {
	case e.Test, !s.Types.Has(e.Type):
		return nil
	case s.Filter == nil:
		view.Matched++
		return nil
	}

	whole, err := a.Search.FindEventSeq(ctx, c.Tenant, e.Seq)
	switch {
	case errors.Is(err, search.ErrNotFound):
		return nil
	case err != nil:
		return err
	case whole.Body == nil:
		view.Unknown++
	case s.Wants(e.Type, a.Facets(whole.Event)):
		view.Matched++
	}
	return nil
}

// Sender sends a push, once.
type Sender func(ctx context.Context, p *delivery.Push, target *url.URL) (a *delivery.Attempt, ok bool)
