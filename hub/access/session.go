package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Lifetimes of sessions and of the links that begin one.
const (
	sessionIdle    = 12 * time.Hour     // a session that nobody uses ends
	sessionLife    = 7 * 24 * time.Hour // every session ends
	auditorLife    = 12 * time.Hour     // an auditor's session ends earlier
	CodeLife       = 10 * time.Minute   // of a one-time link
	FreshFor       = 15 * time.Minute   // how long a sign-in is enough for what needs a recent one
	SessionsPerKey = 100                // the oldest session of a key ends when it has more
)

// sessionKnown is how long a session that was read is believed without another look at
// the store. Together with the 2 s between the looks of a stream it keeps the promise that
// an ended session is refused within 5 s on every process.
const sessionKnown = 2 * time.Second

// sessionTouch is how far apart the times are at which a session was seen.
const sessionTouch = 5 * time.Minute

// storePatience bounds a look at the store on behalf of a stream.
const storePatience = 2 * time.Second

// Session is somebody in the console: a browser that holds a cookie, and the key in whose
// name it acts.
type Session struct {
	ID         string
	Hash       [32]byte // SHA-256 of the cookie
	KeyID      string
	IP         string
	Agent      string // User-Agent of the browser
	CreatedAt  time.Time
	SignedInAt time.Time // when the key was given last
	SeenAt     time.Time
	ExpiresAt  time.Time
}

// live reports whether the session has not ended at a time.
func (s *Session) live(now time.Time) bool {
	return now.Before(s.ExpiresAt) && now.Before(s.SeenAt.Add(sessionIdle))
}

// SessionStore keeps sessions and the codes of one-time links.
type SessionStore interface {
	// CreateSession commits a session and its row in the audit log. Of the sessions of its
	// key, the newest keep are left; expired ones are deleted.
	CreateSession(ctx context.Context, by Caller, s Session, keep int) error
	// FindSession returns the session of a cookie; ErrCredential if there is none.
	FindSession(ctx context.Context, hash [32]byte) (Session, error)
	// SeeSession notes that a session was used at a time.
	SeeSession(ctx context.Context, id string, at time.Time) error
	// RenewSession notes that the key of a session was given again.
	RenewSession(ctx context.Context, by Caller, id string, at time.Time) error
	// EndSession deletes a session. It is safe to repeat.
	EndSession(ctx context.Context, by Caller, id string) error
	// CreateCode keeps the code of a one-time link that signs in as the holder of a key.
	CreateCode(ctx context.Context, hash [32]byte, keyID string, until time.Time) error
	// TakeCode deletes a code and returns whose it was; ErrCredential if it is unknown, used
	// or expired.
	TakeCode(ctx context.Context, hash [32]byte, now time.Time) (keyID string, err error)
}

// Sessions are those of the console. Only the hash of a cookie is kept, in the store, so
// that a session holds on every process. It is safe for concurrent use.
type Sessions struct {
	Store   SessionStore
	Book    *Book
	Trusted []netip.Prefix   // proxies whose X-Forwarded-Proto is believed
	Now     func() time.Time // default time.Now

	mu    sync.Mutex
	known map[[32]byte]knownSession
}

// knownSession is a session as it was read a moment ago.
type knownSession struct {
	Session
	readAt time.Time
}

func (s *Sessions) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// newSecret returns 32 random bytes as text.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Begin makes a session of a caller and returns the text of its cookie.
func (s *Sessions) Begin(ctx context.Context, c Caller, agent string) (cookie string, session Session, err error) {
	now := s.now()
	life := sessionLife
	if c.Role == Auditor {
		life = auditorLife
	}
	cookie = newSecret()
	session = Session{
		ID: rand.Text(), Hash: sha256.Sum256([]byte(cookie)), KeyID: c.KeyID, IP: c.IP, Agent: cut(agent, 200),
		CreatedAt: now, SignedInAt: now, SeenAt: now, ExpiresAt: now.Add(life),
	}

	// No session outlives its key.
	if until := s.Book.expiry(c.KeyID); until != nil && until.Before(session.ExpiresAt) {
		session.ExpiresAt = *until
	}
	err = s.Store.CreateSession(ctx, c, session, SessionsPerKey)
	return cookie, session, err
}

// cut returns the first n bytes of a text, without half a character at the end.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

// Caller returns who holds a cookie. The error is ErrCredential when there is no such
// session, it has ended, or its key is revoked or expired; ErrSuspended when the tenant is
// suspended.
func (s *Sessions) Caller(ctx context.Context, cookie string) (Caller, error) {
	now := s.now()
	session, err := s.find(ctx, sha256.Sum256([]byte(cookie)), now)
	if err != nil {
		return Caller{}, err
	}
	if !session.live(now) {
		return Caller{}, ErrCredential
	}
	c, err := s.Book.byID(session.KeyID, now)
	if err != nil {
		return Caller{}, err
	}

	c.Session = session.ID
	c.sessionHash = session.Hash
	c.SignedInAt = session.SignedInAt
	c.Until = session.ExpiresAt
	return c, s.see(ctx, &session, now)
}

