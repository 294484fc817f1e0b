package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/subscriptions"
)

// verdict says whether a subscription wanted an event, as things stood when it was
// accepted, and if not which condition said no.
type verdict int

const (
	matched       verdict = iota
	otherType             // it does not have the type
	filteredOut           // a field of its filter
	createdLater          // it was not there yet
	deletedThen           // it was there no more
	testOfAnother         // a test push goes to the subscription that was tested
	verdicts
)

var verdictNames = [verdicts]string{"matched", "type", "filter", "createdLater", "deleted", "test"}

func (v verdict) String() string { return verdictNames[v] }

// wait is what holds a pending delivery now.
type wait int

const (
	forNothing wait = iota
	forResume       // the subscription is paused
	forBreaker
	forHold  // a receiver's Retry-After
	forRetry // its own schedule
	forKey   // an earlier delivery of its order key
	forRate
	forSlots // of maxInFlight, or just its turn
	waits
)

var waitNames = [waits]string{"", "paused", "breaker", "hold", "retry", "key", "rate", "slots"}

func (w wait) String() string { return waitNames[w] }

// doubt is why a verdict may not be what it was at acceptance.
type doubt int

const (
	noDoubt     doubt = iota
	ofDirectory       // the filter read the directory, which may have been another then
	ofBody            // the body that the filter read is past retention
	doubts
)

var doubtNames = [doubts]string{"", "directory", "bodyGone"}

func (d doubt) String() string { return doubtNames[d] }

// explainView is a line of the explanation.
type explainView struct {
	Subscription string       `json:"subscription"`
	Name         string       `json:"name,omitempty"`
	Verdict      string       `json:"verdict"`
	Field        string       `json:"field,omitempty"`  // of the filter, when that said no
	Wanted       []string     `json:"wanted,omitempty"` // by the types, or by that field
	Found        []string     `json:"found,omitempty"`  // in the event
	Delivery     string       `json:"delivery,omitempty"`
	MadeBy       string       `json:"madeBy,omitempty"`      // id of the replay that made the delivery, when the event did not
	State        string       `json:"state,omitempty"`       // of the delivery
	Waiting      *waitingView `json:"waiting,omitempty"`     // only of a pending one
	DueAt        *Time        `json:"dueAt,omitempty"`       // of the next try; absent: as soon as its turn comes
	RetriesLeft  *int         `json:"retriesLeft,omitempty"` // after the first try
	Deleted      bool         `json:"deleted,omitempty"`     // the subscription is not there any more
	Uncertain    string       `json:"uncertain,omitempty"`
	Words        string       `json:"words"`
}

// waitingView says what a delivery waits for.
type waitingView struct {
	For    string `json:"for"`
	Until  *Time  `json:"until,omitempty"`  // absent: nobody knows
	Behind string `json:"behind,omitempty"` // the delivery that must end first
}

// ExplainStore answers what the explanation of an event asks.
type ExplainStore interface {
	// FindVersionsAt lists at most limit subscriptions with numbers below before, newest
	// first, deleted ones too; before 0: from the newest on. Each is at the version that
	// was in force at a time (Unix ms), those made later at their first one.
	FindVersionsAt(ctx context.Context, tenant, at, before int64, limit int) ([]*subscriptions.Subscription, error)
	// KeyHolder returns the public id of the earliest delivery of a subscription that holds
	// the order key of another, a pending one; "" if none does.
	KeyHolder(ctx context.Context, sub, seq int64, now time.Time) (string, error)
}

// ExplainEvent is GET /v1/events/{id}/explain: for every subscription of the tenant,
// deleted and later ones too, whether the event was wanted when it was accepted, and if
// not why; and of what is pending what holds it now. Newest subscriptions first.
func (a *API) ExplainEvent(r *http.Request, c access.Caller, ps httprouter.Params) (int, any, error) {
	var before int64
	limit, err := a.readPage(r, "explain", &before)
	if err != nil {
		return 0, nil, err
	}
	e, err := a.eventNamed(r, c, ps)
	if err != nil {
		return 0, nil, err
	}

	ds, err := a.Search.EventDeliveries(r.Context(), c.Tenant, e.Seq)
	if err != nil {
		return 0, nil, err
	}
	subs, err := a.Explain.FindVersionsAt(r.Context(), c.Tenant, e.AcceptedAt, before, limit+1)
	if err != nil {
		return 0, nil, err
	}
	next := ""
	if len(subs) > limit {
		subs = subs[:limit]
		next = a.Cursors.Make("explain", subs[limit-1].No)
	}

	x := a.explainer(c, e)
	views := make([]explainView, 0, len(subs))
	for _, s := range subs {
		var d *search.Delivery
		if i := slices.IndexFunc(ds, func(d search.Delivery) bool { return d.Sub == s.No }); i >= 0 {
			d = &ds[i]
		}
		v, err := x.line(r.Context(), s, d)
		if err != nil {
			return 0, nil, err
		}
		views = append(views, v)
	}
	return http.StatusOK, pageOf(views, next), nil
}

