package report

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/record"
)

func someFacts(rnd *rand.Rand, k Kind, slot int64, n int) []Fact {
	facts := make([]Fact, n)
	for i := range facts {
		f := &facts[i]
		f.Start = slot + rnd.Int64N(SlotMS)
		f.Key = Key{[]string{"", "A", "鼎"}[rnd.IntN(3)], []string{"", "d1|d2"}[rnd.IntN(2)]}
		f.Class = Class{Flags(rnd.Uint32()), []string{"", "r"}[rnd.IntN(2)], rnd.Int64N(99) - 1, -rnd.Int64N(9)}
		f.Talk = []int64{0, rnd.Int64N(1 << 40), record.Open}[rnd.IntN(3)]
		if k != States {
			f.Total, f.AgentTalk = rnd.Int64N(70_000), rnd.Int64()
		}
		if k == Calls || k == BotCalls {
			f.Customer[rnd.IntN(16)] = 1
		}
	}
	return facts
}

// What is read from a block is what was put in, by start.
func TestBlocksKeepFacts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for k := range kinds {
		for _, n := range []int{0, 1, 2, 300, 5_000} {
			slot := int64(480_000) * SlotMS
			facts := someFacts(rnd, k, slot, n)
			b, err := ReadBlock(slot, NewBlock(k, slot, facts).Append(nil))
			require.NoError(t, err)
			slices.SortStableFunc(facts, func(x, y Fact) int { return int(x.Start - y.Start) })
			require.Equal(t, n, b.Len())
			for i, f := range facts {
				got := Fact{Start: slot + int64(b.Starts[i]), Key: b.Keys[b.Key[i]], Class: b.Classes[b.Class[i]], Talk: b.Talk[i]}
				if k != States {
					got.Total, got.AgentTalk = b.Total[i], b.Third[i]
				}
				if k == Calls || k == BotCalls {
					got.Customer = b.Customer[i]
				}
				if got != f {
					require.Equal(t, f, got)
				}
			}
		}
	}
}

// A block that is damaged is an error, or another block: never a panic.
func FuzzReadBlock(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for k := range kinds {
		f.Add(NewBlock(k, 0, someFacts(rnd, k, 0, 5)).Append(nil))
	}
	f.Add([]byte{blockFormat})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<12 {
			return
		}
		b, err := ReadBlock(0, raw)
		if err != nil {
			return
		}
		for i := range b.Starts {
			_, _ = b.Keys[b.Key[i]], b.Classes[b.Class[i]]
			require.Less(t, b.Starts[i], uint32(SlotMS))
		}
		again, err := ReadBlock(0, b.Append(nil))
		require.NoError(t, err)
		require.Equal(t, b.Starts, again.Starts)
		require.Equal(t, b.Talk, again.Talk)
	})
}
