package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

func testSub() *subscriptions.Subscription {
	return &subscriptions.Subscription{
		No: 1, ID: "sub", Tenant: 1, CompanyID: "demo", Encryption: "none", Timeout: time.Second, MaxInFlight: 8,
		State:   "active",
		Headers: map[string]string{"x-own": "mine"},
		Retry: map[event.Class]subscriptions.Retry{event.Live: {Schedule: []time.Duration{
			time.Second,
			5 * time.Second,
		}}},
		GiveUpAfter: map[event.Class]time.Duration{event.Live: time.Hour},
		Keys:        []subscriptions.Key{{N: 1, AppKey: "0123456789abcdef0123456789abcdef", Encryption: make([]byte, 32)}},
	}
}

func testPush(sub *subscriptions.Subscription) *Push {
	return &Push{
		ID: ID{Sub: 1, Seq: 42}, AcceptedAt: 1_700_000_000_000, Sub: sub, N: 1,
		Event: &event.Event{Seq: 42, Tenant: 1, CompanyID: "demo", ID: "e1", Type: event.CallRinging},
		Body:  []byte(`{"callID":"c1"}`),
	}
}

func send(t *testing.T, s *Sender, target string, change ...func(*subscriptions.Subscription)) *Attempt {
	t.Helper()
	sub := testSub()
	for _, f := range change {
		f(sub)
	}
	u, err := url.Parse(target)
	require.NoError(t, err)
	a, heard := s.Send(t.Context(), testPush(sub), u)
	require.True(t, heard)
	return a
}

func local() *Sender { return &Sender{Allow: loopback} }

func serve(t *testing.T, h http.HandlerFunc) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client left
		h(w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// raw answers every connection with the bytes given once a request began, then closes it.
func raw(t *testing.T, answer string, after func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				_, _ = c.Read(buf)
				_, _ = c.Write([]byte(answer))
				if after != nil {
					after(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestSendWhatReceiversAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		url    string
		status int
		class  ErrorClass
		result Result
	}{
		"200": {
			serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }), 200, None, Taken,
		},
		"204": {serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }), 204, None, Taken},
		"redirect": {
			serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }), 302,
			Redirect, Failed,
		},
		"400": {
			serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }), 400, Status, Refused,
		},
		"410": {serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }), 410, Status, Gone},
		"500": {
			serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), 500, Status, Failed,
		},
		"hangs": {
			serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), 0, Timeout, Failed,
		},
		"resets":         {raw(t, "", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), 0, Reset, Failed},
		"closes":         {raw(t, "", nil), 0, Reset, Failed},
		"breaks off":     {raw(t, "HTTP/1.1 200 OK\r\nContent-Type: text/pl", nil), 0, Reset, Failed},
		"talks nonsense": {raw(t, "SSH-2.0-OpenSSH\r\n\r\n", nil), 0, Malformed, Failed},
		"no colon":       {raw(t, "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", nil), 0, Malformed, Failed},
		"two lengths": {
			raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", nil), 0, Malformed, Failed,
		},
		"no length":       {raw(t, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok", nil), 0, Malformed, Failed},
		"a coding":        {raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", nil), 0, Malformed, Failed},
		"a status of its": {raw(t, "HTTP/1.1 ok\r\n\r\n", nil), 0, Malformed, Failed},
		"endless headers": {
			raw(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 64), nil), 0, TooLarge, Failed,
		},
		"no TLS": {
			strings.Replace(serve(t, func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1), 0, TLS, Failed,
		},
		"no such host":   {"http://does-not-exist.invalid:8080/", 0, DNS, Failed},
		"nobody listens": {"http://127.0.0.1:" + freePort(t) + "/", 0, Connect, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, local(), c.url)
			require.Equal(t, c.status, a.StatusCode, a.Err)
			require.Equal(t, c.class.String(), a.Class.String(), a.Err)
			require.Equal(t, c.result, ResultOf(a))
			require.Positive(t, a.Total)
		})
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestSendChecksCertificates(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	a := send(t, local(), srv.URL, func(s *subscriptions.Subscription) { s.Timeout = 10 * time.Second })
	require.Equal(t, TLS, a.Class, a.Err)
}

// An answer that never ends costs the hub 64 KiB and a connection, no more.
func TestSendEndlessAnswer(t *testing.T) {
	written := make(chan int, 1)
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for {
			k, err := w.Write(make([]byte, 32<<10))
			if n += k; err != nil || n > 256<<20 {
				written <- n
				return
			}
		}
	})
	a := send(t, local(), u)
	require.Equal(t, 200, a.StatusCode)
	require.Len(t, a.Body, keepBody)
	require.Less(t, <-written, 64<<20)
}

