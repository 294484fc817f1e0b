package subscriptions

import (
	"net/url"
	"strings"
	"unicode"
)

// ParseURL reads a callback URL; the second result says what is wrong with its
// form, if anything. Where it leads is for the network guard to judge.
func ParseURL(s string) (*url.URL, string) {
	if len(s) > maxURL {
		return nil, "is longer than 2048 bytes"
	}
	// Programs disagree on where a host ends at a backslash, and some drop white space.
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || unicode.IsSpace(r) || !unicode.IsGraphic(r) }) {
		return nil, "must not have white space, backslashes or invisible characters"
	}
	u, err := url.Parse(s)
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

// isHost says whether the host is an address in brackets, or a name of letters,
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
