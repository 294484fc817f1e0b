package access_test

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

// signs remembers in memory.
type signs map[string]time.Time

func (s signs) UseSign(_ context.Context, _ int64, app string, sign [md5.Size]byte, until time.Time, limit int) error {
	key := app + string(sign[:])
	if _, used := s[key]; used {
		return access.ErrSignUsed
	}
	if len(s) >= limit {
		return access.ErrSignLimit
	}
	s[key] = until
	return nil
}

var (
	vectorApp = access.App{ID: "b86fc8142f784bfb9215d45df64a17ea", Tenant: 1, Kind: access.SobotApp, Name: "crm", Secret: "test-secret", Role: access.Query}
	theirApp  = access.App{ID: "appid-2", Tenant: 2, Kind: access.SobotApp, Secret: "their-secret", Role: access.Query}
	sleepApp  = access.App{ID: "appid-3", Tenant: 3, Kind: access.SobotApp, Secret: "sleep-secret", Role: access.Query}
	oauthApp  = access.App{ID: "appid-4", Tenant: 1, Kind: access.OAuth1App, Secret: "oauth-secret", Role: access.Query}
	someApps  = []access.App{vectorApp, theirApp, sleepApp, oauthApp}
)

// vectorTime is the time of the vectors' sign.
var vectorTime = time.UnixMilli(1627462929415)

type desk struct {
	t      testing.TB
	now    time.Time
	book   *access.Book
	texts  map[string]string
	tokens *access.Tokens
	auth   *access.Authenticator
}

func newDesk(t testing.TB) *desk {
	d := &desk{t: t, now: vectorTime}
	d.book, d.texts = bookOf(t, access.Key{ID: "query", Tenant: 1, Role: access.Query})
	d.apps(someApps...)
	d.tokens = &access.Tokens{Key: []byte(strings.Repeat("k", 32)), Book: d.book, Signs: signs{}, Now: func() time.Time { return d.now }}
	d.auth = &access.Authenticator{Book: d.book, Tokens: d.tokens, Now: func() time.Time { return d.now }}
	return d
}

func (d *desk) apps(apps ...access.App) {
	d.t.Helper()
	require.NoError(d.t, d.book.SyncApps(d.t.Context(), func(context.Context) ([]access.App, error) { return apps, nil }))
}

func (d *desk) issue(app access.App, kind access.TokenKind) string {
	d.t.Helper()
	text, err := d.tokens.Issue(app, kind, "u-1", "1001")
	require.NoError(d.t, err)
	return text
}

func signOf(before, secret string) string {
	sum := md5.Sum([]byte(before + secret))
	return hex.EncodeToString(sum[:])
}

// The vendor's formula, with a vector that openssl made.
func TestSignVector(t *testing.T) {
	d := newDesk(t)
	got, err := d.tokens.Redeem(t.Context(), vectorApp.ID, vectorApp.ID+"1627462929415"+"token", vectorTime, "162b2ebf505c3156bb56ac817710625a")
	require.NoError(t, err)
	require.Equal(t, vectorApp, got)
}

func TestRedeem(t *testing.T) {
	before := func(app access.App) string { return app.ID + "t" }
	good := signOf(before(vectorApp), vectorApp.Secret)
	for name, tt := range map[string]struct {
		app  access.App
		sign string
		off  time.Duration
		err  error
	}{
		"right":              {vectorApp, good, 0, nil},
		"upper case":         {vectorApp, strings.ToUpper(good), 0, nil},
		"just in time":       {vectorApp, good, -access.SignWindow, nil},
		"just not too early": {vectorApp, good, access.SignWindow, nil},
		"too old":            {vectorApp, good, -access.SignWindow - time.Millisecond, access.ErrSignTime},
		"too early":          {vectorApp, good, access.SignWindow + time.Millisecond, access.ErrSignTime},
		"wrong":              {vectorApp, signOf(before(vectorApp), "another"), 0, access.ErrCredential},
		"no hex":             {vectorApp, "zz", 0, access.ErrCredential},
		"empty":              {vectorApp, "", 0, access.ErrCredential},
		"cut":                {vectorApp, good[:30], 0, access.ErrCredential},
		"unknown app":        {access.App{ID: "nobody"}, signOf(before(access.App{ID: "nobody"}), ""), 0, access.ErrCredential},
		"of another app":     {vectorApp, signOf(before(vectorApp), theirApp.Secret), 0, access.ErrCredential},
		"suspended tenant":   {sleepApp, signOf(before(sleepApp), sleepApp.Secret), 0, access.ErrCredential},
		"not of this kind":   {oauthApp, signOf(before(oauthApp), oauthApp.Secret), 0, access.ErrCredential},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			_, err := d.tokens.Redeem(t.Context(), tt.app.ID, before(tt.app), d.now.Add(tt.off), tt.sign)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Empty(t, d.tokens.Signs, "only what was taken is remembered")
				return
			}
			_, err = d.tokens.Redeem(t.Context(), tt.app.ID, before(tt.app), d.now.Add(tt.off), tt.sign)
			require.ErrorIs(t, err, access.ErrSignUsed, "a second time")
		})
	}
}

