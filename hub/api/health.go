package api

import (
	"math"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/subscriptions"
)

type healthView struct {
	Subscription  string                    `json:"subscription"`
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

	now := a.now()
	h, err := a.Figures.FindHealth(r.Context(), s.No, now)
	if err != nil {
		return 0, nil, err
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
	return http.StatusOK, v, nil
}
