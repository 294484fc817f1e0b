package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
)

// Topics. What one process tells itself has one a shard.
const (
	topicNudges  = "nudges"  // for lanes of other processes
	topicBoards  = "boards"  // for those who watch boards on other processes
	topicTails   = "tails"   // for those who listen to attempts on other processes
	topicChanges = "changes" // tenants, keys or subscriptions changed; the payload says nothing
)

func topic(shard int) string { return topicNudges + "." + strconv.Itoa(shard) }

// Transport carries messages between processes. A message of at most
// storage.MaxNotice bytes reaches all who subscribe, or is lost; one without a
// payload says that some may have been lost.
type Transport interface {
	message.Publisher
	message.Subscriber
}

// nudged are the lanes of this process.
type nudged interface {
	Owns(shard int) bool
	Nudge(sub, from int64)
	NudgeShard(shard int, from int64)
	Rescan()
}

// pipeline carries nudges from commits to lanes: every topic, every handler.
//
//	           ┌ owned here ─▶ merged ─▶ topic nudges.<shard> ─▶ lanes
//	commit ─▶ Nudge
//	           └ else ───────▶ merged ─▶ Transport: topic nudges ─▶ lanes of others
//	       └▶ Stored ────────▶ merged ─▶ Transport: topic boards ─▶ streams of others
//	attempt ▶ Attempted ─────▶ queued ─▶ Transport: topic tails ─▶ listeners of others
//	change ─▶ Changed ───────▶ merged ─▶ Transport: topic changes ─▶ others read anew
//
// A nudge is a hint. Lost, doubled or late, it does no harm: the lane reads
// what is pending from the store.
type pipeline struct {
	router *message.Router
	pubsub *gochannel.GoChannel
	lanes  nudged
	remote Transport // nil: there are no other processes
	log    *slog.Logger

	here, there outbox
	boards      boardNews
	tails       tailNews
	listeners   *tail.Feed    // here, for the attempts of others; nil: none
	news        chan struct{} // of one: other processes changed something
}

// outbox merges nudges while the publisher is busy.
type outbox struct {
	mu      sync.Mutex
	waiting map[int64]int64 // subscription -> from
	changed bool
	wake    chan struct{} // of one
}

func newOutbox() outbox { return outbox{waiting: map[int64]int64{}, wake: make(chan struct{}, 1)} }

func newPipeline(log *slog.Logger) (*pipeline, error) {
	p := &pipeline{log: log, here: newOutbox(), there: newOutbox(), news: make(chan struct{}, 1), boards: newBoardNews(), tails: newTailNews()}
	// Watermill speaks of every message at its level info; ours are too many.
	wm := watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug, slog.LevelDebug: slog.LevelDebug - 4})
	// Blocking keeps one message under way per topic: bounded, and what comes
	// meanwhile is merged. It blocks the publisher's goroutine alone.
	p.pubsub = gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, wm)
	var err error
	if p.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, wm); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	p.router.AddMiddleware(middleware.Recoverer)
	for shard := range subscriptions.Shards {
		p.handle(topic(shard), p.pubsub, func(payload []byte) { p.tell(payload) })
	}
	return p, nil
}

func (p *pipeline) handle(topic string, from message.Subscriber, f func(payload []byte)) {
	p.router.AddConsumerHandler(topic, topic, from, func(msg *message.Message) error {
		f(msg.Payload)
		return nil // never nack: it would come again at once, for ever
	})
}

// connect the lanes of this process, and it with others by a transport; nil:
// there are none. To be called before Run.
func (p *pipeline) connect(lanes nudged, remote Transport) {
	p.lanes, p.remote = lanes, remote
	if remote == nil {
		return
	}
	p.handle(topicNudges, remote, func(payload []byte) {
		if len(payload) == 0 {
			lanes.Rescan()
			return
		}
		p.tell(payload)
	})
	p.handle(topicChanges, remote, func([]byte) {
		select {
		case p.news <- struct{}{}:
		default:
		}
	})
}

// share attempts with the listeners of other processes, and hand theirs to those
// of this one. To be called after connect, before Run.
func (p *pipeline) share(here *tail.Feed) {
	if p.remote == nil {
		return
	}
	p.listeners, here.Opened = here, p.Listening
	p.handle(topicTails, p.remote, func(payload []byte) { p.tails.hear(payload, here) })
}

