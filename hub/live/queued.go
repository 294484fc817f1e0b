package live

import (
	"cmp"
	"context"
	"slices"

	"github.com/hookline/hookline/hub/event"
)

// Queued is what the queue.* events of one contact say, each fact once: the same
// type, queue and time told again replaces it.
type Queued []QueueFact

// QueueFact is one queue.entered or queue.left. Times are Unix ms.
type QueueFact struct {
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

// maxFacts of a contact or a chat that are kept, the newest: nobody waits longer.
const maxFacts = 500

// ContactOf is the contact that a queue event is about, and its media.
func ContactOf(e *event.Event) (id, media string) {
	if e.Type != event.QueueEntered && e.Type != event.QueueLeft {
		return "", ""
	}
	b := read(e.Body)
	return b.text("contactId"), b.text("media")
}

// ReadQueueFact reads a queue event.
func ReadQueueFact(e *event.Event) QueueFact { return queueFact(e.Type, read(e.Body)) }

func queueFact(t event.Type, b body) QueueFact {
	f := QueueFact{Left: t == event.QueueLeft, At: b.time("enteredAt")}
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
func (q *Queued) add(f QueueFact) {
	*q = slices.DeleteFunc(*q, func(o QueueFact) bool { return o.Left == f.Left && o.At == f.At && o.Queue == f.Queue })
	*q = append(*q, f)
	if len(*q) > maxFacts {
		oldest := slices.MinFunc(*q, func(a, b QueueFact) int { return cmp.Compare(a.At, b.At) })
		i := slices.IndexFunc(*q, func(o QueueFact) bool { return o == oldest })
		*q = slices.Delete(*q, i, i+1)
	}
}

// latest time of all; 0: there is none.
func (q Queued) latest() (at int64) {
	for i := range q {
		at = max(at, q[i].At)
	}
	return at
}

// earliest value that is not empty.
func (q Queued) earliest(of func(*QueueFact) string) string {
	var f first
	for i := range q {
		f.hear(q[i].At, of(&q[i]))
	}
	return f.Is
}

// Stay of a contact in one queue.
type Stay struct {
	QueueFact // of its queue.entered

	Ended  bool
	EndsAt int64  // Unix ms; not before it was entered
	Answer string // agentUUID of queue.left
}

// Wait is a stay in a queue that is over. Times are Unix ms.
type Wait struct {
	Media      string `db:"media"`      // call, chat
	Contact    string `db:"contact_id"` // callID or chatId
	Queue      string `db:"queue"`
	EnteredAt  int64  `db:"entered_at"`
	EndedAt    int64  `db:"ended_at"`
	Outcome    string `db:"outcome"` // of queue.left; "": the contact went to another queue, or its call or chat ended
	Agent      string `db:"agent"`   // agentUUID that answered
	Department string `db:"department_id"`
	Group      string `db:"group_id"`
	Campaign   string `db:"campaign_id"`
	Gateway    string `db:"gateway_number"`
	CallType   int64  `db:"call_type"`
}

// Waits has those of the past: what share of the contacts was answered within some
// seconds can be asked of any time.
type Waits interface {
	// EachWait gives those that began in a time, From <= t < To, Unix ms, by when they
	// began. It stops with the error of fn.
	EachWait(ctx context.Context, tenant, from, to int64, fn func(Wait) error) error
}

// stays in their order: entering a queue ends the stay before.
func (q Queued) stays() (all []Stay) {
	facts := slices.Clone(q)
	slices.SortStableFunc(facts, func(a, b QueueFact) int {
		entered := func(f QueueFact) int {
			if f.Left {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(entered(a), entered(b)))
	})
	for _, f := range facts {
		var last *Stay
		if n := len(all); n > 0 && !all[n-1].Ended {
			last = &all[n-1]
		}
		switch {
		case !f.Left:
			if last != nil {
				last.Ended, last.EndsAt = true, f.At
			}
			all = append(all, Stay{QueueFact: f})
		case last != nil && last.Queue == f.Queue:
			last.Ended, last.EndsAt, last.Outcome, last.Answer = true, f.At, f.Outcome, f.Agent
		}
	}
	return all
}

// running is the stay that nothing has ended; nil: none.
func running(all []Stay) *Stay {
	if n := len(all); n > 0 && !all[n-1].Ended {
		return &all[n-1]
	}
	return nil
}

// ended are the stays that are over, also by the end of the call or chat that waited.
func ended(all []Stay, over bool, at int64) []Stay {
	last := running(all)
	switch {
	case last == nil:
	case over:
		last.Ended, last.EndsAt = true, max(last.At, at)
	default:
		all = all[:len(all)-1]
	}
	return all
}
