// Package tail shows attempts to listeners as they happen. It keeps nothing: a listener
// that comes late, or reads too slowly, has missed attempts, and finds them in the log.
package tail

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// Buffer is how many attempts wait for a listener. A listener with one more is dropped.
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
	Tenant       int64
	Delivery     string
	Subscription string // public id
	Event        string // id of the event; "" after retention
	OrderKey     string
	Item         delivery.Item
	Attempt      delivery.Attempt
	Verdict      delivery.Verdict
}

// Feed hands attempts on to listeners. The zero Feed is ready. While there is no listener,
// an attempt costs it one read of a number.
type Feed struct {
	// Opened is called for every new stream. It may be nil and must not block.
	Opened func()

	listening atomic.Int64

	mu      sync.Mutex
	streams map[int64]map[*Stream]struct{} // by tenant
	closed  bool
}

// Stream is the attempts that one listener gets.
type Stream struct {
	feed   *Feed
	filter Filter
	ch     chan Attempt
	slow   bool // written before ch is closed
}

// Open starts a stream, which the caller must close. On a closed feed it has ended already.
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

	if f.Opened != nil {
		f.Opened()
	}
	return s
}

// Listening returns the filters of all streams, each once.
func (f *Feed) Listening() []Filter {
	f.mu.Lock()
	defer f.mu.Unlock()

	all := map[Filter]struct{}{}
	for _, of := range f.streams {
		for s := range of {
			all[s.filter] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(all))
}

// C returns the attempts, those of a subscription in the order of their commits. It is
// closed when the stream has ended.
func (s *Stream) C() <-chan Attempt { return s.ch }

// Slow reports, once C is closed, whether the listener missed attempts: Buffer of them
// waited for it, or news of other processes got lost.
func (s *Stream) Slow() bool { return s.slow }

// Close ends the stream. Safe to repeat.
func (s *Stream) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.feed.end(s)
}

// end ends a stream, if it has not ended. The caller holds f.mu.
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

// Close ends all streams. A stream that is opened later has ended already.
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

// Observe hands on the attempt of a report, if it has one, to this process's listeners. It
// never waits.
func (f *Feed) Observe(r delivery.Report) {
	if r.Attempt == nil || f.listening.Load() == 0 {
		return
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams[r.Sub.Tenant] {
		if s.filter.Picks(r) {
			f.send(s, Of(r))
		}
	}
}

// Hear hands on an attempt of another process to this process's listeners. It never waits.
func (f *Feed) Hear(a Attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams[a.Tenant] {
		if s.filter.picks(a.Tenant, &a.Item) {
			f.send(s, a)
		}
	}
}

// send gives a stream an attempt, and ends the stream if its buffer is full.
func (f *Feed) send(s *Stream, a Attempt) {
	select {
	case s.ch <- a:
	default:
		s.slow = true
		f.end(s)
	}
}

// Missed ends the streams of a tenant, or of all for 0, as it ends those of slow listeners:
// attempts of another process got lost on the way.
func (f *Feed) Missed(tenant int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for of, streams := range f.streams {
		if tenant != 0 && of != tenant {
			continue
		}
		for s := range streams {
			s.slow = true
			f.end(s)
		}
	}
}

// Picks reports whether a listener wants the attempt of a report.
func (f Filter) Picks(r delivery.Report) bool {
	return r.Attempt != nil && f.picks(r.Sub.Tenant, r.Item)
}

func (f Filter) picks(tenant int64, it *delivery.Item) bool {
	return f.Tenant == tenant && (f.Sub == 0 || it.Sub == f.Sub) && (f.Types == 0 || f.Types.Has(it.Type))
}

// Of copies the attempt of a report, as the lane goes on to use what the report points to.
func Of(r delivery.Report) Attempt {
	a := Attempt{
		Tenant: r.Sub.Tenant, Delivery: delivery.PublicID(r.Item.Sub, r.Item.Seq, r.Item.AcceptedAt), Subscription: r.Sub.ID,
		Item: *r.Item, Attempt: *r.Attempt, Verdict: r.Verdict,
	}
	if e := r.Item.Event; e != nil {
		a.Event, a.OrderKey = e.ID, e.OrderKey
	}
	a.Item.Event, a.Attempt.Body = nil, nil // a listener that is behind must not hold bodies
	return a
}
