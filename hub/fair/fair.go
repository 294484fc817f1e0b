// Package fair keeps one holder, be it a tenant or an address, from taking what
// the others need: places for work (Slots), bytes of memory (Budget), time of a
// connection (Pace) and connections (Connections). Gate puts bounds of time and
// memory around every request of a listener.
//
// Every bound is per process. Nothing here knows what a tenant is, which routes
// there are, or how an error is shown.
package fair

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// Full is the error of a holder that gets nothing now. It may come again.
type Full struct {
	Own   bool          // its own share is used up: 429. Else what all share is: 503
	What  string        // what there is none of, in the plural: "requests"
	After time.Duration // when to come again
}

func (e *Full) Error() string {
	if e.Own {
		return fmt.Sprintf("too many %s at a time, wait %s", e.What, e.After)
	}
	return fmt.Sprintf("the hub has too many %s at a time, wait %s", e.What, e.After)
}

// Status returns the HTTP status that says so: 429 or 503.
func (e *Full) Status() int {
	if e.Own {
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

// retryAfter is when who was refused may come again.
const retryAfter = time.Second

// Network returns what one client can hold: an IPv4 address, or a /64 of IPv6.
func Network(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if !ip.Is6() {
		return ip
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return ip // the zero Addr: all without an address are one
	}
	return p.Addr()
}
