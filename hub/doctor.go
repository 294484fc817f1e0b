package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/subscriptions"
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
func Examine(ctx context.Context, cfg Config, callback string) []Finding {
	d := &doctor{cfg: cfg}
	s, err := cfg.check()
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
	cfg       Config
	settings  *settings
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
	if len(d.settings.allow) > 0 {
		d.warn("networks", fmt.Sprint("pushes may reach private addresses: ", d.settings.allow), "open no more than receivers need, and rather for the one tenant that needs it")
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

// folder says whether there is a data folder that can be written.
func (d *doctor) folder() bool {
	const check = "data folder"
	info, err := os.Stat(d.cfg.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(check, d.cfg.Data+" is not there; the first start makes it")
		return false
	case err != nil:
		d.fail(check, err.Error(), "set HOOKLINE_DATA to a folder that the hub may write")
		return false
	case !info.IsDir():
		d.fail(check, d.cfg.Data+" is no folder", "set HOOKLINE_DATA to a folder that the hub may write")
		return false
	}
	if info.Mode().Perm()&0o077 != 0 {
		d.warn(check, fmt.Sprintf("%s may be opened by others (%s)", d.cfg.Data, info.Mode().Perm()), "chmod 700 "+d.cfg.Data)
		return true
	}
	d.ok(check, d.cfg.Data)
	return true
}

func (d *doctor) disk() {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.cfg.Data, &st); err != nil {
		d.warn("space", err.Error(), "look at the disk")
	} else {
		free := int64(st.Bavail) * int64(st.Bsize)
		detail := size(free) + " free"
		switch {
		case free < noSpace:
			d.fail("space", detail, "make room: a full disk refuses every event")
		case free < lowSpace:
			d.warn("space", detail, "make room, or lower payloadDays of the tenants")
		default:
			d.ok("space", detail)
		}
	}
	took, drift, err := trySync(d.cfg.Data)
	if err != nil {
		d.fail("write", err.Error(), "the hub must be able to write "+d.cfg.Data)
		return
	}
	detail := fmt.Sprintf("a synced write takes %s (median of %d)", took.Round(10*time.Microsecond), syncTries)
	if took > slowSync {
		d.warn("write", detail, "every commit waits for it: use a local SSD; senders gain by more events per request")
	} else {
		d.ok("write", detail)
	}
	if drift > clockDrift {
		d.warn("disk clock", fmt.Sprintf("files are dated %s away from now", drift.Round(time.Second)), "this is a network disk or a wrong clock; SQLite needs a local disk")
	}
}

const syncTries = 15

// trySync writes as a commit does, and says how long that takes and how far the
// clock that dates files is from ours.
func trySync(dir string) (median, drift time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, 4096)
	took := make([]time.Duration, 0, syncTries)
	for range syncTries {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		took = append(took, time.Since(began))
	}
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	slices.Sort(took)
	return took[syncTries/2], time.Since(info.ModTime()).Abs(), nil
}

func (d *doctor) masterKey() {
	const check = "master key"
	key, err := d.cfg.findMasterKey()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(d.cfg.Data, storage.File)); err == nil {
			d.fail(check, "there is a store, and no key to it", "bring back "+d.cfg.keyFile()+" or set HOOKLINE_MASTER_KEY; a new key cannot open the old secrets")
			return
		}
		d.ok(check, "none yet; the first start makes it")
		return
	case err != nil:
		d.fail(check, err.Error(), "it is 32 bytes in base64 or hex")
		return
	}
	if d.settings.box, err = signing.NewBox(key); err != nil {
		d.fail(check, err.Error(), "it is 32 bytes in base64 or hex")
		return
	}
	if d.cfg.MasterKey != "" {
		d.ok(check, "from HOOKLINE_MASTER_KEY")
		return
	}
	if info, err := os.Stat(d.cfg.keyFile()); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.warn(check, fmt.Sprintf("%s may be read by others (%s)", d.cfg.keyFile(), info.Mode().Perm()), "chmod 600 "+d.cfg.keyFile())
		return
	}
	d.ok(check, d.cfg.keyFile()+"; keep a copy apart from the backups")
}

