package peers

import (
	"context"
	"sync"
	"time"

	"github.com/hookline/hookline/hub/wake"
)

// outbox holds the news of one kind until it is published. News that comes while
// the publisher is busy is merged with the news that waits already, so nobody who
// has news ever blocks, and N bounds how much can wait.
type outbox[N any] struct {
	empty func() N      // makes news that says nothing
	wake  chan struct{} // holds at most one signal

	mu   sync.Mutex
	news N
}

func newOutbox[N any](empty func() N) *outbox[N] {
	return &outbox[N]{empty: empty, wake: make(chan struct{}, 1), news: empty()}
}

// add lets f add to the news that waits, and wakes the publisher.
func (o *outbox[N]) add(f func(news *N)) {
	o.amend(f)
	wake.Up(o.wake)
}

// amend is add without waking the publisher: what f adds goes with the next news.
func (o *outbox[N]) amend(f func(news *N)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(&o.news)
}

// take empties the outbox and returns what it held.
func (o *outbox[N]) take() N {
	o.mu.Lock()
	defer o.mu.Unlock()
	news := o.news
	o.news = o.empty()
	return news
}

// run publishes the news, whenever there is some, until ctx ends. It rests for
// pause after each time.
func (o *outbox[N]) run(ctx context.Context, pause time.Duration, publish func(N)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		publish(o.take())
		if pause == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
