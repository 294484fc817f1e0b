package subscriptions

import (
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHideSecrets(t *testing.T) {
	const callback = "https://crm.example/push?token=hush-42&v=1&name=M%C3%BCller+%26+Co&AbCdEf#part"
	secrets := SecretsOf(callback)
	for text, want := range map[string]string{
		"nothing of it": "nothing of it",
		"/push?token=hush-42&v=1&name=M%C3%BCller+%26+Co&AbCdEf": "/push?***",
		"https://login/?t=hush-42":                               "https://login/?t=***",
		"moved to v=1":                                           "moved to ***",
		"v is 1":                                                 "v is 1",
		"bare AbCdEf":                                            "bare ***",
		"for Müller & Co":                                        "for ***",
		"for M%c3%bcller+%26+Co":                                 "for ***",
		"for M%C3%BCller%20&%20Co":                               "for ***",
		"for Müller &amp; Co":                                    "for ***",
		`{"name":"Müller \u0026 Co"}`:                            `{"name":"***"}`,
		"back=https%3A%2F%2Fcrm.example%2Fpush%3Ftoken%3Dhush-42%26v%3D1": "back=https%3A%2F%2Fcrm.example%2Fpush%3F***%26***",
	} {
		require.Equal(t, want, secrets.Hide(text), "%s", text)
	}
	require.Empty(t, SecretsOf("https://crm.example/push"))
	require.Empty(t, SecretsOf("https://crm.example/push?#x=1234"))
	require.Equal(t, "a=1234", SecretsOf("https://crm.example/").Hide("a=1234"))
}

// In whatever way a value of the query comes back, it is not shown.
func TestNoSecretIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune("abXY09-._~%&= +/<\"'éü")), 6, 12, -1).Draw(t, "value")
		if strings.TrimSpace(value) != value {
			return
		}
		secrets := SecretsOf("https://crm.example/push?a=b&token=" + url.QueryEscape(value))
		inJSON, err := json.Marshal(value)
		require.NoError(t, err)
		for _, form := range []string{
			value, url.QueryEscape(value), url.PathEscape(value), html.EscapeString(value), strings.Trim(string(inJSON), `"`),
			strings.ToLower(url.QueryEscape("A"))[1:] + url.QueryEscape(url.QueryEscape(value)),
		} {
			require.NotContains(t, secrets.Hide("before "+form+" behind"), form)
		}
	})
}
