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

// Level of a finding.
type Level string

// Levels: all is well, look into it, the hub will not work so.
const (
	OK   Level = "OK"
	Warn Level = "WARN"
	Fail Level = "FAIL"
)

// Finding of the doctor about one thing.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Bounds from which the doctor speaks up.
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
// addresses, files, the store, and, with callback not "", whether pushes could
// reach that URL. It changes nothing, and may run beside the hub that serves.
func Examine(ctx context.Context, cfg config.Config, callback string) []Finding {
	d := &doctor{cfg: cfg}
	s, err := cfg.Check()
	if err != nil {
		d.fail("configuration", err.Error(), "correct the setting; hookline serve --help lists them")
		return d.findings
	}
	d.settings = s
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
	settings  *config.Settings
	condition storage.Condition
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
		d.warn("networks", fmt.Sprint("pushes may reach private addresses: ", d.settings.Allow), "open no more than receivers need, and rather for the one tenant that needs it")
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

// expiry judges how long a certificate still holds.
func (d *doctor) expiry(check string, c *x509.Certificate, advice string) {
	until := c.NotAfter.UTC().Format(time.DateOnly)
	switch left := time.Until(c.NotAfter); {
	case left < 0:
		d.fail(check, "expired on "+until, advice)
	case time.Now().Before(c.NotBefore):
		d.fail(check, "holds only from "+c.NotBefore.UTC().Format(time.DateOnly)+" on", "look at the clock, then at the certificate")
	case left < certSoon:
		d.warn(check, "expires on "+until, advice)
	default:
		d.ok(check, "holds until "+until)
	}
}

func size(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
