package fair_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/fair"
)

// brisk is a pace for tests: 300 ms without a byte, 10 KiB/s.
var brisk = fair.Pace{Stall: 300 * time.Millisecond, Rate: 10 << 10}

// soon is when a test takes something for too late, on a busy machine.
const soon = 20 * time.Second

func serve(t *testing.T, g *fair.Gate, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	g.Body, g.Answer = brisk, brisk
	srv := httptest.NewServer(g.Wrap(h))
	t.Cleanup(srv.Close)
	return srv
}

func dial(t *testing.T, srv *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
	return conn
}

// readAll is what comes until the server closes the connection.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	raw, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		require.NoError(t, err, "the connection stays open")
	}
	return string(raw)
}

func echo(w http.ResponseWriter, r *http.Request) {
	_ = fair.Of(r.Context()).Know(1) // else 16 KiB are all that is read
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestTimeout)
		return
	}
	fmt.Fprintf(w, "%d bytes", len(raw))
}

// A body that stops coming ends its connection, whether anybody reads it or not.
func TestStalledBody(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	var ended atomic.Int32
	for name, h := range map[string]http.HandlerFunc{
		"read":   echo,
		"unread": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"silent": func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, &fair.Gate{}, func(w http.ResponseWriter, r *http.Request) {
				defer ended.Add(1)
				h(w, r)
			})
			for _, head := range []string{
				"Content-Length: 100000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
			} {
				conn := dial(t, srv)
				_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+head)
				require.NoError(t, err)
				readAll(t, conn)
			}
		})
	}
	require.EqualValues(t, 6, ended.Load())
}

// A body that comes too slowly is given up, although something always comes; one
// that is slow enough, but not too slow, is taken.
func TestSlowBody(t *testing.T) {
	srv := serve(t, &fair.Gate{}, echo)
	send := func(part, parts int, pause time.Duration) string {
		conn := dial(t, srv)
		_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
			part*parts)
		require.NoError(t, err)
		go func() {
			for range parts {
				if _, err := conn.Write(make([]byte, part)); err != nil {
					return
				}
				time.Sleep(pause)
			}
		}()
		return readAll(t, conn)
	}
	require.NotContains(t, send(10, 1000, 50*time.Millisecond), "200 OK")
	require.Contains(t, send(10<<10, 20, 50*time.Millisecond), "204800 bytes")
}

// A client that does not read its answer is left, and so is one that reads it by the
// byte. Its handler ends then.
func TestUnreadAnswer(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, &fair.Gate{}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	})
	for _, pause := range []time.Duration{0, 10 * time.Millisecond} {
		conn := dial(t, srv)
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		for pause > 0 && len(ended) == 0 {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				break
			}
			time.Sleep(pause)
		}
		select {
		case err := <-ended:
			require.Error(t, err)
		case <-time.After(soon):
			t.Fatal("the handler still waits for its client")
		}
	}
}

// Work may take longer than any deadline: those of the body end with it, and those
// of the answer begin with it. The connection then serves further requests, however
// long it lay idle.
func TestLongWork(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	srv := serve(t, &fair.Gate{}, func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		select {
		case <-r.Context().Done():
			return // the client would miss its answer
		case <-time.After(3 * brisk.Stall):
		}
		fmt.Fprint(w, len(raw), err)
	})
	conn := dial(t, srv)
	answers := bufio.NewReader(conn)
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		_, err := io.WriteString(conn, request)
		require.NoError(t, err)
		resp, err := http.ReadResponse(answers, nil)
		if err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(answers, nil)
		}
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		time.Sleep(2 * brisk.Stall)
	}
}

// A handler's own deadlines and paces hold instead of the usual ones.
func TestOwnDeadlines(t *testing.T) {
	srv := serve(t, &fair.Gate{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pace" {
			fair.Of(r.Context()).Pace(fair.Pace{Stall: soon}, fair.Pace{})
		} else {
			require.NoError(t, http.NewResponseController(w).SetReadDeadline(time.Now().Add(soon)))
		}
		echo(w, r)
	})
	for _, path := range []string{"/pace", "/own"} {
		conn := dial(t, srv)
		_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n", path)
		require.NoError(t, err)
		time.Sleep(3 * brisk.Stall)
		_, err = io.WriteString(conn, "abc")
		require.NoError(t, err)
		require.Contains(t, readAll(t, conn), "3 bytes")
	}
}

