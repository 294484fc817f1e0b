package subscriptions

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

const (
	maxHeaders     = 20
	maxHeaderBytes = 8 << 10 // names and values together
	hidden         = "***"   // stands for a header's value wherever it is shown
)

// refused header names, in lower case, are set by the hub itself or change what
// the request is. With Idempotency-Key Go's client would resend a POST by itself.
var refused = map[string]bool{
	"host": true, "transfer-encoding": true, "connection": true, "te": true, "trailer": true, "expect": true,
	"upgrade": true, "keep-alive": true, "proxy-connection": true, "traceparent": true, "tracestate": true,
	"idempotency-key": true, "x-idempotency-key": true,
}

var refusedPrefixes = []string{"content-", "x-log-", "webhook-", "x-hookline-"}

// setHeaders merges by name, whatever its case.
func (e *edit) setHeaders(field string, raw json.RawMessage) {
	given, ok := e.object(field, raw)
	if !ok {
		return
	}
	// As many as one request can take out and put in. What follows is quadratic.
	if len(given) > 2*maxHeaders {
		e.problem(field, "out_of_range", fmt.Sprintf("must be at most %d headers", maxHeaders))
		return
	}

	// Merge what was given into a copy.
	headers := make(map[string]string, len(e.Headers)+len(given))
	maps.Copy(headers, e.Headers)
	seen := map[string]bool{}
	for _, f := range given {
		lower := strings.ToLower(f.name)
		if seen[lower] {
			e.problem(f.pointer, "duplicate_field", "is there twice, in another case")
			continue
		}
		seen[lower] = true
		if why := refuseHeader(f.name, lower); why != "" {
			e.problem(f.pointer, "invalid_header", why)
			continue
		}

		old, had := find(headers, f.name)
		if f.isNull() {
			delete(headers, old)
			continue
		}
		var value string
		switch {
		case !e.text(&value, f.pointer, f.value, 0, maxHeaderBytes):
			continue
		case value == hidden && !had:
			e.problem(f.pointer, "invalid_value", `"***" keeps a value that is there, and there is none`)
			continue
		case value == hidden:
			value = headers[old]
		}
		delete(headers, old)
		headers[f.name] = value
	}

	// The bounds are those of the result.
	size := 0
	for name, value := range headers {
		size += len(name) + len(value)
	}
	if len(headers) > maxHeaders || size > maxHeaderBytes {
		e.problem(field, "out_of_range", fmt.Sprintf("must be at most %d headers and %d bytes together, are %d and %d",
			maxHeaders, maxHeaderBytes, len(headers), size))
	}
	if len(headers) == 0 {
		headers = nil
	}
	e.Headers = headers
}

// refuseHeader returns what is wrong with a name; "" if nothing is.
func refuseHeader(name, lower string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isTokenChar(r) }) {
		return "is not the name of an HTTP header"
	}
	if refused[lower] {
		return "cannot be set by a subscription"
	}
	for _, p := range refusedPrefixes {
		if strings.HasPrefix(lower, p) {
			return "cannot be set by a subscription: " + p + "* belongs to the hub"
		}
	}
	return ""
}

// isTokenChar reports whether a character may be in the name of a header (RFC 9110,
// 5.6.2).
func isTokenChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
		r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// find returns a name as it is spelled in headers, whatever its case, and whether it
// is there.
func find(headers map[string]string, name string) (string, bool) {
	for h := range headers {
		if strings.EqualFold(h, name) {
			return h, true
		}
	}
	return name, false
}
