// Package subscriptions says what a subscription is, checks what an admin
// asks for, and finds the subscriptions that want an event.
package subscriptions

import (
	"time"

	"github.com/hookline/hookline/hub/event"
)

// Subscription is a callback URL of a tenant at one version, with the types it
// wants, how its pushes are signed and sealed, and how fast and how long the
// hub tries.
type Subscription struct {
	No          int64  // number used everywhere inside
	ID          string // public id, UUIDv7
	Tenant      int64
	CompanyID   string
	Version     int64 // grows over all subscriptions of the hub; a delivery names the one it matched
	Name        string
	Description string
	URL         string
	Events      []string // as given: names with wildcards
	Types       event.Mask
	Encryption  string // "none", "aes-256-gcm"
	Ordering    string // "key", "none"
	Headers     map[string]string
	Timeout     time.Duration
	Retry       map[event.Class]Retry
	GiveUpAfter map[event.Class]time.Duration
	MaxInFlight int

	State        string // "active", "paused"
	PausedReason string // why it is paused: "admin", "gone", "failing"
	PausedAt     time.Time
	PausedFor    time.Duration // sum of the pauses that ended; time in pause does not count for giveUpAfter
	CreatedAt    time.Time
	UpdatedAt    time.Time
	DeletedAt    *time.Time

	Keys []Key // signing and sealing keys, newest last
}

// Retry is the plan for one class: the wait before each further attempt.
type Retry struct {
	Schedule []time.Duration
	Jitter   float64 // 0..1: each wait is drawn from ±Jitter
}

// Key signs and seals the pushes of a subscription.
type Key struct {
	N          int
	AppKey     string
	Encryption []byte // 32 bytes
	From       time.Time
	Until      *time.Time
}

// Wants says whether the event goes to this subscription.
func (s *Subscription) Wants(e *event.Event) bool { return s.Types.Has(e.Type) }

// Paused says whether an admin, or the hub itself, stopped it.
func (s *Subscription) Paused() bool { return s.State == "paused" }

// ActiveClock is the time at which giveUpAfter is measured: now less all the
// time in pause, in Unix ms. Deadlines stored on this clock need no rewriting
// when a pause ends.
func (s *Subscription) ActiveClock(now time.Time) int64 {
	paused := s.PausedFor
	if s.Paused() {
		paused += now.Sub(s.PausedAt)
	}
	return now.Add(-paused).UnixMilli()
}
