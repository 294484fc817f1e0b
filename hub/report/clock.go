package report

import (
	"slices"
	"time"
)

// Span is a range of instants, Unix ms, From <= t < To.
type Span struct{ From, To int64 }

// Wall clocks are counted as if the zone were UTC: ms since 1970 of what the
// clock shows. Offsets never enter a comparison.

const (
	minute = 60 * 1000
	hour   = 60 * minute
	day    = 24 * hour
)

// piece is a part of a range in which the zone's offset from UTC stays the same.
type piece struct {
	Span

	offset int64 // wall clock - UTC, ms
}

// pieces returns the instants at which clocks in a zone show a time from <= t < to. Where
// clocks go back, these are not one range.
func pieces(from, to int64, loc *time.Location) (all []piece) {
	for t := time.UnixMilli(from - 2*day); ; {
		// Do not use the start that ZoneBounds returns: for 2038-01-19 03:14:07 it is
		// 2038-01-01, although the period before ended at 2038-01-19 03:14:07.
		_, end := t.In(loc).ZoneBounds()
		if !end.IsZero() && !end.After(t) { // on the last day of leap years from 2040 on Go says that the period is over
			end = t.Add(time.Hour)
		}

		// The part of the range that this period, from t to end, has.
		_, offset := t.In(loc).Zone()
		p := piece{Span: Span{from, to}, offset: int64(offset) * 1000}
		p.From = max(p.From-p.offset, t.UnixMilli())
		p.To -= p.offset
		if !end.IsZero() {
			p.To = min(p.To, end.UnixMilli())
		}
		if p.From < p.To {
			all = append(all, p)
		}

		if end.IsZero() || end.UnixMilli() > to+2*day {
			return all
		}
		t = end
	}
}

// DateType is the length of a bucket, as the document counts them.
type DateType int64

// DateTypes.
const (
	HalfHour DateType = 11
	Hour     DateType = 12
	Day      DateType = 13
	Week     DateType = 14
	Month    DateType = 15
)

// buckets are the buckets of wall clocks that a range touches.
type buckets struct {
	as     DateType
	starts []int64 // of each, and the end of the last
}

// newBuckets returns the buckets of a range. Weeks begin on Sunday if sunday is true, else
// on Monday.
func newBuckets(as DateType, sunday bool, from, to int64) buckets {
	b := buckets{as: as}

	// Where the first begins, and how the next follows.
	at := floor(from, day)
	next := func(at int64) int64 { return at + day }
	switch as {
	case HalfHour:
		at = floor(from, 30*minute)
		next = func(at int64) int64 { return at + 30*minute }
	case Hour:
		at = floor(from, hour)
		next = func(at int64) int64 { return at + hour }
	case Week:
		back := time.UnixMilli(at).UTC().Weekday() // Sunday is 0
		if !sunday {
			back = (back + 6) % 7
		}
		at -= int64(back) * day
		next = func(at int64) int64 { return at + 7*day }
	case Month:
		y, m, _ := time.UnixMilli(at).UTC().Date()
		at = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		next = func(at int64) int64 { return time.UnixMilli(at).UTC().AddDate(0, 1, 0).UnixMilli() }
	}

	for ; at < to; at = next(at) {
		b.starts = append(b.starts, at)
	}
	b.starts = append(b.starts, at)
	return b
}

// floor returns the last multiple of to that is not after t.
func floor(t, to int64) int64 { return t - ((t%to)+to)%to }

func (b *buckets) len() int { return len(b.starts) - 1 }

// at returns the bucket of a wall clock in the range.
func (b *buckets) at(wall int64) int {
	i, exact := slices.BinarySearch(b.starts, wall)
	if exact {
		return i
	}
	return i - 1
}

// label returns the result_date of a bucket.
func (b *buckets) label(i int) string {
	const date, clock = "2006-01-02", "2006-01-02 15:04"
	start, end := time.UnixMilli(b.starts[i]).UTC(), time.UnixMilli(b.starts[i+1]).UTC()
	switch b.as {
	case Day:
		return start.Format(date)
	case Week:
		return start.Format(date) + " " + end.AddDate(0, 0, -1).Format(date)
	case Month:
		return start.Format("2006-01")
	}
	return start.Format(clock) + " " + end.Format(clock)
}
