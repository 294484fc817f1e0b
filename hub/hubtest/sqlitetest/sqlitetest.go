// Package sqlitetest gives tests embedded stores that have their tables already.
package sqlitetest

import (
	"errors"
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

// TablesVariable is the environment variable with a folder that test binaries share.
// The first of them leaves a store with tables there, which the others copy. make test
// sets it. Without it each binary makes the tables itself.
const TablesVariable = "HUBTEST_TABLES"

// Copy puts a store as prepare makes it into dir. It has tables and nothing else,
// whoever calls Copy, so prepare is called once: to write a file costs a fraction of
// what it costs to make the tables, above all with the race detector.
func Copy(t testing.TB, dir string, prepare func(dir string) error) {
	t.Helper()
	original.once.Do(func() {
		original.file, original.err = Shared(File, func() ([]byte, error) { return prepared(prepare) })
	})
	require.NoError(t, original.err, "prepare a store")
	require.NoError(t, os.WriteFile(filepath.Join(dir, File), original.file, 0o600))
}

// Shared returns what a file of the shared folder holds. If it is not there yet, or
// there is no such folder, it is what create returns.
func Shared(name string, create func() ([]byte, error)) ([]byte, error) {
	folder := os.Getenv(TablesVariable)
	if folder == "" {
		return create()
	}
	if content, err := os.ReadFile(filepath.Join(folder, name)); err == nil {
		return content, nil
	}

	// Two binaries may come here at the same time: what either makes will do.
	content, err := create()
	if err != nil {
		return nil, err
	}
	made, err := os.CreateTemp(folder, name+"-")
	if err != nil {
		return nil, err
	}
	_, err = made.Write(content)
	if err = errors.Join(err, made.Close()); err != nil {
		return nil, err
	}
	return content, os.Rename(made.Name(), filepath.Join(folder, name))
}

func prepared(prepare func(dir string) error) ([]byte, error) {
	dir, err := os.MkdirTemp("", "sqlitetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
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
