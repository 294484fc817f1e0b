package hub

import (
	"context"

	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// VerifyAudit checks the chain of the audit log of the store of cfg, also while
// hubs serve it, and says how many rows it has. Of cfg it takes where the store
// is, and the master key. It changes and makes nothing. An error names the first
// row that is not as it was written, or says what cannot be read.
func VerifyAudit(ctx context.Context, cfg Config) (rows int64, err error) {
	master, err := cfg.findMasterKey()
	if err != nil {
		return 0, err
	}
	box, err := signing.NewBox(master)
	if err != nil {
		return 0, err
	}
	return storage.VerifyAudit(ctx, cfg.store(), box)
}
