// Package search reads the past: events, deliveries, attempts.
package search

import (
	"context"
	"errors"

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
	From, To int64      // Unix ms of acceptance: From <= t < To; 0: open
	Matched  *bool      // did any subscription want it
	Warnings *bool      // did it carry odd values
	Before   int64      // seq of the last one seen; 0: from the newest
	Limit    int
}

// Event is an event with what became of it.
type Event struct {
	*event.Event
	Matched int // subscriptions that wanted it
	Size    int // bytes of the body
}

// DeliveryFilter picks deliveries of one tenant, newest first, or, with
// OrderKey, in order.
type DeliveryFilter struct {
	Tenant   int64
	Sub      int64 // 0: all of the tenant
	Types    event.Mask
	OrderKey string
	State    *delivery.State
	HTTP     int                 // status of the last attempt; 0: any
	Error    delivery.ErrorClass // of the last attempt; None: any
	From, To int64               // Unix ms of acceptance: From <= t < To; 0: open
	After    *DeliveryCursor     // the last one seen
	Limit    int
}

// DeliveryCursor is a place in the delivery log.
type DeliveryCursor struct{ Seq, Sub int64 }

// Delivery is a line of the log: a delivery and its latest run.
type Delivery struct {
	delivery.ID
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
	SupersededBy int64 // seq
	Runs         []Run // only from FindDelivery
}

// PublicID as callers and receivers know it.
func (d *Delivery) PublicID() string { return delivery.PublicID(d.Sub, d.Seq, d.AcceptedAt) }

// Run is one life of a delivery beyond the push itself.
type Run struct {
	Run    int
	By     string
	Reason string
	State  delivery.State
	Tries  int
	DueAt  int64
	DoneAt int64
}

// Attempt is one request, with what is needed to rebuild it.
type Attempt struct {
	Run int
	delivery.Attempt
	Process string
}

// Store answers questions about the past. All of them see everything that was
// committed before they were asked, and nothing of another tenant.
type Store interface {
	FindEvents(ctx context.Context, f EventFilter) ([]Event, error)
	// FindEvent by its id, with its body (nil once past retention); ErrNotFound.
	FindEvent(ctx context.Context, tenant int64, id string) (*Event, error)
	EventDeliveries(ctx context.Context, tenant, seq int64) ([]Delivery, error)
	FindDeliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error)
	// FindDelivery with its runs; ErrNotFound.
	FindDelivery(ctx context.Context, tenant, sub, seq int64) (*Delivery, error)
	FindAttempts(ctx context.Context, sub, seq int64) ([]Attempt, error)
}
