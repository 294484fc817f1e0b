package rabbit

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/hookline/hookline/hub/ingest"
)

const (
	prefetch      = overflowMessages + 1000 // messages that a process holds unacknowledged, at most
	prefetchBytes = 64 << 20                // their bytes, unless one message alone has more
	batchMessages = 256                     // messages of one commit
	batchBytes    = 4 << 20                 // their bytes, unless one message alone has more

	rejecting   = 1024             // messages that wait for the rejected queue; while it is full, none is taken
	rejectBatch = 256              // messages that are published to the rejected queue together
	confirmWait = 10 * time.Second // how long the broker may take to confirm them
)

// Taker stores the events of messages, in order. It answers for each message: nil if its
// events are stored, else why it is refused, or that it must wait (Refusal.Again). If it
// returns an error too, it answers only for the first messages (see ingest.Messages).
type Taker interface {
	Take(ctx context.Context, messages []*message.Message) ([]*ingest.Refusal, error)
}

// Feed takes events from the ingest queue.
//
//	hookline.events ─▶ hookline.ingest ─▶ collected ─▶ Take (commit) ─▶ acknowledged
//	                                                      └ refused ─▶ hookline.ingest.rejected, confirmed ─▶ acknowledged
//
// A message is acknowledged after the commit that holds its events. If the process ends
// between the two, the broker sends the message again, and the store recognizes it by
// its id. A refused message is acknowledged when the broker has confirmed that the
// rejected queue holds it; other messages do not wait for that. Messages of a tenant
// past its rate wait in the overflow until the rate allows them, in their order. If the
// overflow is full, they are refused.
type Feed struct {
	Broker *Broker
	Taker  Taker

	MaxHeld int64 // bytes of messages that are not stored yet; default 64 MiB

	refused chan refusal // on their way to the rejected queue
}

// life is what belongs to one connection that consumes. Messages are acknowledged on the
// connection that they came by.
type life struct {
	ended     <-chan struct{}
	rejecting atomic.Int64 // messages that are not acknowledged yet because they are being rejected
	bytes     atomic.Int64 // bytes of these messages
	overflow  *overflow    // only the consuming goroutine uses it
}

// refusal is a message that was refused. life learns when the rejected queue holds it.
type refusal struct {
	amqp.Delivery
	why  *ingest.Refusal
	life *life
}

// Run takes events until ctx ends. What is being committed then is acknowledged.
func (f *Feed) Run(ctx context.Context) error {
	f.refused = make(chan refusal, rejecting)
	var both sync.WaitGroup

	both.Go(func() { f.Broker.keepBounded(ctx, "ingest", cmp.Or(f.MaxHeld, prefetchBytes), f.consume) })

	var waiting []refusal // kept from one connection to the next
	both.Go(func() {
		f.Broker.keep(ctx, "rejected", func(ctx context.Context, conn *amqp.Connection) error {
			return f.reject(ctx, conn, &waiting)
		})
	})

	both.Wait()
	return nil
}

