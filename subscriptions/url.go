package subscriptions

import (
	"net/url"
	"strings"
	"unicode"
)

// ParseURL reads a callback URL and returns where its pushes go, as Target does.
// The second result says what is wrong with its form, if anything. Where it leads
// is for the network guard to judge.
func ParseURL(s string) (*url.URL, string) {
	if len(s) > maxURL {
		return nil, "is longer than 2048 bytes"
	}
	// Programs disagree on where a host ends at a backslash, and some drop white
	// space. Within the query a blank is only a character that must be encoded.
	_, query, _ := strings.Cut(s, "?")
	if strings.ContainsFunc(strings.TrimSuffix(s, query), unicode.IsSpace) || strings.HasSuffix(s, " ") ||
		strings.ContainsFunc(s, isOdd) {
		return nil, "must not have white space, backslashes or invisible characters"
	}

	u, err := Target(s)
	switch {
	case err != nil:
		return nil, "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "must begin with http:// or https://"
	case u.User != nil:
		return nil, "must not carry a user name or password; use headers"
	case strings.Contains(s, "#"):
		return nil, "must not have a fragment"
	case u.Opaque != "" || u.Hostname() == "":
		return nil, "must name a host"
	case strings.HasSuffix(u.Host, ":"):
		return nil, "has a colon without a port"
	case !isHost(u):
		return nil, "names a host with characters that hosts do not have"
	}
	return u, ""
}

// isOdd reports whether a character may be in no part of a URL.
func isOdd(r rune) bool {
	return r == '\\' || r != ' ' && unicode.IsSpace(r) || !unicode.IsGraphic(r)
}

// Target returns where pushes to a callback URL go. Its query is encoded as its
// path is: what RFC 3986 does not allow there, many servers refuse with 400. What
// is encoded already stays as it is. The stored URL is as it was given.
func Target(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	u.RawQuery = encodeQuery(u.RawQuery)
	return u, nil
}

// encodeQuery percent-encodes what may not stand in a query, and percent signs
// that encode nothing.
func encodeQuery(query string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(query) {
		c := query[i]
		if mayStandInQuery(c) || c == '%' && i+2 < len(query) && isHex(query[i+1]) && isHex(query[i+2]) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// mayStandInQuery reports whether RFC 3986 allows a byte in a query.
func mayStandInQuery(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// isHost reports whether the host is an address in brackets, or a name of letters,
// digits, dots, hyphens and underscores, in any script.
func isHost(u *url.URL) bool {
	if strings.HasPrefix(u.Host, "[") {
		return true
	}
	return !strings.ContainsFunc(u.Hostname(), func(r rune) bool {
		if r < 0x80 {
			return r != '.' && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}
		return !unicode.IsGraphic(r)
	})
}
