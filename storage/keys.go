package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
)

var (
	_ api.KeyStore      = (*DB)(nil)
	_ access.UsageStore = (*DB)(nil)
)

type keyRow struct {
	ID        string         `db:"id"`
	Tenant    int64          `db:"tenant"`
	CompanyID sql.NullString `db:"company_id"` // NULL for the platform's
	Role      string         `db:"role"`
	PII       bool           `db:"pii"`
	Name      string         `db:"name"`
	Hash      []byte         `db:"hash"`
	CreatedBy string         `db:"created_by"`
	CreatedAt int64          `db:"created_at"`
	ExpiresAt sql.NullInt64  `db:"expires_at"`
	RevokedAt sql.NullInt64  `db:"revoked_at"`
	LastUsed  sql.NullInt64  `db:"last_used_at"`
}

const keyColumns = `k.id, k.tenant, t.company_id, k.role, k.pii, k.name, k.hash, k.created_by, k.created_at,
	k.expires_at, k.revoked_at, k.last_used_at`

func keysOf(rows []keyRow) []access.Key {
	keys := make([]access.Key, len(rows))
	for i, r := range rows {
		keys[i] = access.Key{
			ID: r.ID, Tenant: r.Tenant, CompanyID: r.CompanyID.String, Role: access.Role(r.Role), PII: r.PII, Name: r.Name,
			CreatedBy: r.CreatedBy, CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
			ExpiresAt: timeOrNil(r.ExpiresAt), RevokedAt: timeOrNil(r.RevokedAt), LastUsed: timeOrNil(r.LastUsed),
		}
		copy(keys[i].Hash[:], r.Hash)
	}
	return keys
}

// CreateKey commits a key, unless its tenant has limit live ones already.
func (db *DB) CreateKey(ctx context.Context, by access.Caller, k access.Key, limit int) error {
	return db.act(ctx, by, "create key", func(tx *sqlx.Tx) (*audit.Deed, error) {
		var live int
		if err := tx.GetContext(ctx, &live, `SELECT count(*) FROM keys
			WHERE tenant = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`,
			k.Tenant, k.CreatedAt.UnixMilli()); err != nil {
			return nil, fmt.Errorf("count keys of tenant %d: %w", k.Tenant, err)
		}
		if live >= limit {
			return nil, fmt.Errorf("%w: %d keys", api.ErrLimit, limit)
		}

		if err := insertKey(ctx, tx, k); err != nil {
			return nil, err
		}
		return keyDeed(audit.KeyCreate, nil, &k), nil
	})
}

// insertKey writes the row of a new key.
func insertKey(ctx context.Context, tx *sqlx.Tx, k access.Key) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO keys
		(id, tenant, role, pii, name, hash, created_by, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.ID, k.Tenant, string(k.Role), k.PII, k.Name, k.Hash[:], k.CreatedBy, k.CreatedAt.UnixMilli(),
		nullMS(k.ExpiresAt)); err != nil {
		return fmt.Errorf("create key %s: %w", k.ID, err)
	}
	return nil
}

// keyDeed returns what was done to a key, for the audit log.
func keyDeed(action string, before, after *access.Key) *audit.Deed {
	d := &audit.Deed{Action: action, Tenant: after.Tenant, Object: "key/" + after.ID, After: after}
	if before != nil {
		d.Before = before
	}
	return d
}

// FindKeys lists the keys of a tenant, newest first and with the revoked ones.
func (db *DB) FindKeys(ctx context.Context, tenant int64, before string, limit int) ([]access.Key, error) {
	where, args := `k.tenant = ?`, []any{tenant}
	if before != "" {
		where += ` AND k.id < ?`
		args = append(args, before)
	}
	var rows []keyRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+keyColumns+` FROM keys k LEFT JOIN tenants t ON t.no = k.tenant
		WHERE `+where+` ORDER BY k.id DESC LIMIT ?`, append(args, limit)...); err != nil {
		return nil, fmt.Errorf("list keys of tenant %d: %w", tenant, err)
	}
	return keysOf(rows), nil
}

