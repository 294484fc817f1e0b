package storage

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

var (
	_ message.Publisher  = (*Notices)(nil)
	_ message.Subscriber = (*Notices)(nil)
)

// MaxNotice is how many bytes a message of Notices may have. PostgreSQL takes less than
// 8,000, and only text.
const MaxNotice = 5900

const (
	channelPrefix = "hookline_"
	noticeWait    = 5 * time.Second
	// A connection that says nothing for pingEvery and one more answer is dead.
	pingEvery = 5 * time.Second
	pingWait  = 15 * time.Second
	// Pauses between two tries to connect again.
	reconnectLeast, reconnectMost = 100 * time.Millisecond, 2 * time.Second
)

// Notices carries small messages between the processes of a store, by NOTIFY. A message
// reaches every process that subscribes to its topic, the sender too, at most once:
// processes that are not connected miss it. A subscriber that may have missed a message gets
// one without a payload. Metadata is not carried, and a message that is not acknowledged does
// not come again.
type Notices struct {
	db         *sqlx.DB // one connection, to publish
	listener   *pq.Listener
	log        *slog.Logger
	done       chan struct{}
	goroutines sync.WaitGroup
	close      sync.Once

	mu     sync.Mutex
	topics map[string][]*subscriber // by channel
}

// subscriber gets the messages of one topic.
type subscriber struct {
	ctx context.Context

	mu     sync.Mutex // held while something is sent
	out    chan *message.Message
	closed bool
}

// end closes the subscriber's channel.
func (s *subscriber) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.out)
	}
}

// send sends a message, and waits until it is acknowledged.
func (s *subscriber) send(payload []byte, done <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	msg := message.NewMessage(watermill.NewShortUUID(), payload)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	msg.SetContext(ctx)

	select {
	case s.out <- msg:
	case <-s.ctx.Done():
		return
	case <-done:
		return
	}
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
	case <-s.ctx.Done():
	case <-done:
	}
}

// Notices connects to the other processes. Only a store that is Shared has any.
func (db *DB) Notices() (*Notices, error) {
	cfg := sqldb.Settings{Name: "notices", Statement: noticeWait, Wait: noticeWait, Async: true}
	pool, err := sqldb.OpenPostgres(db.cfg.URL, db.cfg.Process, cfg)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)

	dsn, err := sqldb.ListenerURL(db.cfg.URL, db.cfg.Process)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	n := &Notices{db: pool, log: db.log, done: make(chan struct{}), topics: map[string][]*subscriber{}}
	warn := func(_ pq.ListenerEventType, err error) {
		if err != nil {
			n.log.Warn("notices of other processes", "err", err)
		}
	}
	n.listener = pq.NewDialListener(sqldb.Dialer{Wait: pingWait}, dsn, reconnectLeast, reconnectMost, warn)
	n.goroutines.Go(n.listen)
	n.goroutines.Go(n.ping)
	return n, nil
}

// Publish implements message.Publisher. All messages are sent in one transaction.
func (n *Notices) Publish(topic string, messages ...*message.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), noticeWait)
	defer cancel()
	texts := make([]string, len(messages))
	for i, m := range messages {
		if len(m.Payload) > MaxNotice {
			return fmt.Errorf("publish to %s: %d bytes, more than %d", topic, len(m.Payload), MaxNotice)
		}
		texts[i] = base64.StdEncoding.EncodeToString(m.Payload)
	}
	if _, err := n.db.ExecContext(ctx,
		"SELECT pg_notify(?, text) FROM unnest(?::text[]) WITH ORDINALITY AS t(text, n) ORDER BY n",
		channelPrefix+topic, pq.Array(texts)); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// Subscribe implements message.Subscriber. The channel is closed when ctx ends,
// or Notices is closed.
func (n *Notices) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	channel := channelPrefix + topic
	s := &subscriber{ctx: ctx, out: make(chan *message.Message)}
	n.mu.Lock()
	first := n.topics[channel] == nil
	n.topics[channel] = append(n.topics[channel], s)
	n.mu.Unlock()
	context.AfterFunc(ctx, func() { n.forget(channel, s) })
	if !first {
		return s.out, nil
	}
	if err := n.listener.Listen(channel); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	return s.out, nil
}

// listen hands messages of other processes on, until the listener is closed.
func (n *Notices) listen() {
	defer n.closeAll()
	for notice := range n.listener.Notify {
		if notice == nil { // the connection is new, so messages may have been missed
			n.mu.Lock()
			channels := slices.Collect(maps.Keys(n.topics))
			n.mu.Unlock()
			for _, channel := range channels {
				n.send(channel, nil)
			}
			continue
		}
		payload, err := base64.StdEncoding.DecodeString(notice.Extra)
		if err != nil || len(payload) == 0 { // not one of ours
			continue
		}
		n.send(notice.Channel, payload)
	}
}

// send sends a message to all subscribers of a channel, one after the other.
func (n *Notices) send(channel string, payload []byte) {
	n.mu.Lock()
	subscribers := slices.Clone(n.topics[channel])
	n.mu.Unlock()
	for _, s := range subscribers {
		s.send(payload, n.done)
	}
}

// forget removes a subscriber, and closes its channel.
func (n *Notices) forget(channel string, s *subscriber) {
	n.mu.Lock()
	n.topics[channel] = slices.DeleteFunc(n.topics[channel], func(other *subscriber) bool { return other == s })
	n.mu.Unlock()
	s.end()
}

func (n *Notices) closeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, subscribers := range n.topics {
		for _, s := range subscribers {
			s.end()
		}
	}
	clear(n.topics)
}

// ping finds out that the server is gone, even if the server did not close the connection.
func (n *Notices) ping() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.done:
			return
		case <-tick.C:
			if err := n.listener.Ping(); err != nil {
				n.log.Debug("ping of notices", "err", err) // the listener connects again by itself
			}
		}
	}
}

// Close implements message.Publisher and message.Subscriber.
func (n *Notices) Close() (err error) {
	n.close.Do(func() {
		close(n.done)
		err = n.listener.Close()
		n.goroutines.Wait()
		err = errors.Join(err, n.db.Close())
	})
	return err
}
