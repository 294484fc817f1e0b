package delivery

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
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

	"github.com/hookline/hookline/signing"
)

// Bounds of what is read of an answer, and kept.
const (
	readMax       = 64 << 10 // bytes of body; past them the connection is closed
	keepBody      = 4 << 10
	keepHeader    = 8 << 10
	maxHeader     = 32 << 10 // bytes of response headers; past them the attempt fails
	maxIdlePerKey = 64
)

// Sender makes attempts. One for the process: its transports pool connections.
type Sender struct {
	// Allow are the networks that every tenant's pushes may reach although private.
	Allow []netip.Prefix
	// TenantAllow are those of one tenant alone; may be nil.
	TenantAllow func(tenant int64) []netip.Prefix
	// Self is where the hub itself can be reached; nil: not known.
	Self *Self
	// Resolver of names; nil: the default one.
	Resolver *net.Resolver

	roots *x509.CertPool // nil: the system's

	mu         sync.Mutex
	transports map[string]*http.Transport // by the tenants' own networks; "": none
	common     atomic.Pointer[http.Transport]
}

// Send makes one request. What the receiver does wrong is data (an Attempt),
// never an error. If ctx ends, which means that nobody may hear of it any
// more, the second result is false.
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
	var t trace
	req := (&http.Request{
		Method: http.MethodPost, URL: target, Host: target.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		// Lets the transport try another connection when a pooled one turns out
		// closed before a byte was written. Once one was, the receiver may have
		// heard it, and a second request is an attempt of ours, on the record.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(httptrace.WithClientTrace(withDialDeadline(limited), t.hooks(began)))
	resp, err := s.transport(p.Sub.Tenant).RoundTrip(req)
	if err == nil {
		s.read(a, resp, p.Sub.StrictAck)
	}
	a.Total = time.Since(began)
	t.fill(a)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false
		}
		a.Class, a.Err = classify(err, &t), scrub(err, target)
	}
	return a, true
}

// stamp draws the time and random bytes of the attempt.
func (s *Sender) stamp(p *Push, a *Attempt) {
	n := signing.NonceSize(p.Sub.Encryption)
	random := make([]byte, 8+n)
	_, _ = rand.Read(random) // never fails
	a.SignedAt, a.RandomCode = a.At, hex.EncodeToString(random[:8])
	if n > 0 {
		a.Nonce = random[8:]
	}
	p.At, p.RandomCode, p.Nonce = a.SignedAt, a.RandomCode, a.Nonce
	a.KeyN = p.keys()[0].N
}

// read takes what is kept of an answer. The status line is the verdict: a body
// that hangs or breaks off after it changes nothing.
func (s *Sender) read(a *Attempt, resp *http.Response, strictAck bool) {
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
	codings := codingsOf(resp.Header)
	keepMax := keepBody
	if strictAck || len(codings) > 0 {
		keepMax = readMax // all of it says whether the push was taken
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
	_ = resp.Body.Close() // read to its end, the connection is used again; past the bound it is dropped

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

// ackOf says why an answer is not the acknowledgement that strictAck asks for,
// "" when it is: a JSON object whose code or ret_code, if there, is 0, "0",
// 200, "200" or "000000".
func ackOf(body []byte) string {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(body, &answer); err != nil {
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

// headerLines renders headers as "Name: value\n", sorted by nothing in particular.
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

// scrub says what went wrong without the URL, whose query may hold a secret.
func scrub(err error, target *url.URL) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	msg := strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	if target.RawQuery != "" {
		msg = strings.ReplaceAll(msg, target.RawQuery, "…")
	}
	// What is malformed may be quoted in it.
	return strings.ToValidUTF8(msg[:min(len(msg), 500)], string(utf8.RuneError))
}

// transport of a tenant: the common one, or, when it has networks of its own,
// one that is shared only with tenants that have the same. A pooled connection
// is not dialled again, so it must not be open to others.
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
		// HTTP/1.1 only: one slow answer must not stall its siblings on a shared connection.
		Protocols: http1(),
	}
}

func http1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// CloseIdle closes the connections that wait for their next use.
func (s *Sender) CloseIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transports {
		t.CloseIdleConnections()
	}
}

// trace measures the steps of a request. Its hooks may run on other
// goroutines, even after the request has ended.
type trace struct {
	// All in ns since began; 0: it did not happen.
	dnsStart, dnsDone, connStart, connDone, connFailed, tlsStart, tlsDone, first atomic.Int64

	remote atomic.Pointer[net.TCPAddr]
}

func (t *trace) hooks(began time.Time) *httptrace.ClientTrace {
	mark := func(m *atomic.Int64) { m.CompareAndSwap(0, max(int64(time.Since(began)), 1)) }
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { mark(&t.dnsStart) },
		DNSDone:      func(httptrace.DNSDoneInfo) { mark(&t.dnsDone) },
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
			begin(i.Conn)
			if addr, ok := i.Conn.RemoteAddr().(*net.TCPAddr); ok {
				t.remote.Store(addr)
			}
		},
		GotFirstResponseByte: func() { mark(&t.first) },
	}
}

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
	a.DNS, a.Connect, a.TLS = span(&t.dnsStart, &t.dnsDone), span(&t.connStart, &t.connDone), span(&t.tlsStart, &t.tlsDone)
	a.First = time.Duration(t.first.Load())
	if addr := t.remote.Load(); addr != nil {
		a.RemoteIP = addr.IP.String()
	}
}

// Describe an attempt in a few words, for logs and people.
func (a *Attempt) Describe() string {
	if a.StatusCode > 0 {
		return fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode))
	}
	return cmp.Or(a.Class.String(), "sent")
}
