package operate_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/storage"
)

// Nobody but the owner reads the store, its logs or a copy of it, whatever the umask is.
// A store that an earlier version left readable for others is closed when it is opened.
func TestStoreIsTheOwnersAlone(t *testing.T) {
	data, dest := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	onlyOwner := func(folder string) {
		t.Helper()
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		seen := 0
		for _, f := range files {
			info, err := f.Info()
			require.NoError(t, err)
			if info.Mode().IsRegular() {
				seen++
				require.Zero(t, info.Mode().Perm()&0o077, "%s is %s", f.Name(), info.Mode())
			}
		}
		require.NotZero(t, seen)
	}

	h := hubtest.Start(t, hubtest.InFolder(data))
	onlyOwner(data)
	require.NoError(t, operate.Backup(t.Context(), config.Config{Data: data, ShutdownTimeout: time.Second}, dest, true))
	onlyOwner(dest)

	h.Stop()
	require.NoError(t, os.Chmod(filepath.Join(data, storage.File), 0o644))
	h.Restart()
	onlyOwner(data)
}

// A backup made while events pour in holds every one that was accepted before
// it began; a hub on it delivers them.
func TestBackupUnderLoad(t *testing.T) {
	data, dest := t.TempDir(), filepath.Join(t.TempDir(), "backup #1 100%")
	h := hubtest.Start(t, hubtest.InFolder(data))
	rec := hubtest.NewReceiver(t)
	sub := h.Subscribe(rec.URL, "state", "paused", "maxInFlight", 64, "encryption", "aes-256-gcm")

	sound := bytes.Repeat([]byte("sound"), 1000)
	require.Equal(t, 200, h.Do("PUT", "/v1/recordings/a:1", h.Owner, sound, "Content-Type", "audio/mpeg").Status)

	// Four senders, which go on while the backup is made.
	var accepted atomic.Int64
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				h.Send(hubtest.Ringing(fmt.Sprintf("c%d-%d", w, n), n))
				accepted.Add(1)
			}
		})
	}
	hubtest.Eventually(t, "some are there", func() bool { return accepted.Load() > 200 })
	before := accepted.Load()
	require.NoError(t, operate.Backup(t.Context(), config.Config{Data: data, ShutdownTimeout: time.Second}, dest, true))
	after := accepted.Load()
	hubtest.Eventually(t, "more come after it", func() bool { return accepted.Load() > after })
	stop()
	wg.Wait()
	h.Stop()

	restored := hubtest.Start(t, hubtest.InFolder(dest))
	restored.Owner = h.Owner
	require.Equal(t, 200, restored.Do("POST", "/v1/subscriptions/"+sub["id"].(string)+"/resume", h.Owner, nil).Status)
	require.Equal(t, sound, restored.Do("GET", "/v1/recordings/a:1", h.Owner, nil).Body)
	pushes := rec.Wait(t, int(before))
	require.Equal(t, "aes-256-gcm", pushes[0].Header.Get("X-Hookline-Encryption"),
		"secrets open with the key that was copied")
	require.Less(t, int64(len(pushes)), accepted.Load(), "a moment of the past, not the present")

	// The hub went on after the backup: what it numbered is not numbered again.
	restored.Send(hubtest.Ringing("new", 1))
	newest := restored.Do("GET", "/v1/events?limit=1", h.Owner, nil).JSON(t)["data"].([]any)[0].(map[string]any)
	require.Equal(t, "call/new", newest["orderKey"])
	require.Greater(t, newest["sequence"], float64(1<<36))
}

// A backup appears whole or not at all, never in place of something, and without
// the key unless it is asked for.
func TestBackupIsCareful(t *testing.T) {
	data := t.TempDir()
	cfg := config.Config{Data: data, ShutdownTimeout: time.Second}
	parent := t.TempDir()
	left := func() (names []string) {
		entries, err := os.ReadDir(parent)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}

	dest := filepath.Join(parent, "b")
	require.ErrorIs(t, operate.Backup(t.Context(), cfg, dest, false), fs.ErrNotExist, "there is no store")
	require.NoFileExists(t, filepath.Join(data, "master.key"), "and no key is made")

	h := hubtest.Start(t, hubtest.InFolder(data))
	h.Stop()
	require.NoError(t, operate.Backup(t.Context(), cfg, dest, false), "of a store that nobody serves")
	entries, err := os.ReadDir(dest)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, "hookline.db", entries[0].Name(), "the store and the recordings, without the key")
	require.Equal(t, "recordings", entries[1].Name())
	info, err := os.Stat(dest)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	restored := config.Config{Data: dest, Addr: "127.0.0.1:0", ShutdownTimeout: time.Second}
	_, err = hub.New(t.Context(), restored, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "master.key is gone", "a new key would not fit")

	// What is refused leaves nothing behind.
	require.ErrorIs(t, operate.Backup(t.Context(), cfg, dest, false), fs.ErrExist, "twice")
	require.ErrorIs(t, operate.Backup(t.Context(), cfg, data, false), fs.ErrExist)
	other := filepath.Join(parent, "c")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, operate.Backup(gone, cfg, other, false), context.Canceled)

	wrong := cfg
	wrong.MasterKey = "00000000000000000000000000000000000000000000000000000000000000ff"
	require.ErrorContains(t, operate.Backup(t.Context(), wrong, other, false), "master key is not the one")
	require.ErrorContains(t, operate.Backup(t.Context(), wrong, other, true), "no file to copy")
	require.Error(t, operate.Backup(t.Context(), cfg, filepath.Join(parent, "no", "such"), false))
	require.Equal(t, []string{"b"}, left(), "nothing half made stays")

	// What cannot be read back is no backup.
	require.NoError(t, damage(filepath.Join(data, "hookline.db")))
	require.Error(t, operate.Backup(t.Context(), cfg, other, false))
	require.Equal(t, []string{"b"}, left())
}

// damage overwrites pages in the middle of a database.
func damage(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for page := int64(4); page < 12; page++ {
		if _, err := f.WriteAt([]byte("this was a page once, before the disk forgot it"), page*4096); err != nil {
			return err
		}
	}
	return nil
}