func TestTokenLife(t *testing.T) {
	d := newDesk(t)
	company, agent := d.issue(vectorApp, access.CompanyToken), d.issue(vectorApp, access.AgentToken)
	require.NotEqual(t, company, d.issue(vectorApp, access.CompanyToken), "each is a new one")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(company, ".")[1])
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(payload), `{"app":`), "%s", payload)

	want := access.Caller{Tenant: 1, CompanyID: "acme", KeyID: vectorApp.ID, Name: "crm", Role: access.Query, Token: access.AgentToken, AgentUUID: "u-1", AgentID: "1001"}
	got, err := d.tokens.Verify(agent)
	require.NoError(t, err)
	require.True(t, d.book.Holds(got, d.now))
	want.Until = got.Until
	require.Equal(t, want, got)
	require.Equal(t, d.now.Add(access.TokenLife).Unix(), got.Until.Unix())

	// It expires, to the second that its exp can say.
	made := d.now
	d.now = made.Truncate(time.Second).Add(access.TokenLife - time.Millisecond)
	_, err = d.tokens.Verify(company)
	require.NoError(t, err)
	d.now = made.Add(access.TokenLife)
	_, err = d.tokens.Verify(company)
	require.ErrorIs(t, err, access.ErrCredential)
	require.False(t, d.book.Holds(got, d.now))

	// It dies with its app, and sleeps with its tenant.
	d.now = made
	d.apps(theirApp, sleepApp)
	_, err = d.tokens.Verify(company)
	require.ErrorIs(t, err, access.ErrCredential)
	require.False(t, d.book.Holds(got, d.now))
	_, err = d.tokens.Verify(d.issue(sleepApp, access.CompanyToken))
	require.ErrorIs(t, err, access.ErrSuspended)
	d.book.RemoveTenant(2)
	_, err = d.tokens.Verify(d.issue(theirApp, access.CompanyToken))
	require.ErrorIs(t, err, access.ErrCredential)
}

// Nothing but what Issue made is a token, whatever its header says.
func TestForgedTokens(t *testing.T) {
	d := newDesk(t)
	b64 := base64.RawURLEncoding.EncodeToString
	good := d.issue(vectorApp, access.CompanyToken)
	parts := strings.Split(good, ".")
	signed := func(head, payload string, key []byte) string {
		text := b64([]byte(head)) + "." + b64([]byte(payload))
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return text + "." + b64(m.Sum(nil))
	}
	body := fmt.Sprintf(`{"app":%q,"kind":"company","iss":"hookline","exp":%d}`, vectorApp.ID, d.now.Unix()+60)
	_, err := d.tokens.Verify(signed(`{"alg":"HS256","typ":"JWT"}`, body, d.tokens.Key))
	require.NoError(t, err, "the forger of this test knows how")

	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"app": vectorApp.ID, "kind": "company", "iss": "hookline", "exp": d.now.Unix() + 60}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	hs512, err := jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims{"app": vectorApp.ID, "kind": "company", "iss": "hookline", "exp": d.now.Unix() + 60}).SignedString(d.tokens.Key)
	require.NoError(t, err)
	theirs, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	for name, text := range map[string]string{
		"alg none":         none,
		"alg None":         b64([]byte(`{"alg":"None"}`)) + "." + parts[1] + ".",
		"none, our sign":   b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2],
		"no alg":           signed(`{}`, body, d.tokens.Key),
		"another HMAC":     hs512,
		"another key":      signed(`{"alg":"HS256"}`, body, []byte("guess")),
		"another app":      parts[0] + "." + b64([]byte(strings.Replace(string(theirs), vectorApp.ID, theirApp.ID, 1))) + "." + parts[2],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"never expires":    signed(`{"alg":"HS256"}`, fmt.Sprintf(`{"app":%q,"iss":"hookline"}`, vectorApp.ID), d.tokens.Key),
		"another issuer":   signed(`{"alg":"HS256"}`, strings.Replace(body, "hookline", "elsewhere", 1), d.tokens.Key),
		"an unknown app":   signed(`{"alg":"HS256"}`, strings.Replace(body, vectorApp.ID, "nobody", 1), d.tokens.Key),
		"trailing bits":    good[:len(good)-1] + flip(good[len(good)-1]),
		"empty":            "",
		"dots":             "..",
		"long":             good + strings.Repeat("A", 4096),
		"four parts":       good + ".x",
		"payload no JSON":  signed(`{"alg":"HS256"}`, `x`, d.tokens.Key),
		"exp is a text":    signed(`{"alg":"HS256"}`, strings.Replace(body, `"exp":`, `"exp":"x","e":`, 1), d.tokens.Key),
		"exp past numbers": signed(`{"alg":"HS256"}`, fmt.Sprintf(`{"app":%q,"iss":"hookline","exp":1e400}`, vectorApp.ID), d.tokens.Key),
	} {
		_, err := d.tokens.Verify(text)
		require.ErrorIs(t, err, access.ErrCredential, name)
	}
}