// consume takes batches of messages until the connection ends.
func (f *Feed) consume(ctx context.Context, conn *amqp.Connection, held *flow) error {
	defer close(held.end)

	// The rejected queue is declared first, so that it exists before any message is refused.
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := declare(ch, rejectedTopology(), ""); err != nil {
		return err
	}
	if err := ch.Close(); err != nil {
		return err
	}

	ch, in, err := consume(conn, ingestTopology(), IngestQueue)
	if err != nil {
		return err
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	l := &life{ended: ctx.Done(), overflow: newOverflow(held.most / 2)}

	// A goroutine collects messages while a batch is being committed. They are the next
	// batch. The channel cannot be full: the broker sends no more than prefetch messages
	// before it gets acknowledgements.
	came := make(chan amqp.Delivery, prefetch)
	var carry sync.WaitGroup
	defer carry.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	carry.Go(func() {
		defer close(came)
		for {
			select {
			case <-ctx.Done():
				return
			case d, open := <-in:
				if !open {
					return
				}
				came <- d // there is room
			}
		}
	})

	for {
		b, err := collect(ctx, came, held, l)
		if err == nil {
			err = f.take(ctx, l, b)
		}
		if err == nil {
			continue
		}

		// If the broker closed the channel, its reason says more than the error that followed.
		select {
		case why := <-closed:
			if why != nil {
				return why
			}
		default:
		}
		return err
	}
}

var errCancelled = errors.New("the broker cancelled the consumer: the queue was deleted, or its node went")

// batch is the messages that are offered to the Taker together. It may be empty.
type batch struct {
	messages []amqp.Delivery
	waited   int             // how many of the first messages come from the overflow
	past     []amqp.Delivery // messages past the rate, for which the overflow has no room
}

// collect returns the messages of the next batch: first those of the overflow that need
// not wait any longer, then those that came. It waits until there is at least one.
func collect(ctx context.Context, came <-chan amqp.Delivery, held *flow, l *life) (b batch, err error) {
	b.messages = l.overflow.due(time.Now(), batchMessages/2, batchBytes/2)
	b.waited = len(b.messages)
	size := 0
	for _, d := range b.messages {
		size += len(d.Body)
	}

	// Only the first message may be waited for. The others are those that are here already.
	for fresh := 0; fresh < batchMessages && len(b.messages) < batchMessages && size < batchBytes; fresh++ {
		var d amqp.Delivery
		var open bool
		select {
		case d, open = <-came:
		default:
			if fresh > 0 || len(b.messages) > 0 {
				return b, nil
			}
			if d, open, err = l.wait(ctx, came, held); err != nil {
				return b, err
			}
			if open && d.Acknowledger == nil { // messages of the overflow are due
				return collect(ctx, came, held, l)
			}
		}
		if !open {
			if fresh > 0 || len(b.messages) > 0 {
				return b, nil
			}
			return b, errCancelled
		}

		// A message must not overtake those of its tenant that wait.
		switch {
		case !l.overflow.waits(companyOf(d)):
			b.messages = append(b.messages, d)
			size += len(d.Body)
		case !l.overflow.add(d, time.Time{}):
			b.past = append(b.past, d)
		}
	}
	return b, nil
}

// wait returns the next message that comes. open is false if no message will come any
// more. If messages of the overflow get due first, wait returns the zero Delivery.
func (l *life) wait(
	ctx context.Context, came <-chan amqp.Delivery, held *flow,
) (d amqp.Delivery, open bool, err error) {
	var due <-chan time.Time
	if left, waits := l.overflow.next(time.Now()); waits {
		timer := time.NewTimer(left)
		defer timer.Stop()
		due = timer.C
	}

	// All messages are dealt with by now, except those that wait and those that are being
	// rejected. The connection is told how many bytes these have, whenever it asks.
	for {
		select {
		case <-ctx.Done():
			return d, false, context.Cause(ctx)
		case d, open = <-came:
			return d, open, nil
		case <-due:
			return d, true, nil
		case held.left <- l.bytes.Load() + l.overflow.bytes.Held():
		}
	}
}

// take stores the events of a batch and acknowledges its messages. Refused messages go
// to the goroutine that rejects, and messages past their tenant's rate to the overflow.
func (f *Feed) take(ctx context.Context, l *life, b batch) error {
	messages := make([]*message.Message, len(b.messages))
	again := 0
	for i, d := range b.messages {
		messages[i], _ = marshaler{}.Unmarshal(d) // never fails
		if d.Redelivered {
			again++
		}
	}

	m := f.Broker.Metrics
	m.batch.Observe(float64(len(b.messages)))
	m.messages.WithLabelValues("redelivered").Add(float64(again))

	// The decided messages are acknowledged even if ctx has ended by then or the Taker
	// stopped with an error: their events are stored.
	var decided []*ingest.Refusal
	var err error
	if len(messages) > 0 {
		decided, err = f.Taker.Take(ctx, messages)
	}
	refused, waits := l.sort(b, decided)
	if ackErr := acknowledge(l, b.messages, decided, len(refused)+waits); err == nil {
		err = ackErr
	}
	m.messages.WithLabelValues("acknowledged").Add(float64(len(decided) - len(refused) - waits))
	m.waiting.Set(float64(l.overflow.places.Held()))

	for _, d := range b.past {
		refused = append(refused, refusal{d, pastRate(), l})
	}

	for _, r := range refused {
		l.rejecting.Add(1)
		l.bytes.Add(int64(len(r.Body)))
		select {
		case f.refused <- r:
		case <-ctx.Done(): // the broker sends it again
			return context.Cause(ctx)
		}
	}
	return err
}

// sort returns the messages of a batch that are refused. It puts those that are only past
// their tenant's rate into the overflow; waits is how many these are.
func (l *life) sort(b batch, decided []*ingest.Refusal) (refused []refusal, waits int) {
	now := time.Now()
	due := map[string]time.Time{}         // when messages may be tried again, by company
	again := map[string][]amqp.Delivery{} // messages that came from the overflow and go back, by company
	var late []amqp.Delivery              // messages that wait for the first time

	for i, why := range decided {
		d := b.messages[i]
		if why == nil || why.Again == 0 {
			if i < b.waited {
				l.overflow.free(d)
			}
			if why != nil {
				refused = append(refused, refusal{d, why, l})
			}
			continue
		}

		if company := companyOf(d); due[company].IsZero() {
			due[company] = now.Add(why.Again)
		}
		if i < b.waited {
			again[companyOf(d)] = append(again[companyOf(d)], d)
			waits++
		} else {
			late = append(late, d)
		}
	}

	// The messages that waited before keep their places in front of the others.
	for company, ds := range again {
		l.overflow.putBack(ds, due[company])
	}
	for _, d := range late {
		if l.overflow.add(d, due[companyOf(d)]) {
			waits++
		} else {
			refused = append(refused, refusal{d, pastRate(), l})
		}
	}
	return refused, waits
}

// acknowledge acknowledges the messages of a batch whose events were stored. open is how
// many messages of the batch were decided otherwise. If the connection has no other
// message that is not acknowledged, one acknowledgement stands for all.
func acknowledge(l *life, messages []amqp.Delivery, decided []*ingest.Refusal, open int) error {
	if len(decided) == 0 {
		return nil
	}
	if open == 0 && len(decided) == len(messages) && l.rejecting.Load() == 0 && l.overflow.empty() {
		last := messages[0]
		for _, d := range messages {
			if d.DeliveryTag > last.DeliveryTag {
				last = d
			}
		}
		return last.Ack(true)
	}

	for i, why := range decided {
		if why == nil {
			if err := messages[i].Ack(false); err != nil {
				return err
			}
		}
	}
	return nil
}
