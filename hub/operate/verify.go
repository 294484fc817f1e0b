package operate

import (
	"context"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// VerifyBytes compares the counted bytes of each tenant's events and recordings with the
// rows of the store of cfg, also while hubs serve it, and returns how many tenants it
// compared. It changes nothing.
func VerifyBytes(ctx context.Context, cfg config.Config) (tenants int, err error) {
	return storage.CheckBytes(ctx, cfg.Store())
}

// VerifyAudit checks the chain of the audit log of the store of cfg, also while
// hubs serve it, and returns how many rows it has. Of cfg it reads where the
// store is, and the master key. It changes nothing. An error names the first row
// that is not as it was written, or says what cannot be read.
func VerifyAudit(ctx context.Context, cfg config.Config) (rows int64, err error) {
	master, err := cfg.FindMasterKey()
	if err != nil {
		return 0, err
	}
	box, err := signing.NewBox(master)
	if err != nil {
		return 0, err
	}
	return storage.VerifyAudit(ctx, cfg.Store(), box)
}
