package subscriptions

import "time"

// Standstill is the time that a receiver took from the active clock of its
// subscription by Retry-After. Spans that are over are summed up; the last one
// is kept, because it may still be under way. Time within a pause is not in it.
type Standstill struct {
	Past  time.Duration // sum of the spans before From
	From  time.Time     // begin of the last span; zero: all spans are in Past
	Until time.Time     // its end, possibly still to come
	Mark  int64         // grows with every change, over all subscriptions of the hub
}

// before returns how long the clock stood still before a time.
func (s Standstill) before(at time.Time) time.Duration {
	if s.From.IsZero() {
		return s.Past
	}
	end := at
	if s.Until.Before(end) {
		end = s.Until
	}
	return s.Past + max(0, end.Sub(s.From))
}

// extend returns the standstill with a span from at to until added to it. A
// span that is under way at that time is made longer, never shorter.
func (s Standstill) extend(at, until time.Time) Standstill {
	underWay := !s.From.IsZero() && !s.Until.Before(at)
	if !underWay {
		return Standstill{Past: s.before(at), From: at, Until: until, Mark: s.Mark}
	}
	if until.After(s.Until) {
		s.Until = until
	}
	return s
}

// end returns the standstill without what its last span still had to come at a time.
func (s Standstill) end(at time.Time) Standstill {
	return Standstill{Past: s.before(at), Mark: s.Mark}
}

// ActiveClock returns the time by which giveUpAfter is measured, in Unix ms: it
// is now, less all the time in pause and all the time that receivers asked for
// by Retry-After. Deadlines that are stored on this clock need no rewriting when
// a pause or such a hold ends. For a later time than the present it says what
// the clock will show if nothing happens until then.
func (s *Subscription) ActiveClock(now time.Time) int64 {
	at := s.lastActive(now)
	return at.Add(-s.PausedFor - s.Standstill.before(at)).UnixMilli()
}

// lastActive returns now, or when the pause began that the subscription is in.
func (s *Subscription) lastActive(now time.Time) time.Time {
	if s.Paused() {
		return s.PausedAt
	}
	return now
}

// StandStill returns a copy whose active clock stands still from now until a
// time. Both count in whole milliseconds, as they are stored.
func (s *Subscription) StandStill(now, until time.Time) *Subscription {
	c := *s
	c.Standstill = s.Standstill.extend(s.lastActive(wholeMS(now)), wholeMS(until))
	return &c
}

// Release returns a copy in which nothing counts that was learned of the
// receiver before: the active clock runs again, and the lane forgets hold and
// breaker. A pause stays.
func (s *Subscription) Release(now time.Time) *Subscription {
	c := *s
	c.Releases++
	c.Standstill = s.Standstill.end(s.lastActive(wholeMS(now)))
	return &c
}

func wholeMS(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }
