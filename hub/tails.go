package hub

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

// Those who listen to attempts hear those of all processes: each says what its
// listeners want, and again every listenEvery; the others send it what they
// commit, until they have not heard so for listenFor. While nobody listens, an
// attempt costs one read of a number.
const (
	listenEvery = 3 * time.Second
	listenFor   = 10 * time.Second
	// tailsEvery is the least time between two transactions of topicTails. What is
	// more than tail.Buffer attempts in one is not sent; listeners are told.
	tailsEvery = 100 * time.Millisecond
	// maxWanted bounds the filters that are kept of other processes.
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
	process uuid.UUID
	wants   atomic.Int64 // len(wanted)

	mu     sync.Mutex
	wanted map[tail.Filter]time.Time // by others, until then
	came   []encoded
	missed map[int64]struct{} // tenants
	wake   chan struct{}      // of one
	opened chan struct{}      // of one: there is a new listener here
}

type encoded struct {
	tenant int64
	raw    []byte
}

func newTailNews() tailNews {
	return tailNews{
		process: uuid.New(), wanted: map[tail.Filter]time.Time{}, missed: map[int64]struct{}{},
		wake: make(chan struct{}, 1), opened: make(chan struct{}, 1),
	}
}

// Listening notes that somebody listens here from now on. It never blocks.
func (p *pipeline) Listening() {
	select {
	case p.tails.opened <- struct{}{}:
	default:
	}
}

// Attempted notes an attempt for the listeners of other processes. It never blocks.
func (p *pipeline) Attempted(r delivery.Report) {
	n := &p.tails
	if n.wants.Load() == 0 || !n.wantedBy(r, time.Now()) {
		return
	}
	raw, err := tail.Encode(tail.Of(r))
	n.mu.Lock()
	if err != nil || len(n.came) >= tail.Buffer || len(raw) > storage.MaxNotice-tailsHead-binary.MaxVarintLen64 {
		n.missed[r.Sub.Tenant] = struct{}{}
	} else {
		n.came = append(n.came, encoded{r.Sub.Tenant, raw})
	}
	n.mu.Unlock()
	n.signal()
}

func (n *tailNews) wantedBy(r delivery.Report, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f, until := range n.wanted {
		if f.Picks(r) && now.Before(until) {
			return true
		}
	}
	return false
}

func (n *tailNews) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// letter collects messages that a Transport takes.
type letter struct {
	process  uuid.UUID
	messages []*message.Message
	kind     byte
	m        []byte
}

// add a part, at most MaxNotice less the head, to the message of its kind.
func (l *letter) add(kind byte, part []byte) {
	if kind != l.kind || len(l.m)+len(part) > storage.MaxNotice {
		l.end()
		l.kind, l.m = kind, append([]byte{kind}, l.process[:]...)
	}
	l.m = append(l.m, part...)
}

func (l *letter) end() []*message.Message {
	if len(l.m) > 0 {
		l.messages = append(l.messages, message.NewMessage(watermill.NewShortUUID(), l.m))
	}
	l.m, l.kind = nil, 0
	return l.messages
}

// take empties what waits, and says whom it is about.
func (n *tailNews) take() (tenants map[int64]struct{}, messages []*message.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := letter{process: n.process}
	for tenant := range n.missed {
		l.add(tailsMissed, binary.AppendVarint(nil, tenant))
	}
	tenants = n.missed
	for _, a := range n.came {
		l.add(tailsCame, append(binary.AppendUvarint(nil, uint64(len(a.raw))), a.raw...))
		tenants[a.tenant] = struct{}{}
	}
	n.came, n.missed = nil, map[int64]struct{}{}
	return tenants, l.end()
}

// sendTails says what is to be said, until ctx ends.
func (p *pipeline) sendTails(ctx context.Context, here *tail.Feed) {
	again := time.NewTicker(listenEvery)
	defer again.Stop()
	n := &p.tails
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			n.forget(time.Now())
			p.publishWanted(here)
			continue
		case <-n.opened:
			p.publishWanted(here)
			continue
		case <-n.wake:
		}
		p.publishTails()
		select {
		case <-ctx.Done():
			return
		case <-time.After(tailsEvery):
		}
	}
}

// publishTails in one transaction, if that is what the transport has.
func (p *pipeline) publishTails() {
	n := &p.tails
	tenants, messages := n.take()
	if len(messages) == 0 {
		return
	}
	if err := p.remote.Publish(topicTails, messages...); err != nil {
		p.log.Warn("publish", "topic", topicTails, "err", err)
		n.mu.Lock()
		maps.Copy(n.missed, tenants) // told with what comes next
		n.mu.Unlock()
	}
}

func (p *pipeline) publishWanted(here *tail.Feed) {
	l := letter{process: p.tails.process}
	for _, f := range here.Listening() {
		part := binary.AppendVarint(binary.AppendVarint(nil, f.Tenant), f.Sub)
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

// want notes what a listener of another process wants.
func (n *tailNews) want(f tail.Filter, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.wanted[f]; known || len(n.wanted) < maxWanted {
		n.wanted[f] = until
	}
	n.wants.Store(int64(len(n.wanted)))
}

// forget what nobody wants any more.
func (n *tailNews) forget(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f, until := range n.wanted {
		if now.After(until) {
			delete(n.wanted, f)
		}
	}
	n.wants.Store(int64(len(n.wanted)))
}

// hear does what a message says. What cannot be read is dropped; one without a payload
// says that some may have been lost.
func (n *tailNews) hear(payload []byte, here *tail.Feed) {
	if len(payload) == 0 {
		here.Missed(0)
		return
	}
	if len(payload) < tailsHead || bytes.Equal(payload[1:tailsHead], n.process[:]) {
		return
	}
	kind, rest := payload[0], varints{payload[tailsHead:]}
	until := time.Now().Add(listenFor)
	for len(rest.b) > 0 {
		ok := false
		switch kind {
		case tailsWant:
			var f tail.Filter
			var types uint64
			if ok = rest.signed(&f.Tenant) && rest.signed(&f.Sub) && rest.unsigned(&types); ok {
				f.Types = event.Mask(types)
				n.want(f, until)
			}
		case tailsCame:
			var a tail.Attempt
			var size uint64
			if rest.unsigned(&size) && size <= uint64(len(rest.b)) {
				if a, ok = tail.Decode(rest.b[:size]); ok {
					rest.b = rest.b[size:]
					here.Hear(a)
				}
			}
		case tailsMissed:
			var tenant int64
			if ok = rest.signed(&tenant) && tenant != 0; ok {
				here.Missed(tenant)
			}
		}
		if !ok {
			return
		}
	}
}

// varints are read off the front.
type varints struct{ b []byte }

func (v *varints) signed(to *int64) bool {
	x, n := binary.Varint(v.b)
	if n <= 0 {
		return false
	}
	*to, v.b = x, v.b[n:]
	return true
}

func (v *varints) unsigned(to *uint64) bool {
	x, n := binary.Uvarint(v.b)
	if n <= 0 {
		return false
	}
	*to, v.b = x, v.b[n:]
	return true
}
