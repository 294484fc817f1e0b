package delivery

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Breaker settings of the design.
const (
	tripInARow   = 5
	tripRequests = 10 // this many in the window, of which half failed
	window       = 60 * time.Second
	openFirst    = 30 * time.Second
	openLongest  = 15 * time.Minute
)

var (
	errFailed    = errors.New("failed")
	errNoRequest = errors.New("no request was made") // counts neither as failure nor as success
)

// breaker is the circuit breaker of one lane, used from the lane's goroutine
// alone. gobreaker counts and decides. A new gobreaker is made for every
// re-opening, because the waiting time of one cannot grow.
type breaker struct {
	cb    *gobreaker.TwoStepCircuitBreaker[struct{}]
	inRow int
	opens int
	since int64
	// failingSince is when it opened after it had been closed, in Unix ms; 0 while it
	// is closed.
	failingSince int64
}

func newBreaker() *breaker {
	b := &breaker{}
	b.cb = b.make(openWait(1))
	return b
}

// restore returns the breaker that the subscription's row describes.
func restore(h Hold, now time.Time) *breaker {
	b := newBreaker()
	if h.Breaker.State == "" || h.Breaker.State == "closed" {
		return b
	}
	b.opens, b.since, b.failingSince = h.Breaker.Opens, h.Breaker.Since, h.Breaker.FailingSince
	b.forceOpen(time.UnixMilli(h.Until).Sub(now))
	return b
}

// make returns a closed gobreaker that, once open, waits for a time.
func (b *breaker) make(wait time.Duration) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Interval:     window,
		BucketPeriod: window / 10,
		Timeout:      wait,
		IsExcluded:   func(err error) bool { return errors.Is(err, errNoRequest) },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return b.inRow >= tripInARow || c.Requests >= tripRequests && c.TotalFailures*2 >= c.Requests
		},
	})
}

// openWait returns how long the n-th opening in a row lasts.
func openWait(n int) time.Duration {
	return min(openFirst<<min(n-1, 10), openLongest) // a shift without bound would overflow, and be no wait at all
}

// forceOpen opens the breaker for a time. A failure is the only way to give
// gobreaker a state.
func (b *breaker) forceOpen(wait time.Duration) {
	b.inRow = tripInARow
	b.cb = b.make(max(wait, time.Millisecond))
	if done, err := b.cb.Allow(); err == nil {
		done(errFailed)
	}
}

// permit allows one request. done must be called with how it went.
type permit struct {
	from *breaker
	done func(error)
}

// allow returns a permit for a request, or false if no request may be made now.
func (b *breaker) allow() (*permit, bool) {
	done, err := b.cb.Allow()
	return &permit{b, done}, err == nil
}

// report takes note of how the request of a permit went. opened: the breaker has
// just opened, for wait. closed: it has just closed again.
func (b *breaker) report(p *permit, ok bool, now time.Time) (opened, closed bool, wait time.Duration) {
	before := b.cb.State()
	if ok {
		b.inRow = 0
		p.done(nil)
	} else {
		b.inRow++
		p.done(errFailed)
	}

	after := b.cb.State()
	switch {
	case after == before:
	case after == gobreaker.StateOpen:
		b.opens++
		b.since = now.UnixMilli()
		if b.failingSince == 0 {
			b.failingSince = b.since
		}
		wait = openWait(b.opens)
		if b.opens > 1 {
			b.forceOpen(wait)
		}
		return true, false, wait
	case after == gobreaker.StateClosed:
		b.opens, b.inRow, b.failingSince = 0, 0, 0
		b.since = now.UnixMilli()
		return false, true, 0
	}
	return false, false, 0
}

// row returns what the subscription's row keeps.
func (b *breaker) row() Breaker {
	state := "closed"
	switch b.cb.State() {
	case gobreaker.StateOpen:
		state = "open"
	case gobreaker.StateHalfOpen:
		state = "halfOpen"
	}
	return Breaker{State: state, Opens: b.opens, Since: b.since, FailingSince: b.failingSince}
}
