// Package subscriptions says what a subscription is, checks what an admin
// asks for, and finds the subscriptions that want an event.
package subscriptions

import (
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
)

// Subscription is a callback URL of a tenant at one version, with the types it
// wants, how its pushes are signed and sealed, and how fast and how long the
// hub tries. It never changes once others can see it: a change makes a new
// Subscription, which shares with the old one what stayed.
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
	Filter      *Filter // nil if there is no filter
	Masking     event.Masking
	Encryption  string // a kind of package signing: "none", "aes-256-gcm", …
	Ordering    string // OrderingKey, OrderingNone
	Headers     map[string]string
	Timeout     time.Duration
	Retry       map[event.Class]Retry
	GiveUpAfter map[event.Class]time.Duration
	MaxInFlight int

	RatePerSecond float64       // pushes a second; 0: no bound
	ExpiresAfter  time.Duration // live events not delivered so long after acceptance are not sent any more; 0: never
	Supersede     bool          // a waiting CDR gives way to a correction of the same record
	StrictAck     bool          // success also needs a JSON answer that does not say otherwise

	State        string // Active, Paused
	PausedReason string // why it is paused: "admin", "gone", "failing"
	PausedAt     time.Time
	PausedFor    time.Duration // sum of the pauses that ended; time in pause does not count for giveUpAfter
	Standstill   Standstill    // nor does the time that the receiver asked for by Retry-After
	// Releases counts how often a person ended the holds and closed the breaker: by
	// resuming the subscription, or by giving it another URL.
	Releases  int64
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt *time.Time

	Keys []Key // signing and sealing keys, newest last
}

// States of a subscription.
const (
	Active = "active"
	Paused = "paused"
)

// Orderings: one in flight per order key, or as fast as it goes.
const (
	OrderingKey  = "key"
	OrderingNone = "none"
)

// Reasons for a pause.
const (
	ByAdmin   = "admin"
	ByGone    = "gone"    // the receiver answered 410
	ByFailing = "failing" // no success for days of trying
)

// Retry is the plan for one class: the wait before each further attempt.
type Retry struct {
	Schedule []time.Duration
	Jitter   float64 // 0..1: each wait is drawn from ±Jitter
}

// Key signs and seals the pushes of a subscription.
type Key struct {
	N          int // 1, 2, … within the subscription
	AppKey     string
	Encryption []byte // 32 bytes, or FromAppKey, or empty if there is none yet; Sealing makes the key of it
	From       time.Time
	Until      *time.Time // nil if it holds until another key is made
}

// FromAppKey in the place of a sealing key says that it is derived from appKey.
const FromAppKey = "from-appKey"

// Sealing returns the key for signing.Seal with a kind of encryption; nil if there is
// no such key.
func (k Key) Sealing(kind string) []byte {
	switch {
	case kind == signing.None || len(k.Encryption) == 0:
		return nil
	case string(k.Encryption) == FromAppKey:
		return signing.DeriveKey(kind, k.AppKey)
	}
	return k.Encryption
}

// KeysAt lists the keys in force at a time, oldest first. The first one makes
// X-Log-Sign and seals; during a rotation all of them sign webhook-signature. Before
// its time the first key is in force too, because clocks differ.
func (s *Subscription) KeysAt(at time.Time) []Key {
	first := 0
	for first < len(s.Keys)-1 && s.Keys[first].Until != nil && !at.Before(*s.Keys[first].Until) {
		first++
	}
	end := first + 1
	for end < len(s.Keys) && !s.Keys[end].From.After(at) {
		end++
	}
	return s.Keys[first:min(end, len(s.Keys))]
}

// Key returns the key with number n, which may be one of the past; false if there is
// no such key.
func (s *Subscription) Key(n int) (Key, bool) {
	for _, k := range s.Keys {
		if k.N == n {
			return k, true
		}
	}
	return Key{}, false
}

// Wants reports whether an event goes to this subscription. facets are those of the
// event's body; without a filter they may be nil.
func (s *Subscription) Wants(t event.Type, facets *event.Facets) bool {
	return s.Types.Has(t) && (s.Filter == nil || s.Filter.Misses(facets) == "")
}

// Paused reports whether an admin, or the hub itself, stopped it.
func (s *Subscription) Paused() bool { return s.State == Paused }

// Pause returns a copy that is paused since now; the subscription itself if it is
// paused already.
func (s *Subscription) Pause(reason string, now time.Time) *Subscription {
	if s.Paused() {
		return s
	}
	p := *s
	p.State, p.PausedReason, p.PausedAt = Paused, reason, now
	return &p
}

// Resume returns a copy that is active, with the pause added to PausedFor; the
// subscription itself if it is active already. It does not release: see Release.
func (s *Subscription) Resume(now time.Time) *Subscription {
	if !s.Paused() {
		return s
	}
	a := *s
	a.PausedFor += max(0, now.Sub(s.PausedAt))
	a.State, a.PausedReason, a.PausedAt = Active, "", time.Time{}
	return &a
}
