package audit

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var key = bytes.Repeat([]byte{7}, 32)

// grow makes a log of n rows.
func grow(n int) (rows []Row, head Head) {
	head = NewHead()
	for i := range n {
		r := Row{
			At: int64(1000 + i), Tenant: int64(i % 2), Who: "key", Name: "ci", Action: KeyCreate, Object: "key/x", After: "{}",
		}
		head = head.Next(key, &r)
		rows = append(rows, r)
	}
	return rows, head
}

// firstBroken row; 0: the log is whole.
func firstBroken(t require.TestingT, rows []Row, head Head) int64 {
	c := Chain{Key: key}
	for i := range rows {
		if err := c.Check(&rows[i]); err != nil {
			return seqOf(t, err)
		}
	}
	if err := c.End(head); err != nil {
		return seqOf(t, err)
	}
	return 0
}

func seqOf(t require.TestingT, err error) int64 {
	var b *Broken
	require.True(t, errors.As(err, &b), "%v", err)
	return b.Seq
}

func TestChain(t *testing.T) {
	for n := range 4 {
		rows, head := grow(n)
		require.Zero(t, firstBroken(t, rows, head), "%d rows", n)
	}
}

// Whatever is done to a log without the key, the first row that is not as it
// was written is named.
func TestChainBreaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "rows")
		rows, head := grow(n)
		i := rapid.IntRange(0, n-1).Draw(t, "row")
		want := int64(i + 1)

		switch what := rapid.SampledFrom([]string{
			"field", "drop", "swap", "cut", "append", "renumber",
		}).Draw(t, "what"); what {
		case "field":
			r := &rows[i]
			for _, s := range []*string{&r.Who, &r.Name, &r.IP, &r.Action, &r.Object, &r.Before, &r.After} {
				if rapid.Bool().Draw(t, "this one") {
					*s += "x"
				}
			}
			r.At++
		case "drop":
			rows = slices.Delete(rows, i, i+1)
		case "swap":
			j := rapid.IntRange(0, n-1).Filter(func(j int) bool { return j != i }).Draw(t, "with")
			want = int64(min(i, j) + 1)
			rows[i], rows[j] = rows[j], rows[i]
			rows[i].Seq, rows[j].Seq = rows[j].Seq, rows[i].Seq
		case "cut":
			rows = rows[:i]
		case "append":
			more := rows[n-1]
			more.Seq++
			rows, want = append(rows, more), int64(n+1)
		case "renumber": // a row is removed, and those behind it close the gap
			rows = slices.Delete(rows, i, i+1)
			if i == n-1 {
				break
			}
			for j := i; j < len(rows); j++ {
				rows[j].Seq--
			}
		}

		require.Equal(t, want, firstBroken(t, rows, head))
	})
}

func TestChainNeedsTheKey(t *testing.T) {
	rows, head := grow(3)
	forged := rows[1]
	forged.After = `{"innocent":true}`
	headAt(rows[0]).Next([]byte("another key"), &forged)
	rows[1] = forged
	require.EqualValues(t, 2, firstBroken(t, rows, head))
}

// headAt is the head when r was the last row.
func headAt(r Row) Head { return Head{Seq: r.Seq, At: r.At, Hash: r.Hash} }

func TestFieldsDoNotRunTogether(t *testing.T) {
	a, b := Row{Who: "ab", Name: "c"}, Row{Who: "a", Name: "bc"}
	require.NotEqual(t, a.Sum(key), b.Sum(key))
}

func TestTimeNeverFalls(t *testing.T) {
	head := NewHead()
	first, second := Row{At: 2000}, Row{At: 1000}
	head = head.Next(key, &first)
	head.Next(key, &second)
	require.EqualValues(t, 2000, second.At)
}

func TestHead(t *testing.T) {
	_, head := grow(3)
	sealed := head.Seal(key)
	opened, err := OpenHead(key, sealed)
	require.NoError(t, err)
	require.Equal(t, head, opened)
	_, err = OpenHead([]byte("another key"), sealed)
	require.ErrorIs(t, err, ErrHead)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err := OpenHead(key, bad)
		require.ErrorIs(t, err, ErrHead, "byte %d", i)
	}
	_, err = OpenHead(key, nil)
	require.ErrorIs(t, err, ErrHead)
}

// A head that was lost leaves a break for good.
func TestLostHead(t *testing.T) {
	rows, _ := grow(2)
	more := Row{At: 5000}
	head := LostHead(2, 1001).Next(key, &more)
	require.EqualValues(t, 3, firstBroken(t, append(rows, more), head))
}

func FuzzOpenHead(f *testing.F) {
	f.Add(NewHead().Seal(key))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := OpenHead(key, b); err == nil {
			require.Equal(t, b, h.Seal(key))
		}
	})
}
