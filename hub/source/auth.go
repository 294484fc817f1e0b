package source

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio and Intercom sign with
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hookline/hookline/hub/event"
)

// AuthType names how a platform proves that it is the one, beside the token in the path.
type AuthType string

// The types of authentication.
const (
	ByPath             AuthType = "path" // the token is all
	ByBasic            AuthType = "basic"
	ByHeader           AuthType = "header" // an API key, a bearer token
	ByHMAC             AuthType = "hmac"
	ByTwilio           AuthType = "twilio"
	ByJWT              AuthType = "jwt-hs256"
	ByStandardWebhooks AuthType = "standard-webhooks"
	ByBodySecret       AuthType = "body-secret"
)

// Auth is how inputs of a source are checked. Which fields count follows from the type.
type Auth struct {
	Type AuthType `json:"type"`

	Username string `json:"username,omitempty"` // basic
	Password string `json:"password,omitempty"`
	Name     string `json:"name,omitempty"`  // header: its name
	Value    string `json:"value,omitempty"` // header, body-secret
	Field    string `json:"field,omitempty"` // body-secret: names joined by dots

	Token  string `json:"token,omitempty"`  // twilio: the account's auth token
	Secret string `json:"secret,omitempty"` // hmac, jwt-hs256, standard-webhooks

	Header          string `json:"header,omitempty"`   // hmac: where the signature is
	Hash            string `json:"hash,omitempty"`     // hmac: sha1, sha256 (default) or sha512
	Encoding        string `json:"encoding,omitempty"` // hmac: hex (default) or base64
	Prefix          string `json:"prefix,omitempty"`   // hmac: of the signature
	Template        string `json:"template,omitempty"` // hmac: what is signed; default {body}
	TimestampHeader string `json:"timestampHeader,omitempty"`
	Tolerance       string `json:"tolerance,omitempty"` // how old a timestamp may be; default 5m
}

const defaultTolerance = 5 * time.Minute

// secrets returns the fields of an Auth that nobody may read.
func (a *Auth) secrets() []*string { return []*string{&a.Password, &a.Value, &a.Token, &a.Secret} }

// Hidden returns a with its secrets hidden.
func (a Auth) Hidden() Auth {
	for _, s := range a.secrets() {
		if *s != "" {
			*s = "***"
		}
	}
	return a
}

// check returns what is wrong with a, if anything.
func (a *Auth) check(kind *Kind, rules Rules) *event.Problem {
	bad := func(field, message string) *event.Problem {
		return &event.Problem{Field: "auth." + field, Message: message, Status: 422}
	}
	if !slices.Contains(kind.Auths, a.Type) {
		return bad("type", "must be one of "+join(kind.Auths))
	}

	need := map[AuthType][]string{
		ByBasic: {"username", "password"}, ByHeader: {"name", "value"}, ByHMAC: {"secret", "header"}, ByTwilio: {"token"},
		ByJWT: {"secret"}, ByStandardWebhooks: {"secret"}, ByBodySecret: {"field", "value"},
	}[a.Type]
	values := map[string]string{
		"username": a.Username, "password": a.Password, "name": a.Name, "value": a.Value, "field": a.Field,
		"token": a.Token, "secret": a.Secret, "header": a.Header,
	}
	for _, name := range need {
		switch v := values[name]; {
		case v == "":
			return bad(name, "is required")
		case v == "***":
			return bad(name, "must be the secret itself, not ***")
		case len(v) > 1000:
			return bad(name, "has more than 1000 bytes")
		}
	}

	switch {
	case a.Type == ByTwilio && rules.PublicURL == "":
		return bad("type", "twilio signs the URL that it calls: the hub needs HOOKLINE_PUBLIC_URL")
	case a.Type == ByStandardWebhooks:
		if _, err := standardKey(a.Secret); err != nil {
			return bad("secret", "must be base64, with or without whsec_")
		}
	case a.Type == ByHMAC && hashes[a.Hash] == nil:
		return bad("hash", "must be sha1, sha256 or sha512")
	case a.Type == ByHMAC && a.Encoding != "" && a.Encoding != "hex" && a.Encoding != "base64":
		return bad("encoding", "must be hex or base64")
	case strings.Contains(a.Template, "{url}") && rules.PublicURL == "":
		return bad("template", "has {url}: the hub needs HOOKLINE_PUBLIC_URL")
	case strings.Contains(a.Template, "{timestamp}") && a.TimestampHeader == "":
		return bad("timestampHeader", "is required for a template with {timestamp}")
	case a.Template != "" && !strings.Contains(a.Template, "{body}"):
		return bad("template", "must have {body}, or anything could be sent under one signature")
	}
	if d, err := time.ParseDuration(a.Tolerance); a.Tolerance != "" && (err != nil || d < time.Second || d > 24*time.Hour) {
		return bad("tolerance", `must be a duration from 1s to 24h, e.g. "5m"`)
	}
	return nil
}

