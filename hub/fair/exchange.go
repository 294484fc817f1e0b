package fair

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// Exchange is one request and its answer, as the Gate sees them. It belongs to the
// goroutine that serves the request. The methods of a nil Exchange do nothing.
type Exchange struct {
	gate    *Gate
	request *http.Request // as it came
	conn    deadlines     // nil: none can be set
	body    *body         // nil: there is none
	in, out meter

	ownRead  bool // the handler sets the deadlines of the body
	ownWrite bool // the handler sets those of the answer
	streamed bool // the handler keeps nothing of the body, or accounts for it by itself

	identified bool // who asks
	tenant     int64
	stranger   netip.Addr // to whom bytes are charged before that
	charged    int64      // bytes

	place  *Place // for the work
	begun  bool   // the answer
	answer *Place // for a large answer
}

// Pace sets the paces of the body and of the answer. A zero Pace leaves what is.
func (x *Exchange) Pace(in, out Pace) {
	if x == nil {
		return
	}
	if in != (Pace{}) {
		x.in.pace = in
	}
	if out != (Pace{}) {
		x.out.pace = out
	}
}

// Stream says that the handler does not keep the body in memory, or accounts for
// what it keeps by itself: nothing of it is charged to a budget.
func (x *Exchange) Stream() {
	if x == nil {
		return
	}
	x.streamed = true
	x.giveBack()
}

// Know says whose request it is: its body is the tenant's from now on, and may be
// as large as the handler allows. The error is a *Full when the tenant's share of
// the budget does not have room for what was read so far.
func (x *Exchange) Know(tenant int64) error {
	if x == nil || x.identified {
		return nil
	}
	n := x.charged
	x.giveBack()
	x.identified, x.tenant = true, tenant
	return x.charge(n)
}

// Admit reads the body to its end, most bytes and one more at most, and then takes a
// place for the work: a body that comes slowly keeps no place. The place is free
// again when the answer begins, or, if that is large, when it was taken. A second
// call does nothing. The error is a *Full, or that of ctx.
func (x *Exchange) Admit(ctx context.Context, places *Slots[int64], most int64) error {
	if x == nil || x.place != nil {
		return nil
	}
	if x.body != nil && !x.streamed {
		if err := x.body.fetch(most); err != nil {
			return err
		}
	}
	var err error
	x.place, err = places.Take(ctx, x.tenant, 0)
	return err
}

// charge n bytes more to whose they are.
func (x *Exchange) charge(n int64) error {
	if x.streamed || n <= 0 {
		return nil
	}
	var ok bool
	switch {
	case x.identified:
		ok = x.gate.Bodies == nil || x.gate.Bodies.Take(x.tenant, n)
	case x.gate.Strangers == nil:
		ok = true
	default:
		if !x.stranger.IsValid() && x.gate.Address != nil {
			x.stranger = Network(x.gate.Address(x.request))
		}
		ok = x.gate.Strangers.Take(x.stranger, n)
	}
	if !ok {
		return &Full{What: "bytes of requests", After: retryAfter}
	}
	x.charged += n
	return nil
}

func (x *Exchange) giveBack() {
	switch {
	case x.charged == 0:
	case x.identified:
		if x.gate.Bodies != nil {
			x.gate.Bodies.Give(x.tenant, x.charged)
		}
	case x.gate.Strangers != nil:
		x.gate.Strangers.Give(x.stranger, x.charged)
	}
	x.charged = 0
}

// paceIn gives the next bytes of the body their deadline.
func (x *Exchange) paceIn() {
	if x.conn == nil || x.ownRead {
		return
	}
	if at, moves := x.in.next(time.Now()); moves {
		_ = x.conn.SetReadDeadline(at) // the connection is gone: the next read says so
	}
}

// paceOut gives the next bytes of the answer their deadline.
func (x *Exchange) paceOut() {
	if x.conn == nil || x.ownWrite {
		return
	}
	if at, moves := x.out.next(time.Now()); moves {
		_ = x.conn.SetWriteDeadline(at) // as above
	}
}