// flip the bits of the last character that decoding drops.
func flip(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestAuthenticateVendor(t *testing.T) {
	d := newDesk(t)
	company, agent, key := d.issue(vectorApp, access.CompanyToken), d.issue(vectorApp, access.AgentToken), d.texts["query"]
	for name, tt := range map[string]struct {
		auth, token []string
		query       string
		inURL       bool
		want        access.TokenKind
		err         error
	}{
		"Bearer":               {auth: []string{"Bearer " + company}, want: access.CompanyToken},
		"bearer":               {auth: []string{"bearer   " + company}, want: access.CompanyToken},
		"bare":                 {auth: []string{agent}, want: access.AgentToken},
		"header token":         {token: []string{agent}, want: access.AgentToken},
		"Bearer in token":      {token: []string{"Bearer " + agent}, want: access.AgentToken},
		"a key":                {auth: []string{"Bearer " + key}},
		"a bare key":           {auth: []string{key}},
		"Authorization first":  {auth: []string{"Bearer " + key}, token: []string{"x"}},
		"in the URL":           {query: "token=" + agent, inURL: true, want: access.AgentToken},
		"not in this URL":      {query: "token=" + agent, err: access.ErrNoCredential},
		"company in the URL":   {query: "token=" + company, inURL: true, err: access.ErrTokenInURL},
		"key in the URL":       {query: "token=" + key, inURL: true, err: access.ErrTokenInURL},
		"wrong in the URL":     {query: "token=x", inURL: true, err: access.ErrCredential},
		"twice in the URL":     {query: "token=" + agent + "&token=" + agent, inURL: true, err: access.ErrCredential},
		"nothing":              {inURL: true, err: access.ErrNoCredential},
		"empty":                {auth: []string{""}, err: access.ErrCredential},
		"Bearer and no more":   {auth: []string{"Bearer "}, err: access.ErrCredential},
		"Basic":                {auth: []string{"Basic " + company}, err: access.ErrCredential},
		"two headers":          {auth: []string{company, company}, err: access.ErrCredential},
		"an unknown key":       {auth: []string{access.NewKey("acme")}, err: access.ErrCredential},
		"wrong beats the URL":  {auth: []string{"x"}, query: "token=" + agent, inURL: true, err: access.ErrCredential},
		"a key that says demo": {auth: []string{"hk_"}, err: access.ErrCredential},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/?"+tt.query, nil)
			r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", len(name))
			r.Header["Authorization"], r.Header["Token"] = tt.auth, tt.token
			if tt.auth == nil {
				r.Header.Del("Authorization")
			}
			if tt.token == nil {
				r.Header.Del("Token")
			}
			c, err := d.auth.AuthenticateVendor(r, tt.inURL)
			require.ErrorIs(t, err, tt.err)
			if tt.err != nil {
				require.Zero(t, c)
				return
			}
			require.Equal(t, tt.want, c.Token)
			require.Equal(t, "acme", c.CompanyID)
			require.Equal(t, access.Query, c.Role)
			require.NotEmpty(t, c.IP)
		})
	}
}

// Wrong tokens are slowed as wrong keys are.
func TestWrongTokensAreSlowed(t *testing.T) {
	d := newDesk(t)
	ask := func(text string) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", text)
		_, err := d.auth.AuthenticateVendor(r, false)
		return err
	}
	var slow *access.SlowDown
	n := 0
	for ; n < 100 && !errors.As(ask("x.y.z"), &slow); n++ {
	}
	require.Equal(t, 10, n)
	require.NoError(t, ask(d.issue(vectorApp, access.CompanyToken)), "a right one always passes")
}

// Whatever comes as a credential is judged without a panic, and nothing passes
// that was not issued.
func FuzzVerify(f *testing.F) {
	d := newDesk(f)
	good, err := d.tokens.Issue(vectorApp, access.AgentToken, "u", "1")
	require.NoError(f, err)
	f.Add(good[:len(good)-1])
	f.Add(strings.ToLower(good))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := d.tokens.Verify(text); err == nil {
			t.Fatalf("%q passes", text)
		}
	})
}
