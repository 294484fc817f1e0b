package live

import (
	"cmp"
	"context"
	"slices"

	"github.com/hookline/hookline/hub/record"
)

// QueueEvents are the queue.* events of one contact, each once: one that comes again with
// the same type, queue and time replaces the earlier one.
type QueueEvents []record.QueueEvent

// maxEvents of a contact or a chat are kept, the newest.
const maxEvents = 500

// add adds an event. Beyond maxEvents the oldest goes.
func (q *QueueEvents) add(e *record.QueueEvent) {
	*q = slices.DeleteFunc(*q, func(o record.QueueEvent) bool {
		return o.Left == e.Left && o.At == e.At && o.Queue == e.Queue
	})
	*q = append(*q, *e)
	if len(*q) <= maxEvents {
		return
	}

	oldest := 0
	for i := range *q {
		if (*q)[i].At < (*q)[oldest].At {
			oldest = i
		}
	}
	*q = slices.Delete(*q, oldest, oldest+1)
}

// latest returns the latest time of all; 0: there are no events.
func (q QueueEvents) latest() (at int64) {
	for i := range q {
		at = max(at, q[i].At)
	}
	return at
}

// earliest returns a text of the earliest event that has one; "": none has.
func (q QueueEvents) earliest(of func(*record.QueueEvent) string) string {
	var f firstText
	for i := range q {
		f.note(q[i].At, of(&q[i]))
	}
	return f.Text
}

// Wait is the time that a contact spends in one queue. It begins with a queue.entered.
type Wait struct {
	record.QueueEvent // its queue.entered; when the wait has ended, with the outcome of queue.left

	Over   bool
	EndsAt int64  // Unix ms; not before it began
	Answer string // agentUUID of queue.left: who answered
}

// WaitHistory has the waits that are over: what share of the contacts was answered within
// some seconds can be asked of any time.
type WaitHistory interface {
	// EachWait gives fn the ended waits that began in a time, from <= t < to, Unix ms, in
	// the order in which they began. It stops with the error of fn.
	EachWait(ctx context.Context, tenant, from, to int64, fn func(Wait) error) error
}

// waits returns the waits of a contact in their order. Entering a queue ends the wait
// before; leaving one ends the wait if it is in that queue, and else means nothing.
func (q QueueEvents) waits(contact string) (all []Wait) {
	events := slices.Clone(q)
	slices.SortStableFunc(events, func(a, b record.QueueEvent) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareBool(a.Left, b.Left)) // entered first
	})

	for _, e := range events {
		last := runningWait(all)
		switch {
		case !e.Left:
			if last != nil {
				last.Over = true
				last.EndsAt = e.At
			}
			e.Contact = contact
			all = append(all, Wait{QueueEvent: e})
		case last != nil && last.Queue == e.Queue:
			last.Over = true
			last.EndsAt = e.At
			last.Outcome = e.Outcome
			last.Answer = e.Agent
		}
	}
	return all
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// runningWait returns the last of a contact's waits unless it has ended; nil: it has, or
// there is none.
func runningWait(all []Wait) *Wait {
	if n := len(all); n > 0 && !all[n-1].Over {
		return &all[n-1]
	}
	return nil
}

// endedWaits returns the waits that are over. The last of them may have no end of its own:
// then it ended when its call or chat did (at), if that is over.
func endedWaits(all []Wait, over bool, at int64) []Wait {
	last := runningWait(all)
	if last == nil {
		return all
	}
	if !over {
		return all[:len(all)-1]
	}
	last.Over = true
	last.EndsAt = max(last.At, at)
	return all
}
