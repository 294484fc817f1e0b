package signing_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/signing"
)

var kinds = []string{signing.GCM, signing.CBC, signing.ECB}

// The vectors of our definition: appKey "test-app-key", key "from-appKey".
var vectors = []struct{ kind, nonce, content string }{
	{
		signing.CBC, "000102030405060708090a0b0c0d0e0f",
		"AAECAwQFBgcICQoLDA0OD9oDkUsCkKFtDB9s/l2y9kSIQUO8mkuJoXk07ivAYkUhlWRA2Nns/Uv0gdM/e+G60w==",
	},
	{signing.ECB, "", "UGBV2BP8epJp13Y0IG4HGpXlsf6wd4jv5V9yZdplCi4pMQ7bQKb4BxZGGah07402"},
	{
		signing.GCM, "000102030405060708090a0b",
		"AAECAwQFBgcICQoL9kmTABDbbOT2EY2TQTG1eq920DM8W4645v70BPfgYM/N33zKs/yfcykyAkiqsLOfUVkd/uFPlUwR7g==",
	},
}

func sealMessage(plain []byte) *signing.Message {
	return &signing.Message{
		CompanyID: "825072edbd914f47aa8704de02f1cdb6", At: 1609224926723, RandomCode: "635", Body: plain,
	}
}

func content(t testing.TB, sealed []byte) []byte {
	t.Helper()
	var body map[string]string
	require.NoError(t, json.Unmarshal(sealed, &body))
	require.Len(t, body, 1)
	raw, err := base64.StdEncoding.DecodeString(body["content"])
	require.NoError(t, err)
	return raw
}

func TestSealVectors(t *testing.T) {
	plain := []byte(`{"messageID":"EventRinging","callID":"c1"}`)
	for _, v := range vectors {
		t.Run(v.kind, func(t *testing.T) {
			m, k := sealMessage(plain), signing.DeriveKey(v.kind, "test-app-key")
			sealed, err := signing.Seal(v.kind, k, m, fromHex(t, v.nonce))
			require.NoError(t, err)
			require.Equal(t, `{"content":"`+v.content+`"}`, string(sealed))
			require.Equal(t, `{"messageID":"EventRinging","callID":"c1"}`, string(plain), "sealing leaves the plain bytes alone")

			m.Body = sealed
			opened, err := signing.Open(v.kind, k, m)
			require.NoError(t, err)
			require.Equal(t, string(plain), string(opened))
		})
	}
}

// A body sealed by us opens with tools that are not ours, and the other way round.
func TestSealAgainstOtherTools(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	// Argument: seal or open, then key, nonce, additional data in hex; input and output as bytes.
	const gcm = `
const c = require('crypto'), [what, key, nonce, aad] = process.argv.slice(1).map((a, i) => i ? Buffer.from(a, 'hex') : a);
const input = require('fs').readFileSync(0);
if (what === 'seal') {
  const s = c.createCipheriv('aes-256-gcm', key, nonce); s.setAAD(aad);
  process.stdout.write(Buffer.concat([s.update(input), s.final(), s.getAuthTag()]));
} else {
  const o = c.createDecipheriv('aes-256-gcm', key, nonce); o.setAAD(aad); o.setAuthTag(input.subarray(-16));
  process.stdout.write(Buffer.concat([o.update(input.subarray(0, -16)), o.final()]));
}`
	k := bytes.Repeat([]byte{0xa7, 0x01}, 16)
	for _, plain := range []string{`{}`, `{"exactly":"16"}`, `{"callID":"` + strings.Repeat("é", 700) + `"}`} {
		m := sealMessage([]byte(plain))
		aad := fmt.Sprint(m.CompanyID, m.At) + m.RandomCode
		tool := func(kind, what string, nonce, input []byte) []byte {
			if kind == signing.GCM {
				return run(t, input, "node", "-e", gcm, "--", what, hex.EncodeToString(k), hex.EncodeToString(nonce),
					hex.EncodeToString([]byte(aad)))
			}
			args := []string{"enc", "-" + kind, "-K", hex.EncodeToString(k)}
			if kind == signing.ECB {
				args[3] = hex.EncodeToString(k[:16])
			} else {
				args = append(args, "-iv", hex.EncodeToString(nonce))
			}
			if what == "open" {
				args = append(args, "-d")
			}
			return run(t, input, "openssl", args...)
		}
		for _, kind := range kinds {
			nonce := bytes.Repeat([]byte{0x5c}, signing.NonceSize(kind))
			sealed, err := signing.Seal(kind, k, m, nonce)
			require.NoError(t, err)
			raw := content(t, sealed)
			require.Equal(t, nonce, raw[:len(nonce)])
			require.Equal(t, plain, string(tool(kind, "open", nonce, raw[len(nonce):])), kind)

			theirs := append(bytes.Clone(nonce), tool(kind, "seal", nonce, []byte(plain))...)
			arrived := sealMessage([]byte(`{"content":"` + base64.StdEncoding.EncodeToString(theirs) + `"}`))
			opened, err := signing.Open(kind, k, arrived)
			require.NoError(t, err, kind)
			require.Equal(t, plain, string(opened), kind)
		}
	}
}

