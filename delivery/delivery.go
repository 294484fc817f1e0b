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

// State of a delivery, or of one run of it. The numbers are stored.
type State uint8

// States. Reopened is a delivery of which a later run is pending; people see it as pending.
const (
	Pending State = iota
	Delivered
	Exhausted
	Expired
	Cancelled
	Superseded
	Reopened
)

var stateNames = [...]string{"pending", "delivered", "exhausted", "expired", "cancelled", "superseded", "pending"}

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
	Run int   // 0: the push itself; each retry by hand another
}

// Compare orders runs as their rows lie in the store.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Sub, b.Sub), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Run, b.Run))
}

// Item is one pending run as a lane reads it from the store.
type Item struct {
	ID
	Key        int64 // order key folded by event.Key; 0: no order
	Type       event.Type
	Tries      int
	DueAt      int64 // Unix ms; 0: at once
	GiveUpAt   int64 // on the subscription's active clock, Unix ms
	AcceptedAt int64 // Unix ms
	FirstTryAt int64 // Unix ms; 0: never tried
	AsideAt    int64 // Unix ms: from then on its key no longer waits for it; 0: never refused as bad
	Late       bool  // stepped aside, or sent past its order by force
	Version    int64 // of the subscription it was matched with

	// Loaded only for those about to be sent.
	Event  *event.Event
	Body   []byte        // the plain bytes to push: the event's, masked as the subscription asks
	Masked event.Masking // Body was masked just now, so it is to be stored; Unmasked: nothing is
}

// ErrorClass says in one word why an attempt failed. The numbers are stored.
type ErrorClass uint8

// Error classes of an attempt; None: it succeeded.
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
	GaveUp    // no attempt: giveUpAfter passed first
	Malformed // an answer that is no HTTP
)

var classNames = [...]string{"", "dns", "connect", "tls", "timeout", "reset", "blocked", "redirect", "status", "ack", "tooLarge", "gaveUp", "malformed"}

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
	DNS     time.Duration // durations: 0 when the step did not happen (a reused connection)
	Connect time.Duration
	TLS     time.Duration
	First   time.Duration // until the first byte of the answer
	Total   time.Duration

	RemoteIP   string
	StatusCode int        // 0: no answer
	Class      ErrorClass //
	Err        string     // what went wrong, for people; no URL, no secret
	Header     string     // response headers as "Name: value\n" lines, at most 8 KiB
	Body       []byte     // first 4 KiB of the response
	RetryAfter time.Duration

	SignedAt   int64  // Unix ms in the signature headers
	RandomCode string // 16 hex
	Nonce      []byte // of the sealed body; nil when not sealed
	KeyN       int    // which key of the subscription signed
	Version    int64  // version of the subscription it was made with
	Late       bool   // said X-Hookline-Late
	Replay     bool   // said X-Hookline-Replay
}

// Verdict is what becomes of a run after an attempt, or without one.
type Verdict struct {
	State        State
	DueAt        int64 // Unix ms of the next try, when pending
	AsideAt      int64 // see Item
	SupersededBy int64 // number of the correction's event
}

// Outcome is an attempt (nil when none was made) and its verdict, to be recorded.
type Outcome struct {
	Item    *Item
	Attempt *Attempt
	Verdict Verdict
	Epoch   int64       // under which this process owns the shard of the subscription
	Done    func(error) // called once, when committed or lost; must not block
}

// ErrNotOwner is what Done hears of an outcome that came too late: the shard of
// its subscription has another owner, or another epoch. It was not recorded.
var ErrNotOwner = errors.New("the shard has another owner")

// Hold stops a whole subscription for a while: its one row changes, no delivery's.
type Hold struct {
	Until  int64  // Unix ms; 0: no hold
	Reason string // "breaker", "retryAfter"
	// RetryAt is when the receiver wants the next request, as it said by
	// Retry-After, Unix ms; 0: it did not say. Until then the active clock stands
	// still. It is an instruction to the store, which does not give it back.
	RetryAt int64
	// Breaker survives restarts and take-over.
	Breaker Breaker
}

// Breaker is the part of a circuit breaker that is kept in the subscription's row.
type Breaker struct {
	State string `json:"state"` // "closed", "open", "halfOpen"
	Opens int    `json:"opens"` // openings in a row: the wait doubles with each
	Since int64  `json:"since"` // Unix ms of the last change
	// FailingSince is when it first opened without having closed again, Unix ms; 0: it is closed.
	FailingSince int64 `json:"failingSince,omitempty"`
}

// Store is what delivery needs of the database. Reads see every commit that
// happened before they began.
type Store interface {
	// Pending reads up to limit pending runs of a subscription after one, in order.
	Pending(ctx context.Context, sub int64, after ID, limit int) ([]*Item, error)
	// Waiting reads the pending runs that were tried before, at most limit, lowest first.
	Waiting(ctx context.Context, sub int64, limit int) ([]*Item, error)
	// OfKey reads the pending runs of one order key after one and up to another, lowest first.
	OfKey(ctx context.Context, sub, key int64, after, upTo ID, limit int) ([]*Item, error)
	// Earlier reads the pending runs of some order keys up to one, lowest first, at
	// most limit of a key; none where rows become visible in the order of their numbers.
	Earlier(ctx context.Context, sub int64, keys []int64, upTo ID, limit int) ([]*Item, error)
	// Load fills in the events of the items, and the bytes to be pushed: once
	// pushed with a masking, an event is always the same bytes with it. Event of
	// one whose bytes are gone stays nil.
	Load(ctx context.Context, items []*Item, m event.Masking) error
	// Record queues an outcome to be committed with others, and with it the body
	// of its item if that was masked just now; it waits only while
	// the writer's queue is full. Done is called after the commit.
	Record(o *Outcome)
	// FindHold reads hold and breaker of the subscription's row.
	FindHold(ctx context.Context, sub int64) (Hold, error)
	// SetHold writes hold and breaker to the subscription's row, and stops the
	// active clock until RetryAt. It does nothing if the shard has another epoch, or
	// if the subscription was released more often than the caller knows: then the
	// hold is about a receiver, or a time, that no longer counts.
	SetHold(ctx context.Context, sub, epoch, releases int64, h Hold) error
	// Pause stops a subscription until somebody resumes it. Like SetHold it does
	// nothing if there were other releases meanwhile.
	Pause(ctx context.Context, sub, releases int64, reason string) error
	// BacklogOf lists the subscriptions of some shards that have pending runs, each
	// with a number of them that is never too high; it may stop counting at 1,000.
	BacklogOf(ctx context.Context, shards []int) (map[int64]int, error)
	// CatchUp loads what other processes changed of the subscriptions.
	CatchUp(ctx context.Context) error
}
