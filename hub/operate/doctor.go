package operate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/storage"
)

// Level says how bad a finding is.
type Level string

// OK means that all is well, Warn that somebody should look into it, Fail that
// the hub does not work like this.
const (
	OK   Level = "OK"
	Warn Level = "WARN"
	Fail Level = "FAIL"
)

// Finding is what the doctor says of one thing.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Bounds beyond which the doctor warns or fails.
const (
	lowSpace   = 1 << 30   // bytes free
	noSpace    = 100 << 20 // bytes free
	slowSync   = 10 * time.Millisecond
	bigLog     = 256 << 20 // bytes of write-ahead log; a busy hub keeps it near 16 MiB
	fewFiles   = 8192
	clockDrift = 2 * time.Second
	certSoon   = 14 * 24 * time.Hour
	dialWait   = 5 * time.Second
)

// Examine checks what a hub of cfg needs: settings, master key, disk, clock,
// addresses, files and the store. If callback is not empty it also checks whether
// pushes could reach that URL. It changes nothing, and may run beside the hub that
// serves.
func Examine(ctx context.Context, cfg config.Config, callback string) []Finding {
	d := &doctor{cfg: cfg}
	s, err := cfg.Check()
	if err != nil {
		d.fail("configuration", err.Error(), "correct the setting; hookline serve --help lists them")
		return d.findings
	}
	d.settings = s

	// What the hub reads and writes.
	d.configuration()
	d.certificate()
	if cfg.DatabaseURL == "" && d.folder() {
		d.disk()
	}
	d.masterKey()
	d.store(ctx)
	if cfg.AMQPURL != "" {
		d.broker(ctx)
	}

	// The machine. addresses must come after store, which finds out whether a hub
	// serves already.
	d.addresses(ctx)
	d.files()
	d.clock()

	if callback != "" {
		d.callback(ctx, callback)
	}
	return d.findings
}

type doctor struct {
	cfg       config.Config
	settings  *config.Settings  // cfg, checked
	condition storage.Condition // of the store
	findings  []Finding
}

func (d *doctor) ok(check, detail string) {
	d.findings = append(d.findings, Finding{Check: check, Level: OK, Detail: detail})
}

func (d *doctor) warn(check, detail, advice string) {
	d.findings = append(d.findings, Finding{check, Warn, detail, advice})
}

func (d *doctor) fail(check, detail, advice string) {
	d.findings = append(d.findings, Finding{check, Fail, detail, advice})
}

func (d *doctor) configuration() {
	d.ok("configuration", "every setting can be read")

	if host, _, err := net.SplitHostPort(d.cfg.Addr); err == nil && d.cfg.TLSCert == "" {
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			d.warn("transport", "plain http beyond loopback: keys and phone numbers travel readable",
				"set HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY, or put a TLS proxy in front and listen on loopback")
		}
	}

	if len(d.settings.Allow) > 0 {
		d.warn("networks", fmt.Sprint("pushes may reach private addresses: ", d.settings.Allow),
			"open no more than receivers need, and rather for the one tenant that needs it")
	}
}

func (d *doctor) certificate() {
	if d.cfg.TLSCert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(d.cfg.TLSCert, d.cfg.TLSKey)
	if err != nil {
		d.fail("certificate", err.Error(), "HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY must be PEM files that fit each other")
		return
	}
	d.expiry("certificate", pair.Leaf, "renew it; the hub takes up the new files by itself")
}

// expiry judges how long a certificate is still valid.
func (d *doctor) expiry(check string, c *x509.Certificate, advice string) {
	until := c.NotAfter.UTC().Format(time.DateOnly)
	switch left := time.Until(c.NotAfter); {
	case left < 0:
		d.fail(check, "expired on "+until, advice)
	case time.Now().Before(c.NotBefore):
		from := c.NotBefore.UTC().Format(time.DateOnly)
		d.fail(check, "holds only from "+from+" on", "look at the clock, then at the certificate")
	case left < certSoon:
		d.warn(check, "expires on "+until, advice)
	default:
		d.ok(check, "holds until "+until)
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
