package delivery

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hookline/hookline/subscriptions"
)

// reasonMax is the most bytes of a reason.
const reasonMax = 500

// Reason returns why a request to target had no answer, in words for the tenant. They hold no
// address, because one may be private, or what a name means inside the hub's network. They
// hold no name of a resolver and nothing of the URL but its host. The log has the rest.
func Reason(err error, target *url.URL) string {
	msg := addresses.ReplaceAllString(words(err), "…")
	msg = subscriptions.SecretsOf(target.String()).Hide(msg)
	// What is malformed may be quoted in it.
	return strings.ToValidUTF8(msg[:min(len(msg), reasonMax)], string(utf8.RuneError))
}

// words returns the text of an error without what the system adds to it: both ends of a
// connection, and the address of a resolver.
func words(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return "lookup " + dns.Name + ": no such host"
		case dns.IsTimeout:
			return "lookup " + dns.Name + ": timed out"
		}
		return "lookup " + dns.Name + ": the resolver failed"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return op.Op + ": " + words(op.Err)
	}
	return strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
}

// addresses matches IPv4 addresses, and IPv6 addresses in brackets, each with its port if it
// has one, and IPv6 addresses of four groups and more.
var addresses = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|` +
	`\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%\w+)?\](?::\d+)?|\b[0-9A-Fa-f]{1,4}(?:::?[0-9A-Fa-f]{1,4}){3,7}\b`)
