package peers_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/peers"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// Whatever carries nudges between processes keeps the same promises. A new
// transport is a line of this table.
func TestTransports(t *testing.T) {
	for _, transport := range []struct {
		name   string
		lay    func(*testing.T) network
		middle bool // something is in the middle, so that connections can be lost
	}{
		{"gochannel", gochannels, false},
		{"NOTIFY", notices, true},
		{"AMQP", nudges, true},
		{"AMQP, else NOTIFY", nudgesElseNotices, true},
	} {
		promises := map[string]func(*testing.T, network){
			"reach": testReach, "ends": testEnds, "not taken": testNotTaken,
			"owners": testOwners, "merge": testMerge, "lost": testLost,
		}
		if transport.middle {
			promises["cut"], promises["stop"] = testCut, testStopWhileCut
		}
		for name, test := range promises {
			t.Run(transport.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, transport.lay(t))
			})
		}
	}
}

// network is something that joins processes.
type network struct {
	join  func() peers.Transport // the end of one more process, closed at the end of the test
	cable *hubtest.Cable         // from all processes to what is in the middle, if something is
}

func gochannels(t *testing.T) network {
	all := gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})
	t.Cleanup(func() { require.NoError(t, all.Close()) })
	return network{join: func() peers.Transport { return all }}
}

func notices(t *testing.T) network {
	box, err := signing.NewBox(make([]byte, 32))
	require.NoError(t, err)
	cable := hubtest.NewCable(t, hubtest.Postgres(t))
	db, err := storage.Open(t.Context(), storage.Config{
		URL: cable.URL, Process: "test", Box: box, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return network{cable: cable, join: func() peers.Transport {
		n, err := db.Notices()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, n.Close()) })
		return n
	}}
}

func nudges(t *testing.T) network {
	cable := hubtest.NewCable(t, rabbittest.VHost(t))
	return network{cable: cable, join: func() peers.Transport {
		n := rabbit.NewNudges(&rabbit.Broker{
			URL: cable.URL, Process: "test", Metrics: rabbit.NewMetrics(prometheus.NewRegistry()),
			Log: slog.New(slog.DiscardHandler),
		})
		t.Cleanup(func() { require.NoError(t, n.Close()) })
		require.Eventually(t, n.Connected, patience, time.Millisecond)
		return n
	}}
}

// nudgesElseNotices carries nudges by the broker, and by the database's notices
// while the broker is away. The cable that can be cut is the broker's.
func nudgesElseNotices(t *testing.T) network {
	one, other := nudges(t), notices(t)
	return network{cable: one.cable, join: func() peers.Transport {
		return peers.Spare{First: one.join(), Second: other.join()}
	}}
}

// inbox is what a subscriber gets.
type inbox <-chan *message.Message

func subscribe(t *testing.T, to peers.Transport, topic string) inbox {
	came, err := to.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	return came
}

const patience = 20 * time.Second

func (in inbox) next(t *testing.T) []byte {
	t.Helper()
	select {
	case m, open := <-in:
		require.True(t, open, "the subscription ended")
		m.Ack()
		return m.Payload
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		return nil
	}
}

func publish(to message.Publisher, topic string, payload []byte) error {
	return to.Publish(topic, message.NewMessage(watermill.NewShortUUID(), payload))
}

// A message of any bytes, of any length that is allowed, reaches all who
// subscribe to its topic, the sender too, and nobody else.
func testReach(t *testing.T, n network) {
	a, b := n.join(), n.join()
	mine, yours, other := subscribe(t, a, "t"), subscribe(t, b, "t"), subscribe(t, b, "other")
	long := make([]byte, storage.MaxNotice)
	for i := range long {
		long[i] = byte(i)
	}
	for _, payload := range [][]byte{{0}, []byte("\xff text"), long} {
		require.NoError(t, publish(a, "t", payload))
		require.True(t, bytes.Equal(payload, mine.next(t)))
		require.True(t, bytes.Equal(payload, yours.next(t)))
	}
	require.NoError(t, publish(a, "other", []byte("first")))
	require.Equal(t, "first", string(other.next(t)))
}

// A subscription ends with its context, or when its end is closed. What is
// published after that is refused.
func testEnds(t *testing.T, n network) {
	a := n.join()
	ctx, cancel := context.WithCancel(t.Context())
	gone, err := a.Subscribe(ctx, "t")
	require.NoError(t, err)
	stays := subscribe(t, a, "t")
	cancel()
	ended(t, gone)
	require.NoError(t, publish(a, "t", []byte{1}))
	stays.next(t)

	require.NoError(t, a.Close())
	ended(t, stays)
	require.Error(t, publish(a, "t", []byte{1}))
	require.NoError(t, a.Close(), "again")
}

func ended(t *testing.T, in inbox) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case m, open := <-in:
			if !open {
				return
			}
			m.Ack()
		case <-deadline:
			require.FailNow(t, "the subscription does not end")
		}
	}
}

// Publishing does not wait for those who take nothing.
func testNotTaken(t *testing.T, n network) {
	a, b := n.join(), n.join()
	subscribe(t, b, "t")
	published := make(chan error, 1)
	go func() {
		var errs []error
		for range 200 {
			errs = append(errs, publish(a, "t", make([]byte, storage.MaxNotice)))
		}
		published <- errors.Join(errs...)
	}()
	select {
	case err := <-published:
		require.NoError(t, err)
	case <-time.After(2 * patience):
		require.FailNow(t, "publishing blocks")
	}
}

