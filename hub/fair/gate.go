package fair

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// Bounds that hold for every request unless its handler sets others.
const (
	// StrangerBody is the most bytes of a body that are read of a caller of whom
	// nobody knows yet who it is.
	StrangerBody = 16 << 10

	// drainTime bounds reading what is left of a body when the answer begins.
	drainTime = 2 * time.Second

	// writeChunk is the most bytes that are written under one deadline.
	writeChunk = 64 << 10
)

// BodyPace and AnswerPace are the usual paces: 10 s without a byte, 16 KiB/s.
var (
	BodyPace   = Pace{Stall: 10 * time.Second, Rate: 16 << 10}
	AnswerPace = Pace{Stall: 10 * time.Second, Rate: 16 << 10}
)

// Gate is the outermost handler of a listener: it gives every byte of a request
// and of its answer a deadline, and every body that is kept in memory its part of a
// budget. Set the fields before the first request; the zero Gate has the usual
// paces and no budgets.
type Gate struct {
	Body, Answer Pace                             // zero: BodyPace, AnswerPace
	Bodies       *Budget[int64]                   // of tenants; nil: no bound
	Strangers    *Budget[netip.Addr]              // of callers not yet known; nil: no bound
	Address      func(r *http.Request) netip.Addr // whose a stranger's bytes are; nil: all strangers are one
	Answers      *Slots[int64]                    // of large answers being written; nil: they keep their place
}

// Wrap returns a handler that bounds what next reads and writes. The handlers
// inside find the Exchange of their request by Of.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		endUnknownBody(rw, r)
		x := &Exchange{gate: g, request: r}
		x.in.pace, x.out.pace = BodyPace, AnswerPace
		if g.Body != (Pace{}) {
			x.in.pace = g.Body
		}
		if g.Answer != (Pace{}) {
			x.out.pace = g.Answer
		}
		x.conn, _ = rw.(deadlines) // a recorder of tests has none

		inner := r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		if r.Body != nil && r.Body != http.NoBody {
			x.body = &body{x: x, from: r.Body}
			inner.Body = x.body
			x.paceIn()
		}
		if r.Header.Get("Expect") != "" {
			x.paceOut() // reading the body writes 100 Continue
		}

		defer x.end()
		next.ServeHTTP(&writer{ResponseWriter: rw, x: x}, inner)
	})
}

// Whole returns a handler that ends the connection after a request whose body has no known
// end. Gate.Wrap does so too.
func Whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		endUnknownBody(w, r)
		next.ServeHTTP(w, r)
	})
}

// endUnknownBody ends the connection after a request with an empty Content-Length: it is
// unknown where its body ends, so nothing after it may be read as another request. (Samples
// in DeepCall's documents send this.)
func endUnknownBody(w http.ResponseWriter, r *http.Request) {
	if length, there := r.Header["Content-Length"]; there && length[0] == "" {
		w.Header().Set("Connection", "close")
	}
}

// deadlines of the connection, or of an HTTP/2 stream.
type deadlines interface {
	SetReadDeadline(at time.Time) error
	SetWriteDeadline(at time.Time) error
}

type exchangeKey struct{}

// Of returns the exchange that ctx, a request's context, belongs to. Outside of a
// Gate it is nil, whose methods do nothing.
func Of(ctx context.Context) *Exchange {
	x, _ := ctx.Value(exchangeKey{}).(*Exchange)
	return x
}
