package config_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
)

func inFolder(dir string) config.Config {
	return config.Config{Addr: "127.0.0.1:0", Data: dir, ShutdownTimeout: time.Second}
}

// open opens a hub, and closes it at once.
func open(c config.Config) (*hub.FirstKeys, error) {
	h, err := hub.New(context.Background(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	first := h.First()
	if first != nil {
		err = h.Shown()
	}
	return first, errors.Join(err, h.Close())
}

func TestConfigRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("not a folder, not a certificate"), 0o600))

	for name, c := range map[string]struct {
		change func(*config.Config)
		says   string
	}{
		"mask too long": {
			func(c *config.Config) { c.AllowNetworks = []string{"10.0.0.0/8", "10.0.0.0/33"} },
			"HOOKLINE_ALLOW_NETWORKS",
		},
		"no network": {
			func(c *config.Config) { c.AllowNetworks = []string{"banana"} },
			"HOOKLINE_ALLOW_NETWORKS",
		},
		"no proxies": {
			func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.0/x"} },
			"HOOKLINE_TRUSTED_PROXIES",
		},
		"certificate alone": {
			func(c *config.Config) { c.TLSCert = file },
			"HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY go together",
		},
		"key alone": {
			func(c *config.Config) { c.TLSKey = file },
			"HOOKLINE_TLS_CERT and HOOKLINE_TLS_KEY go together",
		},
		"no certificate": {
			func(c *config.Config) { c.TLSCert, c.TLSKey = file, file },
			"HOOKLINE_TLS_CERT, HOOKLINE_TLS_KEY",
		},
		"certificate not there": {func(c *config.Config) { c.TLSCert, c.TLSKey = file+"x", file }, file + "x"},
		"no time to stop":       {func(c *config.Config) { c.ShutdownTimeout = 0 }, "HOOKLINE_SHUTDOWN_TIMEOUT"},
		"master key too short":  {func(c *config.Config) { c.MasterKey = "c2hvcnQ=" }, "HOOKLINE_MASTER_KEY"},
		"key of a tenant": {
			func(c *config.Config) { c.PlatformKey = "hk_demo_0123456789abcdef" },
			"HOOKLINE_PLATFORM_KEY",
		},
		"platform key short": {
			func(c *config.Config) { c.PlatformKey = "hk_platform_short" },
			"HOOKLINE_PLATFORM_KEY",
		},
		"no address":         {func(c *config.Config) { c.Addr = "127.0.0.1:99999" }, "HOOKLINE_ADDR"},
		"no metrics address": {func(c *config.Config) { c.MetricsAddr = "nowhere" }, "HOOKLINE_METRICS_ADDR"},
		"data is a file":     {func(c *config.Config) { c.Data = file }, file},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := inFolder(t.TempDir())
			c.change(&cfg)
			_, err := open(cfg)
			require.ErrorContains(t, err, c.says)
			if cfg.MasterKey != "" {
				require.NotContains(t, err.Error(), cfg.MasterKey, "a key, though a bad one")
			}
		})
	}
}

// The master key is a file that is made once, readable by nobody else.
func TestMasterKeyFile(t *testing.T) {
	dir := t.TempDir()
	first, err := open(inFolder(dir))
	require.NoError(t, err)
	require.NotNil(t, first)
	path := filepath.Join(dir, "master.key")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.Len(t, key, 32)
	left, err := filepath.Glob(filepath.Join(dir, "master.key.*"))
	require.NoError(t, err)
	require.Empty(t, left)

	first, err = open(inFolder(dir))
	require.NoError(t, err)
	require.Nil(t, first, "keys are shown once")

	// The same key may come from the environment, in hex as well.
	cfg := inFolder(dir)
	cfg.MasterKey = hex.EncodeToString(key)
	_, err = open(cfg)
	require.NoError(t, err)

	// Another key is refused, because it cannot open what the first one sealed.
	cfg.MasterKey = strings.Repeat("ab", 32)
	_, err = open(cfg)
	require.ErrorContains(t, err, "not the one that sealed")

	require.NoError(t, os.WriteFile(path, []byte("half a key"), 0o600))
	_, err = open(inFolder(dir))
	require.ErrorContains(t, err, path)

	// Without the file no new one is made beside a store that the old one sealed.
	require.NoError(t, os.Remove(path))
	_, err = open(inFolder(dir))
	require.ErrorContains(t, err, "put it back")
	require.NoFileExists(t, path)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err = open(inFolder(dir))
	require.NoError(t, err)
}
