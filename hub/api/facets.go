package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
)

// Bounds of a question for facets.
const (
	facetMost = 10_000                 // deliveries that are counted
	facetTime = 250 * time.Millisecond // and how long that may take
)

// facetsView counts the deliveries that a filter picks by their properties.
type facetsView struct {
	Complete  bool  `json:"complete"` // false: there are more than were counted
	Counted   int   `json:"counted"`
	ScannedTo *Time `json:"scannedTo,omitempty"` // acceptance of the last one looked at, when there are more

	State        []facetView `json:"state"`
	Error        []facetView `json:"error"`      // of the last attempt
	HTTPStatus   []facetView `json:"httpStatus"` // of the last attempt, if it was answered
	Type         []facetView `json:"type"`
	Subscription []facetView `json:"subscription"`
	indexedView
}

// facetView is how many deliveries have a value.
type facetView struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// DeliveryFacets is GET /v1/facets/deliveries: how the deliveries that the filters of
// ListDeliveries pick divide into states, errors, statuses, types and subscriptions. It
// counts in the order of the list, and stops after a bounded number and time.
func (a *API) DeliveryFacets(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	q, err := query(r, deliveryFilters...)
	if err != nil {
		return 0, nil, err
	}
	f, err := a.deliveryPicks(r, c, q)
	if err != nil {
		return 0, nil, err
	}
	indexed, err := a.searchNumber(r, c, f.Subject)
	if err != nil {
		return 0, nil, err
	}
	counts, err := a.Search.CountFacets(r.Context(), f, facetMost, time.Now().Add(facetTime))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, facetsView{
		Complete: counts.Complete, Counted: counts.Counted, ScannedTo: timeOrNone(counts.To),
		State: facetsOf(counts.States, delivery.State.String), Error: facetsOf(counts.Errors, delivery.ErrorClass.String),
		HTTPStatus: facetsOf(counts.HTTP, strconv.Itoa), Type: facetsOf(counts.Types, event.Type.String),
		Subscription: facetsOf(counts.Subs, func(id string) string { return id }),
		indexedView:  indexed,
	}, nil
}

// facetsOf returns counts by value, the most frequent first.
func facetsOf[V comparable](counts map[V]int, name func(V) string) []facetView {
	views := make([]facetView, 0, len(counts))
	for v, n := range counts {
		views = append(views, facetView{name(v), n})
	}
	slices.SortFunc(views, func(a, b facetView) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return views
}
