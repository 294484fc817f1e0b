package api

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
)

// headerIndexedFrom says in an export what indexedFrom says in a list.
const headerIndexedFrom = "X-Hookline-Indexed-From"

// subjectOf reads number, a customer's phone number in any spelling, and returns the code
// under which it is indexed; nil if the parameter is missing.
func (a *API) subjectOf(c access.Caller, q url.Values) ([]byte, error) {
	if _, given := q["number"]; !given {
		return nil, nil
	}
	digits, err := event.ParseNumber(q.Get("number"))
	if err != nil {
		return nil, problem.Field(http.StatusBadRequest, "number", err.Error())
	}
	return a.Subjects.Of(c.Tenant, digits), nil
}

// indexedView says in an answer about a number what the index does not know.
type indexedView struct {
	IndexedFrom *Time `json:"indexedFrom,omitempty"` // older events are not indexed yet
	Behind      int64 `json:"behind,omitempty"`      // so many of the newest events are not indexed yet
}

// searchNumber comes before a search for the number with a code, nil for one without: it
// notes the search in the audit log, and waits until the index has what was accepted before.
func (a *API) searchNumber(r *http.Request, c access.Caller, subject []byte) (view indexedView, err error) {
	if subject == nil {
		return view, nil
	}
	deed := audit.Deed{Tenant: c.Tenant, Action: audit.NumberSearch, Object: search.SubjectName(subject)}
	if err := a.Views.Note(r.Context(), c, deed); err != nil {
		return view, err
	}
	as, err := a.WaitIndexed(r.Context(), c.Tenant, foldWait)
	return indexedView{IndexedFrom: timeOrNone(as.From), Behind: as.Behind}, err
}

// withoutNumber returns a filter as jobs keep it and show it: with the code of the number in
// the place of the number.
func withoutNumber(filter map[string]any, subject []byte) map[string]any {
	if subject == nil {
		return filter
	}
	shown := maps.Clone(filter)
	if events, is := shown["events"].(map[string]any); is {
		shown["events"] = withoutNumber(events, subject)
	} else {
		shown["number"] = search.SubjectName(subject)
	}
	return shown
}

// checkNumberless refuses a reason that contains the number that a filter asks for: jobs and
// the audit log keep it.
func checkNumberless(reason string, filter map[string]any) error {
	if events, is := filter["events"].(map[string]any); is {
		filter = events
	}
	number, is := filter["number"].(string)
	if n, isNumber := filter["number"].(float64); !is && isNumber {
		number = strconv.FormatFloat(n, 'f', -1, 64)
	}
	if digits, err := event.ParseNumber(number); err == nil && event.ContainsDigits(reason, digits) {
		return unprocessable("reason", "must not contain the number: it is kept in the audit log")
	}
	return nil
}
