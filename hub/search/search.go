// Package search reads the past: events, deliveries, attempts.
package search

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// ErrNotFound is returned for what does not exist in the caller's tenant.
var ErrNotFound = errors.New("not found")

// EventFilter picks events of one tenant, newest first.
type EventFilter struct {
	Tenant   int64
	Types    event.Mask // 0: all
	OrderKey string     // "": all
	Subject  []byte     // code of a customer's number that the event names (Subjects); nil: all
	From, To int64      // Unix ms of acceptance: From <= t < To; 0: open
	Matched  *bool      // whether a subscription wanted it; nil: either
	Warnings *bool      // whether it had odd values; nil: either
	Before   int64      // seq of the last one of the page before; 0: from the newest
	Limit    int        // 1 or more
}

// Matches reports whether the filter picks an event, as far as its tenant and subject do not
// matter.
func (f *EventFilter) Matches(e *Event) bool {
	return (f.Types == 0 || f.Types.Has(e.Type)) &&
		(f.OrderKey == "" || f.OrderKey == e.OrderKey) &&
		e.AcceptedAt >= f.From && (f.To == 0 || e.AcceptedAt < f.To) &&
		(f.Matched == nil || *f.Matched == (e.Matched > 0)) &&
		(f.Warnings == nil || *f.Warnings == (len(e.Warnings) > 0))
}

// Event is an event with what became of it.
type Event struct {
	*event.Event
	Matched int // subscriptions that wanted it
	Size    int // bytes of the body
}

// DeliveryFilter picks deliveries of one tenant, newest first, or, if OrderKey is set or
// Oldest, in their order.
type DeliveryFilter struct {
	Tenant   int64
	Subs     []int64    // empty: all of the tenant
	Types    event.Mask // 0: all
	OrderKey string
	Subject  []byte          // code of a customer's number that the event names (Subjects); nil: all
	States   StateSet        // empty: all
	HTTP     []StatusRange   // of the last attempt; empty: any
	Errors   ErrorSet        // of the last attempt; empty: any
	Replay   int64           // number of the replay that sent it again, or made it; 0: any
	From, To int64           // Unix ms of acceptance: From <= t < To; 0: open
	Oldest   bool            // the oldest first, also without OrderKey
	After    *DeliveryCursor // the last one of the page before
	Limit    int             // 1 or more
}

// Facets are counts of deliveries by their properties.
type Facets struct {
	Counted  int
	Complete bool  // all were counted
	To       int64 // acceptance of the last one looked at, Unix ms; 0 if Complete

	States map[delivery.State]int
	Errors map[delivery.ErrorClass]int // None is not among them
	HTTP   map[int]int                 // 0, no answer, is not among them
	Types  map[event.Type]int
	Subs   map[string]int // by public id
}

// StateSet is a set of states of deliveries.
type StateSet uint16

// States returns the set of some states.
func States(of ...delivery.State) (set StateSet) {
	for _, s := range of {
		set |= 1 << s
	}
	return set
}

// Has reports whether a state is in the set.
func (set StateSet) Has(s delivery.State) bool { return set&(1<<s) != 0 }

// ErrorSet is a set of error classes.
type ErrorSet uint32

// Errors returns the set of some error classes.
func Errors(of ...delivery.ErrorClass) (set ErrorSet) {
	for _, c := range of {
		set |= 1 << c
	}
	return set
}

// Has reports whether an error class is in the set.
func (set ErrorSet) Has(c delivery.ErrorClass) bool { return set&(1<<c) != 0 }

// StatusRange is a range of HTTP statuses: From <= status <= To.
type StatusRange struct{ From, To int }

// takes reports whether one of the ranges has a status; all have when there is none.
func takes(ranges []StatusRange, status int) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges,
		func(r StatusRange) bool { return r.From <= status && status <= r.To })
}

// DeliveryCursor is a place in the delivery log.
type DeliveryCursor struct{ Seq, Sub int64 }

// Matches reports whether the filter picks a delivery, as far as its tenant, order key,
// subject and time do not matter.
func (f *DeliveryFilter) Matches(d *Delivery) bool {
	return (len(f.Subs) == 0 || slices.Contains(f.Subs, d.Sub)) &&
		(f.Types == 0 || f.Types.Has(d.Type)) &&
		(f.States == 0 || f.States.Has(d.State)) &&
		takes(f.HTTP, d.LastStatus) &&
		(f.Errors == 0 || f.Errors.Has(d.LastError)) &&
		(f.Replay == 0 || d.OfReplay(f.Replay))
}