func (d *doctor) store(ctx context.Context) {
	const check = "store"
	c, err := storage.Inspect(ctx, d.cfg.store(), d.settings.box)
	d.condition = c
	if c.Server != nil {
		d.server(c.Server)
	}
	switch {
	case err != nil && d.cfg.DatabaseURL != "":
		d.fail(check, err.Error(), "HOOKLINE_DATABASE_URL must name a database that its user may use, and the server let this machine in")
		return
	case err != nil:
		d.fail(check, err.Error(), "the hub must be able to read "+d.cfg.Data)
		return
	case !c.Exists:
		d.ok(check, "none yet")
		return
	case c.Damage != nil:
		d.fail(check, "damaged: "+c.Damage.Error(), "stop the hub, keep a copy of the folder, and restore the latest backup")
		return
	case c.Key != nil:
		d.fail(check, c.Key.Error(), "bring back the key that this store was made with")
		return
	}
	d.ok(check, fmt.Sprintf("sound; %s, schema %d", size(c.Bytes), c.Schema))
	if c.Server != nil {
		return
	}
	if c.WALBytes > bigLog {
		d.warn("write-ahead log", size(c.WALBytes), "something reads the store for very long, as a backup does; if it stays, restart the hub")
	} else {
		d.ok("write-ahead log", size(c.WALBytes))
	}
	if ahead := time.Until(time.UnixMilli(c.LastAt)); ahead > clockDrift {
		d.warn("latest event", fmt.Sprintf("was accepted %s in the future", ahead.Round(time.Second)), "the clock was set back; times are true again once it has caught up")
	}
}

func (d *doctor) broker(ctx context.Context) {
	const check, rejected = "RabbitMQ", "rejected messages"
	c, err := rabbit.Look(ctx, d.cfg.AMQPURL)
	switch {
	case err != nil:
		d.fail(check, err.Error(), "HOOKLINE_AMQP_URL must name a virtual host that its user may use; the hub serves without it, and events wait there")
		return
	case c.Waiting < 0:
		d.ok(check, c.Version+"; no queues yet: a hub that serves makes them")
		return
	case c.Waiting > 0 && c.Consumers == 0:
		d.warn(check, fmt.Sprintf("%s; %d messages wait, and nobody takes them", c.Version, c.Waiting), "start a hub with this HOOKLINE_AMQP_URL")
	default:
		d.ok(check, fmt.Sprintf("%s; %d messages wait, hubs: %d", c.Version, c.Waiting, c.Consumers))
	}
	if c.Rejected > 0 {
		d.warn(rejected, fmt.Sprintf("%d in %s", c.Rejected, rabbit.RejectedQueue), "their headers say why; docs/operations.md says how to bring them back")
	} else {
		d.ok(rejected, "none")
	}
}

// Bounds of the server.
const (
	oldestServer = 140000 // what the driver supports
	connections  = 28     // of one process: 8 that write, 16 that read, the rest for shards and notices
)

// server judges the PostgreSQL that the store is on.
func (d *doctor) server(s *storage.Server) {
	const check = "PostgreSQL"
	detail := "version " + s.Version
	switch {
	case s.Numeric < oldestServer:
		d.fail(check, detail, "use PostgreSQL 14 or later")
	case s.ReadOnly:
		d.fail(check, detail+", read only", "name the primary: this server, or database, takes no writes")
	case !s.Durable:
		d.warn(check, detail+"; fsync, full_page_writes or synchronous_commit is off", "set them to on: an event that was accepted may be lost with the machine")
	default:
		d.ok(check, detail)
	}
	if ahead := s.Ahead.Abs(); ahead > clockDrift {
		d.warn("server clock", fmt.Sprintf("%s away from this machine's", ahead.Round(time.Millisecond)), "run an NTP client on both")
	}
	detail = fmt.Sprintf("%d of %d connections in use; a hub takes up to %d", s.Connections, s.Most, connections)
	if s.Most-s.Connections < connections {
		d.warn("connections", detail, "raise max_connections, or see who holds them")
	} else {
		d.ok("connections", detail)
	}
}

