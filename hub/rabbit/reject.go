package rabbit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/hookline/hookline/hub/ingest"
)

// Headers that a message in the rejected queue has beside its own.
const (
	HeaderReason  = "x-hookline-reason"  // code of the first problem
	HeaderMessage = "x-hookline-message" // the same for people
	HeaderField   = "x-hookline-field"   // JSON pointer into the item; absent: the problem is not one of a field
	// JSON: [{"index", "id", "code", "message", "field"}] of the events that are refused; absent:
	// the message is refused as a whole
	HeaderItems   = "x-hookline-items"
	HeaderTaken   = "x-hookline-taken"    // how many of its events were accepted all the same
	HeaderUser    = "x-hookline-user"     // who published it, checked by the broker
	HeaderCame    = "x-hookline-exchange" // where it was published
	HeaderAt      = "x-hookline-at"       // when it was refused, RFC 3339
	HeaderDropped = "x-hookline-headers"  // "dropped": its own headers were too long to be kept
)

const (
	maxHeaders = 64 << 10 // bytes of a message's own headers; a frame has 128 KiB
	maxItems   = 16 << 10 // bytes of HeaderItems
)

// reject puts refused messages into the rejected queue, and acknowledges them when the broker
// has confirmed that. waiting are the refusals that the connections before this one left.
func (f *Feed) reject(ctx context.Context, conn *amqp.Connection, waiting *[]refusal) error {
	var p publisher
	if err := p.open(conn); err != nil {
		return err
	}
	for {
		if err := f.gather(ctx, &p, waiting); err != nil {
			return err
		}
		if err := p.publish(ctx, *waiting); err != nil {
			return err
		}

		for _, r := range *waiting {
			_ = r.Ack(false) // an error means that its connection ended: it comes again, and is refused again
			r.life.bytes.Add(-int64(len(r.Body)))
			r.life.rejecting.Add(-1)
			f.Broker.Metrics.messages.WithLabelValues("rejected").Inc()
			f.Broker.Metrics.rejected.WithLabelValues(r.why.Code).Inc()
		}

		*waiting = nil
	}
}

// gather waits for refused messages, at least one. It leaves out those that come again because
// their connection ended.
func (f *Feed) gather(ctx context.Context, p *publisher, waiting *[]refusal) error {
	var still []refusal
	for _, r := range *waiting {
		if !over(r.life) {
			still = append(still, r)
		}
	}
	*waiting = still

	for len(*waiting) < rejectBatch {
		if len(*waiting) > 0 {
			select {
			case r := <-f.refused:
				*waiting = append(*waiting, r)
				continue
			default:
				return nil
			}
		}

		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case note, open := <-p.notes:
			p.note(note, open)
		case r := <-f.refused:
			if !over(r.life) {
				*waiting = append(*waiting, r)
			}
		}
	}
	return nil
}

// over reports whether a connection has ended.
func over(l *life) bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// publisher publishes with confirmations.
type publisher struct {
	ch       *amqp.Channel
	returned chan amqp.Return
	notes    chan amqp.Blocking // must always be read soon, as the connection waits for that
	blocked  bool               // the broker is short of memory or disk, and takes nothing
}

func (p *publisher) open(conn *amqp.Connection) (err error) {
	p.notes = conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	if p.ch, err = conn.Channel(); err != nil {
		return err
	}
	if err := declare(p.ch, rejectedTopology(), ""); err != nil {
		return err
	}
	p.returned = p.ch.NotifyReturn(make(chan amqp.Return, rejectBatch))
	return p.ch.Confirm(false)
}

func (p *publisher) note(b amqp.Blocking, open bool) {
	p.blocked = b.Active
	if !open {
		p.notes = nil // the connection has ended
	}
}

