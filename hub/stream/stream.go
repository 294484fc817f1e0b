// Package stream writes answers that go on: part by part, each with a deadline of
// its own, to clients that may stop reading. Server-sent events (text/event-stream
// of the HTML standard) are such answers.
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

// NewWriter of an answer whose parts each take at most bound to be taken.
func NewWriter(w http.ResponseWriter, bound time.Duration) *Writer {
	return &Writer{w, http.NewResponseController(w), bound}
}

// Send a part: all of it is on its way when Send returns.
func (w *Writer) Send(part []byte) error {
	if err := w.c.SetWriteDeadline(time.Now().Add(w.bound)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.w.Write(part); err != nil {
		return err
	}
	return w.c.Flush()
}

// Release takes the deadline off the connection: the next request comes over it.
func (w *Writer) Release() { _ = w.c.SetWriteDeadline(time.Time{}) } // the connection is gone: nothing to take off

// ErrRevoked ends a stream whose listener may no longer hear it.
var ErrRevoked = errors.New("the credential holds no longer")

const (
	eventWrite = 10 * time.Second // bound of one write to a listener
	beatEvery  = 15 * time.Second // a comment, so that nothing between takes the stream for dead
	checkEvery = 2 * time.Second  // a revoked key is refused everywhere within 5 s
)

var beat = []byte(": ping\n\n")

// Events is an answer of server-sent events.
type Events struct {
	*Writer

	Beat  time.Duration // between the comments; default 15 s
	Holds func() bool   // whether the listener may still hear; asked every 2 s, or with each beat when these are closer
}

// NewEvents sets the headers of such an answer.
func NewEvents(w http.ResponseWriter, contentType string) *Events {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would collect it
	return &Events{Writer: NewWriter(w, eventWrite)}
}

// Follow sends what comes from a channel, as encode makes events of it. It ends
// with nil when the channel is closed, with ErrRevoked, with the error of ctx, of
// encode, or of a client that takes no more.
func Follow[T any](ctx context.Context, e *Events, from <-chan T, encode func(T) ([]byte, error)) error {
	every := cmp.Or(e.Beat, beatEvery)
	beats := time.NewTicker(every)
	defer beats.Stop()
	checks := time.NewTicker(min(checkEvery, every))
	defer checks.Stop()
	for {
		text := beat
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
			var err error
			if text, err = encode(v); err != nil {
				return err
			}
		}
		if err := e.Send(text); err != nil {
			return err
		}
	}
}