func TestOpenIsTheInverseOfSeal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		k := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		nonce := rapid.SliceOfN(rapid.Byte(), signing.NonceSize(kind), signing.NonceSize(kind)).Draw(t, "nonce")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		m := sealMessage(plain)
		sealed, err := signing.Seal(kind, k, m, nonce)
		require.NoError(t, err)
		m.Body = sealed
		opened, err := signing.Open(kind, k, m)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, opened))
	})
}

// A sealed push is bound to its company, time and random code, to its key and to each of its bits.
func TestGCMOpensOnlyAsSealed(t *testing.T) {
	k, nonce := bytes.Repeat([]byte{1}, 32), make([]byte, 12)
	m := sealMessage([]byte(`{"callID":"c1"}`))
	sealed, err := signing.Seal(signing.GCM, k, m, nonce)
	require.NoError(t, err)
	for name, change := range map[string]func(*signing.Message){
		"company":     func(m *signing.Message) { m.CompanyID = "other" },
		"time":        func(m *signing.Message) { m.At++ },
		"random code": func(m *signing.Message) { m.RandomCode = "636" },
	} {
		other := *m
		other.Body = sealed
		change(&other)
		_, err := signing.Open(signing.GCM, k, &other)
		require.ErrorIs(t, err, signing.ErrSealed, name)
	}
	raw := content(t, sealed)
	for i := range raw {
		raw[i] ^= 1
		m.Body = []byte(`{"content":"` + base64.StdEncoding.EncodeToString(raw) + `"}`)
		_, err := signing.Open(signing.GCM, k, m)
		require.ErrorIs(t, err, signing.ErrSealed, "byte %d", i)
		raw[i] ^= 1
	}
	m.Body = sealed
	_, err = signing.Open(signing.GCM, bytes.Repeat([]byte{2}, 32), m)
	require.ErrorIs(t, err, signing.ErrSealed)
}

func TestOpenRefuses(t *testing.T) {
	k := signing.DeriveKey(signing.GCM, "test-app-key")
	block := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, kind := range kinds {
		for _, body := range []string{
			"", "{}", "[]", `{"content":null}`, `{"content":""}`, `{"content":7}`, `{"content":"***"}`, `{"content":"AAECAwQF"}`,
			`{"content":"` + block + `"}`, `{"content":"AAECAwQFBgcICQoLDA0ODwAA"}`,
		} {
			_, err := signing.Open(kind, k, sealMessage([]byte(body)))
			require.ErrorIs(t, err, signing.ErrSealed, "%s %s", kind, body)
		}
	}
}

func TestSealAndOpenNeedTheRightKeyAndNonce(t *testing.T) {
	m := sealMessage([]byte(`{}`))
	k := make([]byte, 32)
	for _, c := range []struct {
		kind       string
		key, nonce []byte
	}{
		{signing.None, k, nil},
		{"aes-512-xyz", k, nil},
		{"", k, nil},
		{signing.GCM, k[:16], make([]byte, 12)},
		{signing.GCM, nil, make([]byte, 12)},
		{signing.GCM, k, make([]byte, 16)},
		{signing.GCM, k, nil},
		{signing.CBC, k[:31], make([]byte, 16)},
		{signing.CBC, k, make([]byte, 12)},
		{signing.ECB, k[:24], nil},
		{signing.ECB, k, make([]byte, 1)},
	} {
		_, err := signing.Seal(c.kind, c.key, m, c.nonce)
		require.Error(t, err, "%s %d %d", c.kind, len(c.key), len(c.nonce))
	}
	_, err := signing.Open(signing.GCM, k[:31], m)
	require.Error(t, err)
	require.NotErrorIs(t, err, signing.ErrSealed)
	_, err = signing.Open("rot13", k, m)
	require.ErrorContains(t, err, "rot13")
}

func FuzzOpen(f *testing.F) {
	for i, v := range vectors {
		f.Add(i, []byte(`{"content":"`+v.content+`"}`))
	}
	f.Add(0, []byte(`{"content":"AAECAwQFBgcICQoLDA0ODw=="}`))
	f.Add(1, []byte(`{"Content":[1,2]}`))
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		kind := kinds[uint(i)%3]
		k, m := signing.DeriveKey(kind, "test-app-key"), sealMessage(body)
		plain, err := signing.Open(kind, k, m)
		if err != nil {
			require.ErrorIs(t, err, signing.ErrSealed)
			return
		}
		// What opens is what sealing it again with the same nonce gives, up to the JSON around it.
		var sent struct{ Content []byte }
		require.NoError(t, json.Unmarshal(body, &sent))
		m.Body = plain
		again, err := signing.Seal(kind, k, m, sent.Content[:signing.NonceSize(kind)])
		require.NoError(t, err)
		require.Equal(t, sent.Content, content(t, again))
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			m := sealMessage([]byte(strings.Repeat("x", 1024)))
			k, nonce := make([]byte, 32), make([]byte, signing.NonceSize(kind))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signing.Seal(kind, k, m, nonce); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
