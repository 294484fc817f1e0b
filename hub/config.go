package hub

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// Config is every setting of a hub. The tags make each an environment variable
// and a flag of the same name; they mean nothing to this package.
type Config struct {
	Addr            string        `env:"HOOKLINE_ADDR" default:"127.0.0.1:8080" help:"Listen address."`
	TLSCert         string        `name:"tls-cert" env:"HOOKLINE_TLS_CERT" help:"Certificate file (PEM): serve https."`
	TLSKey          string        `name:"tls-key" env:"HOOKLINE_TLS_KEY" help:"Key file (PEM) of the certificate."`
	MetricsAddr     string        `env:"HOOKLINE_METRICS_ADDR" help:"Address of /metrics; default: the listen address while that is loopback, else 127.0.0.1:9090."`
	Data            string        `env:"HOOKLINE_DATA" default:"./data" help:"Folder of the embedded store and the master key."`
	DatabaseURL     string        `name:"database-url" env:"HOOKLINE_DATABASE_URL" help:"postgres://user:password@host:5432/database?sslmode=…: the store is there, for any number of processes, and HOOKLINE_MASTER_KEY must be given. Better as a variable: others can read a flag."`
	AMQPURL         string        `name:"amqp-url" env:"HOOKLINE_AMQP_URL" help:"amqp://user:password@host:5672/vhost, or amqps://: events also come through RabbitMQ, and processes nudge each other by it. Better as a variable: others can read a flag."`
	AMQPTenant      string        `name:"amqp-tenant" env:"HOOKLINE_AMQP_TENANT" enum:"routing-key,user-id" default:"routing-key" help:"Whose a message is: routing-key, what is before the first dot; user-id, the broker's user who published it, and the routing key must agree."`
	MasterKey       string        `env:"HOOKLINE_MASTER_KEY" help:"32 bytes, base64 or hex, that seal secrets at rest; default: a file in the data folder, made at first start."`
	PlatformKey     string        `env:"HOOKLINE_PLATFORM_KEY" help:"The platform key, hk_platform_ and 16 to 128 letters, digits and hyphens; default: made and printed once at first start."`
	AllowNetworks   []string      `env:"HOOKLINE_ALLOW_NETWORKS" help:"CIDRs that pushes may reach although private; 'loopback' for 127.0.0.0/8 and ::1."`
	RequireHTTPS    bool          `env:"HOOKLINE_REQUIRE_HTTPS" name:"require-https" help:"Refuse callback URLs with http."`
	PublicURL       string        `name:"public-url" env:"HOOKLINE_PUBLIC_URL" help:"Where others reach the hub, as behind a proxy: https://host[:port][/path]. Callback URLs there are refused."`
	BlobURL         string        `name:"blob-url" env:"HOOKLINE_BLOB_URL" help:"Where recordings are kept: file:///folder, or s3://bucket?region=…; default: the folder recordings in the data folder."`
	TrustedProxies  []string      `env:"HOOKLINE_TRUSTED_PROXIES" help:"CIDRs whose X-Forwarded-For is believed."`
	Log             string        `env:"HOOKLINE_LOG" enum:"text,json," default:"" help:"text or json; default: text on a terminal, else json."`
	LogLevel        string        `env:"HOOKLINE_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	ShutdownTimeout time.Duration `env:"HOOKLINE_SHUTDOWN_TIMEOUT" default:"20s" help:"Bound of the graceful stop."`
	TestClock       bool          `name:"test-clock" env:"HOOKLINE_TEST_CLOCK" help:"For tests, on loopback only: the header X-Hookline-Now (Unix ms) is the now of a query."`
	MaxPages        int           `env:"HOOKLINE_MAX_PAGES" hidden:"" help:"Bound of the database in pages, to rehearse a full disk."`
}

// settings is Config read and checked.
type settings struct {
	Config
	box     *signing.Box
	master  []byte
	allow   []netip.Prefix
	trusted []netip.Prefix
	public  *url.URL // nil: not given
}

// read checks all settings and makes the master key at the first start.
func (c Config) read() (*settings, error) {
	s, err := c.check()
	if err != nil {
		return nil, err
	}
	return s, s.unlock(c.masterKey)
}

// readExisting is read for commands that look at a store: they make nothing.
func (c Config) readExisting() (*settings, error) {
	s, err := c.check()
	if err != nil {
		return nil, err
	}
	return s, s.unlock(c.findMasterKey)
}

func (s *settings) unlock(key func() ([]byte, error)) (err error) {
	if s.master, err = key(); err != nil {
		return err
	}
	s.box, err = signing.NewBox(s.master)
	return err
}

// check reads all settings but the master key.
func (c Config) check() (*settings, error) {
	s := &settings{Config: c}
	var err error
	if s.allow, err = delivery.ParseNetworks(c.AllowNetworks); err != nil {
		return nil, fmt.Errorf("HOOKLINE_ALLOW_NETWORKS: %w", err)
	}
	if s.trusted, err = delivery.ParseNetworks(c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("HOOKLINE_TRUSTED_PROXIES: %w", err)
	}
	if s.public, err = c.publicURL(); err != nil {
		return nil, fmt.Errorf("HOOKLINE_PUBLIC_URL: %w", err)
	}
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
	if c.ShutdownTimeout <= 0 {
		return nil, errors.New("HOOKLINE_SHUTDOWN_TIMEOUT must be more than 0")
	}
	return s, nil
}

var errNoMasterKey = errors.New("HOOKLINE_MASTER_KEY must be given with HOOKLINE_DATABASE_URL: all processes of a database need the same, and none can make it for the others (openssl rand -base64 32)")

// store is the folder or the database that holds everything.
func (c Config) store() string { return cmp.Or(c.DatabaseURL, c.Data) }

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

// masterKey is the one given, else the one in the data folder, made when absent.
func (c Config) masterKey() ([]byte, error) {
	key, err := c.findMasterKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, err := os.Stat(filepath.Join(c.Data, storage.File)); err == nil {
		return nil, fmt.Errorf("master key: %s is gone, and the store beside it was sealed with it; put it back, or set HOOKLINE_MASTER_KEY", c.keyFile())
	}
	return newMasterKey(c.Data, c.keyFile())
}

func (c Config) keyFile() string { return filepath.Join(c.Data, "master.key") }

// findMasterKey is the one given, else the one in the data folder; fs.ErrNotExist.
func (c Config) findMasterKey() ([]byte, error) {
	if c.DatabaseURL != "" && c.MasterKey == "" {
		return nil, errNoMasterKey
	}
	if c.MasterKey != "" {
		key, err := signing.ParseMasterKey(c.MasterKey)
		if err != nil {
			return nil, fmt.Errorf("HOOKLINE_MASTER_KEY: %w", err)
		}
		return key, nil
	}
	text, err := os.ReadFile(c.keyFile())
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := signing.ParseMasterKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("master key in %s: %w", c.keyFile(), err)
	}
	return key, nil
}

// newMasterKey makes the file whole or not at all: half a key would lock every
// secret away for good.
func newMasterKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	f, err := os.CreateTemp(dir, "master.key.*")
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	defer os.Remove(f.Name()) // gone already once it was renamed
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	// Link, not rename: should another process have made one meanwhile, theirs stays.
	if err := os.Link(f.Name(), path); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}
