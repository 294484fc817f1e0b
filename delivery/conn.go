package delivery

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// conn is a connection to a receiver, with two habits that the transport above
// it lacks.
//
// An answer counts once it came. A receiver may answer before it has read all of
// a large push, and close the connection: then the rest of the push cannot be
// written, and the transport would drop the answer in favour of that error,
// depending on which of its goroutines is faster. So once something of a request
// was written, a connection that the receiver cut takes the rest as if it were
// written, and what can still be read decides.
//
// Answers are acknowledged at once, see quickAck.
type conn struct {
	net.Conn
	ack     func()
	written atomic.Bool // something of the request under way
	cut     atomic.Bool // by the receiver, or closed: nothing can be written any more

	unread atomic.Pointer[error] // why nothing more could be read; nil while that is not known
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, ack: quickAck(c)} }

// begin says that a request is about to use a connection, and returns the conn that
// it is; nil if it is another kind of connection.
func begin(c net.Conn) *conn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	own, ok := c.(*conn)
	if !ok {
		return nil
	}
	own.written.Store(false)
	own.unread.Store(nil)
	return own
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.unread.CompareAndSwap(nil, &err)
	}
	return n, err
}

// cause returns why a request failed. Once reading has failed the transport closes the
// connection, and what is still being written over TLS then fails because it is closed,
// which says nothing: the error of reading does.
func (c *conn) cause(err error) error {
	if c == nil || !errors.Is(err, net.ErrClosed) {
		return err
	}
	if unread := c.unread.Load(); unread != nil {
		return *unread
	}
	return err
}

func (c *conn) Write(p []byte) (int, error) {
	if c.cut.Load() {
		return c.lost(p, net.ErrClosed)
	}
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.written.Store(true)
	}
	if err == nil {
		c.ack()
		return n, nil
	}
	// The transport itself closes a connection whose answer it has read, also while the
	// rest of the push is on its way.
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
		c.cut.Store(true)
		return c.lost(p, err)
	}
	return n, err
}

// lost pretends that p was written, unless it is the first of a request: then the
// receiver has read nothing of that, and it may take another connection.
func (c *conn) lost(p []byte, err error) (int, error) {
	if c.written.Load() {
		return len(p), nil
	}
	return 0, err
}
