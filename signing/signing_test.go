package signing_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/signing"
)

const key = "0123456789abcdef0123456789abcdef"

func message() *signing.Message {
	return &signing.Message{
		ID: "dlv_0123456789abcdefghjkmnpqrs", CompanyID: "30f80aa47cde4b10bd89484aeab63691",
		At: 1637068556419, RandomCode: "a1B2c3D4", Body: []byte(`{"messageID":"EventRinging","callID":"c1"}`),
	}
}

func signed(m *signing.Message, keys ...string) http.Header {
	h := http.Header{}
	signing.Sign(h, m, keys[0], keys[1:]...)
	return h
}

// run gives what a tool that is not ours makes of the input; without the tool the test fails.
func run(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(string(input))
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v", name, args)
	return out
}

func TestXLogVectors(t *testing.T) {
	for _, v := range []struct {
		company     string
		at          int64
		random, key string
		want        string
	}{
		{"825072edbd914f47aa8704de02f1cdb6", 1609224926723, "635", "test-app-key", "904ed832254d4fac643a2e47c922231b"},
		{"30f80aa47cde4b10bd89484aeab63691", 1637068556419, "a1B2c3D4", key, "d7a9dbf1f5690891fb5112670eea764b"},
	} {
		require.Equal(t, v.want, signing.XLog(v.company, v.at, v.random, v.key))
		out := run(t, []byte(fmt.Sprint(v.company, v.at)+v.random+v.key), "openssl", "dgst", "-md5", "-r")
		require.Equal(t, v.want, strings.Fields(string(out))[0])
	}
}

func TestSignatureAgainstOpenSSL(t *testing.T) {
	m := message()
	input := fmt.Sprintf("%s.%d.%s", m.ID, m.At/1000, m.Body)
	mac := run(t, []byte(input), "openssl", "dgst", "-sha256", "-hmac", key, "-binary")
	require.Equal(t, "v1,"+string(run(t, mac, "openssl", "base64", "-A")), signing.Signature(m, key))
}

// The receivers' own library takes our headers, with each key of a rotation and with no other.
func TestReferenceLibraryVerifies(t *testing.T) {
	m := message()
	h := http.Header{}
	for name, values := range signed(m, key, "the next app key") {
		h.Set(name, values[0]) // as a server reads them
	}
	for _, k := range []string{key, "the next app key"} {
		wh, err := standardwebhooks.NewWebhook(signing.SigningSecret(k))
		require.NoError(t, err)
		require.NoError(t, wh.VerifyIgnoringTimestamp(m.Body, h))
	}
	wh, err := standardwebhooks.NewWebhook(signing.SigningSecret("another app key!"))
	require.NoError(t, err)
	require.ErrorIs(t, wh.VerifyIgnoringTimestamp(m.Body, h), standardwebhooks.ErrNoMatchingSignature)
}

func TestHeadersAreSpelledAsDocumented(t *testing.T) {
	h := signed(message(), key)
	require.Equal(t, []string{"1637068556419"}, h["X-Log-TimeStamp"])
	require.Equal(t, []string{"a1B2c3D4"}, h["X-Log-RandomCode"])
	require.Equal(t, []string{"d7a9dbf1f5690891fb5112670eea764b"}, h["X-Log-Sign"])
	require.Equal(t, []string{"dlv_0123456789abcdefghjkmnpqrs"}, h["webhook-id"])
	require.Equal(t, []string{"1637068556"}, h["webhook-timestamp"])
	require.Equal(t, []string{signing.Signature(message(), key)}, h["webhook-signature"])
	require.Len(t, h, 6)
	// Every value can grow without writing into its neighbour.
	for name := range h {
		require.Equal(t, 1, cap(h[name]), name)
	}
}

func TestVerifySurvivesTheWire(t *testing.T) {
	m := message()
	var got signing.Message
	var err error
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, err = signing.Verify(r.Header, m.Body, m.CompanyID, key)
	}))
	defer srv.Close()
	req, reqErr := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, nil)
	require.NoError(t, reqErr)
	req.Header = signed(m, key)
	res, doErr := http.DefaultClient.Do(req)
	require.NoError(t, doErr)
	require.NoError(t, res.Body.Close())
	require.NoError(t, err)
	require.Equal(t, *m, got)
}

func TestVerifyDuringRotation(t *testing.T) {
	m := message()
	h := signed(m, key, "the next app key")
	// X-Log has room for the old key only, so a receiver that knows just the new one checks the other.
	_, err := signing.VerifyWebhook(h, m.Body, "the next app key")
	require.NoError(t, err)
	_, err = signing.VerifyXLog(h, m.CompanyID, "the next app key")
	require.ErrorIs(t, err, signing.ErrSignature)
	_, err = signing.Verify(h, m.Body, m.CompanyID, "the next app key", key)
	require.NoError(t, err)
}

