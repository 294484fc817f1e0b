package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/signing"
)

const (
	aKey      = "0123456789abcdef0123456789abcdef"
	otherKey  = "fedcba9876543210fedcba9876543210"
	plainBody = `{"companyId":"acme","callID":"c1"}`
)

var signedAt = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

// captured is a push as a proxy writes it down; kind "": not sealed.
func captured(t *testing.T, kind string, key []byte) (header http.Header, body []byte) {
	t.Helper()
	m := &signing.Message{
		ID: "msg1", CompanyID: "acme", At: signedAt.UnixMilli(), RandomCode: "0123456789abcdef", Body: []byte(plainBody),
	}
	header = http.Header{}
	if kind != "" {
		header.Set("X-Hookline-Encryption", kind)
		sealed, err := signing.Seal(kind, key, m, bytes.Repeat([]byte{5}, signing.NonceSize(kind)))
		require.NoError(t, err)
		m.Body = sealed
	}
	signing.Sign(header, m, aKey)
	return header, m.Body
}

func rawRequest(t *testing.T, header http.Header, body []byte, eol string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("POST /push HTTP/1.1" + eol + "Host: crm.example" + eol)
	for name, values := range header {
		b.WriteString(name + ": " + values[0] + eol)
	}
	fmt.Fprintf(&b, "Content-Length: %d%s%s%s", len(body), eol, eol, body)
	return b.String()
}

func TestVerifyPush(t *testing.T) {
	own := bytes.Repeat([]byte{3}, 32)
	ownText := base64.StdEncoding.EncodeToString(own)
	type tc struct {
		kind   string
		key    []byte
		args   []string
		change func(h http.Header, body []byte) []byte
		code   int
		want   []string // parts of the findings
		err    string
	}
	good := []string{"--app-key", aKey, "--company", "acme"}
	for name, c := range map[string]tc{
		"good": {
			args: good,
			want: []string{
				"webhook-signature  holds\n", "X-Log-Sign         holds\n", "signed             2026-01-02T03:04:05.678Z, ",
				"webhook-id         msg1\n", "body               " + plainBody,
			},
		},
		"company of the body": {args: []string{"--app-key", aKey}, want: []string{"X-Log-Sign         holds"}},
		"second key": {
			args: append([]string{"--app-key", otherKey}, good...), want: []string{"X-Log-Sign         holds"},
		},
		"other key": {
			args: []string{"--app-key", otherKey}, code: 1, want: []string{"signature does not match"},
			err: "webhook-signature does not hold; X-Log-Sign does not hold",
		},
		"other company": {
			args: []string{"--app-key", aKey, "--company", "else"}, code: 1, want: []string{"webhook-signature  holds"},
			err: "X-Log-Sign does not hold",
		},
		"changed body": {
			args: good, change: func(_ http.Header, b []byte) []byte { return bytes.Replace(b, []byte("c1"), []byte("c2"), 1) },
			code: 1, want: []string{"X-Log-Sign         holds"}, err: "hookline: webhook-signature does not hold\n",
		},
		"unsigned": {
			args: good, change: func(h http.Header, b []byte) []byte { delete(h, "webhook-signature"); return b }, code: 1,
			want: []string{"not signed: webhook-signature"}, err: "webhook-signature does not hold",
		},
		"gcm from appKey": {
			kind: signing.GCM, key: signing.DeriveKey(signing.GCM, aKey), args: append([]string{"--app-key", otherKey}, good...),
			want: []string{"aes-256-gcm        opened\n", plainBody},
		},
		"cbc": {
			kind: signing.CBC, key: own, args: append([]string{"--encryption-key", ownText}, good...),
			want: []string{"aes-256-cbc        opened\n", plainBody},
		},
		"ecb": {
			kind: signing.ECB, key: own, args: append([]string{"--encryption-key", ownText}, good...),
			want: []string{"aes-128-ecb        opened\n", plainBody},
		},
		"sealed, other key": {
			kind: signing.GCM, key: own, args: good, code: 1,
			want: []string{"webhook-signature  holds", "aes-256-gcm        sealed body cannot be opened"},
			err:  "the sealed body does not open",
		},
		"sealed, no company": {
			kind: signing.GCM, key: own, args: []string{"--app-key", aKey}, code: 1, err: "--company: is needed",
		},
		"told how it is sealed": {
			kind: signing.CBC, key: own, args: append([]string{"--encryption-key", ownText, "--encryption", signing.CBC},
				good...),
			change: func(h http.Header, b []byte) []byte { h.Del("X-Hookline-Encryption"); return b }, want: []string{plainBody},
		},
		"in time": {
			args: append([]string{"--tolerance", "5m", "--at", "2026-01-02T03:05:05Z"}, good...),
			want: []string{", 59.322s before it arrived"},
		},
		"too late": {
			args: append([]string{"--tolerance", "5m", "--at", "2026-01-02T04:04:05Z"}, good...), code: 1,
			err: "it was signed 59m59.322s away from its arrival",
		},
		"no key": {code: 2, err: "missing flags: --app-key"},
		"odd seal": {
			args: append([]string{"--encryption-key", "short"}, good...), code: 1, err: "--encryption-key: base64 of 32 bytes",
		},
		"both shapes": {
			args: append([]string{"--header", "A: b"}, good...), code: 1, err: "either FILE, or --header and --body",
		},
	} {
		t.Run(name, func(t *testing.T) {
			header, body := captured(t, c.kind, c.key)
			if c.change != nil {
				body = c.change(header, body)
			}
			for _, eol := range []string{"\r\n", "\n"} {
				code, out, errs := do(t, rawRequest(t, header, body, eol), append([]string{"verify", "push", "-"}, c.args...)...)
				require.Equal(t, c.code, code, "%s%s", out, errs)
				for _, w := range c.want {
					require.Contains(t, out, w)
				}
				require.Contains(t, errs, c.err)
			}
		})
	}
}

