package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/subscriptions"
)

// Subscription is a subscription as admins see it: its current version, all its
// keys, and what its lane keeps beside it.
type Subscription struct {
	*subscriptions.Subscription
	Hold delivery.Hold
}

// Version is a past or current version of a subscription, without its keys.
type Version struct {
	*subscriptions.Subscription
	ChangedBy string // id of a key, or "hub"
}

// SubscriptionStore keeps the subscriptions. What it commits holds for the next
// event that is accepted. Each change is also a row of the audit log, under the
// name of by.
type SubscriptionStore interface {
	// CreateSubscription commits s under a new id and version. If the tenant has
	// one of the same name, it returns that one instead, and made is false.
	// ErrLimit if the tenant has limit subscriptions already.
	CreateSubscription(ctx context.Context, s *subscriptions.Subscription, limit int,
		by access.Caller) (sub *Subscription, made bool, err error)
	// FindSubscription finds a subscription by its id, also a deleted one; ErrNotFound.
	FindSubscription(ctx context.Context, tenant int64, id string) (*Subscription, error)
	// FindSubscriptions lists at most limit subscriptions that are not deleted and
	// have numbers below before, newest first; before 0 starts at the newest.
	FindSubscriptions(ctx context.Context, tenant, before int64, limit int) ([]Subscription, error)
	// UpdateSubscription commits what change makes of the current version as the
	// next one, in one transaction; if that is the same pointer, nothing happens.
	// After an error of change everything stays as it was. A new URL, or the end of
	// a pause, ends every hold and closes the breaker. ErrVersion if version is
	// neither 0 nor the current one; *NameTaken for a name that is taken;
	// ErrNotFound, also for a deleted one.
	UpdateSubscription(ctx context.Context, tenant int64, id string, version int64, by access.Caller,
		change func(*subscriptions.Subscription) (*subscriptions.Subscription, error)) (*Subscription, error)
	// ResumeSubscription ends pause and hold and closes the breaker, as UpdateSubscription
	// does. If there is nothing to end, nothing happens.
	ResumeSubscription(ctx context.Context, tenant int64, id string, version int64, by access.Caller,
		now time.Time) (*Subscription, error)
	// DeleteSubscription commits that the subscription gets no more events. Its
	// pending deliveries are cancelled in the background. ErrVersion and
	// ErrNotFound as above.
	DeleteSubscription(ctx context.Context, tenant int64, id string, version int64, by access.Caller) error
	// FindVersions lists at most limit versions below before, newest first; before
	// 0 starts at the current one. The list is empty for an unknown id.
	FindVersions(ctx context.Context, tenant int64, id string, before int64, limit int) ([]Version, error)
	// FindVersion reads one version with all the keys of its subscription, also of
	// a deleted one; ErrNotFound.
	FindVersion(ctx context.Context, tenant, sub, version int64) (*subscriptions.Subscription, error)
	// VersionsAt lists the subscriptions that were not deleted at a time (Unix ms),
	// each at the version then in force. One that was made later has its first version.
	VersionsAt(ctx context.Context, tenant, at int64) ([]*subscriptions.Subscription, error)
}

// subscription returns a subscription as the caller may see it. What it tells anybody has
// none of its secrets.
func (v viewer) subscription(s *Subscription) subscriptions.View {
	view := viewSubscription(s)
	view.Settings = v.settings(view.Settings)
	return view
}

// settings returns what an admin set as the caller may see it.
func (v viewer) settings(s subscriptions.Settings) subscriptions.Settings {
	if v.hideQueries {
		s.URL = search.HideQueries(s.URL)
	}
	return s
}

// viewSubscription returns what admins see of a subscription, without secrets.
func viewSubscription(s *Subscription) subscriptions.View {
	v := s.View()
	v.Held(s.Hold.Until, s.Hold.Reason)
	v.Broken(s.Hold.Breaker.State, s.Hold.Breaker.Opens, s.Hold.Breaker.Since)
	return v
}

// answerSubscription returns the view of s with its ETag, and with its secrets if
// the request has just made them.
func answerSubscription(s *Subscription, secrets bool) viewWithHeader {
	v := viewSubscription(s)
	if secrets {
		v.ShowSecrets(s.Subscription)
	}
	return versioned(v, s.Version)
}

