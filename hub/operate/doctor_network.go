package operate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/subscriptions"
)

// broker looks at RabbitMQ's queues.
func (d *doctor) broker(ctx context.Context) {
	const check, rejected = "RabbitMQ", "rejected messages"
	c, err := rabbit.Look(ctx, d.cfg.AMQPURL)
	switch {
	case err != nil:
		d.fail(check, err.Error(), "HOOKLINE_AMQP_URL must name a virtual host that its user may use; "+
			"the hub serves without it, and events wait there")
		return
	case c.Waiting < 0:
		d.ok(check, c.Version+"; no queues yet: a hub that serves makes them")
		return
	case c.Waiting > 0 && c.Consumers == 0:
		d.warn(check, fmt.Sprintf("%s; %d messages wait, and nobody takes them", c.Version, c.Waiting),
			"start a hub with this HOOKLINE_AMQP_URL")
	default:
		d.ok(check, fmt.Sprintf("%s; %d messages wait, hubs: %d", c.Version, c.Waiting, c.Consumers))
	}

	if c.Rejected > 0 {
		d.warn(rejected, fmt.Sprintf("%d in %s", c.Rejected, rabbit.RejectedQueue),
			"their headers say why; docs/operations.md says how to bring them back")
	} else {
		d.ok(rejected, "none")
	}
}

// callback does what a push to the URL would do, up to the first byte of the
// request.
func (d *doctor) callback(ctx context.Context, text string) {
	const check = "callback"
	u, problem := subscriptions.ParseURL(text)
	if problem != "" {
		d.fail(check, "the URL "+problem, "correct it: no subscription can have it")
		return
	}

	// Would the hub let the push out?
	guard := delivery.NewGuard(d.settings.Allow)
	guard.Self = &delivery.Self{Public: d.settings.Public}
	if ap, err := netip.ParseAddrPort(d.cfg.Addr); err == nil {
		guard.Self.Listeners = []netip.AddrPort{ap}
	}
	const advice = "open the network with HOOKLINE_ALLOW_NETWORKS, or for one tenant by its allowNetworks, " +
		"if pushes are meant to go there"
	if u.Scheme == "http" && d.cfg.RequireHTTPS {
		d.fail(check, "http is refused by HOOKLINE_REQUIRE_HTTPS", "use https")
		return
	}
	if err := guard.CheckURL(u); err != nil {
		d.fail(check, err.Error(), advice)
		return
	}

	// Does the receiver answer?
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	began := time.Now()
	conn, err := (&net.Dialer{Control: guard.Control}).DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		if !errors.Is(err, delivery.ErrBlocked) {
			d.fail(check, err.Error(), "the receiver must listen there, and firewalls let the hub through")
			return
		}
		d.fail(check, err.Error(), advice)
		return
	}
	defer conn.Close()
	took := time.Since(began).Round(time.Millisecond)
	detail := fmt.Sprintf("%s answers from %s after %s", u.Hostname(), conn.RemoteAddr(), took)
	if u.Scheme == "http" {
		d.ok(check, detail)
		return
	}

	// Does its certificate hold?
	name := strings.TrimSuffix(u.Hostname(), ".")
	secure := tls.Client(conn, &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		d.fail(check, detail+"; TLS: "+err.Error(),
			"the receiver needs a certificate for its name that this machine trusts, and TLS 1.2 or later")
		return
	}
	d.ok(check, detail)
	leaf := secure.ConnectionState().PeerCertificates[0]
	d.expiry("callback certificate", leaf, "the receiver must renew it, or pushes will fail")
}

// hostPort returns where to dial for a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
