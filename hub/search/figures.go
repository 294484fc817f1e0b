package search

import (
	"context"
	"errors"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// ErrTooManyRows is returned for a question whose answer has more rows than its limit.
var ErrTooManyRows = errors.New("the answer has too many rows")

// Tried counts attempts, also failed ones, and how long they took.
type Tried struct {
	OK, Failed int64
	Latencies  delivery.Latencies
}

// Note counts one attempt.
func (t *Tried) Note(ok bool, took time.Duration) {
	if ok {
		t.OK++
	} else {
		t.Failed++
	}
	t.Latencies[delivery.LatencyBucket(took)]++
}

// Add adds what o counted.
func (t *Tried) Add(o *Tried) {
	t.OK += o.OK
	t.Failed += o.Failed
	t.Latencies.Add(&o.Latencies)
}

// Counts are numbers of deliveries, by what became of them.
type Counts struct {
	Matched, Delivered, Exhausted, Expired, Cancelled, Superseded int64
}

// Pending returns the number of deliveries that have not ended.
func (c *Counts) Pending() int64 {
	return c.Matched - c.Delivered - c.Exhausted - c.Expired - c.Cancelled - c.Superseded
}

// Add adds what o counted.
func (c *Counts) Add(o *Counts) {
	c.Matched += o.Matched
	c.Delivered += o.Delivered
	c.Exhausted += o.Exhausted
	c.Expired += o.Expired
	c.Cancelled += o.Cancelled
	c.Superseded += o.Superseded
}

// Grouping says by what the rows of one span are grouped.
type Grouping uint8

// Groupings.
const (
	ByNone Grouping = iota
	BySubscription
	ByClass
	ByType
)

// StatsFilter asks for the sums of one tenant.
type StatsFilter struct {
	Tenant   int64
	From, To int64          // hours since 1970: From <= h < To
	Days     *time.Location // a row for each day of this zone, which has the hours that begin in it; nil: for each hour
	By       Grouping
	Limit    int // of rows; ErrTooManyRows when there are more
}

// StatsRow is the sums of one group in one span. Deliveries count when their event was
// accepted, attempts when they began.
type StatsRow struct {
	From, To     int64       // hours since 1970: From <= h < To
	Subscription string      // public id; "" unless BySubscription
	Class        event.Class // only ByClass
	Type         event.Type  // only ByType; 0: from before types were counted
	Counts
	Tried
}

// EventStats counts the events of one span. Those that nobody wanted are accepted too.
type EventStats struct {
	From, To                                 int64 // hours since 1970: From <= h < To
	Accepted, Duplicate, Rejected, Unmatched int64
}

// Add adds what o counted.
func (s *EventStats) Add(o *EventStats) {
	s.Accepted += o.Accepted
	s.Duplicate += o.Duplicate
	s.Rejected += o.Rejected
	s.Unmatched += o.Unmatched
}

// ErrorStats counts the failed attempts of one class in one span.
type ErrorStats struct {
	From, To int64               // hours since 1970: From <= h < To
	Class    delivery.ErrorClass // None: from before errors were counted
	Attempts int64
}

// MinuteStats is what was tried in one minute.
type MinuteStats struct {
	Minute       int64  // minutes since 1970
	Subscription string // public id; "" unless BySubscription
	Tried
}

// Window is what was tried since a time. The store counts by minute or hour, so a window
// may reach back a little further than it was asked for.
type Window struct {
	From int64 // Unix ms
	Tried
}

// Health says how a subscription's deliveries go.
type Health struct {
	Backlog       int   // pending runs
	OldestPending int64 // when the oldest of them was accepted, Unix ms; 0: nothing is pending
	FiveMinutes   Window
	Hour          Window
	Day           Window
	LastError     *LastError // nil: no attempt failed yet
}

// LastError is the latest failed attempt of a subscription.
type LastError struct {
	At       int64  // Unix ms
	Delivery string // public id
	Status   int    // 0: no answer
	Class    delivery.ErrorClass
	Detail   string
}

// Figures answers from counts that are kept with every commit, and never scans
// deliveries or attempts.
type Figures interface {
	// FindStats reads one state of the store. Spans come in order, without those in
	// which nothing happened, and groups of a span in the order in which they were
	// made; ErrTooManyRows.
	FindStats(ctx context.Context, f StatsFilter) ([]StatsRow, error)
	// FindErrorStats reads one state of the store; By and Limit do not matter. The sum of a
	// span is that of the failed attempts of FindStats.
	FindErrorStats(ctx context.Context, f StatsFilter) ([]ErrorStats, error)
	// FindEventStats reads one state of the store; By and Limit do not matter. Events of
	// hours before countedFrom were not counted, or not all of them.
	FindEventStats(ctx context.Context, f StatsFilter) (rows []EventStats, countedFrom int64, err error)
	// FindMinuteStats reads one state of the store: From and To are minutes since 1970, of
	// the last hour; By is ByNone or BySubscription.
	FindMinuteStats(ctx context.Context, f StatsFilter) ([]MinuteStats, error)
	// FindHealth reads the health of a subscription, by its number, at a time.
	FindHealth(ctx context.Context, sub int64, now time.Time) (*Health, error)
}
