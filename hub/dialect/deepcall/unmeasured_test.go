package deepcall

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

// An empty Content-Length, as the documents' samples send it: the object that
// follows is the body, and nothing behind it is read as another request.
func TestUnmeasured(t *testing.T) {
	keys := make(chan string, 10)
	a := &API{Caller: func(_ *http.Request, key string) (access.Caller, error) {
		keys <- key
		return access.Caller{}, access.ErrCredential
	}}
	m := httprouter.New()
	for _, rt := range a.Routes() {
		m.Handle(rt.Method, rt.Path, rt.Handle)
	}
	srv := httptest.NewServer(m)
	defer srv.Close()
	send := func(head, body string) (answers string) {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(conn, "POST /api/v2/Agent/live HTTP/1.1\r\nHost: a.b\r\nContent-Length: \r\n"+head+"\r\n")
		require.NoError(t, err)
		// The body comes later, and in pieces.
		for piece := range strings.SplitAfterSeq(body, ",") {
			_, err = io.WriteString(conn, piece)
			require.NoError(t, err)
		}
		if !strings.HasSuffix(body, "}") && !strings.Contains(body, "} ") {
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		raw, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.True(t, answer.Close)
		require.NotEmpty(t, answer.Header.Get("ETag"))
		rest, _ := io.ReadAll(conn) // a reset when it was sent more than was read
		require.Empty(t, rest)
		return string(raw)
	}
	// libcurl's sample sends no Content-Length, with the object in the same piece as
	// the head or behind it. Without one, a request may have no body either.
	bare := func(body string, pieces bool) (answer string, took time.Duration) {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		began := time.Now()
		text := "POST /api/v2/Agent/live HTTP/1.1\r\nHost: a.b\r\n\r\n" + body
		for piece := range strings.SplitAfterSeq(text, "\n") {
			if !pieces {
				piece = text
			}
			_, err = io.WriteString(conn, piece)
			require.NoError(t, err)
			if !pieces {
				break
			}
		}
		if body == "\xef" {
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		}
		got, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		raw, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.True(t, got.Close)
		return string(raw), time.Since(began)
	}
	const wrong = `{"status":"error","message":"Invalid token","code":1014}`
	const noBody = `{"status":"error","message":"Invalid Request Data: body must be a JSON object","code":1047}`
	for _, pieces := range []bool{false, true} {
		answer, _ := bare(`{"userId":"7",`+"\n"+`"token":"t-0"}`, pieces)
		require.Equal(t, wrong, answer)
		answer, _ = bare("GET /healthz HTTP/1.1\r\nHost: a.b\r\n\r\n", pieces)
		require.Equal(t, noBody, answer, "what follows is no object, and no second request")
		answer, took := bare("", pieces)
		require.Equal(t, noBody, answer)
		require.Less(t, took, unmeasuredTime/2)
	}

	answer, _ := bare("\xef\xbb\xbf"+`{"ssid":"t-mark"}`, false)
	require.Equal(t, wrong, answer)
	answer, _ = bare("\xef", false)
	require.Equal(t, noBody, answer)
	require.Equal(t, wrong, send("", `{"userId":"7","token":"t-1"}`))
	require.Equal(t, wrong, send("Connection: keep-alive\r\n", `{"ssid":"t-2", "filter": [{"a": "}"}]}`))
	require.Equal(t, wrong, send("Connection: close\r\n", `{"ssid":"t-3"}`))
	require.Equal(t, wrong,
		send("",
			`{"ssid":"t-4"} POST /api/v2/Agent/live HTTP/1.1`+"\r\nHost: a.b\r\nContent-Length: 14\r\n\r\n"+`{"ssid":"t-5"}`))
	for _, body := range []string{"", `{"ssid": "t`, `nonsense`, `{"ssid": "` + strings.Repeat("x", maxBody)} {
		require.Equal(t, noBody, send("", body))
	}
	close(keys)
	var seen []string
	for key := range keys {
		seen = append(seen, key)
	}
	require.Equal(t, []string{"t-0", "t-0", "t-mark", "t-1", "t-2", "t-3", "t-4"}, seen)
}
