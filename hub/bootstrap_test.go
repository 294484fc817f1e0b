package hub_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/storage"
)

// The platform key that the operator sets works at once, and again after a restart. A
// key that was revoked or has expired is refused, and not made valid again.
func TestPlatformKeyOfTheOperator(t *testing.T) {
	const second = "hk_platform_the-second-0123456789"
	var cfg *config.Config
	h := hubtest.Start(t, hubtest.InFolder(t.TempDir()), func(c *config.Config) { cfg = c })
	list := func(key string) hubtest.Answer { return h.Do("GET", "/v1/tenants/platform/keys", key, nil) }
	require.Equal(t, http.StatusOK, list(hubtest.PlatformKey).Status)
	require.Equal(t, http.StatusUnauthorized, list(second).Status)

	cfg.PlatformKey = second
	h.Restart()
	require.Equal(t, http.StatusOK, list(hubtest.PlatformKey).Status, "the first key is still valid")
	keys := list(second).JSON(t)["data"].([]any)
	require.Len(t, keys, 2)
	h.Restart()
	require.Len(t, list(second).JSON(t)["data"], 2, "it is made once")

	newest := keys[0].(map[string]any)["id"].(string)
	revoked := h.Do("DELETE", "/v1/tenants/platform/keys/"+newest, hubtest.PlatformKey, nil)
	require.Equal(t, http.StatusNoContent, revoked.Status)
	h.Stop()
	err := startAndClose(*cfg)
	require.ErrorContains(t, err, "HOOKLINE_PLATFORM_KEY: this key was revoked at 20")
	require.NotContains(t, err.Error(), second)

	// Let it expire instead.
	db, err := sqlx.Open("sqlite", "file:"+filepath.Join(cfg.Data, storage.File))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE keys SET revoked_at = NULL, expires_at = 1000 WHERE id = ?", newest)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	err = startAndClose(*cfg)
	require.ErrorContains(t, err, "HOOKLINE_PLATFORM_KEY: this key expired at 1970-01-01T00:00:01Z")
}

// With a platform key of the operator the hub makes neither other keys nor a tenant.
func TestNoDemoTenantWithAPlatformKey(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Config{
		Addr: "127.0.0.1:0", Data: dir, ShutdownTimeout: time.Second, PlatformKey: hubtest.PlatformKey,
	}
	require.NoError(t, startAndClose(cfg))
	require.NoFileExists(t, filepath.Join(dir, "first-keys"))

	db, err := sqlx.Open("sqlite", "file:"+filepath.Join(dir, storage.File))
	require.NoError(t, err)
	defer db.Close()
	var tenants, keys int
	require.NoError(t, db.GetContext(t.Context(), &tenants, "SELECT count(*) FROM tenants"))
	require.NoError(t, db.GetContext(t.Context(), &keys, "SELECT count(*) FROM keys"))
	require.Equal(t, []int{0, 1}, []int{tenants, keys})
}

// Wherever the first start is killed, the keys of the store are in the file, and the next
// start has them.
func TestFirstKeysOutliveAKill(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "first-keys")
	cfg := config.Config{Addr: "127.0.0.1:0", Data: dir, ShutdownTimeout: time.Second}
	start := func() *hub.FirstKeys {
		h, err := hub.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		defer func() { require.NoError(t, h.Close()) }()
		return h.First()
	}

	// Killed after the file was written, and before the store had the keys.
	stale := `{"platformKey":"hk_platform_0123456789abcdef","companyId":"demo","ownerKey":"hk_demo_0123456789abcdef"}`
	require.NoError(t, os.WriteFile(file, []byte(stale), 0o600))
	made := start()
	require.NotEqual(t, "hk_platform_0123456789abcdef", made.Platform)

	// Killed before anybody was shown the keys.
	require.Equal(t, made, start())
	h, err := hub.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, h.Shown())
	require.NoError(t, h.Close())
	require.Nil(t, start())

	// The file of another store is not shown as this one's; what cannot be read stops the start.
	require.NoError(t, os.WriteFile(file, []byte(stale), 0o600))
	require.Nil(t, start())
	require.NoError(t, os.WriteFile(file, []byte("hk_platform_"), 0o600))
	require.ErrorContains(t, startAndClose(cfg), "file of the first keys")
}

// startAndClose opens a hub, and closes it at once.
func startAndClose(c config.Config) error {
	h, err := hub.New(context.Background(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return h.Close()
}
