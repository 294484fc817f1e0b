package recount

import (
	"time"
)

// wall is a date and time on a clock, as the Unix ms at which a clock in UTC
// shows it: no zone, no offset, only what the clock shows (4.1).
type wall int64

const (
	minute wall = 60_000
	hour        = 60 * minute
	day         = 24 * hour
)

func (w wall) clock() time.Time { return time.UnixMilli(int64(w)).UTC() }
func wallOf(t time.Time) wall   { return wall(t.UnixMilli()) }
func date(y int, m time.Month, d int) wall {
	return wallOf(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
}

// wallAt is what a clock in the zone shows at an instant.
func wallAt(t int64, zone *time.Location) wall {
	_, offset := time.UnixMilli(t).In(zone).Zone()
	return wall(t) + wall(offset)*1000
}

// bucket into which w falls: its first moment and the one after its last.
func bucket(w wall, dateType, weekType int) (from, to wall) {
	c := w.clock()
	midnight := date(c.Year(), c.Month(), c.Day())
	switch dateType {
	case 11:
		from = midnight + (w-midnight)/(30*minute)*(30*minute)
		return from, from + 30*minute
	case 12:
		from = midnight + (w-midnight)/hour*hour
		return from, from + hour
	case 13:
		return midnight, midnight + day
	case 14:
		first := time.Monday
		if weekType == 1 {
			first = time.Sunday
		}
		for from = midnight; from.clock().Weekday() != first; {
			from -= day
		}
		return from, from + 7*day
	case 15:
		return date(c.Year(), c.Month(), 1), date(c.Year(), c.Month()+1, 1)
	}
	panic("dateType")
}

// label is the result_date of the bucket that begins at from.
func label(from wall, dateType, weekType int) string {
	const moment, days = "2006-01-02 15:04", "2006-01-02"
	_, to := bucket(from, dateType, weekType)
	a, b := from.clock(), to.clock()
	switch dateType {
	case 11, 12:
		return a.Format(moment) + " " + b.Format(moment)
	case 13:
		return a.Format(days)
	case 14:
		return a.Format(days) + " " + (to - day).clock().Format(days)
	}
	return a.Format("2006-01")
}

// stretch is instants from..to (Unix ms) during which the clock is never set.
type stretch struct {
	from, to int64
	offset   wall
}

// stretches between two instants.
func stretches(from, to int64, zone *time.Location) (all []stretch) {
	for from < to {
		until := to
		if _, end := time.UnixMilli(from).In(zone).ZoneBounds(); !end.IsZero() {
			until = min(until, end.UnixMilli())
		}
		if until <= from { // Go's end of the last day of leap years from 2040 on is before it
			until = min(to, from+int64(hour))
		}
		all = append(all, stretch{from, until, wallAt(from, zone) - wall(from)})
		from = until
	}
	return all
}

// around is how far wall clocks are from UTC at most, and more.
const around = int64(2 * day)

// buckets of the range, without those in which no instant lies (4.2, 5.2).
func buckets(start, end wall, dateType, weekType int, zone *time.Location) (all []wall) {
	first, _ := bucket(start, dateType, weekType)
	_, last := bucket(end-1, dateType, weekType)
	runs := stretches(int64(first)-around, int64(last)+around, zone)
	for from := first; from < end; {
		_, to := bucket(from, dateType, weekType)
		for _, s := range runs {
			if wall(s.from)+s.offset < to && from < wall(s.to)+s.offset {
				all = append(all, from)
				break
			}
		}
		from = to
	}
	return all
}
