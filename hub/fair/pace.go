package fair

import "time"

// Pace is how fast bytes must come or be taken, at least. The zero Pace knows no
// deadline.
type Pace struct {
	Stall time.Duration // for which nothing may move; also the time until Rate counts
	Rate  int64         // bytes a second on average, at least; 0: one byte before each stall is enough
	Whole time.Duration // for all of it; 0: as long as the rate allows
}

// deadline returns by when the next byte must have moved, when those before it,
// moved of them, began at began. The zero time: there is none.
func (p Pace) deadline(began, now time.Time, moved int64) time.Time {
	if p.Stall <= 0 {
		return time.Time{}
	}

	at := now.Add(p.Stall)
	if p.Rate > 0 {
		const most = 1 << 31 // seconds: no Duration has more than 1 << 33
		earned := min(float64(moved)/float64(p.Rate), most)
		at = earlier(at, began.Add(p.Stall+time.Duration(earned*float64(time.Second))))
	}
	if p.Whole > 0 {
		at = earlier(at, began.Add(p.Whole))
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// meter measures one direction of a connection, and says when its deadline is to be
// moved.
type meter struct {
	pace  Pace
	began time.Time
	moved int64
	set   time.Time // the deadline that the connection has
}

// slack is by how much a deadline may be too early or too late: moving it costs as
// much as reading some hundred bytes.
const slack = 200 * time.Millisecond

// next returns the deadline to set now; false: the one that is set will do.
func (m *meter) next(now time.Time) (time.Time, bool) {
	if m.began.IsZero() {
		m.began = now
	}
	at := m.pace.deadline(m.began, now, m.moved)
	if off := at.Sub(m.set); off > -slack && off < slack {
		return at, false
	}
	m.set = at
	return at, true
}
