package recount

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Buckets and time spent in them are what looking at the clock every minute
// gives, in zones whose clocks are set in all kinds of ways.
func TestClocks(t *testing.T) {
	for seed := range uint64(10) {
		g := newRandom(seed)
		dateType, weekType := 11+g.IntN(5), g.IntN(2)
		middle := wallAt(g.anchor, g.loc)
		start := middle - middle%(30*minute) - wall(g.IntN(96))*30*minute
		end := start + wall(1+g.IntN(200))*30*minute

		spent := map[string]int64{}
		var order []string
		const step = 60_000
		since := g.anchor/step*step - 9*24*60*step
		until := since + 18*24*60*step
		for at := since; at < until; at += step {
			clock := time.UnixMilli(at).In(g.loc)
			shown := wallOf(time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0,
				time.UTC))
			require.Equal(t, shown, wallAt(at, g.loc))
			if shown < start || shown >= end {
				continue
			}
			from, to := bucket(shown, dateType, weekType)
			require.True(t, from <= shown && shown < to)
			name := label(from, dateType, weekType)
			if spent[name] == 0 {
				order = append(order, name)
			}
			spent[name] += step
		}

		var have []string
		for _, b := range buckets(start, end, dateType, weekType, g.loc) {
			have = append(have, label(b, dateType, weekType))
		}
		require.Subset(t, have, order, "%s", g.zone)
		for _, name := range have {
			// Only a bucket that the range cuts may have none of its own.
			if spent[name] == 0 {
				from, to := bucket(start, dateType, weekType)
				last, _ := bucket(end-1, dateType, weekType)
				require.True(t,
					name == label(from, dateType, weekType) && from < start || name == label(last, dateType, weekType) && to > end,
					"%s %s", g.zone, name)
			}
		}

		e := &evaluation{
			q:    query{report: "agent", dimensions: 9, dateType: dateType, weekType: weekType, start: start, end: end},
			zone: g.loc, cells: map[key]*cell{},
		}
		e.amount = e.newCell()
		e.spend(key{}, state{1, 0, 1}, since, until)
		got := map[string]int64{}
		for k, c := range e.cells {
			got[label(k.bucket, dateType, weekType)] = c.t(anyState)
		}
		require.Equal(t, spent, got, "%s", g.zone)
	}
}

// Labels as in the contract (4.1).
func TestLabels(t *testing.T) {
	at := func(s string) wall {
		c, err := time.Parse("2006-01-02 15:04:05.000", s)
		require.NoError(t, err)
		return wallOf(c)
	}
	for _, c := range []struct {
		at                 string
		dateType, weekType int
		want               string
	}{
		{"2022-03-17 16:59:59.999", 11, 0, "2022-03-17 16:30 2022-03-17 17:00"},
		{"2022-03-17 23:30:00.000", 11, 0, "2022-03-17 23:30 2022-03-18 00:00"},
		{"2022-03-17 16:29:59.999", 12, 0, "2022-03-17 16:00 2022-03-17 17:00"},
		{"2022-12-31 23:00:00.000", 12, 0, "2022-12-31 23:00 2023-01-01 00:00"},
		{"2024-02-21 23:59:59.999", 13, 0, "2024-02-21"},
		{"2024-02-21 12:00:00.000", 14, 0, "2024-02-19 2024-02-25"},
		{"2024-02-25 12:00:00.000", 14, 0, "2024-02-19 2024-02-25"},
		{"2024-02-25 12:00:00.000", 14, 1, "2024-02-25 2024-03-02"},
		{"2024-02-24 12:00:00.000", 14, 1, "2024-02-18 2024-02-24"},
		{"2024-02-29 23:59:59.999", 15, 0, "2024-02"},
		{"2024-12-31 23:59:59.999", 15, 1, "2024-12"},
	} {
		from, _ := bucket(at(c.at), c.dateType, c.weekType)
		require.Equal(t, c.want, label(from, c.dateType, c.weekType))
	}
}
