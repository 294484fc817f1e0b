package hub_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/rabbit"
)

// examine gives the finding of one check; the zero one when nothing was found of it.
func examine(t *testing.T, cfg hub.Config, check, callback string) (found hub.Finding) {
	t.Helper()
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = time.Second
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	for _, f := range hub.Examine(t.Context(), cfg, callback) {
		require.NotEmpty(t, f.Detail, f.Check)
		require.Equal(t, f.Level == hub.OK, f.Advice == "", "%+v: who is warned is told what to do", f)
		if f.Check == check {
			found = f
		}
	}
	return found
}

func TestDoctorOfNothingYet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for _, check := range []string{"configuration", "data folder", "master key", "store", "HOOKLINE_ADDR"} {
		require.Equal(t, hub.OK, examine(t, hub.Config{Data: dir}, check, "").Level, check)
	}
	require.NoDirExists(t, dir, "it only looks")
}

// Beside the hub that serves, and after it.
func TestDoctorOfAHub(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	h := hubtest.Start(t, hubtest.InFolder(dir))
	h.Send(hubtest.Ringing("c1", 1))
	cfg := hub.Config{Data: dir, Addr: strings.TrimPrefix(h.URL, "http://")}
	for _, check := range []string{"data folder", "space", "master key", "store", "write-ahead log", "HOOKLINE_ADDR"} {
		require.Equal(t, hub.OK, examine(t, cfg, check, "").Level, check)
	}
	require.Contains(t, examine(t, cfg, "HOOKLINE_ADDR", "").Detail, "the hub runs")
	require.Contains(t, examine(t, cfg, "write", "").Detail, "a synced write takes")
	require.Contains(t, examine(t, cfg, "callback", h.URL).Detail, "hub's own")
	h.Send(hubtest.Ringing("c1", 2)) // it is not disturbed
	h.Stop()
	require.Contains(t, examine(t, cfg, "HOOKLINE_ADDR", "").Detail, "is free")

	wrong := cfg
	wrong.MasterKey = strings.Repeat("0f", 32)
	require.Equal(t, hub.Fail, examine(t, wrong, "store", "").Level)
	key := filepath.Join(dir, "master.key")
	require.NoError(t, os.Chmod(key, 0o644))
	require.Equal(t, hub.Warn, examine(t, cfg, "master key", "").Level)
	require.NoError(t, os.Chmod(dir, 0o755))
	require.Equal(t, hub.Warn, examine(t, cfg, "data folder", "").Level)
	require.NoError(t, os.Rename(key, key+".away"))
	require.Contains(t, examine(t, cfg, "master key", "").Detail, "no key")
	require.NoFileExists(t, key, "none is made")
	require.NoError(t, os.Rename(key+".away", key))
	require.NoError(t, damage(filepath.Join(dir, "hookline.db")))
	require.Contains(t, examine(t, cfg, "store", "").Detail, "damaged")
}

func TestDoctorOfSettings(t *testing.T) {
	dir, certs := t.TempDir(), t.TempDir()
	selfSigned(t, certs, 1) // for an hour
	file := filepath.Join(certs, "cert.pem")
	taken := hubtest.NewReceiver(t)
	for _, tt := range []struct {
		cfg   hub.Config
		check string
		level hub.Level
	}{
		{hub.Config{Data: dir, AllowNetworks: []string{"nonsense"}}, "configuration", hub.Fail},
		{hub.Config{Data: dir, AllowNetworks: []string{"loopback"}}, "networks", hub.Warn},
		{hub.Config{Data: dir, Addr: "0.0.0.0:0"}, "transport", hub.Warn},
		{hub.Config{Data: dir, Addr: ":0"}, "transport", hub.Warn},
		{hub.Config{Data: dir, Addr: "localhost:0"}, "transport", ""},
		{hub.Config{Data: dir, TLSCert: file, TLSKey: filepath.Join(certs, "key.pem")}, "certificate", hub.Warn},
		{hub.Config{Data: dir, TLSCert: file, TLSKey: file}, "certificate", hub.Fail},
		{hub.Config{Data: file}, "data folder", hub.Fail},
		{hub.Config{Data: dir, MasterKey: "short"}, "master key", hub.Fail},
		{hub.Config{Data: dir, Addr: strings.TrimPrefix(taken.URL, "http://")}, "HOOKLINE_ADDR", hub.Fail},
		{hub.Config{Data: dir, MetricsAddr: strings.TrimPrefix(taken.URL, "http://")}, "HOOKLINE_METRICS_ADDR", hub.Fail},
	} {
		require.Equal(t, tt.level, examine(t, tt.cfg, tt.check, "").Level, "%s of %+v", tt.check, tt.cfg)
	}
}

// A callback is judged as a push would be, and hears nothing.
func TestDoctorOfTheBroker(t *testing.T) {
	url := rabbittest.VHost(t)
	with := func(c *hub.Config) { c.AMQPURL = url }
	cfg := hub.Config{Data: filepath.Join(t.TempDir(), "none"), AMQPURL: url}
	require.Contains(t, examine(t, cfg, "RabbitMQ", "").Detail, "no queues yet")
	h := hubtest.Start(t, with)
	hubtest.Eventually(t, "it consumes", func() bool {
		f := examine(t, cfg, "RabbitMQ", "")
		return f.Level == hub.OK && strings.Contains(f.Detail, "; 0 messages wait, hubs: 1")
	})
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	require.NoError(t, err)
	publish := func() {
		require.NoError(t, ch.Publish(rabbit.EventsExchange, "nobody.x", false, false, amqp.Publishing{}))
	}
	publish()
	hubtest.Eventually(t, "it is rejected", func() bool { return examine(t, cfg, "rejected messages", "").Level == hub.Warn })
	h.Stop()
	publish()
	hubtest.Eventually(t, "it waits", func() bool {
		return strings.Contains(examine(t, cfg, "RabbitMQ", "").Detail, "1 messages wait, and nobody takes them")
	})
	cfg.AMQPURL = strings.Replace(url, "guest:guest", "guest:wrong", 1)
	f := examine(t, cfg, "RabbitMQ", "")
	require.Equal(t, hub.Fail, f.Level)
	require.NotContains(t, f.Detail, "wrong", "the password")
}

func TestDoctorTriesACallback(t *testing.T) {
	rec := hubtest.NewReceiver(t)
	secure := httptest.NewTLSServer(nil)
	defer secure.Close()
	open := hub.Config{Data: t.TempDir(), AllowNetworks: []string{"loopback"}}
	closed, strict := open, open
	closed.AllowNetworks, strict.RequireHTTPS = nil, true
	for _, tt := range []struct {
		cfg   hub.Config
		url   string
		level hub.Level
		says  string
	}{
		{open, rec.URL + "/hook?token=hush", hub.OK, "127.0.0.1"},
		{closed, rec.URL, hub.Fail, "not public"},
		{closed, "http://localhost:1024", hub.Fail, "not public"},
		{strict, rec.URL, hub.Fail, "HOOKLINE_REQUIRE_HTTPS"},
		{open, "ftp://crm.example", hub.Fail, "http://"},
		{open, "https://nowhere.invalid/?token=hush", hub.Fail, "nowhere.invalid"},
		{open, secure.URL, hub.Fail, "TLS"},
	} {
		got := examine(t, tt.cfg, "callback", tt.url)
		require.Equal(t, tt.level, got.Level, "%s: %+v", tt.url, got)
		require.Contains(t, got.Detail, tt.says)
		require.NotContains(t, got.Detail, "hush")
	}
	require.Empty(t, rec.Pushes())
}