// answering is called when the answer begins, with the bytes of its first part.
func (x *Exchange) answering(n int) {
	if x.begun {
		return
	}
	x.begun = true

	// net/http reads what is left of the body first, which may never come.
	if x.body != nil && !x.body.atEnd && x.conn != nil {
		wait := drainTime
		if x.body.late {
			wait = 0
		}
		_ = x.conn.SetReadDeadline(time.Now().Add(wait))
	}

	// The work is done: others may begin theirs while this answer is taken. Large
	// ones are memory, and so have places of their own; without one they keep this.
	if n > writeChunk && x.place != nil && x.gate.Answers != nil {
		large, err := x.gate.Answers.Take(context.Background(), x.tenant, 0)
		if err != nil {
			return
		}
		x.answer = large
	}
	x.place.Free()
}

// end gives back what the request had.
func (x *Exchange) end() {
	x.answering(0)
	x.place.Free()
	x.answer.Free()
	x.giveBack()
	if x.conn != nil {
		// What is written still is what net/http has in its buffers. The deadline
		// stays until the next request of this connection sets its own.
		_ = x.conn.SetWriteDeadline(time.Now().Add(x.out.pace.Stall))
	}
}

// body is a request's, under a pace and a budget.
type body struct {
	x     *Exchange
	from  io.ReadCloser
	atEnd bool // it was read to its end
	late  bool // it missed its deadline

	fetched bool          // rest has all that was not read when Admit was called
	rest    *bytes.Reader // nil: not fetched
	restErr error         // after rest
}

// Read implements io.Reader. The error may be a *Full.
func (b *body) Read(p []byte) (int, error) {
	if !b.fetched {
		return b.read(p)
	}
	n, _ := b.rest.Read(p) // only ever its end
	if n == 0 && len(p) > 0 {
		return 0, b.restErr
	}
	return n, nil
}

// read from the connection.
func (b *body) read(p []byte) (int, error) {
	x := b.x
	x.paceIn()
	n, err := b.from.Read(p)
	x.in.moved += int64(n)
	switch {
	case err == io.EOF: // io.Reader returns it bare
		b.atEnd = true
		if !x.ownRead && x.conn != nil {
			// Else the deadline would end the request's context during long work.
			_ = x.conn.SetReadDeadline(time.Time{})
			x.in.set = time.Time{}
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.late = true
	}
	if !x.identified && x.in.moved > StrangerBody+1 { // handlers find it one byte earlier
		return n, &http.MaxBytesError{Limit: StrangerBody}
	}
	if full := x.charge(int64(n)); full != nil {
		return n, full
	}
	return n, err
}

// fetch reads the rest, most bytes and one more at most, so that who reads it then
// sees that it is too large. What goes wrong comes to whoever reads it, but for a
// *Full.
func (b *body) fetch(most int64) error {
	if b.atEnd || b.fetched {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(readerFunc(b.read), most+1))
	if full, is := errors.AsType[*Full](err); is {
		return full
	}

	if err == nil {
		err = io.EOF
	}
	b.fetched = true
	b.rest = bytes.NewReader(raw)
	b.restErr = err
	return nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Close implements io.Closer.
func (b *body) Close() error { return b.from.Close() }

// writer is an answer under a pace. A handler that sets deadlines itself, by
// http.ResponseController, takes them over.
type writer struct {
	http.ResponseWriter

	x *Exchange
}

func (w *writer) WriteHeader(status int) {
	if status >= http.StatusOK { // 1xx announce, they do not answer
		w.x.paceOut()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (n int, err error) {
	w.x.answering(len(b))
	for {
		part := b[:min(len(b), writeChunk)]
		b = b[len(part):]

		w.x.paceOut()
		wrote, err := w.ResponseWriter.Write(part)
		w.x.out.moved += int64(wrote)
		n += wrote
		if err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// FlushError lets http.ResponseController flush under the deadline.
func (w *writer) FlushError() error {
	w.x.answering(0)
	w.x.paceOut()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// SetReadDeadline is for handlers with a deadline of their own for the body.
func (w *writer) SetReadDeadline(at time.Time) error {
	if w.x.conn == nil {
		return http.ErrNotSupported
	}
	w.x.ownRead = true
	return w.x.conn.SetReadDeadline(at)
}

// SetWriteDeadline is for handlers with deadlines of their own for the answer.
func (w *writer) SetWriteDeadline(at time.Time) error {
	if w.x.conn == nil {
		return http.ErrNotSupported
	}
	w.x.ownWrite = true
	return w.x.conn.SetWriteDeadline(at)
}

// Unwrap lets http.ResponseController through to Hijack.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
