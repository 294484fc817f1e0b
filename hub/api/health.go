package api

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/subscriptions"
)

// healthView is the health of a subscription.
type healthView struct {
	Subscription  string                    `json:"subscription"`
	Name          string                    `json:"name,omitempty"` // in lists
	At            Time                      `json:"at"`
	State         string                    `json:"state"`
	PausedReason  string                    `json:"pausedReason,omitempty"`
	Hold          *subscriptions.HoldView   `json:"hold"` // null: not held
	Breaker       subscriptions.BreakerView `json:"breaker"`
	Backlog       int                       `json:"backlog"`       // pending runs
	OldestPending *oldestView               `json:"oldestPending"` // null: nothing is pending
	Windows       windowsView               `json:"windows"`
	LastError     *lastErrorView            `json:"lastError"` // null: no attempt has failed
}

type oldestView struct {
	AcceptedAt Time    `json:"acceptedAt"`
	AgeSeconds float64 `json:"ageSeconds"`
}

type windowsView struct {
	FiveMinutes windowView `json:"5m"`
	Hour        windowView `json:"1h"`
	Day         windowView `json:"24h"`
}

type windowView struct {
	From        Time         `json:"from"`
	Attempts    int64        `json:"attempts"`
	Failed      int64        `json:"failed"`
	SuccessRate *float64     `json:"successRate"` // 0..1; null: nothing was tried
	LatencyMs   *latencyView `json:"latencyMs"`   // null: nothing was tried
}

// latencyView holds quantiles in ms, as exact as delivery.Latencies keeps them.
type latencyView struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

type lastErrorView struct {
	At       Time   `json:"at"`
	Delivery string `json:"delivery"`
	Class    string `json:"class"`
	Status   int    `json:"status,omitempty"` // absent: there was no answer
	Detail   string `json:"detail,omitempty"`
}

func viewWindow(w *search.Window) windowView {
	v := windowView{From: timeOf(w.From), Attempts: w.OK + w.Failed, Failed: w.Failed, LatencyMs: viewLatency(&w.Tried)}
	if v.Attempts > 0 {
		v.SuccessRate = new(float64(w.OK) / float64(v.Attempts))
	}
	return v
}

// viewLatency returns the latency of attempts, nil when there was no attempt.
func viewLatency(t *search.Tried) *latencyView {
	if t.OK+t.Failed == 0 {
		return nil
	}
	quantile := func(q float64) float64 {
		d, _ := t.Latencies.Quantile(q)
		return math.Round(ms(d)*100) / 100
	}
	return &latencyView{P50: quantile(0.50), P95: quantile(0.95), P99: quantile(0.99)}
}

// SubscriptionHealth is GET /v1/subscriptions/{id}/health.
func (a *API) SubscriptionHealth(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	s, err := a.subscription(r, c, ps)
	if err != nil {
		return 0, nil, err
	}
	view, err := a.healthOf(r.Context(), c, s, a.now())
	return http.StatusOK, view, err
}

// ListHealth is GET /v1/health: the health of all subscriptions that are not deleted,
// newest first, in pages as other lists have them.
func (a *API) ListHealth(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "health", &before)
	if err != nil {
		return 0, nil, err
	}
	subs, err := a.Subscriptions.FindSubscriptions(r.Context(), c.Tenant, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	subs, next := cutPage(a.Cursors, "health", subs, limit, func(s *Subscription) any { return s.No })

	now := a.now()
	views := make([]healthView, len(subs))
	for i := range subs {
		if views[i], err = a.healthOf(r.Context(), c, &subs[i], now); err != nil {
			return 0, nil, err
		}
		views[i].Name = subs[i].Name
	}
	return http.StatusOK, pageOf(views, next), nil
}

// healthOf returns the health of a subscription at a time.
func (a *API) healthOf(ctx context.Context, c access.Caller, s *Subscription, now time.Time) (healthView, error) {
	h, err := a.Figures.FindHealth(ctx, s.No, now)
	if err != nil {
		return healthView{}, err
	}
	shown := viewSubscription(s)
	v := healthView{
		Subscription: s.ID, At: Time(now), State: shown.State, PausedReason: shown.PausedReason, Hold: shown.Hold,
		Breaker: shown.Breaker,
		Backlog: h.Backlog, Windows: windowsView{viewWindow(&h.FiveMinutes), viewWindow(&h.Hour), viewWindow(&h.Day)},
	}

	if h.OldestPending > 0 {
		age := max(0, now.Sub(time.UnixMilli(h.OldestPending)))
		v.OldestPending = &oldestView{AcceptedAt: timeOf(h.OldestPending), AgeSeconds: age.Round(time.Millisecond).Seconds()}
	}
	if e := h.LastError; e != nil {
		v.LastError = &lastErrorView{
			At: timeOf(e.At), Delivery: e.Delivery, Class: e.Class.String(), Status: e.Status,
			Detail: a.viewer(c).line(e.Detail, about{secrets: subscriptions.SecretsOf(s.URL)}),
		}
	}
	return v, nil
}
