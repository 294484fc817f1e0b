// Package peers is what the processes that share a store tell each other: which
// subscriptions have new rows, what was changed, whose boards and attempts
// somebody watches, and which process owns which shard.
package peers

import (
	"context"
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
	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/subscriptions"
)

// The topics of a Transport. Nudges within this process have one topic a shard.
const (
	topicNudges  = "nudges"  // lanes of other processes have new rows
	topicBoards  = "boards"  // boards that other processes show may have changed
	topicTails   = "tails"   // attempts for listeners of other processes
	topicChanges = "changes" // tenants, keys or subscriptions changed; the payload says nothing
)

// topicHere is the topic of the nudges of a shard within this process.
func topicHere(shard int) string { return topicNudges + "." + strconv.Itoa(shard) }

// Transport carries messages between processes. A message of at most
// storage.MaxNotice bytes reaches all who subscribe, or is lost. A message
// without a payload says that some messages may have been lost.
type Transport interface {
	message.Publisher
	message.Subscriber
}

// Lanes are the lanes of this process, which nudges wake.
type Lanes interface {
	Owns(shard int) bool
	Nudge(sub, from int64)
	NudgeShard(shard int, from int64)
	Rescan()
}

// Pipeline carries news from where it happens to who needs it: every topic,
// every handler.
//
//	           ┌ owned here ─▶ merged ─▶ topic nudges.<shard> ─▶ lanes
//	commit ─▶ Nudge
//	           └ else ───────▶ merged ─▶ Transport: topic nudges ─▶ lanes of others
//	       └▶ Stored ────────▶ merged ─▶ Transport: topic boards ─▶ streams of others
//	attempt ▶ Attempted ─────▶ queued ─▶ Transport: topic tails ─▶ listeners of others
//	change ─▶ Changed ───────▶ merged ─▶ Transport: topic changes ─▶ others read it again
//
// A nudge is a hint. Lost, doubled or late, it does no harm: the lane reads
// what is pending from the store.
//
// Call Connect, then Share if there are other processes, then Run.
type Pipeline struct {
	router *message.Router
	pubsub *gochannel.GoChannel
	lanes  Lanes
	remote Transport // nil if there are no other processes
	log    *slog.Logger

	// News that waits to be published, a kind each.
	here, there *outbox[nudges]
	boards      *outbox[boardNews]
	tails       *outbox[tailNews]

	process   uuid.UUID     // names this process to those who listen to attempts
	wanted    wanted        // attempts that other processes listen to
	feed      *tail.Feed    // the listeners of this process; nil until Share
	listening chan struct{} // holds one signal: there is a new listener here
	changes   chan struct{} // holds one signal: another process changed something
}

// NewPipeline returns a Pipeline that is not connected yet.
func NewPipeline(log *slog.Logger) (*Pipeline, error) {
	p := &Pipeline{
		log:       log,
		here:      newOutbox(emptyNudges),
		there:     newOutbox(emptyNudges),
		boards:    newOutbox(emptyBoardNews),
		tails:     newOutbox(emptyTailNews),
		process:   uuid.New(),
		wanted:    wanted{until: map[tail.Filter]time.Time{}},
		listening: make(chan struct{}, 1),
		changes:   make(chan struct{}, 1),
	}

	// Watermill logs every message at its level info, which is too much for ours.
	levels := map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug, slog.LevelDebug: slog.LevelDebug - 4}
	wm := watermill.NewSlogLoggerWithLevelMapping(log, levels)

	// Publishing waits for the subscriber, so each topic has one message under way:
	// memory is bounded, and nudges that come in the meantime are merged. Only the
	// goroutine that publishes waits.
	p.pubsub = gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, wm)

	var err error
	if p.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, wm); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	p.router.AddMiddleware(middleware.Recoverer)
	for shard := range subscriptions.Shards {
		p.handle(topicHere(shard), p.pubsub, p.nudgeLanes)
	}
	return p, nil
}

func (p *Pipeline) handle(topic string, from message.Subscriber, f func(payload []byte)) {
	p.router.AddConsumerHandler(topic, topic, from, func(msg *message.Message) error {
		f(msg.Payload)
		return nil // never nack: it would come again at once, for ever
	})
}

// Connect joins the pipeline to the lanes of this process and, unless remote is
// nil, to the other processes. Call it once, before Run.
func (p *Pipeline) Connect(lanes Lanes, remote Transport) {
	p.lanes, p.remote = lanes, remote
	if remote == nil {
		return
	}
	p.handle(topicNudges, remote, func(payload []byte) {
		if len(payload) == 0 {
			lanes.Rescan()
			return
		}
		p.nudgeLanes(payload)
	})
	p.handle(topicChanges, remote, func([]byte) { wake.Up(p.changes) })
}

// Share lets the watchers of boards and the listeners to attempts of all
// processes hear of each other's events and attempts. Call it after Connect with
// a Transport, before Run.
func (p *Pipeline) Share(watches *live.Watches, feed *tail.Feed) {
	p.handle(topicBoards, p.remote, func(payload []byte) { readBoardNews(payload, watches) })
	p.handle(topicTails, p.remote, func(payload []byte) { p.readTailNews(payload, feed) })
	p.feed = feed
	feed.Opened = func() { wake.Up(p.listening) }
}

// Changes returns the channel that gets a signal when another process changed
// tenants, keys or subscriptions.
func (p *Pipeline) Changes() <-chan struct{} { return p.changes }

// Run carries news until ctx ends.
func (p *Pipeline) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- p.router.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-p.router.Running():
	}

	// Each kind of news has a goroutine of its own: a transport that is slow must
	// not hold up the nudges of this process.
	var publishers sync.WaitGroup
	publishers.Go(func() { p.here.run(ctx, 0, p.publishHere) })
	if p.remote != nil {
		publishers.Go(func() { p.there.run(ctx, 0, p.publishThere) })
		publishers.Go(func() { p.boards.run(ctx, boardsEvery, p.publishBoards) })
	}
	if p.feed != nil {
		publishers.Go(func() { p.tails.run(ctx, tailsEvery, p.publishTails) })
		publishers.Go(func() { p.announce(ctx) })
	}
	publishers.Wait()
	return errors.Join(<-done, p.pubsub.Close())
}

// publish sends a message of some payload to a topic.
func (p *Pipeline) publish(to message.Publisher, topic string, payload []byte) {
	if err := to.Publish(topic, message.NewMessage(watermill.NewShortUUID(), payload)); err != nil {
		p.log.Warn("publish", "topic", topic, "err", err) // the reconcile finds what it was about
	}
}
