package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The reasons why a request is not let in.
var (
	ErrNoCredential = errors.New("no credential was given")                  // 401
	ErrCredential   = errors.New("the key is unknown, expired or revoked")   // 401
	ErrSuspended    = errors.New("the tenant is suspended")                  // 403
	ErrQueryRole    = errors.New("only keys of role ingest may be in a URL") // 403
)

// SlowDown is the error in place of ErrCredential for an address from which too many
// wrong keys came. A right key passes all the same.
type SlowDown struct {
	After time.Duration // how long to wait
}

func (e *SlowDown) Error() string {
	return fmt.Sprintf("too many wrong keys from this address, wait %s", e.After.Round(time.Second))
}

// Authenticator finds out who makes a request.
type Authenticator struct {
	Book    *Book
	Trusted []netip.Prefix // proxies whose X-Forwarded-For is believed
	Tokens  *Tokens        // for AuthenticateVendor; without it, that takes keys only
	OAuth   *OAuth1        // for AuthenticateOAuth
	// Sessions are for AuthenticateSession; without them, there are none.
	Sessions *Sessions
	Now      func() time.Time // default time.Now

	failed failures
}

func (a *Authenticator) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// Authenticate returns who makes a request. The credential is "Authorization: Bearer
// hk_…" or, where inQuery allows it and there is no such header, ?key= with a key of
// role ingest. The error is one of those above.
func (a *Authenticator) Authenticate(r *http.Request, inQuery bool) (Caller, error) {
	text, fromURL, err := credential(r, inQuery)

	c, err := a.judge(r, err, func(now time.Time) (Caller, error) { return a.Book.Lookup(text, now) })
	if err == nil && fromURL && c.Role != Ingest {
		return Caller{}, ErrQueryRole
	}
	return c, err
}

// AuthenticateKey returns who makes a request with a key that its handler found
// itself, for example in the body. An empty key means that the request has none.
func (a *Authenticator) AuthenticateKey(r *http.Request, key string) (Caller, error) {
	var err error
	if key == "" {
		err = ErrNoCredential
	}
	return a.judge(r, err, func(now time.Time) (Caller, error) { return a.Book.Lookup(key, now) })
}

// AuthenticateOAuth returns who makes a request that is signed by OAuth 1.0a, or
// that has a key as Authenticate takes it. The error may also be one of
// OAuth1.Verify.
func (a *Authenticator) AuthenticateOAuth(r *http.Request) (Caller, error) {
	if !IsOAuth(r) {
		return a.Authenticate(r, false)
	}
	return a.judge(r, nil, func(time.Time) (Caller, error) { return a.OAuth.Verify(r.Context(), r) })
}

// judge returns the caller that look finds by the credential of a request, and counts
// wrong credentials. err is what came of reading the credential: look is called only
// when that is nil.
func (a *Authenticator) judge(r *http.Request, err error, look func(now time.Time) (Caller, error)) (Caller, error) {
	if errors.Is(err, ErrNoCredential) {
		return Caller{}, err // nothing was guessed: not counted
	}

	var c Caller
	if err == nil {
		c, err = look(a.now())
	}
	if errors.Is(err, ErrCredential) {
		return Caller{}, a.Wrong(r)
	}
	if err != nil {
		return Caller{}, err
	}

	if ip := ClientIP(r, a.Trusted); ip.IsValid() {
		c.IP = ip.String()
	}
	return c, nil
}

// Wrong counts a wrong credential from the address of a request. It returns
// ErrCredential, or a *SlowDown when there were too many.
func (a *Authenticator) Wrong(r *http.Request) error {
	if wait := a.failed.count(ClientIP(r, a.Trusted), a.now()); wait > 0 {
		return &SlowDown{After: wait}
	}
	return ErrCredential
}

// credential returns the text of the key in a request, and whether it stood in the
// URL.
func credential(r *http.Request, inQuery bool) (text string, fromURL bool, err error) {
	switch values := r.Header["Authorization"]; {
	case len(values) == 1:
		scheme, rest, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false, ErrCredential
		}
		return strings.TrimSpace(rest), false, nil
	case len(values) > 1:
		return "", false, ErrCredential // which one is meant?
	}

	if !inQuery || r.URL.RawQuery == "" {
		return "", false, ErrNoCredential
	}
	// Half a query is enough here; the handler judges the rest of it.
	q, _ := url.ParseQuery(r.URL.RawQuery)
	switch keys := q["key"]; len(keys) {
	case 0:
		return "", false, ErrNoCredential
	case 1:
		return keys[0], true, nil
	}
	return "", true, ErrCredential
}

// ClientIP returns the address that a request came from: that of the connection or,
// when that is a trusted proxy, the one that the proxy names in X-Forwarded-For, read
// from the right. It is the zero Addr when the connection has no address, like a Unix
// socket.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	ip := hop(r.RemoteAddr)
	if len(trusted) == 0 || !ip.IsValid() || !within(ip, trusted) {
		return ip
	}

	lines := r.Header["X-Forwarded-For"]
	for _, rest := range slices.Backward(lines) {
		for rest != "" {
			j := strings.LastIndexByte(rest, ',')
			next := hop(strings.TrimSpace(rest[j+1:]))
			rest = rest[:max(j, 0)]
			if !next.IsValid() {
				return ip // what stands left of nonsense was not written by a proxy we trust
			}
			ip = next
			if !within(ip, trusted) {
				return ip
			}
		}
	}
	return ip
}

// hop reads an address with or without port. It returns the zero Addr when s is no
// address.
func hop(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

// within reports whether an address is in one of the networks.
func within(ip netip.Addr, nets []netip.Prefix) bool {
	for _, n := range nets {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}
