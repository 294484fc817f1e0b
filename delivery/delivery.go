// Package delivery carries a stored event to its subscription: the lane that
// keeps order and limits, the sender that makes one HTTP request, the policy
// that decides what becomes of it, the breaker and the network guard.
//
//	(matched) ─▶ pending ── 2xx ──▶ delivered            never goes back
//	              │  ▲ └─ no 2xx, retries left: due_at moves, attempt recorded
//	              │  └─── subscription held: nothing changes here
//	              ├─ retries used up, or giveUpAfter passed ─▶ exhausted
//	              ├─ live event older than expiresAfter ─────▶ expired
//	              ├─ a correction came first (opt-in) ───────▶ superseded
//	              └─ subscription deleted ───────────────────▶ cancelled
//
// The store is the truth: a delivery is sent only when it was read from there,
// and its slot is held until its outcome is committed there.
package delivery

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hookline/hookline/hub/event"
)

// State is that of a delivery, or of a run. The numbers are stored.
type State uint8

// States. A delivery is Reopened while a later run of it is pending; people see it
// as pending. A run is Replaying while it is pending for a replay; what is asked about
// pending runs does not find it, and the delivery stays what it was until the run ends.
const (
	Pending State = iota
	Delivered
	Exhausted
	Expired
	Cancelled
	Superseded
	Reopened
	Replaying
)

var stateNames = [...]string{
	"pending", "delivered", "exhausted", "expired", "cancelled", "superseded", "pending", "pending",
}

// String returns the name as the API shows it.
func (s State) String() string { return stateNames[s] }

// ParseState reads a state's name as the API shows it.
func ParseState(s string) (State, bool) {
	for i, n := range stateNames[:Reopened] {
		if n == s {
			return State(i), true
		}
	}
	return 0, false
}

// ID names one run of a delivery.
type ID struct {
	Sub int64 // number of the subscription
	Seq int64 // number of the event
	Run int   // 0 is the push itself; each retry by hand is another
}

// Compare orders runs as their rows lie in the store.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Sub, b.Sub), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Run, b.Run))
}

// Item is one pending run as a lane reads it from the store.
type Item struct {
	ID
	Key        int64 // order key folded by event.Key; 0 if it has no order
	Type       event.Type
	Tries      int
	DueAt      int64 // Unix ms; 0 is at once
	GiveUpAt   int64 // on the subscription's active clock, Unix ms
	AcceptedAt int64 // Unix ms
	FirstTryAt int64 // Unix ms; 0 if it was never tried
	AsideAt    int64 // Unix ms from which its key no longer waits for it; 0 if it was never refused as bad
	Late       bool  // it stepped aside, or was sent past its order by force
	Version    int64 // of the subscription that it was matched with
	Replay     int64 // number of the replay that made the run; 0: it is a live one

	// Loaded only for items about to be sent.
	Event  *event.Event
	Body   []byte        // the plain bytes to push: the event's, masked as the subscription asks
	Masked event.Masking // how Body was masked just now, so that it is to be stored; else Unmasked
}

// ErrorClass says in one word why an attempt failed. The numbers are stored.
type ErrorClass uint8

// Error classes of an attempt. A successful attempt has the class None.
const (
	None ErrorClass = iota
	DNS
	Connect
	TLS
	Timeout
	Reset
	Blocked
	Redirect
	Status
	Ack
	TooLarge
	GaveUp    // there was no attempt: giveUpAfter passed first
	Malformed // an answer that is no HTTP
)

var classNames = [...]string{
	"", "dns", "connect", "tls", "timeout", "reset", "blocked", "redirect", "status", "ack", "tooLarge", "gaveUp",
	"malformed",
}

// String returns the name as the API shows it; "" for None.
func (c ErrorClass) String() string { return classNames[c] }

// ParseErrorClass reads an error class's name.
func ParseErrorClass(s string) (ErrorClass, bool) {
	for i, n := range classNames {
		if n == s && n != "" {
			return ErrorClass(i), true
		}
	}
	return 0, false
}

// Attempt is one HTTP request made for a run, with all that is needed to
// rebuild it as sent. Never changed afterwards.
type Attempt struct {
	N       int           // 1, 2, … within the run
	At      int64         // Unix ms when it began
	DNS     time.Duration // all durations: 0 if the step did not happen, as on a reused connection
	Connect time.Duration
	TLS     time.Duration
	First   time.Duration // until the first byte of the answer
	Total   time.Duration

	RemoteIP   string
	StatusCode int // 0 if there was no answer
	Class      ErrorClass
	Err        string // what went wrong, for the tenant: see Reason
	Cause      string // what went wrong, for the log of this process; no URL, no secret. Not stored
	Header     string // response headers as "Name: value\n" lines, at most 8 KiB
	Body       []byte // first 4 KiB of the response
	RetryAfter time.Duration

	SignedAt   int64  // Unix ms in the signature headers
	RandomCode string // 16 hex
	Nonce      []byte // of the sealed body; nil if it was not sealed
	KeyN       int    // which key of the subscription signed
	Version    int64  // of the subscription that it was made with
	Late       bool   // it said X-Hookline-Late
	Replay     bool   // it said X-Hookline-Replay
}

