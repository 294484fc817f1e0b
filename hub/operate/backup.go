package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/storage"
)

// Backup makes dest, a new folder, a data folder with what the store of cfg
// holds now. A hub may serve the store at the same time. The folder appears whole
// or not at all, and a folder that exists already is not touched.
//
// The master key is copied only withKey. With the key, a backup is all that a
// thief needs; without it, and without the key from elsewhere, it is of no use.
func Backup(ctx context.Context, cfg config.Config, dest string, withKey bool) (err error) {
	if cfg.DatabaseURL != "" {
		return errors.New("the store is on PostgreSQL: back it up with pg_dump, or with what backs up the server, " +
			"and keep HOOKLINE_MASTER_KEY apart")
	}
	s, err := cfg.ReadExisting()
	if err != nil {
		return err
	}
	if withKey && cfg.MasterKey != "" {
		return errors.New("the master key is given by HOOKLINE_MASTER_KEY: there is no file to copy")
	}
	if _, err := os.Lstat(dest); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dest, errors.Join(err, fs.ErrExist))
	}

	// Everything is written into a folder beside dest, which gets its name at the end.
	parent := filepath.Dir(filepath.Clean(dest))
	part, err := os.MkdirTemp(parent, "."+filepath.Base(dest)+".part-") // 0700
	if err != nil {
		return fmt.Errorf("make the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	if err := writeBackup(ctx, s, part, withKey); err != nil {
		return err
	}

	// If something was made at dest in the meantime, Rename replaces only an empty folder.
	if err := os.Rename(part, dest); err != nil {
		return err
	}
	return syncFolder(parent)
}

// writeBackup fills the folder of a backup.
func writeBackup(ctx context.Context, s *config.Settings, folder string, withKey bool) error {
	if err := storage.Backup(ctx, s.Data, folder, s.Box); err != nil {
		return err
	}
	if s.BlobURL == "" {
		// After the store: a recording that is deleted in the meantime keeps its bytes
		// for a while, so what the store names is there.
		from, to := filepath.Join(s.Data, config.RecordingsFolder), filepath.Join(folder, config.RecordingsFolder)
		if err := copyFolder(ctx, from, to); err != nil {
			return fmt.Errorf("copy the recordings: %w", err)
		}
	}
	if withKey {
		if err := copyFile(s.KeyFile(), filepath.Join(folder, filepath.Base(s.KeyFile()))); err != nil {
			return fmt.Errorf("copy the master key: %w", err)
		}
	}
	return syncFolder(folder)
}

// copyFolder copies everything in a folder, and in the folders there. A file that
// vanishes in the meantime is left out; a folder that does not exist is empty.
func copyFolder(ctx context.Context, from, to string) error {
	var folders []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		place := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			folders = append(folders, place)
			return os.Mkdir(place, 0o700)
		}
		if err := copyFile(path, place); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})

	// A folder keeps the names of its files for certain only after a sync.
	for _, f := range folders {
		err = errors.Join(err, syncFolder(f))
	}
	return err
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, source)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
