package peers

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Spare is a Transport made of two. A message that First refuses goes by Second,
// and subscribers get the messages of both.
type Spare struct{ First, Second Transport }

// Publish implements Transport.
func (s Spare) Publish(topic string, messages ...*message.Message) error {
	if err := s.First.Publish(topic, messages...); err == nil {
		return nil
	}
	return s.Second.Publish(topic, messages...)
}

// Subscribe implements Transport.
func (s Spare) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	first, err := s.First.Subscribe(ctx, topic)
	if err != nil {
		cancel()
		return nil, err
	}
	second, err := s.Second.Subscribe(ctx, topic)
	if err != nil {
		cancel()
		return nil, err
	}

	out := make(chan *message.Message)
	go func() {
		defer close(out)
		defer cancel()
		forward(ctx, out, first, second)
	}()
	return out, nil
}

// forward passes on what comes from first and second until both have ended, as
// they do when ctx ends.
func forward(ctx context.Context, out chan<- *message.Message, first, second <-chan *message.Message) {
	for first != nil || second != nil {
		var m *message.Message
		var open bool
		select {
		case m, open = <-first:
			if !open {
				first = nil
			}
		case m, open = <-second:
			if !open {
				second = nil
			}
		}
		if !open {
			continue
		}
		select {
		case out <- m:
		case <-ctx.Done(): // whoever sent it sees that too
		}
	}
}

// Close closes both.
func (s Spare) Close() error { return errors.Join(s.First.Close(), s.Second.Close()) }
