package hubtest

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Cable is the way from a process to its database, or to a broker. Cut, it
// carries nothing, and neither end hears why.
type Cable struct {
	URL string // of the server, by this way

	to string
	l  net.Listener

	mu     sync.Mutex
	cut    bool
	mended chan struct{} // closed while it is not cut
	conns  map[net.Conn]struct{}
}

// NewCable to the server of a URL.
func NewCable(t testing.TB, server string) *Cable {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &Cable{to: u.Host, l: l, mended: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(c.mended)
	u.Host = l.Addr().String()
	c.URL = u.String()
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			carried.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.Mend()
		c.Drop()
		carried.Wait()
	})
	return c
}

// Cut the cable: what is under way stays under way.
func (c *Cable) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cut {
		c.cut, c.mended = true, make(chan struct{})
	}
}

// Mend the cable: it carries again.
func (c *Cable) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		c.cut = false
		close(c.mended)
	}
}

// Drop all connections: both ends hear that they ended. New ones can be made.
func (c *Cable) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
}

func (c *Cable) whole() {
	c.mu.Lock()
	mended := c.mended
	c.mu.Unlock()
	<-mended
}

func (c *Cable) carry(from net.Conn) {
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = from.Close()
		return
	}
	c.mu.Lock()
	c.conns[from], c.conns[to] = struct{}{}, struct{}{}
	c.mu.Unlock()
	var both sync.WaitGroup
	for src, dst := range map[net.Conn]net.Conn{from: to, to: from} {
		both.Go(func() {
			defer src.Close()
			defer dst.Close()
			var b [32 << 10]byte
			for {
				n, err := src.Read(b[:])
				c.whole()
				if n > 0 {
					if _, err := dst.Write(b[:n]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
	}
	both.Wait()
	c.mu.Lock()
	delete(c.conns, from)
	delete(c.conns, to)
	c.mu.Unlock()
}
