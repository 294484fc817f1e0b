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
// subscription.resumed, delivery.exhausted. Of all processes together it makes at most
// one of a type per subscription and minute, and never one about the push of such an
// event, so that they cannot cause each other. They are news, not records: if the hub
// is too busy to take one, it is logged and dropped.
type operations struct {
	store newsStore // set before Run
	log   *slog.Logger
	now   func() time.Time
	queue chan news

	mu   sync.Mutex
	last map[subject]time.Time // when this process had one; forgotten after a minute
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
	about subject
	at    time.Time
}

// subject is what at most one event a minute is about.
type subject struct {
	sub int64
	typ event.Type
}

// String names the subject, alike in every process.
func (s subject) String() string { return fmt.Sprintf("%s/%d", s.typ, s.sub) }

const (
	operationsQueue = 256
	operationsEvery = time.Minute
	operationsWait  = 5 * time.Second // for the store, with one event
)

func newOperations(log *slog.Logger) *operations {
	return &operations{log: log, now: time.Now, queue: make(chan news, operationsQueue), last: map[subject]time.Time{}}
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

// say stores an event unless some process had one of its subject within a minute: a
// subscription can change its owner between two deliveries. It is finished even if ctx ends:
// what is noted as said must be said.
func (o *operations) say(ctx context.Context, n news) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationsWait)
	defer cancel()
	first, err := o.store.Once(ctx, n.about.String(), n.at, n.at.Add(operationsEvery))
	if err != nil || !first {
		return err
	}
	_, err = o.store.Accept(ctx, []*event.Event{n.event})
	return err
}

// forget drops what is older than a minute.
func (o *operations) forget(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for a, at := range o.last {
		if now.Sub(at) >= operationsEvery {
			delete(o.last, a)
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
	about := subject{s.No, t}
	o.mu.Lock()
	if at, found := o.last[about]; found && now.Sub(at) < operationsEvery {
		o.mu.Unlock()
		return
	}
	o.last[about] = now
	o.mu.Unlock()

	body["subscription"] = s.ID
	body["subscriptionName"] = s.Name
	body["creationTime"] = now.UnixMilli()
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
	e.Tenant = s.Tenant
	e.CompanyID = s.CompanyID
	e.Source = "hub"

	select {
	case o.queue <- news{e, about, now}:
	default:
		o.log.Warn("operational event dropped: too many wait", "type", t.String(), "tenant", s.CompanyID)
	}
}
