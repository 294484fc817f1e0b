package live

import (
	"cmp"
	"context"
	"slices"

	"github.com/hookline/hookline/hub/event"
)

// QueueEvents are the queue.* events of one contact, each once: one that comes again
// with the same type, queue and time replaces the earlier one.
type QueueEvents []QueueEvent

// QueueEvent is one queue.entered or queue.left. Times are Unix ms.
type QueueEvent struct {
	Left       bool   `json:"x,omitempty"`
	At         int64  `json:"t"`
	Queue      string `json:"q"`
	Media      string `json:"m,omitempty"` // call, chat
	QueueName  string `json:"n,omitempty"`
	Department string `json:"d,omitempty"`
	Group      string `json:"g,omitempty"`
	Agent      string `json:"a,omitempty"` // agentUUID: routed to (entered), answered by (left)
	Strategy   string `json:"s,omitempty"`
	Campaign   string `json:"c,omitempty"`
	Gateway    string `json:"w,omitempty"` // the number that was called
	Customer   string `json:"u,omitempty"` // its number
	Visitor    string `json:"v,omitempty"`
	Identity   string `json:"i,omitempty"` // contactIdentityId
	CallType   int64  `json:"y,omitempty"`
	Outcome    string `json:"o,omitempty"`
}

// maxEvents of a contact or a chat are kept, the newest.
const maxEvents = 500

// ContactOf is the contact that a queue event is about, and its media.
func ContactOf(e *event.Event) (id, media string) {
	if e.Type != event.QueueEntered && e.Type != event.QueueLeft {
		return "", ""
	}
	b := read(e.Body)
	return b.text("contactId"), b.text("media")
}

// ReadQueueEvent reads a queue event.
func ReadQueueEvent(e *event.Event) QueueEvent { return readQueueEvent(e.Type, read(e.Body)) }

func readQueueEvent(t event.Type, b body) QueueEvent {
	f := QueueEvent{Left: t == event.QueueLeft, At: b.time("enteredAt")}
	if f.Left {
		f.At = b.time("leftAt")
	}
	for name, field := range map[string]*string{
		"queueId": &f.Queue, "media": &f.Media, "queueName": &f.QueueName, "departmentId": &f.Department, "groupId": &f.Group,
		"agentUUID": &f.Agent, "strategy": &f.Strategy, "campaignId": &f.Campaign, "gatewayNumber": &f.Gateway,
		"customerNumber": &f.Customer, "visitorId": &f.Visitor, "contactIdentityId": &f.Identity, "outcome": &f.Outcome,
	} {
		*field = b.text(name)
	}
	f.CallType, _ = b.value("callType").Int()
	return f
}

// add a fact.
func (q *QueueEvents) add(f QueueEvent) {
	*q = slices.DeleteFunc(*q, func(o QueueEvent) bool { return o.Left == f.Left && o.At == f.At && o.Queue == f.Queue })
	*q = append(*q, f)
	if len(*q) > maxEvents {
		oldest := slices.MinFunc(*q, func(a, b QueueEvent) int { return cmp.Compare(a.At, b.At) })
		i := slices.IndexFunc(*q, func(o QueueEvent) bool { return o == oldest })
		*q = slices.Delete(*q, i, i+1)
	}
}

// latest time of all; 0: there is none.
func (q QueueEvents) latest() (at int64) {
	for i := range q {
		at = max(at, q[i].At)
	}
	return at
}

// earliest value that is not empty.
func (q QueueEvents) earliest(of func(*QueueEvent) string) string {
	var f firstText
	for i := range q {
		f.note(q[i].At, of(&q[i]))
	}
	return f.Text
}

// Wait is the time that a contact spends in one queue. It begins with a queue.entered.
type Wait struct {
	QueueEvent // its queue.entered; when the wait has ended, with the outcome of queue.left

	Contact string // callID or chatId
	Ended   bool
	EndsAt  int64  // Unix ms; not before it began
	Answer  string // agentUUID of queue.left: who answered
}

// WaitHistory has the waits that are over: what share of the contacts was answered within some
// seconds can be asked of any time.
type WaitHistory interface {
	// EachWait gives fn the ended waits that began in a time, from <= t < to, Unix ms, in
	// the order in which they began. It stops with the error of fn.
	EachWait(ctx context.Context, tenant, from, to int64, fn func(Wait) error) error
}

// waits returns the waits of a contact in their order: entering a queue ends the wait
// before.
func (q QueueEvents) waits(contact string) (all []Wait) {
	facts := slices.Clone(q)
	slices.SortStableFunc(facts, func(a, b QueueEvent) int {
		entered := func(f QueueEvent) int {
			if f.Left {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(entered(a), entered(b)))
	})
	for _, f := range facts {
		var last *Wait
		if n := len(all); n > 0 && !all[n-1].Ended {
			last = &all[n-1]
		}
		switch {
		case !f.Left:
			if last != nil {
				last.Ended, last.EndsAt = true, f.At
			}
			all = append(all, Wait{QueueEvent: f, Contact: contact})
		case last != nil && last.Queue == f.Queue:
			last.Ended, last.EndsAt, last.Outcome, last.Answer = true, f.At, f.Outcome, f.Agent
		}
	}
	return all
}

// runningWait returns the last of a contact's waits unless it has ended; nil: it has, or
// there is none.
func runningWait(all []Wait) *Wait {
	if n := len(all); n > 0 && !all[n-1].Ended {
		return &all[n-1]
	}
	return nil
}

// endedWaits returns the waits that are over, also those that ended with the call or
// chat: that is over, and ended at a time.
func endedWaits(all []Wait, over bool, at int64) []Wait {
	last := runningWait(all)
	switch {
	case last == nil:
	case over:
		last.Ended, last.EndsAt = true, max(last.At, at)
	default:
		all = all[:len(all)-1]
	}
	return all
}
