package hub

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill/message"
)

// spare is two transports: what the first does not take goes by the second, and
// subscribers hear both.
type spare struct{ first, second Transport }

func (s spare) Publish(topic string, messages ...*message.Message) error {
	if err := s.first.Publish(topic, messages...); err == nil {
		return nil
	}
	return s.second.Publish(topic, messages...)
}

func (s spare) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	first, err := s.first.Subscribe(ctx, topic)
	if err != nil {
		cancel()
		return nil, err
	}
	second, err := s.second.Subscribe(ctx, topic)
	if err != nil {
		cancel()
		return nil, err
	}
	out := make(chan *message.Message)
	go func() { // until both have ended, which they do with ctx
		defer close(out)
		defer cancel()
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
	}()
	return out, nil
}

// Close both.
func (s spare) Close() error { return errors.Join(s.first.Close(), s.second.Close()) }
