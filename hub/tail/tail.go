// Package tail tells those who listen of attempts as they happen. It keeps
// nothing: who listens late, or too slowly, has missed them, and finds them in
// the log.
package tail

import (
	"sync"
	"sync/atomic"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// Buffer is how many attempts wait for a listener; one more, and it is dropped.
const Buffer = 256

// Filter picks attempts of one tenant.
type Filter struct {
	Tenant int64
	Sub    int64      // 0: all of the tenant
	Types  event.Mask // 0: all
}

// Attempt is one request that was made and committed, and what became of its
// delivery.
type Attempt struct {
	Delivery     string
	Subscription string // public id
	Event        string // id of the event; "" once its bytes are gone
	OrderKey     string
	Item         delivery.Item
	Attempt      delivery.Attempt
	Verdict      delivery.Verdict
}

// Feed is where attempts come in. The zero Feed is ready. While nobody listens,
// an attempt costs it one read of a number.
type Feed struct {
	listening atomic.Int64

	mu      sync.Mutex
	streams map[int64]map[*Stream]struct{} // by tenant
	closed  bool
}

// Stream is what one listener hears.
type Stream struct {
	feed   *Feed
	filter Filter
	ch     chan Attempt
	slow   bool // written before ch is closed
}

// Open starts a stream; on a closed feed it has ended already. Close it.
func (f *Feed) Open(filter Filter) *Stream {
	s := &Stream{feed: f, filter: filter, ch: make(chan Attempt, Buffer)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		close(s.ch)
		return s
	}
	if f.streams == nil {
		f.streams = map[int64]map[*Stream]struct{}{}
	}
	if f.streams[filter.Tenant] == nil {
		f.streams[filter.Tenant] = map[*Stream]struct{}{}
	}
	f.streams[filter.Tenant][s] = struct{}{}
	f.listening.Add(1)
	return s
}

// C gives the attempts, in the order in which they were committed for each
// subscription. It is closed when the stream has ended.
func (s *Stream) C() <-chan Attempt { return s.ch }

// Slow says, once C is closed, whether that was because Buffer attempts waited.
func (s *Stream) Slow() bool { return s.slow }

// Close ends the stream. Safe to repeat.
func (s *Stream) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.feed.end(s)
}

func (f *Feed) end(s *Stream) {
	of := f.streams[s.filter.Tenant]
	if _, open := of[s]; !open {
		return
	}
	delete(of, s)
	if len(of) == 0 {
		delete(f.streams, s.filter.Tenant)
	}
	f.listening.Add(-1)
	close(s.ch)
}

// Close ends all streams, and those that are opened later.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, of := range f.streams {
		for s := range of {
			f.end(s)
		}
	}
}

// Observe hands on the attempt of a report, if it has one. It never waits.
func (f *Feed) Observe(r delivery.Report) {
	if r.Attempt == nil || f.listening.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams[r.Sub.Tenant] {
		if !s.filter.picks(r.Item) {
			continue
		}
		select {
		case s.ch <- attemptOf(r):
		default:
			s.slow = true
			f.end(s)
		}
	}
}

func (f Filter) picks(it *delivery.Item) bool {
	return (f.Sub == 0 || it.Sub == f.Sub) && (f.Types == 0 || f.Types.Has(it.Type))
}

// attemptOf copies: the lane goes on with what the report points to.
func attemptOf(r delivery.Report) Attempt {
	a := Attempt{
		Delivery: delivery.PublicID(r.Item.Sub, r.Item.Seq, r.Item.AcceptedAt), Subscription: r.Sub.ID,
		Item: *r.Item, Attempt: *r.Attempt, Verdict: r.Verdict,
	}
	if e := r.Item.Event; e != nil {
		a.Event, a.OrderKey = e.ID, e.OrderKey
	}
	a.Item.Event, a.Attempt.Body = nil, nil // a listener that is behind must not hold bodies
	return a
}
