package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Condition is the state of a broker, as one can see it without changing anything.
type Condition struct {
	Version   string // of RabbitMQ
	Waiting   int    // messages in the ingest queue that no process has taken; -1: there is no queue yet
	Consumers int    // of the ingest queue: processes that take from it, or stand by
	Rejected  int    // messages in the rejected queue; -1: there is no queue yet
}

const lookWait = 15 * time.Second

// Look returns the condition of the broker with a URL. It declares nothing.
func Look(ctx context.Context, url string) (c Condition, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	b := &Broker{URL: url, Process: "doctor"}
	conn, err := b.dial(ctx, "look", nil)
	if err != nil {
		return c, err
	}
	err = during(ctx, conn, func(_ context.Context, conn *amqp.Connection) error {
		c.Version, _ = conn.Properties["version"].(string)
		q, err := passive(conn, IngestQueue)
		if err != nil {
			return err
		}
		c.Waiting, c.Consumers = q.Messages, q.Consumers
		q, err = passive(conn, RejectedQueue)
		c.Rejected = q.Messages
		return err
	})
	return c, err
}

// passive returns a queue as the broker has it, with -1 messages if there is no such queue.
func passive(conn *amqp.Connection, name string) (amqp.Queue, error) {
	ch, err := conn.Channel()
	if err != nil {
		return amqp.Queue{}, err
	}
	q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
	if why := (*amqp.Error)(nil); errors.As(err, &why) && why.Code == amqp.NotFound {
		return amqp.Queue{Messages: -1}, nil // and the broker closed the channel
	}
	if err != nil {
		return q, fmt.Errorf("look at %s: %w", name, err)
	}
	return q, ch.Close()
}
