package storage

import (
	"context"
	"crypto/md5"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
)

var (
	_ api.AppStore     = (*DB)(nil)
	_ access.SignStore = (*DB)(nil)
)

type appRow struct {
	ID        string `db:"id"`
	Tenant    int64  `db:"tenant"`
	CompanyID string `db:"company_id"`
	Kind      string `db:"kind"`
	Name      string `db:"name"`
	Secret    []byte `db:"secret"`
	Role      string `db:"role"`
	CreatedAt int64  `db:"created_at"`
}

const appColumns = `a.id, a.tenant, t.company_id, a.kind, a.name, a.secret, a.role, a.created_at`

// app returns the app that a row holds, without its secret.
func (r *appRow) app() access.App {
	return access.App{
		ID: r.ID, Tenant: r.Tenant, CompanyID: r.CompanyID, Kind: access.AppKind(r.Kind), Name: r.Name,
		Role: access.Role(r.Role), CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
	}
}

// appSecret returns what the sealed secret of an app is for, so that it opens nowhere else.
func appSecret(id string) string { return "app/" + id }

// appDeed returns what was done to an app, for the audit log.
func appDeed(action string, before, after *access.App) *audit.Deed {
	d := &audit.Deed{Action: action}
	if before != nil {
		d.Tenant = before.Tenant
		d.Object = "app/" + before.ID
		d.Before = before
	}
	if after != nil {
		d.Tenant = after.Tenant
		d.Object = "app/" + after.ID
		d.After = after
	}
	return d
}

// CreateApp implements api.AppStore.
func (db *DB) CreateApp(ctx context.Context, by access.Caller, a access.App, limit int) error {
	sealed := db.box.Seal(appSecret(a.ID), []byte(a.Secret))
	return db.act(ctx, by, "create app", func(tx *sqlx.Tx) (*audit.Deed, error) {
		var live int
		if err := tx.GetContext(ctx, &live,
			`SELECT count(*) FROM apps WHERE tenant = ? AND deleted_at IS NULL`, a.Tenant); err != nil {
			return nil, fmt.Errorf("count apps of tenant %d: %w", a.Tenant, err)
		}
		if live >= limit {
			return nil, fmt.Errorf("%w: %d apps", api.ErrLimit, limit)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO apps (id, tenant, kind, name, secret, role, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			a.ID, a.Tenant, string(a.Kind), a.Name, sealed, string(a.Role), a.CreatedAt.UnixMilli()); err != nil {
			return nil, fmt.Errorf("create app %s: %w", a.ID, err)
		}
		return appDeed(audit.AppCreate, nil, &a), nil
	})
}

// FindApps implements api.AppStore.
func (db *DB) FindApps(ctx context.Context, tenant int64, before string, limit int) ([]access.App, error) {
	where, args := `a.tenant = ? AND a.deleted_at IS NULL`, []any{tenant}
	if before != "" {
		where += ` AND a.id < ?`
		args = append(args, before)
	}
	var rows []appRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+appColumns+` FROM apps a JOIN tenants t ON t.no = a.tenant
		WHERE `+where+` ORDER BY a.id DESC LIMIT ?`, append(args, limit)...); err != nil {
		return nil, fmt.Errorf("list apps of tenant %d: %w", tenant, err)
	}
	apps := make([]access.App, len(rows))
	for i := range rows {
		apps[i] = rows[i].app()
	}
	return apps, nil
}

// DeleteApp implements api.AppStore.
func (db *DB) DeleteApp(ctx context.Context, by access.Caller, tenant int64, id string, at time.Time) error {
	return db.act(ctx, by, "delete app", func(tx *sqlx.Tx) (*audit.Deed, error) {
		var rows []appRow
		if err := tx.SelectContext(ctx, &rows, `SELECT `+appColumns+` FROM apps a JOIN tenants t ON t.no = a.tenant
			WHERE a.id = ? AND a.tenant = ? AND a.deleted_at IS NULL`, id, tenant); err != nil {
			return nil, fmt.Errorf("find app %s: %w", id, err)
		}
		if len(rows) == 0 {
			return nil, api.ErrNotFound
		}
		if _, err := tx.ExecContext(ctx, `UPDATE apps SET deleted_at = ? WHERE id = ?`, at.UnixMilli(), id); err != nil {
			return nil, fmt.Errorf("delete app %s: %w", id, err)
		}
		before := rows[0].app()
		return appDeed(audit.AppDelete, &before, nil), nil
	})
}

// LoadApps reads all live apps with their secrets, for the book.
func (db *DB) LoadApps(ctx context.Context) ([]access.App, error) {
	var rows []appRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+appColumns+` FROM apps a JOIN tenants t ON t.no = a.tenant
		WHERE a.deleted_at IS NULL`); err != nil {
		return nil, fmt.Errorf("load apps: %w", err)
	}
	apps := make([]access.App, len(rows))
	for i := range rows {
		secret, err := db.box.Open(appSecret(rows[i].ID), rows[i].Secret)
		if err != nil {
			return nil, fmt.Errorf("secret of app %s: %w", rows[i].ID, err)
		}
		apps[i] = rows[i].app()
		apps[i].Secret = string(secret)
	}
	return apps, nil
}

// UseSign implements access.SignStore.
func (db *DB) UseSign(
	ctx context.Context, tenant int64, app string, sign [md5.Size]byte, until time.Time, limit int,
) error {
	return db.adminFor(ctx, tenant, "use sign", func(tx *sqlx.Tx) error {
		// Signs that can no longer be used count against nobody.
		if _, err := tx.ExecContext(ctx, `DELETE FROM used_signs WHERE until_at < ?`, time.Now().UnixMilli()); err != nil {
			return fmt.Errorf("forget old signs: %w", err)
		}

		var used int
		if err := tx.GetContext(ctx, &used, `SELECT count(*) FROM used_signs WHERE app = ?`, app); err != nil {
			return fmt.Errorf("count signs of app %s: %w", app, err)
		}
		if used >= limit {
			return access.ErrSignLimit
		}

		res, err := tx.ExecContext(ctx, `INSERT INTO used_signs (app, sign, until_at) VALUES (?, ?, ?)
			ON CONFLICT (app, sign) DO NOTHING`, app, sign[:], until.UnixMilli())
		if err != nil {
			return fmt.Errorf("use sign of app %s: %w", app, err)
		}
		added, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("use sign of app %s: %w", app, err)
		}
		if added == 0 {
			return access.ErrSignUsed
		}
		return nil
	})
}
