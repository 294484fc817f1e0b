package delivery

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// Bounds of what is read of an answer, and kept.
const (
	readMax       = 64 << 10 // bytes of body; past them the connection is closed
	keepBody      = 4 << 10
	keepHeader    = 8 << 10
	maxHeader     = 32 << 10 // bytes of response headers; past them the attempt fails
	maxIdlePerKey = 64
	staleMax      = 3 // pooled connections that turn out to be closed, before the attempt fails
)

// Sender makes attempts. A process has one, because its transports pool connections.
type Sender struct {
	// Allow are the networks that every tenant's pushes may reach although private.
	Allow []netip.Prefix
	// TenantAllow returns those that only one tenant's pushes may reach; may be nil.
	TenantAllow func(tenant int64) []netip.Prefix
	// Self is where the hub itself can be reached; nil if it is not known.
	Self *Self
	// Resolver of names; default net.DefaultResolver.
	Resolver *net.Resolver

	roots *x509.CertPool // default the system's

	mu         sync.Mutex
	transports map[string]*http.Transport     // by the tenants' own networks
	common     atomic.Pointer[http.Transport] // of tenants without such networks
}

// Send makes one request. What the receiver does wrong is data (an Attempt), never
// an error. If ctx ends, the second result is false: then this process may no longer
// record anything.
func (s *Sender) Send(ctx context.Context, p *Push, target *url.URL) (*Attempt, bool) {
	began := time.Now()
	a := &Attempt{At: began.UnixMilli(), N: p.N, Version: p.Sub.Version, Late: p.Late, Replay: p.Replay}
	s.stamp(p, a)
	header, body, err := p.Request()
	if err != nil {
		a.Class, a.Err = Blocked, err.Error()
		return a, true
	}

	limited, cancel := context.WithTimeout(ctx, p.Sub.Timeout)
	defer cancel()
	limited = withDialDeadline(limited)
	transport := s.transport(p.Sub.Tenant)
	var t *trace
	var resp *http.Response
	for range staleMax + 1 {
		t = new(trace)
		req := (&http.Request{
			Method: http.MethodPost, URL: target, Host: target.Host, Header: header,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}).WithContext(httptrace.WithClientTrace(limited, t.hooks(began)))
		resp, err = transport.RoundTrip(req) //nolint:bodyclose // read closes it
		if err == nil || !t.stale() {
			break
		}
	}

	if err == nil {
		s.read(a, resp, p.Sub.StrictAck)
	}
	a.Total = time.Since(began)
	t.fill(a)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false
		}
		err = t.conn.Load().cause(err)
		a.Class = classify(err, t)
		a.Err = Reason(err, target)
		a.Cause = cause(err, target)
	}
	return a, true
}

// stamp notes time and random bytes of the attempt, in the push as well.
func (s *Sender) stamp(p *Push, a *Attempt) {
	p.Stamp(a.At)
	a.SignedAt, a.RandomCode, a.Nonce = p.At, p.RandomCode, p.Nonce
	a.KeyN = p.keys()[0].N
}

