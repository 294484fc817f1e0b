package fair

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Connections bounds the open connections of a server, all together and of one
// address (a /64 of IPv6). What is beyond is closed before anything is read of it.
// Set the fields before the first use; State is the server's ConnState.
type Connections struct {
	Total int            // 0: no bound
	Each  int            // of one address; 0: no bound
	Free  []netip.Prefix // addresses without a bound of their own: many clients come from there

	mu   sync.Mutex
	open map[net.Conn]netip.Addr
	of   map[netip.Addr]int
}

// State implements http.Server.ConnState.
func (c *Connections) State(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		if !c.enter(conn) {
			_ = conn.Close() // its goroutine finds it closed, and ends
		}
	case http.StateClosed, http.StateHijacked:
		// A hijacked connection ends by its own deadlines, of which it is no news.
		c.leave(conn)
	case http.StateActive, http.StateIdle:
	}
}

// enter counts a connection; false: there are too many.
func (c *Connections) enter(conn net.Conn) bool {
	from := addressOf(conn)
	ip := Network(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Total > 0 && len(c.open) >= c.Total {
		return false
	}
	if c.Each > 0 && c.of[ip] >= c.Each && !c.free(from) {
		return false
	}

	if c.open == nil {
		c.open = map[net.Conn]netip.Addr{}
		c.of = map[netip.Addr]int{}
	}
	c.open[conn] = ip
	c.of[ip]++
	return true
}

func (c *Connections) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ip, counted := c.open[conn]
	if !counted {
		return
	}
	delete(c.open, conn)
	if c.of[ip]--; c.of[ip] == 0 {
		delete(c.of, ip)
	}
}

func (c *Connections) free(ip netip.Addr) bool {
	for _, p := range c.Free {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// addressOf returns the address of who connected; the zero Addr: it has none.
func addressOf(conn net.Conn) netip.Addr {
	t, is := conn.RemoteAddr().(*net.TCPAddr)
	if !is {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap().WithZone("")
}
