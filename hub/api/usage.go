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
	EventBytes     int64 // of the bodies of its events, as they are stored
	Counting       bool  // EventBytes does not count all of them yet
}

// UsageStore counts what tenants have.
type UsageStore interface {
	// FindUsage counts what a tenant has at a time.
	FindUsage(ctx context.Context, tenant int64, now time.Time) (TenantUsage, error)
	// CountObjects counts the subscriptions and keys of a tenant, as FindUsage does.
	CountObjects(ctx context.Context, tenant int64, now time.Time) (subscriptions, keys int, err error)
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
	EventBytes        byteUse         `json:"eventBytes"`
	RecordingBytes    byteUse         `json:"recordingBytes"`
}

// byteUse is what is used of a limit in bytes.
type byteUse struct {
	Limit    *int  `json:"limit"` // null: any number
	Used     int64 `json:"used"`
	Counting bool  `json:"counting,omitempty"` // after an update: what was there before is still being counted
}

// bytesInUse returns what is used of a limit in bytes, of which 0 means none.
func bytesInUse(limit int, used int64, counting bool) byteUse {
	use := byteUse{Used: max(0, used), Counting: counting}
	if limit > 0 {
		use.Limit = &limit
	}
	return use
}

// nearCounts tells how many subscriptions and keys a tenant has, after one was made.
func (a *API) nearCounts(ctx context.Context, tenant int64, limits access.Limits) {
	if a.Near == nil {
		return
	}
	subs, keys, err := a.Usage.CountObjects(ctx, tenant, a.now())
	if err != nil {
		a.log().Warn("count what a tenant has", "tenant", tenant, "err", err)
		return
	}
	a.Near(tenant, "subscriptions", int64(subs), int64(limits.Subscriptions))
	a.Near(tenant, "keys", int64(keys), int64(limits.Keys))
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
		EventBytes:        bytesInUse(limits.EventBytes, u.EventBytes, u.Counting),
		RecordingBytes:    bytesInUse(limits.RecordingBytes, u.RecordingBytes, false),
	}, nil
}
