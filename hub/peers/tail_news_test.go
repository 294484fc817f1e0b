package peers

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
)

// mailbox is a Transport that keeps what is published, or refuses it.
type mailbox struct {
	Transport
	mu       sync.Mutex
	refuse   bool
	messages []*message.Message
}

func (p *mailbox) Publish(_ string, messages ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return errors.New("refused")
	}
	p.messages = append(p.messages, messages...)
	return nil
}

// newSender makes a pipeline that only sends attempts by a Transport, and reads them.
func newSender(remote Transport) *Pipeline {
	return &Pipeline{
		process: uuid.New(), remote: remote, log: slog.New(slog.DiscardHandler),
		tails: newOutbox(emptyTailNews), wanted: wanted{until: map[tail.Filter]time.Time{}},
	}
}

func attemptOf(tenant, sub, seq int64) delivery.Report {
	return delivery.Report{
		Sub:     &subscriptions.Subscription{No: sub, ID: "s", Tenant: tenant},
		Item:    &delivery.Item{ID: delivery.ID{Sub: sub, Seq: seq}, Type: event.CallRinging},
		Attempt: &delivery.Attempt{N: 1, StatusCode: 200, Err: strings.Repeat("\x00", 400)}, // as long as JSON makes it
	}
}

// What process p commits reaches the listeners of process q, in messages that a
// Transport takes: all of it, or with the news that some is missing.
func TestTailsOfOtherProcesses(t *testing.T) {
	sent := &mailbox{}
	p := newSender(sent)
	var feed tail.Feed
	p.Attempted(attemptOf(1, 1, 1))
	require.Empty(t, p.tails.news.attempts, "nobody listens")

	// q says what its listeners want. That reaches p, and not q itself.
	q := newSender(sent)
	all, one := feed.Open(tail.Filter{Tenant: 1}), feed.Open(tail.Filter{Tenant: 2, Sub: 3})
	q.publishWanted(&feed)
	require.Len(t, sent.messages, 1)
	p.readTailNews(sent.messages[0].Payload, nil)
	q.readTailNews(sent.messages[0].Payload, nil) // its own
	require.EqualValues(t, 2, p.wanted.filters.Load())
	require.Zero(t, q.wanted.filters.Load())

	deliver := func() (longest int) {
		t.Helper()
		sent.messages = nil
		p.publishTails(p.tails.take())
		for _, m := range sent.messages {
			longest = max(longest, len(m.Payload))
			q.readTailNews(m.Payload, &feed)
		}
		return longest
	}

	// Attempts that somebody wants arrive in order, the others do not.
	for n := range int64(200) {
		p.Attempted(attemptOf(1, 1, n))
		p.Attempted(attemptOf(2, 2, n))
		p.Attempted(attemptOf(3, 3, n))
	}
	p.Attempted(attemptOf(2, 3, 7))
	longest := deliver()
	require.LessOrEqual(t, longest, storage.MaxNotice)
	require.Greater(t, longest, storage.MaxNotice/2)
	require.Len(t, all.C(), 200)
	require.EqualValues(t, 7, (<-one.C()).Item.Seq)
	require.Empty(t, one.C())
	for n := range int64(200) {
		require.Equal(t, n, (<-all.C()).Item.Seq)
	}

	// More than a listener's buffer: the listener learns that some are missing.
	for n := range int64(tail.Buffer + 1) {
		p.Attempted(attemptOf(1, 1, n))
	}
	require.Len(t, p.tails.news.attempts, tail.Buffer)
	deliver()
	require.True(t, all.Slow(), "it learns that some are missing")
	require.False(t, one.Slow())

	// The transport refuses: the next news says so.
	sent.refuse = true
	p.Attempted(attemptOf(2, 3, 8))
	deliver()
	require.Empty(t, one.C())
	sent.refuse = false
	p.Attempted(attemptOf(2, 3, 9))
	deliver()
	_, open := <-one.C()
	require.False(t, open)
	require.True(t, one.Slow(), "it learns that one is missing, before the next")

	// q does not repeat what it wants: p forgets it.
	p.wanted.forget(time.Now().Add(listenFor + time.Second))
	require.Zero(t, p.wanted.filters.Load())
	p.Attempted(attemptOf(2, 3, 1))
	require.Empty(t, p.tails.news.attempts)

	last := feed.Open(tail.Filter{Tenant: 4})
	q.readTailNews(nil, &feed)
	require.True(t, last.Slow(), "something may have been lost")
}

// Whatever another process says does no harm.
func FuzzTails(f *testing.F) {
	p := newSender(nil)
	p.wanted.add(tail.Filter{Tenant: 1}, time.Now().Add(time.Hour))
	p.Attempted(attemptOf(1, 1, 1))
	p.tails.amend(func(news *tailNews) { news.missed[5] = struct{}{} })
	for _, m := range p.tails.take().messages(p.process) {
		f.Add([]byte(m.Payload))
	}
	f.Add(append([]byte{tailsWant}, make([]byte, 30)...))
	f.Add(append(append([]byte{tailsCame}, make([]byte, 16)...), 0xff, 0xff, 0x03))
	f.Fuzz(func(t *testing.T, b []byte) {
		var feed tail.Feed
		s := feed.Open(tail.Filter{Tenant: 1})
		defer s.Close()
		p := newSender(nil)
		p.readTailNews(b, &feed)
		require.LessOrEqual(t, len(p.wanted.until), len(b))
		for len(s.C()) > 0 {
			a := <-s.C()
			_ = a.Item.Type.String() + a.Verdict.State.String() + a.Attempt.Class.String() // must not panic
		}
	})
}
