package live

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
)

// says returns what an event says.
func says(typ event.Type, at int64, body string, args ...any) *record.Record {
	r := record.Read(&event.Event{Type: typ, OccurredAt: at, Body: fmt.Appendf(nil, body, args...)})
	return &r
}

// What ends the waits of a contact, whatever the order of arrival.
func TestWaits(t *testing.T) {
	in := func(queue string, at int64) *record.Record {
		return says(event.QueueEntered, 0, `{"contactId": "c", "media": "call", "queueId": %q, "enteredAt": %d}`, queue, at)
	}
	out := func(queue string, at int64) *record.Record {
		return says(event.QueueLeft, 0, `{"contactId": "c", "media": "call", "queueId": %q, "leftAt": %d, "outcome": "answered"}`,
			queue, at)
	}

	for _, c := range []struct {
		name   string
		events []*record.Record
		want   string // queue entered-ended
	}{
		{"waits", []*record.Record{in("a", 5)}, "a 5-"},
		{"left", []*record.Record{in("a", 5), out("a", 9)}, "a 5-9"},
		{"left another queue", []*record.Record{in("a", 5), out("b", 9)}, "a 5-"},
		{"left before", []*record.Record{out("a", 4), in("a", 5)}, "a 5-"},
		{"left at once", []*record.Record{out("a", 5), in("a", 5)}, "a 5-5"},
		{"another queue ends it", []*record.Record{in("a", 5), in("b", 7)}, "a 5-7 b 7-"},
		{"and stays so", []*record.Record{in("a", 5), in("b", 7), out("a", 9)}, "a 5-7 b 7-"},
		{"again", []*record.Record{in("a", 5), out("a", 6), in("a", 8)}, "a 5-6 a 8-"},
		{"each twice", []*record.Record{in("a", 5), in("a", 5), out("a", 6), out("a", 6)}, "a 5-6"},
	} {
		for _, backwards := range []bool{false, true} {
			call := &Call{}
			for i := range c.events {
				if backwards {
					i = len(c.events) - 1 - i
				}
				call.Add(c.events[i])
			}

			got := ""
			for _, s := range call.waits() {
				got += fmt.Sprintf("%s %d-", s.Queue, s.At)
				if s.Over {
					got += fmt.Sprint(s.EndsAt)
				}
				got += " "
			}
			require.Equal(t, c.want+" ", got, "%s, backwards %v", c.name, backwards)
		}
	}
}

// Many events of one contact or chat take bounded space, and the last ones say where it is.
func TestFactsAreBounded(t *testing.T) {
	call, chat := &Call{}, &Chat{}
	for i := range 3 * maxEvents {
		call.Add(says(event.QueueEntered, 0, `{"contactId": "c", "media": "call", "queueId": "q", "enteredAt": %d}`, i+1))
		chat.Add(says(event.ChatTransferred, 0, `{"chatId": "c", "toDepartmentId": "d", "at": %d}`, i+1))
	}
	require.Len(t, call.Queue, maxEvents)
	require.EqualValues(t, 3*maxEvents, runningWait(call.waits()).At)
	require.Len(t, chat.Events, maxEvents)
	chat.Add(says(event.ChatEnded, 0, `{"chatId": "c", "at": %d}`, 9*maxEvents))
	require.Equal(t, ChatOver, chat.State(0, StaleChat))
}
