package rabbit

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A connection reads no more than a consumer may hold, until that says how much
// it holds still.
func TestFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, ours := net.Pipe()
		held := newFlow(1000)
		w := &wire{Conn: ours, held: held}
		var sent, read atomic.Int64
		go func() {
			for {
				n, err := broker.Write(make([]byte, 100))
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		var ended atomic.Bool
		go func() {
			defer ended.Store(true)
			b := make([]byte, 100)
			for {
				n, err := w.Read(b)
				read.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		require.EqualValues(t, 1100, read.Load())
		held.left <- 0
		synctest.Wait()
		require.EqualValues(t, 2200, read.Load())
		held.left <- 900 // are being rejected
		synctest.Wait()
		require.EqualValues(t, 2400, read.Load())
		held.left <- 5000
		held.left <- 1000 // after a pause
		synctest.Wait()
		require.EqualValues(t, 2500, read.Load())
		require.NoError(t, broker.Close())
		synctest.Wait()
		require.False(t, ended.Load())
		close(held.end) // nobody consumes any more
		synctest.Wait()
		require.True(t, ended.Load())
	})
}
