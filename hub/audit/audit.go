// Package audit says who changed or saw what, in rows that form a chain: each
// carries a code over its own fields and the code of the row before, made with
// a key that the database does not hold. Whoever can write the table, but has
// not the key, can take rows out, change or move them only in such a way that
// Chain notices. What no chain can tell is that the whole database was put back
// to an earlier copy of itself. The package imports nothing of ours.
package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
)

// Actions: what it was done to, a dot, what was done. A view is of bodies with
// phone numbers unmasked: one row a request.
const (
	TenantCreate       = "tenant.create"
	TenantUpdate       = "tenant.update"
	KeyCreate          = "key.create"
	KeyRevoke          = "key.revoke"
	SubscriptionCreate = "subscription.create"
	SubscriptionUpdate = "subscription.update"
	SubscriptionPause  = "subscription.pause"
	SubscriptionResume = "subscription.resume"
	SubscriptionRotate = "subscription.rotate" // it has another key
	SubscriptionDelete = "subscription.delete"
	SubscriptionTest   = "subscription.test"
	DeliveryRetry      = "delivery.retry"
	DeliveryView       = "delivery.view"
	DeliveryExport     = "delivery.export"
	EventView          = "event.view"
	AppCreate          = "app.create"
	AppDelete          = "app.delete"
	DirectoryPut       = "directory.put" // of many: how many
	DirectoryDelete    = "directory.delete"
	RecordingPut       = "recording.put"
	RecordingDelete    = "recording.delete"
	RecordingView      = "recording.view"
)

// Row of the log.
type Row struct {
	Seq      int64  // 1, 2, … without a gap
	At       int64  // Unix ms; never falls while Seq grows
	Tenant   int64  // whose object it is; 0: nobody's
	Platform bool   // the platform may read it: it is nobody's, or the platform's own deed
	Who      string // id of a key, or the hub itself: "hub", "hookline serve"
	Name     string // of the key, as it was called then
	IP       string // "" for the hub itself
	Action   string
	Object   string // "subscription/<id>"
	Before   string // JSON without secrets; "": there was nothing
	After    string // JSON without secrets; "": nothing is left
	Prev     []byte // Hash of the row before; of the first one Genesis
	Hash     []byte
}

// Deed is what somebody changed or saw.
type Deed struct {
	Tenant         int64 // whose object it is; 0: nobody's
	Action, Object string
	Before, After  any // marshal to JSON, without secrets; nil: nothing
}

// Filter picks rows, newest first. Empty fields pick all.
type Filter struct {
	Tenant   int64 // rows of one tenant; 0: those that the platform may read
	Action   string
	Object   string
	Who      string // id of a key
	From, To int64  // Unix ms: From <= At < To
	Before   int64  // Seq of the last one seen
	Limit    int    // 1 or more
}

// JSON is how rows keep what was before and after; "" for nil.
func JSON(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("audit log: %w", err)
	}
	return string(b), nil
}

var (
	// Genesis stands where the first row has the code of the one before it.
	Genesis = make([]byte, sha256.Size)
	// lost stands there when the head was: the break stays to be seen.
	lost = sha256.Sum256([]byte("the head of the log was lost"))
)

// Sum is the code of a row: HMAC-SHA256 over every field but Hash.
func (r *Row) Sum(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	write(h, "row", r.Seq, r.At, r.Tenant, truth(r.Platform))
	for _, s := range []string{r.Who, r.Name, r.IP, r.Action, r.Object, r.Before, r.After, string(r.Prev)} {
		write(h, s) // each with its length: nothing can move from one field to the next
	}
	return h.Sum(nil)
}

func write(h hash.Hash, text string, numbers ...int64) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(text)))
	_, _ = h.Write(n[:]) // a hash never fails
	_, _ = h.Write([]byte(text))
	for _, v := range numbers {
		binary.BigEndian.PutUint64(n[:], uint64(v))
		_, _ = h.Write(n[:])
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Head is where the log ends. It is kept apart from the rows and written with
// every one of them, so that a log cut short is noticed.
type Head struct {
	Seq  int64
	At   int64
	Hash []byte
}

// NewHead is the head of a log without rows.
func NewHead() Head { return Head{Hash: Genesis} }

// LostHead goes on behind row seq when the head cannot be believed. The next
// row does not fit the one before it, for good: somebody will ask why.
func LostHead(seq, at int64) Head { return Head{Seq: seq, At: at, Hash: lost[:]} }

// ErrHead is returned for a head that was not made with this key.
var ErrHead = errors.New("the head of the audit log was changed, or made with another master key")

const headLen = 8 + 8 + 2*sha256.Size

// Seal is the head as it is stored.
func (h Head) Seal(key []byte) []byte {
	b := make([]byte, 0, headLen)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(h.At))
	b = append(b, h.Hash...)
	return append(b, headSum(key, b)...)
}

// OpenHead is the inverse of Seal; ErrHead.
func OpenHead(key, b []byte) (Head, error) {
	if len(b) != headLen || !hmac.Equal(headSum(key, b[:headLen-sha256.Size]), b[headLen-sha256.Size:]) {
		return Head{}, ErrHead
	}
	return Head{
		Seq: int64(binary.BigEndian.Uint64(b)), At: int64(binary.BigEndian.Uint64(b[8:])),
		Hash: b[16 : 16+sha256.Size : 16+sha256.Size],
	}, nil
}

func headSum(key, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	write(h, "head")
	_, _ = h.Write(b)
	return h.Sum(nil)
}

// Next makes r the row that follows the head, and gives the head after it. A
// clock that went back does not take the log with it.
func (h Head) Next(key []byte, r *Row) Head {
	r.Seq, r.At, r.Prev = h.Seq+1, max(r.At, h.At), h.Hash
	r.Hash = r.Sum(key)
	return Head{Seq: r.Seq, At: r.At, Hash: r.Hash}
}

// Broken says at which row a log stops being what was written.
type Broken struct {
	Seq    int64
	Reason string
}

func (b *Broken) Error() string {
	return fmt.Sprintf("the audit log is broken: row %d %s", b.Seq, b.Reason)
}

// Chain checks the rows of a log one after the other.
type Chain struct {
	Key  []byte
	last Head
}

// Check the next row, in the order of their numbers; *Broken.
func (c *Chain) Check(r *Row) error {
	if c.last.Hash == nil {
		c.last = NewHead()
	}
	want := c.last.Seq + 1
	switch {
	case r.Seq < want:
		return &Broken{r.Seq, "was put in front of the log"}
	case r.Seq > want:
		return &Broken{want, "is missing"}
	case !hmac.Equal(r.Hash, r.Sum(c.Key)):
		return &Broken{r.Seq, "was changed"}
	case !hmac.Equal(r.Prev, c.last.Hash):
		return &Broken{r.Seq, "does not follow the row before it: rows were exchanged, or the head of the log was lost before it was written"}
	}
	c.last = Head{Seq: r.Seq, At: r.At, Hash: r.Hash}
	return nil
}

// End checks that the rows seen are all up to the head; *Broken.
func (c *Chain) End(h Head) error {
	if c.last.Hash == nil {
		c.last = NewHead()
	}
	switch {
	case c.last.Seq < h.Seq:
		return &Broken{c.last.Seq + 1, fmt.Sprintf("is missing: the log was cut off, it had %d rows", h.Seq)}
	case c.last.Seq > h.Seq:
		return &Broken{h.Seq + 1, "was put behind the end of the log"}
	case !hmac.Equal(c.last.Hash, h.Hash):
		return &Broken{h.Seq, "is not the last row that was written"}
	}
	return nil
}
