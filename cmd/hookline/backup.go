package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/operate"
)

// BackupCmd copies the store of a data folder, also while a hub serves it.
type BackupCmd struct {
	config.Config `embed:""`
	Dest          string `arg:"" placeholder:"DEST" help:"Folder to make; it must not exist."`
	WithKey       bool   `help:"Copy the file of the master key too: the backup alone then opens all secrets."`
}

// Run makes the backup.
func (c *BackupCmd) Run(ctx context.Context, s streams) error {
	if err := checkEnvironment(os.Environ()); err != nil {
		return err
	}
	if err := operate.Backup(ctx, c.Config, c.Dest, c.WithKey); err != nil {
		return err
	}

	key := "The master key is NOT in it: keep it apart, without it the backup is of no use."
	if c.WithKey {
		key = "The master key is in it: whoever has the folder can open every secret."
	}
	_, err := fmt.Fprintf(s.out, "%s holds the store. %s\nTo restore: hookline serve --data %s\n", c.Dest, key, c.Dest)
	return err
}
