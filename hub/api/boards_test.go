package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/live"
)

// A page that shows the same as the one before is news after five seconds only, and then
// it is a ping.
func TestBoardPagePings(t *testing.T) {
	page := func(now int64, rows ...string) *boardPage {
		p := &boardPage{now: now, total: len(rows), summary: []byte(`{}`)}
		for _, r := range rows {
			p.rows = append(p.rows, boardRow{r[:1], []byte(`{"id":"` + r[:1] + `","v":"` + r[1:] + `"}`)})
		}
		return p
	}
	first := page(10_000, "a1", "b1")
	require.True(t, page(14_999, "a1", "b1").Same(first))
	require.False(t, page(14_999, "a1", "b2").Same(first))
	require.False(t, page(14_999, "b1", "a1").Same(first))

	beat := page(15_000, "a1", "b1")
	require.False(t, beat.Same(first))
	raw, err := beat.Since(first, live.Stamp{ID: 7, At: 15_000})
	require.NoError(t, err)
	require.Equal(t, "id: 7\nevent: ping\ndata: {\"rev\":7,\"now\":\"1970-01-01T00:00:15.000Z\",\"asOf\":null,\"behind\":0}\n\n", string(raw))

	change, err := page(15_000, "c1", "b2").Since(first, live.Stamp{ID: 8, At: 15_000})
	require.NoError(t, err)
	_, data, _ := strings.Cut(string(change), "data: ")
	require.JSONEq(t, `{"rev":8,"now":"1970-01-01T00:00:15.000Z","asOf":null,"behind":0,"total":2,
		"changed":[{"id":"c","v":"1"},{"id":"b","v":"2"}],"removed":["a"],"order":["c","b"]}`, data)
}
