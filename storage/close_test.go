package storage

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Closed, a store is one file: SQLite folds the write-ahead log into it when its
// last connection ends, which it does only once no statement is left.
func TestCloseLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	db := openPastIn(t, dir)
	require.FileExists(t, filepath.Join(dir, File+"-wal"))
	db.close(t)
	require.FileExists(t, filepath.Join(dir, File))
	require.NoFileExists(t, filepath.Join(dir, File+"-wal"))
}
