package hub_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

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

// startAndClose opens a hub, and closes it at once.
func startAndClose(c config.Config) error {
	h, err := hub.New(context.Background(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return h.Close()
}