// rules returns the rules for the caller's subscriptions, as of now.
func (a *API) rules(c access.Caller) subscriptions.Rules {
	rules := a.Rules(c.Tenant)
	rules.Now = a.now()
	return rules
}

// refuse makes one error of the problems of a document: 422, or 400 when it could
// not be read.
func refuse(ps []event.Problem) error {
	d := problem.New(http.StatusUnprocessableEntity, "")
	texts := make([]string, len(ps))
	for i, p := range ps {
		if p.Status == http.StatusBadRequest {
			d.Status = http.StatusBadRequest
		}

		texts[i] = p.Message
		if p.Field != "" {
			texts[i] = p.Field + " " + p.Message
			d.Errors = append(d.Errors, problem.Error{Field: p.Field, Message: p.Message})
		}
	}

	d.Detail = strings.Join(texts, "; ")
	return d
}

// CreateSubscription is POST /v1/subscriptions: 201 with the secrets, this once. For
// a name that the tenant has already it changes nothing: the answer is 200 without
// secrets if all settings in the body are those of the subscription with that name,
// and otherwise 409 with its id.
func (a *API) CreateSubscription(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}

	raw, err := body(r)
	if err != nil {
		return 0, nil, err
	}

	s, problems := subscriptions.Create(raw, a.rules(c))
	if len(problems) > 0 {
		return 0, nil, refuse(problems)
	}

	s.Tenant, s.CompanyID = c.Tenant, c.CompanyID
	sub, made, err := a.Subscriptions.CreateSubscription(r.Context(), s, a.limits(c).Subscriptions, c)
	if err == nil && made {
		a.nearCounts(r.Context(), c.Tenant, a.limits(c))
	}
	if err != nil {
		return 0, nil, err
	}

	if !made {
		if differing := subscriptions.Differences(raw, s, sub.Subscription); len(differing) > 0 {
			return 0, nil, nameTaken(sub, differing)
		}
		return http.StatusOK, answerSubscription(sub, false), nil
	}

	view := answerSubscription(sub, true)
	return http.StatusCreated, view.at("/v1/subscriptions/" + sub.ID), nil
}

// NameTaken is the error of a change that gives a subscription the name of another one.
type NameTaken struct{ Name, ID string } // ID is that of the other one

func (n *NameTaken) Error() string { return fmt.Sprintf("subscription %s is named %q", n.ID, n.Name) }

// Unwrap returns ErrExists: to whom the id says nothing the name is taken.
func (n *NameTaken) Unwrap() error { return ErrExists }

// problem returns the answer: it names the other one as the answer to a POST does.
func (n *NameTaken) problem() problem.Details {
	return problem.Details{Status: http.StatusConflict, Detail: n.Error(), Errors: []problem.Error{
		{Field: "id", Message: n.ID},
		{Field: "name", Message: "is that of another subscription"},
	}}
}

// nameTaken is the problem of a request whose name another subscription has, with
// other values in the fields that differ.
func nameTaken(sub *Subscription, differing []string) error {
	p := problem.New(http.StatusConflict, fmt.Sprintf("subscription %s is named %q and has other settings: %s",
		sub.ID, sub.Name, strings.Join(differing, ", ")))

	p.Errors = append(p.Errors, problem.Error{Field: "id", Message: sub.ID})
	for _, field := range differing {
		p.Errors = append(p.Errors, problem.Error{Field: field, Message: "is not that of the subscription with this name"})
	}
	return p
}

// ListSubscriptions is GET /v1/subscriptions.
func (a *API) ListSubscriptions(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "subscriptions", &before)
	if err != nil {
		return 0, nil, err
	}

	subs, err := a.Subscriptions.FindSubscriptions(r.Context(), c.Tenant, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	subs, next := cutPage(a.Cursors, "subscriptions", subs, limit, func(s *Subscription) any { return s.No })
	return http.StatusOK, pageOf(viewsOf(subs, a.viewer(c).subscription), next), nil
}

