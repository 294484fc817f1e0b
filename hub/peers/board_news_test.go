package peers

import (
	"encoding/binary"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage"
)

// However much news there is, a Transport takes each message, and the messages
// say all of it.
func TestNewsOfBoards(t *testing.T) {
	p, err := NewPipeline(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	p.Stored(1)
	require.Empty(t, p.boards.wake, "there are no other processes")

	p.remote = p.pubsub
	for n := range int64(5000) {
		p.Stored(1 << (n % 60))
		p.Stored(n)
		p.Opened(n+1, uuid.NewString(), time.UnixMilli(1_800_000_000_000))
	}
	p.Opened(1, "no UUID", time.Now())

	messages := p.boards.take().messages()
	require.Greater(t, len(messages), 2)
	stored, opened := map[int64]bool{}, 0
	for _, m := range messages {
		require.LessOrEqual(t, len(m), storage.MaxNotice)
		for len(m) > 0 {
			tenant, n := binary.Varint(m)
			require.Positive(t, n)
			m = m[n:]
			if tenant >= 0 {
				stored[tenant] = true
				continue
			}
			at, n := binary.Varint(m[16:])
			require.EqualValues(t, 1_800_000_000_000, at)
			m = m[16+n:]
			opened++
		}
	}

	require.Len(t, stored, 5000+60-13)
	require.Equal(t, maxOpened, opened)
	require.Empty(t, p.boards.take().messages())
}

// Whatever another process says, nothing worse happens than a look at a board.
func FuzzNewsOfBoards(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 4, 0xff, 0xff})
	f.Add(append(append([]byte{1}, make([]byte, 16)...), 2))
	f.Add(append(append([]byte{1}, make([]byte, 16)...), 0xff))
	f.Fuzz(func(_ *testing.T, b []byte) {
		readBoardNews(b, &live.Watches{Streams: &fair.Slots[int64]{}})
	})
}