// Verdict is what becomes of a run after an attempt, or without one.
type Verdict struct {
	State        State
	DueAt        int64 // Unix ms of the next try, if pending
	AsideAt      int64 // see Item
	SupersededBy int64 // number of the correction's event
}

// Outcome is an attempt and its verdict, to be recorded.
type Outcome struct {
	Item    *Item
	Attempt *Attempt // nil if the run ended without one
	Verdict Verdict
	Epoch   int64       // under which this process owns the shard of the subscription
	Done    func(error) // called once, when the outcome is committed or lost; must not block
}

// ErrNotOwner is passed to Done if an outcome came too late: the shard of its
// subscription has another owner, or another epoch. It was not recorded.
var ErrNotOwner = errors.New("the shard has another owner")

// Hold stops a whole subscription for a while. It stands in the subscription's row;
// no row of a delivery changes.
type Hold struct {
	Until  int64  // Unix ms; 0 if there is no hold
	Reason string // "breaker", "retryAfter"
	// RetryAt is when the receiver wants the next request, as it said by
	// Retry-After, in Unix ms; 0 if it did not say. Until then the active clock
	// stands still. It is an instruction to the store, which does not return it.
	RetryAt int64
	// Breaker is kept with the hold, so that it survives restarts and take-over.
	Breaker Breaker
}

// Breaker is the part of a circuit breaker that is kept in the subscription's row.
type Breaker struct {
	State string `json:"state"` // "closed", "open", "halfOpen"
	Opens int    `json:"opens"` // openings in a row; the wait doubles with each
	Since int64  `json:"since"` // Unix ms of the last change
	// FailingSince is when it opened after it had been closed, in Unix ms; 0 while it
	// is closed.
	FailingSince int64 `json:"failingSince,omitempty"`
}

// Store is what delivery needs of the database. Reads see every commit that
// happened before they began.
type Store interface {
	// Pending reads at most limit pending runs of a subscription after a run, lowest
	// first.
	Pending(ctx context.Context, sub int64, after ID, limit int) ([]*Item, error)
	// Waiting reads at most limit pending runs that were tried before, lowest first.
	Waiting(ctx context.Context, sub int64, limit int) ([]*Item, error)
	// OfKey reads at most limit pending runs of an order key, after one run and up to
	// another, lowest first.
	OfKey(ctx context.Context, sub, key int64, after, upTo ID, limit int) ([]*Item, error)
	// Earlier reads the pending runs of some order keys up to a run, lowest first, at
	// most limit of each key. A store where rows become visible in the order of their
	// numbers returns nothing.
	Earlier(ctx context.Context, sub int64, keys []int64, upTo ID, limit int) ([]*Item, error)
	// Replays reads at most limit runs of a subscription that are pending for replays
	// under way, lowest first. None of the other methods returns such runs.
	Replays(ctx context.Context, sub int64, limit int) ([]*Item, error)
	// Replaying lists the subscriptions of some shards that have such runs.
	Replaying(ctx context.Context, shards []int) ([]int64, error)
	// Load fills in the events of the items and the bytes to be pushed. Once an event
	// was pushed with a masking, it is always the same bytes with that masking. Event
	// stays nil if its bytes are past retention.
	Load(ctx context.Context, items []*Item, m event.Masking) error
	// Record queues an outcome to be committed with others, and with it the body of
	// its item if that was masked just now. It waits only while the writer's queue is
	// full. Done is called after the commit.
	Record(o *Outcome)
	// FindHold reads hold and breaker from the subscription's row.
	FindHold(ctx context.Context, sub int64) (Hold, error)
	// SetHold writes hold and breaker to the subscription's row, and stops the
	// active clock until RetryAt. It does nothing if the shard has another epoch, or
	// if the subscription was released more often than the caller knows: then the
	// hold is about a receiver, or a time, that no longer counts.
	SetHold(ctx context.Context, sub, epoch, releases int64, h Hold) error
	// Pause stops a subscription until somebody resumes it. Like SetHold it does
	// nothing if the subscription was released more often than the caller knows.
	Pause(ctx context.Context, sub, releases int64, reason string) error
	// BacklogOf lists the subscriptions of some shards that have pending runs, and
	// how many they have. The number is never too high; counting may stop at 1,000.
	BacklogOf(ctx context.Context, shards []int) (map[int64]int, error)
	// CatchUp loads what other processes changed of the subscriptions.
	CatchUp(ctx context.Context) error
}
