package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	if withKey {
		if err := copyKey(cfg.keyFile(), filepath.Join(part, "master.key")); err != nil {
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

func copyKey(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
