package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// masterKey returns the key that FindMasterKey finds. If there is none, and no
// store that an older key sealed, it makes one in the data folder.
func (c Config) masterKey() ([]byte, error) {
	key, err := c.FindMasterKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, err := os.Stat(filepath.Join(c.Data, storage.File)); err == nil {
		return nil, fmt.Errorf("master key: %s is gone, and the store beside it was sealed with it; "+
			"put it back, or set HOOKLINE_MASTER_KEY", c.KeyFile())
	}
	return newMasterKey(c.Data, c.KeyFile())
}

// KeyFile returns the path of the master key in the data folder.
func (c Config) KeyFile() string { return filepath.Join(c.Data, "master.key") }

// FindMasterKey returns the key of HOOKLINE_MASTER_KEY, or the one in the data
// folder. If there is none, the error is fs.ErrNotExist.
func (c Config) FindMasterKey() ([]byte, error) {
	if c.DatabaseURL != "" && c.MasterKey == "" {
		return nil, errNoMasterKey
	}
	if c.MasterKey != "" {
		key, err := signing.ParseMasterKey(c.MasterKey)
		if err != nil {
			return nil, fmt.Errorf("HOOKLINE_MASTER_KEY: %w", err)
		}
		return key, nil
	}

	text, err := os.ReadFile(c.KeyFile())
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := signing.ParseMasterKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("master key in %s: %w", c.KeyFile(), err)
	}
	return key, nil
}

// newMasterKey makes a key and its file. The file appears whole or not at all,
// because half a key would make every secret unreadable for ever.
func newMasterKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails

	// Write it under a temporary name, down to the disk.
	f, err := os.CreateTemp(dir, "master.key.*")
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}

	// Link, not rename: if another process has made a key in the meantime, that one stays.
	if err := os.Link(f.Name(), path); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}
