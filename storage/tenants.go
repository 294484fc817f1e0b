package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
)

var _ api.TenantStore = (*DB)(nil)

const tenantColumns = `no, company_id, name, timezone, settings, limits, allow_networks, suspended_at, version,
	created_at, updated_at`

type tenantRow struct {
	No            int64         `db:"no"`
	CompanyID     string        `db:"company_id"`
	Name          string        `db:"name"`
	Timezone      string        `db:"timezone"`
	Settings      []byte        `db:"settings"`
	Limits        []byte        `db:"limits"`
	AllowNetworks []byte        `db:"allow_networks"`
	SuspendedAt   sql.NullInt64 `db:"suspended_at"`
	Version       int64         `db:"version"`
	CreatedAt     int64         `db:"created_at"`
	UpdatedAt     int64         `db:"updated_at"`
}

// tenant returns the tenant that a row holds.
func (r *tenantRow) tenant() (access.Tenant, error) {
	t := access.Tenant{
		No: r.No, CompanyID: r.CompanyID, Name: r.Name, Timezone: r.Timezone,
		SuspendedAt: timeOrNil(r.SuspendedAt), Version: r.Version,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), UpdatedAt: time.UnixMilli(r.UpdatedAt).UTC(),
	}
	err := errors.Join(
		json.Unmarshal(r.Settings, &t.Settings),
		json.Unmarshal(r.Limits, &t.Limits),
		json.Unmarshal(r.AllowNetworks, &t.AllowNetworks),
	)
	if err != nil {
		return access.Tenant{}, fmt.Errorf("row of tenant %s: %w", r.CompanyID, err)
	}
	return t, nil
}

// rowOfTenant returns the row that holds a tenant.
func rowOfTenant(t *access.Tenant) (tenantRow, error) {
	settings, err1 := json.Marshal(t.Settings)
	limits, err2 := json.Marshal(t.Limits)
	networks, err3 := json.Marshal(t.AllowNetworks)
	if err := errors.Join(err1, err2, err3); err != nil {
		return tenantRow{}, fmt.Errorf("row of tenant %s: %w", t.CompanyID, err)
	}
	return tenantRow{
		No: t.No, CompanyID: t.CompanyID, Name: t.Name, Timezone: t.Timezone,
		Settings: settings, Limits: limits, AllowNetworks: networks,
		SuspendedAt: nullMS(t.SuspendedAt), Version: t.Version,
		CreatedAt: t.CreatedAt.UnixMilli(), UpdatedAt: t.UpdatedAt.UnixMilli(),
	}, nil
}

// CreateTenant commits a tenant and sets its number, version and times. The companyId of
// a deleted tenant stays taken, because its log can still be read.
func (db *DB) CreateTenant(ctx context.Context, by access.Caller, t *access.Tenant) error {
	made := *t
	err := db.act(ctx, by, "create tenant "+t.CompanyID, func(tx *sqlx.Tx) (*audit.Deed, error) {
		if err := insertTenant(ctx, tx, &made); err != nil {
			return nil, err
		}
		return tenantDeed(audit.TenantCreate, nil, &made), nil
	})
	if err == nil {
		*t = made
	}
	return err
}

// insertTenant writes the row of a new tenant, and sets its number, version and times.
func insertTenant(ctx context.Context, tx *sqlx.Tx, t *access.Tenant) error {
	t.Version = 1
	t.CreatedAt = time.UnixMilli(time.Now().UnixMilli()).UTC()
	t.UpdatedAt = t.CreatedAt
	row, err := rowOfTenant(t)
	if err != nil {
		return err
	}

	err = tx.GetContext(ctx, &t.No, `INSERT INTO tenants
		(company_id, name, timezone, settings, limits, allow_networks, suspended_at, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (company_id) DO NOTHING RETURNING no`,
		row.CompanyID, row.Name, row.Timezone, row.Settings, row.Limits, row.AllowNetworks, row.SuspendedAt,
		row.Version, row.CreatedAt, row.UpdatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("tenant %s %w", t.CompanyID, api.ErrExists)
	}
	if err != nil {
		return fmt.Errorf("create tenant %s: %w", t.CompanyID, err)
	}
	return nil
}

