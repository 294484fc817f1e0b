package delivery

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/subscriptions"
)

func networks(t testing.TB, values ...string) []netip.Prefix {
	t.Helper()
	p, err := ParseNetworks(values)
	require.NoError(t, err)
	return p
}

// What must never be dialled, as addresses that a resolver may give.
var privateAddrs = []string{
	"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", // loopback, RFC 1918
	"0.0.0.0", "0.1.2.3", "255.255.255.255", "240.0.0.1", // this network, broadcast, reserved
	"169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192", // link-local, metadata of clouds
	"100.64.0.1", "100.127.255.255", // CGNAT
	"224.0.0.1", "239.255.255.250", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
	"::1", "::", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
	// v4-mapped, v4-compatible
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a83f:8110", "::127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", // NAT64
	// 6to4, Teredo, documentation, discard
	"2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001:db8::1", "100::1", "3fff::1",
}

var publicAddrs = []string{
	"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "168.63.129.17", "2606:4700:4700::1111", "::ffff:8.8.8.8",
}

func dialAddress(addr string, port string) (network, address string) {
	if strings.Contains(addr, ":") {
		return "tcp6", "[" + addr + "]:" + port
	}
	return "tcp4", addr + ":" + port
}

func TestControlBlocksWhatIsNotPublic(t *testing.T) {
	g := NewGuard(nil)
	for _, a := range privateAddrs {
		network, address := dialAddress(a, "443")
		require.ErrorIs(t, g.Control(network, address, nil), ErrBlocked, a)
	}
	for _, a := range publicAddrs {
		network, address := dialAddress(a, "443")
		require.NoError(t, g.Control(network, address, nil), a)
	}
	require.ErrorIs(t, g.Control("tcp6", "[fe80::1%eth0]:443", nil), ErrBlocked)
	require.ErrorIs(t, g.Control("tcp6", "[2606:4700:4700::1111%eth0]:443", nil), ErrBlocked)
}

func TestControlBlocksWhatIsNotTCP(t *testing.T) {
	g := NewGuard(networks(t, "0.0.0.0/0", "::/0"))
	for _, c := range [][2]string{
		{"unix", "/run/docker.sock"},
		{"unix", "@abstract"},
		{"udp4", "8.8.8.8:443"},
		{"ip4:icmp", "8.8.8.8"},
		{"tcp", "8.8.8.8:443"},
		{"tcp4", "8.8.8.8"},
		{"tcp4", "example.com:443"},
		{"tcp4", ""},
		{"tcp4", "8.8.8.8:99999"},
	} {
		require.ErrorIs(t, g.Control(c[0], c[1], nil), ErrBlocked, c)
	}
}

// Ports hold for allowed networks too: opening a network for callbacks does not open its mail server.
func TestControlJudgesPorts(t *testing.T) {
	for _, g := range []*Guard{NewGuard(nil), NewGuard(networks(t, "8.8.8.8"))} {
		for port, ok := range map[string]bool{
			"80": true, "443": true, "1024": true, "8080": true, "65535": true,
			"0": false, "1": false, "22": false, "25": false, "53": false, "81": false, "444": false, "1023": false,
		} {
			if ok {
				require.NoError(t, g.Control("tcp4", "8.8.8.8:"+port, nil), port)
			} else {
				require.ErrorIs(t, g.Control("tcp4", "8.8.8.8:"+port, nil), ErrBlocked, port)
			}
		}
	}
}

func TestControlLetsAllowedNetworksThrough(t *testing.T) {
	g := NewGuard(networks(t, "loopback", "10.1.0.0/16", "fd00:1::/32", "168.63.129.16"))
	for _, a := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.2.3", "fd00:1::9", "168.63.129.16",
	} {
		network, address := dialAddress(a, "8080")
		require.NoError(t, g.Control(network, address, nil), a)
	}
	for _, a := range []string{"10.2.0.1", "fd00:2::1", "192.168.0.1", "0.0.0.0", "::"} {
		network, address := dialAddress(a, "8080")
		require.ErrorIs(t, g.Control(network, address, nil), ErrBlocked, a)
	}
	require.ErrorIs(t, g.Control("tcp6", "[::1%lo]:8080", nil), ErrBlocked)
}

