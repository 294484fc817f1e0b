package fair_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/fair"
)

// One holder gets half, whatever it asks for; another then gets a quarter at once.
func TestBudgetOfOneHolder(t *testing.T) {
	b := fair.Budget[string]{Total: 1000}
	for b.Take("flood", 1) {
	}
	require.EqualValues(t, 500, b.Held())
	require.True(t, b.Take("other", 250))
	require.False(t, b.Take("other", 1))
	require.True(t, b.Take("third", 125))

	b.Give("flood", 500)
	require.True(t, b.Take("other", 62), "what is given back is there for all")
	require.False(t, b.Take("other", 1000))
	b.Give("other", 312)
	b.Give("third", 125)
	require.Zero(t, b.Held())
	require.True(t, b.Take("other", 0))
}

// Whatever holders do, no more is held than there is, and a holder that has nothing
// gets what the number of the others leaves it.
func TestBudgetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const total, holders = 1 << 20, 5
		b := fair.Budget[int]{Total: total}
		var has [holders]int64
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			h := rapid.IntRange(0, holders-1).Draw(t, "holder")
			n := rapid.Int64Range(1, total).Draw(t, "bytes")
			if rapid.Bool().Draw(t, "give") {
				n = min(n, has[h])
				b.Give(h, n)
				has[h] -= n
				continue
			}
			others, sum := 0, int64(0)
			for o, bytes := range has {
				sum += bytes
				if o != h && bytes > 0 {
					others++
				}
			}
			took := b.Take(h, n)
			if has[h]+n <= total>>(others+1) && has[h] == 0 {
				require.True(t, took, "%d others hold %d, %d is refused", others, sum, n)
			}
			if took {
				has[h] += n
				require.LessOrEqual(t, has[h], int64(total/2))
			}
		}
		sum := int64(0)
		for _, bytes := range has {
			sum += bytes
		}
		require.Equal(t, sum, b.Held())
		require.LessOrEqual(t, sum, int64(total))
	})
}
