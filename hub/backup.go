package hub

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

	"github.com/hookline/hookline/storage"
)

// Backup makes dest, a new folder, a data folder with what the store of cfg
// holds now; a hub may be serving it. The folder appears whole or not at all,
// and one that is there is not touched. The master key is copied only withKey:
// with it a backup is all that a thief needs, and without it, or the key kept
// elsewhere, it is of no use.
func Backup(ctx context.Context, cfg Config, dest string, withKey bool) (err error) {
	if cfg.DatabaseURL != "" {
		return errors.New("the store is on PostgreSQL: back it up with pg_dump, or with what backs up the server, and keep HOOKLINE_MASTER_KEY apart")
	}
	s, err := cfg.readExisting()
	if err != nil {
		return err
	}
	if withKey && cfg.MasterKey != "" {
		return errors.New("the master key is given by HOOKLINE_MASTER_KEY: there is no file to copy")
	}
	if _, err := os.Lstat(dest); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dest, errors.Join(err, fs.ErrExist))
	}
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
	if err := storage.Backup(ctx, cfg.Data, part, s.box); err != nil {
		return err
	}
	if cfg.BlobURL == "" {
		// After the store: a recording that is deleted meanwhile stays for a while.
		if err := copyFolder(ctx, filepath.Join(cfg.Data, recordingsFolder), filepath.Join(part, recordingsFolder)); err != nil {
			return fmt.Errorf("copy the recordings: %w", err)
		}
	}
	if withKey {
		if err := copyFile(cfg.keyFile(), filepath.Join(part, "master.key")); err != nil {
			return fmt.Errorf("copy the master key: %w", err)
		}
	}
	if err := syncFolder(part); err != nil {
		return err
	}
	// Of what was made there meanwhile, this replaces no more than an empty folder.
	if err := os.Rename(part, dest); err != nil {
		return err
	}
	return syncFolder(parent)
}

// copyFolder copies what is in a folder, and what is in folders there; a file
// that goes away meanwhile, or a folder that is not there, is none.
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
