// Package event is the vocabulary of the hub: the types of events, the bodies
// they carry, and the gate that reads them from outside bytes. It imports
// nothing of ours, so every other package can speak its words.
package event

import (
	"hash/fnv"
)

// Event is one thing that happened, as it is stored and pushed.
type Event struct {
	Seq         int64     // number in the store, grows with every accepted event; 0 until accepted
	Tenant      int64     // number of the tenant, from the key that sent it, never from the body
	CompanyID   string    // the tenant's public id
	ID          string    // 1..128 of [A-Za-z0-9._:-]; empty until accepted when the sender left it out
	Type        Type      // what kind of event it is
	OrderKey    string    // events of one key are pushed in order, e.g. "cdr/<callID>"; "": no order
	OccurredAt  int64     // Unix ms: when it happened, as the sender says
	AcceptedAt  int64     // Unix ms: when the store committed it
	Body        []byte    // the plain bytes that are pushed: never changed after the gate
	Hash        [32]byte  // SHA-256 of type and compacted data as sent: tells a duplicate from a conflict
	Warnings    []Problem // odd but readable values
	Source      string    // "http" or "amqp"
	KeyID       string    // the API key that sent it
	Traceparent string    // W3C trace context of the sender, if any
	Hops        int       // hubs it went through before this one
	Test        bool      // made by a test push
	Completed   bool      // its push has what the sender left out; see Pushed. false for events of older hubs
	Target      int64     // number of the one subscription that a test push is for; 0: all that want it
}

// Problem says what is wrong with one value of an item that is refused. As a warning it
// says what is odd about a readable value.
type Problem struct {
	Code    string `json:"code"`            // e.g. "wrong_type", "missing", "unknown_type"
	Message string `json:"message"`         // for people
	Field   string `json:"field,omitempty"` // JSON pointer into the item, e.g. "/data/callID"
	Status  int    `json:"-"`               // HTTP status when the item stands alone: 400, 409, 413 or 422
}

func (p *Problem) Error() string { return p.Code + ": " + p.Message }

// Key returns the order key folded to a number, as lanes and indexes hold it. 0 means no
// order. Two order keys that collide merely wait for each other.
func Key(orderKey string) int64 {
	if orderKey == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(orderKey)) // never fails
	if k := int64(h.Sum64()); k != 0 {
		return k
	}
	return 1
}
