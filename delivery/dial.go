package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Bounds of a dial.
const (
	dialMax     = 30 * time.Second       // of one whose request says no deadline: the longest timeoutMs
	dialGap     = 250 * time.Millisecond // RFC 8305: from one address to the next, unless it failed before
	dialGapMin  = 10 * time.Millisecond
	dialAddrMax = 16 // addresses of a name that are tried
)

// dialer connects to receivers. A name with several addresses gets a connection
// to the first that answers: each has its turn although those before it hang
// (RFC 8305, "happy eyeballs"). The time is that of the request, as with put it
// into the context; there is no other bound within it.
type dialer struct {
	resolver *net.Resolver // nil: the default one
	// control judges each address before it is dialled, see Guard.Control.
	control func(network, address string, c syscall.RawConn) error
	tls     *tls.Config
}

type dialDeadline struct{}

// withDialDeadline keeps the deadline of ctx where a dial finds it. A transport
// dials under a context without the deadline of the request, because another one
// may want the connection. Then nothing would end a handshake that hangs.
func withDialDeadline(ctx context.Context) context.Context {
	if until, ok := ctx.Deadline(); ok {
		return context.WithValue(ctx, dialDeadline{}, until)
	}
	return ctx
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if until, ok := ctx.Value(dialDeadline{}).(time.Time); ok {
		return context.WithDeadline(ctx, until)
	}
	return context.WithTimeout(ctx, dialMax)
}

// dialContext is for http.Transport.DialContext.
func (d *dialer) dialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return d.dial(ctx, addr)
}

// dialTLSContext is for http.Transport.DialTLSContext: the handshake has the
// bound of the request, too.
func (d *dialer) dialTLSContext(ctx context.Context, _, addr string) (net.Conn, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	plain, err := d.dial(ctx, addr)
	if err != nil {
		return nil, err
	}

	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	cfg := d.tls.Clone()
	cfg.ServerName, _, _ = net.SplitHostPort(addr) // dial has split it before
	secure := tls.Client(plain, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = plain.Close() // the handshake's error says it all
		return nil, err
	}
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(secure.ConnectionState(), nil)
	}
	return secure, nil
}

func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	addrs, err := d.resolve(ctx, addr)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 1 {
		return d.connect(ctx, addrs[0])
	}
	return d.race(ctx, addrs)
}

// resolve lists the addresses to try, in order.
func (d *dialer) resolve(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dial: port %q", service)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, nil
	}

	resolver := d.resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ips, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err // a *net.DNSError, which names the host
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	ips = interleave(ips)
	addrs := make([]netip.AddrPort, min(len(ips), dialAddrMax))
	for i := range addrs {
		addrs[i] = netip.AddrPortFrom(ips[i], uint16(port))
	}
	return addrs, nil
}

// interleave takes addresses of both families in turn, beginning with the first
// one's, so that a family that does not work here costs one try, not all.
func interleave(ips []netip.Addr) []netip.Addr {
	var first, second []netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		if len(first) == 0 || ip.Is4() == first[0].Is4() {
			first = append(first, ip)
		} else {
			second = append(second, ip)
		}
	}
	mixed := make([]netip.Addr, 0, len(ips))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			mixed = append(mixed, first[i])
		}
		if i < len(second) {
			mixed = append(mixed, second[i])
		}
	}
	return mixed
}

// race dials the addresses one after the other, without waiting for the end of
// those before, and returns the first connection that comes about.
func (d *dialer) race(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	gap := dialGap
	if until, ok := ctx.Deadline(); ok {
		// The last one should have as much time as lies between two.
		gap = max(min(gap, time.Until(until)/time.Duration(len(addrs)+1)), dialGapMin)
	}
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	started, ended := 0, 0
	defer func() {
		cancel()
		for ; ended < started; ended++ { // those under way end at once now
			if r := <-results; r.conn != nil {
				_ = r.conn.Close() // nobody used it
			}
		}
	}()

	next := time.NewTimer(0)
	defer next.Stop()
	var failed error
	for ended < len(addrs) {
		select {
		case <-next.C:
			if started < len(addrs) {
				addr := addrs[started]
				started++
				go func() {
					conn, err := d.connect(ctx, addr)
					results <- result{conn, err}
				}()
				next.Reset(gap)
			}
		case r := <-results:
			ended++
			if r.err == nil {
				return r.conn, nil
			}
			// That an address may not be reached matters only if all may not.
			if failed == nil || errors.Is(failed, ErrBlocked) && !errors.Is(r.err, ErrBlocked) {
				failed = r.err
			}
			next.Reset(0)
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}
	}
	return nil, failed
}

func (d *dialer) connect(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	one := net.Dialer{KeepAlive: 30 * time.Second, Control: d.control}
	c, err := one.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}
