// Package stream writes answers that do not end by themselves, part by part, each with a
// deadline of its own, to clients that may stop reading. Server-sent events
// (text/event-stream of the HTML standard) are such answers.
package stream

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"
)

// Writer writes an answer of any length.
type Writer struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	bound time.Duration
}

// NewWriter returns a Writer whose client may take at most bound for each part.
func NewWriter(w http.ResponseWriter, bound time.Duration) *Writer {
	return &Writer{w, http.NewResponseController(w), bound}
}

// Send sends a part. When it returns, the connection has all of the part.
func (w *Writer) Send(part []byte) error {
	if err := w.c.SetWriteDeadline(time.Now().Add(w.bound)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.w.Write(part); err != nil {
		return err
	}
	return w.c.Flush()
}

// Release ends the deadline on the connection, which serves the next request. An error
// means that the connection is gone.
func (w *Writer) Release() { _ = w.c.SetWriteDeadline(time.Time{}) }

// ErrRevoked ends a stream whose listener may not read it any longer.
var ErrRevoked = errors.New("the credential holds no longer")

const (
	eventWrite = 10 * time.Second // the longest that a listener may take for one write
	beatEvery  = 15 * time.Second // a comment is sent so often, or proxies would take the stream for dead
	checkEvery = 2 * time.Second  // how often the credential is checked: a revoked key must be refused within 5 s
)

var beat = []byte(": ping\n\n")

// Events is an answer of server-sent events.
type Events struct {
	*Writer

	Beat  time.Duration // between the comments; default 15 s
	Holds func() bool   // reports whether the listener may read on; asked every 2 s, or every Beat if that is shorter
}

// NewEvents begins an answer of server-sent events and sets its headers.
func NewEvents(w http.ResponseWriter, contentType string) *Events {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would collect it
	return &Events{Writer: NewWriter(w, eventWrite)}
}

// Much that comes at once is sent at once: each part costs a system call, and somebody who
// wakes up, here and there.
const (
	gatherTime  = 10 * time.Millisecond // from one part to the next
	gatherBytes = 64 << 10              // of a part, about
)

// Follow sends what comes from a channel, as encode writes it: at once after a quiet time,
// and else what came within 10 ms together. It returns nil when the channel is closed. It
// returns ErrRevoked, the error of ctx, that of encode, or that of a client that takes no
// more.
func Follow[T any](ctx context.Context, e *Events, from <-chan T, encode func(T) ([]byte, error)) error {
	every := cmp.Or(e.Beat, beatEvery)
	beats := time.NewTicker(every)
	defer beats.Stop()
	checks := time.NewTicker(min(checkEvery, every))
	defer checks.Stop()

	var part []byte
	for {
		text := beat
		ends := false // after text
		var end error // why
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-checks.C:
			if !e.Holds() {
				return ErrRevoked
			}
			continue
		case <-beats.C:
		case v, open := <-from:
			if !open {
				return nil
			}
			part, ends, end = gather(part[:0], v, from, encode)
			text = part
		}

		if len(text) > 0 {
			if err := e.Send(text); err != nil {
				return err
			}
		}
		if ends || end != nil {
			return end
		}
		if err := pause(ctx, gatherTime); err != nil { // nothing wakes it during that time, however much comes
			return err
		}
	}
}

// pause returns after some time, or when ctx ends, with its error.
func pause(ctx context.Context, d time.Duration) error {
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-over.C:
		return nil
	}
}

// gather encodes v and what else waits in a channel into one part, of gatherBytes about.
// closed: nothing will come after part. The error is that of encode; part has what came
// before it.
func gather[T any](part []byte, v T, from <-chan T, encode func(T) ([]byte, error)) (_ []byte, closed bool, err error) {
	for {
		text, err := encode(v)
		if err != nil {
			return part, false, err
		}
		part = append(part, text...)
		if len(part) >= gatherBytes {
			return part, false, nil
		}

		open := false
		select {
		case v, open = <-from:
			if !open {
				return part, true, nil
			}
		default:
			return part, false, nil
		}
	}
}
