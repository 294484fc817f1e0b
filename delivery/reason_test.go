package delivery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a tenant reads of an error has no address, no resolver and no secret.
func TestReason(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "crm.example.com", Path: "/hook", RawQuery: "token=s3cr3t"}
	here := &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 40123}
	there := &net.TCPAddr{IP: net.ParseIP("fd00::17"), Port: 443}
	connect := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	for want, err := range map[string]error{
		"dial: connect: connection refused":                                   &net.OpError{Op: "dial", Net: "tcp", Addr: there, Err: connect},
		"read: read: connection reset by peer":                                &net.OpError{Op: "read", Net: "tcp", Source: here, Addr: there, Err: os.NewSyscallError("read", syscall.ECONNRESET)},
		"dial: address not allowed: the host leads to one that is not public": &net.OpError{Op: "dial", Net: "tcp", Addr: here, Err: NewGuard(nil).Control("tcp4", "10.1.2.3:443", nil)},
		"lookup wiki.corp: no such host":                                      &net.DNSError{Err: "no such host", Name: "wiki.corp", Server: "10.0.0.2:53", IsNotFound: true},
		"lookup wiki.corp: timed out":                                         &net.OpError{Op: "dial", Err: &net.DNSError{Err: "read udp 10.1.2.3:4->10.0.0.2:53: i/o timeout", Name: "wiki.corp", Server: "10.0.0.2:53", IsTimeout: true}},
		"lookup wiki.corp: the resolver failed":                               fmt.Errorf("outer: %w", &net.DNSError{Err: "server misbehaving", Name: "wiki.corp", Server: "[fd00::2]:53"}),
		"EOF":                                                                 errors.New("net/http: HTTP/1.x transport connection broken: EOF"),
		"proxy … and … and … said no":                                         errors.New("proxy 10.9.8.7:3128 and [fe80::1%eth0]:80 and 2001:db8:0:1::7 said no"),
		"x509: certificate is valid for …, not …":                             x509.HostnameError{Certificate: &x509.Certificate{IPAddresses: []net.IP{{10, 0, 0, 7}}}, Host: "10.1.2.3"},
		"asked for ***":                                                       errors.New("asked for s3cr3t"),
	} {
		require.Equal(t, want, Reason(err, target))
	}
}

// An attempt tells the tenant nothing of the network that the hub is in; its cause, for the
// log, has it all.
func TestSendTellsNoAddresses(t *testing.T) {
	dns := nameServer(t, func() [][4]byte { return [][4]byte{{10, 0, 0, 1}} })
	s := local()
	s.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", dns)
	}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())

	for _, target := range []string{
		"http://wiki.example.com/", // resolves to a private address
		"http://127.0.0.1:" + strconv.Itoa(closed) + "/",
	} {
		a := send(t, s, target)
		require.NotEmpty(t, a.Err)
		require.NotRegexp(t, `10\.0\.0\.1|127\.0\.0\.1|:53`, a.Err)
		require.Regexp(t, `10\.0\.0\.1|127\.0\.0\.1`, a.Cause)
	}

	s = local()
	s.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "udp", Addr: &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 53}, Err: syscall.ECONNREFUSED}
	}}
	a := send(t, s, "http://wiki.example.com/")
	require.Equal(t, DNS.String(), a.Class.String())
	require.NotContains(t, a.Err, "10.0.0.2")
}
