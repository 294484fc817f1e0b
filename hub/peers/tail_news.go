package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/storage"
)

// Who listens to attempts hears those of all processes. Each process says what
// its listeners want, and repeats it every listenEvery. The others send it what
// they commit, until it has not repeated that for listenFor. While nobody
// listens, an attempt costs no more than reading a number.
const (
	listenEvery = 3 * time.Second
	listenFor   = 10 * time.Second
	// tailsEvery is the least time between two transactions of topicTails. Of more
	// than tail.Buffer attempts in that time the rest is not sent, and listeners are
	// told that attempts are missing.
	tailsEvery = 100 * time.Millisecond
	// maxWanted bounds the filters of other processes that are kept.
	maxWanted = 10_000
)

// The first byte of a message of topicTails says what follows the process's id.
const (
	tailsWant   = 'w' // filters: tenant, subscription, types, as varints
	tailsCame   = 'a' // attempts: each its length as a varint, and tail.Encode
	tailsMissed = 'm' // tenants, as varints, of which attempts were not sent
)

// tailsHead is the length of that byte and the id.
const tailsHead = 1 + len(uuid.UUID{})

// tailNews is what goes to the listeners of other processes.
type tailNews struct {
	attempts []encodedAttempt
	missed   map[int64]struct{} // tenants of which attempts are left out
}

type encodedAttempt struct {
	tenant int64
	raw    []byte
}

func emptyTailNews() tailNews { return tailNews{missed: map[int64]struct{}{}} }

// Attempted notes an attempt for the listeners of other processes. It never blocks.
func (p *Pipeline) Attempted(r delivery.Report) {
	if !p.wanted.picks(r, time.Now()) {
		return
	}
	raw, err := tail.Encode(tail.Of(r))
	fits := err == nil && len(raw) <= storage.MaxNotice-tailsHead-binary.MaxVarintLen64
	p.tails.add(func(news *tailNews) {
		if !fits || len(news.attempts) >= tail.Buffer {
			news.missed[r.Sub.Tenant] = struct{}{}
			return
		}
		news.attempts = append(news.attempts, encodedAttempt{r.Sub.Tenant, raw})
	})
}

// messages writes the news as messages that a Transport takes.
func (news tailNews) messages(process uuid.UUID) []*message.Message {
	l := letter{process: process}
	for tenant := range news.missed {
		l.add(tailsMissed, binary.AppendVarint(nil, tenant))
	}
	for _, a := range news.attempts {
		l.add(tailsCame, append(binary.AppendUvarint(nil, uint64(len(a.raw))), a.raw...))
	}
	return l.end()
}

// publishTails sends the news in one transaction, if the transport has such.
func (p *Pipeline) publishTails(news tailNews) {
	messages := news.messages(p.process)
	if len(messages) == 0 {
		return
	}
	err := p.remote.Publish(topicTails, messages...)
	if err == nil {
		return
	}
	p.log.Warn("publish", "topic", topicTails, "err", err)

	// The next news says that these attempts are missing.
	p.tails.amend(func(next *tailNews) {
		maps.Copy(next.missed, news.missed)
		for _, a := range news.attempts {
			next.missed[a.tenant] = struct{}{}
		}
	})
}

// letter collects parts into messages that a Transport takes.
type letter struct {
	process  uuid.UUID
	messages []*message.Message

	// The message that is being written, if it is not empty.
	kind byte
	text []byte
}

// add puts a part, of at most MaxNotice bytes less the head, into a message of
// its kind.
func (l *letter) add(kind byte, part []byte) {
	if kind != l.kind || len(l.text)+len(part) > storage.MaxNotice {
		l.end()
		l.kind = kind
		l.text = append([]byte{kind}, l.process[:]...)
	}
	l.text = append(l.text, part...)
}

// end finishes the message that is being written, and returns all of them.
func (l *letter) end() []*message.Message {
	if len(l.text) > 0 {
		l.messages = append(l.messages, message.NewMessage(watermill.NewShortUUID(), l.text))
	}
	l.text = nil
	l.kind = 0
	return l.messages
}

// announce says what the listeners of this process want, when there is a new one
// and every listenEvery, until ctx ends.
func (p *Pipeline) announce(ctx context.Context) {
	tick := time.NewTicker(listenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.wanted.forget(time.Now())
		case <-p.listening:
		}
		p.publishWanted(p.feed)
	}
}

func (p *Pipeline) publishWanted(feed *tail.Feed) {
	l := letter{process: p.process}
	for _, f := range feed.Listening() {
		part := binary.AppendVarint(nil, f.Tenant)
		part = binary.AppendVarint(part, f.Sub)
		l.add(tailsWant, binary.AppendUvarint(part, uint64(f.Types)))
	}
	messages := l.end()
	if len(messages) == 0 {
		return
	}
	if err := p.remote.Publish(topicTails, messages...); err != nil {
		p.log.Warn("publish", "topic", topicTails, "err", err) // it is said again
	}
}

// wanted is what listeners of other processes want to hear.
type wanted struct {
	filters atomic.Int64 // len(until), to read without the lock

	mu    sync.Mutex
	until map[tail.Filter]time.Time // when it ends, unless it is repeated
}

// add notes that a filter is wanted for a while.
func (w *wanted) add(f tail.Filter, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, repeated := w.until[f]; repeated || len(w.until) < maxWanted {
		w.until[f] = until
	}
	w.filters.Store(int64(len(w.until)))
}

// forget drops the filters that were not repeated in time.
func (w *wanted) forget(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for f, until := range w.until {
		if now.After(until) {
			delete(w.until, f)
		}
	}
	w.filters.Store(int64(len(w.until)))
}

// picks reports whether somebody wants to hear of an attempt.
func (w *wanted) picks(r delivery.Report, now time.Time) bool {
	if w.filters.Load() == 0 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for f, until := range w.until {
		if f.Picks(r) && now.Before(until) {
			return true
		}
	}
	return false
}

// readTailNews does what a message of topicTails says: it notes what is wanted
// elsewhere, and hands attempts to the listeners of feed. It drops what it cannot
// read. A message without a payload says that some may have been lost.
func (p *Pipeline) readTailNews(payload []byte, feed *tail.Feed) {
	if len(payload) == 0 {
		feed.Missed(0)
		return
	}

	// A transport brings back what this process itself published.
	if len(payload) < tailsHead || bytes.Equal(payload[1:tailsHead], p.process[:]) {
		return
	}

	kind := payload[0]
	rest := varints{payload[tailsHead:]}
	until := time.Now().Add(listenFor)
	for ok := true; ok && len(rest.b) > 0; {
		switch kind {
		case tailsWant:
			var f tail.Filter
			if f, ok = rest.filter(); ok {
				p.wanted.add(f, until)
			}
		case tailsCame:
			var a tail.Attempt
			if a, ok = rest.attempt(); ok {
				feed.Hear(a)
			}
		case tailsMissed:
			var tenant int64
			if ok = rest.signed(&tenant) && tenant != 0; ok {
				feed.Missed(tenant)
			}
		default:
			ok = false
		}
	}
}

func (v *varints) filter() (f tail.Filter, ok bool) {
	var types uint64
	ok = v.signed(&f.Tenant) && v.signed(&f.Sub) && v.unsigned(&types)
	f.Types = event.Mask(types)
	return f, ok
}

func (v *varints) attempt() (a tail.Attempt, ok bool) {
	var size uint64
	if !v.unsigned(&size) || size > uint64(len(v.b)) {
		return a, false
	}
	a, ok = tail.Decode(v.b[:size])
	v.b = v.b[size:]
	return a, ok
}
