package storage

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
)

// The cache gives the tail of a tenant's events as long as it has all of it.
func TestCacheTail(t *testing.T) {
	c := newCache(3 * (400 + 10))
	put := func(tenant int64, seqs ...int64) {
		for _, s := range seqs {
			c.put([]*event.Event{{Tenant: tenant, Seq: s, Body: make([]byte, 10)}})
		}
	}
	after := func(tenant, seq int64) []int64 {
		events, here := c.after(tenant, seq, 2)
		if !here {
			return []int64{-1}
		}
		seqs := []int64{}
		for _, e := range events {
			seqs = append(seqs, e.Seq)
		}
		return seqs
	}
	require.Equal(t, []int64{-1}, after(1, 100))
	put(1, 5)
	put(2, 6)
	put(1, 8)
	require.Equal(t, []int64{5, 8}, after(1, 4))
	require.Equal(t, []int64{-1}, after(1, 3), "there may be a 4 that an earlier process committed")
	require.Equal(t, []int64{8}, after(1, 5))
	require.Equal(t, []int64{}, after(1, 8))
	require.Equal(t, []int64{6}, after(2, 5))
	put(2, 9) // 5 goes
	require.Equal(t, []int64{-1}, after(1, 4))
	require.Equal(t, []int64{8}, after(1, 5))
	put(2, 10, 11) // 6 and 8 go
	require.Equal(t, []int64{-1}, after(2, 5))
	require.Equal(t, []int64{9, 10}, after(2, 6))
	require.Equal(t, []int64{}, after(1, 8), "there is none after it")
	require.Equal(t, []int64{-1}, after(1, 7))
	require.Equal(t, int64(11), c.last(2))
	require.Equal(t, map[int64]int64{1: 8, 2: 11}, c.lasts())
}
