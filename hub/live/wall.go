package live

import "time"

// Today returns the day of a moment, Unix ms, on the wall of a zone. It may have 23 or 25
// hours.
func Today(now int64, loc *time.Location) Moment {
	y, month, d := time.UnixMilli(now).In(loc).Date()
	midnight := func(d int) int64 { return AtWall(time.Date(y, month, d, 0, 0, 0, 0, time.UTC), loc).UnixMilli() }
	return Moment{Now: now, From: midnight(d), To: midnight(d + 1)}
}

// AtWall returns the instant at which clocks in a zone show the time that wall has in UTC.
// If they show it twice, it is the first; if they skip it, it is when they would have shown
// it without the change.
func AtWall(wall time.Time, loc *time.Location) time.Time {
	offset := func(t time.Time) time.Duration {
		_, s := t.In(loc).Zone()
		return time.Duration(s) * time.Second
	}

	// No zone changes its clocks twice within two days.
	before := offset(wall.Add(-24 * time.Hour))
	after := offset(wall.Add(24 * time.Hour))
	for _, o := range []time.Duration{before, after} {
		if t := wall.Add(-o); offset(t) == o {
			return t
		}
	}
	return wall.Add(-before)
}