// Delivery is a line of the log: a delivery and its latest run. State is that of the
// delivery, which is pending while a run of it is, unless it was delivered. Tries counts the
// attempts of all runs. The last status and error are those of the latest run that was
// tried.
type Delivery struct {
	delivery.ID         // Run: the latest
	Subscription string // public id
	EventID      string
	Type         event.Type
	OrderKey     string
	State        delivery.State
	Tries        int
	AcceptedAt   int64
	FirstTryAt   int64
	DoneAt       int64
	DueAt        int64
	LastStatus   int
	LastError    delivery.ErrorClass
	Late         bool
	Version      int64
	SupersededBy int64  // seq
	ReplayNo     int64  // number of the replay that made it; 0: its event did
	Replay       string // public id of that replay
	Runs         []Run  // those after the push itself
}

// OfReplay reports whether a replay made the delivery, or a run of it.
func (d *Delivery) OfReplay(no int64) bool {
	return d.ReplayNo == no || slices.ContainsFunc(d.Runs, func(r Run) bool { return r.ReplayNo == no })
}

// HasPending reports whether a run of the delivery is pending.
func (d *Delivery) HasPending() bool {
	return d.State == delivery.Pending || slices.ContainsFunc(d.Runs, func(r Run) bool {
		return r.State == delivery.Pending || r.State == delivery.Replaying
	})
}

// PublicID returns the id that callers and receivers know.
func (d *Delivery) PublicID() string { return delivery.PublicID(d.Sub, d.Seq, d.AcceptedAt) }

// Run is one run of a delivery: the first one, or a retry that somebody asked for.
type Run struct {
	Run      int
	By       string
	Reason   string
	ReplayNo int64  // number of the replay that made it; 0: somebody retried by hand
	Replay   string // public id of that replay
	State    delivery.State
	Tries    int
	DueAt    int64
	DoneAt   int64
}

// AttemptPlace is a place among the attempts of a delivery. The zero place is before all.
type AttemptPlace struct{ Run, N int }

// Attempt is one request, with what Rebuild needs.
type Attempt struct {
	Run int
	delivery.Attempt
	Process string
}

// Store answers questions about the past. An answer shows everything that was committed
// before the question, and nothing of another tenant.
//
// A page may be short, even empty, although more follows: one call looks at a bounded
// number of rows, so that a search for something rare costs many quick calls and not one
// slow one. Only a missing next means the end.
type Store interface {
	// FindEvents reads a page; next is the Before of the one that follows, 0 at the end.
	FindEvents(ctx context.Context, f EventFilter) (page []Event, next int64, err error)
	// FindEvent finds an event by its id, with its body (nil after retention); ErrNotFound.
	FindEvent(ctx context.Context, tenant int64, id string) (*Event, error)
	// FindEventSeq finds an event by its number, as FindEvent does.
	FindEventSeq(ctx context.Context, tenant, seq int64) (*Event, error)
	// FindMasked returns the plain body of an event as it was pushed with a masking;
	// nil when it was not pushed so, or is past retention.
	FindMasked(ctx context.Context, tenant, seq int64, m event.Masking) ([]byte, error)
	// EventDeliveries lists the deliveries of an event by subscription number.
	EventDeliveries(ctx context.Context, tenant, seq int64) ([]Delivery, error)
	// FindDeliveries reads a page; next is the After of the one that follows, nil at the end.
	FindDeliveries(ctx context.Context, f DeliveryFilter) (page []Delivery, next *DeliveryCursor, err error)
	// CountFacets counts the deliveries that a filter picks by their properties, in its
	// order, until most of them were counted or the time until has come.
	CountFacets(ctx context.Context, f DeliveryFilter, most int, until time.Time) (*Facets, error)
	// FindDelivery finds a delivery, with its runs; ErrNotFound.
	FindDelivery(ctx context.Context, tenant, sub, seq int64) (*Delivery, error)
	// FindAttempts returns at most limit attempts of all runs behind a place, in the
	// order of their numbers.
	FindAttempts(ctx context.Context, tenant, sub, seq int64, after AttemptPlace, limit int) ([]Attempt, error)
}
