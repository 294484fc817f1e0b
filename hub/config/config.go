// Package config holds the settings of a hub, reads them and checks them. It
// also finds the master key, or makes it at the first start.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// Config is every setting of a hub. The tags make each an environment variable
// and a flag of the same name; they mean nothing to this package.
type Config struct {
	Addr                  string        `env:"HOOKLINE_ADDR" default:"127.0.0.1:8080" help:"Listen address."`
	TLSCert               string        `name:"tls-cert" env:"HOOKLINE_TLS_CERT" help:"Certificate file (PEM): serve https."`
	TLSKey                string        `name:"tls-key" env:"HOOKLINE_TLS_KEY" help:"Key file (PEM) of the certificate."`
	MetricsAddr           string        `env:"HOOKLINE_METRICS_ADDR" help:"Address of /metrics; default: the listen address while that is loopback and neither a public URL nor trusted proxies are set, else 127.0.0.1:9090."`
	Data                  string        `env:"HOOKLINE_DATA" default:"./data" help:"Folder of the embedded store and the master key."`
	DatabaseURL           string        `name:"database-url" env:"HOOKLINE_DATABASE_URL" help:"postgres://user:password@host:5432/database?sslmode=…: the store is there, for any number of processes, and HOOKLINE_MASTER_KEY must be given. Better as a variable: others can read a flag."`
	AMQPURL               string        `name:"amqp-url" env:"HOOKLINE_AMQP_URL" help:"amqp://user:password@host:5672/vhost, or amqps://: events also come through RabbitMQ, and processes nudge each other by it. Better as a variable: others can read a flag."`
	AMQPTenant            string        `name:"amqp-tenant" env:"HOOKLINE_AMQP_TENANT" enum:"routing-key,user-id" default:"routing-key" help:"Whose a message is: routing-key, what is before the first dot; user-id, the broker's user who published it, and the routing key must agree."`
	MasterKey             string        `env:"HOOKLINE_MASTER_KEY" help:"32 bytes, base64 or hex, that seal secrets at rest; default: a file in the data folder, made at first start."`
	PlatformKey           string        `env:"HOOKLINE_PLATFORM_KEY" help:"The platform key, hk_platform_ and 16 to 128 letters, digits and hyphens; default: made at first start, with the tenant demo, and shown once on a terminal, else kept in the file first-keys in the data folder."`
	AllowNetworks         []string      `env:"HOOKLINE_ALLOW_NETWORKS" help:"CIDRs that pushes may reach although private; 'loopback' for 127.0.0.0/8 and ::1."`
	RequireHTTPS          bool          `env:"HOOKLINE_REQUIRE_HTTPS" name:"require-https" help:"Refuse callback URLs with http."`
	PublicURL             string        `name:"public-url" env:"HOOKLINE_PUBLIC_URL" help:"Where others reach the hub, as behind a proxy: https://host[:port][/path]. Callback URLs there are refused."`
	BlobURL               string        `name:"blob-url" env:"HOOKLINE_BLOB_URL" help:"Where recordings are kept: file:///folder, or s3://bucket?region=…; default: the folder recordings in the data folder."`
	ConnectionsPerAddress int           `name:"connections-per-address" env:"HOOKLINE_CONNECTIONS_PER_ADDRESS" default:"256" help:"Open connections of one address, or of a /64 of IPv6; further ones are closed. 0: no bound. It does not hold for HOOKLINE_TRUSTED_PROXIES."`
	TrustedProxies        []string      `env:"HOOKLINE_TRUSTED_PROXIES" help:"CIDRs whose X-Forwarded-For is believed."`
	Log                   string        `env:"HOOKLINE_LOG" enum:"text,json," default:"" help:"text or json; default: text on a terminal, else json."`
	LogLevel              string        `env:"HOOKLINE_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	ShutdownTimeout       time.Duration `env:"HOOKLINE_SHUTDOWN_TIMEOUT" default:"20s" help:"Bound of the graceful stop."`
	TestClock             bool          `name:"test-clock" env:"HOOKLINE_TEST_CLOCK" help:"For tests, on loopback only: the header X-Hookline-Now (Unix ms) is the now of a query."`
	MaxPages              int           `env:"HOOKLINE_MAX_PAGES" hidden:"" help:"Bound of the database in pages, to rehearse a full disk."`
}

// Settings is a Config that was read and checked.
type Settings struct {
	Config
	Box     *signing.Box   // seals secrets at rest
	Allow   []netip.Prefix // private networks that pushes may reach
	Trusted []netip.Prefix // proxies whose X-Forwarded-For is believed
	Public  *url.URL       // nil if HOOKLINE_PUBLIC_URL is not set
}

// Read checks all settings and opens the master key, which it makes at the
// first start.
func (c Config) Read() (*Settings, error) {
	s, err := c.Check()
	if err != nil {
		return nil, err
	}
	return s, s.unlock(c.masterKey)
}

// ReadExisting is Read for commands that only look at a store: it makes no
// master key, and returns fs.ErrNotExist if there is no key yet.
func (c Config) ReadExisting() (*Settings, error) {
	s, err := c.Check()
	if err != nil {
		return nil, err
	}
	return s, s.unlock(c.FindMasterKey)
}

func (s *Settings) unlock(key func() ([]byte, error)) error {
	master, err := key()
	if err != nil {
		return err
	}
	s.Box, err = signing.NewBox(master)
	return err
}

// Check reads all settings but the master key. Its Settings have no Box. An
// error begins with the name of the setting that is wrong.
func (c Config) Check() (*Settings, error) {
	s := &Settings{Config: c}
	var err error

	// What pushes and proxies may do.
	if s.Allow, err = delivery.ParseNetworks(c.AllowNetworks); err != nil {
		return nil, fmt.Errorf("HOOKLINE_ALLOW_NETWORKS: %w", err)
	}
	if s.Trusted, err = delivery.ParseNetworks(c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("HOOKLINE_TRUSTED_PROXIES: %w", err)
	}
	if s.Public, err = c.publicURL(); err != nil {
		return nil, fmt.Errorf("HOOKLINE_PUBLIC_URL: %w", err)
	}

	// Where the database, the broker and the recordings are.
	if c.DatabaseURL != "" {
		if _, err := storage.ParseURL(c.DatabaseURL); err != nil {
			return nil, fmt.Errorf("HOOKLINE_DATABASE_URL: %w", err)
		}
		if c.MasterKey == "" {
			return nil, errNoMasterKey
		}
	}
	if c.AMQPURL != "" {
		if err := rabbit.CheckURL(c.AMQPURL); err != nil {
			return nil, fmt.Errorf("HOOKLINE_AMQP_URL: %w", err)
		}
	}
	if err := checkBlobURL(c.BlobURL); err != nil {
		return nil, fmt.Errorf("HOOKLINE_BLOB_URL: %w", err)
	}

	if (c.TLSCert == "") != (c.TLSKey == "") {
		return nil, errors.New("HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY go together")
	}
	if c.ConnectionsPerAddress < 0 {
		return nil, errors.New("HOOKLINE_CONNECTIONS_PER_ADDRESS must be 0 or more")
	}
	if c.ShutdownTimeout <= 0 {
		return nil, errors.New("HOOKLINE_SHUTDOWN_TIMEOUT must be more than 0")
	}
	return s, nil
}

var errNoMasterKey = errors.New("HOOKLINE_MASTER_KEY must be given with HOOKLINE_DATABASE_URL: " +
	"all processes of a database need the same, and none can make it for the others (openssl rand -base64 32)")

// Store returns the folder or the URL of the database that holds everything.
func (c Config) Store() string { return cmp.Or(c.DatabaseURL, c.Data) }

func (c Config) publicURL() (*url.URL, error) {
	if c.PublicURL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("must begin with http:// or https:// and name a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("must not have a user, a query or a fragment")
	}
	return u, nil
}

// PublicBase returns the public URL without a slash at its end; "" if it is not set.
func (s *Settings) PublicBase() string {
	if s.Public == nil {
		return ""
	}
	return strings.TrimRight(s.Public.String(), "/")
}

// checkBlobURL returns what is wrong with HOOKLINE_BLOB_URL.
func checkBlobURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Scheme == "file" && (u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != ""):
		return errors.New("must be file:// and the absolute path of a folder, as in file:///var/lib/hookline/recordings")
	case u.Scheme == "s3" && u.Host == "":
		return errors.New("must name a bucket, as in s3://recordings?region=eu-central-1")
	case u.Scheme != "file" && u.Scheme != "s3":
		return errors.New("must begin with file:// or s3://")
	}
	return nil
}

// RecordingsFolder is where recordings are, in the data folder, if
// HOOKLINE_BLOB_URL is not set.
const RecordingsFolder = "recordings"

// MaxRequests returns how many pushes may be in flight: 4,096, or half of the
// files that this process may open if that is less.
func MaxRequests() int { return max(16, min(4096, OpenFiles()/2)) }

// OpenFiles returns how many files this process may open: a million if the system
// does not say or allows more.
func OpenFiles() int {
	const most = 1 << 20
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil || lim.Cur > most {
		return most
	}
	return int(lim.Cur)
}

// ProcessName makes a name for this process: the host's, and something random.
func ProcessName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return strings.ToLower(host) + "-" + uuid.NewString()[:8]
}