func TestVerifyRefuses(t *testing.T) {
	set := func(name, value string) func(http.Header, *signing.Message) {
		return func(h http.Header, _ *signing.Message) { h[name] = []string{value} }
	}
	for _, c := range []struct {
		name string
		do   func(http.Header, *signing.Message)
		want error
	}{
		{"another body", func(_ http.Header, m *signing.Message) { m.Body = []byte(`{}`) }, signing.ErrSignature},
		{"another company", func(_ http.Header, m *signing.Message) { m.CompanyID = "other" }, signing.ErrSignature},
		{"another id", set("webhook-id", "dlv_1"), signing.ErrSignature},
		{"an id with a dot", set("webhook-id", "dlv.1"), signing.ErrUnsigned},
		{"another time", set("webhook-timestamp", "1637068557"), signing.ErrSignature},
		{"a time that is none", set("webhook-timestamp", "+1637068556"), signing.ErrUnsigned},
		{"a time with zeros before it", set("webhook-timestamp", "01637068556"), signing.ErrUnsigned},
		{"a time past all counting", set("webhook-timestamp", strings.Repeat("9", 30)), signing.ErrUnsigned},
		{"another log time", set("X-Log-TimeStamp", "1637068556418"), signing.ErrSignature},
		{"a log time in seconds", set("X-Log-TimeStamp", "1637068556"), signing.ErrUnsigned},
		{"another random code", set("X-Log-RandomCode", "a1B2c3D5"), signing.ErrSignature},
		{"another version", set("webhook-signature", "v1a"+signing.Signature(message(), key)[2:]), signing.ErrSignature},
		{"no scheme", set("webhook-signature", signing.Signature(message(), key)[3:]), signing.ErrSignature},
		{
			"too many signatures", set("webhook-signature", strings.Repeat("v1,x ", 16)+signing.Signature(message(), key)),
			signing.ErrUnsigned,
		},
		{
			"a header twice", func(h http.Header, _ *signing.Message) { h["webhook-id"] = []string{"dlv_1", "dlv_2"} },
			signing.ErrUnsigned,
		},
		{"no X-Log-Sign", func(h http.Header, _ *signing.Message) { delete(h, "X-Log-Sign") }, signing.ErrUnsigned},
		{
			"no webhook-signature", func(h http.Header, _ *signing.Message) { delete(h, "webhook-signature") },
			signing.ErrUnsigned,
		},
		{"an empty X-Log-Sign", set("X-Log-Sign", ""), signing.ErrUnsigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message()
			h := signed(m, key)
			c.do(h, m)
			_, err := signing.Verify(h, m.Body, m.CompanyID, key)
			require.ErrorIs(t, err, c.want)
		})
	}
	_, err := signing.Verify(signed(message(), key), message().Body, message().CompanyID)
	require.ErrorIs(t, err, signing.ErrSignature, "no key, no trust")
}

// The X-Log values are joined without a separator: a digit moved from the time
// to the random code leaves the MD5 as it is, and must still be refused.
func TestVerifyRefusesADigitThatWandered(t *testing.T) {
	m := message()
	h := signed(m, key)
	h["X-Log-TimeStamp"] = []string{"163706855641"}
	h["X-Log-RandomCode"] = []string{"9a1B2c3D4"}
	_, err := signing.VerifyXLog(h, m.CompanyID, key)
	require.ErrorIs(t, err, signing.ErrUnsigned)

	m.At, m.RandomCode = m.At/1000, "419a1B2c3D4"
	require.Equal(t, h["X-Log-Sign"][0], signing.XLog(m.CompanyID, m.At, m.RandomCode, key), "which is why")
}

func FuzzVerify(f *testing.F) {
	m := message()
	h := signed(m, key)
	f.Add(h["webhook-id"][0], h["webhook-timestamp"][0], h["webhook-signature"][0],
		h["X-Log-TimeStamp"][0], h["X-Log-RandomCode"][0], h["X-Log-Sign"][0], m.Body)
	f.Add("a", "1", "v1,", "1637068556419", "", "x", []byte{})
	f.Add("a.b", "-1", " v1, v1,", "0000000000000", "\x00", "d7a9", []byte("x"))
	f.Fuzz(func(t *testing.T, id, seconds, signature, stamp, random, sign string, body []byte) {
		h := http.Header{
			"webhook-id": {id}, "webhook-timestamp": {seconds}, "webhook-signature": {signature},
			"X-Log-TimeStamp": {stamp}, "X-Log-RandomCode": {random}, "X-Log-Sign": {sign},
		}
		got, err := signing.Verify(h, body, m.CompanyID, key)
		if err != nil {
			return
		}
		// What was believed is what signing it anew would send.
		again := http.Header{}
		signing.Sign(again, &got, key)
		again["webhook-signature"] = []string{signature}
		require.Equal(t, again, h)
		require.Contains(t, strings.Split(signature, " "), signing.Signature(&got, key))
	})
}

func BenchmarkSign(b *testing.B) {
	m := message()
	m.Body = []byte(strings.Repeat("x", 1024))
	h := make(http.Header, 16)
	b.ReportAllocs()
	for b.Loop() {
		signing.Sign(h, m, key)
	}
}

func BenchmarkVerify(b *testing.B) {
	m := message()
	m.Body = []byte(strings.Repeat("x", 1024))
	h := signed(m, key)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signing.Verify(h, m.Body, m.CompanyID, key); err != nil {
			b.Fatal(err)
		}
	}
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}
