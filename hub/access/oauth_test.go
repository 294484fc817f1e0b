package access_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

const queueState = "/operations/api/account/acme/queuestate"

// signedBy is the header that another implementation makes for a GET.
func signedBy(t testing.TB, target string, change func(c *oauth1.Config, tok *oauth1.Token)) string {
	t.Helper()
	c, tok := oauth1.NewConfig(oauthApp.ID, oauthApp.Secret), oauth1.NewToken("", "")
	if change != nil {
		change(c, tok)
	}
	var header string
	client := c.Client(context.WithValue(t.Context(), oauth1.HTTPClient,
		&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			header = r.Header.Get("Authorization")
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}, nil
		})}), tok)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return header
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// got is the request as the hub sees it.
func got(target string, authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header["Authorization"] = authorization
	return r
}

func newOAuth(t testing.TB) (*desk, *access.OAuth1) {
	d := newDesk(t)
	d.now = time.Now()
	d.auth.OAuth = &access.OAuth1{
		Book: d.book, Signs: signs{}, PublicURL: "https://hooks.example.com/base", Now: func() time.Time { return d.now },
	}
	return d, d.auth.OAuth
}

func TestOAuthSignatures(t *testing.T) {
	const plain = "http://127.0.0.1:8080" + queueState + "?v=2&skillIds=4,15,3"
	asToken := func(_ *oauth1.Config, tok *oauth1.Token) { tok.Token, tok.TokenSecret = oauthApp.ID, oauthApp.Secret }
	for name, tt := range map[string]struct {
		signed, got string
		change      func(c *oauth1.Config, tok *oauth1.Token)
		err         error
	}{
		"consumer alone":     {plain, plain, nil, nil},
		"consumer and token": {plain, plain, asToken, nil},
		"HMAC-SHA256": {plain, plain, func(c *oauth1.Config, _ *oauth1.Token) {
			c.Signer = &oauth1.HMAC256Signer{ConsumerSecret: oauthApp.Secret}
		}, nil},
		"with a realm": {plain, plain, func(c *oauth1.Config, _ *oauth1.Token) { c.Realm = "acme" }, nil},
		"odd characters": {
			"http://a.b" + queueState + "?v=1&x=%C3%A9+%26%3D%7E%2C%22&empty=",
			"http://a.b" + queueState + "?v=1&x=%C3%A9+%26%3D%7E%2C%22&empty=", nil, nil,
		},
		"behind TLS": {"https://Hooks.example.org:443" + queueState, "http://hooks.example.org" + queueState, nil, nil},
		"behind a proxy": {
			"https://hooks.example.com/base" + queueState + "?v=1", "http://10.0.0.7:8080" + queueState + "?v=1", nil, nil,
		},
		"another host": {plain, "http://127.0.0.2:8080" + queueState + "?v=2&skillIds=4,15,3", nil, access.ErrCredential},
		"another path": {
			plain, "http://127.0.0.1:8080/operations/api/account/other/queuestate?v=2&skillIds=4,15,3", nil,
			access.ErrCredential,
		},
		"another query": {plain, "http://127.0.0.1:8080" + queueState + "?v=2&skillIds=all", nil, access.ErrCredential},
		"another secret": {
			plain, plain, func(c *oauth1.Config, _ *oauth1.Token) { c.ConsumerSecret = "another" }, access.ErrCredential,
		},
		"unknown app": {
			plain, plain, func(c *oauth1.Config, _ *oauth1.Token) { c.ConsumerKey = "nobody" }, access.ErrCredential,
		},
		"an app of Sobot's": {plain, plain, func(c *oauth1.Config, _ *oauth1.Token) {
			c.ConsumerKey, c.ConsumerSecret = vectorApp.ID, vectorApp.Secret
		}, access.ErrCredential},
		"a token of its own": {
			plain, plain, func(_ *oauth1.Config, tok *oauth1.Token) { tok.Token, tok.TokenSecret = "t", "s" },
			access.ErrCredential,
		},
		"token's secret wrong": {
			plain, plain, func(_ *oauth1.Config, tok *oauth1.Token) { tok.Token, tok.TokenSecret = oauthApp.ID, "s" },
			access.ErrCredential,
		},
		"nonce too long": {
			plain, plain, func(c *oauth1.Config, _ *oauth1.Token) { c.Noncer = nonce(strings.Repeat("n", 256)) },
			access.ErrCredential,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := newOAuth(t)
			c, err := o.Verify(t.Context(), got(tt.got, signedBy(t, tt.signed, tt.change)))
			require.ErrorIs(t, err, tt.err)
			if tt.err == nil {
				require.Equal(t, fmt.Sprint(oauthApp.Tenant, oauthApp.ID, access.Query), fmt.Sprint(c.Tenant, c.KeyID, c.Role))
			}
		})
	}
}