func join[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

// signed is what a signature may cover.
type signed struct {
	header http.Header
	query  string
	body   []byte
	url    string // that the platform called, made of HOOKLINE_PUBLIC_URL
	now    time.Time
}

// verify reports whether an input comes from the platform. Its error says why not; it never
// repeats a secret.
func (a *Auth) verify(s signed) error {
	switch a.Type {
	case ByPath, "":
		return nil
	case ByBasic:
		return a.verifyBasic(s)
	case ByHeader:
		return equal(s.header.Get(a.Name), a.Value, "the header "+a.Name)
	case ByHMAC:
		return a.verifyHMAC(s)
	case ByTwilio:
		return a.verifyTwilio(s)
	case ByJWT:
		return a.verifyJWT(s)
	case ByStandardWebhooks:
		return a.verifyStandard(s)
	case ByBodySecret:
		return a.verifyBody(s)
	}
	return fmt.Errorf("authentication of type %q is not known", a.Type)
}

func equal(got, want, what string) error {
	if got == "" {
		return fmt.Errorf("%s is missing", what)
	}
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return fmt.Errorf("%s is wrong", what)
	}
	return nil
}

func (a *Auth) verifyBasic(s signed) error {
	r := http.Request{Header: s.header}
	user, password, ok := r.BasicAuth()
	if !ok {
		return fmt.Errorf("the header Authorization: Basic is missing")
	}
	right := subtle.ConstantTimeCompare([]byte(user), []byte(a.Username)) &
		subtle.ConstantTimeCompare([]byte(password), []byte(a.Password))
	if right != 1 {
		return fmt.Errorf("user name or password is wrong")
	}
	return nil
}

// hashes are what an hmac may be made with; "" is the default.
var hashes = map[string]func() hash.Hash{"": sha256.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// recent checks a timestamp in seconds, milliseconds or RFC 3339.
func (a *Auth) recent(text string, now time.Time) error {
	var at time.Time
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil && n > 100_000_000_000:
		at = time.UnixMilli(n)
	case err == nil:
		at = time.Unix(n, 0)
	default:
		if at, err = time.Parse(time.RFC3339, text); err != nil {
			return fmt.Errorf("the timestamp is missing or no time")
		}
	}

	tolerance := defaultTolerance
	if d, err := time.ParseDuration(a.Tolerance); err == nil && d > 0 {
		tolerance = d
	}
	if age := now.Sub(at).Abs(); age > tolerance {
		return fmt.Errorf("the timestamp is %s off", age.Round(time.Second))
	}
	return nil
}

func (a *Auth) verifyHMAC(s signed) error {
	template := a.Template
	if template == "" {
		template = "{body}"
	}
	stamp := ""
	if a.TimestampHeader != "" {
		stamp = s.header.Get(a.TimestampHeader)
		if err := a.recent(stamp, s.now); err != nil {
			return err
		}
	}

	mac := hmac.New(hashes[a.Hash], []byte(a.Secret))
	for template != "" {
		i := strings.IndexByte(template, '{')
		if i < 0 {
			i = len(template)
		}
		mac.Write([]byte(template[:i]))
		template = template[i:]
		switch {
		case strings.HasPrefix(template, "{body}"):
			mac.Write(s.body)
			template = template[len("{body}"):]
		case strings.HasPrefix(template, "{timestamp}"):
			mac.Write([]byte(stamp))
			template = template[len("{timestamp}"):]
		case strings.HasPrefix(template, "{url}"):
			mac.Write([]byte(s.url))
			template = template[len("{url}"):]
		case template != "":
			mac.Write([]byte(template[:1]))
			template = template[1:]
		}
	}

	want := hex.EncodeToString(mac.Sum(nil))
	got := s.header.Get(a.Header)
	if a.Encoding == "base64" {
		want = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	} else if rest, is := strings.CutPrefix(got, a.Prefix); is {
		got = a.Prefix + strings.ToLower(rest)
	}
	return equal(got, a.Prefix+want, "the signature in "+a.Header)
}

// maxTwilioFields bounds the fields of a form of Twilio's, which has some thirty.
const maxTwilioFields = 1000

