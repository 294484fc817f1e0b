package search

import (
	"context"
	"errors"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// ErrTooManyRows is returned for a question whose answer would not fit.
var ErrTooManyRows = errors.New("the answer has too many rows")

// Tried counts attempts and how long they took, failed ones too.
type Tried struct {
	OK, Failed int64
	Latencies  delivery.Latencies
}

// Note one attempt.
func (t *Tried) Note(ok bool, took time.Duration) {
	if ok {
		t.OK++
	} else {
		t.Failed++
	}
	t.Latencies[delivery.LatencyBucket(took)]++
}

// Add what another one counted.
func (t *Tried) Add(o *Tried) {
	t.OK += o.OK
	t.Failed += o.Failed
	t.Latencies.Add(&o.Latencies)
}

// Counts of deliveries by what became of them.
type Counts struct {
	Matched, Delivered, Exhausted, Expired, Cancelled, Superseded int64
}

// Pending is what has not ended yet.
func (c *Counts) Pending() int64 {
	return c.Matched - c.Delivered - c.Exhausted - c.Expired - c.Cancelled - c.Superseded
}

// Add what another one counted.
func (c *Counts) Add(o *Counts) {
	c.Matched += o.Matched
	c.Delivered += o.Delivered
	c.Exhausted += o.Exhausted
	c.Expired += o.Expired
	c.Cancelled += o.Cancelled
	c.Superseded += o.Superseded
}

// Grouping of stats within each span.
type Grouping uint8

// Groupings.
const (
	ByNone Grouping = iota
	BySubscription
	ByClass
)

// StatsFilter asks for the sums of one tenant.
type StatsFilter struct {
	Tenant   int64
	From, To int64          // hours since 1970: From <= h < To
	Days     *time.Location // nil: a row an hour; else a row a day of this zone. An hour belongs to the day in which it begins
	By       Grouping
	Limit    int // rows; more are ErrTooManyRows
}

// StatsRow is one span of one group. Deliveries are counted by when their
// event was accepted, attempts by when they began.
type StatsRow struct {
	From, To     int64       // hours since 1970: From <= h < To
	Subscription string      // public id; "" unless BySubscription
	Class        event.Class // only ByClass
	Counts
	Tried
}

// Window is what was tried since a time. The store counts in minutes or hours,
// so it may reach back a little further than asked.
type Window struct {
	From int64 // Unix ms
	Tried
}

// Health is how a subscription's deliveries go.
type Health struct {
	Backlog       int   // pending runs
	OldestPending int64 // acceptance of the oldest of them, Unix ms; 0: none
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
	// FindStats reads one state of the store: spans in order, those in which
	// nothing happened left out, groups within each in the order of their making;
	// ErrTooManyRows.
	FindStats(ctx context.Context, f StatsFilter) ([]StatsRow, error)
	// FindHealth of a subscription (its number) of the tenant at a time.
	FindHealth(ctx context.Context, sub int64, now time.Time) (*Health, error)
}