// Bodies are charged to the address, then to the tenant, and given back with the
// request.
func TestBodiesAreCharged(t *testing.T) {
	g := &fair.Gate{Bodies: &fair.Budget[int64]{Total: 100 << 10}, Strangers: &fair.Budget[netip.Addr]{Total: 40 << 10}}
	held := make(chan [2]int64, 1)
	srv := serve(t, g, func(w http.ResponseWriter, r *http.Request) {
		x := fair.Of(r.Context())
		if r.URL.Path == "/stream" {
			x.Stream()
		}
		if r.URL.Path != "/stranger" {
			require.NoError(t, x.Know(7))
		}
		_, err := io.ReadAll(r.Body)
		if r.URL.Path == "/late" {
			require.NoError(t, x.Know(7))
		}
		held <- [2]int64{g.Strangers.Held(), g.Bodies.Held()}
		var full *fair.Full
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &full):
			w.WriteHeader(full.Status())
		case errors.As(err, &large):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	post := func(path string, n int) (int, [2]int64) {
		resp, err := srv.Client().Post(srv.URL+path, "text/plain", bytes.NewReader(make([]byte, n)))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode, <-held
	}
	status, had := post("/stranger", 10<<10)
	require.Equal(t, 200, status)
	require.Equal(t, [2]int64{10 << 10, 0}, had)
	status, _ = post("/stranger", 17<<10)
	require.Equal(t, 413, status)
	status, had = post("/known", 30<<10)
	require.Equal(t, 200, status)
	require.Equal(t, [2]int64{0, 30 << 10}, had)
	status, _ = post("/known", 60<<10)
	require.Equal(t, 503, status)
	status, had = post("/stream", 1<<20)
	require.Equal(t, 200, status)
	require.Equal(t, [2]int64{}, had)
	require.Eventually(t, func() bool { return g.Strangers.Held()+g.Bodies.Held() == 0 }, soon, time.Millisecond)
}

// A place is taken when the body is there, and given back when the answer begins; a
// large answer has a place of its own while it is taken.
func TestAdmit(t *testing.T) {
	places := &fair.Slots[int64]{What: "requests", Total: 1, Each: 1, Patience: time.Second}
	g := &fair.Gate{Answers: &fair.Slots[int64]{What: "answers", Total: 1, Each: 1}}
	steps := make(chan string, 10)
	srv := serve(t, g, func(w http.ResponseWriter, r *http.Request) {
		x := fair.Of(r.Context())
		require.NoError(t, x.Know(7))
		if err := x.Admit(r.Context(), places, 1000); err != nil {
			full, _ := errors.AsType[*fair.Full](err)
			w.WriteHeader(full.Status())
			return
		}
		require.Equal(t, 1, places.Taken(7))
		raw, err := io.ReadAll(r.Body)
		steps <- fmt.Sprint(len(raw), " ", err)
		if r.URL.Path == "/large" {
			_, _ = w.Write(make([]byte, 64<<20))
			return
		}
		_, _ = w.Write([]byte("small"))
		steps <- fmt.Sprint(places.Taken(7))
	})
	slow := dial(t, srv)
	_, err := io.WriteString(slow, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
	require.NoError(t, err)
	resp, err := srv.Client().Post(srv.URL+"/", "text/plain", strings.NewReader(strings.Repeat("x", 2000)))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode, "a slow body keeps no place")
	require.Equal(t, "1001 <nil>", <-steps, "enough to see that it is too much")
	require.Equal(t, "0", <-steps)

	large := dial(t, srv)
	_, err = io.WriteString(large, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, "0 <nil>", <-steps)
	require.Eventually(t, func() bool { return places.Taken(7) == 0 && g.Answers.Taken(7) == 1 }, soon, time.Millisecond)
	more := dial(t, srv)
	_, err = io.WriteString(more, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, "0 <nil>", <-steps)
	resp, err = srv.Client().Get(srv.URL + "/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, []int{200, 429}, resp.StatusCode,
		"the second large answer keeps its place until its client is left")
	require.Eventually(t, func() bool { return places.Taken(7)+g.Answers.Taken(7) == 0 }, soon, time.Millisecond)
}

// Outside of a gate nothing is bounded, and nothing breaks.
func TestWithoutGate(t *testing.T) {
	x := fair.Of(context.Background())
	require.Nil(t, x)
	require.NoError(t, x.Know(1))
	require.NoError(t, x.Admit(context.Background(), nil, 1))
	x.Stream()
	x.Pace(brisk, brisk)

	w := httptest.NewRecorder()
	(&fair.Gate{}).Wrap(http.HandlerFunc(echo)).ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("abc")))
	require.Equal(t, "3 bytes", w.Body.String())
}

// Of one address no more connections are open than it may have; those of proxies
// count for all together alone.
func TestConnections(t *testing.T) {
	const each, total = 3, 5
	for name, free := range map[string][]netip.Prefix{"clients": nil, "proxies": {netip.MustParsePrefix("127.0.0.0/8")}} {
		t.Run(name, func(t *testing.T) {
			c := &fair.Connections{Total: total, Each: each, Free: free}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
			srv.Config.ConnState = c.State
			srv.Start()
			defer srv.Close()
			alive := func(conn net.Conn) bool {
				_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				if err != nil {
					return false
				}
				_, err = http.ReadResponse(bufio.NewReader(conn), nil)
				return err == nil
			}
			open := func() (conns []net.Conn) {
				for range total + 3 {
					if conn := dial(t, srv); alive(conn) {
						conns = append(conns, conn)
					}
				}
				return conns
			}
			conns := open()
			want := each
			if free != nil {
				want = total
			}
			require.Len(t, conns, want)
			for _, conn := range conns {
				require.NoError(t, conn.Close())
			}
			require.Eventually(t, func() bool {
				again := open()
				for _, conn := range again {
					_ = conn.Close() // or a try that came too early would take the places of the next
				}
				return len(again) == want
			}, soon, 50*time.Millisecond, "closed ones count no more")
		})
	}
}

func TestNetwork(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::",
	} {
		require.Equal(t, want, fair.Network(netip.MustParseAddr(from)).String())
	}
	require.Equal(t, netip.Addr{}, fair.Network(netip.Addr{}))
}