// subscription finds the one that the path names; ErrNotFound for a deleted one.
func (a *API) subscription(r *http.Request, c access.Caller, ps httprouter.Params) (*Subscription, error) {
	s, err := a.Subscriptions.FindSubscription(r.Context(), c.Tenant, ps.ByName("id"))
	if err != nil {
		return nil, err
	}

	if s.DeletedAt != nil {
		return nil, ErrNotFound
	}
	return s, nil
}

// GetSubscription is GET /v1/subscriptions/{id}.
func (a *API) GetSubscription(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}

	s, err := a.subscription(r, c, ps)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, versioned(a.viewer(c).subscription(s), s.Version), nil
}

// PatchSubscription is PATCH /v1/subscriptions/{id}: a JSON merge patch. If it makes
// a new key, the answer shows that key, this once.
func (a *API) PatchSubscription(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	raw, err := body(r)
	if err != nil {
		return 0, nil, err
	}

	keys := 0
	return a.update(r, c, ps, func(current *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		next, problems := subscriptions.Patch(current, raw, a.rules(c))
		if len(problems) > 0 {
			return nil, refuse(problems)
		}
		keys = len(current.Keys)
		return next, nil
	}, func(s *Subscription) bool { return len(s.Keys) > keys })
}

// PauseSubscription is POST /v1/subscriptions/{id}/pause: the backlog is kept until
// the subscription is resumed. Safe to repeat.
func (a *API) PauseSubscription(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	return a.update(r, c, ps, func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return s.Pause(subscriptions.ByAdmin, a.now()), nil
	}, noSecrets)
}

// ResumeSubscription is POST /v1/subscriptions/{id}/resume: the backlog drains.
// Whatever held the subscription ends: a pause, a receiver's Retry-After, an open
// breaker. Safe to repeat.
func (a *API) ResumeSubscription(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	version, err := expected(r)
	if err != nil {
		return 0, nil, err
	}
	s, err := a.Subscriptions.ResumeSubscription(r.Context(), c.Tenant, ps.ByName("id"), version, c, a.now())
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, answerSubscription(s, false), nil
}

func noSecrets(*Subscription) bool { return false }

// update commits what change makes of the subscription that the path names. The answer has its secrets if secrets says
// so.
func (a *API) update(r *http.Request, c access.Caller, ps httprouter.Params,
	change func(*subscriptions.Subscription) (*subscriptions.Subscription, error), secrets func(*Subscription) bool,
) (int, any, error) {
	version, err := expected(r)
	if err != nil {
		return 0, nil, err
	}
	s, err := a.Subscriptions.UpdateSubscription(r.Context(), c.Tenant, ps.ByName("id"), version, c, change)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, answerSubscription(s, secrets(s)), nil
}

// expected returns the version that a request without parameters wants to change.
func expected(r *http.Request) (int64, error) {
	if _, err := query(r); err != nil {
		return 0, err
	}
	return ifMatch(r)
}

// DeleteSubscription is DELETE /v1/subscriptions/{id}. Its log stays readable.
func (a *API) DeleteSubscription(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	version, err := expected(r)
	if err == nil {
		err = a.Subscriptions.DeleteSubscription(r.Context(), c.Tenant, ps.ByName("id"), version, c)
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, nil
}

// ListVersions is GET /v1/subscriptions/{id}/versions: who changed what, newest
// first. The last version of a deleted subscription is its deletion.
func (a *API) ListVersions(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "versions", &before)
	if err != nil {
		return 0, nil, err
	}

	versions, err := a.Subscriptions.FindVersions(r.Context(), c.Tenant, ps.ByName("id"), before, limit+1)
	if err == nil && len(versions) == 0 && before == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return 0, nil, err
	}

	versions, next := cutPage(a.Cursors, "versions", versions, limit, func(v *Version) any { return v.Version })
	return http.StatusOK, pageOf(viewsOf(versions, a.viewer(c).version), next), nil
}

// versionView is what an admin set, without what the lane keeps beside it.
type versionView struct {
	Version   int64  `json:"version"`
	ChangedBy string `json:"changedBy"`
	ChangedAt Time   `json:"changedAt"`
	subscriptions.Settings
}

func (v viewer) version(of *Version) versionView {
	return versionView{
		Version: of.Version, ChangedBy: of.ChangedBy, ChangedAt: Time(of.UpdatedAt), Settings: v.settings(of.Settings()),
	}
}
