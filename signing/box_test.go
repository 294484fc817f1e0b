package signing_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/signing"
)

func box(t testing.TB, fill byte) *signing.Box {
	t.Helper()
	b, err := signing.NewBox(bytes.Repeat([]byte{fill}, 32))
	require.NoError(t, err)
	return b
}

func TestBoxOpensWhatItSealed(t *testing.T) {
	b := box(t, 1)
	for _, plain := range []string{"", "x", strings.Repeat("secret", 1000)} {
		sealed := b.Seal("appKey/sub-1", []byte(plain))
		require.Equal(t, []byte{1, 1}, sealed[:2], "format version, number of the master key")
		require.Len(t, sealed, 2+12+len(plain)+16)
		opened, err := b.Open("appKey/sub-1", sealed)
		require.NoError(t, err)
		require.Equal(t, plain, string(opened))
		require.NotEqual(t, sealed, b.Seal("appKey/sub-1", []byte(plain)), "a new nonce each time")
	}
}

func TestBoxRefuses(t *testing.T) {
	b := box(t, 1)
	sealed := b.Seal("appKey/sub-1", []byte("secret"))
	_, err := b.Open("appKey/sub-2", sealed)
	require.ErrorIs(t, err, signing.ErrBox, "another row")
	_, err = box(t, 2).Open("appKey/sub-1", sealed)
	require.ErrorIs(t, err, signing.ErrBox, "another master key")
	for i := range sealed {
		sealed[i] ^= 1
		_, err = b.Open("appKey/sub-1", sealed)
		require.ErrorIs(t, err, signing.ErrBox, "byte %d", i)
		sealed[i] ^= 1
		_, err = b.Open("appKey/sub-1", sealed[:i])
		require.ErrorIs(t, err, signing.ErrBox, "first %d bytes", i)
	}
}

func TestBoxTellsMasterKeysApart(t *testing.T) {
	check := box(t, 1).Check()
	require.True(t, box(t, 1).Matches(check))
	require.False(t, box(t, 2).Matches(check))
	require.False(t, box(t, 1).Matches(nil))
	_, err := signing.NewBox(make([]byte, 31))
	require.ErrorIs(t, err, signing.ErrMasterKey)
}

func TestSubkeysDiffer(t *testing.T) {
	b, seen := box(t, 1), map[string]string{}
	for _, label := range []string{
		signing.LabelToken, signing.LabelCursor, signing.LabelAudit, signing.LabelReport, signing.LabelHandle, "seal",
		"check",
	} {
		k := string(b.Subkey(label))
		require.Len(t, k, 32)
		require.NotContains(t, seen, k)
		seen[k] = label
	}
	// The derivation is part of the stored format: HKDF-SHA256, no salt, info "hookline/audit".
	out := run(t, nil, "openssl", "kdf", "-binary", "-keylen", "32", "-kdfopt", "digest:SHA256",
		"-kdfopt", "hexkey:"+strings.Repeat("01", 32), "-kdfopt", "info:hookline/audit", "HKDF")
	require.Equal(t, hex.EncodeToString(out), hex.EncodeToString(b.Subkey(signing.LabelAudit)))
}

func TestParseMasterKey(t *testing.T) {
	want := append(bytes.Repeat([]byte{0xfb, 0xff}, 15), 1, 2)
	std := base64.StdEncoding.EncodeToString(want)
	for _, text := range []string{
		std, strings.TrimRight(std, "="), base64.URLEncoding.EncodeToString(want), base64.RawURLEncoding.EncodeToString(want),
		hex.EncodeToString(want), strings.ToUpper(hex.EncodeToString(want)), " " + std + "\n",
	} {
		got, err := signing.ParseMasterKey(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "secret", std[1:], std + "AAAA", hex.EncodeToString(want)[2:], strings.Repeat("zz", 32),
	} {
		_, err := signing.ParseMasterKey(text)
		require.ErrorIs(t, err, signing.ErrMasterKey, text)
	}
	key, text := signing.NewMasterKey()
	got, err := signing.ParseMasterKey(text)
	require.NoError(t, err)
	require.Equal(t, key, got)
}

func FuzzBoxOpen(f *testing.F) {
	b := box(f, 1)
	f.Add("p", b.Seal("p", []byte("secret")))
	f.Add("", []byte{1, 1})
	f.Add("p", []byte{2})
	f.Fuzz(func(t *testing.T, purpose string, sealed []byte) {
		if _, err := b.Open(purpose, sealed); err != nil {
			require.ErrorIs(t, err, signing.ErrBox)
		}
	})
}

func FuzzParseMasterKey(f *testing.F) {
	f.Add(strings.Repeat("0", 64))
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := signing.ParseMasterKey(text)
		if err != nil {
			require.ErrorIs(t, err, signing.ErrMasterKey)
			return
		}
		require.Len(t, key, 32)
	})
}
