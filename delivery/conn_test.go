package delivery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/subscriptions"
)

// early answers each request as soon as its head was read and closes the
// connection, so that a large push cannot be written to its end.
func early(t *testing.T, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 "+strconv.Itoa(status)+" Early\r\nContent-Length: 5\r\n\r\nearly")
	})
}

// An answer counts once it came, although the receiver closed before it had read
// the push: what the system has taken before the reset can still be read, and what
// failed to be written does not count before that.
//
// What remains is that the reset overtakes the answer. The receiver's system answers
// each segment of a push that nobody will read with a reset of its own, and that may
// be taken by another processor of ours than the answer, before it. Our system drops
// what comes after a reset: such an answer never came, and no sender can tell it from
// none. How often that is depends on the machines, so no number of it is asked for here.
func TestSendTakesEarlyAnswers(t *testing.T) {
	plain := httptest.NewServer(early(t, http.StatusRequestEntityTooLarge))
	defer plain.Close()
	secure := httptest.NewTLSServer(early(t, http.StatusOK))
	defer secure.Close()
	s := local()
	s.roots = x509.NewCertPool()
	s.roots.AddCert(secure.Certificate())
	p := testPush(testSub())
	p.Sub.Timeout = 10 * time.Second
	p.Body = bytes.Repeat([]byte("x"), 4<<20)
	for url, want := range map[string]int{plain.URL: http.StatusRequestEntityTooLarge, secure.URL: http.StatusOK} {
		target, err := subscriptions.Target(url)
		require.NoError(t, err)
		unread := 0
		for n := range 60 {
			a, heard := s.Send(t.Context(), p, target)
			require.True(t, heard)
			if a.StatusCode == 0 {
				// The reset overtook the answer: that never came. Whoever noticed it first, reading
				// failed, or has ended; a failure to write is no reason.
				require.Equal(t, Reset.String(), a.Class.String(), a.Err)
				require.NotContains(t, a.Err, "write", "push %d", n)
				require.NotContains(t, a.Err, "closed", "push %d", n)
				unread++
				continue
			}
			require.Equal(t, want, a.StatusCode, "push %d: %s %s", n, a.Class, a.Err)
			require.Equal(t, "early", string(a.Body))
		}
		require.Less(t, unread, 60, "some answers come before the reset")
	}
	s.CloseIdle()
}

// Without an answer a cut connection is one, however much could be written.
func TestSendCutInTheMiddle(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer srv.Close()
	p := testPush(testSub())
	p.Sub.Timeout = 10 * time.Second
	p.Body = bytes.Repeat([]byte("x"), 4<<20)
	target, err := subscriptions.Target(srv.URL)
	require.NoError(t, err)
	for range 20 {
		a, heard := local().Send(t.Context(), p, target)
		require.True(t, heard)
		require.Equal(t, Reset.String(), a.Class.String(), a.Err)
	}
}

// A pooled connection that the receiver has closed is no failure: the request
// goes over another one.
func TestSendOverAClosedConnection(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request,
	) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	srv.Config.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			conns.Add(1)
		case http.StateIdle:
			_ = c.Close()
		}
	}
	srv.Start()
	defer srv.Close()
	s := local()
	defer s.CloseIdle()
	target, err := subscriptions.Target(srv.URL)
	require.NoError(t, err)
	for n := range 50 {
		p := testPush(testSub())
		p.Sub.Timeout = 10 * time.Second
		p.Body = bytes.Repeat([]byte("x"), n<<10) // Go's transport tries again only where a body fits its buffer
		a, heard := s.Send(t.Context(), p, target)
		require.True(t, heard)
		require.Equal(t, Taken, ResultOf(a), "%d: %s %s", n, a.Class, a.Err)
		time.Sleep(50 * time.Millisecond) // the end of the connection is on its way
	}
	require.Greater(t, conns.Load(), int32(30))
}

// What is malformed about an answer stands in the attempt.
func TestSendSaysWhatIsMalformed(t *testing.T) {
	a := send(t, local(), raw(t, "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", nil))
	require.Contains(t, a.Err, "no colon here")
	a = send(t, local(), raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", nil))
	require.Contains(t, a.Err, "Content-Length")
	require.False(t, strings.HasPrefix(a.Err, "net/http"), a.Err)
}

// deaf listens at an address whose queue is full: whoever connects hears nothing.
func deaf(t *testing.T, ip [4]byte, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: ip}))
	require.NoError(t, syscall.Listen(fd, 0))
	addr := netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(port)).String()
	for range 10 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("it still listens")
}

