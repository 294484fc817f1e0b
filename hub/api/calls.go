package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
)

// Bounds of a question for calls.
const (
	usualCallSpan = 24 * time.Hour // before to, if from is not given
	maxCallSpan   = 366 * 24 * hour
	maxCallRows   = 100_000 // up to the end of a page
)

// callView is the record of a call.
type callView struct {
	CallID         string          `json:"callID"`
	OrderKey       string          `json:"orderKey"` // of the events and deliveries of the call itself
	OrderKeyHandle string          `json:"orderKeyHandle,omitempty"`
	Recording      *string         `json:"recording"` // its path; null: the record names none that is here
	Data           json.RawMessage `json:"data"`      // the record as it was pushed
}

// callsView is a page of calls.
type callsView struct {
	Now Time `json:"now"`
	fresh
	Total      int        `json:"total"` // on all pages
	Data       []callView `json:"data"`
	NextCursor string     `json:"nextCursor,omitempty"`
}

// callPlace is where a page of calls begins. To is the end of the range: it must not move
// from page to page.
type callPlace struct {
	To     int64
	Offset int
}

// ListCalls is GET /v1/calls: main records, the newest start first.
func (a *API) ListCalls(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	now, err := a.moment(r)
	if err != nil {
		return 0, nil, err
	}
	f, err := a.callFilter(r, c, now)
	if err != nil {
		return 0, nil, err
	}

	ctx, stop := dialect.Bound(r)
	defer stop()
	v := callsView{Now: timeOf(now)}
	if v.fresh, err = a.wait(ctx, c.Tenant); err != nil {
		return 0, nil, err
	}
	records, total, err := a.Records.FindCalls(ctx, f)
	if err != nil {
		return 0, nil, err
	}

	v.Total = total
	v.Data = viewsOf(records, a.listViewer(c).call)
	if next := f.Offset + len(records); len(records) > 0 && next < min(total, maxCallRows) {
		v.NextCursor = a.Cursors.Make("calls", callPlace{f.To, next})
	}
	return http.StatusOK, v, nil
}

// callFilter reads which calls are asked for.
func (a *API) callFilter(r *http.Request, c access.Caller, now int64) (f search.CallFilter, err error) {
	var place callPlace
	limit, err := a.readPage(r, "calls", &place,
		"from", "to", "callID", "agent", "agentID", "queue", "number", "gateway", "department", "callType")
	if err != nil {
		return f, err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return f, problem.New(http.StatusBadRequest, "the query string is malformed")
	}

	f = search.CallFilter{
		Tenant: c.Tenant, Scope: record.Telemarketing, Limit: limit, Offset: place.Offset,
		CallID: q.Get("callID"), AgentUUID: q.Get("agent"), AgentID: q.Get("agentID"), Queue: q.Get("queue"),
		Customer: q.Get("number"), Gateway: q.Get("gateway"), Department: q.Get("department"),
	}
	if f.CallType, err = intOf(q, "callType", 0, 1, 3); err != nil {
		return f, err
	}
	if f.Department != "" {
		f.DepartmentAgents = a.DepartmentAgents(c.Tenant, f.Department)
	}
	for name, texts := range q {
		if strings.ContainsRune(texts[0], 0) {
			return f, problem.Field(http.StatusBadRequest, name, "must not have a NUL character")
		}
	}

	if f.From, f.To, err = timesOf(q); err != nil {
		return f, err
	}
	switch {
	case place.To != 0:
		f.To = place.To
	case f.To == 0:
		f.To = max(now, f.From) + 1
	}
	if f.From == 0 {
		f.From = f.To - usualCallSpan.Milliseconds()
	}
	if f.To-f.From > maxCallSpan {
		return f, problem.Field(http.StatusBadRequest, "from", "is more than 366 days before to")
	}
	return f, nil
}

// listViewer shows calls and recordings in lists.
func (a *API) listViewer(c access.Caller) viewer {
	v := a.viewer(c)
	v.hideNumbers = !listsNumbers(c)
	return v
}

// call returns the record of a call as the caller may see it.
func (v viewer) call(r *search.Record) callView {
	var named struct {
		CallID    string `json:"callID"`
		RecordURL string `json:"recordUrl"`
	}
	_ = json.Unmarshal(r.Body, &named) // what is of another type is empty

	view := callView{CallID: named.CallID, Data: r.Body}
	view.OrderKey, view.OrderKeyHandle = v.orderKey("call/" + named.CallID)
	if v.hideNumbers {
		view.CallID = event.Partial.Identifier(named.CallID)
		view.Data = event.Partial.BodyAndIDs(r.Type, r.Body, named.CallID)
	}
	if _, id, is := strings.Cut(named.RecordURL, RecordingPath); is && id != "" {
		if id, err := url.PathUnescape(id); err == nil {
			view.Recording = new(v.recordingPath(id))
		}
	}
	return view
}

// recordingPath returns where the caller finds a recording.
func (v viewer) recordingPath(id string) string {
	shown, handle := v.identifier(recordingHandle, id)
	if handle != "" {
		shown = handle
	}
	return "/v1/recordings/" + url.PathEscape(shown)
}
