// Package rabbit joins the hub with RabbitMQ: events come in through a queue
// (feed.go), and processes nudge each other (nudges.go).
//
// Of watermill-amqp it takes the words in which queues and exchanges are
// described and declared, and the marshaler's; connections, the consumer and the
// publishers are its own, because watermill-amqp hands out one message after
// the other, each once the one before was acknowledged, publishes alike, waits
// without a deadline, and races with itself when a connection is lost.
package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	dialWait  = 10 * time.Second // to connect and shake hands
	writeWait = 10 * time.Second // a broker that takes nothing for so long is gone
	stopWait  = 5 * time.Second  // for what is being done with a connection, when all is to end
	closeWait = 2 * time.Second
	heartbeat = 5 * time.Second // silence of three of these is the end of a connection
	retryMost = 5 * time.Second
)

// retryLeast is the pause before the first try to connect again; it doubles up to retryMost.
const retryLeast = 100 * time.Millisecond

// Broker is where RabbitMQ is, and who asks.
type Broker struct {
	URL     string // amqp://user:password@host:port/vhost; never logged
	Process string // name of the process, as the broker shows it with its connections
	Metrics *Metrics
	Log     *slog.Logger

	connections atomic.Int32
}

// Connections returns how many connections to the broker there are.
func (b *Broker) Connections() int { return int(b.connections.Load()) }

// CheckURL says what is wrong with a URL, without repeating it: it has a password.
func CheckURL(url string) error {
	u, err := amqp.ParseURI(url)
	switch {
	case err != nil:
		return errors.New("must be amqp://user:password@host:port/vhost, or amqps://")
	case u.Host == "":
		return errors.New("must name a host")
	}
	return nil
}

// keep keeps a connection with a name until ctx ends: it connects, uses the connection until
// that ends, and connects again. The context of use ends with its connection, and use
// returns soon after.
func (b *Broker) keep(ctx context.Context, name string, use func(ctx context.Context, conn *amqp.Connection) error) {
	b.keepBounded(ctx, name, 0, func(ctx context.Context, conn *amqp.Connection, _ *flow) error { return use(ctx, conn) })
}

// keepBounded does what keep does, and holds at most most bytes of what comes in; 0 is no bound.
func (b *Broker) keepBounded(
	ctx context.Context, name string, most int64, use func(context.Context, *amqp.Connection, *flow) error,
) {
	up, log := b.Metrics.connected.WithLabelValues(name), b.Log.With("connection", name)

	for wait := retryLeast; ctx.Err() == nil; wait = min(2*wait, retryMost) {
		var held *flow
		if most > 0 {
			held = newFlow(most)
		}

		conn, err := b.dial(ctx, name, held)
		if err == nil {
			log.Info("connected to RabbitMQ")
			up.Set(1)
			b.connections.Add(1)
			began := time.Now()
			err = during(ctx, conn, func(ctx context.Context, conn *amqp.Connection) error { return use(ctx, conn, held) })
			up.Set(0)
			b.connections.Add(-1)
			if time.Since(began) > retryMost {
				wait = retryLeast
			}
		}

		if ctx.Err() != nil {
			return
		}
		b.Metrics.lost.WithLabelValues(name).Inc()
		log.Warn("no connection to RabbitMQ", "err", err, "againIn", wait)
		// A random pause, so that the processes do not all come at the same moment.
		pause(ctx, wait/2+rand.N(wait))
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// during runs f while conn lives, and then closes conn.
func during(ctx context.Context, conn *amqp.Connection, f func(context.Context, *amqp.Connection) error) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)

	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-done:
			return
		case why, broken := <-closed:
			if !broken {
				why = amqp.ErrClosed
			}
			end(why)
			return
		case <-ctx.Done():
		}
		select { // f may wait for an answer of a broker that does not give one
		case <-done:
		case <-time.After(stopWait):
			_ = conn.CloseDeadline(time.Now().Add(closeWait))
		}
	})

	err := f(life, conn)
	if cause := context.Cause(life); cause != nil && ctx.Err() == nil {
		err = cause // the reason why everything else failed
	}

	close(done)
	watch.Wait()
	_ = conn.CloseDeadline(time.Now().Add(closeWait)) // an error means that it is broken, as the broker will find out
	return err
}

// dial connects to the broker. What comes in goes through held.
func (b *Broker) dial(ctx context.Context, name string, held *flow) (*amqp.Connection, error) {
	props := amqp.NewConnectionProperties()
	props.SetClientConnectionName(fmt.Sprintf("hookline %s %s", b.Process, name))
	release := func() bool { return true }
	defer func() { release() }()

	return amqp.DialConfig(b.URL, amqp.Config{
		Heartbeat: heartbeat, Locale: "en_US", Properties: props,
		Dial: func(network, addr string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialWait}
			conn, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// The deadline of the handshake, which the library removes afterwards.
			if err := conn.SetDeadline(time.Now().Add(dialWait)); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			release = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
			return &wire{Conn: conn, held: held}, nil
		},
	})
}

// wire is a connection with two bounds that the library does not have.
type wire struct {
	net.Conn
	held *flow // nil: hardly anything comes in, so there is no bound
}

// Write gives up on a broker that takes nothing.
func (w *wire) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// Read waits while too much is held of what came before. The broker waits, too, and its
// heartbeats are read only after that.
func (w *wire) Read(p []byte) (int, error) {
	if w.held == nil {
		return w.Conn.Read(p)
	}
	if w.held.wait() {
		if err := w.SetReadDeadline(time.Now().Add(3 * heartbeat)); err != nil {
			return 0, err
		}
	}
	n, err := w.Conn.Read(p)
	w.held.came += int64(n)
	return n, err
}

// flow bounds the bytes that a consumer holds: the broker counts messages only, and these may
// be large. Bytes are held from when they come until the consumer says how many are left.
type flow struct {
	most int64
	came int64         // bytes held, as far as the reader knows; used by the reader alone
	left chan int64    // bytes still held, from the consumer; received only by a reader that waits
	end  chan struct{} // closed when nobody consumes any more
}

func newFlow(most int64) *flow {
	return &flow{most: most, left: make(chan int64), end: make(chan struct{})}
}

// wait waits until no more than most bytes are held. It reports whether it had to wait.
func (f *flow) wait() (waited bool) {
	for f.came > f.most {
		if waited { // much is being rejected: do not ask all the time
			select {
			case <-time.After(50 * time.Millisecond):
			case <-f.end:
			}
		}

		waited = true
		select {
		case f.came = <-f.left:
		case <-f.end:
			return true
		}
	}
	return waited
}
