package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/source/mapping"
)

// Input is a message as it is kept.
type Input struct {
	Seq        int64
	ReceivedAt int64 // Unix ms
	Meta       Meta
	Body       []byte // nil: it was not asked for
	Size       int64
	Status     Status
	Reason     string
	Row        int // of the mapping that decided; 0: none
	Version    int64
	Events     int
	Replayed   bool // it was rejected before, and is mapped again
}

// Outcome is what became of an input.
type Outcome struct {
	Seq    int64
	Size   int64
	Status Status
	Reason string
	Row    int
	Events int
}

// Bounds of what one input may become.
const (
	maxEventsOfInput = 100
	maxReason        = 500 // bytes
	staleAfter       = time.Hour
)

// translator makes events of the inputs of one source, one after the other.
type translator struct {
	source  *Source
	mapping *mapping.Mapping
	gate    event.Gate
	now     func() time.Time
}

// one makes events of one input. Nothing of an input is taken if a part of it cannot be.
func (t *translator) one(in *Input) ([]*event.Event, Outcome) {
	out := Outcome{Seq: in.Seq, Size: in.Size}
	emitted, err := t.mapping.Map(mapping.Input{
		Body: in.Body, Headers: in.Meta.Headers, Query: in.Meta.Query, Rest: in.Meta.Rest, Received: in.ReceivedAt,
	})
	var failure *mapping.Failure
	switch {
	case errors.Is(err, mapping.ErrIgnored):
		out.Status = Ignored
		return nil, out
	case errors.As(err, &failure):
		out.Row = failure.Row
		return nil, out.reject(err.Error())
	case err != nil:
		return nil, out.reject(err.Error())
	}

	var events []*event.Event
	for _, e := range emitted {
		out.Row = e.Row
		if len(events) == maxEventsOfInput {
			return nil, out.reject(fmt.Sprintf("becomes more than %d events", maxEventsOfInput))
		}
		made, err := t.event(in, e, len(events))
		if err != nil {
			return nil, out.reject(fmt.Sprintf("row %d: %v", e.Row, err))
		}
		if in.Replayed && !t.stillWanted(made) {
			continue
		}
		events = append(events, made)
	}

	out.Status, out.Events = Mapped, len(events)
	if len(events) == 0 {
		out.Status, out.Reason = Ignored, "stale"
	}
	return events, out
}

func (o Outcome) reject(reason string) Outcome {
	o.Status = Rejected
	o.Reason = cut(reason, maxReason)
	o.Events = 0
	return o
}

// event makes the n-th event of an input. Its id follows from the input, so that the same input
// makes the same event, however often it is mapped.
func (t *translator) event(in *Input, e mapping.Emitted, n int) (*event.Event, error) {
	envelope := struct {
		ID   string         `json:"id"`
		Type string         `json:"type"`
		Time int64          `json:"time,omitempty"`
		Data map[string]any `json:"data"`
	}{
		ID:   t.source.ID + "." + strconv.FormatInt(in.Seq, 36) + "." + strconv.Itoa(n),
		Type: e.What, Time: e.Time, Data: e.Fields,
	}
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(envelope); err != nil {
		return nil, fmt.Errorf("cannot be written as JSON: %w", err)
	}

	made, bad := t.gate.Envelope(raw.Bytes())
	if bad != nil {
		if bad.Field != "" {
			return nil, fmt.Errorf("%s: %s", bad.Field, bad.Message)
		}
		return nil, errors.New(bad.Message)
	}
	made.Tenant, made.CompanyID = t.source.Tenant, t.source.CompanyID
	made.KeyID, made.Source = t.source.ID, "source"
	return made, nil
}

// noSubscription is a target that no subscription has.
const noSubscription = -1

// stillWanted reports whether an event that an input makes late, because it was rejected at
// first, is worth anything. Records are; of what is only live, the status of an agent is
// history, which nobody is pushed any more, and the rest is stale.
func (t *translator) stillWanted(e *event.Event) bool {
	if e.Type.Class() == event.CDR || t.now().UnixMilli()-e.OccurredAt < staleAfter.Milliseconds() {
		return true
	}
	if e.Type == event.AgentStatus {
		e.Target = noSubscription
		return true
	}
	return false
}
