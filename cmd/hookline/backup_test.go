package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBackupAndDoctor(t *testing.T) {
	data, dest := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	code, _, err := do(t, "", "backup", dest, "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, err, "hookline: ")
	code, _, err = do(t, "", "migrate", "--data", data)
	require.Zero(t, code, err)
	code, out, err := do(t, "", "backup", dest, "--data", data)
	require.Zero(t, code, err)
	require.Contains(t, out, "master key is NOT in it")
	require.FileExists(t, filepath.Join(dest, "hookline.db"))
	code, out, err = do(t, "", "backup", dest+"2", "--data", data, "--with-key")
	require.Zero(t, code, err)
	require.Contains(t, out, "can open every secret")

	code, out, err = do(t, "", "doctor", "--data", dest+"2", "--addr", "127.0.0.1:0")
	require.Zero(t, code, "%s%s", out, err)
	require.Contains(t, out, "OK    store              sound")
	code, out, err = do(t, "", "doctor", "--data", dest, "--addr", "127.0.0.1:0", "--json")
	require.Equal(t, 1, code, "the copy without its key")
	require.Contains(t, err, "checks failed")
	var found struct {
		Findings []struct{ Check, Level, Detail, Advice string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &found))
	require.NotEmpty(t, found.Findings)

	t.Setenv("HOOKLINE_ADR", "x")
	code, out, _ = do(t, "", "doctor", "--data", dest+"2", "--addr", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Contains(t, out, "unknown setting HOOKLINE_ADR")
}