// FindKeyByHash returns the key with a hash, even if it expired or was revoked. The error
// is api.ErrNotFound when no key has it.
func (db *DB) FindKeyByHash(ctx context.Context, hash [32]byte) (access.Key, error) {
	var row keyRow
	err := db.read.GetContext(ctx, &row,
		`SELECT `+keyColumns+` FROM keys k LEFT JOIN tenants t ON t.no = k.tenant WHERE k.hash = ?`, hash[:])
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return access.Key{}, api.ErrNotFound
	case err != nil:
		return access.Key{}, fmt.Errorf("find key by hash: %w", err)
	}
	return keysOf([]keyRow{row})[0], nil
}

// RevokeKey commits that a key is refused from a time on. The platform's last key that
// does not expire cannot be revoked: the error is api.ErrLastKey.
func (db *DB) RevokeKey(ctx context.Context, by access.Caller, tenant int64, id string, at time.Time) error {
	return db.act(ctx, by, "revoke key", func(tx *sqlx.Tx) (*audit.Deed, error) {
		var row struct {
			keyRow
			Others int `db:"others"`
		}
		err := tx.GetContext(ctx, &row, `SELECT `+keyColumns+`, (SELECT count(*) FROM keys o
			WHERE o.tenant = k.tenant AND o.id <> k.id AND o.revoked_at IS NULL AND o.expires_at IS NULL) AS others
			FROM keys k LEFT JOIN tenants t ON t.no = k.tenant WHERE k.id = ? AND k.tenant = ?`, id, tenant)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil, api.ErrNotFound
		case err != nil:
			return nil, fmt.Errorf("find key %s: %w", id, err)
		case row.RevokedAt.Valid: // it was revoked before
			return nil, nil
		case tenant == 0 && row.Others == 0:
			return nil, api.ErrLastKey
		}

		if _, err := tx.ExecContext(ctx, `UPDATE keys SET revoked_at = ? WHERE id = ?`, at.UnixMilli(), id); err != nil {
			return nil, fmt.Errorf("revoke key %s: %w", id, err)
		}
		before := keysOf([]keyRow{row.keyRow})[0]
		after := before
		after.RevokedAt = &at
		return keyDeed(audit.KeyRevoke, &before, &after), nil
	})
}

// RecordKeyUse writes when keys were last used.
func (db *DB) RecordKeyUse(ctx context.Context, used map[string]time.Time) error {
	return db.admin(ctx, "record use of keys", func(tx *sqlx.Tx) error {
		stmt, err := tx.PreparexContext(ctx,
			`UPDATE keys SET last_used_at = ? WHERE id = ? AND coalesce(last_used_at, 0) < ?`)
		if err != nil {
			return fmt.Errorf("record use of keys: %w", err)
		}
		defer stmt.Close()
		for id, at := range used {
			if _, err := stmt.ExecContext(ctx, at.UnixMilli(), id, at.UnixMilli()); err != nil {
				return fmt.Errorf("record use of key %s: %w", id, err)
			}
		}
		return nil
	})
}

// LoadAccess reads all tenants and live keys, for the book.
func (db *DB) LoadAccess(ctx context.Context) ([]access.Tenant, []access.Key, error) {
	// One transaction, so that no key comes without its tenant.
	tx, err := db.read.BeginTxx(ctx, db.in.SnapshotOptions())
	if err != nil {
		return nil, nil, fmt.Errorf("load tenants and keys: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it only read

	var tenants []tenantRow
	if err := tx.SelectContext(ctx, &tenants,
		`SELECT `+tenantColumns+` FROM tenants WHERE deleted_at IS NULL`); err != nil {
		return nil, nil, fmt.Errorf("load tenants: %w", err)
	}
	var keys []keyRow
	if err := tx.SelectContext(ctx, &keys, `SELECT `+keyColumns+` FROM keys k LEFT JOIN tenants t ON t.no = k.tenant
		WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)`, time.Now().UnixMilli()); err != nil {
		return nil, nil, fmt.Errorf("load keys: %w", err)
	}

	all, err := tenantsOf(tenants)
	if err != nil {
		return nil, nil, err
	}
	return all, keysOf(keys), nil
}