// Of several addresses each has its turn within timeoutMs, however many before
// it hang.
func TestSendGivesEachAddressItsTurn(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // elsewhere loopback has one address, and a full queue refuses
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.5:0")
	require.NoError(t, err)
	srv := &httptest.Server{
		Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
	}
	srv.Start()
	defer srv.Close()
	port := l.Addr().(*net.TCPAddr).Port
	deaf(t, [4]byte{127, 0, 0, 3}, port)
	deaf(t, [4]byte{127, 0, 0, 4}, port)

	for name, ips := range map[string][][4]byte{
		"two hang":             {{127, 0, 0, 3}, {127, 0, 0, 4}, {127, 0, 0, 5}},
		"refused and hangs":    {{127, 0, 0, 6}, {127, 0, 0, 3}, {127, 0, 0, 5}},
		"one may not be asked": {{10, 0, 0, 1}, {127, 0, 0, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			dns := nameServer(t, func() [][4]byte { return ips })
			s := local()
			defer s.CloseIdle()
			s.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "udp4", dns)
			}}
			a := send(t, s, "http://receiver.example.com:"+strconv.Itoa(port)+"/") // timeoutMs is 1,000
			require.Equal(t, 200, a.StatusCode, "%s %s", a.Class, a.Err)
			require.Equal(t, "127.0.0.5", a.RemoteIP)
			require.Positive(t, a.Connect)
		})
	}
	t.Run("all hang", func(t *testing.T) {
		dns := nameServer(t, func() [][4]byte { return [][4]byte{{127, 0, 0, 3}, {127, 0, 0, 4}} })
		s := local()
		s.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp4", dns)
		}}
		a := send(t, s, "http://receiver.example.com:"+strconv.Itoa(port)+"/")
		require.Equal(t, Timeout.String(), a.Class.String(), a.Err)
		require.Less(t, a.Total, 30*time.Second)
	})
	t.Run("none may be asked", func(t *testing.T) {
		dns := nameServer(t, func() [][4]byte { return [][4]byte{{10, 0, 0, 1}, {169, 254, 169, 254}} })
		s := local()
		s.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp4", dns)
		}}
		a := send(t, s, "http://receiver.example.com:"+strconv.Itoa(port)+"/")
		require.Equal(t, Blocked.String(), a.Class.String(), a.Err)
	})
}

func TestInterleave(t *testing.T) {
	var ips []netip.Addr
	for _, s := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "::ffff:192.0.2.2"} {
		ips = append(ips, netip.MustParseAddr(s))
	}
	var got []string
	for _, ip := range interleave(ips) {
		got = append(got, ip.String())
	}
	require.Equal(t, []string{"2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"}, got)
}

// A handshake may take as long as the whole request, and no longer; and no
// connection is left behind when it hangs.
func TestSendSlowHandshake(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request,
	) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer srv.Close()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	var wait atomic.Int64
	ended := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close(); ended <- struct{}{} }()
				hello := bufio.NewReader(c)
				_, _ = hello.Peek(1)
				if wait.Load() < 0 {
					_, _ = io.Copy(io.Discard, hello) // until the hub closes
					return
				}
				time.Sleep(time.Duration(wait.Load()))
				there, err := net.Dial("tcp", srv.Listener.Addr().String())
				if err != nil {
					return
				}
				defer there.Close()
				go func() { _, _ = io.Copy(there, hello) }()
				_, _ = io.Copy(c, there)
			}()
		}
	}()

	s := local()
	s.roots = x509.NewCertPool()
	s.roots.AddCert(srv.Certificate())
	url := "https://" + l.Addr().String()
	wait.Store(int64(5500 * time.Millisecond))
	a := send(t, s, url, func(sub *subscriptions.Subscription) { sub.Timeout = 20 * time.Second })
	require.Equal(t, 200, a.StatusCode, "%s %s", a.Class, a.Err)
	require.Greater(t, a.TLS, 5*time.Second)
	s.CloseIdle()
	<-ended

	wait.Store(-1)
	began := time.Now()
	a = send(t, s, url, func(sub *subscriptions.Subscription) { sub.Timeout = 300 * time.Millisecond })
	require.Equal(t, Timeout.String(), a.Class.String(), a.Err)
	<-ended
	require.Less(t, time.Since(began), 30*time.Second, "its connection is closed, too")
}