// eventNamed finds the event that the path names, by its id, or by its handle, which
// callers have who may not see the id.
func (a *API) eventNamed(r *http.Request, c access.Caller, ps httprouter.Params) (*search.Event, error) {
	id := ps.ByName("id")
	if behind, ok := a.Handles.Read(eventHandle, c.Tenant, id); ok {
		id = behind
	}
	e, err := a.Search.FindEvent(r.Context(), c.Tenant, id)
	return e, found(err)
}

// explainer explains one event to one caller.
type explainer struct {
	api    *API
	caller access.Caller
	viewer viewer
	event  *search.Event
	facets *event.Facets
	now    time.Time
}

// explainer returns what explains an event to a caller.
func (a *API) explainer(c access.Caller, e *search.Event) *explainer {
	return &explainer{api: a, caller: c, viewer: a.viewer(c), event: e, facets: a.Facets(e.Event), now: a.now()}
}

// line explains the event for a subscription at the version of then. d is its delivery,
// nil if it has none.
func (x *explainer) line(ctx context.Context, s *subscriptions.Subscription, d *search.Delivery) (explainView, error) {
	v := explainView{Subscription: s.ID, Name: s.Name, Deleted: s.DeletedAt != nil}
	verdict, doubt := matched, noDoubt
	madeLater := d != nil && d.ReplayNo != 0 // a replay made it: the verdict stays as at acceptance
	if d == nil || madeLater {
		verdict, v.Field, doubt = x.judge(s)
	}
	v.Verdict = verdict.String()
	v.Uncertain = doubt.String()

	switch verdict {
	case matched:
		words, err := x.delivery(ctx, &v, d)
		v.Words = "It wanted the event; " + words
		return v, err
	case otherType:
		v.Wanted = s.Events
		v.Found = []string{x.event.Type.String()}
		v.Words = fmt.Sprintf("It wants %s; the event is %s.", list(v.Wanted), x.event.Type)
	case filteredOut:
		x.filter(&v, s)
	case createdLater:
		v.Words = "It was made after the event was accepted, on " + stampOf(s.CreatedAt) + "."
	case deletedThen:
		v.Words = "It was deleted before the event was accepted, on " + stampOf(*s.DeletedAt) + "."
	case testOfAnother:
		v.Words = "The event is a test of another subscription: it goes to that one only."
	}
	if v.Deleted && verdict != deletedThen {
		v.Words += " It was deleted since."
	}
	if madeLater {
		words, err := x.delivery(ctx, &v, d)
		v.MadeBy = d.Replay
		v.Words += " A replay made a delivery all the same; " + words
		return v, err
	}
	return v, nil
}

// judge says why a subscription has no delivery of the event. field is that of the filter
// which said no, if one did and it is known.
func (x *explainer) judge(s *subscriptions.Subscription) (_ verdict, field string, _ doubt) {
	at := x.event.AcceptedAt
	switch {
	case s.CreatedAt.UnixMilli() > at:
		return createdLater, "", noDoubt
	case s.DeletedAt != nil && s.DeletedAt.UnixMilli() <= at:
		return deletedThen, "", noDoubt
	case x.event.Test:
		return testOfAnother, "", noDoubt
	case !s.Types.Has(x.event.Type):
		return otherType, "", noDoubt
	case s.Filter == nil:
		// Within one millisecond, one that wants it can only have come after it.
		return createdLater, "", noDoubt
	case x.event.Body == nil:
		return filteredOut, "", ofBody
	}

	field = s.Filter.Misses(x.facets)
	doubt := noDoubt
	if s.Filter.AsksDepartments() && x.directoryRead() {
		doubt = ofDirectory
	}
	if field == "" { // it passes today
		if doubt == noDoubt {
			return createdLater, "", noDoubt
		}
		field = subscriptions.FilterDepartments
	}
	if field != subscriptions.FilterDepartments {
		doubt = noDoubt // what the directory says changes nothing about it
	}
	return filteredOut, field, doubt
}

// directoryRead reports whether the departments of the event are those that the directory
// of now has of its agents, because its body names none.
func (x *explainer) directoryRead() bool {
	return len(event.FacetsOf(x.event.Event).Departments) == 0 && len(x.facets.Agents) > 0
}

// filter fills in which field of the filter said no.
func (x *explainer) filter(v *explainView, s *subscriptions.Subscription) {
	if v.Field == "" {
		v.Words = "Its filter said no. Which field did cannot be said any more: " + pastRetention + "."
		return
	}
	v.Wanted = s.Filter.Wanted(v.Field)
	for _, value := range subscriptions.FoundBy(v.Field, x.facets) {
		v.Found = append(v.Found, x.viewer.text(value, about{typ: x.event.Type, body: x.event.Body}))
	}

	found := "the event has none"
	if len(v.Found) > 0 {
		found = "the event has " + list(v.Found)
	}
	v.Words = fmt.Sprintf("Its filter %s wants %s; %s.", v.Field, list(v.Wanted), found)
	if v.Uncertain != "" {
		v.Words += " The event names no department: these are those that the directory has of its agents now, and it may have been another then."
	}
}