type nonce string

func (n nonce) Nonce() string { return string(n) }

// Clients sign a URL with scheme and host in small letters and without the port
// that the scheme has anyway (RFC 5849, 3.4.1.2), however HOOKLINE_PUBLIC_URL is
// written.
func TestOAuthPublicURL(t *testing.T) {
	for _, tt := range []struct{ public, signed string }{
		{"https://hooks.example.com:443/base", "https://hooks.example.com/base" + queueState},
		{"HTTPS://Hooks.Example.COM/base/", "https://hooks.example.com/base" + queueState},
		{"http://Hooks.Example.com:80", "http://hooks.example.com" + queueState},
		{"https://hooks.example.com:8443/Base", "https://hooks.example.com:8443/Base" + queueState},
		{"https://hooks.example.com/b%20c", "https://hooks.example.com/b%20c" + queueState},
		{"https://[::1]:443", "https://[::1]" + queueState},
	} {
		_, o := newOAuth(t)
		o.PublicURL = tt.public
		header := signedBy(t, tt.signed+"?v=1", nil)
		_, err := o.Verify(t.Context(), got("http://10.0.0.7:8080"+queueState+"?v=1", header))
		require.NoError(t, err, tt.public)
	}
}

// A realm is a quoted string: it may hold commas, quotes and percent signs.
func TestOAuthRealm(t *testing.T) {
	const target = "http://a.b" + queueState + "?v=1"
	for _, realm := range []string{"", "acme, Berlin", `the \"best\", 100%`, "https://a.b/?x=1&y=2", ",", "é"} {
		_, o := newOAuth(t)
		header := strings.Replace(signedBy(t, target, nil), "OAuth ", `OAuth realm="`+realm+`", `, 1)
		_, err := o.Verify(t.Context(), got(target, header))
		require.NoError(t, err, realm)
		last := strings.Replace(signedBy(t, target, nil), "OAuth ", "OAuth ,", 1) + `,realm = "` + realm + `" , `
		_, err = o.Verify(t.Context(), got(target, last))
		require.NoError(t, err, realm)
	}
	for _, wrong := range []string{`realm="a, `, `realm="a" b, `, `realm="a", realm="b", `, `realm, `, `="a", `} {
		_, o := newOAuth(t)
		header := strings.Replace(signedBy(t, target, nil), "OAuth ", "OAuth "+wrong, 1)
		_, err := o.Verify(t.Context(), got(target, header))
		require.ErrorIs(t, err, access.ErrCredential, wrong)
	}
}

