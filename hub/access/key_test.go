package access_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
)

func TestNewKeyIsReadBack(t *testing.T) {
	for _, company := range []string{"acme", "ACME-9", access.PlatformID, strings.Repeat("x", 64)} {
		text := access.NewKey(company)
		require.NotEqual(t, text, access.NewKey(company))
		got, ok := access.ParseKey(text)
		require.True(t, ok, text)
		require.Equal(t, company, got)
		require.Equal(t, sha256.Sum256([]byte(text)), access.HashKey(text))
	}
}

func TestParseKey(t *testing.T) {
	const secret = "0123456789abcdef"
	for text, company := range map[string]string{
		"hk_acme_" + secret:                   "acme",
		"hk_platform_" + secret:               "platform",
		"hk_a_" + strings.Repeat("Z", 128):    "a",
		"":                                    "",
		"hk_":                                 "",
		"hk_acme":                             "",
		"hk__" + secret:                       "",
		"hk_acme_":                            "",
		"hk_acme_short":                       "",
		"hk_acme_" + strings.Repeat("Z", 129): "",
		"hk_a_b_" + secret:                    "", // an underscore is not of a companyId
		"hk_a.b_" + secret:                    "",
		"hk_" + strings.Repeat("x", 65) + "_" + secret: "",
		"HK_acme_" + secret:                            "",
		"hk_acme_" + secret + " ":                      "",
		"hk_acme_0123456789abcdé":                      "",
	} {
		got, ok := access.ParseKey(text)
		require.Equal(t, company, got, text)
		require.Equal(t, company != "", ok, text)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("hk_acme_0123456789abcdef")
	f.Add("hk_platform_0123456789abcdef")
	f.Add("hk__")
	f.Fuzz(func(t *testing.T, text string) {
		company, ok := access.ParseKey(text)
		if !ok {
			require.Empty(t, company)
			return
		}
		require.True(t, access.ValidCompanyID(company))
		require.True(t, strings.HasPrefix(text, "hk_"+company+"_"))
		require.NotContains(t, text[len("hk_"+company+"_"):], "_")
		require.Equal(t, sha256.Sum256([]byte(text)), access.HashKey(text))
	})
}
