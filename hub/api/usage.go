package api

import (
	"context"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
)

// TenantUsage is what a tenant has, and how fast its events come.
type TenantUsage struct {
	EventsNow      int // accepted in the last second that is over
	EventsPeak     int // accepted in the busiest second of the last minute
	Subscriptions  int // not deleted
	Keys           int // that may be used
	Pending        int // runs of deliveries
	Recordings     int
	RecordingBytes int64
}

// UsageStore counts what tenants have.
type UsageStore interface {
	// FindUsage counts what a tenant has at a time.
	FindUsage(ctx context.Context, tenant int64, now time.Time) (TenantUsage, error)
}

// usageView is each limit of a tenant with what is used of it.
type usageView struct {
	CompanyID         string          `json:"companyId"`
	EventsPerSecond   eventUse        `json:"eventsPerSecond"`
	Subscriptions     limitUse        `json:"subscriptions"`
	Keys              limitUse        `json:"keys"`
	PendingDeliveries limitUse        `json:"pendingDeliveries"`
	SSEStreams        limitUse        `json:"sseStreams"` // of this process
	Exports           limitUse        `json:"exports"`    // of this process
	Recordings        recordingsInUse `json:"recordings"`
}

type limitUse struct {
	Limit int `json:"limit"`
	Used  int `json:"used"`
}

type eventUse struct {
	limitUse
	Peak int `json:"peak"`
}

type recordingsInUse struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
}

// GetUsage is GET /v1/tenants/{id}/usage.
func (a *API) GetUsage(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	if _, err := query(r); err != nil {
		return 0, nil, err
	}
	t, err := a.tenant(r.Context(), c, ps)
	if err != nil {
		return 0, nil, err
	}
	u, err := a.Usage.FindUsage(r.Context(), t.No, a.now())
	if err != nil {
		return 0, nil, err
	}

	limits := t.Limits.Effective()
	return http.StatusOK, usageView{
		CompanyID:         t.CompanyID,
		EventsPerSecond:   eventUse{limitUse{limits.EventsPerSecond, u.EventsNow}, u.EventsPeak},
		Subscriptions:     limitUse{limits.Subscriptions, u.Subscriptions},
		Keys:              limitUse{limits.Keys, u.Keys},
		PendingDeliveries: limitUse{limits.PendingDeliveries, u.Pending},
		SSEStreams:        limitUse{limits.SSEStreams, a.Streams.Taken(t.No)},
		Exports:           limitUse{limits.Exports, a.Exports.Taken(t.No)},
		Recordings:        recordingsInUse{u.Recordings, u.RecordingBytes},
	}, nil
}
