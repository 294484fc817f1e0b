package delivery

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A receiver that writes head and body of its answer apart costs no 40 ms: its
// second segment waits for an acknowledgement, which comes at once.
func TestSendAcknowledgesAtOnce(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetNoDelay(false) // as most frameworks leave it
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
					_, _ = io.WriteString(c, "ok")
				}
			}()
		}
	}()
	s := local()
	defer s.CloseIdle()

	// A receiver that waits for an acknowledgement waits 40 ms, though not for the
	// first answers of a connection. So the quickest of the later pushes counts.
	const pushes, first = 50, 25
	quickest := time.Hour
	for n := range pushes {
		began := time.Now()
		a := send(t, s, "http://"+l.Addr().String())
		require.Equal(t, "ok", string(a.Body))
		if n >= first {
			quickest = min(quickest, time.Since(began))
		}
	}
	require.Less(t, quickest, 30*time.Millisecond)
}
