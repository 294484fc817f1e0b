package rabbit_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/rabbit"
)

// taken are the messages that a Taker got. It refuses those that begin with a "!".
type taken struct {
	mu    sync.Mutex
	ids   []string
	gate  chan struct{} // not nil: Take waits for it
	asked chan struct{} // not nil: Take says that it was called
}

func (k *taken) Take(ctx context.Context, messages []*message.Message) ([]*ingest.Refusal, error) {
	if k.asked != nil {
		k.asked <- struct{}{}
	}
	if k.gate != nil {
		select {
		case <-k.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	refused := make([]*ingest.Refusal, len(messages))
	for i, m := range messages {
		k.ids = append(k.ids, m.UUID)
		if bytes.HasPrefix(m.Payload, []byte("!")) {
			refused[i] = &ingest.Refusal{Problem: event.Problem{Code: "bad", Message: "begins with !"}}
		}
	}
	return refused, nil
}

func (k *taken) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.ids)
}

// feed runs until the test ends, or stop is called.
func feed(t *testing.T, url string, f *rabbit.Feed) (stop func()) {
	f.Broker = &rabbit.Broker{URL: url, Process: "test", Metrics: rabbit.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); run.Wait() }
	t.Cleanup(stop)
	return stop
}

// Messages that are larger than what may be held at a time all come through,
// also those that are refused.
func TestLargeMessages(t *testing.T) {
	url := rabbittest.VHost(t)
	k := &taken{}
	stop := feed(t, url, &rabbit.Feed{Taker: k, MaxHeld: 1 << 20})
	p := newPlatform(t, url)
	large := bytes.Repeat([]byte("x"), 300<<10)
	huge := bytes.Repeat([]byte("x"), 2<<20)
	const messages = 16
	for i := range messages {
		body := large
		switch i % 8 {
		case 3:
			body = huge
		case 6:
			body = append([]byte("!"), large...)
		}
		p.publish("a.b", amqp.Publishing{MessageId: fmt.Sprint(i), Body: body})
	}
	require.Eventually(t, func() bool { return k.count() == messages }, time.Minute, time.Millisecond)
	for i, id := range k.ids {
		require.Equal(t, fmt.Sprint(i), id)
	}
	require.Len(t, p.rejected(messages/8), messages/8)
	stop()
	k.ids = nil
	feed(t, url, &rabbit.Feed{Taker: k})
	p.publish("a.b", amqp.Publishing{MessageId: "last"})
	require.Eventually(t, func() bool { return k.count() > 0 }, time.Minute, time.Millisecond)
	require.Equal(t, []string{"last"}, k.ids, "all others were acknowledged")
}

// What was not decided when a process stops goes to the next one, in order;
// what was is acknowledged.
func TestTheNextConsumerGoesOn(t *testing.T) {
	url := rabbittest.VHost(t)
	first, second := &taken{gate: make(chan struct{}), asked: make(chan struct{}, 1000)}, &taken{}
	stop := feed(t, url, &rabbit.Feed{Taker: first})
	p := newPlatform(t, url)
	feed(t, url, &rabbit.Feed{Taker: second})
	const messages = 3000
	for i := range messages {
		p.publishLater("a.b", amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte("x")})
	}
	p.confirm()
	for range 3 {
		<-first.asked
		first.gate <- struct{}{}
	}
	<-first.asked // and hold that one
	stop()
	require.Eventually(t, func() bool { return first.count()+second.count() >= messages }, time.Minute, time.Millisecond)
	for i, id := range append(first.ids, second.ids...) {
		require.Equal(t, fmt.Sprint(i), id)
	}
	require.NotZero(t, first.count())
	require.NotZero(t, second.count())
}

// pacer is a Taker whose company "past" may send nothing until open.
type pacer struct {
	taken
	open atomic.Bool
}

func (p *pacer) Take(ctx context.Context, messages []*message.Message) ([]*ingest.Refusal, error) {
	var pass []*message.Message
	again := make([]bool, len(messages))
	for i, m := range messages {
		again[i] = strings.HasPrefix(m.Metadata[ingest.MetaRoutingKey], "past.") && !p.open.Load()
		if !again[i] {
			pass = append(pass, m)
		}
	}
	some, err := p.taken.Take(ctx, pass)
	if err != nil {
		return nil, err
	}

	decided := make([]*ingest.Refusal, len(messages))
	for i := range messages {
		if again[i] {
			decided[i] = &ingest.Refusal{Problem: event.Problem{Code: ingest.CodeRate}, Again: time.Millisecond}
			continue
		}
		decided[i] = some[0]
		some = some[1:]
	}
	return decided, nil
}

// Messages of a company past its rate wait while others go on, past the bound they are
// rejected, and a consumer that ends loses none of them.
func TestOverflow(t *testing.T) {
	url := rabbittest.VHost(t)
	first := &pacer{}
	stop := feed(t, url, &rabbit.Feed{Taker: first, MaxHeld: 400_000}) // 100,000 for one that waits
	p := newPlatform(t, url)
	const large, room = 10_000, 10
	body := bytes.Repeat([]byte("x"), large)
	for i := range room + 3 {
		p.publish("past.call", amqp.Publishing{MessageId: fmt.Sprint("p", i), Body: body})
	}
	for i := range 500 {
		p.publishLater("calm.call", amqp.Publishing{MessageId: fmt.Sprint("c", i), Body: []byte("x")})
	}
	p.confirm()
	hubtest.Eventually(t, "the others' are taken", func() bool { return first.count() == 500 })

	rejected := p.rejected(3)
	for i, d := range rejected {
		require.Equal(t, fmt.Sprint("p", room+i), d.MessageId, "the last ones")
		require.Equal(t, ingest.CodeRate, d.Headers[rabbit.HeaderReason])
	}

	// They wait for the next consumer as well, which takes them in order.
	stop()
	second := &pacer{}
	second.open.Store(true)
	stop = feed(t, url, &rabbit.Feed{Taker: second})
	hubtest.Eventually(t, "those that waited are taken", func() bool { return second.count() == room })
	for i, id := range second.ids {
		require.Equal(t, fmt.Sprint("p", i), id)
	}
	stop()
	ch, err := p.conn.Channel()
	require.NoError(t, err)
	q, err := ch.QueueDeclarePassive(rabbit.IngestQueue, true, false, false, false, nil)
	require.NoError(t, err)
	require.Zero(t, q.Messages, "all are acknowledged")
}
