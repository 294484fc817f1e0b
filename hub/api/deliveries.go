package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

// RetryStore adds runs to deliveries.
type RetryStore interface {
	// RetryDelivery commits a new pending run, due at once, with the automatic
	// retries of its subscription. If force is true, the run does not wait for the
	// events before it in its order key, and is marked late. by is who asks; the
	// audit log says so, too. A delivery that was delivered stays so; another
	// becomes pending. It returns a *Conflict when there can be no new run now, and
	// ErrNotFound.
	RetryDelivery(ctx context.Context, tenant, sub, seq int64, force bool, by access.Caller) error
}

// Conflict is a change that the state of things does not allow now: 409.
type Conflict struct {
	Reason   string
	WaitsFor string // id of the delivery that must end first, if that is it
}

func (c *Conflict) Error() string { return c.Reason }

type deliveryView struct {
	ID             string    `json:"id"` // the webhook-id of its pushes
	Subscription   string    `json:"subscription"`
	Event          string    `json:"event"`
	EventHandle    string    `json:"eventHandle,omitempty"` // stands for the id of the event where that is masked
	Type           string    `json:"type"`
	OrderKey       string    `json:"orderKey,omitempty"`
	OrderKeyHandle string    `json:"orderKeyHandle,omitempty"` // stands for the order key where that is masked
	Sequence       int64     `json:"sequence"`
	State          string    `json:"state"`
	Tries          int       `json:"tries"` // requests made, all runs together
	AcceptedAt     Time      `json:"acceptedAt"`
	FirstTryAt     *Time     `json:"firstTryAt,omitempty"`
	DoneAt         *Time     `json:"doneAt,omitempty"`
	DueAt          *Time     `json:"dueAt,omitempty"` // of the next try; absent: as soon as its turn comes
	LastStatus     int       `json:"lastStatus,omitempty"`
	LastError      string    `json:"lastError,omitempty"`
	Late           bool      `json:"late,omitempty"`
	Version        int64     `json:"version"`          // of the subscription it was matched with
	Replay         string    `json:"replay,omitempty"` // id of the replay that made it
	Runs           []runView `json:"runs,omitempty"`
}

type runView struct {
	Run    int    `json:"run"`
	By     string `json:"by"`
	Reason string `json:"reason"`
	Replay string `json:"replay,omitempty"` // id of the replay that made it
	State  string `json:"state"`
	Tries  int    `json:"tries"`
	DueAt  *Time  `json:"dueAt,omitempty"`
	DoneAt *Time  `json:"doneAt,omitempty"`
}

// delivery returns what the log says of a delivery, as the caller may see it.
func (v viewer) delivery(d *search.Delivery) deliveryView {
	view := deliveryView{
		ID: d.PublicID(), Subscription: d.Subscription, Type: d.Type.String(), Sequence: d.Seq, State: d.State.String(),
		Tries: d.Tries, AcceptedAt: timeOf(d.AcceptedAt), FirstTryAt: timeOrNone(d.FirstTryAt),
		DoneAt: timeOrNone(d.DoneAt), LastStatus: d.LastStatus, LastError: d.LastError.String(), Late: d.Late,
		Version: d.Version, Replay: d.Replay,
	}

	view.Event, view.EventHandle = v.eventID(d.EventID)
	view.OrderKey, view.OrderKeyHandle = v.orderKey(d.OrderKey)
	if d.State == delivery.Pending {
		view.DueAt = timeOrNone(d.DueAt)
	}

	for _, r := range d.Runs {
		run := runView{
			Run: r.Run, By: r.By, Reason: v.text(r.Reason, about{typ: d.Type}), State: r.State.String(), Tries: r.Tries,
			Replay: r.Replay, DoneAt: timeOrNone(r.DoneAt),
		}
		if r.State == delivery.Pending || r.State == delivery.Replaying {
			run.DueAt = timeOrNone(r.DueAt)
		}
		view.Runs = append(view.Runs, run)
	}
	return view
}

