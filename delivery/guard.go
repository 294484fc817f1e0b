package delivery

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"code.dny.dev/ssrf"
)

// ErrBlocked says that pushes may not reach an address.
var ErrBlocked = errors.New("address not allowed")

// azureWireServer looks public, but answers inside every Azure machine, with the
// machine's secrets.
var azureWireServer = netip.MustParsePrefix("168.63.129.16/32")

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// ParseNetworks reads networks that pushes may reach although private: CIDRs,
// single addresses, and the word "loopback" for 127.0.0.0/8 and ::1. Blanks
// around a value are ignored, and so are empty values. The error names the value.
// Bits beyond the prefix ("10.1.2.3/8") are refused, because whoever wrote them
// meant another network.
func ParseNetworks(values []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, v := range values {
		v = strings.TrimSpace(v)
		switch {
		case v == "":
			continue
		case v == "loopback":
			networks = append(networks, loopback...)
			continue
		}

		p, err := netip.ParsePrefix(v)
		if err != nil {
			addr, addrErr := netip.ParseAddr(v)
			if addrErr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("network %q: not a CIDR, an address or \"loopback\"", v)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}

		switch {
		case p.Addr().Is4In6():
			return nil, fmt.Errorf("network %q: write it as IPv4", v)
		case p != p.Masked():
			return nil, fmt.Errorf("network %q: has bits beyond the prefix, the network is %s", v, p.Masked())
		}
		networks = append(networks, p)
	}
	return networks, nil
}

// Guard keeps pushes out of the hub's own network. A URL is judged when it is
// given, so that its owner learns of it, and the address itself at every dial,
// after the name was resolved: what a name meant an hour ago proves nothing.
// It is safe for concurrent use.
//
// A pooled connection is dialled once and used by many requests. So tenants with
// networks of their own need a transport of their own, or one tenant would push
// over a connection that was opened for another.
type Guard struct {
	// Self is refused even where its network is allowed; nil if it is not known. Set
	// it before the first use.
	Self *Self

	public *ssrf.Guardian
	allow  []netip.Prefix
}

// NewGuard returns a guard that lets through public addresses and those in allow.
func NewGuard(allow []netip.Prefix) *Guard {
	return &Guard{
		public: ssrf.New(ssrf.WithDeniedV4Prefixes(azureWireServer)),
		allow:  allow,
	}
}

// Control judges the address of a connection about to be made; it is for
// net.Dialer.Control. It returns ErrBlocked for anything but TCP to an allowed
// address and port. Ports are judged for allowed networks too.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %q", ErrBlocked, network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address and port", ErrBlocked)
	}
	if !allowedPort(ap.Port()) {
		return fmt.Errorf("%w: port %d, only 80, 443 and from 1024 on", ErrBlocked, ap.Port())
	}
	if g.Self.listens(ap) {
		return fmt.Errorf("%w: it is the hub's own", ErrBlocked)
	}
	if g.checkAddr(ap.Addr()) != nil {
		// Without the address: whoever gave the name must not learn what it means here.
		return fmt.Errorf("%w: the host leads to one that is not public", ErrBlocked)
	}
	return nil
}

// CheckURL judges what can be judged of a URL without resolving its name:
// scheme, host, port, and a host that is an IP address. Ways to write an IP
// address other than the usual one (decimal, octal, hexadecimal, fewer than four
// parts, with a zone) are refused, because resolvers disagree about them. It
// returns ErrBlocked with the reason. The rest is for Control.
func (g *Guard) CheckURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: scheme %q, only http and https", ErrBlocked, u.Scheme)
	}

	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || !allowedPort(uint16(n)) {
			return fmt.Errorf("%w: port %s, only 80, 443 and from 1024 on", ErrBlocked, p)
		}
	}

	host := u.Hostname()
	if host == "" {
		return fmt.Errorf("%w: no host", ErrBlocked)
	}
	if err := g.Self.check(u); err != nil {
		return err
	}

	// An address as it is usually written, or nothing that a resolver may take for
	// an address.
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.checkAddr(addr)
	}
	if strings.ContainsAny(host, ":%[]") {
		return fmt.Errorf("%w: host is neither a name nor an IP address", ErrBlocked)
	}
	if looksNumeric(host) {
		return fmt.Errorf("%w: write an IP address as four decimal numbers", ErrBlocked)
	}

	// RFC 6761: these names are loopback, whatever a resolver says.
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return g.checkAddr(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return nil
}

// checkAddr returns ErrBlocked unless addr is public or in the allow list.
func (g *Guard) checkAddr(addr netip.Addr) error {
	if addr.Zone() != "" {
		return fmt.Errorf("%w: address with a zone", ErrBlocked)
	}
	addr = addr.Unmap() // ::ffff:127.0.0.1 reaches 127.0.0.1
	for _, p := range g.allow {
		if p.Contains(addr) {
			return nil
		}
	}
	if err := g.public.SafeAddr(addr); err != nil {
		return fmt.Errorf("%w: %s is not public", ErrBlocked, addr)
	}
	return nil
}

func allowedPort(p uint16) bool { return p == 80 || p == 443 || p >= 1024 }

// dots are the label separators that IDNA folds to a dot.
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// looksNumeric reports whether some resolver might read the host as an IPv4
// address, because its last label is a number (WHATWG URL, "ends in a number"). A
// last label in another script must have letters and no digits of any kind, since
// IDNA folds "１" and "①" to "1" and drops what cannot be seen.
func looksNumeric(host string) bool {
	host = strings.TrimSuffix(dots.Replace(host), ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if strings.IndexFunc(last, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return strings.IndexFunc(last, unicode.IsLetter) < 0 || strings.IndexFunc(last, unicode.IsNumber) >= 0
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}
