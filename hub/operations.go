package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/subscriptions"
)

// operations makes the events that the hub sends about itself: subscription.paused,
// subscription.resumed, delivery.exhausted, limit.warning. Of all processes together it
// makes at most one of a type per subscription and minute, or per limit and day, and never
// one about the push of such an event, so that they cannot cause each other. They are news,
// not records: if the hub is too busy to take one, it is logged and dropped.
type operations struct {
	store newsStore // set before Run
	log   *slog.Logger
	now   func() time.Time
	queue chan news

	mu    sync.Mutex
	until map[string]time.Time // by subject: when this process may make the next one
}

// newsStore takes the events, and says whether a process may make one.
type newsStore interface {
	ingest.Store

	// Once reports whether nobody said what since now, in any process: after true it is
	// false until the time until.
	Once(ctx context.Context, what string, now, until time.Time) (first bool, err error)
}

// news is an event that waits to be stored.
type news struct {
	event *event.Event
	about string // the subject, named alike in every process
	at    time.Time
	until time.Time // before which no other event may be about it
}

const (
	operationsQueue = 256
	operationsEvery = time.Minute     // of a subscription and type
	warningsEvery   = 24 * time.Hour  // of a limit
	operationsWait  = 5 * time.Second // for the store, with one event
)

func newOperations(log *slog.Logger) *operations {
	return &operations{log: log, now: time.Now, queue: make(chan news, operationsQueue), until: map[string]time.Time{}}
}

// Run stores the events until ctx ends.
func (o *operations) Run(ctx context.Context) error {
	tick := time.NewTicker(operationsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			o.forget(now)
		case n := <-o.queue:
			if err := o.say(ctx, n); err != nil {
				o.log.Warn("operational event dropped", "type", n.event.Type.String(), "tenant", n.event.CompanyID, "err", err)
			}
		}
	}
}

// say stores an event unless some process had one of its subject a moment ago: a
// subscription can change its owner between two deliveries. It is finished even if ctx ends:
// what is noted as said must be said.
func (o *operations) say(ctx context.Context, n news) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationsWait)
	defer cancel()
	first, err := o.store.Once(ctx, n.about, n.at, n.until)
	if err != nil || !first {
		return err
	}
	_, err = o.store.Accept(ctx, []*event.Event{n.event})
	return err
}

// forget drops the subjects about which there may be an event again.
func (o *operations) forget(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for about, until := range o.until {
		if !now.Before(until) {
			delete(o.until, about)
		}
	}
}

// Ended makes an event if a delivery is not tried any more.
func (o *operations) Ended(r delivery.Report) {
	it := r.Item
	if r.Verdict.State != delivery.Exhausted || it.Type.Internal() {
		return
	}
	body := map[string]any{
		"delivery": delivery.PublicID(it.Sub, it.Seq, it.AcceptedAt), "type": it.Type.String(), "attempts": it.Tries,
	}
	if r.Attempt != nil {
		body["lastStatus"] = r.Attempt.StatusCode
		body["lastError"] = r.Attempt.Class.String()
	}
	o.add(event.DeliveryExhausted, r.Sub, body)
}

// Changed makes an event if a subscription was paused or resumed.
func (o *operations) Changed(before, after *subscriptions.Subscription) {
	if before == nil || after.DeletedAt != nil || before.Paused() == after.Paused() {
		return
	}
	if after.Paused() {
		o.add(event.SubscriptionPaused, after, map[string]any{"reason": after.PausedReason})
		return
	}
	o.add(event.SubscriptionResumed, after, map[string]any{})
}

// add queues an event, unless there was one of its type and subscription a moment
// ago.
func (o *operations) add(t event.Type, s *subscriptions.Subscription, body map[string]any) {
	now := o.now()
	about := fmt.Sprintf("%s/%d", t, s.No)
	until := now.Add(operationsEvery)
	if !o.first(about, now, until) {
		return
	}
	body["subscription"] = s.ID
	body["subscriptionName"] = s.Name
	o.put(t, s.Tenant, s.CompanyID, body, news{about: about, at: now, until: until})
}

// Near makes an event if a tenant uses at least four fifths of one of its limits, at most
// one a day for each limit. It may be called often, and at any place.
func (o *operations) Near(tenant int64, companyID, limit string, used, most int64) {
	if most <= 0 || used < most-most/5 {
		return
	}
	now := o.now()
	about := fmt.Sprintf("%s/%d/%s", event.LimitWarning, tenant, limit)
	until := now.Add(warningsEvery)
	if !o.first(about, now, until) {
		return
	}
	body := map[string]any{"limit": limit, "used": used, "most": most}
	o.put(event.LimitWarning, tenant, companyID, body, news{about: about, at: now, until: until})
}

// first reports whether this process has no event about a subject yet. If so, it has none
// after this one before until.
func (o *operations) first(about string, now, until time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if next, found := o.until[about]; found && now.Before(next) {
		return false
	}
	o.until[about] = until
	return true
}

// put queues an event of a tenant.
func (o *operations) put(t event.Type, tenant int64, companyID string, body map[string]any, n news) {
	body["creationTime"] = n.at.UnixMilli()
	raw, err := json.Marshal(body)
	if err != nil {
		o.log.Error("operational event", "type", t.String(), "err", err)
		return
	}
	e, bad := event.Gate{CompanyID: companyID, Internal: true}.Bare(t, raw)
	if bad != nil {
		o.log.Error("operational event", "type", t.String(), "err", bad)
		return
	}
	e.Tenant = tenant
	e.CompanyID = companyID
	e.Source = "hub"
	n.event = e

	select {
	case o.queue <- n:
	default:
		o.log.Warn("operational event dropped: too many wait", "type", t.String(), "tenant", companyID)
	}
}
