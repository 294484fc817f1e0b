package ingest

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/problem"
)

// Names of headers that senders may set, in canonical form.
const (
	headerTrace = "Traceparent"
	headerHops  = "X-Hookline-Hops"
)

// MaxHops is how many hubs an event may have gone through. An event that went through more
// is taken for one in a loop.
const MaxHops = 8

// Handler is POST /v1/events and POST /v1/events/{type}. Set its fields before
// the first request; zero values mean the defaults.
type Handler struct {
	Store    Store
	Limit    func(tenant int64) int                  // events a second of a tenant; default, also for 0: 1,000
	Room     func(tenant, n int64) bool              // reports whether a tenant's stored events may take n bytes more; nil: always
	Near     func(tenant int64, perSecond, used int) // is called with how much of a second's events is used up; may be nil
	Full     func(tenant int64) bool                 // reports whether a tenant has as many pending deliveries as it may; nil: never
	Bodies   *fair.Budget[int64]                     // bounds the bytes of decompressed bodies until their commit; nil: no bound
	Parsers  *fair.Slots[int64]                      // bounds the large bodies that are parsed at a time; nil: no bound
	Rejected func(tenant int64, n int)               // counts events that the store never sees, because they were refused; nil: nobody does
	Now      func() time.Time                        // default time.Now
	Metrics  *Metrics                                // nil: nothing is counted
	Log      *slog.Logger                            // default slog.Default()

	buckets buckets
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// perSecond returns how many events a second a tenant may send.
func (h *Handler) perSecond(tenant int64) int {
	n := 0
	if h.Limit != nil {
		n = h.Limit(tenant)
	}
	if n <= 0 {
		n = 1000
	}
	return n
}

// Rate returns what bounds the events a second of a tenant, however they come in.
func (h *Handler) Rate(tenant int64) *rate.Limiter {
	return h.buckets.find(tenant, h.perSecond(tenant), h.now())
}

// Serve takes the events of one request of caller c. typ is the type that the path names,
// or "" when each event says its own. The answer is a result for each item, or a problem
// when the request as a whole is refused.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, c access.Caller, typ string) {
	q := requests.Get().(*request)
	defer func() { // also when something panics
		if h.Bodies != nil {
			h.Bodies.Give(c.Tenant, q.charged)
		}
		q.free()
	}()

	if refused := h.take(q, r, c, typ); refused != nil {
		h.Metrics.refusal(strconv.Itoa(refused.Status))
		problem.Write(w, *refused)
		return
	}

	q.answer(w)
}

// take does everything but the answer. It returns why the request as a whole is refused.
func (h *Handler) take(q *request, r *http.Request, c access.Caller, typ string) *problem.Details {
	if c.Tenant == 0 {
		return problem.New(http.StatusForbidden, "a key of the platform belongs to no tenant; events need a tenant's key")
	}

	t, refused := typeOf(typ)
	if refused != nil {
		return refused
	}
	hops, refused := hopsOf(r.Header)
	if refused != nil {
		return refused
	}
	f, ok := formatOf(r.Header.Get("Content-Type"))
	if !ok {
		return problem.New(http.StatusUnsupportedMediaType, "Content-Type must be application/json or application/x-ndjson")
	}

	if refused := h.Admit(c.Tenant); refused != nil {
		return refused
	}
	if refused := h.read(q, r, c.Tenant); refused != nil {
		return refused
	}
	h.Metrics.request(len(q.body))
	if h.Room != nil && !h.Room(c.Tenant, int64(len(q.body))) {
		return pastQuota()
	}

	gate := event.Gate{CompanyID: c.CompanyID, Strict: c.Strict, Now: h.Now}
	if refused := h.parse(q, r, c.Tenant, gate, t, f); refused != nil {
		return refused
	}

	limiter := h.Rate(c.Tenant)
	if now, more := h.now(), len(q.items)-1; !limiter.AllowN(now, more) {
		return tooMany(wait(limiter, more, now))
	}
	h.near(c.Tenant, limiter)

	events := make([]*event.Event, 0, len(q.items))
	trace := traceOf(r.Header)
	for _, it := range q.items {
		if e := it.Event; e != nil {
			e.Tenant, e.KeyID, e.Source, e.Traceparent, e.Hops = c.Tenant, c.KeyID, "http", trace, hops
			events = append(events, e)
		}
	}
	return h.commit(q, r, c.Tenant, events)
}

// parseAlone is the size up to which a body is parsed without a place: that takes less
// than a millisecond.
const parseAlone = 64 << 10

// parse splits the body into items. Large bodies keep a processor busy, so a tenant may
// have only some of them parsed at a time.
func (h *Handler) parse(
	q *request, r *http.Request, tenant int64, g event.Gate, t event.Type, f format,
) *problem.Details {
	if len(q.body) > parseAlone && h.Parsers != nil {
		place, err := h.Parsers.Take(r.Context(), tenant, 0)
		var full *fair.Full
		switch {
		case errors.As(err, &full):
			return &problem.Details{Status: full.Status(), Detail: full.Error() + "; nothing was taken", RetryAfter: full.After}
		case err != nil:
			return problem.New(http.StatusServiceUnavailable, "the request was given up")
		}
		defer place.Free()
	}
	return q.split(g, t, f)
}

