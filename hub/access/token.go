package access

import (
	"context"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// TokenKind says whom a token stands for. It is "" for a caller with a key.
type TokenKind string

// The kinds of tokens.
const (
	CompanyToken TokenKind = "company"
	AgentToken   TokenKind = "agent"
)

const (
	// TokenLife is how long a token is good for, unless its app is deleted before.
	TokenLife = 24 * time.Hour
	// SignWindow is how far the time of a signed request may be off.
	SignWindow = 5 * time.Minute
	// MaxSigns is how many signs of an app are remembered at a time, so that each is
	// taken once. Past them the app must wait.
	MaxSigns = 5_000

	maxTokenText = 2048 // bytes
	tokenIssuer  = "hookline"
)

// The reasons why a signed request gets no token, beside ErrCredential and
// ErrSuspended.
var (
	ErrSignTime  = errors.New("the time of the sign must be within 5 minutes of now") // 401
	ErrSignUsed  = errors.New("the sign was used before")                             // 401
	ErrSignLimit = errors.New("too many tokens were asked for, wait some minutes")    // 429
)

// ErrTokenInURL is the error for anything but an agent token in a URL: URLs end up in
// logs.
var ErrTokenInURL = errors.New("only agent tokens may be in a URL") // 403

// SignStore remembers the signs that were used, on every process.
type SignStore interface {
	// UseSign commits that a sign of an app was used, and remembers it until a time.
	// The error is ErrSignUsed when the sign is remembered already, and ErrSignLimit
	// when limit signs of the app are.
	UseSign(ctx context.Context, tenant int64, app string, sign [md5.Size]byte, until time.Time, limit int) error
}

// Tokens gives out tokens for signed requests and finds out whose a token is. A token
// is a JWT with HS256. No list of tokens is kept; a token ends with its app.
type Tokens struct {
	Key   []byte // 32 secret bytes, the same on every process
	Book  *Book
	Signs SignStore
	Now   func() time.Time // default time.Now
}

// claims are what a token says. app comes first, as in the vendor's tokens.
type claims struct {
	App       string    `json:"app"`
	Kind      TokenKind `json:"kind"`
	AgentUUID string    `json:"agentId,omitempty"`
	AgentID   string    `json:"agentNo,omitempty"`
	jwt.RegisteredClaims
}

func (t *Tokens) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

// Redeem returns the app that signed a request, and uses the sign up. sign is the hex
// of MD5 over the text before and the app's secret, which is the vendor's formula; at
// is the time that the text holds. The error is ErrCredential for an unknown app as
// for a wrong sign, so that nobody learns which apps there are, or one of those above.
func (t *Tokens) Redeem(ctx context.Context, appID, before string, at time.Time, sign string) (App, error) {
	app, _, err := t.Book.App(appID)
	if err != nil && !errors.Is(err, ErrSuspended) {
		return App{}, ErrCredential
	}

	want := md5.Sum([]byte(before + app.Secret))
	got, hexErr := hex.DecodeString(sign)
	if app.Kind != SobotApp || hexErr != nil || subtle.ConstantTimeCompare(want[:], got) != 1 {
		return App{}, ErrCredential
	}

	if off := t.now().Sub(at); off > SignWindow || off < -SignWindow {
		return App{}, ErrSignTime
	}
	// It is remembered for a minute more than it could be taken: clocks of processes
	// differ.
	if err := t.Signs.UseSign(ctx, app.Tenant, app.ID, want, at.Add(SignWindow+time.Minute), MaxSigns); err != nil {
		return App{}, err
	}
	return app, nil
}

// Issue returns a token of an app that is good for TokenLife. An agent token names its
// agent by its UUID, its work number or both.
func (t *Tokens) Issue(app App, kind TokenKind, agentUUID, agentID string) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}

	now := t.now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{app.ID, kind, agentUUID, agentID, jwt.RegisteredClaims{
		Issuer:    tokenIssuer,
		ID:        id.String(),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(TokenLife)),
	}}).SignedString(t.Key)
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return text, nil
}

// Verify returns whose token a text is. The error is ErrCredential when it was not
// made by Issue, has expired, or its app is gone, and ErrSuspended when the tenant of
// the app is suspended.
func (t *Tokens) Verify(text string) (Caller, error) {
	if len(text) > maxTokenText {
		return Caller{}, ErrCredential
	}
	var cl claims
	_, err := jwt.ParseWithClaims(text, &cl, func(*jwt.Token) (any, error) { return t.Key, nil },
		// We say which method it must be. A token's own word for it may be "none".
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(),
		jwt.WithIssuer(tokenIssuer), jwt.WithTimeFunc(t.now), jwt.WithStrictDecoding())
	if err != nil {
		return Caller{}, ErrCredential
	}

	_, c, err := t.Book.App(cl.App)
	c.Token = cl.Kind
	c.AgentUUID = cl.AgentUUID
	c.AgentID = cl.AgentID
	c.Until = cl.ExpiresAt.Time
	return c, err
}

// AuthenticateVendor returns who makes a request to a vendor's own API. The credential
// is a key or a token: "Authorization: Bearer …", "Authorization: …" without a scheme,
// or the header "token". Where inURL allows it, an agent token may also come as
// ?token=, for browsers, whose EventSource has no headers. The error is one of
// Authenticate, or ErrTokenInURL.
func (a *Authenticator) AuthenticateVendor(r *http.Request, inURL bool) (Caller, error) {
	text, fromURL, err := vendorCredential(r, inURL)
	if err == nil && fromURL && strings.HasPrefix(text, keyPrefix) {
		return Caller{}, ErrTokenInURL
	}

	c, err := a.judge(r, err, func(now time.Time) (Caller, error) {
		if strings.HasPrefix(text, keyPrefix) || a.Tokens == nil {
			return a.Book.Lookup(text, now)
		}
		return a.Tokens.Verify(text)
	})
	if err == nil && fromURL && c.Token != AgentToken {
		return Caller{}, ErrTokenInURL
	}
	return c, err
}

// vendorCredential returns the text of the key or token in a request, and whether it
// stood in the URL.
func vendorCredential(r *http.Request, inURL bool) (text string, fromURL bool, err error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		values = r.Header["Token"]
	}
	if len(values) == 0 && inURL {
		q, _ := url.ParseQuery(r.URL.RawQuery) // half a query is enough here; the handler judges the rest of it
		values, fromURL = q["token"], true
	}

	switch len(values) {
	case 0:
		return "", false, ErrNoCredential
	case 1:
	default:
		return "", fromURL, ErrCredential // which one is meant?
	}

	// A scheme may stand before it, which must be Bearer.
	text = strings.TrimSpace(values[0])
	if scheme, rest, found := strings.Cut(text, " "); found {
		if !strings.EqualFold(scheme, "Bearer") {
			return "", fromURL, ErrCredential
		}
		text = strings.TrimSpace(rest)
	}
	if text == "" {
		return "", fromURL, ErrCredential
	}
	return text, fromURL, nil
}