// read takes what is kept of an answer. The status is the verdict: a body that hangs
// or breaks off after it changes nothing.
func (s *Sender) read(a *Attempt, resp *http.Response, strictAck bool) {
	// The head.
	a.StatusCode = resp.StatusCode
	now := time.Now()
	switch {
	case resp.StatusCode < 200 || resp.StatusCode >= 400:
		a.Class = Status
	case resp.StatusCode >= 300:
		a.Class = Redirect
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		a.RetryAfter = retryAfter(resp.Header, now)
	}
	a.Header = headerLines(resp.Header)

	// The body, up to a bound.
	codings := codingsOf(resp.Header)
	keepMax := keepBody
	if strictAck || len(codings) > 0 {
		keepMax = readMax // the whole of it says what it means
	}
	if resp.ContentLength != 0 {
		keep := make([]byte, 0, 512)
		buf := make([]byte, 4<<10)
		left := readMax
		for left > 0 {
			n, err := resp.Body.Read(buf[:min(len(buf), left)])
			keep = append(keep, buf[:min(n, keepMax-len(keep))]...)
			if left -= n; err != nil {
				break
			}
		}
		a.Body = keep
	}
	// If it was read to its end, the connection is used again; else it is dropped.
	_ = resp.Body.Close()

	// What it means.
	var unreadable error
	if len(codings) > 0 && len(a.Body) > 0 {
		var plain []byte
		if plain, unreadable = decoded(codings, a.Body, readMax); len(plain) > 0 {
			a.Body = plain
		}
	}
	if strictAck && a.Class == None {
		reason := ackOf(a.Body)
		if reason != "" && unreadable != nil {
			reason = unreadable.Error()
		}
		if reason != "" {
			a.Class, a.Err = Ack, reason
		}
	}
	a.Body = a.Body[:min(len(a.Body), keepBody)]
}

// ackOf returns why an answer is not the acknowledgement that strictAck asks for; ""
// if it is: a JSON object whose code and ret_code, if there, are 0, "0", 200, "200"
// or "000000".
func ackOf(body []byte) string {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(event.TrimMark(body), &answer); err != nil {
		return "the answer is not a JSON object"
	}
	for _, name := range []string{"code", "ret_code"} {
		switch code := string(answer[name]); code {
		case "", "0", `"0"`, "200", `"200"`, `"000000"`:
		default:
			return name + " is " + code[:min(len(code), 100)]
		}
	}
	return ""
}

// headerLines renders headers as "Name: value\n", in no particular order.
func headerLines(h http.Header) string {
	var b strings.Builder
	for name, values := range h {
		for _, v := range values {
			if b.Len()+len(name)+len(v)+3 > keepHeader {
				return b.String()
			}
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(strings.ToValidUTF8(v, string(utf8.RuneError)))
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// classify returns in one word why there was no answer.
func classify(err error, t *trace) ErrorClass {
	var dns *net.DNSError
	var op *net.OpError
	var unknown x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, ErrBlocked):
		return Blocked
	case errors.As(err, &dns):
		return DNS
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unknown):
		return TLS
	case isTimeout(err):
		return Timeout
	case t.tlsStart.Load() != 0 && t.tlsDone.Load() == 0:
		return TLS
	case errors.As(err, &op) && op.Op == "dial":
		return Connect
	case strings.Contains(err.Error(), "response headers exceeded"):
		return TooLarge
	case t.first.Load() != 0 && !isBroken(err):
		return Malformed // something came, and the connection is not to blame
	}
	return Reset
}

// isBroken reports whether a connection ended, or failed, before the end of an
// answer's head.
func isBroken(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// cause returns the whole of an error for the log, without the URL, whose query may hold a
// secret.
func cause(err error, target *url.URL) string {
	msg := subscriptions.SecretsOf(target.String()).Hide(err.Error())
	return strings.ToValidUTF8(msg[:min(len(msg), reasonMax)], string(utf8.RuneError))
}

// transport returns that of a tenant: the common one, or, if the tenant has networks
// of its own, one that it shares only with tenants that have the same. A connection
// in a pool is not dialled again, so the guard would not keep others from it.
func (s *Sender) transport(tenant int64) *http.Transport {
	var own []netip.Prefix
	if s.TenantAllow != nil {
		own = s.TenantAllow(tenant)
	}
	if len(own) == 0 {
		if t := s.common.Load(); t != nil {
			return t
		}
	}

	name := fmt.Sprint(own)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.transports[name]
	if t == nil {
		t = s.newTransport(own)
		if s.transports == nil {
			s.transports = map[string]*http.Transport{}
		}
		s.transports[name] = t
		if len(own) == 0 {
			s.common.Store(t)
		}
	}
	return t
}

// Transport returns the guarded way to the outside that a tenant's pushes take,
// for what else is asked there on the tenant's behalf. It follows no redirects,
// and gives answers without their content coding.
func (s *Sender) Transport(tenant int64) http.RoundTripper { return outside{s.transport(tenant)} }

func (s *Sender) newTransport(own []netip.Prefix) *http.Transport {
	guard := NewGuard(append(append([]netip.Prefix(nil), s.Allow...), own...))
	guard.Self = s.Self
	dialer := &dialer{
		resolver: s.Resolver, control: guard.Control,
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, RootCAs: s.roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(1024),
		},
	}
	return &http.Transport{
		Proxy:                  nil, // with one, the guard would see the proxy's address
		DialContext:            dialer.dialContext,
		DialTLSContext:         dialer.dialTLSContext,
		MaxIdleConns:           10_000,
		MaxIdleConnsPerHost:    maxIdlePerKey,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // what comes in a coding is decoded here, within bounds
		// HTTP/1.1 only: one slow answer must not stall others on a shared connection.
		Protocols: http1(),
	}
}