// CreateFirst commits the first credentials of a store, all of them or none: a key of the
// platform, a tenant, and a key of that tenant. It sets what CreateTenant sets.
func (db *DB) CreateFirst(
	ctx context.Context, by access.Caller, platform access.Key, t *access.Tenant, owner *access.Key,
) error {
	return db.admin(ctx, "make the first keys", func(tx *sqlx.Tx) error {
		if err := insertTenant(ctx, tx, t); err != nil {
			return err
		}
		owner.Tenant = t.No
		owner.CompanyID = t.CompanyID
		if err := errors.Join(insertKey(ctx, tx, platform), insertKey(ctx, tx, *owner)); err != nil {
			return err
		}

		now := time.Now()
		return db.writeAudit(context.WithoutCancel(ctx), tx,
			entry{by, *keyDeed(audit.KeyCreate, nil, &platform), now},
			entry{by, *tenantDeed(audit.TenantCreate, nil, t), now},
			entry{by, *keyDeed(audit.KeyCreate, nil, owner), now})
	}, db.acted)
}

// tenantDeed returns what was done to a tenant, for the audit log.
func tenantDeed(action string, before, after *access.Tenant) *audit.Deed {
	d := &audit.Deed{Action: action, Tenant: after.No, Object: "tenant/" + after.CompanyID, After: after}
	if before != nil {
		d.Before = before
	}
	return d
}

// FindTenant returns the tenant with a companyId, or api.ErrNotFound.
func (db *DB) FindTenant(ctx context.Context, companyID string) (*access.Tenant, error) {
	return findTenant(ctx, db.read, companyID)
}

func findTenant(ctx context.Context, q sqlx.QueryerContext, companyID string) (*access.Tenant, error) {
	var row tenantRow
	err := sqlx.GetContext(ctx, q, &row,
		`SELECT `+tenantColumns+` FROM tenants WHERE company_id = ? AND deleted_at IS NULL`, companyID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, api.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find tenant %s: %w", companyID, err)
	}
	t, err := row.tenant()
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// FindTenants lists tenants, newest first.
func (db *DB) FindTenants(ctx context.Context, before int64, limit int) ([]access.Tenant, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	var rows []tenantRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+tenantColumns+` FROM tenants
		WHERE no < ? AND deleted_at IS NULL ORDER BY no DESC LIMIT ?`, before, limit); err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return tenantsOf(rows)
}

func tenantsOf(rows []tenantRow) ([]access.Tenant, error) {
	tenants := make([]access.Tenant, len(rows))
	for i := range rows {
		var err error
		if tenants[i], err = rows[i].tenant(); err != nil {
			return nil, err
		}
	}
	return tenants, nil
}

// UpdateTenant changes a tenant in one transaction, under its next version. version is
// the one that the caller expects; 0 means any.
func (db *DB) UpdateTenant(
	ctx context.Context, by access.Caller, companyID string, version int64, change func(*access.Tenant) error,
) (*access.Tenant, error) {
	var changed *access.Tenant
	err := db.act(ctx, by, "change tenant "+companyID, func(tx *sqlx.Tx) (*audit.Deed, error) {
		before, err := findTenant(ctx, tx, companyID)
		if err != nil {
			return nil, err
		}
		if version != 0 && version != before.Version {
			return nil, api.ErrVersion
		}

		// Read it a second time, because change may alter what before points to.
		t, err := findTenant(ctx, tx, companyID)
		if err != nil {
			return nil, err
		}
		if err := change(t); err != nil {
			return nil, err
		}

		t.Version++
		t.UpdatedAt = time.UnixMilli(time.Now().UnixMilli()).UTC()
		row, err := rowOfTenant(t)
		if err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE tenants SET name = ?, timezone = ?, settings = ?, limits = ?,
			allow_networks = ?, suspended_at = ?, version = ?, updated_at = ? WHERE no = ?`,
			row.Name, row.Timezone, row.Settings, row.Limits, row.AllowNetworks, row.SuspendedAt, row.Version,
			row.UpdatedAt, row.No); err != nil {
			return nil, fmt.Errorf("change tenant %s: %w", companyID, err)
		}
		changed = t
		return tenantDeed(audit.TenantUpdate, before, t), nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// timeOrNil returns the time in a column that can be NULL.
func timeOrNil(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := time.UnixMilli(ms.Int64).UTC()
	return &t
}

// nullMS returns a time for a column that can be NULL.
func nullMS(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}
