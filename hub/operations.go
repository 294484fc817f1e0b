package hub

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/subscriptions"
)

// operations makes the events that the hub sends about itself:
// subscription.paused, subscription.resumed, delivery.exhausted. At most one of
// a type per subscription and minute, and never about the push of such an
// event, so that they cannot feed themselves. They are news, not records: when
// the hub is too busy to take one, it is logged and dropped.
type operations struct {
	store ingest.Store // set before Run
	log   *slog.Logger
	queue chan *event.Event

	mu   sync.Mutex
	last map[about]time.Time // bounded: forgotten after a minute
}

type about struct {
	sub int64
	typ event.Type
}

const (
	operationsQueue = 256
	operationsEvery = time.Minute
)

func newOperations(log *slog.Logger) *operations {
	return &operations{log: log, queue: make(chan *event.Event, operationsQueue), last: map[about]time.Time{}}
}

// Run stores what was said until ctx ends.
func (o *operations) Run(ctx context.Context) error {
	tick := time.NewTicker(operationsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			o.forget(now)
		case e := <-o.queue:
			if _, err := o.store.Accept(ctx, []*event.Event{e}); err != nil {
				o.log.Warn("operational event dropped", "type", e.Type.String(), "tenant", e.CompanyID, "err", err)
			}
		}
	}
}

func (o *operations) forget(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for a, at := range o.last {
		if now.Sub(at) >= operationsEvery {
			delete(o.last, a)
		}
	}
}

// Ended tells of a delivery that is not tried any more.
func (o *operations) Ended(r delivery.Report) {
	it := r.Item
	if r.Verdict.State != delivery.Exhausted || it.Type.Internal() {
		return
	}
	body := map[string]any{
		"delivery": delivery.PublicID(it.Sub, it.Seq, it.AcceptedAt), "type": it.Type.String(), "attempts": it.Tries,
	}
	if r.Attempt != nil {
		body["lastStatus"], body["lastError"] = r.Attempt.StatusCode, r.Attempt.Class.String()
	}
	o.say(event.DeliveryExhausted, r.Sub, body)
}

// Changed tells of a subscription that was paused or resumed.
func (o *operations) Changed(before, after *subscriptions.Subscription) {
	if before == nil || after.DeletedAt != nil || before.Paused() == after.Paused() {
		return
	}
	if after.Paused() {
		o.say(event.SubscriptionPaused, after, map[string]any{"reason": after.PausedReason})
		return
	}
	o.say(event.SubscriptionResumed, after, map[string]any{})
}

func (o *operations) say(t event.Type, s *subscriptions.Subscription, body map[string]any) {
	now := time.Now()
	o.mu.Lock()
	if at, said := o.last[about{s.No, t}]; said && now.Sub(at) < operationsEvery {
		o.mu.Unlock()
		return
	}
	o.last[about{s.No, t}] = now
	o.mu.Unlock()

	body["subscription"], body["subscriptionName"], body["creationTime"] = s.ID, s.Name, now.UnixMilli()
	raw, err := json.Marshal(body)
	if err != nil {
		o.log.Error("operational event", "type", t.String(), "err", err)
		return
	}
	e, bad := event.Gate{CompanyID: s.CompanyID, Internal: true}.Bare(t, raw)
	if bad != nil {
		o.log.Error("operational event", "type", t.String(), "err", bad)
		return
	}
	e.Tenant, e.CompanyID, e.Source = s.Tenant, s.CompanyID, "hub"
	select {
	case o.queue <- e:
	default:
		o.log.Warn("operational event dropped: too many wait", "type", t.String(), "tenant", s.CompanyID)
	}
}
