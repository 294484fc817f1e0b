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
	prefetch      = overflowMessages + 1000 // messages that a process holds unacknowledged
	prefetchBytes = 64 << 20                // of them, unless one alone has more
	batchMessages = 256                     // of one commit
	batchBytes    = 4 << 20                 // of one commit, unless one message has more

	rejecting   = 1024 // messages that wait for their place in the rejected queue; past them nothing more is taken
	rejectBatch = 256  // published together
	confirmWait = 10 * time.Second
)

// Taker stores what messages say, in order, and says of each nil, or why it is
// refused, or that it must wait (Refusal.Again); with an error only of the first ones
// (ingest.Messages).
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
// while the rest goes on. Messages of a tenant past its rate wait in the overflow,
// and go on in their order when the rate allows it; those for which there is no
// room are refused.
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
	overflow  *overflow    // of the goroutine that consumes
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
	l := &life{ended: ctx.Done(), overflow: newOverflow(held.most / 2)}

	// Messages are carried over while a batch is committed, so that what came during the
	// commit is the next batch.
	came := make(chan amqp.Delivery, prefetch) // never more: the broker waits for acknowledgements
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

		// Why the broker closed the channel says more than what followed from it.
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
	waited   int             // so many of the first ones come from the overflow
	past     []amqp.Delivery // messages past the rate, for which the overflow has no room
}

// collect returns what came and what need not wait any longer, at least one message.
func collect(ctx context.Context, came <-chan amqp.Delivery, held *flow, l *life) (b batch, err error) {
	b.messages = l.overflow.due(time.Now(), batchMessages/2, batchBytes/2)
	b.waited = len(b.messages)
	size := 0
	for _, d := range b.messages {
		size += len(d.Body)
	}

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
			if open && d.Acknowledger == nil { // what waits is due
				return collect(ctx, came, held, l)
			}
		}
		if !open {
			if fresh > 0 || len(b.messages) > 0 {
				return b, nil
			}
			return b, errCancelled
		}

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

// wait returns the next message that comes; open is false when none will. It returns the
// zero Delivery when messages of the overflow are due.
func (l *life) wait(
	ctx context.Context, came <-chan amqp.Delivery, held *flow,
) (d amqp.Delivery, open bool, err error) {
	var due <-chan time.Time
	if left, waits := l.overflow.next(time.Now()); waits {
		timer := time.NewTimer(left)
		defer timer.Stop()
		due = timer.C
	}
	for {
		// All that came is dealt with, but for what waits and what is being rejected.
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

// take stores a batch, acknowledges what was stored, and passes on what is refused. What
// is past its tenant's rate waits in the overflow.
func (f *Feed) take(ctx context.Context, l *life, b batch) error {
	messages, again := make([]*message.Message, len(b.messages)), 0
	for i, d := range b.messages {
		messages[i], _ = marshaler{}.Unmarshal(d) // never fails
		if d.Redelivered {
			again++
		}
	}
	m := f.Broker.Metrics
	m.batch.Observe(float64(len(b.messages)))
	m.messages.WithLabelValues("redelivered").Add(float64(again))

	// Of whatever was decided the broker hears, also when ctx has ended meanwhile.
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
		case <-ctx.Done(): // it comes again
			return context.Cause(ctx)
		}
	}
	return err
}

// sort returns the messages of a batch that are refused, and lets those wait that are only
// past their tenant's rate. waits is how many these are.
func (l *life) sort(b batch, decided []*ingest.Refusal) (refused []refusal, waits int) {
	now := time.Now()
	again := map[string][]amqp.Delivery{} // from the overflow, and back into it
	due := map[string]time.Time{}
	var late []amqp.Delivery // that came just now
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

	// Those from the overflow came before the others.
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

// acknowledge acknowledges what was stored of a batch; open is how much of it was not. It
// is one acknowledgement if no other message is open.
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
