package subscriptions

import (
	"cmp"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
)

// minSecret is the fewest bytes of a value that are looked for by themselves: a
// shorter one stands in every text by chance.
const minSecret = 4

// QuerySecrets are the texts that give away the query of a callback URL: the
// query, its pairs and its values, in each way in which others may write them.
// Senders put credentials there, so that only the tenant's owners may see it.
type QuerySecrets []string

// SecretsOf lists the secrets of a callback URL; nil when it has no query.
func SecretsOf(callback string) QuerySecrets {
	withoutFragment, _, _ := strings.Cut(callback, "#")
	_, query, _ := strings.Cut(withoutFragment, "?")
	if query == "" {
		return nil
	}

	var secrets QuerySecrets
	add := func(text string) {
		for _, form := range spellings(text) {
			if form != "" && !slices.Contains(secrets, form) {
				secrets = append(secrets, form)
			}
		}
	}
	add(query)
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, hasValue := strings.Cut(pair, "=")
		if hasValue {
			add(pair)
		} else {
			value = name // a token may stand alone
		}
		if len(value) >= minSecret {
			add(value)
		}
	}

	// A longer text first, or what is left of it would no longer be found.
	slices.SortStableFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return secrets
}

// spellings lists a part of a query as it stands, decoded, and as others encode
// it again.
func spellings(part string) []string {
	decoded, err := url.QueryUnescape(part)
	if err != nil {
		decoded = part
	}
	all := []string{part, decoded}
	for _, text := range []string{part, decoded} {
		inJSON, _ := json.Marshal(text) // a string always marshals
		all = append(all,
			url.QueryEscape(text), url.PathEscape(text),
			html.EscapeString(text), strings.Trim(string(inJSON), `"`), lowerEscapes(url.QueryEscape(text)),
		)
	}
	return all
}

// lowerEscapes writes the digits of percent escapes in small letters.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(s[i+1:i+3]))
		}
	}
	return string(b)
}

// Hide returns a text without the secrets: *** stands for each.
func (q QuerySecrets) Hide(text string) string {
	for _, secret := range q {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}
