package delivery

import (
	"net"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// The hub does not push to itself, however its address is written and whatever
// networks are open; what listens beside it is reached.
func TestSelf(t *testing.T) {
	open := networks(t, "0.0.0.0/0", "::/0")
	guard := func(public string, listeners ...string) *Guard {
		g := NewGuard(open)
		g.Self = &Self{}
		for _, l := range listeners {
			g.Self.Listeners = append(g.Self.Listeners, netip.MustParseAddrPort(l))
		}
		if public != "" {
			var err error
			g.Self.Public, err = url.Parse(public)
			require.NoError(t, err)
		}
		return g
	}
	var mine netip.Addr // an address of this machine beyond loopback, if it has one
	nets, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, n := range nets {
		if p := netip.MustParsePrefix(n.String()); !p.Addr().IsLoopback() && p.Addr().Is4() {
			mine = p.Addr()
		}
	}

	for _, tt := range []struct {
		g          *Guard
		own, other []string // URLs
	}{
		{
			guard("https://Hooks.example.com", "127.0.0.1:8080"),
			[]string{
				"http://127.0.0.1:8080/v1/events", "http://127.0.0.1:08080/", "http://localhost:8080", "http://a.LOCALHOST.:8080",
				"http://[::ffff:127.0.0.1]:8080",
				"http://0.0.0.0:8080", "http://[::]:8080", "https://hooks.example.com/x", "https://HOOKS.example.com.:443/",
			},
			[]string{
				"http://127.0.0.1:8081", "http://127.0.0.2:8080", "http://[::1]:8080", "http://hooks.example.com/",
				"https://hooks.example.com:8443", "https://example.com",
			},
		},
		{
			guard("http://hooks.example.com:8080/base", "0.0.0.0:9000", "[::]:9001"),
			[]string{
				"http://127.0.0.1:9000", "http://127.9.9.9:9000", "http://[::1]:9001", "http://hooks.example.com:8080",
				"http://localhost:9001",
			},
			[]string{"http://8.8.8.8:9000", "http://hooks.example.com", "http://127.0.0.1:9002"},
		},
		{ // an international name is the same name in its ASCII form, in other letters and with other dots
			guard("https://müller.example.com"),
			[]string{
				"https://müller.example.com/x", "https://MÜLLER.example.com", "https://xn--mller-kva.example.com./",
				"https://müller。example.com",
			},
			[]string{"https://muller.example.com"},
		},
		{
			guard("https://xn--mller-kva.example.com"),
			[]string{"https://müller.example.com", "https://ｍüller.example.com"},
			nil,
		},
		{guard(""), nil, []string{"http://127.0.0.1:8080"}},
		{NewGuard(open), nil, []string{"http://127.0.0.1:8080"}},
	} {
		for _, s := range tt.own {
			u, err := url.Parse(s)
			require.NoError(t, err)
			require.ErrorIs(t, tt.g.CheckURL(u), ErrBlocked, s)
			if ip, err := netip.ParseAddr(u.Hostname()); err == nil { // what a name may lead to
				network := "tcp4"
				if ip.Is6() {
					network = "tcp6"
				}
				require.ErrorIs(t, tt.g.Control(network, net.JoinHostPort(u.Hostname(), portOf(u)), nil), ErrBlocked, s)
			}
		}
		for _, s := range tt.other {
			u, err := url.Parse(s)
			require.NoError(t, err)
			require.NoError(t, tt.g.CheckURL(u), s)
		}
	}
	if mine.IsValid() {
		require.ErrorIs(t, guard("", "0.0.0.0:9000").Control("tcp4", mine.String()+":9000", nil), ErrBlocked)
		require.NoError(t, guard("", "127.0.0.1:9000").Control("tcp4", mine.String()+":9000", nil))
	}
}
