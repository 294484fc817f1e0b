package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/hookline/hookline/hub/wake"
)

var (
	_ message.Publisher  = (*Nudges)(nil)
	_ message.Subscriber = (*Nudges)(nil)
)

// ErrAway is returned by Publish while there is no connection, or the broker takes no
// messages.
var ErrAway = errors.New("RabbitMQ is away")

// Nudges carries small messages between processes. A message reaches every process that
// subscribes to its topic, the sender included, at most once: a process that is not connected,
// or too slow, loses it. A subscriber that may have lost some gets a message without a payload.
// Metadata is not carried, and a message that is not acknowledged does not come again.
type Nudges struct {
	broker     *Broker
	stop       context.CancelFunc
	goroutines sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conn    *amqp.Connection
	out     *amqp.Channel // publishes; nil: there is no connection
	blocked bool          // the broker is short of memory or disk
	subs    map[*subscriber]struct{}
}

// subscriber outlives connections.
type subscriber struct {
	ctx    context.Context
	end    context.CancelFunc
	topic  string
	out    chan *message.Message
	in     chan stream   // has room for one, which is that of the present connection
	missed chan struct{} // has room for one
}

// stream is what a subscriber gets by one connection.
type stream struct {
	ch *amqp.Channel
	in <-chan amqp.Delivery
}

// NewNudges connects to the other processes, and keeps doing so until Close.
func NewNudges(b *Broker) *Nudges {
	ctx, stop := context.WithCancel(context.Background())
	n := &Nudges{broker: b, stop: stop, subs: map[*subscriber]struct{}{}}
	n.goroutines.Go(func() { b.keep(ctx, "nudges", n.use) })
	return n
}

// use uses a connection until it ends.
func (n *Nudges) use(ctx context.Context, conn *amqp.Connection) error {
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	out, err := conn.Channel()
	if err != nil {
		return err
	}

	closed := out.NotifyClose(make(chan *amqp.Error, 1))
	if err := n.connect(conn, out); err != nil {
		return err
	}
	defer n.disconnect()

	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case why := <-closed:
			return fmt.Errorf("channel to publish: %w", why)
		case b, open := <-blocked:
			if !open {
				blocked = nil
				continue
			}

			n.mu.Lock()
			n.blocked = b.Active
			n.mu.Unlock()
			if !b.Active {
				n.missed()
			}
		}
	}
}

// connect makes the publisher and the subscribers use a connection. The subscribers may have
// missed something before.
func (n *Nudges) connect(conn *amqp.Connection, out *amqp.Channel) error {
	n.mu.Lock()
	defer n.mu.Unlock()

	// A process that only publishes needs the exchange, too.
	c := nudgesTopology("")
	if err := c.TopologyBuilder.ExchangeDeclare(out, NudgesExchange, c); err != nil {
		return err
	}

	for s := range n.subs {
		if err := s.listen(conn); err != nil {
			return err
		}
		s.miss()
	}
	n.conn, n.out, n.blocked = conn, out, false

	return nil
}

func (n *Nudges) disconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conn, n.out = nil, nil
}

// missed makes all subscribers check what they may have missed.
func (n *Nudges) missed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subs {
		s.miss()
	}
}

// Connected reports whether messages go out and come in now.
func (n *Nudges) Connected() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out != nil && !n.blocked
}

// Publish implements message.Publisher. It does not wait for the broker.
func (n *Nudges) Publish(topic string, messages ...*message.Message) error {
	n.mu.Lock()
	out, closed, blocked := n.out, n.closed, n.blocked
	n.mu.Unlock()
	if closed {
		return errors.New("publish nudges: closed")
	}

	for _, m := range messages {
		if out == nil || blocked {
			n.broker.Metrics.nudges.WithLabelValues("refused").Inc()
			return ErrAway
		}
		p, err := marshaler{}.Marshal(m)
		if err == nil {
			err = out.Publish(NudgesExchange, topic, false, false, p)
		}
		if err != nil {
			n.broker.Metrics.nudges.WithLabelValues("refused").Inc()
			return fmt.Errorf("%w: publish to %s: %w", ErrAway, topic, err)
		}
		n.broker.Metrics.nudges.WithLabelValues("sent").Inc()
	}
	return nil
}

// Subscribe implements message.Subscriber. The channel is closed when ctx ends or Nudges is
// closed. While there is no connection, it gets nothing, and what is published later when
// there is one again.
func (n *Nudges) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errors.New("subscribe to nudges: closed")
	}
	s := &subscriber{
		topic: topic, out: make(chan *message.Message), in: make(chan stream, 1), missed: make(chan struct{}, 1),
	}

	s.ctx, s.end = context.WithCancel(ctx)
	if n.conn != nil {
		if err := s.listen(n.conn); err != nil { // it is tried again with the next connection
			n.broker.Log.Warn("subscribe to nudges", "topic", topic, "err", err)
		}
	}

	n.subs[s] = struct{}{}
	n.goroutines.Go(func() {
		s.run(n.broker.Metrics)
		n.mu.Lock()
		delete(n.subs, s)
		n.mu.Unlock()
	})
	return s.out, nil
}

// listen takes messages from a connection. The caller holds the lock of Nudges.
func (s *subscriber) listen(conn *amqp.Connection) error {
	ch, in, err := consume(conn, nudgesTopology(nudgesQueues+uuid.NewString()), s.topic)
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", s.topic, err)
	}

	select {
	case <-s.in: // of a connection that ended before run used it
	default:
	}
	s.in <- stream{ch, in}
	return nil
}

func (s *subscriber) miss() { wake.Up(s.missed) }

// run hands out one message after the other, each when the one before was acknowledged.
func (s *subscriber) run(m *Metrics) {
	defer close(s.out)
	var now stream
	for {
		select {
		case <-s.ctx.Done():
			if now.in != nil {
				_ = now.ch.Cancel(s.topic, true) // deletes its queue; an error means that it is gone already
			}
			return
		case now = <-s.in:
		case <-s.missed:
			s.send(nil)
		case d, open := <-now.in:
			if !open {
				now.in = nil
				continue
			}
			if len(d.Body) > 0 { // an empty one is not ours
				m.nudges.WithLabelValues("received").Inc()
				s.send(d.Body)
			}
			_ = d.Ack(false) // an error means that the connection, and with it the queue, is gone
		}
	}
}

// send hands out a message and waits until it is acknowledged.
func (s *subscriber) send(payload []byte) {
	msg := message.NewMessage(watermill.NewShortUUID(), payload)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	msg.SetContext(ctx)

	select {
	case s.out <- msg:
	case <-s.ctx.Done():
		return
	}

	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	case <-s.ctx.Done():
	}
}

// Close implements message.Publisher and message.Subscriber.
func (n *Nudges) Close() error {
	n.mu.Lock()
	n.closed = true
	for s := range n.subs {
		s.end()
	}
	n.mu.Unlock()

	n.stop()
	n.goroutines.Wait()
	return nil
}
