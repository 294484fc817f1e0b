package access

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"regexp"
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

// OAuth1 finds out who signed a request by OAuth 1.0a (RFC 5849), with HMAC-SHA1 or
// HMAC-SHA256 and the parameters in the header Authorization. The app is the
// consumer and needs no token. Clients that insist on one may send the app's id as
// oauth_token and its secret as the token's secret.
type OAuth1 struct {
	Book  *Book
	Signs SignStore
	// PublicURL is where clients see the hub, when a proxy makes that another place
	// than where it listens: clients sign the URL that they see. It may be empty.
	PublicURL string
	Now       func() time.Time // default time.Now
}

// oauthMethods are the ways to sign, by their names in oauth_signature_method.
var oauthMethods = map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New}

// IsOAuth reports whether r comes with a signature of OAuth 1.0a.
func IsOAuth(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "OAuth")
}

// Verify returns whose app signed a request without a body, and uses the signature
// up. The error is ErrCredential when no live app of this kind signed the request,
// ErrSignTime, ErrSignUsed or ErrSignLimit.
func (o *OAuth1) Verify(ctx context.Context, r *http.Request) (Caller, error) {
	headers := r.Header.Values("Authorization")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if len(headers) != 1 || err != nil {
		return Caller{}, ErrCredential
	}
	params, ok := parseOAuth(headers[0])
	if !ok {
		return Caller{}, ErrCredential
	}

	// An app of a suspended tenant is unknown, too: before the signature is checked,
	// nobody has shown who he is.
	app, caller, err := o.Book.App(params["oauth_consumer_key"])
	if err != nil || app.Kind != OAuth1App {
		return Caller{}, ErrCredential
	}
	if !o.signed(r, query, params, app) {
		return Caller{}, ErrCredential
	}

	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	seconds, err := strconv.ParseInt(params["oauth_timestamp"], 10, 64)
	at := time.Unix(seconds, 0)
	if off := now().Sub(at); err != nil || off > SignWindow || off < -SignWindow {
		return Caller{}, ErrSignTime
	}

	// The use is remembered for a minute more than the signature could be taken: the
	// clocks of processes differ.
	used := sha256.Sum256([]byte("oauth1\n" + params["oauth_timestamp"] + "\n" + params["oauth_nonce"]))
	until := at.Add(SignWindow + time.Minute)
	if err := o.Signs.UseSign(ctx, app.Tenant, app.ID, [16]byte(used[:16]), until, MaxSigns); err != nil {
		return Caller{}, err
	}
	return caller, nil
}

// signed reports whether the signature among the parameters of r is that of an app.
func (o *OAuth1) signed(r *http.Request, query url.Values, params map[string]string, app App) bool {
	sum := oauthMethods[params["oauth_signature_method"]]
	sign, err := base64.StdEncoding.DecodeString(params["oauth_signature"])
	if sum == nil || err != nil {
		return false
	}

	key := percent(app.Secret) + "&"
	switch params["oauth_token"] {
	case "":
	case app.ID:
		key += percent(app.Secret)
	default:
		return false
	}

	before := strings.ToUpper(r.Method) + "&"
	after := "&" + percent(normalize(query, params))
	return slices.ContainsFunc(o.seenAs(r), func(uri string) bool {
		mac := hmac.New(sum, []byte(key))
		mac.Write([]byte(before + percent(uri) + after))
		return hmac.Equal(mac.Sum(nil), sign)
	})
}

// oauthItem is one parameter of the header Authorization, and the comma behind it.
// The value of realm is a quoted string (RFC 7235), which may hold commas and
// escaped quotes.
var oauthItem = regexp.MustCompile(`^\s*([^=,"\s]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*))\s*(?:,|$)`)

// emptyItem is a comma too many.
var emptyItem = regexp.MustCompile(`^\s*(?:,|$)`)

// parseOAuth reads the parameters of the header Authorization: name="value" with
// commas between, both percent-encoded. It returns false when one of them cannot be
// read or comes twice, and when nonce or time are missing.
func parseOAuth(header string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if len(header) > maxOAuthHeader || !strings.EqualFold(scheme, "OAuth") {
		return nil, false
	}

	params := map[string]string{}
	for rest != "" {
		if empty := emptyItem.FindString(rest); empty != "" {
			rest = rest[len(empty):]
			continue
		}
		item := oauthItem.FindStringSubmatch(rest)
		if item == nil {
			return nil, false
		}
		rest = rest[len(item[0]):]

		name, nameErr := url.PathUnescape(item[1])
		value, valueErr := url.PathUnescape(item[2] + item[3])
		if name == "realm" { // it is in no signature, and not percent-encoded
			value, valueErr = "", nil
		}
		_, twice := params[name]
		if twice || nameErr != nil || valueErr != nil {
			return nil, false
		}
		params[name] = value
	}

	version, hasVersion := params["oauth_version"]
	nonce := params["oauth_nonce"]
	if hasVersion && version != "1.0" || nonce == "" || len(nonce) > maxNonce || params["oauth_timestamp"] == "" {
		return nil, false
	}
	return params, true
}

// normalize returns the parameters of query and header as they are signed
// (RFC 5849, 3.4.1.3.2).
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
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.name + "=" + p.value
	}
	return strings.Join(texts, "&")
}

// seenAs returns the URLs, as they are signed, under which the client may have seen
// the hub: a proxy before it may have taken the TLS off, and part of the path.
func (o *OAuth1) seenAs(r *http.Request) []string {
	path := r.URL.EscapedPath()
	uris := []string{baseURI("http", r.Host, path), baseURI("https", r.Host, path)}
	if o.PublicURL == "" {
		return uris
	}
	public, err := url.Parse(o.PublicURL)
	if err != nil {
		return uris // refused when the hub starts
	}
	return append(uris, baseURI(public.Scheme, public.Host, strings.TrimSuffix(public.EscapedPath(), "/")+path))
}

// baseURI returns a URL as it is signed (RFC 5849, 3.4.1.2): scheme and host in
// small letters, without the port that the scheme has anyway.
func baseURI(scheme, host, path string) string {
	scheme = strings.ToLower(scheme)
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host + path
}

// percent encodes a text as RFC 5849, 3.6 says: all but letters, digits and - . _ ~.
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