// ListDeliveries is GET /v1/deliveries: newest first, or, with orderKey, in
// order. A page may be short although a cursor follows.
func (a *API) ListDeliveries(r *http.Request, c access.Caller, _ httprouter.Params) (int, any, error) {
	f, err := a.deliveryFilter(r, c)
	if err != nil {
		return 0, nil, err
	}

	indexed, err := a.searchNumber(r, c, f.Subject)
	if err != nil {
		return 0, nil, err
	}
	ds, next, err := a.Search.FindDeliveries(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}

	cursor := ""
	if next != nil {
		cursor = a.Cursors.Make(deliveryList(r.URL.Query()), next)
	}
	return http.StatusOK, pageOf(viewsOf(ds, a.viewer(c).delivery), cursor).about(indexed), nil
}

// deliveryFilters are the parameters that pick deliveries.
var deliveryFilters = []string{
	"subscription", "type", "orderKey", "number", "state", "httpStatus", "error", "replay", "from", "to",
}

// listFilters are those of lists, which may be sorted.
var listFilters = slices.Clip(slices.Concat(deliveryFilters, []string{"sort"}))

// deliveryList names the list for its cursors: a place in one order is none in another.
func deliveryList(q url.Values) string {
	if q.Get("sort") == "asc" {
		return "deliveries, oldest first"
	}
	return "deliveries"
}

// deliveryFilter reads the parameters of a page of deliveries.
func (a *API) deliveryFilter(r *http.Request, c access.Caller) (f search.DeliveryFilter, err error) {
	var after *search.DeliveryCursor
	limit, err := a.readPage(r, deliveryList(r.URL.Query()), &after, listFilters...)
	if err != nil {
		return f, err
	}

	f, err = a.deliveryPicks(r, c, r.URL.Query())
	f.After, f.Limit = after, limit
	return f, err
}

// deliveryPicks reads the parameters that pick deliveries of the caller's tenant.
func (a *API) deliveryPicks(r *http.Request, c access.Caller, q url.Values) (f search.DeliveryFilter, err error) {
	f.Tenant = c.Tenant
	if f.OrderKey, err = a.orderKeyOf(c, q); err != nil {
		return f, err
	}
	if f.Subject, err = a.subjectOf(c, q); err != nil {
		return f, err
	}
	if f.Types, err = typesOf(q); err != nil {
		return f, err
	}
	if f.From, f.To, err = timesOf(q); err != nil {
		return f, err
	}

	for _, s := range valuesOf(q, "state") {
		state, ok := delivery.ParseState(s)
		if !ok {
			return f, problem.Field(http.StatusBadRequest, "state",
				"must be pending, delivered, exhausted, expired, cancelled or superseded, several with commas")
		}
		f.States |= search.States(state)
	}

	for _, s := range valuesOf(q, "httpStatus") {
		statuses, ok := statusesOf(s)
		if !ok {
			return f, problem.Field(http.StatusBadRequest, "httpStatus",
				"must be a number from 100 to 599, or 1xx to 5xx, several with commas")
		}
		f.HTTP = append(f.HTTP, statuses)
	}

	for _, s := range valuesOf(q, "error") {
		class, ok := delivery.ParseErrorClass(s)
		if !ok {
			return f, problem.Field(http.StatusBadRequest, "error",
				"is not an error class (dns, connect, tls, timeout, reset, malformed, blocked, redirect, status, ack, "+
					"tooLarge, gaveUp), or several with commas")
		}
		f.Errors |= search.Errors(class)
	}

	switch q.Get("sort") {
	case "":
	case "asc":
		f.Oldest = true
	default:
		return f, problem.Field(http.StatusBadRequest, "sort", "must be asc; without it the newest come first, or the order of an orderKey")
	}

	if id := q.Get("replay"); id != "" {
		f.Replay, err = a.Jobs.ReplayNo(r.Context(), c.Tenant, id)
		if errors.Is(err, ErrNotFound) {
			err = problem.Field(http.StatusBadRequest, "replay", "is not the id of a replay of this tenant")
		}
		if err != nil {
			return f, err
		}
	}

	f.Subs, err = a.subscriptionsOf(r, c, q)
	return f, err
}

