package hub

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// VerifyAudit checks the chain of the audit log in a data folder, also of a hub
// that is serving, and says how many rows it has. masterKey "": that of the
// folder. It changes and makes nothing. An error names the first row that is
// not as it was written, or says what cannot be read.
func VerifyAudit(ctx context.Context, data, masterKey string) (rows int64, err error) {
	cfg := Config{Data: data, MasterKey: masterKey}
	if masterKey == "" { // masterKey() would make one
		if _, err := os.Stat(filepath.Join(data, "master.key")); err != nil {
			return 0, fmt.Errorf("master key: %w", err)
		}
	}
	master, err := cfg.masterKey()
	if err != nil {
		return 0, err
	}
	box, err := signing.NewBox(master)
	if err != nil {
		return 0, err
	}
	return storage.VerifyAudit(ctx, data, box)
}
