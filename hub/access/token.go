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

// TokenKind says whom a token stands for. "": the caller has a key, no token.
type TokenKind string

// Kinds of tokens.
const (
	CompanyToken TokenKind = "company"
	AgentToken   TokenKind = "agent"
)

const (
	// TokenLife is how long a token is good for, unless its app is deleted before.
	TokenLife = 24 * time.Hour
	// SignWindow is how far the time of a signed request may be off.
	SignWindow = 5 * time.Minute
	// MaxSigns of an app are remembered at a time, to be taken once only; past
	// them the app must wait.
	MaxSigns = 5_000

	maxTokenText = 2048 // bytes
	tokenIssuer  = "hookline"
)

// Why a signed request gets no token, beside ErrCredential and ErrSuspended.
var (
	ErrSignTime  = errors.New("the time of the sign must be within 5 minutes of now") // 401
	ErrSignUsed  = errors.New("the sign was used before")                             // 401
	ErrSignLimit = errors.New("too many tokens were asked for, wait some minutes")    // 429
)

// ErrTokenInURL is returned for anything but an agent token in a URL, where it
// ends up in logs.
var ErrTokenInURL = errors.New("only agent tokens may be in a URL") // 403

// SignStore remembers the signs that were used, on every process.
type SignStore interface {
	// UseSign commits that a sign of an app was used, to be remembered until a
	// time; ErrSignUsed, or ErrSignLimit when limit of the app are remembered.
	UseSign(ctx context.Context, app string, sign [md5.Size]byte, until time.Time, limit int) error
}

// Tokens gives out tokens for signed requests and says whose a token is. A
// token is a JWT with HS256: no list of them is kept, and it dies with its app.
type Tokens struct {
	Key   []byte // 32 secret bytes, the same on every process
	Book  *Book
	Signs SignStore
	Now   func() time.Time // default time.Now
}

// claims: app comes first, as in the vendor's tokens.
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

// Redeem takes a signed request once: sign is the hex of MD5 over the text
// before and the app's secret (the vendor's formula), at the time that the text
// holds. The error is ErrCredential for an unknown app as for a wrong sign, so
// that nobody learns which apps there are, or one of those above.
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
	// A minute more than it could be taken: clocks of processes differ.
	if err := t.Signs.UseSign(ctx, app.ID, want, at.Add(SignWindow+time.Minute), MaxSigns); err != nil {
		return App{}, err
	}
	return app, nil
}

// Issue makes a token of an app, for TokenLife. An agent token names its agent
// by one of both at least.
func (t *Tokens) Issue(app App, kind TokenKind, agentUUID, agentID string) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	now := t.now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{app.ID, kind, agentUUID, agentID, jwt.RegisteredClaims{
		Issuer: tokenIssuer, ID: id.String(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(TokenLife)),
	}}).SignedString(t.Key)
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return text, nil
}

// Verify says whose a token is: ErrCredential when it was not made by Issue,
// has expired, or its app is gone; ErrSuspended.
func (t *Tokens) Verify(text string) (Caller, error) {
	if len(text) > maxTokenText {
		return Caller{}, ErrCredential
	}
	var cl claims
	_, err := jwt.ParseWithClaims(text, &cl, func(*jwt.Token) (any, error) { return t.Key, nil },
		// The method is ours to say, not the token's: "none" is no method.
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(),
		jwt.WithIssuer(tokenIssuer), jwt.WithTimeFunc(t.now), jwt.WithStrictDecoding())
	if err != nil {
		return Caller{}, ErrCredential
	}
	_, c, err := t.Book.App(cl.App)
	c.Token, c.AgentUUID, c.AgentID, c.Until = cl.Kind, cl.AgentUUID, cl.AgentID, cl.ExpiresAt.Time
	return c, err
}

// AuthenticateVendor is Authenticate for the vendors' own APIs: it takes a key
// or a token, as "Authorization: Bearer …", as "Authorization: …" without a
// scheme, or in the header "token"; inURL, an agent token also as ?token=, for
// browsers whose EventSource has no headers. Of the errors of Authenticate, and
// ErrTokenInURL.
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
