package storage

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

const hourMS = 3_600_000

// hourDeltas gathers what one transaction adds to delivery_hours and
// attempt_hours, so that a batch writes a row per subscription, not per event.
type hourDeltas struct {
	states   map[stateHour]*[7]int64 // by delivery.State; Pending counts what was matched
	attempts map[attemptHour]*[2]int64
}

type stateHour struct {
	sub, hour int64
	class     event.Class
}

type attemptHour struct {
	stateHour
	bucket int
}

func (h *hourDeltas) reset() {
	h.states = map[stateHour]*[7]int64{}
	h.attempts = map[attemptHour]*[2]int64{}
}

func (h *hourDeltas) state(sub, at int64, class event.Class) *[7]int64 {
	k := stateHour{sub, at / hourMS, class}
	n := h.states[k]
	if n == nil {
		n = new([7]int64)
		h.states[k] = n
	}
	return n
}

func (h *hourDeltas) matched(sub, acceptedAt int64, class event.Class) {
	h.state(sub, acceptedAt, class)[delivery.Pending]++
}

func (h *hourDeltas) ended(sub, acceptedAt int64, class event.Class, s delivery.State) {
	h.state(sub, acceptedAt, class)[s]++
}

// latencyBucket of an attempt: the smallest b with total <= 2^b ms, at most 15.
func latencyBucket(a *delivery.Attempt) int {
	return min(bits.Len64(uint64(max(a.Total.Milliseconds(), 0))), 15)
}

func (h *hourDeltas) attempt(sub int64, a *delivery.Attempt, class event.Class) {
	k := attemptHour{stateHour{sub, a.At / hourMS, class}, latencyBucket(a)}
	n := h.attempts[k]
	if n == nil {
		n = new([2]int64)
		h.attempts[k] = n
	}
	if a.Class == delivery.None {
		n[0]++
	} else {
		n[1]++
	}
}

func (h *hourDeltas) write(ctx context.Context, s *statements) error {
	for k, n := range h.states {
		s.matchedHours.add(k.sub, k.hour, int64(k.class), n[delivery.Pending], n[delivery.Delivered], n[delivery.Exhausted],
			n[delivery.Expired], n[delivery.Cancelled], n[delivery.Superseded])
	}
	for k, n := range h.attempts {
		s.attemptHours.add(k.sub, k.hour, int64(k.class), int64(k.bucket), n[0], n[1])
	}
	if _, err := s.matchedHours.flush(ctx); err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	if _, err := s.attemptHours.flush(ctx); err != nil {
		return fmt.Errorf("count attempts: %w", err)
	}
	return nil
}
