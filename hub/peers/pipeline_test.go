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

// NudgedLanes are lanes that note which nudges they got. They own the even
// shards, or the odd ones.
type NudgedLanes struct {
	odd int // 1: they own the odd shards

	mu     sync.Mutex
	subs   map[int64]int64
	shards map[int]int64
	scans  int
}

func newNudgedLanes(odd int) *NudgedLanes {
	return &NudgedLanes{odd: odd, subs: map[int64]int64{}, shards: map[int]int64{}}
}

// Owns implements Lanes.
func (l *NudgedLanes) Owns(shard int) bool { return shard%2 == l.odd }

// Nudge implements Lanes.
func (l *NudgedLanes) Nudge(sub, from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Owns(subscriptions.Shard(sub)) {
		merge(l.subs, sub, from)
	}
}

// NudgeShard implements Lanes.
func (l *NudgedLanes) NudgeShard(shard int, from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Owns(shard) {
		l.shards[shard] = from
	}
}

// Rescan implements Lanes.
func (l *NudgedLanes) Rescan() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scans++
}

// Wait waits until f holds for the nudges so far.
func (l *NudgedLanes) Wait(
	t *testing.T, what string, f func(subs map[int64]int64, shards map[int]int64, scans int) bool,
) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return f(l.subs, l.shards, l.scans)
	}, 20*time.Second, time.Millisecond, what)
}

// Got reports whether there was a nudge for a subscription.
func (l *NudgedLanes) Got(sub int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subs[sub] > 0
}

// Process is one of two processes: a pipeline that runs, and its lanes.
type Process struct {
	*Pipeline
	*NudgedLanes
	stop  context.CancelFunc
	ended chan error
}

// RunPipeline runs the pipeline of the process whose lanes own the even shards, or the odd ones.
func RunPipeline(t *testing.T, odd int, remote Transport) *Process {
	p, err := NewPipeline(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	one := &Process{Pipeline: p, NudgedLanes: newNudgedLanes(odd), ended: make(chan error, 1)}
	p.Connect(one.NudgedLanes, remote)
	var ctx context.Context
	ctx, one.stop = context.WithCancel(context.Background())
	go func() { one.ended <- p.Run(ctx) }()
	<-p.router.Running()
	t.Cleanup(func() { one.Stop(t) })
	return one
}

// Stop stops the pipeline, whatever its transport does. Stopping it twice does
// nothing.
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

// Tell is the Nudge of the pipeline, whose name the lanes have too.
func (p *Process) Tell(rows ...storage.Rows) { p.Pipeline.Nudge(rows) }

// A process that is alone nudges its own lanes, and nobody else.
func TestNudgesOfOneProcess(t *testing.T) {
	p := RunPipeline(t, 1, nil)
	p.Tell(storage.Rows{Sub: 5, From: 3}, storage.Rows{Sub: 6, From: 3})
	p.Wait(t, "nudged", func(subs map[int64]int64, _ map[int]int64, _ int) bool { return subs[5] == 3 })
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
func FuzzNudges(f *testing.F) {
	f.Add(appendNudge(appendNudge(nil, 5, 7), allOf(63), 0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(appendNudge(nil, -1<<63, 1))
	f.Fuzz(func(t *testing.T, payload []byte) {
		l := newNudgedLanes(0)
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
