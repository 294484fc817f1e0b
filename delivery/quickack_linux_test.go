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
	const pushes = 50
	began := time.Now()
	for range pushes {
		a := send(t, s, "http://"+l.Addr().String())
		require.Equal(t, "ok", string(a.Body))
	}
	require.Less(t, time.Since(began), pushes*40*time.Millisecond/2)
}