// publish publishes all refused messages, then waits for all confirmations.
func (p *publisher) publish(ctx context.Context, rs []refusal) error {
	confirms := make([]*amqp.DeferredConfirmation, len(rs))
	for i, r := range rs {
		var err error
		confirms[i], err = p.ch.PublishWithDeferredConfirm(RejectedExchange, r.RoutingKey, true, false,
			r.publishing(time.Now()))
		if err != nil {
			return fmt.Errorf("reject a message: %w", err)
		}
	}

	for _, c := range confirms {
		if err := p.confirmed(ctx, c); err != nil {
			return err
		}
	}

	// The broker also confirms a message for which it found no queue, and says so before.
	select {
	case r := <-p.returned:
		return fmt.Errorf("reject a message: the broker found no queue for it: %s", r.ReplyText)
	default:
		return nil
	}
}

// confirmed waits until the broker has confirmed a message. The broker may take its time while
// it is short of memory or disk: to publish again would only double the message.
func (p *publisher) confirmed(ctx context.Context, c *amqp.DeferredConfirmation) error {
	for {
		timeout := time.NewTimer(confirmWait)
		select {
		case <-ctx.Done():
			timeout.Stop()
			return context.Cause(ctx)
		case <-c.Done():
			timeout.Stop()
			if !c.Acked() {
				return errors.New("reject a message: the broker could not keep it")
			}
			return nil
		case b, open := <-p.notes:
			p.note(b, open)
		case <-timeout.C:
			if !p.blocked {
				return errors.New("reject a message: no confirmation")
			}
		}
		timeout.Stop()
	}
}

// publishing returns the message as it goes to the rejected queue: as it came, and why it was
// refused. Published to EventsExchange again, it is as it was before.
func (r refusal) publishing(now time.Time) amqp.Publishing {
	h := amqp.Table{}
	if size(r.Headers) <= maxHeaders {
		maps.Copy(h, r.Headers)
	} else {
		h[HeaderDropped] = "dropped"
	}

	// These headers would tell the broker what to do with the message.
	for _, name := range []string{"CC", "BCC", "x-delivery-count"} {
		delete(h, name)
	}

	if h.Validate() != nil { // a header has a type that the library reads but cannot write
		for name, v := range h {
			h[name] = text(v)
		}
	}
	h[HeaderReason], h[HeaderMessage], h[HeaderTaken] = r.why.Code, r.why.Message, int64(r.why.Taken)
	h[HeaderCame], h[HeaderAt] = cmp.Or(r.Exchange, "(default)"), now.UTC().Format(time.RFC3339Nano)

	if r.why.Field != "" {
		h[HeaderField] = r.why.Field
	}
	if r.UserId != "" {
		h[HeaderUser] = r.UserId
	}
	if len(r.why.Items) > 0 {
		h[HeaderItems] = list(r.why.Items)
	}

	return amqp.Publishing{
		Headers: h, ContentType: r.ContentType, ContentEncoding: r.ContentEncoding, DeliveryMode: amqp.Persistent,
		Priority: r.Priority, CorrelationId: r.CorrelationId, ReplyTo: r.ReplyTo, MessageId: r.MessageId,
		Timestamp: r.Timestamp, Type: r.Type, AppId: r.AppId, Body: r.Body,
		// Without Expiration, as it must stay, and without UserId, which must be the hub's own.
	}
}

// list returns items as JSON, as many as there is room for.
func list(items []ingest.RefusedItem) string {
	b := []byte("[")
	for i, it := range items {
		j, err := json.Marshal(it)
		if err != nil || len(b)+len(j) > maxItems {
			break
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, j...)
	}
	return string(append(b, ']'))
}

// size returns how many bytes a header's value takes on the wire, or a little more.
func size(v any) int {
	n := 16
	switch v := v.(type) {
	case string:
		n += len(v)
	case []byte:
		n += len(v)
	case amqp.Table:
		for name, e := range v {
			n += len(name) + 1 + size(e)
		}
	case []any:
		for _, e := range v {
			n += size(e)
		}
	}
	return n
}