// maxValuesOf is how many values a parameter may list.
const maxValuesOf = 100

// valuesOf reads the values that a parameter lists with commas; none when it is missing.
func valuesOf(q url.Values, name string) []string {
	if q.Get(name) == "" {
		return nil
	}
	return strings.SplitN(q.Get(name), ",", maxValuesOf+1)
}

// statusesOf reads an HTTP status, or a class of them such as 5xx.
func statusesOf(s string) (search.StatusRange, bool) {
	if len(s) == 3 && s[0] >= '1' && s[0] <= '5' && s[1:] == "xx" {
		from := int(s[0]-'0') * 100
		return search.StatusRange{From: from, To: from + 99}, true
	}
	n, err := strconv.Atoi(s)
	return search.StatusRange{From: n, To: n}, err == nil && n >= 100 && n <= 599
}

// subscriptionsOf reads the parameter subscription, one id or several with commas, and
// returns the numbers of these subscriptions.
func (a *API) subscriptionsOf(r *http.Request, c access.Caller, q url.Values) (numbers []int64, err error) {
	ids := valuesOf(q, "subscription")
	if len(ids) > maxValuesOf {
		return nil, problem.Field(http.StatusBadRequest, "subscription", fmt.Sprintf("may list at most %d ids", maxValuesOf))
	}
	for _, id := range ids {
		sub, err := a.Subscriptions.FindSubscription(r.Context(), c.Tenant, id)
		if errors.Is(err, ErrNotFound) {
			return nil, problem.Field(http.StatusBadRequest, "subscription", "is not the id of a subscription of this tenant, or several with commas")
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(numbers, sub.No) {
			numbers = append(numbers, sub.No)
		}
	}
	return numbers, nil
}

// delivery finds the delivery that the path names.
func (a *API) delivery(r *http.Request, c access.Caller, ps httprouter.Params) (*search.Delivery, error) {
	id := ps.ByName("id")
	sub, seq, _, err := delivery.ParseID(id)
	if err != nil {
		return nil, ErrNotFound
	}

	d, err := a.Search.FindDelivery(r.Context(), c.Tenant, sub, seq)
	if err != nil {
		return nil, found(err)
	}
	if d.PublicID() != id { // the same number, but of another day
		return nil, ErrNotFound
	}
	return d, nil
}

// GetDelivery is GET /v1/deliveries/{id}.
func (a *API) GetDelivery(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	_, err := query(r)
	if err != nil {
		return 0, nil, err
	}

	d, err := a.delivery(r, c, ps)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, a.viewer(c).delivery(d), nil
}

// RetryDelivery is POST /v1/deliveries/{id}/retry: 202 with the delivery, which
// has a new pending run.
func (a *API) RetryDelivery(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	q, err := query(r, "force")
	if err != nil {
		return 0, nil, err
	}
	force, err := boolOf(q, "force")
	if err != nil {
		return 0, nil, err
	}

	d, err := a.delivery(r, c, ps)
	if err != nil {
		return 0, nil, err
	}

	err = a.Retries.RetryDelivery(r.Context(), c.Tenant, d.Sub, d.Seq, force != nil && *force, c)
	if conflict, ok := errors.AsType[*Conflict](err); ok {
		p := problem.New(http.StatusConflict, conflict.Reason)
		if conflict.WaitsFor != "" {
			p.Errors = []problem.Error{{Field: "waitsFor", Message: conflict.WaitsFor}}
		}
		err = p
	}

	// Read again: the answer shows the new run.
	if err == nil {
		d, err = a.Search.FindDelivery(r.Context(), c.Tenant, d.Sub, d.Seq)
	}
	if err != nil {
		return 0, nil, found(err)
	}
	return http.StatusAccepted, a.viewer(c).delivery(d), nil
}

type attemptView struct {
	Run         int           `json:"run"`
	N           int           `json:"n"`
	At          Time          `json:"at"`
	Durations   durationsView `json:"durationsMs"`
	RemoteIP    string        `json:"remoteIp,omitempty"`
	Status      int           `json:"status,omitempty"`
	Error       string        `json:"error,omitempty"` // class; absent: it succeeded
	ErrorDetail string        `json:"errorDetail,omitempty"`
	Late        bool          `json:"late,omitempty"`
	Replay      bool          `json:"replay,omitempty"`
	Version     int64         `json:"version"` // of the subscription
	Process     string        `json:"process"`
	Request     requestView   `json:"request"`
	Response    *responseView `json:"response,omitempty"` // absent: there was no answer
}

// durationsView says how long each step took, in ms; 0 when the step did not
// happen, as on a connection that was open already.
type durationsView struct {
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"firstByte"`
	Total     float64 `json:"total"`
}

// requestView is the request as sent. Values of the subscription's own headers
// are hidden.
type requestView struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    *string           `json:"body,omitempty"`
	Note    string            `json:"note,omitempty"` // what is not as sent, and why
}

type responseView struct {
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body,omitempty"` // the first 4 KiB
	BodyBase64 string            `json:"bodyBase64,omitempty"`
	Note       string            `json:"note,omitempty"`
}

// maxAttemptsBytes bounds the bodies on a page of attempts, as each attempt
// repeats the body. A page that reaches it ends early.
const maxAttemptsBytes = 4 << 20

// ListAttempts is GET /v1/deliveries/{id}/attempts: all requests of all runs,
// oldest first, as they were sent. A page may be short although a cursor follows.
func (a *API) ListAttempts(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var after search.AttemptPlace
	limit, err := a.readPage(r, "attempts", &after)
	if err != nil {
		return 0, nil, err
	}

	d, err := a.delivery(r, c, ps)
	if err != nil {
		return 0, nil, err
	}

	attempts, err := a.Search.FindAttempts(r.Context(), c.Tenant, d.Sub, d.Seq, after, limit+1)
	if err != nil {
		return 0, nil, err
	}

	// Each attempt shows the body that was pushed, unless retention has removed the event.
	e, err := a.Search.FindEventSeq(r.Context(), c.Tenant, d.Seq)
	if err != nil && !errors.Is(err, search.ErrNotFound) {
		return 0, nil, err
	}

	s := sent{
		api: a, caller: c, viewer: a.viewer(c), delivery: d, event: e, versions: map[int64]*subscriptions.Subscription{},
		masked: map[event.Masking][]byte{},
	}

	// The page ends at the limit, or when its bodies are large enough.
	views, next := []attemptView{}, ""
	for i := range attempts {
		if len(views) == limit || s.bytes > maxAttemptsBytes {
			last := attempts[i-1]
			next = a.Cursors.Make("attempts", search.AttemptPlace{Run: last.Run, N: last.N})
			break
		}
		v, err := s.view(r.Context(), &attempts[i])
		if err != nil {
			return 0, nil, err
		}
		views = append(views, v)
	}

	// Bodies are shown only after the audit log knows it.
	if len(views) > 0 {
		if err := a.viewed(r, c, "delivery", d.PublicID()); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, pageOf(views, next), nil
}

// sent shows the attempts of one delivery to one caller.
type sent struct {
	api      *API
	caller   access.Caller
	viewer   viewer
	delivery *search.Delivery
	event    *search.Event // nil: retention has removed it
	versions map[int64]*subscriptions.Subscription
	masked   map[event.Masking][]byte // the body as it was pushed
	bytes    int                      // sum of the bodies shown
}

// view returns an attempt: the request as it was sent, and its answer.
func (s *sent) view(ctx context.Context, a *search.Attempt) (attemptView, error) {
	sub := s.versions[a.Version]
	if sub == nil {
		var err error
		if sub, err = s.api.Subscriptions.FindVersion(ctx, s.caller.Tenant, s.delivery.Sub, a.Version); err != nil {
			return attemptView{}, err
		}
		s.versions[a.Version] = sub
	}

	of := about{secrets: subscriptions.SecretsOf(sub.URL), typ: s.delivery.Type}
	if s.event != nil {
		of.body = s.event.Body
	}

	v := attemptView{
		Run: a.Run, N: a.N, At: timeOf(a.At), RemoteIP: a.RemoteIP, Status: a.StatusCode, Error: a.Class.String(),
		ErrorDetail: s.viewer.line(a.Err, of),
		Durations:   durationsView{ms(a.DNS), ms(a.Connect), ms(a.TLS), ms(a.First), ms(a.Total)},
		Late:        a.Late, Replay: a.Replay, Version: a.Version, Process: a.Process,
	}

	if a.StatusCode != 0 {
		v.Response = s.response(a, of)
	}

	var err error
	v.Request, err = s.request(ctx, a, sub)
	return v, err
}

// request rebuilds the request of an attempt, as the caller may see it.
func (s *sent) request(ctx context.Context, a *search.Attempt, sub *subscriptions.Subscription) (requestView, error) {
	v := requestView{Method: http.MethodPost, URL: search.SentTo(sub)}
	if s.viewer.hideQueries {
		v.URL = search.HideQuery(v.URL)
	}

	if s.event == nil || s.event.Body == nil {
		v.Note = pastRetention + ": the request cannot be rebuilt"
		return v, nil
	}

	plain, err := s.pushed(ctx, sub.Masking)
	if err != nil {
		return v, err
	}
	req, err := search.Rebuild(s.delivery, a, s.event.Event, plain, sub)
	if err != nil {
		return v, err
	}

	req.Hide(sub)
	v.Headers = make(map[string]string, len(req.Header))
	for name, values := range req.Header {
		v.Headers[name] = strings.Join(values, ", ")
		if name == delivery.HeaderEventID {
			v.Headers[name], _ = s.viewer.eventID(v.Headers[name])
		}
	}

	// The body is JSON, plain or sealed.
	body := req.Body
	if s.viewer.hideNumbers {
		body = s.viewer.body(s.event.Event, plain)
		v.Note = masked
		if sub.Encryption != signing.None {
			v.Note = unsealed
		}
	}

	v.Body = new(string(body))
	s.bytes += len(body)
	return v, nil
}

// pushed returns the plain body as it was pushed with a masking. It reads each
// masking once.
func (s *sent) pushed(ctx context.Context, m event.Masking) ([]byte, error) {
	if m == event.Unmasked {
		return s.event.Pushed(m), nil
	}

	if s.masked[m] == nil {
		b, err := s.api.Search.FindMasked(ctx, s.caller.Tenant, s.event.Seq, m)
		if err != nil {
			return nil, err
		}
		s.masked[m] = b
		if b == nil { // retention removed it after this request had read the event
			s.masked[m] = s.event.Pushed(m)
		}
	}
	return s.masked[m], nil
}

// response returns the answer to an attempt. It may repeat what was sent, and the
// URL to which it was sent, so it is masked as the request is.
func (s *sent) response(a *search.Attempt, of about) *responseView {
	v := &responseView{Headers: map[string]string{}}
	for line := range strings.Lines(a.Header) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		value = s.viewer.line(value, of)
		if old, ok := v.Headers[name]; ok {
			value = old + ", " + value
		}
		v.Headers[name] = value
	}

	text, ok := textOf(a.Body)
	switch {
	case !ok && s.viewer.hideNumbers:
		v.Note = withheld
	case !ok:
		shown := string(a.Body)
		if s.viewer.hideQueries {
			shown = of.secrets.Hide(shown)
		}
		v.BodyBase64 = base64.StdEncoding.EncodeToString([]byte(shown))
	default:
		v.Body = s.viewer.text(text, of)
		if s.viewer.hideNumbers {
			v.Note = masked
		}
	}
	return v
}

// textOf returns the first bytes of an answer as text, without the character that
// their end cut in two. It returns false if they are not text.
func textOf(b []byte) (string, bool) {
	for cut := range min(utf8.UTFMax, len(b)+1) {
		if utf8.Valid(b[:len(b)-cut]) {
			return string(b[:len(b)-cut]), true
		}
	}
	return "", false
}

// ms returns a duration in ms, exact to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
