package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
)

// DemoCompany is the tenant that the first start makes.
const DemoCompany = "demo"

// FirstKeys are the credentials that the first start makes, unless the operator set a
// platform key. JSON is their form in the file.
type FirstKeys struct {
	Platform  string `json:"platformKey"`
	CompanyID string `json:"companyId"`
	Owner     string `json:"ownerKey"`
}

// starter is the caller in whose name the first credentials are made.
var starter = access.Caller{KeyID: "hookline serve", Role: access.Platform}

// bootstrap loads the credentials. It makes the platform key that the operator set, unless
// that exists already; without one it makes the first credentials of an empty store.
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
		return nil
	}
	if len(tenants) == 0 && len(keys) == 0 {
		return h.makeFirst(ctx)
	}
	return h.findFirst()
}

// makeFirst makes a platform key, and a tenant with an owner key. They are in their file
// before they are in the store, so that no store can have keys that nobody knows.
func (h *Hub) makeFirst(ctx context.Context) error {
	first := &FirstKeys{
		Platform: access.NewKey(access.PlatformID), CompanyID: DemoCompany, Owner: access.NewKey(DemoCompany),
	}
	if err := first.write(h.cfg.Data); err != nil {
		return fmt.Errorf("file of the first keys (with HOOKLINE_PLATFORM_KEY there are none): %w", err)
	}

	demo := &access.Tenant{
		CompanyID: DemoCompany, Name: "Demo", Timezone: "Asia/Singapore",
		Settings: map[string]any{}, AllowNetworks: []string{},
	}
	platform, err := newKey(access.Platform, "first start", first.Platform)
	if err != nil {
		return err
	}
	owner, err := newKey(access.Owner, "first start", first.Owner)
	if err != nil {
		return err
	}
	if err := h.db.CreateFirst(ctx, starter, platform, demo, &owner); err != nil {
		return fmt.Errorf("first keys: %w", err)
	}

	h.book.PutTenant(*demo)
	h.book.PutKey(platform)
	h.book.PutKey(owner)
	h.first = first
	return nil
}

// findFirst reads the first keys that no start has shown to anybody yet.
func (h *Hub) findFirst() error {
	first, err := readFirst(h.cfg.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("file of the first keys: %w", err)
	}

	// The file may be of another store, or of keys that were revoked long ago.
	if _, err := h.book.Lookup(first.Platform, time.Now()); err != nil {
		h.log.Warn("a file has first keys that are not valid here; delete it", "file", h.FirstFile(), "err", err)
		return nil
	}
	h.first = first
	return nil
}

// First returns the keys of the first start, until Shown was called. It returns nil if the
// operator set a platform key.
func (h *Hub) First() *FirstKeys { return h.first }

// FirstFile returns the path of the file with the keys that First returns.
func (h *Hub) FirstFile() string { return firstFile(h.cfg.Data) }

// Shown deletes the file of the first keys: whoever started the hub has seen them.
func (h *Hub) Shown() error {
	if err := os.Remove(h.FirstFile()); err != nil {
		return fmt.Errorf("delete the file of the first keys: %w", err)
	}
	return nil
}

func firstFile(dir string) string { return filepath.Join(dir, "first-keys") }

// write puts the keys into their file, which only its owner may read, down to the disk. It
// replaces the file of a start that was killed before it made a store.
func (k *FirstKeys) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}

	f, err := os.CreateTemp(dir, "first-keys.*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), firstFile(dir)); err != nil {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes the names of a folder's files durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readFirst reads the file of the first keys. The error is fs.ErrNotExist if there is none.
func readFirst(dir string) (*FirstKeys, error) {
	text, err := os.ReadFile(firstFile(dir))
	if err != nil {
		return nil, err
	}
	k := &FirstKeys{}
	if err := json.Unmarshal(text, k); err != nil {
		return nil, fmt.Errorf("%s: %w", firstFile(dir), err)
	}
	return k, nil
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
		return h.makePlatformKey(ctx, text)
	case err != nil:
		return err
	case k.RevokedAt != nil:
		return fmt.Errorf("this key was revoked at %s; set another one", k.RevokedAt.Format(time.RFC3339))
	}
	return fmt.Errorf("this key expired at %s; set another one", k.ExpiresAt.Format(time.RFC3339))
}

// makePlatformKey stores the platform key that the operator set.
func (h *Hub) makePlatformKey(ctx context.Context, text string) error {
	k, err := newKey(access.Platform, "HOOKLINE_PLATFORM_KEY", text)
	if err != nil {
		return err
	}
	if err := h.db.CreateKey(ctx, starter, k, math.MaxInt); err != nil {
		return err
	}
	h.book.PutKey(k)
	return nil
}

// newKey returns a key of a role, of nobody yet.
func newKey(role access.Role, name, text string) (access.Key, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return access.Key{}, fmt.Errorf("key id: %w", err)
	}
	return access.Key{
		ID: id.String(), Role: role, Name: name, Hash: access.HashKey(text),
		CreatedBy: starter.KeyID, CreatedAt: time.Now(),
	}, nil
}