// delivery fills in what became of a delivery, and what holds it now if it is pending. It
// returns that in words.
func (x *explainer) delivery(ctx context.Context, v *explainView, d *search.Delivery) (words string, err error) {
	v.Delivery = d.PublicID()
	v.State = d.State.String()
	if d.State != delivery.Pending {
		return "the delivery is " + v.State + ".", nil
	}

	s, err := x.api.Subscriptions.FindSubscription(ctx, x.caller.Tenant, v.Subscription)
	if err != nil {
		return "", err
	}
	if s.DeletedAt != nil {
		return "it was deleted since, and the delivery is about to be cancelled.", nil
	}
	tries := d.Tries
	if n := len(d.Runs); n > 0 {
		tries = d.Runs[n-1].Tries
	}
	left := max(0, len(s.Retry[d.Type.Class()].Schedule)+1-max(1, tries))
	v.RetriesLeft = &left
	v.DueAt = timeOrNone(d.DueAt)

	why, w, err := x.holds(ctx, s, d)
	if err != nil {
		return "", err
	}
	w.For = why.String()
	v.Waiting = &w
	return waitWords(why, &w, s) + fmt.Sprintf(" Retries left: %d.", left), nil
}

// holds says what a pending delivery of a subscription waits for now. What concerns the
// whole subscription comes before what concerns this delivery alone.
func (x *explainer) holds(ctx context.Context, s *Subscription, d *search.Delivery) (wait, waitingView, error) {
	now := x.now.UnixMilli()
	switch {
	case s.Paused():
		return forResume, waitingView{}, nil
	case s.Hold.Until > now && s.Hold.Reason == "breaker":
		return forBreaker, waitingView{Until: timeOrNone(s.Hold.Until)}, nil
	case s.Hold.Until > now:
		return forHold, waitingView{Until: timeOrNone(s.Hold.Until)}, nil
	case d.DueAt > now:
		return forRetry, waitingView{Until: timeOrNone(d.DueAt)}, nil
	}

	if s.Ordering == subscriptions.OrderingKey && d.OrderKey != "" && !d.Late {
		behind, err := x.api.Explain.KeyHolder(ctx, s.No, d.Seq, x.now)
		if err != nil {
			return 0, waitingView{}, err
		}
		if behind != "" && behind != d.PublicID() {
			return forKey, waitingView{Behind: behind}, nil
		}
	}
	if s.Hold.Breaker.State == "open" || s.Hold.Breaker.State == "halfOpen" {
		return forBreaker, waitingView{}, nil // a probe is under way, or about to be
	}

	// Only the process that sends knows which of both bounds it reached; when that is
	// another one, a rate is taken for the narrower.
	if s.RatePerSecond > 0 {
		if holds, known := x.api.RateHolds(s.No); holds || !known {
			return forRate, waitingView{}, nil
		}
	}
	return forSlots, waitingView{}, nil
}

// waitWords says in a sentence what a delivery waits for.
func waitWords(why wait, w *waitingView, s *Subscription) string {
	until := ""
	if w.Until != nil {
		until = " until " + w.Until.String()
	}
	switch why {
	case forResume:
		return fmt.Sprintf("the subscription is paused (%s): nothing goes out until it is resumed.", s.PausedReason)
	case forBreaker:
		if until == "" {
			return "its breaker is open: one push is tried before the others follow."
		}
		return "its breaker is open after failures" + until + "."
	case forHold:
		return "its receiver asked by Retry-After for no push" + until + "."
	case forRetry:
		return "the last try failed, and the next one is not due" + until + "."
	case forKey:
		return "delivery " + w.Behind + " of the same order key comes first."
	case forRate:
		return "its turn comes at " + strconv.FormatFloat(s.RatePerSecond, 'f', -1, 64) + " pushes a second."
	default:
		return fmt.Sprintf("it is being sent, or waits for one of the %d requests that may be under way at a time.", s.MaxInFlight)
	}
}

// list writes values one after the other, the first few of many.
func list(values []string) string {
	const few = 10
	if more := len(values) - few; more > 0 {
		return strings.Join(values[:few], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(values, ", ")
}

// stampOf writes a time as answers have it.
func stampOf(t time.Time) string { return new(Time(t)).String() }

// Reasons lists all that an explanation can say: its verdicts, the fields of a filter that
// can say no, what pending deliveries wait for, and what makes a verdict uncertain.
func Reasons() []string {
	return slices.Concat(verdictNames[:], subscriptions.FilterFields, waitNames[1:], doubtNames[1:])
}
