package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/source"
)

// sourceNews makes source.rejecting and source.silent: of all processes together at most one of
// a type per source and hour. Like all operational events they are news, not records: if the hub
// is too busy to take one, it is logged and dropped.
type sourceNews struct {
	store newsStore // set before Run
	log   *slog.Logger
	now   func() time.Time
	queue chan sourceEvent

	mu   sync.Mutex
	next map[string]time.Time // by subject: when this process may make another event
}

// sourceEvent is an event that waits to be stored.
type sourceEvent struct {
	event *event.Event
	about string // the subject, named alike in every process
	at    time.Time
}

const (
	sourceNewsQueue = 64
	sourceNewsEvery = time.Hour
)

func newSourceNews(log *slog.Logger) *sourceNews {
	return &sourceNews{log: log, now: time.Now, queue: make(chan sourceEvent, sourceNewsQueue), next: map[string]time.Time{}}
}

// Run stores the events until ctx ends.
func (n *sourceNews) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-n.queue:
			if err := n.say(ctx, e); err != nil {
				n.log.Warn("operational event dropped", "type", e.event.Type.String(), "tenant", e.event.CompanyID, "err", err)
			}
		}
	}
}

// say stores an event unless some process had one of its subject within an hour. It is finished
// even if ctx ends: what is noted as said must be said.
func (n *sourceNews) say(ctx context.Context, e sourceEvent) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationsWait)
	defer cancel()
	first, err := n.store.Once(ctx, e.about, e.at, e.at.Add(sourceNewsEvery))
	if err != nil || !first {
		return err
	}
	_, err = n.store.Accept(ctx, []*event.Event{e.event})
	return err
}

// Rejecting implements source.News.
func (n *sourceNews) Rejecting(s *source.Source, inputs int, reason string) {
	n.add(event.SourceRejecting, s, map[string]any{"inputs": inputs, "reason": reason})
}

// Silent implements source.News.
func (n *sourceNews) Silent(s *source.Source, since int64) {
	n.add(event.SourceSilent, s, map[string]any{"since": since})
}

// add queues an event, unless this process had one of its subject within an hour.
func (n *sourceNews) add(t event.Type, s *source.Source, body map[string]any) {
	now := n.now()
	about := fmt.Sprintf("%s/%d", t, s.No)
	n.mu.Lock()
	if next, found := n.next[about]; found && now.Before(next) {
		n.mu.Unlock()
		return
	}
	n.next[about] = now.Add(sourceNewsEvery)
	n.mu.Unlock()

	body["source"] = s.ID
	body["sourceName"] = s.Name
	body["creationTime"] = now.UnixMilli()
	raw, err := json.Marshal(body)
	if err != nil {
		n.log.Error("operational event", "type", t.String(), "err", err)
		return
	}
	e, bad := event.Gate{CompanyID: s.CompanyID, Internal: true}.Bare(t, raw)
	if bad != nil {
		n.log.Error("operational event", "type", t.String(), "err", bad)
		return
	}
	e.Tenant, e.CompanyID, e.Source = s.Tenant, s.CompanyID, "hub"
	select {
	case n.queue <- sourceEvent{e, about, now}:
	default:
		n.log.Warn("operational event dropped: too many wait", "type", t.String(), "tenant", s.CompanyID)
	}
}