// A signature is good for five minutes and once; the same nonce at another time
// is another.
func TestOAuthReplay(t *testing.T) {
	d, o := newOAuth(t)
	const target = "http://a.b" + queueState + "?v=1"
	header := signedBy(t, target, nil)
	at := d.now
	for off, want := range map[time.Duration]error{
		access.SignWindow + 2*time.Second: access.ErrSignTime, -access.SignWindow - 2*time.Second: access.ErrSignTime,
	} {
		d.now = at.Add(off)
		_, err := o.Verify(t.Context(), got(target, header))
		require.ErrorIs(t, err, want, "%s", off)
	}
	d.now = at.Add(access.SignWindow - 2*time.Second)
	_, err := o.Verify(t.Context(), got(target, header))
	require.NoError(t, err, "what was refused did not use it up")
	_, err = o.Verify(t.Context(), got(target, header))
	require.ErrorIs(t, err, access.ErrSignUsed)
	again := strings.NewReplacer("HMAC-SHA1", "HMAC-SHA256").Replace(header)
	_, err = o.Verify(t.Context(), got(target, again))
	require.ErrorIs(t, err, access.ErrCredential, "the method is signed")
	_, err = o.Verify(t.Context(), got(target, signedBy(t, target, nil)))
	require.NoError(t, err)
	d.apps(theirApp)
	_, err = o.Verify(t.Context(), got(target, signedBy(t, target, nil)))
	require.ErrorIs(t, err, access.ErrCredential, "the app was deleted")
}

// Wrong signatures are counted as wrong keys are; keys are taken as well.
func TestAuthenticateOAuth(t *testing.T) {
	d, _ := newOAuth(t)
	const target = "http://a.b" + queueState
	_, err := d.auth.AuthenticateOAuth(got(target))
	require.ErrorIs(t, err, access.ErrNoCredential)
	c, err := d.auth.AuthenticateOAuth(got(target, "Bearer "+d.texts["query"]))
	require.NoError(t, err)
	require.Equal(t, "query", c.KeyID)
	good := signedBy(t, target, nil)
	c, err = d.auth.AuthenticateOAuth(got(target, good))
	require.NoError(t, err)
	require.Equal(t, oauthApp.ID, c.KeyID)
	require.NotEmpty(t, c.IP)
	var slow *access.SlowDown
	for range 10 {
		_, err = d.auth.AuthenticateOAuth(got(target, "OAuth nonsense"))
		require.ErrorIs(t, err, access.ErrCredential)
	}
	_, err = d.auth.AuthenticateOAuth(got(target, "OAuth nonsense"))
	require.ErrorAs(t, err, &slow)
	_, err = d.auth.AuthenticateOAuth(got(target, good, good))
	require.Error(t, err, "which one is meant?")
}

func TestAuthenticateKey(t *testing.T) {
	d, _ := newOAuth(t)
	_, err := d.auth.AuthenticateKey(got("/"), "")
	require.ErrorIs(t, err, access.ErrNoCredential)
	_, err = d.auth.AuthenticateKey(got("/"), "hk_acme_wrongwrongwrongwrong")
	require.ErrorIs(t, err, access.ErrCredential)
	c, err := d.auth.AuthenticateKey(got("/"), d.texts["query"])
	require.NoError(t, err)
	require.Equal(t, "query", c.KeyID)
}

// Whatever stands in the header, it is a caller or ErrCredential.
func FuzzOAuth(f *testing.F) {
	for _, h := range []string{
		signedBy(f, "http://a.b"+queueState+"?v=1",
			func(c *oauth1.Config,
				_ *oauth1.Token,
			) {
				c.ConsumerSecret = "another"
			}), `OAuth `, `OAuth a="b`, `OAuth =,`, `OAuth a="%zz"`,
		`oauth oauth_version="2.0"`,
		`OAuth oauth_consumer_key="appid-4", oauth_nonce="n", oauth_timestamp="1", oauth_signature_method="HMAC-SHA1", oauth_signature="AA=="`,
	} {
		f.Add(h, "v=1")
	}
	_, o := newOAuth(f)
	f.Fuzz(func(t *testing.T, header, query string) {
		r := got("http://a.b"+queueState, header)
		r.URL = &url.URL{Path: queueState, RawQuery: query}
		c, err := o.Verify(t.Context(), r)
		if err == nil || c.Tenant != 0 {
			t.Errorf("%q is let in as %+v: %v", header, c, err)
		}
	})
}
