package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// vector is an input that is signed right. Those with signatures were made by programs that are
// not ours.
type vector struct {
	name   string
	auth   Auth
	header map[string]string
	query  string
	url    string
	body   string
	now    time.Time
}

func (v vector) signed() signed {
	s := signed{header: http.Header{}, query: v.query, url: v.url, body: []byte(v.body), now: v.now}
	for name, value := range v.header {
		s.header.Set(name, value)
	}
	return s
}

func vectors(t *testing.T) []vector {
	t.Helper()
	stamp := time.Unix(1796053017, 0)
	body := `{"event":"conversation_created","id":1}`
	sum := sha256.Sum256([]byte(body))
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iat": stamp.Unix(), "payload_hash": hex.EncodeToString(sum[:]),
	}).SignedString([]byte("s3cret"))
	require.NoError(t, err)
	key := []byte("0123456789abcdef01234567")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("msg_1." + strconv.FormatInt(stamp.Unix(), 10) + "." + body))

	twilioForm := "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"
	return []vector{
		{
			name: "twilio", auth: Auth{Type: ByTwilio, Token: "12345"}, body: twilioForm,
			url: "https://mycompany.com/myapp.php", query: "foo=1&bar=2",
			header: map[string]string{"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
		},
		{
			name: "twilio at our URL", auth: Auth{Type: ByTwilio, Token: "12345"}, body: twilioForm,
			url:    "https://hub.test/v1/in/sk1_ABC",
			header: map[string]string{"X-Twilio-Signature": "aBY9ya6O9mNAv8wfu5as9IsoYuA="},
		},
		{
			name: "chatwoot", body: body, now: stamp,
			auth: Auth{
				Type: ByHMAC, Secret: "s3cret", Header: "X-Chatwoot-Signature", Prefix: "sha256=", Template: "{timestamp}.{body}",
				TimestampHeader: "X-Chatwoot-Timestamp",
			},
			header: map[string]string{
				"X-Chatwoot-Timestamp": "1796053017",
				"X-Chatwoot-Signature": "sha256=7b177255d8c43ff49f642990ec0f2870d4ce1ac8b1dbb662ef1b296d323b99e4",
			},
		},
		{
			name: "zendesk", body: body, now: time.Date(2026, 11, 30, 15, 36, 57, 0, time.UTC),
			auth: Auth{
				Type: ByHMAC, Secret: "s3cret", Header: "X-Zendesk-Webhook-Signature", Encoding: "base64", Template: "{timestamp}{body}",
				TimestampHeader: "X-Zendesk-Webhook-Signature-Timestamp",
			},
			header: map[string]string{
				"X-Zendesk-Webhook-Signature-Timestamp": "2026-11-30T15:36:57Z",
				"X-Zendesk-Webhook-Signature":           "La0gy+dWR8WfYZpjOfrFFvGIJP53IKvuaV7c6oj3L5E=",
			},
		},
		{
			name: "zoom", body: `{"event":"contact_center.task_reservation_created"}`, now: stamp,
			auth: Auth{
				Type: ByHMAC, Secret: "s3cret", Header: "X-Zm-Signature", Prefix: "v0=", Template: "v0:{timestamp}:{body}",
				TimestampHeader: "X-Zm-Request-Timestamp",
			},
			header: map[string]string{
				"X-Zm-Request-Timestamp": "1796053017",
				"X-Zm-Signature":         "v0=6cd1014b67cfc94d9b7f933230767694eac267d65227cfa7c3609160dfad0b41",
			},
		},
		{
			name: "intercom", body: body,
			auth:   Auth{Type: ByHMAC, Secret: "s3cret", Header: "X-Hub-Signature", Prefix: "sha1=", Hash: "sha1"},
			header: map[string]string{"X-Hub-Signature": "sha1=e6df43c85c11a48b931eac4246c2b1ceb76f5894"},
		},
		{
			name: "basic", auth: Auth{Type: ByBasic, Username: "pbx", Password: "s3cret"}, body: body,
			header: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("pbx:s3cret"))},
		},
		{
			name: "header", auth: Auth{Type: ByHeader, Name: "Authorization", Value: "Bearer s3cret"}, body: body,
			header: map[string]string{"Authorization": "Bearer s3cret"},
		},
		{
			name: "jwt", auth: Auth{Type: ByJWT, Secret: "s3cret"}, body: body, now: stamp,
			header: map[string]string{"Authorization": "Bearer " + token},
		},
		{
			name: "standard webhooks", body: body, now: stamp,
			auth: Auth{Type: ByStandardWebhooks, Secret: "whsec_" + base64.StdEncoding.EncodeToString(key)},
			header: map[string]string{
				"Webhook-Id": "msg_1", "Webhook-Timestamp": "1796053017",
				"Webhook-Signature": "v1a,x v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
			},
		},
		{
			name: "body secret", auth: Auth{Type: ByBodySecret, Field: "a.secret_key", Value: "s3cret"},
			body: `{"a":{"secret_key":"s3cret"}}`,
		},
	}
}