// A body that drips is cut at the time-out; the status was said before.
func TestSendSlowBody(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("x"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	a := send(t, local(), u, func(s *subscriptions.Subscription) { s.Timeout = 200 * time.Millisecond })
	require.Equal(t, Taken, ResultOf(a))
	require.GreaterOrEqual(t, a.Total, 200*time.Millisecond)
	require.Less(t, a.Total, 20*time.Second)
}

func TestSendRetryAfter(t *testing.T) {
	for value, want := range map[string][2]time.Duration{
		"7":      {7 * time.Second, 7 * time.Second},
		"999999": {time.Hour, time.Hour},
		time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): {80 * time.Second, 91 * time.Second},
		"soon": {0, 0},
		"-1":   {0, 0},
		"":     {0, 0},
	} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(429)
		})
		a := send(t, local(), u)
		require.GreaterOrEqual(t, a.RetryAfter, want[0], value)
		require.LessOrEqual(t, a.RetryAfter, want[1], value)
	}
}

// A date is meant by the receiver's clock, which its Date shows.
func TestSendRetryAfterByTheReceiversClock(t *testing.T) {
	wrong := time.Now().Add(-26 * time.Hour)
	for date, want := range map[string]time.Duration{
		wrong.UTC().Format(http.TimeFormat): 90 * time.Second,
		"":                                  0, // by ours it has passed
		"yesterday":                         0,
	} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = []string{date}
			w.Header().Set("Retry-After", wrong.Add(90*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		require.Equal(t, want, send(t, local(), u).RetryAfter, date)
	}
}

func TestSendBlocked(t *testing.T) {
	closed := &Sender{}
	for _, u := range []string{
		"http://127.0.0.1:8080/", "http://[::1]:8080/", "http://[::ffff:127.0.0.1]:8080/", "http://10.0.0.1/",
		"http://169.254.169.254/",
		"http://localhost:8080/", "http://168.63.129.16/",
	} {
		a := send(t, closed, u)
		require.Equal(t, Blocked.String(), a.Class.String(), "%s: %s", u, a.Err)
	}
	a := send(t, local(), "http://127.0.0.1:22/")
	require.Equal(t, Blocked, a.Class, "ports are judged for allowed networks too")
}

// Tenants with networks of their own never share a connection with others.
func TestSendTenantNetworks(t *testing.T) {
	u := serve(t, func(http.ResponseWriter, *http.Request) {})
	s := &Sender{TenantAllow: func(tenant int64) []netip.Prefix {
		if tenant == 7 {
			return loopback
		}
		return nil
	}}
	a := send(t, s, u, func(s *subscriptions.Subscription) { s.Tenant = 7 })
	require.Equal(t, Taken, ResultOf(a), a.Err)
	a = send(t, s, u)
	require.Equal(t, Blocked, a.Class)
}

// Connections are used again, also after an answer with a body.
func TestSendKeepsConnections(t *testing.T) {
	remotes := map[string]bool{}
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		_, _ = fmt.Fprint(w, strings.Repeat("x", 20<<10))
	})
	s := local()
	for range 5 {
		send(t, s, u)
	}
	require.Len(t, remotes, 1)
}

// The error never repeats the query of the URL, which may hold a secret.
func TestSendScrubsErrors(t *testing.T) {
	a := send(t, local(), "http://127.0.0.1:"+freePort(t)+"/x?token=s3cret")
	require.NotContains(t, a.Err, "s3cret")
	require.NotEmpty(t, a.Err)
}

func TestSendCutOff(t *testing.T) {
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	target, err := url.Parse(u)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, heard := local().Send(ctx, testPush(testSub()), target)
	require.False(t, heard, "nobody may hear of an attempt that was cut off")
}

func TestRequestRebuilds(t *testing.T) {
	sub := testSub()
	sub.Encryption = "aes-256-gcm"
	p := testPush(sub)
	p.At, p.RandomCode, p.Nonce, p.Late = 1_700_000_000_123, "0123456789abcdef", []byte("123456789012"), true
	h1, b1, err := p.Request()
	require.NoError(t, err)
	h2, b2, err := p.Request()
	require.NoError(t, err)
	require.Equal(t, h1, h2)
	require.Equal(t, b1, b2)
	require.Equal(t, "true", h1["X-Hookline-Late"][0])
	require.Equal(t, "mine", h1["X-Own"][0])
	require.Empty(t, h1.Values("Idempotency-Key"))
}

