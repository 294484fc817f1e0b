package fair_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/fair"
)

// However much one holder has, the work of another comes after one piece of it.
func TestQueueTakesTurns(t *testing.T) {
	var q fair.Queue[string, string]
	for n := range 1000 {
		q.Push("flood", 10, fmt.Sprint("flood ", n))
	}
	for range 100 {
		q.Take()
	}
	q.Push("calm", 1, "calm 0")
	q.Push("calm", 1, "calm 1")
	q.Push("other", 10, "other 0")

	var first []string
	for range 5 {
		first = append(first, q.Take())
	}
	require.ElementsMatch(t, []string{"calm 0", "calm 1", "other 0", "flood 100"}, first[:4])
	require.Equal(t, "flood 101", first[4])
}

// Whoever turns out to cost more than it said comes later.
func TestQueueCharges(t *testing.T) {
	var q fair.Queue[string, int]
	for n := range 3 {
		q.Push("dear", 1, 10+n)
		q.Push("cheap", 1, n)
	}
	require.Equal(t, 10, q.Take())
	q.Charge("dear", 100)
	for n := range 3 {
		require.Equal(t, n, q.Take())
	}
	q.Return("cheap", 1, 2)
	require.Equal(t, 2, q.Take(), "it is next again")
	require.Equal(t, 2, q.Len())
	q.Charge("nobody", 1)
}

// Whatever is pushed comes out once, of each holder in order, and between two pieces
// of a holder that waits nobody gets more than one piece beyond what it got.
func TestQueueProperties(t *testing.T) {
	const holders, most = 4, 50
	type work struct {
		holder, n int
		cost      int64
	}
	rapid.Check(t, func(t *rapid.T) {
		var q fair.Queue[int, work]
		var pushed, taken [holders]int
		var got [holders]int64 // of each while all wait
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if q.Len() == 0 || rapid.IntRange(0, 2).Draw(t, "push") > 0 {
				h := rapid.IntRange(0, holders-1).Draw(t, "holder")
				cost := rapid.Int64Range(1, most).Draw(t, "cost")
				q.Push(h, cost, work{h, pushed[h], cost})
				pushed[h]++
				continue
			}
			if rapid.IntRange(0, 5).Draw(t, "return") == 0 {
				w := q.Take()
				q.Return(w.holder, w.cost, w)
			}

			all := true
			for h := range holders {
				all = all && pushed[h] > taken[h]
			}
			if !all {
				got = [holders]int64{}
			}
			cost, ok := q.Next()
			require.True(t, ok)
			w := q.Take()
			require.Equal(t, cost, w.cost)
			require.Equal(t, taken[w.holder], w.n, "in order")
			taken[w.holder]++
			got[w.holder] += w.cost
			if all {
				for h := range holders {
					require.LessOrEqual(t, got[w.holder]-got[h], int64(2*most))
				}
			}
		}

		for q.Len() > 0 {
			w := q.Take()
			require.Equal(t, taken[w.holder], w.n)
			taken[w.holder]++
		}
		require.Equal(t, pushed, taken)
		_, ok := q.Next()
		require.False(t, ok)
	})
}
