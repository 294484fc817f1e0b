package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/subscriptions"
)

// RotateKey is POST /v1/subscriptions/{id}/rotate-key. {"overlap": "24h"} makes a new
// appKey, which only this answer shows. Until the overlap is over, the old key makes
// X-Log-Sign and seals, and both sign webhook-signature. {"finish": true} ends the
// overlap now. The answer is 409 to an overlap while another rotation is under way,
// and to finish while there is no rotation.
func (a *API) RotateKey(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var in struct {
		Overlap *string `json:"overlap"`
		Finish  bool    `json:"finish"`
	}
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	overlap, err := overlapOf(in.Overlap, in.Finish)
	if err != nil {
		return 0, nil, err
	}

	return a.update(r, c, ps, func(s *subscriptions.Subscription) (next *subscriptions.Subscription, err error) {
		if in.Finish {
			next, err = s.FinishRotation(a.now())
		} else {
			next, err = s.Rotate(overlap, a.now())
		}
		if errors.Is(err, subscriptions.ErrRotating) || errors.Is(err, subscriptions.ErrNotRotating) {
			return nil, problem.New(http.StatusConflict, err.Error())
		}
		return next, err
	}, func(*Subscription) bool { return !in.Finish })
}

// overlapOf reads the overlap of a rotation; 0 for one that is to finish now.
func overlapOf(text *string, finish bool) (time.Duration, error) {
	switch {
	case finish && text != nil:
		return 0, problem.Field(http.StatusUnprocessableEntity, "overlap", "does not go together with finish")
	case finish:
		return 0, nil
	case text == nil:
		return 0, problem.Field(http.StatusUnprocessableEntity, "overlap", `is required, e.g. "24h"; or say {"finish": true}`)
	}

	d, err := time.ParseDuration(*text)
	if err != nil || d < 0 || d > subscriptions.MaxOverlap {
		return 0, problem.Field(http.StatusUnprocessableEntity, "overlap", `must be a duration from 0s to 720h, e.g. "24h"`)
	}
	return d, nil
}

// TestSubscription is POST /v1/subscriptions/{id}/test. It pushes the sample
// body of {"type"} (default hub.test) to this one subscription, whatever types
// it wants, as an event of type hub.test: signed, sealed, retried and logged as
// any other, and counted in no record, board or report. 202 with the ids.
func (a *API) TestSubscription(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var in struct {
		Type *string `json:"type"`
	}
	// A request without a body asks for the default.
	if r.ContentLength != 0 {
		if err := decode(r, &in); err != nil {
			return 0, nil, err
		}
	}

	typ := event.Test
	if in.Type != nil {
		var ok bool
		if typ, ok = event.ParseType(*in.Type); !ok {
			return 0, nil, problem.Field(http.StatusUnprocessableEntity, "type",
				"is not a type of event; GET /v1/types lists them")
		}
	}

	s, err := a.subscription(r, c, ps)
	if err != nil {
		return 0, nil, err
	}

	e, bad := event.Gate{CompanyID: c.CompanyID, Internal: true, Now: a.Now}.Bare(typ, event.Sample(typ))
	if bad != nil {
		return 0, nil, bad // our own sample: its test would have failed
	}

	// Whatever the sample says, the event goes to this one subscription, and no fold counts it.
	e.Tenant, e.CompanyID, e.KeyID, e.Source = c.Tenant, c.CompanyID, c.KeyID, "test"
	e.Type, e.OrderKey, e.Test, e.Target = event.Test, "", true, s.No
	if err := a.Audit.Note(r.Context(), c,
		audit.Deed{Tenant: c.Tenant, Action: audit.SubscriptionTest, Object: "subscription/" + s.ID}); err != nil {
		return 0, nil, err
	}

	if _, err := a.Events.Accept(r.Context(), []*event.Event{e}); err != nil {
		return 0, nil, err
	}

	return http.StatusAccepted, struct {
		Event    string `json:"event"`
		Delivery string `json:"delivery"`
	}{e.ID, delivery.PublicID(s.No, e.Seq, e.AcceptedAt)}, nil
}
