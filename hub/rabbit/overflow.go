package rabbit

import (
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/ingest"
)

// Bounds of the messages that wait because their company is past its rate. One company
// gets half of them at most, or half of what the others leave (fair.Budget).
const (
	overflowMessages = 8192
	overflowRound    = 64 // messages of a company that are tried again together
)

// overflow holds messages of companies that are past their rate, each company's in the
// order in which they came, so that the other companies' go on meanwhile. They stay
// unacknowledged: should the process end, they come again. It belongs to one goroutine.
type overflow struct {
	of     map[string]*backlog
	places fair.Budget[string]
	bytes  fair.Budget[string]
}

// backlog is the messages of one company. It is never empty.
type backlog struct {
	messages []amqp.Delivery
	due      time.Time // when the first one may be tried again
}

func newOverflow(bytes int64) *overflow {
	return &overflow{
		of:     map[string]*backlog{},
		places: fair.Budget[string]{Total: overflowMessages},
		bytes:  fair.Budget[string]{Total: bytes},
	}
}

// companyOf returns whose message it is, as the routing key says: <companyId>.<type>.
func companyOf(d amqp.Delivery) string {
	company, _, _ := strings.Cut(d.RoutingKey, ".")
	return company
}

// waits reports whether messages of a company wait. Later ones must not pass them.
func (o *overflow) waits(company string) bool { return o.of[company] != nil }

// empty reports whether nothing waits.
func (o *overflow) empty() bool { return len(o.of) == 0 }

// add lets a message wait behind those of its company, until due if it is the first;
// false: there is no room.
func (o *overflow) add(d amqp.Delivery, due time.Time) bool {
	company := companyOf(d)
	if !o.places.Take(company, 1) {
		return false
	}
	if !o.bytes.Take(company, int64(len(d.Body))) {
		o.places.Give(company, 1)
		return false
	}

	b := o.of[company]
	if b == nil {
		b = &backlog{due: due}
		o.of[company] = b
	}
	b.messages = append(b.messages, d)
	return true
}

// putBack lets messages of one company that due returned wait again, before its others.
func (o *overflow) putBack(ds []amqp.Delivery, due time.Time) {
	b := o.of[companyOf(ds[0])]
	if b == nil {
		b = &backlog{}
		o.of[companyOf(ds[0])] = b
	}
	b.messages = slices.Concat(ds, b.messages)
	b.due = due
}

// free gives up the room of a message that due returned, and that waits no longer.
func (o *overflow) free(d amqp.Delivery) {
	o.places.Give(companyOf(d), 1)
	o.bytes.Give(companyOf(d), int64(len(d.Body)))
}

// due returns the first messages of the companies whose time has come: at most so many
// messages of so many bytes, or one. They keep their room until putBack or free.
func (o *overflow) due(now time.Time, most, bytes int) (ds []amqp.Delivery) {
	for company, b := range o.of {
		if now.Before(b.due) {
			continue
		}
		n := 0
		for n < min(len(b.messages), overflowRound) && len(ds) < most && (bytes > 0 || len(ds) == 0) {
			d := b.messages[n]
			ds = append(ds, d)
			bytes -= len(d.Body)
			n++
		}
		if b.messages = b.messages[n:]; len(b.messages) == 0 {
			delete(o.of, company)
		}
	}
	return ds
}

// next returns after how long the first messages are due; false: none wait.
func (o *overflow) next(now time.Time) (wait time.Duration, ok bool) {
	for _, b := range o.of {
		if left := max(0, b.due.Sub(now)); !ok || left < wait {
			wait, ok = left, true
		}
	}
	return wait, ok
}

// pastRate is why a message for which the overflow has no room is rejected.
func pastRate() *ingest.Refusal {
	return &ingest.Refusal{Problem: event.Problem{
		Code: ingest.CodeRate, Message: "more events a second than this tenant may send, and too many of its messages wait already",
	}}
}
