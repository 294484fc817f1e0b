package tail

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// maxError bounds the text of an error that other processes get, in bytes.
const maxError = 512

// wire is an Attempt as it travels between processes: what listeners are shown.
type wire struct {
	Tenant       int64  `json:"tenant"`
	Delivery     string `json:"delivery"`
	Subscription string `json:"subscription"`
	Event        string `json:"event"`
	OrderKey     string `json:"orderKey"`
	Sub          int64  `json:"sub"`
	Seq          int64  `json:"seq"`
	Run          int    `json:"run"`
	Type         string `json:"type"`
	N            int    `json:"n"`
	At           int64  `json:"at"`    // Unix ms
	Total        int64  `json:"total"` // µs
	RemoteIP     string `json:"remoteIp"`
	Status       int    `json:"status"`
	Class        string `json:"class"`
	Err          string `json:"err"`
	Late         bool   `json:"late"`
	Replay       bool   `json:"replay"`
	State        string `json:"state"`
	DueAt        int64  `json:"dueAt"` // Unix ms
}

// Encode encodes an attempt for another process, as one value of JSON. It cuts the text of
// an error after 512 bytes.
func Encode(t Attempt) ([]byte, error) {
	it, a := t.Item, t.Attempt
	reason := a.Err
	if len(reason) > maxError {
		reason = strings.ToValidUTF8(reason[:maxError], "")
	}

	return json.Marshal(wire{
		Tenant: t.Tenant, Delivery: t.Delivery, Subscription: t.Subscription, Event: t.Event, OrderKey: t.OrderKey,
		Sub: it.Sub, Seq: it.Seq, Run: it.Run, Type: it.Type.String(), N: a.N, At: a.At, Total: a.Total.Microseconds(),
		RemoteIP: a.RemoteIP,
		Status:   a.StatusCode, Class: a.Class.String(), Err: reason, Late: a.Late, Replay: a.Replay,
		State: t.Verdict.State.String(), DueAt: t.Verdict.DueAt,
	})
}

// Decode decodes what Encode made. It returns false for anything else.
func Decode(raw []byte) (Attempt, bool) {
	var w wire
	if err := json.Unmarshal(raw, &w); err != nil {
		return Attempt{}, false
	}

	typ, known := event.ParseType(w.Type)
	state, ok := delivery.ParseState(w.State)
	class, failed := delivery.ParseErrorClass(w.Class)
	if !known || !ok || !failed && w.Class != "" {
		return Attempt{}, false
	}

	return Attempt{
		Tenant: w.Tenant, Delivery: w.Delivery, Subscription: w.Subscription, Event: w.Event, OrderKey: w.OrderKey,
		Item: delivery.Item{ID: delivery.ID{Sub: w.Sub, Seq: w.Seq, Run: w.Run}, Type: typ},
		Attempt: delivery.Attempt{
			N: w.N, At: w.At, Total: time.Duration(w.Total) * time.Microsecond, RemoteIP: w.RemoteIP,
			StatusCode: w.Status, Class: class, Err: w.Err, Late: w.Late, Replay: w.Replay,
		},
		Verdict: delivery.Verdict{State: state, DueAt: w.DueAt},
	}, true
}
