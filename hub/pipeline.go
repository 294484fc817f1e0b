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

	"github.com/hookline/hookline/storage"
)

// Shards is the number of fixed hash slices of the subscriptions, each with a topic.
const Shards = 64

func topic(shard int) string { return "nudges." + strconv.Itoa(shard) }

func shardOf(sub int64) int { return int(uint64(sub) % Shards) }

// pipeline carries nudges from commits to lanes: every topic, every handler.
//
//	commit ─▶ Nudge ─▶ merged by subscription ─▶ topic nudges.<shard> ─▶ lanes
//
// A nudge is a hint. Lost, doubled or late, it does no harm: the lane reads
// what is pending from the store.
type pipeline struct {
	router *message.Router
	pubsub *gochannel.GoChannel
	log    *slog.Logger

	mu      sync.Mutex
	waiting map[int64]int64 // subscription -> from; merged while the publisher is busy
	wake    chan struct{}   // of one
}

func newPipeline(log *slog.Logger, lanes func(sub, from int64)) (*pipeline, error) {
	p := &pipeline{log: log, waiting: map[int64]int64{}, wake: make(chan struct{}, 1)}
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
	for shard := range Shards {
		p.router.AddConsumerHandler(topic(shard), topic(shard), p.pubsub, func(msg *message.Message) error {
			readNudges(msg.Payload, lanes)
			return nil // never nack: it would come again at once, for ever
		})
	}
	return p, nil
}

// Nudge notes that subscriptions have new rows. It never blocks.
func (p *pipeline) Nudge(rows []storage.Rows) {
	p.mu.Lock()
	for _, r := range rows {
		from, waits := p.waiting[r.Sub]
		if !waits || r.From > 0 && (from == 0 || r.From < from) {
			p.waiting[r.Sub] = r.From
		}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
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
	p.publish(ctx)
	return errors.Join(<-done, p.pubsub.Close())
}

func (p *pipeline) publish(ctx context.Context) {
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for shard, payload := range p.take() {
			n++
			if err := p.pubsub.Publish(topic(shard), message.NewMessage(strconv.Itoa(n), payload)); err != nil {
				p.log.Warn("nudge", "topic", topic(shard), "err", err) // the reconcile finds what it was about
			}
		}
	}
}

// take empties what waits into one message a shard.
func (p *pipeline) take() map[int][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	byShard := make(map[int][]byte, min(len(p.waiting), Shards))
	for sub, from := range p.waiting {
		s := shardOf(sub)
		byShard[s] = binary.AppendVarint(binary.AppendVarint(byShard[s], sub), from)
	}
	clear(p.waiting)
	return byShard
}

// readNudges reads a message: pairs of varints, subscription and from. What
// cannot be read is dropped; it was a hint.
func readNudges(payload []byte, tell func(sub, from int64)) {
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
		tell(sub, from)
	}
}