func http1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// CloseIdle closes the connections that nobody uses now.
func (s *Sender) CloseIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transports {
		t.CloseIdleConnections()
	}
}

// trace measures the steps of a request. Its hooks may run on other goroutines, even
// after the request has ended.
type trace struct {
	// All in ns since began; 0: it did not happen.
	dnsStart, dnsDone, connStart, connDone, connFailed, tlsStart, tlsDone, first atomic.Int64

	remote atomic.Pointer[net.TCPAddr]
	conn   atomic.Pointer[conn]
	reused atomic.Bool
}

func (t *trace) hooks(began time.Time) *httptrace.ClientTrace {
	// The first time counts: of several addresses, and of a request that the transport repeats.
	mark := func(m *atomic.Int64) { m.CompareAndSwap(0, max(int64(time.Since(began)), 1)) }

	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { mark(&t.dnsStart) },
		DNSDone:  func(httptrace.DNSDoneInfo) { mark(&t.dnsDone) },

		ConnectStart: func(string, string) { mark(&t.connStart) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil { // of several addresses the first that answers counts
				mark(&t.connDone)
			} else {
				t.connFailed.Store(int64(time.Since(began)))
			}
		},

		TLSHandshakeStart: func() { mark(&t.tlsStart) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				mark(&t.tlsDone)
			}
		},

		GotConn: func(i httptrace.GotConnInfo) {
			t.reused.Store(i.Reused)
			t.conn.Store(begin(i.Conn))
			if addr, ok := i.Conn.RemoteAddr().(*net.TCPAddr); ok {
				t.remote.Store(addr)
			}
		},
		GotFirstResponseByte: func() { mark(&t.first) },
	}
}

// stale reports whether the request had a connection from the pool that turned out
// to be closed before a byte of it was written, so that it may take another one.
// Once a byte was written the receiver may have read it, and a second request is an
// attempt of its own. (The transport would do the same, but not for large bodies.)
func (t *trace) stale() bool {
	c := t.conn.Load()
	return c != nil && t.reused.Load() && !c.written.Load()
}

// fill copies what was measured into the attempt.
func (t *trace) fill(a *Attempt) {
	span := func(from, to *atomic.Int64) time.Duration {
		if to.Load() == 0 {
			return 0
		}
		return time.Duration(to.Load() - from.Load())
	}
	if t.connDone.Load() == 0 {
		t.connDone.Store(t.connFailed.Load())
	}
	a.DNS = span(&t.dnsStart, &t.dnsDone)
	a.Connect = span(&t.connStart, &t.connDone)
	a.TLS = span(&t.tlsStart, &t.tlsDone)
	a.First = time.Duration(t.first.Load())
	if addr := t.remote.Load(); addr != nil {
		a.RemoteIP = addr.IP.String()
	}
}

// Describe returns the attempt in a few words, for logs and people.
func (a *Attempt) Describe() string {
	if a.StatusCode > 0 {
		return fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode))
	}
	return cmp.Or(a.Class.String(), "sent")
}
