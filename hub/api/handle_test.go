package api

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHandles(t *testing.T) {
	h := Handles{Key: []byte("0123456789abcdef0123456789abcdef")}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringN(0, 40, -1).Filter(func(s string) bool { return s == "" || s[len(s)-1] != 0 }).Draw(t, "id")
		handle := h.Make(orderKeyHandle, 7, id)
		require.Regexp(t, `^ok_[A-Za-z0-9_-]+$`, handle)
		require.Equal(t, handle, h.Make(orderKeyHandle, 7, id), "the same again")
		got, ok := h.Read(orderKeyHandle, 7, handle)
		require.True(t, ok)
		require.Equal(t, id, got)

		for _, other := range []string{
			h.Make(eventHandle, 7, id), h.Make(orderKeyHandle, 8, id),
			Handles{Key: []byte("another")}.Make(orderKeyHandle, 7, id),
		} {
			require.NotEqual(t, handle, other)
			_, ok := h.Read(orderKeyHandle, 7, other)
			require.False(t, ok)
		}
		for cut := len(orderKeyHandle); cut < len(handle); cut++ {
			_, ok := h.Read(orderKeyHandle, 7, handle[:cut])
			require.False(t, ok, "%d of %d letters", cut, len(handle))
		}
	})
	require.Len(t, h.Make(orderKeyHandle, 7, "visitor/+49151"), len(h.Make(orderKeyHandle, 7, "visitor/+491")),
		"it does not tell how long a number is")
}

func FuzzReadHandle(f *testing.F) {
	h := Handles{Key: []byte("key")}
	f.Add(h.Make(orderKeyHandle, 7, "call/1"))
	f.Add("ok_")
	f.Fuzz(func(t *testing.T, handle string) {
		if id, ok := h.Read(orderKeyHandle, 7, handle); ok {
			require.Equal(t, handle, h.Make(orderKeyHandle, 7, id))
		}
	})
}