// The lanes of each process get the nudges of their shards, whoever committed the
// rows.
func testOwners(t *testing.T, n network) {
	a, b := n.join(), n.join()
	even, odd := peers.RunPipeline(t, 0, a), peers.RunPipeline(t, 1, b)
	even.Tell(storage.Rows{Sub: 2, From: 7}, storage.Rows{Sub: 3, From: 9})
	odd.Tell(storage.Rows{Sub: 4, From: 5})

	even.Wait(t, "its own, and what the other found", func(subs map[int64]int64, _ map[int]int64, _ int) bool {
		return subs[2] == 7 && subs[4] == 5 && len(subs) == 2
	})
	odd.Wait(t, "what the other found", func(subs map[int64]int64, _ map[int]int64, _ int) bool {
		return subs[3] == 9 && len(subs) == 1
	})

	even.Changed()
	select {
	case <-odd.Changes():
	case <-time.After(patience):
		require.FailNow(t, "no news")
	}
}

// gate is a Transport that holds up what is published, counts it, and can refuse it.
type gate struct {
	peers.Transport
	open      chan struct{}
	refuse    atomic.Bool
	published atomic.Int64
}

func newGate(to peers.Transport) *gate { return &gate{Transport: to, open: make(chan struct{})} }

func (g *gate) Publish(topic string, messages ...*message.Message) error {
	g.published.Add(1)
	<-g.open
	if g.refuse.Load() {
		return errors.New("refused")
	}
	return g.Transport.Publish(topic, messages...)
}

// While a message is under way, nudges wait for nothing and become one; those
// that are more than a message holds become their shards.
func testMerge(t *testing.T, n network) {
	a := newGate(n.join())
	even, odd := peers.RunPipeline(t, 0, a), peers.RunPipeline(t, 1, n.join())
	even.Tell(storage.Rows{Sub: 1, From: 1})
	require.Eventually(t, func() bool { return a.published.Load() == 1 }, patience, time.Millisecond)
	for from := int64(5000); from > 100; from-- {
		even.Tell(storage.Rows{Sub: 3, From: from}, storage.Rows{Sub: 5, From: from + 1})
	}
	close(a.open)

	odd.Wait(t, "the lowest", func(subs map[int64]int64, _ map[int]int64, _ int) bool {
		return subs[1] == 1 && subs[3] == 101 && subs[5] == 102
	})
	require.EqualValues(t, 2, a.published.Load(), "messages")

	b := newGate(n.join())
	even = peers.RunPipeline(t, 0, b)
	even.Tell(storage.Rows{Sub: 1, From: 1})
	require.Eventually(t, func() bool { return b.published.Load() == 1 }, patience, time.Millisecond)
	for sub := int64(1); sub < 20_000; sub += 2 {
		even.Tell(storage.Rows{Sub: sub, From: 1_000_000 + sub})
	}
	close(b.open)
	odd.Wait(t, "from the lowest of each shard on", func(_ map[int64]int64, shards map[int]int64, _ int) bool {
		return len(shards) == 32 && shards[5] == 1_000_005
	})
	require.EqualValues(t, 2, b.published.Load(), "messages")
}

// A nudge that is lost holds up neither those of this process nor the next.
func testLost(t *testing.T, n network) {
	a := newGate(n.join())
	close(a.open)
	a.refuse.Store(true)
	even, odd := peers.RunPipeline(t, 0, a), peers.RunPipeline(t, 1, n.join())
	even.Tell(storage.Rows{Sub: 1, From: 1}, storage.Rows{Sub: 2, From: 1})
	even.Wait(t, "its own", func(subs map[int64]int64, _ map[int]int64, _ int) bool { return subs[2] == 1 })
	require.Eventually(t, func() bool { return a.published.Load() == 1 }, patience, time.Millisecond)
	a.refuse.Store(false)
	even.Tell(storage.Rows{Sub: 3, From: 3})
	odd.Wait(t, "the next", func(subs map[int64]int64, _ map[int]int64, _ int) bool {
		return subs[3] == 3 && len(subs) == 1
	})
}

// While the connection is gone nothing waits. When it is back, all processes learn
// that they may have missed something, and messages go on.
func testCut(t *testing.T, n network) {
	even, odd := peers.RunPipeline(t, 0, n.join()), peers.RunPipeline(t, 1, n.join())
	odd.Tell(storage.Rows{Sub: 2, From: 1})
	even.Wait(t, "connected", func(subs map[int64]int64, _ map[int]int64, _ int) bool { return subs[2] == 1 })

	n.cable.Cut()
	n.cable.Drop()
	for range 1000 {
		even.Tell(storage.Rows{Sub: 1, From: 1}, storage.Rows{Sub: 4, From: 1})
		even.Changed()
	}
	even.Wait(t, "its own", func(subs map[int64]int64, _ map[int]int64, _ int) bool { return subs[4] == 1 })

	n.cable.Mend()
	for _, p := range []*peers.Process{even, odd} {
		p.Wait(t, "something may have been missed", func(_ map[int64]int64, _ map[int]int64, scans int) bool {
			return scans > 0
		})
	}
	// A publisher may find out with its next message that its connection was lost.
	require.Eventually(t, func() bool {
		even.Tell(storage.Rows{Sub: 3, From: 3})
		return odd.Got(3)
	}, patience, 50*time.Millisecond)
}

// A process stops although nobody answers it.
func testStopWhileCut(t *testing.T, n network) {
	even := peers.RunPipeline(t, 0, n.join())
	n.cable.Cut()
	even.Tell(storage.Rows{Sub: 1, From: 1})
	even.Stop(t)
	n.cable.Mend() // so that the store can be closed in good order
}
