package fair

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPaceDeadline(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	slow := Pace{Stall: 10 * time.Second, Rate: 100, Whole: time.Minute}
	for _, tt := range []struct {
		what  string
		pace  Pace
		now   float64
		moved int64
		want  float64
	}{
		{"nothing yet", slow, 0, 0, 10},
		{"nothing yet, later", slow, 7, 0, 10},
		{"a second's worth", slow, 7, 100, 11},
		{"a burst earns no pause", slow, 7, 1 << 40, 17},
		{"all of it has a bound", slow, 58, 1 << 40, 60},
		{"too slow", slow, 30, 1000, 20},
		{"no rate", Pace{Stall: time.Second}, 30, 1, 31},
	} {
		require.Equal(t, at(tt.want), tt.pace.deadline(began, at(tt.now), tt.moved), tt.what)
	}
	require.True(t, Pace{}.deadline(began, began, 0).IsZero())
}

// However a client sends its bytes, it is done, or cut off, within the time that
// stall, rate and size say.
func TestPaceBoundsTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pace{Stall: 10 * time.Second, Rate: 1000}
		size := rapid.Int64Range(1, 1_000_000).Draw(t, "size")
		began := time.Unix(0, 0)
		now, moved := began, int64(0)
		m := meter{pace: p}
		var deadline time.Time
		for moved < size {
			if at, moves := m.next(now); moves {
				deadline = at
			}
			now = now.Add(time.Duration(rapid.Int64Range(1, int64(12*time.Second)).Draw(t, "pause")))
			if now.After(deadline) {
				now = deadline
				break
			}
			moved += rapid.Int64Range(1, 50_000).Draw(t, "bytes")
			m.moved = moved
		}
		most := p.Stall + time.Duration(size/p.Rate+1)*time.Second + slack
		require.LessOrEqual(t, now.Sub(began), most)
	})
}

func TestMeterKeepsADeadlineThatWillDo(t *testing.T) {
	m := meter{pace: Pace{Stall: time.Second, Rate: 1000}}
	now := time.Unix(0, 0)
	at, moves := m.next(now)
	require.True(t, moves)
	require.Equal(t, now.Add(time.Second), at)
	m.moved = 10
	_, moves = m.next(now)
	require.False(t, moves)
	m.moved = 1000
	_, moves = m.next(now.Add(time.Second / 2))
	require.True(t, moves)
}
