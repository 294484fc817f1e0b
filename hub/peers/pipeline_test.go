package peers

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

// Heard is what the lanes of a process were told. They own the even shards, or
// the odd ones.
type Heard struct {
	odd int

	mu     sync.Mutex
	subs   map[int64]int64
	shards map[int]int64
	scans  int
}

func newHeard(odd int) *Heard {
	return &Heard{odd: odd, subs: map[int64]int64{}, shards: map[int]int64{}}
}

// Owns implements Lanes.
func (h *Heard) Owns(shard int) bool { return shard%2 == h.odd }

// Nudge implements Lanes.
func (h *Heard) Nudge(sub, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Owns(subscriptions.Shard(sub)) {
		merge(h.subs, sub, from)
	}
}

// NudgeShard implements Lanes.
func (h *Heard) NudgeShard(shard int, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Owns(shard) {
		h.shards[shard] = from
	}
}

// Rescan implements Lanes.
func (h *Heard) Rescan() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scans++
}

// Wait until what was heard so far is as f says.
func (h *Heard) Wait(t *testing.T, what string, f func(subs map[int64]int64, shards map[int]int64, scans int) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return f(h.subs, h.shards, h.scans)
	}, 20*time.Second, time.Millisecond, what)
}

// Told says whether there was a nudge for a subscription.
func (h *Heard) Told(sub int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.subs[sub] > 0
}

// Process is a pipeline that runs, with the lanes of one of two processes.
type Process struct {
	*Pipeline
	*Heard
	stop  context.CancelFunc
	ended chan error
}

// RunPipeline of the process whose lanes own the even shards, or the odd ones.
func RunPipeline(t *testing.T, odd int, remote Transport) *Process {
	p, err := NewPipeline(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	one := &Process{Pipeline: p, Heard: newHeard(odd), ended: make(chan error, 1)}
	p.Connect(one.Heard, remote)
	var ctx context.Context
	ctx, one.stop = context.WithCancel(context.Background())
	go func() { one.ended <- p.Run(ctx) }()
	<-p.router.Running()
	t.Cleanup(func() { one.Stop(t) })
	return one
}

// Stop the pipeline, whatever its transport does. Stopping it twice does nothing.
func (p *Process) Stop(t *testing.T) {
	if p.stop == nil {
		return
	}
	p.stop()
	p.stop = nil
	select {
	case err := <-p.ended:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Error("the pipeline does not stop")
	}
}

// Tell is Nudge of the pipeline.
func (p *Process) Tell(rows ...storage.Rows) { p.Pipeline.Nudge(rows) }

// News says that another process changed something.
func (p *Process) News() <-chan struct{} { return p.Changes() }

// A process alone tells itself.
func TestNudgesOfOneProcess(t *testing.T) {
	p := RunPipeline(t, 1, nil)
	p.Tell(storage.Rows{Sub: 5, From: 3}, storage.Rows{Sub: 6, From: 3})
	p.Wait(t, "told", func(subs map[int64]int64, _ map[int]int64, _ int) bool { return subs[5] == 3 })
	p.Changed()
	require.Empty(t, p.there.wake)
}

// A message without a payload says that some may have been lost.
func TestRescan(t *testing.T) {
	remote := gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})
	t.Cleanup(func() { require.NoError(t, remote.Close()) })
	p := RunPipeline(t, 0, remote)
	require.NoError(t, remote.Publish(topicNudges, message.NewMessage("missed", nil)))
	p.Wait(t, "to look at everything", func(_ map[int64]int64, _ map[int]int64, scans int) bool { return scans == 1 })
}

// Whatever comes as a message does no harm.
func FuzzTell(f *testing.F) {
	f.Add(appendNudge(appendNudge(nil, 5, 7), allOf(63), 0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(appendNudge(nil, -1<<63, 1))
	f.Fuzz(func(t *testing.T, payload []byte) {
		l := newHeard(0)
		(&Pipeline{lanes: l}).nudgeLanes(payload)
		for shard := range l.shards {
			require.Less(t, shard, subscriptions.Shards)
			require.GreaterOrEqual(t, shard, 0)
		}
		for sub := range l.subs {
			require.GreaterOrEqual(t, sub, int64(0))
		}
	})
}