// commit stores the events and writes a result for each item.
func (h *Handler) commit(q *request, r *http.Request, tenant int64, events []*event.Event) *problem.Details {
	var verdicts []Verdict
	if len(events) > 0 {
		var err error
		if verdicts, err = h.Store.Accept(r.Context(), events); err != nil {
			return h.failed(r, err)
		}
	}

	q.beginAnswer()
	next, refused := 0, 0
	for i := range q.items {
		it := &q.items[i]
		id, status, warnings := it.ID, Rejected, []event.Problem(nil)
		if it.Event != nil {
			id = it.Event.ID
			switch verdicts[next] {
			case Stored:
				status, warnings = Accepted, it.Event.Warnings
			case Known:
				status = Duplicate
			default:
				it.Problem = idConflict()
			}
			next++
		}

		if it.Event == nil { // the store counts those that it refused itself
			refused++
		}
		h.Metrics.result(status, warnings)
		q.result(id, status, it.Problem, warnings)
	}
	if h.Rejected != nil && refused > 0 {
		h.Rejected(tenant, refused)
	}
	q.endAnswer()
	return nil
}

func idConflict() *event.Problem {
	return &event.Problem{
		Code: "id_conflict", Message: "this id was used for another event", Field: "/id", Status: http.StatusConflict,
	}
}

// Admit lets a request of a tenant be read, or returns why it is refused: 429 if the tenant has
// as many pending deliveries, bytes of events or events a second as it may.
func (h *Handler) Admit(tenant int64) *problem.Details {
	if h.Full != nil && h.Full(tenant) {
		return backlogged()
	}
	if h.Room != nil && !h.Room(tenant, 1) {
		return pastQuota()
	}

	// A request of a tenant past its limit is not worth reading. Every request counts as one
	// event at least, also an empty one: reading and refusing it is work, too.
	limiter := h.Rate(tenant)
	if now := h.now(); !limiter.AllowN(now, 1) {
		return tooMany(wait(limiter, 1, now))
	}
	return nil
}

// failed answers an error of the store, which stored nothing.
func (h *Handler) failed(r *http.Request, err error) *problem.Details {
	var full *fair.Full
	switch {
	case errors.As(err, &full):
		return &problem.Details{Status: full.Status(), Detail: full.Error() + "; nothing was taken", RetryAfter: full.After}
	case errors.Is(err, ErrBusy):
		return busy()
	case r.Context().Err() != nil:
		return problem.New(http.StatusServiceUnavailable, "the request was given up")
	}

	cmp.Or(h.Log, slog.Default()).ErrorContext(r.Context(), "accept events", "path", r.URL.Path, "err", err)
	return problem.New(http.StatusInternalServerError, "the hub could not store the events; its log says why")
}

func busy() *problem.Details {
	return &problem.Details{
		Status: http.StatusServiceUnavailable, Detail: "the hub is full, nothing was taken", RetryAfter: time.Second,
	}
}

// backlogged refuses events of a tenant until some of its pending deliveries have ended.
func backlogged() *problem.Details {
	return &problem.Details{
		Status: http.StatusTooManyRequests, RetryAfter: 10 * time.Second,
		Detail: "the tenant has as many pending deliveries as it may, nothing was taken; " +
			"its receivers are too slow or paused",
	}
}

// near tells how many of the events that a tenant may send in a second it has just sent.
func (h *Handler) near(tenant int64, limiter *rate.Limiter) {
	if h.Near != nil {
		h.Near(tenant, int(limiter.Limit()), limiter.Burst()-int(limiter.TokensAt(h.now())))
	}
}

// pastQuota refuses events of a tenant until some of its bodies are past retention.
func pastQuota() *problem.Details {
	return &problem.Details{
		Status: http.StatusTooManyRequests, RetryAfter: access.QuotaRetry,
		Detail: "the tenant's stored events take as many bytes as they may (limits.eventBytes), nothing was taken",
	}
}

func tooMany(after time.Duration) *problem.Details {
	return &problem.Details{
		Status: http.StatusTooManyRequests, Detail: "more events a second than this tenant may send, nothing was taken",
		RetryAfter: after,
	}
}

func typeOf(name string) (event.Type, *problem.Details) {
	if name == "" {
		return 0, nil
	}
	t, ok := event.ParseType(name)
	switch {
	case !ok:
		return 0, problem.Field(http.StatusUnprocessableEntity, "type", "no type has this name")
	case t.Internal():
		return 0, problem.Field(http.StatusUnprocessableEntity, "type", "only the hub itself makes events of this type")
	}
	return t, nil
}

// hopsOf reads how many hubs the request came through.
func hopsOf(h http.Header) (int, *problem.Details) {
	n, bad := readHops(h.Get(headerHops))
	if bad != nil {
		return 0, problem.Field(bad.Status, headerHops, bad.Message)
	}
	return n, nil
}

func readHops(s string) (int, *event.Problem) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	switch {
	case err != nil:
		return 0, &event.Problem{
			Code: "wrong_type", Status: http.StatusBadRequest, Message: "must be a number from 0 to " + strconv.Itoa(MaxHops),
		}
	case n > MaxHops:
		// Not 508: a 5xx would have the sending hub hold all its pushes to us for one loop.
		return 0, &event.Problem{
			Code: "loop", Status: http.StatusUnprocessableEntity,
			Message: "the event went through more than " + strconv.Itoa(MaxHops) + " hubs: a loop",
		}
	}
	return int(n), nil
}

// traceOf returns the W3C trace context of a request, or "" when it is missing or invalid
// (https://www.w3.org/TR/trace-context/#traceparent-header).
func traceOf(h http.Header) string { return readTrace(h.Get(headerTrace)) }

func readTrace(s string) string {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return ""
	}

	for i := range len(s) {
		switch c := s[i]; {
		case i == 2 || i == 35 || i == 52:
		case (c < '0' || '9' < c) && (c < 'a' || 'f' < c):
			return ""
		}
	}

	if strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return ""
	}
	return strings.Clone(s) // s shares the memory of all headers
}