func (d *doctor) addresses(ctx context.Context) {
	for _, a := range []struct{ check, addr string }{{"HOOKLINE_ADDR", d.cfg.Addr}, {"HOOKLINE_METRICS_ADDR", d.cfg.MetricsAddr}} {
		if a.addr == "" || a.check == "HOOKLINE_METRICS_ADDR" && a.addr == d.cfg.Addr {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.addr)
		switch {
		case err == nil:
			_ = l.Close() // it was only tried
			d.ok(a.check, a.addr+" is free")
		case d.condition.Served && errors.Is(err, syscall.EADDRINUSE):
			d.ok(a.check, a.addr+" is taken, and the store served: the hub runs")
		default:
			d.fail(a.check, err.Error(), "choose another address, or stop what uses it")
		}
	}
}

func (d *doctor) files() {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		d.warn("open files", err.Error(), "look at ulimit -n")
		return
	}
	detail := fmt.Sprintf("%d allowed: %d requests in flight", lim.Cur, maxRequests())
	if lim.Cur < fewFiles {
		d.warn("open files", detail, fmt.Sprintf("ulimit -n %d, or LimitNOFILE= of systemd", fewFiles))
		return
	}
	d.ok("open files", detail)
}

func (d *doctor) clock() {
	const check = "clock"
	now := time.Now().UTC().Format(time.RFC3339)
	switch synced, known := clockSynced(); {
	case !known:
		d.ok(check, now+"; whether it is synchronised is not known here")
	case !synced:
		d.warn(check, now+", not synchronised", "run an NTP client: receivers refuse signatures whose time is minutes off")
	default:
		d.ok(check, now+", synchronised")
	}
}

// callback tries what a push would do up to the first byte of the request.
func (d *doctor) callback(ctx context.Context, text string) {
	const check = "callback"
	u, problem := subscriptions.ParseURL(text)
	if problem != "" {
		d.fail(check, "the URL "+problem, "correct it: no subscription can have it")
		return
	}
	guard := delivery.NewGuard(d.settings.allow)
	guard.Self = &delivery.Self{Public: d.settings.public}
	if ap, err := netip.ParseAddrPort(d.cfg.Addr); err == nil {
		guard.Self.Listeners = []netip.AddrPort{ap}
	}
	const advice = "open the network with HOOKLINE_ALLOW_NETWORKS, or for one tenant by its allowNetworks, if pushes are meant to go there"
	if u.Scheme == "http" && d.cfg.RequireHTTPS {
		d.fail(check, "http is refused by HOOKLINE_REQUIRE_HTTPS", "use https")
		return
	}
	if err := guard.CheckURL(u); err != nil {
		d.fail(check, err.Error(), advice)
		return
	}
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
	detail := fmt.Sprintf("%s answers from %s after %s", u.Hostname(), conn.RemoteAddr(), time.Since(began).Round(time.Millisecond))
	if u.Scheme == "http" {
		d.ok(check, detail)
		return
	}
	secure := tls.Client(conn, &tls.Config{ServerName: strings.TrimSuffix(u.Hostname(), "."), MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		d.fail(check, detail+"; TLS: "+err.Error(), "the receiver needs a certificate for its name that this machine trusts, and TLS 1.2 or later")
		return
	}
	d.ok(check, detail)
	d.expiry("callback certificate", secure.ConnectionState().PeerCertificates[0], "the receiver must renew it, or pushes will fail")
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func size(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
