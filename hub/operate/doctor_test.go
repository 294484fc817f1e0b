package operate_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/hub/rabbit"
)

// examine returns the finding of one check, or the zero Finding if there is none.
func examine(t *testing.T, cfg config.Config, check, callback string) (found operate.Finding) {
	t.Helper()
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = time.Second
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	for _, f := range operate.Examine(t.Context(), cfg, callback) {
		require.NotEmpty(t, f.Detail, f.Check)
		require.Equal(t, f.Level == operate.OK, f.Advice == "", "%+v: a warning says what to do", f)
		if f.Check == check {
			found = f
		}
	}
	return found
}

func TestDoctorOfNothingYet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for _, check := range []string{"configuration", "data folder", "master key", "store", "HOOKLINE_ADDR"} {
		require.Equal(t, operate.OK, examine(t, config.Config{Data: dir}, check, "").Level, check)
	}
	require.NoDirExists(t, dir, "it only looks")
}

// The doctor works beside the hub that serves, and after it has stopped.
func TestDoctorOfAHub(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	h := hubtest.Start(t, hubtest.InFolder(dir))
	h.Send(hubtest.Ringing("c1", 1))
	cfg := config.Config{Data: dir, Addr: strings.TrimPrefix(h.URL, "http://")}
	for _, check := range []string{"data folder", "space", "master key", "store", "write-ahead log", "HOOKLINE_ADDR"} {
		require.Equal(t, operate.OK, examine(t, cfg, check, "").Level, check)
	}
	require.Contains(t, examine(t, cfg, "HOOKLINE_ADDR", "").Detail, "the hub runs")
	require.Contains(t, examine(t, cfg, "write", "").Detail, "a synced write takes")
	require.Contains(t, examine(t, cfg, "callback", h.URL).Detail, "hub's own")
	h.Send(hubtest.Ringing("c1", 2)) // it is not disturbed
	h.Stop()
	require.Contains(t, examine(t, cfg, "HOOKLINE_ADDR", "").Detail, "is free")

	// What can be wrong with the key, the folder and the store.
	wrong := cfg
	wrong.MasterKey = strings.Repeat("0f", 32)
	require.Equal(t, operate.Fail, examine(t, wrong, "store", "").Level)
	key := filepath.Join(dir, "master.key")
	require.NoError(t, os.Chmod(key, 0o644))
	require.Equal(t, operate.Warn, examine(t, cfg, "master key", "").Level)
	require.NoError(t, os.Chmod(dir, 0o755))
	require.Equal(t, operate.Warn, examine(t, cfg, "data folder", "").Level)
	require.NoError(t, os.Rename(key, key+".away"))
	require.Contains(t, examine(t, cfg, "master key", "").Detail, "no key")
	require.NoFileExists(t, key, "the doctor makes no key")
	require.NoError(t, os.Rename(key+".away", key))
	require.NoError(t, damage(filepath.Join(dir, "hookline.db")))
	require.Contains(t, examine(t, cfg, "store", "").Detail, "damaged")
}

func TestDoctorOfSettings(t *testing.T) {
	dir, certs := t.TempDir(), t.TempDir()
	hubtest.SelfSigned(t, certs, 1)
	file := filepath.Join(certs, "cert.pem")
	used := strings.TrimPrefix(hubtest.NewReceiver(t).URL, "http://")
	for _, tt := range []struct {
		cfg   config.Config
		check string
		level operate.Level
	}{
		{config.Config{Data: dir, AllowNetworks: []string{"nonsense"}}, "configuration", operate.Fail},
		{config.Config{Data: dir, AllowNetworks: []string{"loopback"}}, "networks", operate.Warn},
		{config.Config{Data: dir, Addr: "0.0.0.0:0"}, "transport", operate.Warn},
		{config.Config{Data: dir, Addr: ":0"}, "transport", operate.Warn},
		{config.Config{Data: dir, Addr: "localhost:0"}, "transport", ""},
		{config.Config{Data: dir, TLSCert: file, TLSKey: filepath.Join(certs, "key.pem")}, "certificate", operate.Warn},
		{config.Config{Data: dir, TLSCert: file, TLSKey: file}, "certificate", operate.Fail},
		{config.Config{Data: file}, "data folder", operate.Fail},
		{config.Config{Data: dir, MasterKey: "short"}, "master key", operate.Fail},
		{config.Config{Data: dir, Addr: used}, "HOOKLINE_ADDR", operate.Fail},
		{config.Config{Data: dir, MetricsAddr: used}, "HOOKLINE_METRICS_ADDR", operate.Fail},
	} {
		require.Equal(t, tt.level, examine(t, tt.cfg, tt.check, "").Level, "%s of %+v", tt.check, tt.cfg)
	}
}

