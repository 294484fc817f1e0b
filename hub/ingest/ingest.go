// Package ingest turns a request into durable events, or refuses it with the reason. It
// answers success only after the commit.
package ingest

import (
	"context"
	"errors"

	"github.com/hookline/hookline/hub/event"
)

// Status says what became of one item of a request.
type Status string

// What may become of an item.
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

// Verdict is what the store says of one event.
type Verdict uint8

// An event is Stored, or its id is Known with the same body, or in Conflict with another.
const (
	Stored Verdict = iota
	Known
	Conflict
)

// Store commits events.
type Store interface {
	// Accept commits the events of one request and a pending delivery for each
	// subscription that wants them, in one transaction. It sets Seq and AcceptedAt of
	// the events that it stored, and ID where it is missing. The verdicts are in the
	// order of the events. If it returns ErrBusy or another error, it stored nothing.
	// ctx bounds the wait for a place in the queue; from then on Accept waits for the
	// commit.
	Accept(ctx context.Context, events []*event.Event) ([]Verdict, error)
}