func TestCheckURL(t *testing.T) {
	g := NewGuard(nil)
	for _, u := range []string{
		"https://example.com/hook?x=1", "http://example.com", "https://example.com:8443/", "https://example.com./",
		"http://8.8.8.8/",
		"https://[2606:4700:4700::1111]:443/", "https://bücher.example/", "https://例え.テスト/", "https://10.example.com/",
		"https://0x7f.example/",
		"https://1.2.3.4.example.com/", "https://localhost.example.com/", "https://xn--bcher-kva.example/",
		"https://２.example/",
	} {
		require.NoError(t, check(t, g, u), u)
	}
	for _, u := range []string{
		"ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "unix:///run/docker.sock", "javascript:alert(1)",
		"//example.com/",
		"http:///path", "http://:8080/", "http:example.com", "mailto:a@example.com",
		"http://example.com:22/", "http://example.com:0/", "http://example.com:70000/", "https://example.com:1023/",
		"http://localhost/", "http://LOCALHOST:8080/", "http://a.localhost./", "http://localhost./",
		"http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://0X7F000001/", "http://0/", "http://0x/",
		"http://127.1/", "http://127.0.1/", "http://0177.0.0.1/", "http://0x7f.0.0.1/", "http://127.0.0.0x1/",
		"http://127.0.0.01/", "http://0127.0.0.1/",
		"http://127.0.0.1./", "http://8.8.8.8./", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://example.1/", "http://./",
		"http://127.0.0.1../",
		"http://１２７.0.0.1/", "http://127。0。0。1/", "http://127.0.0.①/", "http://127．1/", "http://0ｘ7f000001/",
		"http://127.0.0.1\u00ad/", "http://127.0.0.1.\u00ad/",
		"http://[fe80::1%25eth0]/", "http://[::1%25lo]/", "http://[2606:4700:4700::1111%25eth0]/",
	} {
		require.ErrorIs(t, check(t, g, u), ErrBlocked, u)
	}
	for _, a := range privateAddrs {
		_, address := dialAddress(a, "8080")
		require.ErrorIs(t, check(t, g, "http://"+address+"/"), ErrBlocked, a)
	}
}

func check(t testing.TB, g *Guard, raw string) error {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err, raw)
	return g.CheckURL(u)
}

func TestCheckURLWithAllowedNetworks(t *testing.T) {
	g := NewGuard(networks(t, "loopback"))
	for _, u := range []string{
		"http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/", "http://[::ffff:127.0.0.1]:9000/",
	} {
		require.NoError(t, check(t, g, u), u)
	}
	// Other spellings stay refused: what is judged here must be what is dialled.
	for _, u := range []string{
		"http://2130706433:9000/", "http://127.1:9000/", "http://[::1%25lo]:9000/", "http://10.0.0.1:9000/",
		"http://localhost:22/",
	} {
		require.ErrorIs(t, check(t, g, u), ErrBlocked, u)
	}
}

func TestParseNetworks(t *testing.T) {
	got, err := ParseNetworks([]string{" 10.0.0.0/8", "", "loopback ", "192.168.1.7", "fd00::/8", "::1"})
	require.NoError(t, err)
	var texts []string
	for _, p := range got {
		texts = append(texts, p.String())
	}
	require.Equal(t, []string{"10.0.0.0/8", "127.0.0.0/8", "::1/128", "192.168.1.7/32", "fd00::/8", "::1/128"}, texts)

	for _, bad := range []string{
		"10.1.2.3/8", "10.0.0.0/33", "Loopback", "localhost", "10.0.0", "010.0.0.0/8", "fe80::1%eth0", "fe80::%eth0/10",
		"::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "*", "10.0.0.0/8,127.0.0.0/8",
	} {
		_, err := ParseNetworks([]string{"10.0.0.0/8", bad})
		require.ErrorContains(t, err, bad)
	}
}

// rebinder is a DNS server that answers a public address at first and loopback ever after.
func rebinder(t *testing.T) (addr string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	return nameServer(t, func() [][4]byte {
		if asked.Add(1) > 1 {
			return [][4]byte{{127, 0, 0, 1}}
		}
		return [][4]byte{{93, 184, 216, 34}}
	}), asked
}