// coversBody are the types whose signature covers the body.
var coversBody = map[AuthType]bool{ByHMAC: true, ByTwilio: true, ByJWT: true, ByStandardWebhooks: true, ByBodySecret: true}

func TestSignatures(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			require.NoError(t, v.auth.verify(v.signed()))

			// One bit of the body, where it is covered.
			if coversBody[v.auth.Type] {
				bad := v.signed()
				bad.body[len(bad.body)-5] ^= 1
				require.Error(t, v.auth.verify(bad), "a bit of the body")
			}
			// One bit of each header, in its middle: signature, credential, timestamp.
			for name := range v.header {
				bad := v.signed()
				value := []byte(bad.header.Get(name))
				value[len(value)/2] ^= 1
				bad.header.Set(name, string(value))
				if name == "Webhook-Signature" {
					value = []byte(v.header[name])
					value[len(value)-10] ^= 1
					bad.header.Set(name, string(value))
				}
				require.Error(t, v.auth.verify(bad), "a bit of %s", name)

				bad.header.Del(name)
				require.Error(t, v.auth.verify(bad), "without %s", name)
			}
			// One bit of each secret.
			for _, s := range []func(*Auth) *string{
				func(a *Auth) *string { return &a.Password }, func(a *Auth) *string { return &a.Value },
				func(a *Auth) *string { return &a.Token }, func(a *Auth) *string { return &a.Secret },
			} {
				other := v.auth
				if secret := s(&other); *secret != "" {
					wrong := []byte(*secret)
					wrong[len(wrong)/2] ^= 1
					*secret = string(wrong)
					require.Error(t, other.verify(v.signed()), "another secret")
				}
			}
			// A timestamp that is signed right and old.
			if !v.now.IsZero() {
				late := v.signed()
				late.now = late.now.Add(time.Hour)
				require.Error(t, v.auth.verify(late), "an hour late")
			}
			// Another URL.
			if v.auth.Type == ByTwilio {
				bad := v.signed()
				bad.url = "https://other.test/v1/in/sk1_ABC"
				require.Error(t, v.auth.verify(bad), "another URL")
			}
		})
	}
}

func TestTwilioJSON(t *testing.T) {
	a := Auth{Type: ByTwilio, Token: "12345"}
	s := vector{
		url: "https://hub.test/v1/in/sk1_ABC", body: `{"EventType":"reservation.created","Sid":"EV1"}`,
		header: map[string]string{"X-Twilio-Signature": "x"},
	}.signed()
	sum := sha256.Sum256(s.body)
	s.query = "bodySHA256=" + hex.EncodeToString(sum[:])
	mac := hmac.New(hashes["sha1"], []byte("12345"))
	mac.Write([]byte(s.url + "?" + s.query))
	s.header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	require.NoError(t, a.verify(s))
	s.body[3] ^= 1
	require.ErrorContains(t, a.verify(s), "bodySHA256")
}

func TestZoomChallenge(t *testing.T) {
	c := &Config{Auth: Auth{Secret: "s3cret"}, Settings: map[string]any{"challenge": "zoom"}}
	a := customAnswer(c, nil, []byte(`{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}`), time.Time{})
	require.Equal(t, 200, a.status)
	require.JSONEq(t, `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw",
		"encryptedToken":"f54f2d5fee8f181aab8371bada7fed9bb675eae464f18ed4fb91715244b58ef4"}`, a.body)
	require.Equal(t, 202, customAnswer(c, nil, []byte(`{"event":"other"}`), time.Time{}).status)
}
