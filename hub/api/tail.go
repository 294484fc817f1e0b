package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/problem"
	"github.com/hookline/hookline/hub/stream"
	"github.com/hookline/hookline/hub/tail"
)

// tailView is one attempt as it happens.
type tailView struct {
	At             Time    `json:"at"`
	Delivery       string  `json:"delivery"`
	Subscription   string  `json:"subscription"`
	Event          string  `json:"event,omitempty"`
	EventHandle    string  `json:"eventHandle,omitempty"`
	Type           string  `json:"type"`
	OrderKey       string  `json:"orderKey,omitempty"`
	OrderKeyHandle string  `json:"orderKeyHandle,omitempty"`
	Sequence       int64   `json:"sequence"`
	Run            int     `json:"run"`
	N              int     `json:"n"`      // attempt within the run
	Status         int     `json:"status"` // 0: no answer
	Error          string  `json:"error,omitempty"`
	ErrorDetail    string  `json:"errorDetail,omitempty"`
	Ms             float64 `json:"ms"`
	RemoteIP       string  `json:"remoteIp,omitempty"`
	State          string  `json:"state"` // of the run, after it
	DueAt          *Time   `json:"dueAt,omitempty"`
	Late           bool    `json:"late,omitempty"`
	Replay         bool    `json:"replay,omitempty"`
}

func (v viewer) attempt(t *tail.Attempt) tailView {
	a := &t.Attempt
	view := tailView{
		At: timeOf(a.At), Delivery: t.Delivery, Subscription: t.Subscription, Type: t.Item.Type.String(),
		Sequence: t.Item.Seq, Run: t.Item.Run, N: a.N, Status: a.StatusCode, Error: a.Class.String(),
		ErrorDetail: v.line(a.Err,
			about{typ: t.Item.Type}), Ms: ms(a.Total), RemoteIP: a.RemoteIP, State: t.Verdict.State.String(), Late: a.Late,
		Replay: a.Replay,
	}
	view.Event, view.EventHandle = v.eventID(t.Event)
	view.OrderKey, view.OrderKeyHandle = v.orderKey(t.OrderKey)
	if t.Verdict.State == delivery.Pending {
		view.DueAt = timeOrNone(t.Verdict.DueAt)
	}
	return view
}

// TailAttempts is GET /v1/tail: the attempts of all processes as they happen, without
// bodies, as server-sent events of type attempt. A listener that missed some, because
// it was too slow or news of another process got lost, gets the event dropped and is
// disconnected; the attempts are in the log.
func (a *API) TailAttempts(w http.ResponseWriter, r *http.Request, c access.Caller, _ httprouter.Params) {
	f := tail.Filter{Tenant: c.Tenant}
	var subs []int64
	q, err := query(r, "subscription", "type")
	if err == nil {
		f.Types, err = typesOf(q)
	}
	if err == nil {
		subs, err = a.subscriptionsOf(r, c, q)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}

	if len(subs) == 1 {
		f.Sub = subs[0]
	}

	limit := a.limits(c).SSEStreams
	if err := a.Streams.Try(c.Tenant, limit); err != nil {
		a.fail(w, r, tooMany(err, limit, "streams"))
		return
	}
	defer a.Streams.Give(c.Tenant)

	viewer := a.viewer(c)
	attempts := a.Tail.Open(f)
	defer attempts.Close()

	out := stream.NewEvents(w, "text/event-stream")
	defer out.Release()
	out.Beat = a.Beat
	out.Holds = func() bool { return a.holds(c) }
	if out.Send([]byte(": attempts from now on\n\n")) != nil {
		return // the listener went away
	}

	err = stream.Follow(r.Context(), out, attempts.C(), func(t tail.Attempt) ([]byte, error) {
		if len(subs) > 1 && !slices.Contains(subs, t.Item.Sub) {
			return nil, nil
		}
		line, err := json.Marshal(viewer.attempt(&t))
		if err != nil {
			return nil, fmt.Errorf("attempt of %s: %w", t.Delivery, err)
		}
		return fmt.Appendf(nil, "event: attempt\ndata: %s\n\n", line), nil
	})

	// Say why the stream ends, so that a listener knows whether to come back.
	switch {
	case errors.Is(err, stream.ErrRevoked):
		_ = out.Send([]byte("event: ended\ndata: {\"reason\":\"the key holds no longer\"}\n\n"))
	case err != nil: // the listener went away
	case attempts.Slow():
		_ = out.Send([]byte("event: dropped\ndata: {\"reason\":\"attempts were missed: " +
			"the listener is too slow, or another process was not heard; they are in the log\"}\n\n"))
	default:
		_ = out.Send([]byte("event: ended\ndata: {\"reason\":\"the hub stops\"}\n\n"))
	}
}

// tooMany is the answer when fair.Slots.Try refused a tenant one more of what, because
// it has limit of them open.
func tooMany(err error, limit int, what string) error {
	if full, is := errors.AsType[*fair.Full](err); !is || !full.Own {
		return err
	}
	return &problem.Details{
		Status: http.StatusTooManyRequests, RetryAfter: time.Second,
		Detail: fmt.Sprintf("the tenant has %d %s open, which is its limit", limit, what),
	}
}
