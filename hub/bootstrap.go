package hub

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
)

// DemoCompany is the tenant that the first start makes.
const DemoCompany = "demo"

// starter is the caller in whose name the first credentials are made.
var starter = access.Caller{KeyID: "hookline serve", Role: access.Platform}

// bootstrap loads the credentials. On an empty store it makes the first ones. It also
// makes the platform key that the operator set, unless that exists already.
func (h *Hub) bootstrap(ctx context.Context) error {
	tenants, keys, err := h.db.LoadAccess(ctx)
	if err != nil {
		return err
	}
	h.book.Replace(tenants, keys)
	if text := h.cfg.PlatformKey; text != "" {
		if err := h.platformKey(ctx, text); err != nil {
			return fmt.Errorf("HOOKLINE_PLATFORM_KEY: %w", err)
		}
	}
	if len(tenants) > 0 || len(keys) > 0 {
		return nil
	}

	// The store is empty: make a platform key and a tenant with an owner key.
	h.first = &FirstKeys{CompanyID: DemoCompany}
	if h.cfg.PlatformKey == "" {
		h.first.Platform = access.NewKey(access.PlatformID)
		if err := h.makeKey(ctx, nil, access.Platform, "first start", h.first.Platform); err != nil {
			return err
		}
	}
	now := time.Now()
	demo := &access.Tenant{
		CompanyID: DemoCompany, Name: "Demo", Timezone: "Asia/Singapore",
		Settings: map[string]any{}, AllowNetworks: []string{},
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if err := h.db.CreateTenant(ctx, starter, demo); err != nil {
		return fmt.Errorf("demo tenant: %w", err)
	}
	h.book.PutTenant(*demo)
	h.first.Owner = access.NewKey(DemoCompany)
	return h.makeKey(ctx, demo, access.Owner, "first start", h.first.Owner)
}

// platformKey makes the key that the operator set, unless it exists. If it was revoked
// or has expired that is an error: a restart must not undo a revocation.
func (h *Hub) platformKey(ctx context.Context, text string) error {
	if id, ok := access.ParseKey(text); !ok || id != access.PlatformID {
		return errors.New("must be hk_platform_ and 16 to 128 letters, digits and hyphens")
	}
	if _, err := h.book.Lookup(text, time.Now()); err == nil {
		return nil
	}

	// The book holds only live keys; the store knows why this one is not among them.
	k, err := h.db.FindKeyByHash(ctx, access.HashKey(text))
	switch {
	case errors.Is(err, api.ErrNotFound):
		return h.makeKey(ctx, nil, access.Platform, "HOOKLINE_PLATFORM_KEY", text)
	case err != nil:
		return err
	case k.RevokedAt != nil:
		return fmt.Errorf("this key was revoked at %s; set another one", k.RevokedAt.Format(time.RFC3339))
	}
	return fmt.Errorf("this key expired at %s; set another one", k.ExpiresAt.Format(time.RFC3339))
}

// makeKey stores a key of a tenant, or of the platform if t is nil.
func (h *Hub) makeKey(ctx context.Context, t *access.Tenant, role access.Role, name, text string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("key id: %w", err)
	}
	k := access.Key{
		ID: id.String(), Role: role, Name: name, Hash: access.HashKey(text),
		CreatedBy: starter.KeyID, CreatedAt: time.Now(),
	}
	if t != nil {
		k.Tenant, k.CompanyID = t.No, t.CompanyID
	}
	if err := h.db.CreateKey(ctx, starter, k, math.MaxInt); err != nil {
		return fmt.Errorf("%s key: %w", role, err)
	}
	h.book.PutKey(k)
	return nil
}
