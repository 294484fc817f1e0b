package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
)

var _ access.SessionStore = (*DB)(nil)

type sessionRow struct {
	Hash       []byte `db:"hash"`
	ID         string `db:"id"`
	KeyID      string `db:"key_id"`
	IP         string `db:"ip"`
	Agent      string `db:"agent"`
	CreatedAt  int64  `db:"created_at"`
	SignedInAt int64  `db:"signed_in_at"`
	SeenAt     int64  `db:"seen_at"`
	ExpiresAt  int64  `db:"expires_at"`
}

const sessionColumns = `hash, id, key_id, ip, agent, created_at, signed_in_at, seen_at, expires_at`

// sessionNote is what the audit log says of a new session.
type sessionNote struct {
	Agent     string    `json:"agent"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// CreateSession commits a session. Expired ones are deleted, and those of its key that are
// older than the newest keep.
func (db *DB) CreateSession(ctx context.Context, by access.Caller, s access.Session, keep int) error {
	return db.act(ctx, by, "create session", func(tx *sqlx.Tx) (*audit.Deed, error) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			s.Hash[:], s.ID, s.KeyID, s.IP, s.Agent, s.CreatedAt.UnixMilli(), s.SignedInAt.UnixMilli(),
			s.SeenAt.UnixMilli(), s.ExpiresAt.UnixMilli()); err != nil {
			return nil, fmt.Errorf("create session: %w", err)
		}

		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= ? OR key_id = ? AND id IN
			(SELECT id FROM sessions WHERE key_id = ? ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET ?)`,
			s.CreatedAt.UnixMilli(), s.KeyID, s.KeyID, keep); err != nil {
			return nil, fmt.Errorf("delete ended sessions: %w", err)
		}
		return &audit.Deed{
			Tenant: by.Tenant, Action: audit.SessionCreate, Object: "session/" + s.ID,
			After: sessionNote{s.Agent, s.ExpiresAt.UTC()},
		}, nil
	})
}

// FindSession returns the session of a cookie.
func (db *DB) FindSession(ctx context.Context, hash [32]byte) (access.Session, error) {
	var r sessionRow
	err := db.read.GetContext(ctx, &r, `SELECT `+sessionColumns+` FROM sessions WHERE hash = ?`, hash[:])
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return access.Session{}, access.ErrCredential
	case err != nil:
		return access.Session{}, fmt.Errorf("find session: %w", err)
	}
	return access.Session{
		ID: r.ID, Hash: hash, KeyID: r.KeyID, IP: r.IP, Agent: r.Agent,
		CreatedAt: time.UnixMilli(r.CreatedAt), SignedInAt: time.UnixMilli(r.SignedInAt),
		SeenAt: time.UnixMilli(r.SeenAt), ExpiresAt: time.UnixMilli(r.ExpiresAt),
	}, nil
}

// SeeSession notes that a session was used.
func (db *DB) SeeSession(ctx context.Context, id string, at time.Time) error {
	return db.admin(ctx, "see session", func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET seen_at = ? WHERE id = ? AND seen_at < ?`,
			at.UnixMilli(), id, at.UnixMilli()); err != nil {
			return fmt.Errorf("see session: %w", err)
		}
		return nil
	})
}

// RenewSession notes that the key of a session was given again.
func (db *DB) RenewSession(ctx context.Context, by access.Caller, id string, at time.Time) error {
	return db.act(ctx, by, "renew session", func(tx *sqlx.Tx) (*audit.Deed, error) {
		done, err := tx.ExecContext(ctx, `UPDATE sessions SET signed_in_at = ? WHERE id = ?`, at.UnixMilli(), id)
		return sessionDeed(by, audit.SessionRenew, id, done, err)
	})
}

// EndSession deletes a session.
func (db *DB) EndSession(ctx context.Context, by access.Caller, id string) error {
	return db.act(ctx, by, "end session", func(tx *sqlx.Tx) (*audit.Deed, error) {
		done, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE id = ?`, id)
		return sessionDeed(by, audit.SessionEnd, id, done, err)
	})
}

// sessionDeed returns what was done to a session; nil if there was no such session.
func sessionDeed(by access.Caller, action, id string, done sql.Result, err error) (*audit.Deed, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	n, err := done.RowsAffected()
	if err != nil || n == 0 {
		return nil, err
	}
	return &audit.Deed{Tenant: by.Tenant, Action: action, Object: "session/" + id}, nil
}

// CreateCode keeps the code of a one-time link, and deletes those that have expired.
func (db *DB) CreateCode(ctx context.Context, hash [32]byte, keyID string, until time.Time) error {
	return db.admin(ctx, "create sign-in code", func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sign_in_codes WHERE expires_at <= ?`,
			time.Now().UnixMilli()); err != nil {
			return fmt.Errorf("delete expired codes: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO sign_in_codes (hash, key_id, expires_at) VALUES (?, ?, ?)`,
			hash[:], keyID, until.UnixMilli()); err != nil {
			return fmt.Errorf("create sign-in code: %w", err)
		}
		return nil
	})
}

// TakeCode deletes a code and returns whose it was.
func (db *DB) TakeCode(ctx context.Context, hash [32]byte, now time.Time) (string, error) {
	var keyID string
	err := db.admin(ctx, "take sign-in code", func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &keyID, `DELETE FROM sign_in_codes WHERE hash = ? AND expires_at > ? RETURNING key_id`,
			hash[:], now.UnixMilli())
		if errors.Is(err, sql.ErrNoRows) {
			return access.ErrCredential
		}
		if err != nil {
			return fmt.Errorf("take sign-in code: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return keyID, nil
}
