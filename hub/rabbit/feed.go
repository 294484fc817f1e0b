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
	prefetch      = 1000     // messages that a process holds unacknowledged
	prefetchBytes = 64 << 20 // of them, unless one alone has more
	batchMessages = 256      // of one commit
	batchBytes    = 4 << 20  // of one commit, unless one message has more

	rejecting   = 256 // messages that wait for their place in the rejected queue; past them nothing more is taken
	rejectBatch = 64  // published together
	confirmWait = 10 * time.Second
)

// Taker stores what messages say, in order, and says of each nil, or why it is
// refused; with an error only of the first ones (ingest.Messages).
type Taker interface {
	Take(ctx context.Context, messages []*message.Message) ([]*ingest.Refusal, error)
}

// Feed takes events from the ingest queue.
//
//	hookline.events ─▶ hookline.ingest ─▶ collected ─▶ Take (commit) ─▶ acknowledged
//	                                                      └ refused ─▶ hookline.ingest.rejected, confirmed ─▶ acknowledged
//
// A message is acknowledged after the commit that holds its events, so it may
// come again, and its id tells. What is refused waits for its confirmation
// while the rest goes on.
type Feed struct {
	Broker *Broker
	Taker  Taker

	MaxHeld int64 // bytes of messages that are not stored yet; default 64 MiB

	refused chan refusal
}

// life of a consuming connection.
type life struct {
	ended     <-chan struct{}
	rejecting atomic.Int64 // messages not acknowledged yet because they are being rejected
	bytes     atomic.Int64 // of them
}

// refusal of a message, and whom to tell when it is in the rejected queue.
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
	var waiting []refusal // outlives connections
	both.Go(func() {
		f.Broker.keep(ctx, "rejected", func(ctx context.Context, conn *amqp.Connection) error {
			return f.reject(ctx, conn, &waiting)
		})
	})
	both.Wait()
	return nil
}

// consume until the connection ends.
func (f *Feed) consume(ctx context.Context, conn *amqp.Connection, held *flow) error {
	defer close(held.end)
	// The rejected queue first: nothing is refused before it has a place.
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
	l := &life{ended: ctx.Done()}
	came := make(chan amqp.Delivery, prefetch) // never more: the broker waits for acknowledgements
	var carry sync.WaitGroup
	defer carry.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	carry.Go(func() { // so that what came during a commit is the next batch
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
		batch, err := collect(ctx, came, held, &l.bytes)
		if err == nil {
			err = f.take(ctx, l, batch)
		}
		if err == nil {
			continue
		}
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

// collect what came, at least one message.
func collect(ctx context.Context, came <-chan amqp.Delivery, held *flow, rejecting *atomic.Int64) ([]amqp.Delivery, error) {
	var batch []amqp.Delivery
	for size := 0; len(batch) < batchMessages && size < batchBytes; {
		var d amqp.Delivery
		var open bool
		select {
		case d, open = <-came:
		default:
			if len(batch) > 0 {
				return batch, nil
			}
			// All that came is dealt with, but for what is being rejected.
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case d, open = <-came:
			case held.left <- rejecting.Load():
				continue
			}
		}
		if !open {
			if len(batch) > 0 {
				return batch, nil
			}
			return nil, errCancelled
		}
		batch = append(batch, d)
		size += len(d.Body)
	}
	return batch, nil
}

// take a batch: store it, acknowledge it, pass on what is refused.
func (f *Feed) take(ctx context.Context, l *life, batch []amqp.Delivery) error {
	messages, again := make([]*message.Message, len(batch)), 0
	for i, d := range batch {
		messages[i], _ = marshaler{}.Unmarshal(d) // never fails
		if d.Redelivered {
			again++
		}
	}
	m := f.Broker.Metrics
	m.batch.Observe(float64(len(batch)))
	m.messages.WithLabelValues("redelivered").Add(float64(again))

	// Of whatever was decided the broker hears, also when ctx has ended meanwhile.
	decided, err := f.Taker.Take(ctx, messages)
	var refused []refusal
	for i, why := range decided {
		if why != nil {
			refused = append(refused, refusal{batch[i], why, l})
		}
	}
	if ackErr := acknowledge(l, batch[:len(decided)], decided, len(refused)); err == nil {
		err = ackErr
	}
	m.messages.WithLabelValues("acknowledged").Add(float64(len(decided) - len(refused)))
	for _, r := range refused {
		l.rejecting.Add(1)
		l.bytes.Add(int64(len(r.Body)))
		select {
		case f.refused <- r:
		case <-ctx.Done(): // it comes again
			return context.Cause(ctx)
		}
	}
	return err
}

// acknowledge what was stored; all at once when nothing is being rejected.
func acknowledge(l *life, batch []amqp.Delivery, decided []*ingest.Refusal, refused int) error {
	if len(batch) == 0 {
		return nil
	}
	if refused == 0 && l.rejecting.Load() == 0 {
		return batch[len(batch)-1].Ack(true)
	}
	for i, d := range batch {
		if decided[i] == nil {
			if err := d.Ack(false); err != nil {
				return err
			}
		}
	}
	return nil
}