// nameServer is a DNS server by which every name has the IPv4 addresses that
// answer returns, in that order, and no others.
func nameServer(t *testing.T, answer func() [][4]byte) (addr string) {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12
			for end < n && buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			question := buf[12 : end+5]
			kind := binary.BigEndian.Uint16(question[len(question)-4:])
			reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
			if kind == 1 { // A; nothing for AAAA
				for _, ip := range answer() {
					reply[7]++
					reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
					reply = append(reply, ip[:]...)
				}
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return conn.LocalAddr().String()
}

// A name that was public when it was checked and is loopback when it is dialled
// reaches nothing; only an operator who opens loopback lets it through.
func TestRebindingIsBlockedAtDial(t *testing.T) {
	var reached atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	local, err := url.Parse(srv.URL)
	require.NoError(t, err)

	post := func(g *Guard) error {
		dns, asked := rebinder(t)
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp4", dns)
		}}
		target := "http://rebind.example.com:" + local.Port() + "/"
		ips, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.com.")
		require.NoError(t, err)
		require.Equal(t, "93.184.216.34", ips[0].String(), "public when it was checked")
		require.NoError(t, check(t, g, target))

		dialer := &dialer{resolver: resolver, control: g.Control}
		client := &http.Client{Transport: &http.Transport{DialContext: dialer.dialContext, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.Greater(t, asked.Load(), int32(1), "the dial asked again")
		if err == nil {
			require.NoError(t, res.Body.Close())
		}
		return err
	}
	require.ErrorIs(t, post(NewGuard(nil)), ErrBlocked)
	require.Zero(t, reached.Load())
	require.NoError(t, post(NewGuard(networks(t, "loopback"))))
	require.Equal(t, int32(1), reached.Load())
}

// privateByNetip is what the standard library knows of addresses that are not public.
func privateByNetip(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() ||
		a.IsInterfaceLocalMulticast()
}

func FuzzCheckURL(f *testing.F) {
	for _, a := range privateAddrs {
		_, address := dialAddress(a, "8080")
		f.Add("http://" + address + "/")
	}
	f.Add("http://2130706433/")
	f.Add("http://127.1/")
	f.Add("https://user:pass@example.com:443/x?y#z")
	f.Add("http://localhost./")
	f.Add("http://127。0。0。1/")
	g := NewGuard(nil)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil || g.CheckURL(u) != nil {
			return
		}
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.NotEmpty(t, u.Hostname())
		host := strings.TrimRight(strings.ToLower(u.Hostname()), ".")
		require.NotEqual(t, "localhost", host)
		if a, err := netip.ParseAddr(host); err == nil {
			require.False(t, privateByNetip(a), "%s", a)
		}
		// Nor does anything pass that the system's own resolver would take for numbers.
		require.NotRegexp(t, `^(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,2}$`, host)
	})
}

func FuzzParseNetworks(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "loopback", "::1", "fe80::1%eth0", "::ffff:1.2.3.4/120", "0.0.0.0/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseNetworks([]string{s})
		if err != nil {
			return
		}
		g := NewGuard(got)
		for _, p := range got {
			require.True(t, p.IsValid())
			require.Equal(t, p.Masked(), p)
			require.False(t, p.Addr().Is4In6())
			require.NoError(t, g.checkAddr(p.Addr()))
		}
		for _, private := range privateAddrs {
			a := netip.MustParseAddr(private)
			named := false
			for _, p := range got {
				named = named || p.Contains(a.Unmap())
			}
			require.Equal(t, named, g.checkAddr(a) == nil, "%s with %v", a, got)
		}
	})
}

func BenchmarkControl(b *testing.B) {
	g := NewGuard(networks(b, "10.0.0.0/8"))
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Control("tcp4", "93.184.216.34:443", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// A subscription whose URL the guard refuses is refused with the reason, at /url.
func TestSubscriptionURLsPassTheGuard(t *testing.T) {
	rules := subscriptions.Rules{CheckURL: NewGuard(nil).CheckURL}
	for u, why := range map[string]string{
		"http://2130706433/":           "four decimal numbers",
		"http://0177.0.0.1/":           "four decimal numbers",
		"http://127.1/":                "four decimal numbers",
		"http://[::ffff:10.0.0.1]/":    "10.0.0.1 is not public",
		"http://[fe80::1%25eth0]/":     "zone",
		"https://crm.example:25/":      "port 25",
		"https://localhost:8443/":      "not public",
		"https://169.254.169.254/meta": "not public",
	} {
		s, problems := subscriptions.Create([]byte(`{"url": "`+u+`"}`), rules)
		require.Nil(t, s, u)
		require.Len(t, problems, 1, u)
		require.Equal(t, "/url", problems[0].Field)
		require.Contains(t, problems[0].Message, why, u)
	}
	_, problems := subscriptions.Create([]byte(`{"url": "https://bücher.example:8443/hook?x=1"}`), rules)
	require.Empty(t, problems)
}
