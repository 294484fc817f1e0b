package hub

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
)

// heard is what lanes were told. They own the even shards, or the odd ones.
type heard struct {
	odd int

	mu     sync.Mutex
	subs   map[int64]int64
	shards map[int]int64
	scans  int
}

func (h *heard) Owns(shard int) bool { return shard%2 == h.odd }

func (h *heard) Nudge(sub, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Owns(subscriptions.Shard(sub)) {
		h.subs[sub] = from
	}
}

func (h *heard) NudgeShard(shard int, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Owns(shard) {
		h.shards[shard] = from
	}
}

func (h *heard) Rescan() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scans++
}

func (h *heard) eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return f()
	}, 10*time.Second, time.Millisecond, what)
}

// bounded is a transport that takes no more than NOTIFY does.
type bounded struct{ *gochannel.GoChannel }

func (b bounded) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if len(m.Payload) > storage.MaxNotice {
			panic("a message is too long")
		}
	}
	return b.GoChannel.Publish(topic, messages...)
}

// running pipelines of two processes: the lanes of each are told of what is
// theirs, whoever committed it.
func running(t *testing.T, remote Transport) (pipes [2]*pipeline, lanes [2]*heard) {
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	for i := range pipes {
		lanes[i] = &heard{odd: i, subs: map[int64]int64{}, shards: map[int]int64{}}
		p, err := newPipeline(slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		p.connect(lanes[i], remote)
		pipes[i] = p
		run.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		<-p.router.Running()
	}
	t.Cleanup(func() { cancel(); run.Wait() })
	return pipes, lanes
}

func TestNudgesReachTheOwner(t *testing.T) {
	remote := bounded{gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})}
	t.Cleanup(func() { require.NoError(t, remote.Close()) })
	pipes, lanes := running(t, remote)
	pipes[0].Nudge([]storage.Rows{{Sub: 2, From: 7}, {Sub: 3, From: 9}, {Sub: 3, From: 8}})
	lanes[0].eventually(t, "its own", func() bool { return lanes[0].subs[2] == 7 && len(lanes[0].subs) == 1 })
	lanes[1].eventually(t, "the other's, merged to the lowest", func() bool { return lanes[1].subs[3] == 8 && len(lanes[1].subs) == 1 })

	pipes[1].Changed()
	select {
	case <-pipes[0].news:
	case <-time.After(10 * time.Second):
		t.Fatal("no news")
	}

	// More than a message holds: the shards say it.
	pipes[0].there.mu.Lock() // so that it is one round
	for sub := int64(1); sub < 20_000; sub += 2 {
		merge(pipes[0].there.waiting, sub, 1_000_000+sub)
	}
	pipes[0].there.mu.Unlock()
	pipes[0].there.signal()
	lanes[1].eventually(t, "all odd shards", func() bool { return len(lanes[1].shards) == 32 })
	require.EqualValues(t, 1_000_000+5, lanes[1].shards[5], "from the lowest on")

	require.NoError(t, remote.Publish(topicNudges, message.NewMessage("missed", nil)))
	lanes[0].eventually(t, "something may have been missed", func() bool { return lanes[0].scans == 1 })
}

// A process alone tells itself.
func TestNudgesOfOneProcess(t *testing.T) {
	pipes, lanes := running(t, nil)
	pipes[1].Nudge([]storage.Rows{{Sub: 5, From: 3}})
	lanes[1].eventually(t, "told", func() bool { return lanes[1].subs[5] == 3 })
	pipes[1].Changed()
	require.Empty(t, pipes[1].there.wake)
}

// Whatever comes as a message does no harm.
func FuzzTell(f *testing.F) {
	f.Add(appendNudge(appendNudge(nil, 5, 7), allOf(63), 0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(appendNudge(nil, -1<<63, 1))
	f.Fuzz(func(t *testing.T, payload []byte) {
		l := &heard{subs: map[int64]int64{}, shards: map[int]int64{}}
		(&pipeline{lanes: l}).tell(payload)
		for shard := range l.shards {
			require.Less(t, shard, subscriptions.Shards)
			require.GreaterOrEqual(t, shard, 0)
		}
		for sub := range l.subs {
			require.GreaterOrEqual(t, sub, int64(0))
		}
	})
}