// verifyTwilio checks X-Twilio-Signature: HMAC of the URL, with the parameters of a form behind
// it, sorted; of JSON the URL says the SHA-256 of the body
// (https://www.twilio.com/docs/usage/webhooks/webhooks-security).
func (a *Auth) verifyTwilio(s signed) error {
	if settings := s.header.Get("X-Twilio-Webhooks-Signature-Settings"); strings.Contains(strings.ToLower(settings), "sha256") ||
		strings.Contains(strings.ToLower(settings), "sha-256") {
		return a.twilio(s, sha256.New)
	}
	return a.twilio(s, sha1.New)
}

func (a *Auth) twilio(s signed, with func() hash.Hash) error {
	text := s.url
	if s.query != "" {
		text += "?" + s.query
	}
	query, _ := url.ParseQuery(s.query)
	if sum := query.Get("bodySHA256"); sum != "" {
		// Twilio's own libraries compare the sum without case, and with blanks cut.
		is := sha256.Sum256(s.body)
		got, err := hex.DecodeString(strings.TrimSpace(sum))
		if err != nil || subtle.ConstantTimeCompare(got, is[:]) != 1 {
			return fmt.Errorf("bodySHA256 is not that of the body")
		}
	} else {
		if bytes.Count(s.body, []byte("&")) >= maxTwilioFields {
			return fmt.Errorf("the form has more than %d fields", maxTwilioFields)
		}
		form, err := url.ParseQuery(string(s.body))
		if err != nil {
			return fmt.Errorf("the form is malformed")
		}
		text += twilioParams(form)
	}
	mac := hmac.New(with, []byte(a.Token))
	mac.Write([]byte(text))
	return equal(s.header.Get("X-Twilio-Signature"), base64.StdEncoding.EncodeToString(mac.Sum(nil)), "X-Twilio-Signature")
}

// twilioParams returns names and values of a form, sorted; a value that is there twice counts
// once.
func twilioParams(form url.Values) string {
	var b strings.Builder
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			b.WriteString(name)
			b.WriteString(v)
		}
	}
	return b.String()
}

// verifyJWT checks a token in Authorization that is signed with HS256. If it says payload_hash,
// that must be the SHA-256 of the body; without it the token must be in time and the body is
// not covered, which Vonage sends for GET only, so a body needs it.
func (a *Auth) verifyJWT(s signed) error {
	text, is := strings.CutPrefix(s.header.Get("Authorization"), "Bearer ")
	if !is {
		return fmt.Errorf("the header Authorization: Bearer is missing")
	}
	var claims struct {
		jwt.RegisteredClaims
		PayloadHash string `json:"payload_hash"`
	}
	key := func(*jwt.Token) (any, error) { return []byte(a.Secret), nil }
	_, err := jwt.ParseWithClaims(text, &claims, key, jwt.WithValidMethods([]string{"HS256"}),
		jwt.WithTimeFunc(func() time.Time { return s.now }), jwt.WithLeeway(time.Minute))
	if err != nil {
		return fmt.Errorf("the token is wrong or out of time")
	}
	if claims.IssuedAt == nil {
		return fmt.Errorf("the token does not say when it was made (iat)")
	}
	if err := a.recent(strconv.FormatInt(claims.IssuedAt.Unix(), 10), s.now); err != nil {
		return err
	}
	if len(s.body) == 0 {
		return nil
	}
	sum := sha256.Sum256(s.body)
	return equal(strings.ToLower(claims.PayloadHash), hex.EncodeToString(sum[:]), "payload_hash in the token")
}

// standardKey returns the key of a secret of Standard Webhooks.
func standardKey(secret string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
}

// verifyStandard checks webhook-signature as https://www.standardwebhooks.com says.
func (a *Auth) verifyStandard(s signed) error {
	id, stamp := s.header.Get("Webhook-Id"), s.header.Get("Webhook-Timestamp")
	if id == "" {
		return fmt.Errorf("webhook-id is missing")
	}
	if err := a.recent(stamp, s.now); err != nil {
		return err
	}
	key, err := standardKey(a.Secret)
	if err != nil {
		return fmt.Errorf("the secret is not base64")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(s.body)
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))

	for i, part := range strings.Fields(s.header.Get("Webhook-Signature")) {
		version, got, _ := strings.Cut(part, ",")
		if version == "v1" && equal(got, want, "") == nil {
			return nil
		}
		if i == 10 {
			break
		}
	}
	return fmt.Errorf("webhook-signature is missing or wrong")
}

// verifyBody checks a secret within a JSON body.
func (a *Auth) verifyBody(s signed) error {
	var v any
	if err := json.Unmarshal(s.body, &v); err != nil {
		return fmt.Errorf("the body is not JSON")
	}
	for name := range strings.SplitSeq(a.Field, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	got, _ := v.(string)
	return equal(got, a.Value, "the field "+a.Field)
}
