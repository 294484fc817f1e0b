package rabbit

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	wamqp "github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill/message"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/hookline/hookline/hub/ingest"
)

// marshaler makes Watermill's messages of deliveries. It accepts everything. That of
// watermill-amqp refuses headers that are no texts, which brokers add themselves
// (x-delivery-count, x-death), and then the message comes back for ever.
type marshaler struct{}

var _ wamqp.Marshaler = marshaler{}

// Unmarshal never fails. Properties have the names that package ingest gives them, whatever
// headers there are.
func (marshaler) Unmarshal(d amqp.Delivery) (*message.Message, error) {
	m := message.NewMessage(d.MessageId, d.Body)
	m.Metadata = make(message.Metadata, len(d.Headers)+4)
	for name, v := range d.Headers {
		m.Metadata[name] = text(v)
	}
	m.Metadata[ingest.MetaRoutingKey] = d.RoutingKey
	m.Metadata[ingest.MetaUser] = d.UserId
	m.Metadata[ingest.MetaContentType] = d.ContentType
	m.Metadata[ingest.MetaEncoding] = d.ContentEncoding
	return m, nil
}

// Marshal makes a message that is not kept when the broker restarts.
func (marshaler) Marshal(m *message.Message) (amqp.Publishing, error) {
	return amqp.Publishing{MessageId: m.UUID, DeliveryMode: amqp.Transient, Body: m.Payload}, nil
}

// text returns the value of a header as a text.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
		return base64.StdEncoding.EncodeToString(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v) // numbers, decimals, tables, arrays
}
