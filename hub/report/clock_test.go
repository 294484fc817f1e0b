package report

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
)

func wall(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", s)
	require.NoError(t, err)
	return at.UnixMilli()
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		as       DateType
		sunday   bool
		from, to string
		labels   []string
	}{
		{HalfHour, false, "2022-03-17 09:10", "2022-03-17 09:20", []string{"2022-03-17 09:00 2022-03-17 09:30"}},
		{
			HalfHour, false, "2022-03-17 23:30", "2022-03-18 00:30",
			[]string{"2022-03-17 23:30 2022-03-18 00:00", "2022-03-18 00:00 2022-03-18 00:30"},
		},
		{
			Hour, false, "2022-03-17 16:30", "2022-03-17 17:01",
			[]string{"2022-03-17 16:00 2022-03-17 17:00", "2022-03-17 17:00 2022-03-17 18:00"},
		},
		{Day, false, "2024-02-28 23:59", "2024-03-01 00:01", []string{"2024-02-28", "2024-02-29", "2024-03-01"}},
		{Week, false, "2024-02-25 10:00", "2024-02-26 10:00", []string{"2024-02-19 2024-02-25", "2024-02-26 2024-03-03"}},
		{Week, true, "2024-02-25 10:00", "2024-02-26 10:00", []string{"2024-02-25 2024-03-02"}},
		{Month, false, "2023-12-31 23:00", "2024-02-01 00:01", []string{"2023-12", "2024-01", "2024-02"}},
		{Month, false, "2023-12-31 23:00", "2024-02-01 00:00", []string{"2023-12", "2024-01"}},
	} {
		b := newBuckets(c.as, c.sunday, wall(t, c.from), wall(t, c.to))
		var labels []string
		for i := range b.len() {
			labels = append(labels, b.label(i))
		}
		require.Equal(t, c.labels, labels)
		require.Equal(t, 0, b.at(wall(t, c.from)))
		require.Equal(t, b.len()-1, b.at(wall(t, c.to)-1))
	}
}

// The pieces of a range are the instants at which clocks show a time in it, in
// order: each minute around the year's clock changes is asked.
func TestPieces(t *testing.T) {
	for _, name := range []string{
		"Asia/Singapore", "America/New_York", "Europe/London", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu",
		"Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "UTC", "Antarctica/Troll",
	} {
		loc := zone(t, name)
		for _, r := range [][2]string{
			{"2024-03-10 01:30", "2024-03-10 03:10"},
			{"2024-11-03 01:10", "2024-11-03 01:50"},
			{"2024-11-03 00:00", "2024-11-03 01:30"},
			{"2024-03-31 01:15", "2024-03-31 01:45"},
			{"2024-10-27 01:30", "2024-10-27 03:00"},
			{"2024-04-07 01:40", "2024-04-07 01:50"},
			{"2011-12-29 00:00", "2011-12-31 10:00"},
			{"2011-12-30 00:00", "2011-12-31 00:00"},
			{"2010-11-07 00:00", "2010-11-07 00:02"},
			{"2024-01-01 00:00", "2024-12-31 00:00"},
			{"2018-02-17 23:10", "2018-02-18 00:10"},
		} {
			from, to := wall(t, r[0]), wall(t, r[1])
			all := pieces(from, to, loc)
			last := int64(-1 << 62)
			for _, p := range all {
				require.Less(t, p.From, p.To, "%s %s", name, r)
				require.GreaterOrEqual(t, p.From, last, "%s %s", name, r)
				last = p.To
			}
			step := int64(minute)
			if to-from > day {
				step = (to - from) / 400 / minute * minute
			}
			for at := from - day; at < to+day; at += step {
				if step == minute && (at < from-15*hour || at > to+15*hour) { // no zone is so far from UTC
					continue
				}
				_, offset := time.UnixMilli(at).In(loc).Zone()
				shows := at + int64(offset)*1000
				in := false
				for _, p := range all {
					if p.From <= at && at < p.To {
						require.Equal(t, shows, at+p.offset)
						in = true
					}
				}
				require.Equal(t, from <= shows && shows < to, in, "%s %s at %s", name, r, time.UnixMilli(at).In(loc))
			}
		}
	}
}
