package storage

import (
	"context"
	"fmt"
	"math/bits"
	"sync"

	"github.com/jmoiron/sqlx"

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

// pendingCounts knows how many runs are pending, by subscription, without asking the database.
type pendingCounts struct {
	mu    sync.Mutex
	bySub map[int64]int

	// of the transaction under way
	plus, minus map[int64]int
}

func (p *pendingCounts) load(ctx context.Context, conn *sqlx.Conn) error {
	rows, err := conn.QueryContext(ctx, "SELECT sub, count(*) FROM deliveries WHERE state = 0 GROUP BY sub")
	if err != nil {
		return fmt.Errorf("count pending: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var sub int64
		var n int
		if err := rows.Scan(&sub, &n); err != nil {
			return fmt.Errorf("count pending: %w", err)
		}
		p.bySub[sub] = n
	}
	return rows.Err()
}

func (p *pendingCounts) add(sub int64)  { p.plus[sub]++ }
func (p *pendingCounts) done(sub int64) { p.minus[sub]++ }

// drop forgets a transaction that failed.
func (p *pendingCounts) drop() { clear(p.plus); clear(p.minus) }

// apply counts a transaction that was committed and says who has new rows.
// Commits come in the order of their numbers, so none is below another.
func (p *pendingCounts) apply() (fresh []Rows) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sub, n := range p.plus {
		p.bySub[sub] += n
		fresh = append(fresh, Rows{Sub: sub})
	}
	for sub, n := range p.minus {
		p.change(sub, -n)
	}
	p.drop()
	return fresh
}

// change by what an admin's transaction did. Callers outside apply use Change.
func (p *pendingCounts) change(sub int64, by int) {
	if p.bySub[sub] += by; p.bySub[sub] <= 0 {
		delete(p.bySub, sub)
	}
}

// Change counts rows that an admin's transaction made pending or ended.
func (p *pendingCounts) Change(sub int64, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(sub, by)
}