func TestDecide(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	sub := testSub()
	item := func(tries int) *Item {
		return &Item{ID: ID{1, 1, 0}, Key: 5, Type: event.CallRinging, Tries: tries, GiveUpAt: now.Add(time.Hour).UnixMilli()}
	}
	failed := &Attempt{StatusCode: 500, Class: Status}
	bad := &Attempt{StatusCode: 422, Class: Status}

	v := decide(item(0), failed, sub, now)
	require.Equal(t, Verdict{State: Pending, DueAt: now.Add(time.Second).UnixMilli()}, v)
	v = decide(item(1), failed, sub, now)
	require.Equal(t, now.Add(5*time.Second).UnixMilli(), v.DueAt)
	require.Equal(t, Exhausted, decide(item(2), failed, sub, now).State, "two retries: the third failure is the last")
	require.Equal(t, Delivered, decide(item(2), &Attempt{StatusCode: 204}, sub, now).State)

	v = decide(item(0), bad, sub, now)
	require.Equal(t, now.Add(60*time.Second).UnixMilli(), v.AsideAt)
	again := item(1)
	again.AsideAt = now.UnixMilli() + 10
	require.Equal(t, now.UnixMilli()+10, decide(again, bad, sub, now).AsideAt,
		"60 s from the first refusal, not from each")

	asks := &Attempt{StatusCode: 429, Class: Status, RetryAfter: 40 * time.Second}
	v = decide(item(0), asks, sub, now)
	require.Equal(t, now.Add(time.Second).UnixMilli(), v.DueAt, "by the schedule: the hold makes it wait")
	short := item(1)
	short.GiveUpAt = now.UnixMilli() + 4000
	require.Equal(t, Exhausted, decide(short, failed, sub, now).State, "due after five seconds")
	require.Equal(t, Pending, decide(short, asks, sub, now).State, "the clock stands still for longer than that")
	require.Equal(t, Pending, decide(short, failed, sub.StandStill(now, now.Add(time.Minute)), now).State, "whoever asked")
	require.Equal(t, Exhausted, decide(item(2), asks, sub, now).State, "it has no try left")

	soon := item(0)
	soon.GiveUpAt = now.UnixMilli() + 900
	require.Equal(t, Exhausted, decide(soon, failed, sub, now).State, "no retry would come in time")

	// Time in pause does not count.
	sub.PausedFor = time.Minute
	soon.GiveUpAt = now.Add(-time.Minute).UnixMilli() + 1100
	require.Equal(t, Pending, decide(soon, failed, sub, now).State)
}

func TestJitterStaysInBounds(t *testing.T) {
	for range 1000 {
		d := jitter(10*time.Second, 0.2)
		require.GreaterOrEqual(t, d, 8*time.Second)
		require.LessOrEqual(t, d, 12*time.Second)
	}
	require.Equal(t, 10*time.Second, jitter(10*time.Second, 0))
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7", "")
	f.Add("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT")
	f.Add("99999999999999999999999999", "soon")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, value, date string) {
		d := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Now())
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, maxRetryAfter)
	})
}

func TestBreaker(t *testing.T) {
	try := func(b *breaker, ok bool) (opened, closed bool, wait time.Duration) {
		done, allowed := b.allow()
		if !allowed {
			panic(errors.New("not allowed"))
		}
		return b.report(done, ok, time.Now())
	}
	t.Run("five in a row", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			for range 4 {
				opened, _, _ := try(b, false)
				require.False(t, opened)
			}
			opened, _, wait := try(b, false)
			require.True(t, opened)
			require.Equal(t, 30*time.Second, wait)
			_, allowed := b.allow()
			require.False(t, allowed)
			want := 30 * time.Second
			for range 7 { // the probe fails again and again: 60 s, 2 min … 15 min
				time.Sleep(want + time.Millisecond)
				done, allowed := b.allow()
				require.True(t, allowed)
				_, second := b.allow()
				require.False(t, second, "one probe")
				opened, _, wait := b.report(done, false, time.Now())
				require.True(t, opened)
				want = min(want*2, 15*time.Minute)
				require.Equal(t, want, wait)
			}
			time.Sleep(want + time.Millisecond)
			_, closed, _ := try(b, true)
			require.True(t, closed)
			require.Zero(t, b.opens)
			require.Equal(t, "closed", b.row().State)
		})
	})
	t.Run("half of ten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			for i := range 9 {
				opened, _, _ := try(b, i%2 == 0)
				require.False(t, opened)
			}
			opened, _, _ := try(b, false)
			require.True(t, opened)
		})
	})
	t.Run("the window forgets", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker()
			for i := range 9 {
				try(b, i%2 == 0)
			}
			time.Sleep(2 * time.Minute)
			opened, _, _ := try(b, false)
			require.False(t, opened)
		})
	})
	t.Run("survives a restart", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := restore(Hold{
				Until: time.Now().Add(10 * time.Second).UnixMilli(), Breaker: Breaker{State: "open", Opens: 3, FailingSince: 5},
			},
				time.Now())
			_, allowed := b.allow()
			require.False(t, allowed)
			time.Sleep(10*time.Second + time.Millisecond)
			opened, _, wait := try(b, false)
			require.True(t, opened)
			require.Equal(t, 4*time.Minute, wait)
			require.EqualValues(t, 5, b.row().FailingSince)
		})
	})
}
