// Package ingest turns a request into durable events, or refuses it with the
// reason. Nothing is answered with success before the commit that holds it.
package ingest

import (
	"context"
	"errors"

	"github.com/hookline/hookline/hub/event"
)

// Status of one item of a request.
type Status string

// What became of an item.
const (
	Accepted  Status = "accepted"
	Duplicate Status = "duplicate"
	Rejected  Status = "rejected"
)

// Result is the answer for one item.
type Result struct {
	ID       string          `json:"id,omitempty"`
	Status   Status          `json:"status"`
	Error    *event.Problem  `json:"error,omitempty"`
	Warnings []event.Problem `json:"warnings,omitempty"`
}

// ErrBusy is returned before anything was taken: the hub is full, come back later.
var ErrBusy = errors.New("the hub is full")

// Verdict of the store on one event.
type Verdict uint8

// Stored, or known already with the same or with another body.
const (
	Stored Verdict = iota
	Known
	Conflict
)

// Store commits events.
type Store interface {
	// Accept commits the events of one request and a pending delivery for each
	// subscription that wants them, in one transaction, and sets Seq, AcceptedAt
	// and, where absent, ID of those it stored. The verdicts are in order. It
	// returns ErrBusy, or another error, only if nothing was taken. ctx bounds
	// the wait for a place in the queue; once queued, it waits for the commit.
	Accept(ctx context.Context, events []*event.Event) ([]Verdict, error)
}
