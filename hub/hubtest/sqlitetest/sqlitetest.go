// Package sqlitetest gives tests embedded stores that have their tables already.
package sqlitetest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// File is the name of the store's file in its folder.
const File = "hookline.db"

var original struct {
	once sync.Once
	file []byte
	err  error
}

// Copy puts a store as prepare makes it into dir. Prepare is called once in a
// process, whoever calls Copy: to write a file costs a fraction of what it costs
// to make the tables, above all with the race detector.
func Copy(t testing.TB, dir string, prepare func(dir string) error) {
	t.Helper()
	original.once.Do(func() { original.file, original.err = prepared(prepare) })
	require.NoError(t, original.err, "prepare a store")
	require.NoError(t, os.WriteFile(filepath.Join(dir, File), original.file, 0o600))
}

func prepared(prepare func(dir string) error) ([]byte, error) {
	dir, err := os.MkdirTemp("", "sqlitetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder of temporary files
	if err := prepare(dir); err != nil {
		return nil, err
	}

	// A store that was closed is in one file.
	log := filepath.Join(dir, File+"-wal")
	if info, err := os.Stat(log); err == nil && info.Size() > 0 {
		return nil, fmt.Errorf("%s is not empty", log)
	}
	return os.ReadFile(filepath.Join(dir, File))
}
