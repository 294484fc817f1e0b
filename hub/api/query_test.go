package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/search"
)

// emptyPast holds nothing, and checks what it is asked.
type emptyPast struct {
	search.Store
	api.SubscriptionStore
	t *testing.T
}

func (p emptyPast) FindEvents(_ context.Context, f search.EventFilter) ([]search.Event, int64, error) {
	require.True(p.t, f.Tenant == 7 && f.Limit >= 1 && f.Limit <= api.MaxLimit && f.From >= 0 && f.To >= 0, "%+v", f)
	return nil, 0, nil
}

func (p emptyPast) FindDeliveries(
	_ context.Context, f search.DeliveryFilter,
) ([]search.Delivery, *search.DeliveryCursor, error) {
	require.True(p.t, f.Tenant == 7 && f.Limit >= 1 && f.Limit <= api.MaxLimit && f.From >= 0 && f.To >= 0, "%+v", f)
	return nil, nil, nil
}

func (p emptyPast) FindSubscription(context.Context, int64, string) (*api.Subscription, error) {
	return nil, api.ErrNotFound
}

// Whatever a query says, it is answered, or refused with the field at fault.
func FuzzLogQuery(f *testing.F) {
	for _, seed := range []string{
		"", "type=cdr.*,call.ringing&from=1637068256419&to=2026-01-01T00:00:00Z&limit=3",
		"state=pending&httpStatus=503&error=timeout&subscription=x",
		"state=pending,delivered&httpStatus=5xx,404,200&error=dns,tls&subscription=x,y&sort=asc",
		"matched=true&warnings=false&orderKey=cdr/1", "cursor=AAAA", "type=%zz", "limit=9999999999999999999", "from=-1",
		"a=b;c", "orderKey=%00%ff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		past := emptyPast{t: t}
		a := &api.API{Search: past, Subscriptions: past, Cursors: api.Cursors{Key: make([]byte, 32)}}
		for _, h := range []api.Handler{a.ListEvents, a.ListDeliveries} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/x", nil)
			r.URL.RawQuery = query
			w := httptest.NewRecorder()
			a.Respond(h)(w, r, access.Caller{Tenant: 7, Role: access.Owner}, nil)
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code, w.Body)
		}
	})
}
