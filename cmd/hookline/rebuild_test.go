package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/lib/pq" // the driver "postgres"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// The command of earlier versions names what is called instead.
func TestRebuildReportsWasRenamed(t *testing.T) {
	data := t.TempDir()
	code, out, err := do(t, "", "rebuild-reports", "--tenant", "demo", "--data", data)
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.Equal(t, "hookline: rebuild-reports is now hookline rebuild --fold reports\n", err)
	entries, failed := os.ReadDir(data)
	require.NoError(t, failed)
	require.Empty(t, entries, "it did nothing")
}

// A rebuild brings back what is lost of folds: on PostgreSQL while hubs serve, in
// a data folder once its hub has stopped.
func TestRebuild(t *testing.T) {
	calls := func(h *hubtest.Hub) any {
		a := h.Do("POST", "/callservice/tm/tm-reports/maincdrs/_search", h.Owner,
			`{"startTime": 1637000000000, "endTime": 1638000000000, "pageNum": 1, "pageSize": 10}`)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		return a.JSON(t)["data"].(map[string]any)["total"]
	}
	lose := func(driver, at string) {
		db, err := sql.Open(driver, at)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(context.Background(), "DELETE FROM call_records")
		require.NoError(t, err)
	}
	t.Run("sqlite", func(t *testing.T) {
		data := t.TempDir()
		h := hubtest.Start(t, func(c *config.Config) { c.Data = data })
		h.Send(hubtest.CDR("c1", 1))
		require.EqualValues(t, 1, calls(h))
		code, _, err := do(t, "", "rebuild", "--data", data)
		require.Equal(t, 1, code)
		require.Contains(t, err, "stop it first")
		h.Stop()
		lose("sqlite", filepath.Join(data, "hookline.db"))
		code, out, err := do(t, "", "rebuild", "--fold", "reports", "--data", data)
		require.Zero(t, code, err)
		require.Contains(t, out, "demo: rebuilt in ")
		h.Restart()
		require.EqualValues(t, 0, calls(h), "the reports alone were rebuilt")
		h.Stop()
		code, out, err = do(t, "", "rebuild", "--fold", "records", "--fold", "calls", "--tenant", "demo", "--data", data)
		require.Zero(t, code, err)
		require.Contains(t, out, "demo: rebuilt in ")
		h.Restart()
		require.EqualValues(t, 1, calls(h))
		h.Stop()

		code, _, err = do(t, "", "rebuild", "--fold", "odd", "--data", data)
		require.Equal(t, 1, code)
		require.Contains(t, err, `there is no fold "odd": they are records, agents, `)
		code, _, err = do(t, "", "rebuild", "--tenant", "nobody", "--data", data)
		require.Equal(t, 1, code)
		require.Contains(t, err, `there is no tenant "nobody"`)
	})
	t.Run("postgres", func(t *testing.T) {
		url := hubtest.EmptyPostgres(t)
		h := hubtest.Start(t, hubtest.InDatabase(url))
		h.Send(hubtest.CDR("c1", 1))
		require.EqualValues(t, 1, calls(h))
		lose("postgres", url)
		require.EqualValues(t, 0, calls(h))
		code, _, err := do(t, "", "rebuild", "--database-url", url, "--master-key",
			base64.StdEncoding.EncodeToString(make([]byte, 32)))
		require.Zero(t, code, err)
		require.EqualValues(t, 1, calls(h))
	})
}
