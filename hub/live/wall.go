package live

import "time"

// Today is the day of a moment, Unix ms, on the wall of a zone: it may have 23 or
// 25 hours.
func Today(now int64, loc *time.Location) Moment {
	y, mo, d := time.UnixMilli(now).In(loc).Date()
	midnight := func(d int) int64 { return AtWall(time.Date(y, mo, d, 0, 0, 0, 0, time.UTC), loc).UnixMilli() }
	return Moment{Now: now, From: midnight(d), To: midnight(d + 1)}
}

// AtWall is the instant at which clocks in a zone show the time that wall has in
// UTC: the first, when they show it twice; when they skip it, what they would
// show had they not been changed.
func AtWall(wall time.Time, loc *time.Location) time.Time {
	offset := func(t time.Time) time.Duration {
		_, s := t.In(loc).Zone()
		return time.Duration(s) * time.Second
	}
	before, after := offset(wall.Add(-24*time.Hour)), offset(wall.Add(24*time.Hour))
	for _, o := range []time.Duration{before, after} {
		if t := wall.Add(-o); offset(t) == o {
			return t
		}
	}
	return wall.Add(-before)
}