func TestDoctorOfTheBroker(t *testing.T) {
	url := rabbittest.VHost(t)
	with := func(c *config.Config) { c.AMQPURL = url }
	cfg := config.Config{Data: filepath.Join(t.TempDir(), "none"), AMQPURL: url}
	require.Contains(t, examine(t, cfg, "RabbitMQ", "").Detail, "no queues yet")
	h := hubtest.Start(t, with)
	hubtest.Eventually(t, "it consumes", func() bool {
		f := examine(t, cfg, "RabbitMQ", "")
		return f.Level == operate.OK && strings.Contains(f.Detail, "; 0 messages wait, hubs: 1")
	})

	// A message of a tenant that does not exist is rejected, or waits for a hub.
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	require.NoError(t, err)
	publish := func() {
		require.NoError(t, ch.Publish(rabbit.EventsExchange, "nobody.x", false, false, amqp.Publishing{}))
	}
	publish()
	hubtest.Eventually(t, "it is rejected", func() bool {
		return examine(t, cfg, "rejected messages", "").Level == operate.Warn
	})
	h.Stop()
	publish()
	hubtest.Eventually(t, "it waits", func() bool {
		return strings.Contains(examine(t, cfg, "RabbitMQ", "").Detail, "1 messages wait, and nobody takes them")
	})

	// A wrong password is not repeated in the finding.
	cfg.AMQPURL = strings.Replace(url, "guest:guest", "guest:wrong", 1)
	f := examine(t, cfg, "RabbitMQ", "")
	require.Equal(t, operate.Fail, f.Level)
	require.NotContains(t, f.Detail, "wrong", "the password")
}

// A callback is judged as a push would be, and nothing is sent to it.
func TestDoctorTriesACallback(t *testing.T) {
	rec := hubtest.NewReceiver(t)
	secure := httptest.NewTLSServer(nil)
	defer secure.Close()
	open := config.Config{Data: t.TempDir(), AllowNetworks: []string{"loopback"}}
	closed := open
	closed.AllowNetworks = nil
	strict := open
	strict.RequireHTTPS = true

	for _, tt := range []struct {
		cfg   config.Config
		url   string
		level operate.Level
		says  string
	}{
		{open, rec.URL + "/hook?token=hush", operate.OK, "127.0.0.1"},
		{closed, rec.URL, operate.Fail, "not public"},
		{closed, "http://localhost:1024", operate.Fail, "not public"},
		{strict, rec.URL, operate.Fail, "HOOKLINE_REQUIRE_HTTPS"},
		{open, "ftp://crm.example", operate.Fail, "http://"},
		{open, "https://nowhere.invalid/?token=hush", operate.Fail, "nowhere.invalid"},
		{open, secure.URL, operate.Fail, "TLS"},
	} {
		got := examine(t, tt.cfg, "callback", tt.url)
		require.Equal(t, tt.level, got.Level, "%s: %+v", tt.url, got)
		require.Contains(t, got.Detail, tt.says)
		require.NotContains(t, got.Detail, "hush")
	}
	require.Empty(t, rec.Pushes())
}

func TestDoctorOfPostgres(t *testing.T) {
	place := hubtest.EmptyPostgres(t)
	cfg := config.Config{}
	hubtest.InDatabase(place)(&cfg)
	require.Contains(t, examine(t, cfg, "store", "").Detail, "none yet")
	h := hubtest.Start(t, hubtest.InDatabase(place))
	h.Send(hubtest.Ringing("c1", 1))
	cfg.Addr = strings.TrimPrefix(h.URL, "http://")
	for _, check := range []string{"configuration", "master key", "store", "connections", "HOOKLINE_ADDR"} {
		require.Equal(t, operate.OK, examine(t, cfg, check, "").Level, check)
	}
	require.Contains(t, examine(t, cfg, "PostgreSQL", "").Detail, "version")
	for _, embedded := range []string{"data folder", "space", "write", "write-ahead log"} {
		require.Empty(t, examine(t, cfg, embedded, ""), "%s is about the embedded store", embedded)
	}

	wrong := cfg
	wrong.MasterKey = strings.Repeat("ab", 32)
	require.Equal(t, operate.Fail, examine(t, wrong, "store", "").Level)
	wrong.DatabaseURL = "postgres://u:hush@127.0.0.1:1/nowhere?sslmode=disable"
	f := examine(t, wrong, "store", "")
	require.Equal(t, operate.Fail, f.Level)
	require.NotContains(t, f.Detail, "hush")

	readOnly := cfg
	readOnly.DatabaseURL += "&default_transaction_read_only=on"
	require.Equal(t, operate.Fail, examine(t, readOnly, "PostgreSQL", "").Level)
}
