package access

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
)

// AppKind says for which vendor's way of asking an app is made.
type AppKind string

// The kinds of apps.
const (
	SobotApp  AppKind = "sobot"  // signs requests for tokens
	OAuth1App AppKind = "oauth1" // signs each request
)

// App is a credential that signs. Unlike that of a key, its secret itself must be
// known, not only a hash of it.
type App struct {
	ID        string    `json:"id"`
	Tenant    int64     `json:"-"`
	CompanyID string    `json:"companyId"`
	Kind      AppKind   `json:"kind"`
	Name      string    `json:"name"`
	Secret    string    `json:"-"`
	Role      Role      `json:"role"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewAppSecret returns a secret of 32 random bytes, in hex.
func NewAppSecret() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: the runtime ends the process instead
	return hex.EncodeToString(secret[:])
}

// SyncApps reads the live apps by load and puts them in place of those that the book
// held. Call it after every change and, as other processes make changes too, from
// time to time. Calls wait for each other, so that the book ends with what was
// committed last.
func (b *Book) SyncApps(ctx context.Context, load func(context.Context) ([]App, error)) error {
	b.syncing.Lock()
	defer b.syncing.Unlock()

	list, err := load(ctx)
	if err != nil {
		return err
	}

	apps := make(map[string]*App, len(list))
	for i := range list {
		apps[list[i].ID] = &list[i]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.apps = apps
	return nil
}

// App returns a live app and the caller that it gives. The error is ErrCredential
// when there is no such app or its tenant is gone, and ErrSuspended when its tenant
// is suspended.
func (b *Book) App(id string) (App, Caller, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	app := b.apps[id]
	if app == nil {
		return App{}, Caller{}, ErrCredential
	}
	t := b.tenants[app.Tenant]
	if t == nil {
		return App{}, Caller{}, ErrCredential
	}
	c := Caller{Tenant: t.No, CompanyID: t.CompanyID, KeyID: app.ID, Name: app.Name, Role: app.Role, Strict: t.Strict()}
	if t.SuspendedAt != nil {
		return App{}, c, ErrSuspended
	}
	return *app, c, nil
}