// Nudge notes that subscriptions have new rows. It never blocks.
func (p *pipeline) Nudge(rows []storage.Rows) {
	for _, r := range rows {
		if p.remote == nil || p.lanes.Owns(subscriptions.Shard(r.Sub)) {
			p.here.add(r.Sub, r.From)
		} else {
			p.there.add(r.Sub, r.From)
		}
	}
}

// Changed notes that other processes should read tenants, keys and
// subscriptions anew. It never blocks.
func (p *pipeline) Changed() {
	if p.remote == nil {
		return
	}
	p.there.mu.Lock()
	p.there.changed = true
	p.there.mu.Unlock()
	p.there.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) add(sub, from int64) {
	o.mu.Lock()
	merge(o.waiting, sub, from)
	o.mu.Unlock()
	o.signal()
}

// merge keeps the lowest number from which somebody should look; 0 is none.
func merge(waiting map[int64]int64, sub, from int64) {
	at, waits := waiting[sub]
	if !waits || from > 0 && (at == 0 || from < at) {
		waiting[sub] = from
	}
}

// take empties what waits.
func (o *outbox) take() (waiting map[int64]int64, changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting, changed = o.waiting, o.changed
	o.waiting, o.changed = map[int64]int64{}, false
	return waiting, changed
}

// Run carries nudges until ctx ends.
func (p *pipeline) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- p.router.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-p.router.Running():
	}
	var others sync.WaitGroup
	others.Go(func() { p.send(ctx, &p.there, p.publishThere) }) // its waiting must not hold up the nudges of here
	others.Go(func() { p.sendBoards(ctx) })
	if p.listeners != nil {
		others.Go(func() { p.sendTails(ctx, p.listeners) })
	}
	p.send(ctx, &p.here, p.publishHere)
	others.Wait()
	return errors.Join(<-done, p.pubsub.Close())
}

func (p *pipeline) send(ctx context.Context, o *outbox, publish func(map[int64]int64, bool)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
			publish(o.take())
		}
	}
}

// publishHere sends one message a shard.
func (p *pipeline) publishHere(waiting map[int64]int64, _ bool) {
	byShard := make(map[int][]byte, min(len(waiting), subscriptions.Shards))
	for sub, from := range waiting {
		s := subscriptions.Shard(sub)
		byShard[s] = appendNudge(byShard[s], sub, from)
	}
	for shard, payload := range byShard {
		p.publish(p.pubsub, topic(shard), payload)
	}
}

// publishThere sends one message, whatever there is to say.
func (p *pipeline) publishThere(waiting map[int64]int64, changed bool) {
	if changed { // first: who hears of rows should know the subscription
		p.publish(p.remote, topicChanges, []byte{1})
	}
	if len(waiting) == 0 {
		return
	}
	var payload []byte
	for sub, from := range waiting {
		payload = appendNudge(payload, sub, from)
	}
	if len(payload) > storage.MaxNotice {
		shards := map[int64]int64{}
		for sub, from := range waiting {
			merge(shards, allOf(subscriptions.Shard(sub)), from)
		}
		payload = payload[:0]
		for shard, from := range shards {
			payload = appendNudge(payload, shard, from)
		}
	}
	p.publish(p.remote, topicNudges, payload)
}

func (p *pipeline) publish(to message.Publisher, topic string, payload []byte) {
	if err := to.Publish(topic, message.NewMessage(watermill.NewShortUUID(), payload)); err != nil {
		p.log.Warn("publish", "topic", topic, "err", err) // the reconcile finds what it was about
	}
}

// A nudge is a pair of varints: the subscription, or allOf a shard, and from.

func allOf(shard int) int64 { return -1 - int64(shard) }

func appendNudge(b []byte, sub, from int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, sub), from)
}

// tell the lanes what a message says. What cannot be read is dropped; it was a hint.
func (p *pipeline) tell(payload []byte) {
	for len(payload) > 0 {
		sub, n := binary.Varint(payload)
		if n <= 0 {
			return
		}
		from, m := binary.Varint(payload[n:])
		if m <= 0 {
			return
		}
		payload = payload[n+m:]
		if sub < 0 {
			if shard := -1 - sub; shard < subscriptions.Shards {
				p.lanes.NudgeShard(int(shard), from)
			}
			continue
		}
		p.lanes.Nudge(sub, from)
	}
}
