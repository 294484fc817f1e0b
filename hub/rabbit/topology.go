package rabbit

import (
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wamqp "github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Names at the broker. All begin with "hookline.", so that permissions can name the prefix.
const (
	EventsExchange   = "hookline.events"   // topic: platforms publish here, with routing key <companyId>.<type>
	IngestQueue      = "hookline.ingest"   // quorum: what waits to be stored
	RejectedExchange = "hookline.rejected" // fanout, so that a message keeps its routing key
	RejectedQueue    = "hookline.ingest.rejected"
	NudgesExchange   = "hookline.nudges" // direct, by topic
	nudgesQueues     = "hookline.nudges."
)

const (
	nudgeTTL   = 10 * time.Second // after that each lane has looked for itself
	nudgesKept = 1000             // messages for a process that is busy; with more the oldest are dropped
)

// ingestTopology describes the ingest queue. One process consumes at a time, or messages of a
// key could overtake each other; the next one takes over when its connection ends. The limit
// of deliveries is never reached: with its default RabbitMQ 4 drops what came 20 times, and
// without a limit what comes back goes to the end of the queue.
func ingestTopology() wamqp.Config {
	return wamqp.Config{
		Exchange: wamqp.ExchangeConfig{
			GenerateName: wamqp.GenerateExchangeNameConstant(EventsExchange), Type: "topic", Durable: true,
		},
		Queue: wamqp.QueueConfig{
			GenerateName: wamqp.GenerateQueueNameConstant(IngestQueue), Durable: true,
			Arguments: amqp.Table{
				amqp.QueueTypeArg: amqp.QueueTypeQuorum, amqp.SingleActiveConsumerArg: true, "x-delivery-limit": 1_000_000,
			},
		},
		QueueBind: wamqp.QueueBindConfig{GenerateRoutingKey: func(string) string { return "#" }},
		Consume:   wamqp.ConsumeConfig{Qos: wamqp.QosConfig{PrefetchCount: prefetch}},
		Marshaler: marshaler{}, TopologyBuilder: &wamqp.DefaultTopologyBuilder{},
	}
}

func rejectedTopology() wamqp.Config {
	return wamqp.Config{
		Exchange: wamqp.ExchangeConfig{
			GenerateName: wamqp.GenerateExchangeNameConstant(RejectedExchange), Type: "fanout", Durable: true,
		},
		Queue: wamqp.QueueConfig{
			GenerateName: wamqp.GenerateQueueNameConstant(RejectedQueue), Durable: true,
			Arguments: amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum},
		},
		QueueBind:       wamqp.QueueBindConfig{GenerateRoutingKey: func(string) string { return "" }},
		TopologyBuilder: &wamqp.DefaultTopologyBuilder{},
	}
}

// nudgesTopology describes the queue of one subscriber: it is short, in memory, and deleted with
// the connection.
func nudgesTopology(queue string) wamqp.Config {
	return wamqp.Config{
		Exchange: wamqp.ExchangeConfig{
			GenerateName: wamqp.GenerateExchangeNameConstant(NudgesExchange), Type: "direct", Durable: true,
		},
		Queue: wamqp.QueueConfig{
			GenerateName: wamqp.GenerateQueueNameConstant(queue), Exclusive: true, AutoDelete: true,
			Arguments: amqp.Table{
				amqp.QueueTypeArg: amqp.QueueTypeClassic, amqp.QueueMaxLenArg: nudgesKept,
				amqp.QueueMessageTTLArg: int(nudgeTTL.Milliseconds()),
			},
		},
		QueueBind: wamqp.QueueBindConfig{GenerateRoutingKey: func(topic string) string { return topic }},
		Consume:   wamqp.ConsumeConfig{Qos: wamqp.QosConfig{PrefetchCount: 16}},
		Marshaler: marshaler{}, TopologyBuilder: &wamqp.DefaultTopologyBuilder{},
	}
}

// declare declares what a topology has for a topic. Mostly it exists already; the broker
// answers with an error if it was declared with other arguments.
func declare(ch *amqp.Channel, c wamqp.Config, topic string) error {
	return c.TopologyBuilder.BuildTopology(ch, wamqp.BuildTopologyParams{
		Topic: topic, QueueName: c.Queue.GenerateName(topic), ExchangeName: c.Exchange.GenerateName(topic),
		RoutingKey: c.QueueBind.GenerateRoutingKey(topic),
	}, c, watermill.NopLogger{})
}

// consume consumes what a topology has for a topic, on a channel of its own. The consumer has
// the name of the topic.
func consume(conn *amqp.Connection, c wamqp.Config, topic string) (*amqp.Channel, <-chan amqp.Delivery, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, err
	}
	if err := declare(ch, c, topic); err != nil {
		return nil, nil, err
	}
	if err := ch.Qos(c.Consume.Qos.PrefetchCount, 0, false); err != nil {
		return nil, nil, err
	}
	in, err := ch.Consume(c.Queue.GenerateName(topic), topic, false, c.Consume.Exclusive, false, false, nil)
	return ch, in, err
}
