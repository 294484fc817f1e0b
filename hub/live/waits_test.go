package live

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

func tell(typ event.Type, at int64, body string, args ...any) *event.Event {
	return &event.Event{Type: typ, OccurredAt: at, Body: fmt.Appendf(nil, body, args...)}
}

// What ends the waits of a contact, whatever the order of arrival.
func TestWaits(t *testing.T) {
	in := func(queue string, at int64) *event.Event {
		return tell(event.QueueEntered, 0, `{"contactId": "c", "media": "call", "queueId": %q, "enteredAt": %d}`, queue, at)
	}
	out := func(queue string, at int64) *event.Event {
		return tell(event.QueueLeft, 0, `{"contactId": "c", "media": "call", "queueId": %q, "leftAt": %d, "outcome": "answered"}`, queue, at)
	}
	for _, c := range []struct {
		name string
		told []*event.Event
		want string // queue entered-ended
	}{
		{"waits", []*event.Event{in("a", 5)}, "a 5-"},
		{"left", []*event.Event{in("a", 5), out("a", 9)}, "a 5-9"},
		{"left another queue", []*event.Event{in("a", 5), out("b", 9)}, "a 5-"},
		{"left before", []*event.Event{out("a", 4), in("a", 5)}, "a 5-"},
		{"left at once", []*event.Event{out("a", 5), in("a", 5)}, "a 5-5"},
		{"another queue ends it", []*event.Event{in("a", 5), in("b", 7)}, "a 5-7 b 7-"},
		{"and stays so", []*event.Event{in("a", 5), in("b", 7), out("a", 9)}, "a 5-7 b 7-"},
		{"again", []*event.Event{in("a", 5), out("a", 6), in("a", 8)}, "a 5-6 a 8-"},
		{"told twice", []*event.Event{in("a", 5), in("a", 5), out("a", 6), out("a", 6)}, "a 5-6"},
	} {
		for _, backwards := range []bool{false, true} {
			call := &Call{}
			for i := range c.told {
				if backwards {
					i = len(c.told) - 1 - i
				}
				call.Add(c.told[i])
			}
			got := ""
			for _, s := range call.waits() {
				got += fmt.Sprintf("%s %d-", s.Queue, s.At)
				if s.Ended {
					got += fmt.Sprint(s.EndsAt)
				}
				got += " "
			}
			require.Equal(t, c.want+" ", got, "%s, backwards %v", c.name, backwards)
		}
	}
}

// Many events of one contact or chat take bounded space, and the last say where it is.
func TestFactsAreBounded(t *testing.T) {
	call, chat := &Call{}, &Chat{}
	for i := range 3 * maxEvents {
		call.Add(tell(event.QueueEntered, 0, `{"contactId": "c", "media": "call", "queueId": "q", "enteredAt": %d}`, i+1))
		chat.Add(tell(event.ChatTransferred, 0, `{"chatId": "c", "toDepartmentId": "d", "at": %d}`, i+1))
	}
	require.Len(t, call.Queue, maxEvents)
	require.EqualValues(t, 3*maxEvents, runningWait(call.waits()).At)
	require.Len(t, chat.Events, maxEvents)
	chat.Add(tell(event.ChatEnded, 0, `{"chatId": "c", "at": %d}`, 9*maxEvents))
	require.Equal(t, ChatOver, chat.State(0, StaleChat))
}