func TestVerifyPushOfHeaderAndBody(t *testing.T) {
	header, body := captured(t, "", nil)
	file := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	args := []string{"verify", "push", "--json", "--app-key", aKey, "--body", file}
	for name, values := range header {
		args = append(args, "--header", name+": "+values[0])
	}
	code, out, errs := do(t, "", args...)
	require.Zero(t, code, errs)
	var f findings
	require.NoError(t, json.Unmarshal([]byte(out), &f))
	require.Equal(t, holds, f.Webhook)
	require.Equal(t, holds, f.XLog)
	require.Equal(t, plainBody, f.Body)

	for _, bad := range [][]string{
		{"verify", "push", "--app-key", aKey, "--header", "A: b"},
		{"verify", "push", "--app-key", aKey},
		{"verify", "push", "--app-key", aKey, "no such file"},
		{"verify", "push", "--app-key", aKey, "--header", "nonsense", "--body", file},
	} {
		code, _, errs := do(t, "", bad...)
		require.Equal(t, 1, code, "%v", bad)
		require.NotEmpty(t, errs)
	}
}

func TestParsePush(t *testing.T) {
	const start = "POST / HTTP/1.1\r\n"
	for name, c := range map[string]struct{ raw, body, err string }{
		"length":         {raw: start + "Content-Length: 3\r\n\r\nabc\n", body: "abc"},
		"no length":      {raw: start + "A: b\r\n\r\nabc\n", body: "abc\n"},
		"no body":        {raw: start + "A: b\r\n\r\n", body: ""},
		"headers only":   {raw: start + "A: b", body: ""},
		"chunked":        {raw: start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", body: "abc"},
		"cut chunk":      {raw: start + "Transfer-Encoding: chunked\r\n\r\n3\r\nab", err: "chunked body"},
		"cut":            {raw: start + "Content-Length: 9\r\n\r\nabc", err: "has 3 bytes, and Content-Length says 9"},
		"odd length":     {raw: start + "Content-Length: -1\r\n\r\nabc", err: "is not a length"},
		"empty":          {raw: "", err: "it is empty"},
		"not a request":  {raw: "{}\n", err: "is not a request line"},
		"odd header":     {raw: start + "nonsense\r\n\r\n", err: "headers: "},
		"without length": {raw: start + "\r\nabc", body: "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body, err := parsePush([]byte(c.raw))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.body, string(body))
		})
	}
}

func FuzzParsePush(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, body, err := parsePush(raw)
		if err == nil {
			require.LessOrEqual(t, len(body), len(raw))
			_, _ = (&VerifyPushCmd{AppKey: []string{aKey}}).check(h, body, nil)
		}
	})
}

// What a real hub pushes verifies; its audit log does, until somebody changes it.
func TestVerifyWhatAHubDid(t *testing.T) {
	var data string
	h := hubtest.Start(t, func(c *config.Config) { data = c.Data })
	rec := hubtest.NewReceiver(t)
	s := h.Subscribe(rec.URL, "encryption", signing.GCM, "encryptionKey", "from-appKey", "appKey", aKey)
	require.NotNil(t, s)
	h.Send(hubtest.CDR("c1", 1))
	p := rec.Wait(t, 1)[0]
	code, out, errs := do(t, rawRequest(t, p.Header, p.Body, "\r\n"), "verify", "push", "-", "--app-key", aKey,
		"--company", "demo", "--tolerance", "1m")
	require.Zero(t, code, "%s%s", out, errs)
	require.Contains(t, out, `"callID":"c1"`)

	code, out, errs = do(t, "", "verify", "audit", "--data", data)
	require.Zero(t, code, errs)
	require.Equal(t, "the audit log is whole: 4 rows\n", out)

	empty := t.TempDir()
	code, _, errs = do(t, "", "verify", "audit", "--data", empty)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "master key: ")
	left, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, left, "nothing is made")

	db, err := sql.Open("sqlite", filepath.Join(data, "hookline.db")+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(),
		"UPDATE audit SET action = 'subscription.delete' WHERE action = 'subscription.create'")
	require.NoError(t, err)
	code, _, errs = do(t, "", "verify", "audit", "--data", data)
	require.Equal(t, 1, code)
	require.Equal(t, "hookline: the audit log is broken: row 4 was changed\n", errs)
}
