package delivery

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// Self is where the hub itself can be reached. With a callback that leads there it
// would push to itself, and each push would make the next.
type Self struct {
	// Listeners of the hub. An unspecified address stands for all addresses of this
	// machine.
	Listeners []netip.AddrPort
	// Public is where others reach the hub, as through a proxy; nil if it is not
	// known. Only its name and port are compared, because behind the address of a
	// proxy there may be other servers, which pushes may reach.
	Public *url.URL
}

// listens reports whether a connection to ap would end at the hub.
func (s *Self) listens(ap netip.AddrPort) bool {
	if s == nil {
		return false
	}
	addr := ap.Addr().Unmap().WithZone("")
	for _, l := range s.Listeners {
		if l.Port() != ap.Port() {
			continue
		}
		own := l.Addr().Unmap().WithZone("")
		if addr == own || addr.IsUnspecified() || own.IsUnspecified() && ofThisMachine(addr) {
			return true
		}
	}
	return false
}

// ofThisMachine reports whether this machine has an address. It asks the system
// each time, because addresses come and go; it is called only for the hub's own
// ports.
func ofThisMachine(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return false // without them, the limit of hops ends a loop
	}
	for _, n := range nets {
		if p, err := netip.ParsePrefix(n.String()); err == nil && p.Addr().Unmap().WithZone("") == addr {
			return true
		}
	}
	return false
}

// check returns ErrBlocked for a URL that names the hub.
func (s *Self) check(u *url.URL) error {
	if s == nil {
		return nil
	}
	if s.Public != nil && hostOf(u) == hostOf(s.Public) && portOf(u) == portOf(s.Public) {
		return fmt.Errorf("%w: it is the hub's own", ErrBlocked)
	}
	name := hostOf(u)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		name = "127.0.0.1"
	}
	if ap, err := netip.ParseAddrPort(net.JoinHostPort(name, portOf(u))); err == nil && s.listens(ap) {
		return fmt.Errorf("%w: it is the hub's own", ErrBlocked)
	}
	return nil
}

// hostOf returns the host of a URL as a resolver is asked for it, so that two spellings of
// one name compare equal: in lower case, without a dot at its end, an international name in
// its ASCII form. What is no valid name stays as it is, and fails when it is resolved.
func hostOf(u *url.URL) string {
	name := strings.TrimSuffix(u.Hostname(), ".")
	if ascii, err := idna.Lookup.ToASCII(name); err == nil {
		name = strings.TrimSuffix(ascii, ".")
	}
	return strings.ToLower(name)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return strings.TrimLeft(u.Port(), "0")
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
