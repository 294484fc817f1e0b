package delivery

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

// Push is all that a request is made of. The same push makes the same request, byte
// for byte, so the request of an attempt can be rebuilt and need not be stored.
type Push struct {
	ID         ID
	AcceptedAt int64 // Unix ms
	Event      *event.Event
	Body       []byte                      // the plain bytes: the event's, masked as Sub asks
	Sub        *subscriptions.Subscription // at the version the attempt was made with, with the keys of that time

	At         int64  // Unix ms in the signature headers
	RandomCode string // 16 hex
	Nonce      []byte // for sealing
	N          int    // number of the attempt
	Late       bool
	Replay     bool
}

// Stamp sets the time at which the push is signed, Unix ms, and makes the random bytes that
// its signature and seal need.
func (p *Push) Stamp(at int64) {
	n := signing.NonceSize(p.Sub.Encryption)
	random := make([]byte, 8+n)
	_, _ = rand.Read(random) // never fails
	p.At = at
	p.RandomCode = hex.EncodeToString(random[:8])
	p.Nonce = nil
	if n > 0 {
		p.Nonce = random[8:]
	}
}

// Headers of a push that are ours, spelled as documented.
const (
	HeaderEvent      = "X-Hookline-Event"
	HeaderEventID    = "X-Hookline-Event-Id"
	HeaderSequence   = "X-Hookline-Sequence"
	HeaderAttempt    = "X-Hookline-Attempt"
	HeaderEncryption = "X-Hookline-Encryption"
	HeaderLate       = "X-Hookline-Late"
	HeaderReplay     = "X-Hookline-Replay"
	HeaderHops       = "X-Hookline-Hops"
)

// Never changed after start; shared by all requests.
var (
	contentType = []string{"application/json;charset=utf-8"}
	userAgent   = []string{"Hookline/1"}
	yes         = []string{"true"}
)

// Request returns headers and body of the push.
func (p *Push) Request() (http.Header, []byte, error) {
	m := signing.Message{
		ID:         PublicID(p.ID.Sub, p.ID.Seq, p.AcceptedAt),
		CompanyID:  p.Event.CompanyID,
		At:         p.At,
		RandomCode: p.RandomCode,
		Body:       p.Body,
	}
	keys := p.keys()

	// The subscription's own headers come first: they replace none of those below.
	h := make(http.Header, 16+len(p.Sub.Headers))
	h["User-Agent"] = userAgent
	h["Accept-Encoding"] = identity
	for name, value := range p.Sub.Headers {
		h[http.CanonicalHeaderKey(name)] = []string{value}
	}

	// What is signed is what is sent: the sealed body, if there is one.
	if p.Sub.Encryption != signing.None {
		sealed, err := signing.Seal(p.Sub.Encryption, keys[0].Sealing(p.Sub.Encryption), &m, p.Nonce)
		if err != nil {
			return nil, nil, fmt.Errorf("seal: %w", err)
		}
		m.Body = sealed
		h[HeaderEncryption] = []string{p.Sub.Encryption}
	}
	var more []string
	for _, k := range keys[1:] {
		more = append(more, k.AppKey)
	}
	signing.Sign(h, &m, keys[0].AppKey, more...)

	// One slice for the values of five headers spares four allocations.
	h["Content-Type"] = contentType
	v := []string{
		p.Event.Type.String(), p.Event.ID, strconv.FormatInt(p.ID.Seq, 10), strconv.Itoa(p.N), strconv.Itoa(p.Event.Hops + 1),
	}
	h[HeaderEvent] = v[0:1:1]
	h[HeaderEventID] = v[1:2:2]
	h[HeaderSequence] = v[2:3:3]
	h[HeaderAttempt] = v[3:4:4]
	h[HeaderHops] = v[4:5:5]
	if p.Late {
		h[HeaderLate] = yes
	}
	if p.Replay {
		h[HeaderReplay] = yes
	}
	if p.Event.Traceparent != "" {
		h["Traceparent"] = []string{p.Event.Traceparent}
	}
	return h, m.Body, nil
}

// keys returns the keys in force when the push was signed, oldest first.
func (p *Push) keys() []subscriptions.Key { return p.Sub.KeysAt(time.UnixMilli(p.At)) }
