package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/tail"
)

const (
	streamBeat  = 15 * time.Second // a comment, so that nothing between takes the stream for dead
	streamCheck = 2 * time.Second  // a revoked key is refused everywhere within 5 s
	streamWrite = 10 * time.Second // bound of one write to a listener
)

// tailView is one attempt as it happens.
type tailView struct {
	At           Time    `json:"at"`
	Delivery     string  `json:"delivery"`
	Subscription string  `json:"subscription"`
	Event        string  `json:"event,omitempty"`
	Type         string  `json:"type"`
	OrderKey     string  `json:"orderKey,omitempty"`
	Sequence     int64   `json:"sequence"`
	Run          int     `json:"run"`
	N            int     `json:"n"`      // attempt within the run
	Status       int     `json:"status"` // 0: no answer
	Error        string  `json:"error,omitempty"`
	ErrorDetail  string  `json:"errorDetail,omitempty"`
	Ms           float64 `json:"ms"`
	RemoteIP     string  `json:"remoteIp,omitempty"`
	State        string  `json:"state"` // of the run, after it
	DueAt        *Time   `json:"dueAt,omitempty"`
	Late         bool    `json:"late,omitempty"`
	Replay       bool    `json:"replay,omitempty"`
}

func viewTail(t *tail.Attempt) tailView {
	a := &t.Attempt
	v := tailView{
		At: timeOf(a.At), Delivery: t.Delivery, Subscription: t.Subscription, Event: t.Event, Type: t.Item.Type.String(),
		OrderKey: t.OrderKey, Sequence: t.Item.Seq, Run: t.Item.Run, N: a.N, Status: a.StatusCode, Error: a.Class.String(),
		ErrorDetail: a.Err, Ms: ms(a.Total), RemoteIP: a.RemoteIP, State: t.Verdict.State.String(), Late: a.Late, Replay: a.Replay,
	}
	if t.Verdict.State == delivery.Pending {
		v.DueAt = timeOrNone(t.Verdict.DueAt)
	}
	return v
}

// TailAttempts is GET /v1/tail: attempts as they happen, as server-sent events
// of type attempt. No bodies. A listener that does not keep up is told so
// (event dropped) and disconnected; what it missed is in the log.
func (a *API) TailAttempts(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	f := tail.Filter{Tenant: c.Tenant}
	q, err := query(r, "subscription", "type")
	if err == nil {
		f.Types, err = typesOf(q)
	}
	if err == nil {
		f.Sub, err = a.subscriptionOf(r, c, q)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if !a.streams.take(c.Tenant, a.limits(c).SSEStreams) {
		a.fail(w, r, tooMany(a.limits(c).SSEStreams, "streams"))
		return
	}
	defer a.streams.give(c.Tenant)
	stream := a.Tail.Open(f)
	defer stream.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would collect it
	out := &slowly{w: w, c: http.NewResponseController(w), bound: streamWrite}
	defer out.release()
	_ = a.follow(r, c, stream, out) // the listener went away: nobody is left to tell
}

func (a *API) follow(r *http.Request, c access.Caller, stream *tail.Stream, out *slowly) error {
	if err := out.send([]byte(": attempts from now on\n\n")); err != nil {
		return err
	}
	beat := time.NewTicker(cmp.Or(a.Beat, streamBeat))
	defer beat.Stop()
	check := time.NewTicker(min(streamCheck, cmp.Or(a.Beat, streamBeat)))
	defer check.Stop()
	for {
		var text []byte
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-check.C:
			if !a.Book.Holds(c, a.now()) {
				return out.send([]byte("event: ended\ndata: {\"reason\":\"the key holds no longer\"}\n\n"))
			}
			continue
		case <-beat.C:
			text = []byte(":\n\n")
		case t, open := <-stream.C():
			if !open && stream.Slow() {
				return out.send([]byte("event: dropped\ndata: {\"reason\":\"the listener is too slow; what it missed is in the log\"}\n\n"))
			}
			if !open {
				return out.send([]byte("event: ended\ndata: {\"reason\":\"the hub stops\"}\n\n"))
			}
			line, err := json.Marshal(viewTail(&t))
			if err != nil {
				return fmt.Errorf("attempt of %s: %w", t.Delivery, err)
			}
			text = fmt.Appendf(nil, "event: attempt\ndata: %s\n\n", line)
		}
		if err := out.send(text); err != nil {
			return err
		}
	}
}

// slowly writes an answer of any length to a client that may stop reading: each
// part has its own deadline.
type slowly struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	bound time.Duration
}

func (s *slowly) send(part []byte) error {
	if err := s.c.SetWriteDeadline(time.Now().Add(s.bound)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(part); err != nil {
		return err
	}
	return s.c.Flush()
}

// release takes the deadline off the connection: the next request comes over it.
func (s *slowly) release() { _ = s.c.SetWriteDeadline(time.Time{}) } // the connection is gone: nothing to take off

func tooMany(limit int, what string) error {
	return &problem.Details{
		Status: http.StatusTooManyRequests, RetryAfter: time.Second,
		Detail: fmt.Sprintf("the tenant has %d %s open, which is its limit", limit, what),
	}
}
