package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// TenantCmd holds the commands for tenants. They need a platform key, but for getting
// and updating the key's own tenant.
type TenantCmd struct {
	Create TenantCreateCmd `cmd:"" help:"Make a tenant."`
	List   TenantListCmd   `cmd:"" help:"List the tenants."`
	Get    TenantGetCmd    `cmd:"" help:"Show a tenant."`
	Update TenantUpdateCmd `cmd:"" help:"Change a tenant."`
}

type tenantFlags struct {
	Name         *string  `help:"Name for people."`
	Timezone     *string  `help:"Time zone of its days, e.g. Asia/Singapore."`
	Settings     *string  `placeholder:"JSON" help:"Settings; those named are replaced."`
	Limits       *string  `placeholder:"JSON" help:"Limits, e.g. {\"eventsPerSecond\": 2000}. Platform key only."`
	AllowNetwork []string `placeholder:"CIDR" help:"Private networks its pushes may reach. Platform key only."`
}

// body makes the body of a request from the flags.
func (t *tenantFlags) body() (fields, error) {
	f := fields{}
	set(f, "name", t.Name)
	set(f, "timezone", t.Timezone)
	if t.AllowNetwork != nil {
		f["allowNetworks"] = t.AllowNetwork
	}
	return f, errors.Join(f.setJSON("settings", t.Settings), f.setJSON("limits", t.Limits))
}

// TenantCreateCmd is POST /v1/tenants.
type TenantCreateCmd struct {
	Remote
	CompanyID string `arg:"" name:"company" help:"Its companyId: 1 to 64 letters, digits and hyphens."`
	tenantFlags
}

// Run makes the tenant.
func (c *TenantCreateCmd) Run(ctx context.Context, s streams) error {
	f, err := c.body()
	if err != nil {
		return err
	}
	f["companyId"] = c.CompanyID
	raw, err := c.call(ctx, http.MethodPost, "/v1/tenants", f, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// TenantListCmd is GET /v1/tenants.
type TenantListCmd struct{ Remote }

// Run lists the tenants.
func (c *TenantListCmd) Run(ctx context.Context, s streams) error {
	rows, err := c.list(ctx, "/v1/tenants")
	if err != nil {
		return err
	}
	return c.table(s.out, rows, "companyId", "name", "timezone", "version", "createdAt", "suspendedAt")
}

// TenantGetCmd is GET /v1/tenants/{id}.
type TenantGetCmd struct {
	Remote
	CompanyID string `arg:"" name:"company" help:"Its companyId."`
}

// Run shows the tenant.
func (c *TenantGetCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodGet, tenantPath(c.CompanyID), nil, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// TenantUpdateCmd is PATCH /v1/tenants/{id}.
type TenantUpdateCmd struct {
	Remote
	CompanyID string `arg:"" name:"company" help:"Its companyId."`
	tenantFlags
	IfVersion int64 `help:"Only if it still has this version."`
}

// Run changes the tenant.
func (c *TenantUpdateCmd) Run(ctx context.Context, s streams) error {
	f, err := c.body()
	if err != nil {
		return err
	}
	raw, err := c.call(ctx, http.MethodPatch, tenantPath(c.CompanyID), f, c.IfVersion)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

func tenantPath(company string) string { return "/v1/tenants/" + url.PathEscape(company) }

// KeyCmd holds the commands for the keys of a tenant. The keys of the platform are
// those of the tenant "platform".
type KeyCmd struct {
	Create KeyCreateCmd `cmd:"" help:"Make a key; it is shown this once."`
	List   KeyListCmd   `cmd:"" help:"List the keys of a tenant, without their secrets."`
	Revoke KeyRevokeCmd `cmd:"" help:"Revoke a key."`
}

// KeyCreateCmd is POST /v1/tenants/{id}/keys.
type KeyCreateCmd struct {
	Remote
	CompanyID string     `arg:"" name:"company" help:"companyId of the tenant."`
	Role      string     `required:"" enum:"platform,owner,ingest,query,auditor" help:"platform, owner, ingest, query or auditor."`
	Name      string     `help:"Name for people."`
	PII       bool       `name:"pii" help:"An auditor that sees phone numbers unmasked."`
	Expires   *time.Time `placeholder:"RFC3339" help:"When it ends; default: never."`
}

// Run makes the key.
func (c *KeyCreateCmd) Run(ctx context.Context, s streams) error {
	f := fields{"role": c.Role, "name": c.Name}
	if c.PII {
		f["pii"] = true
	}
	set(f, "expiresAt", c.Expires)
	raw, err := c.call(ctx, http.MethodPost, tenantPath(c.CompanyID)+"/keys", f, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// KeyListCmd is GET /v1/tenants/{id}/keys.
type KeyListCmd struct {
	Remote
	CompanyID string `arg:"" name:"company" help:"companyId of the tenant."`
}

// Run lists the keys.
func (c *KeyListCmd) Run(ctx context.Context, s streams) error {
	rows, err := c.list(ctx, tenantPath(c.CompanyID)+"/keys")
	if err != nil {
		return err
	}
	return c.table(s.out, rows, "id", "role", "name", "createdAt", "expiresAt", "revokedAt", "lastUsedAt")
}

// KeyRevokeCmd is DELETE /v1/tenants/{id}/keys/{keyId}.
type KeyRevokeCmd struct {
	Remote
	CompanyID string `arg:"" name:"company" help:"companyId of the tenant."`
	ID        string `arg:"" help:"Id of the key, not the key itself."`
}

// Run revokes the key.
func (c *KeyRevokeCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodDelete, tenantPath(c.CompanyID)+"/keys/"+url.PathEscape(c.ID), nil, 0)
	if err != nil {
		return err
	}
	return c.done(s.out, raw, "revoked "+c.ID)
}
