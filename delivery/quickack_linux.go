package delivery

import (
	"net"
	"syscall"
)

// quickAck returns what asks the system to acknowledge at once what comes next
// on a connection. Many receivers write head and body of an answer apart, and
// their system holds the second back until the first is acknowledged, which ours
// would delay by 40 ms. The system forgets the wish, so it is made anew for each
// request.
func quickAck(c net.Conn) func() {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // it only saves time
	}
	return func() { _ = raw.Control(set) } // closed meanwhile: nothing comes any more
}
