package hub

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/julienschmidt/httprouter"
)

// byEscapedPath routes requests by their path as it was sent, so that an escaped
// slash is part of an id and not a separator. It is the one place where
// parameters of paths are unescaped, for all routes and dialects: handlers get
// them decoded, and must not decode them again.
func (h *Routes) byEscapedPath(m *httprouter.Router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		if escaped == r.URL.Path { // the usual case: there is nothing to unescape
			m.ServeHTTP(w, r)
			return
		}
		escaped = normalizePath(escaped)

		handle, params, _ := m.Lookup(r.Method, escaped)
		if handle == nil {
			// The router answers 404, 405 and OPTIONS by the same path.
			sent := *r
			sent.URL = &url.URL{Path: escaped, RawQuery: r.URL.RawQuery}
			m.ServeHTTP(w, &sent)
			return
		}

		for i := range params {
			value, ok := unescapeParam(params[i].Value)
			if !ok {
				h.refuse(w, r, http.StatusBadRequest, "the path has escapes that are no text in UTF-8")
				return
			}
			params[i].Value = value
		}
		handle(w, r, params)
	})
}

// normalizePath unescapes the characters that need no escape (RFC 3986, 2.3): a
// path means the same with them and without.
func normalizePath(escaped string) string {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		if c == '%' && i+2 < len(escaped) {
			if octet, err := strconv.ParseUint(escaped[i+1:i+3], 16, 8); err == nil && isUnreserved(byte(octet)) {
				c = byte(octet)
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unescapeParam unescapes the value of a parameter. Within a catch-all one, which
// begins with a slash, an escaped slash stays escaped: decoded it could not be
// told from those that separate. false: it is malformed, or no text that every
// store can keep.
func unescapeParam(s string) (string, bool) {
	if strings.HasPrefix(s, "/") {
		segments := strings.Split(s[1:], "/")
		for i, segment := range segments {
			text, ok := unescapeParam(segment)
			if !ok {
				return "", false
			}
			segments[i] = strings.ReplaceAll(text, "/", "%2F")
		}
		return "/" + strings.Join(segments, "/"), true
	}

	text, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "", false
	}
	return text, true
}
