package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a request that is signed by OAuth 1.0a.
const (
	maxOAuthHeader = 4096 // bytes of the header Authorization
	maxNonce       = 255  // bytes
)

// OAuth1 says who signed a request by OAuth 1.0a (RFC 5849), with HMAC-SHA1 or
// HMAC-SHA256 and the parameters in the header Authorization. An app is consumer
// and token in one: oauth_token is left out, or it is the app's id, whose secret
// is then that of the app, for clients that cannot do without.
type OAuth1 struct {
	Book  *Book
	Signs SignStore
	// PublicURL is where clients see the hub when that is not where it listens:
	// they sign the URL that they see. "": only there.
	PublicURL string
	Now       func() time.Time // default time.Now
}

var oauthMethods = map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New}

// IsOAuth says whether r comes with a signature of OAuth 1.0a.
func IsOAuth(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "OAuth")
}

// Verify takes a signed request without a body once: ErrCredential for what was
// not signed by a live app of this kind, ErrSignTime, ErrSignUsed, ErrSignLimit.
func (o *OAuth1) Verify(ctx context.Context, r *http.Request) (Caller, error) {
	values := r.Header.Values("Authorization")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if len(values) != 1 || err != nil {
		return Caller{}, ErrCredential
	}
	p, ok := parseOAuth(values[0])
	if !ok {
		return Caller{}, ErrCredential
	}
	app, c, err := o.Book.App(p["oauth_consumer_key"])
	if err != nil { // also of a suspended tenant: without its secret nobody has shown who he is
		return Caller{}, ErrCredential
	}
	sum := oauthMethods[p["oauth_signature_method"]]
	sign, err := base64.StdEncoding.DecodeString(p["oauth_signature"])
	if app.Kind != OAuth1App || sum == nil || err != nil {
		return Caller{}, ErrCredential
	}
	key := percent(app.Secret) + "&"
	switch p["oauth_token"] {
	case "":
	case app.ID:
		key += percent(app.Secret)
	default:
		return Caller{}, ErrCredential
	}
	after := "&" + percent(normalize(query, p))
	if !slices.ContainsFunc(o.seenAs(r), func(uri string) bool {
		mac := hmac.New(sum, []byte(key))
		mac.Write([]byte(strings.ToUpper(r.Method) + "&" + percent(uri) + after))
		return hmac.Equal(mac.Sum(nil), sign)
	}) {
		return Caller{}, ErrCredential
	}
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 64)
	at := time.Unix(seconds, 0)
	if off := now().Sub(at); err != nil || off > SignWindow || off < -SignWindow {
		return Caller{}, ErrSignTime
	}
	used := sha256.Sum256([]byte("oauth1\n" + p["oauth_timestamp"] + "\n" + p["oauth_nonce"]))
	// A minute more than it could be taken: clocks of processes differ.
	if err := o.Signs.UseSign(ctx, app.ID, [16]byte(used[:16]), at.Add(SignWindow+time.Minute), MaxSigns); err != nil {
		return Caller{}, err
	}
	return c, nil
}

// parseOAuth reads the header Authorization: name="value" with commas between,
// both percent-encoded. Nothing comes twice; nonce and time are there.
func parseOAuth(header string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if len(header) > maxOAuthHeader || !strings.EqualFold(scheme, "OAuth") {
		return nil, false
	}
	p := map[string]string{}
	for item := range strings.SplitSeq(rest, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(item), "=")
		if !found && name == "" {
			continue // a comma too many
		}
		value = strings.TrimSpace(value)
		if unquoted, is := strings.CutPrefix(value, `"`); is {
			if value, is = strings.CutSuffix(unquoted, `"`); !is {
				return nil, false
			}
		}
		name, nameErr := url.PathUnescape(strings.TrimSpace(name))
		value, valueErr := url.PathUnescape(value)
		if _, twice := p[name]; twice || !found || name == "" || nameErr != nil || valueErr != nil {
			return nil, false
		}
		p[name] = value
	}
	version, there := p["oauth_version"]
	nonce := p["oauth_nonce"]
	if there && version != "1.0" || nonce == "" || len(nonce) > maxNonce || p["oauth_timestamp"] == "" {
		return nil, false
	}
	return p, true
}

// normalize the parameters of query and header (RFC 5849, 3.4.1.3.2).
func normalize(query url.Values, header map[string]string) string {
	type pair struct{ name, value string }
	var all []pair
	for name, values := range query {
		for _, v := range values {
			all = append(all, pair{percent(name), percent(v)})
		}
	}
	for name, v := range header {
		if name != "realm" && name != "oauth_signature" {
			all = append(all, pair{percent(name), percent(v)})
		}
	}
	slices.SortFunc(all, func(a, b pair) int {
		if by := strings.Compare(a.name, b.name); by != 0 {
			return by
		}
		return strings.Compare(a.value, b.value)
	})
	var s strings.Builder
	for i, p := range all {
		if i > 0 {
			s.WriteByte('&')
		}
		s.WriteString(p.name + "=" + p.value)
	}
	return s.String()
}

// seenAs are the URLs (RFC 5849, 3.4.1.2) that the client may have meant: a proxy
// before the hub may have taken the TLS off, and part of the path.
func (o *OAuth1) seenAs(r *http.Request) (uris []string) {
	host, path := strings.ToLower(r.Host), r.URL.EscapedPath()
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		uris = append(uris, scheme+"://"+strings.TrimSuffix(host, port)+path)
	}
	if o.PublicURL != "" {
		uris = append(uris, strings.TrimSuffix(o.PublicURL, "/")+path)
	}
	return uris
}

// percent-encodes as RFC 5849, 3.6 says: all but letters, digits and - . _ ~.
func percent(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}
