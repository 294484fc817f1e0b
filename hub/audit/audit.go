// Package audit keeps who changed or saw what, in rows that form a chain: each row
// carries a code over its own fields and the code of the row before, made with a key that
// the database does not hold. Somebody who can write the table but lacks the key can
// remove, change or move rows only in ways that Chain notices. A chain cannot notice that
// the whole database was put back to an earlier copy of itself. The package imports
// nothing of ours.
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

// An action names what it was done to, and after a dot what was done. A view is of bodies
// with phone numbers unmasked: a request makes one row, however many bodies it shows.
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
	ProbeSend          = "probe.send"
	DeliveryRetry      = "delivery.retry"
	DeliveryView       = "delivery.view"
	DeliveryExport     = "delivery.export"
	EventView          = "event.view"
	NumberSearch       = "number.search" // of a code: who looked for a customer's number
	AppCreate          = "app.create"
	AppDelete          = "app.delete"
	DirectoryPut       = "directory.put" // of many: how many
	DirectoryDelete    = "directory.delete"
	SourceCreate       = "source.create"
	SourceUpdate       = "source.update"
	SourceRotate       = "source.rotate" // it has another token
	SourceDelete       = "source.delete"
	SourceReplay       = "source.replay" // inputs are mapped again
	InputView          = "input.view"
	RecordingPut       = "recording.put"
	RecordingDelete    = "recording.delete"
	RecordingView      = "recording.view"
	SessionCreate      = "session.create" // somebody signed in to the console
	SessionRenew       = "session.renew"  // and gave the key again
	SessionEnd         = "session.end"
)

// Row is a row of the log.
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
	Before   string // JSON without secrets; "": the object did not exist
	After    string // JSON without secrets; "": the object is deleted
	Prev     []byte // Hash of the row before; Genesis in the first row
	Hash     []byte
}

// Deed is what somebody changed or saw.
type Deed struct {
	Tenant         int64 // whose object it is; 0: nobody's
	Action, Object string
	Before, After  any // marshal to JSON, without secrets; nil: there was, or is, no object
}

// Filter picks rows, newest first. Empty fields pick all.
type Filter struct {
	Tenant   int64 // rows of one tenant; 0: those that the platform may read
	Action   string
	Object   string
	Who      string // id of a key
	From, To int64  // Unix ms: From <= At < To
	Before   int64  // Seq of the last one of the page before
	Limit    int    // 1 or more
}

// JSON returns what rows keep as before and after; "" for nil.
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
	// Genesis is Prev of the first row, which has no row before it.
	Genesis = make([]byte, sha256.Size)
	// lost is Prev of the row that follows a lost head: the break in the chain stays.
	lost = sha256.Sum256([]byte("the head of the log was lost"))
)

// Sum returns the code of a row: HMAC-SHA256 over every field but Hash.
func (r *Row) Sum(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	write(h, "row", r.Seq, r.At, r.Tenant, truth(r.Platform))
	for _, s := range []string{r.Who, r.Name, r.IP, r.Action, r.Object, r.Before, r.After, string(r.Prev)} {
		write(h, s) // each with its length, so that nothing can move from one field to the next
	}
	return h.Sum(nil)
}

// write adds a text and numbers to a code, the text with its length.
func write(h hash.Hash, text string, numbers ...int64) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(text)))
	_, _ = h.Write(n[:]) // a hash returns no error
	_, _ = h.Write([]byte(text))
	for _, v := range numbers {
		binary.BigEndian.PutUint64(n[:], uint64(v))
		_, _ = h.Write(n[:])
	}
}

// truth returns a flag as a number.
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

// NewHead returns the head of a log without rows.
func NewHead() Head { return Head{Hash: Genesis} }

// LostHead returns the head to go on from behind row seq when the stored head cannot be
// believed. The next row will never fit the one before it: somebody will ask why.
func LostHead(seq, at int64) Head { return Head{Seq: seq, At: at, Hash: lost[:]} }

// ErrHead is returned for a head that was not made with this key.
var ErrHead = errors.New("the head of the audit log was changed, or made with another master key")

const headLen = 8 + 8 + 2*sha256.Size

// Seal returns the head as it is stored.
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

// Next makes r the row that follows the head, and returns the head behind it. The times of
// rows never fall, even if the clock is set back.
func (h Head) Next(key []byte, r *Row) Head {
	r.Seq = h.Seq + 1
	r.At = max(r.At, h.At)
	r.Prev = h.Hash
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

// Check checks the next row, in the order of their numbers. It returns a *Broken.
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
		return &Broken{
			r.Seq,
			"does not follow the row before it: rows were exchanged, or the head of the log was lost before it was written",
		}
	}

	c.last = Head{Seq: r.Seq, At: r.At, Hash: r.Hash}
	return nil
}

// End checks that the rows seen are all rows up to the head. It returns a *Broken.
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