// find returns the session of a cookie, as it was at most sessionKnown ago.
func (s *Sessions) find(ctx context.Context, hash [32]byte, now time.Time) (Session, error) {
	s.mu.Lock()
	k, is := s.known[hash]
	s.mu.Unlock()
	if is && now.Sub(k.readAt) < sessionKnown {
		return k.Session, nil
	}

	session, err := s.Store.FindSession(ctx, hash)
	if err != nil {
		s.forget(hash)
		return Session{}, err
	}
	s.keep(session, now)
	return session, nil
}

// knownMost is how many sessions are remembered at most; past them all are read again.
const knownMost = 10_000

// keep remembers a session that was read.
func (s *Sessions) keep(session Session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= knownMost {
		s.known = map[[32]byte]knownSession{}
	}
	s.known[session.Hash] = knownSession{session, now}
}

func (s *Sessions) forget(hash [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, hash)
}

// see notes now and then that a session is in use.
func (s *Sessions) see(ctx context.Context, session *Session, now time.Time) error {
	if now.Sub(session.SeenAt) < sessionTouch {
		return nil
	}
	if err := s.Store.SeeSession(ctx, session.ID, now); err != nil {
		return err
	}
	session.SeenAt = now
	s.keep(*session, now)
	return nil
}

// Holds reports whether the session of a caller has not ended. It is true for callers
// without a session. When the store does not answer, the session is taken to hold: whether
// its key does is known without the store.
func (s *Sessions) Holds(c Caller) bool {
	if c.Session == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	now := s.now()
	session, err := s.find(ctx, c.sessionHash, now)
	if err != nil {
		return !errors.Is(err, ErrCredential)
	}
	return session.live(now)
}

// Renew notes that the holder of a session has given the key again.
func (s *Sessions) Renew(ctx context.Context, c Caller) error {
	defer s.forget(c.sessionHash)
	return s.Store.RenewSession(ctx, c, c.Session, s.now())
}

// End ends the session of a caller.
func (s *Sessions) End(ctx context.Context, c Caller) error {
	defer s.forget(c.sessionHash)
	return s.Store.EndSession(ctx, c, c.Session)
}

// NewCode returns the code of a one-time link that signs in as the holder of a key.
func (s *Sessions) NewCode(ctx context.Context, keyID string) (string, error) {
	code := newSecret()
	err := s.Store.CreateCode(ctx, sha256.Sum256([]byte(code)), keyID, s.now().Add(CodeLife))
	return code, err
}

// TakeCode returns whom a one-time link signs in. The link is used up then.
func (s *Sessions) TakeCode(ctx context.Context, code string) (Caller, error) {
	now := s.now()
	keyID, err := s.Store.TakeCode(ctx, sha256.Sum256([]byte(code)), now)
	if err != nil {
		return Caller{}, err
	}
	return s.Book.byID(keyID, now)
}

// Secure reports whether a request came by https, be it to a proxy that is trusted.
func (s *Sessions) Secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	ip := hop(r.RemoteAddr)
	return ip.IsValid() && within(ip, s.Trusted) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// CookieName returns the name of the cookie in a request. A browser sends the cookies of a
// host to all its ports, so without https, where hubs may share 127.0.0.1, the port is part
// of the name. Safari takes no cookie of the prefix __Host- without https.
func (s *Sessions) CookieName(r *http.Request) string {
	if s.Secure(r) {
		return "__Host-hookline"
	}
	if i := strings.LastIndexByte(r.Host, ':'); i >= 0 && plain(r.Host[i+1:]) {
		return "hookline-" + r.Host[i+1:]
	}
	return "hookline"
}

// Cookie returns the cookie of a session, for the answer to a request. An empty text takes
// the cookie away.
func (s *Sessions) Cookie(r *http.Request, text string, until time.Time) *http.Cookie {
	c := &http.Cookie{
		Name: s.CookieName(r), Value: text, Path: "/", Secure: s.Secure(r), HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Expires: until,
	}
	if text == "" {
		c.MaxAge = -1
	}
	return c
}

// sameOrigin reports whether a page of this hub made the request. A browser says so in
// Sec-Fetch-Site; one that does not send it, sends Origin with whatever changes something.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return origin != "" && host == r.Host
}

// AuthenticateSession returns who makes a request to our own API by the cookie of the
// console. The error is ErrNoCredential without a cookie, or when the request does not come
// from a page of this hub: another site can make a browser send the cookie.
func (a *Authenticator) AuthenticateSession(r *http.Request) (Caller, error) {
	if a.Sessions == nil || !strings.HasPrefix(r.URL.Path, "/v1/") || !sameOrigin(r) {
		return Caller{}, ErrNoCredential
	}
	cookie, err := r.Cookie(a.Sessions.CookieName(r))
	if err != nil || cookie.Value == "" {
		return Caller{}, ErrNoCredential
	}

	// A cookie that is known no more was not guessed: it is not counted.
	c, err := a.Sessions.Caller(r.Context(), cookie.Value)
	if err != nil {
		return Caller{}, err
	}
	if ip := ClientIP(r, a.Trusted); ip.IsValid() {
		c.IP = ip.String()
	}
	return c, nil
}

// AuthenticateCode returns whom the code of a one-time link signs in. A wrong code counts
// like a wrong key.
func (a *Authenticator) AuthenticateCode(r *http.Request, code string) (Caller, error) {
	return a.judge(r, nil, func(time.Time) (Caller, error) { return a.Sessions.TakeCode(r.Context(), code) })
}
