package storage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/source"
)

var _ api.SourceStore = (*DB)(nil)

type sourceRow struct {
	No        int64  `db:"no"`
	ID        string `db:"id"`
	Tenant    int64  `db:"tenant"`
	CompanyID string `db:"company_id"`
	State     string `db:"state"`
	Version   int64  `db:"version"`
	Config    string `db:"config"`
	Auth      []byte `db:"auth"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

const sourceColumns = `s.no, s.id, s.tenant, t.company_id, s.state, s.version, s.config, s.auth, s.created_at, s.updated_at`

const sourceTables = ` FROM sources s JOIN tenants t ON t.no = s.tenant WHERE s.deleted_at IS NULL`

// sourceSecret returns what the sealed auth of a source is for, so that it opens nowhere else.
func sourceSecret(id string) string { return "source/" + id }

// source returns the source that a row holds.
func (db *DB) source(r *sourceRow) (*source.Source, error) {
	s := &source.Source{
		No: r.No, ID: r.ID, Tenant: r.Tenant, CompanyID: r.CompanyID, State: r.State, Version: r.Version,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), UpdatedAt: time.UnixMilli(r.UpdatedAt).UTC(),
	}
	if err := json.Unmarshal([]byte(r.Config), &s.Config); err != nil {
		return nil, fmt.Errorf("config of source %s: %w", r.ID, err)
	}
	auth, err := db.box.Open(sourceSecret(r.ID), r.Auth)
	if err != nil {
		return nil, fmt.Errorf("auth of source %s: %w", r.ID, err)
	}
	if err := json.Unmarshal(auth, &s.Auth); err != nil {
		return nil, fmt.Errorf("auth of source %s: %w", r.ID, err)
	}
	return s, nil
}

// sourceDocuments returns what is stored of the config of a source: the config without secrets,
// and the auth, sealed.
func (db *DB) sourceDocuments(s *source.Source) (config string, auth []byte, err error) {
	plain := s.Config
	plain.Auth = source.Auth{}
	doc, err := json.Marshal(plain)
	if err != nil {
		return "", nil, fmt.Errorf("config of source %s: %w", s.ID, err)
	}
	secret, err := json.Marshal(s.Auth)
	if err != nil {
		return "", nil, fmt.Errorf("auth of source %s: %w", s.ID, err)
	}
	return string(doc), db.box.Seal(sourceSecret(s.ID), secret), nil
}

// sourceDeed returns what was done to a source, for the audit log.
func sourceDeed(action string, before, after *source.Source) *audit.Deed {
	d := &audit.Deed{Action: action}
	if before != nil {
		d.Tenant = before.Tenant
		d.Object = "source/" + before.ID
		d.Before = auditedSource(before)
	}
	if after != nil {
		d.Tenant = after.Tenant
		d.Object = "source/" + after.ID
		d.After = auditedSource(after)
	}
	return d
}

// auditedSource is what the audit log says of a source: no secrets, and of its tables and its
// mapping, which may be large, only that they changed, by the version.
func auditedSource(s *source.Source) any {
	return map[string]any{
		"name": s.Name, "kind": s.Kind, "auth": s.Auth.Type, "settings": s.Settings, "state": s.State, "version": s.Version,
	}
}

// CreateSource implements api.SourceStore.
func (db *DB) CreateSource(
	ctx context.Context, by access.Caller, s source.Source, token [32]byte, limit int,
) (*source.Source, error) {
	var id [10]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime ends the process instead
	s.ID = "src_" + hex.EncodeToString(id[:])
	s.Version = 1
	s.State = source.Active
	config, auth, err := db.sourceDocuments(&s)
	if err != nil {
		return nil, err
	}

	made := s // not a result: the transaction may set it after ctx has ended this call
	err = db.act(ctx, by, "create source", func(tx *sqlx.Tx) (*audit.Deed, error) {
		var live int
		if err := tx.GetContext(ctx, &live,
			"SELECT count(*) FROM sources WHERE tenant = ? AND deleted_at IS NULL", s.Tenant); err != nil {
			return nil, fmt.Errorf("count sources of tenant %d: %w", s.Tenant, err)
		}
		if live >= limit {
			return nil, fmt.Errorf("%w: %d sources", api.ErrLimit, limit)
		}

		row := tx.QueryRowContext(ctx, `INSERT INTO sources (id, tenant, state, version, config, auth, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING no`,
			s.ID, s.Tenant, s.State, s.Version, config, auth, s.CreatedAt.UnixMilli(), s.UpdatedAt.UnixMilli())
		if err := row.Scan(&made.No); err != nil {
			return nil, fmt.Errorf("create source: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO source_tokens (hash, source) VALUES (?, ?)", token[:], made.No); err != nil {
			return nil, fmt.Errorf("create token of source: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO source_marks (source, mark, inputs, bytes, held, held_bytes,
			last_input_at, unsigned_hour, unsigned_inputs) VALUES (?, 0, 0, 0, 0, 0, 0, 0, 0)`, made.No); err != nil {
			return nil, fmt.Errorf("create mark of source: %w", err)
		}
		return sourceDeed(audit.SourceCreate, nil, &made), nil
	})
	if err != nil {
		return nil, err
	}
	return &made, nil
}

// FindSources implements api.SourceStore.
func (db *DB) FindSources(ctx context.Context, tenant, before int64, limit int) ([]source.Source, error) {
	where, args := " AND s.tenant = ?", []any{tenant}
	if before > 0 {
		where += " AND s.no < ?"
		args = append(args, before)
	}
	var rows []sourceRow
	if err := db.read.SelectContext(ctx, &rows, "SELECT "+sourceColumns+sourceTables+where+" ORDER BY s.no DESC LIMIT ?",
		append(args, limit)...); err != nil {
		return nil, fmt.Errorf("list sources of tenant %d: %w", tenant, err)
	}
	return db.sourcesOf(rows)
}

func (db *DB) sourcesOf(rows []sourceRow) ([]source.Source, error) {
	sources := make([]source.Source, len(rows))
	for i := range rows {
		s, err := db.source(&rows[i])
		if err != nil {
			return nil, err
		}
		sources[i] = *s
	}
	return sources, nil
}

// FindSource implements api.SourceStore.
func (db *DB) FindSource(ctx context.Context, tenant int64, id string) (*source.Source, error) {
	return db.findSource(ctx, db.read, tenant, id, "")
}

func (db *DB) findSource(
	ctx context.Context, q sqlx.QueryerContext, tenant int64, id, lock string,
) (*source.Source, error) {
	var rows []sourceRow
	if err := sqlx.SelectContext(ctx, q, &rows, "SELECT "+sourceColumns+sourceTables+" AND s.id = ? AND s.tenant = ?"+lock,
		id, tenant); err != nil {
		return nil, fmt.Errorf("find source %s: %w", id, err)
	}
	if len(rows) == 0 {
		return nil, api.ErrNotFound
	}
	return db.source(&rows[0])
}

// UpdateSource implements api.SourceStore.
func (db *DB) UpdateSource(
	ctx context.Context, by access.Caller, id string, version int64, change func(source.Source) (source.Source, error),
) (*source.Source, error) {
	var after source.Source // not a result: the transaction may set it after ctx has ended this call
	err := db.act(ctx, by, "update source", func(tx *sqlx.Tx) (*audit.Deed, error) {
		before, err := db.findSource(ctx, tx, by.Tenant, id, db.lockSource())
		if err != nil {
			return nil, err
		}
		if version > 0 && version != before.Version {
			return nil, api.ErrVersion
		}
		if after, err = change(*before); err != nil {
			return nil, err
		}
		after.Version = before.Version + 1
		after.UpdatedAt = time.Now().UTC()
		config, auth, err := db.sourceDocuments(&after)
		if err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE sources SET state = ?, version = ?, config = ?, auth = ?, updated_at = ? WHERE no = ?",
			after.State, after.Version, config, auth, after.UpdatedAt.UnixMilli(), after.No); err != nil {
			return nil, fmt.Errorf("update source %s: %w", id, err)
		}
		return sourceDeed(audit.SourceUpdate, before, &after), nil
	})
	if err != nil {
		return nil, err
	}
	return &after, nil
}

// lockSource returns the end of a SELECT of a source that the transaction will change.
func (db *DB) lockSource() string {
	if lock := db.in.ChangeRow(); lock != "" {
		return lock + " OF s"
	}
	return ""
}

// RotateSource implements api.SourceStore.
func (db *DB) RotateSource(
	ctx context.Context, by access.Caller, id string, token [32]byte, until time.Time,
) (*source.Source, error) {
	var s *source.Source // not a result, as in UpdateSource
	err := db.act(ctx, by, "rotate source", func(tx *sqlx.Tx) (*audit.Deed, error) {
		found, err := db.findSource(ctx, tx, by.Tenant, id, db.lockSource())
		if err != nil {
			return nil, err
		}
		s = found
		// Tokens before the last one end now, the last one after the overlap.
		for _, step := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM source_tokens WHERE source = ? AND until_at IS NOT NULL", []any{s.No}},
			{"UPDATE source_tokens SET until_at = ? WHERE source = ?", []any{until.UnixMilli(), s.No}},
			{"INSERT INTO source_tokens (hash, source) VALUES (?, ?)", []any{token[:], s.No}},
		} {
			if _, err := tx.ExecContext(ctx, step.query, step.args...); err != nil {
				return nil, fmt.Errorf("rotate token of source %s: %w", id, err)
			}
		}
		return sourceDeed(audit.SourceRotate, s, s), nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// DeleteSource implements api.SourceStore.
func (db *DB) DeleteSource(ctx context.Context, by access.Caller, id string, version int64) error {
	return db.act(ctx, by, "delete source", func(tx *sqlx.Tx) (*audit.Deed, error) {
		s, err := db.findSource(ctx, tx, by.Tenant, id, db.lockSource())
		if err != nil {
			return nil, err
		}
		if version > 0 && version != s.Version {
			return nil, api.ErrVersion
		}
		if _, err := tx.ExecContext(ctx, "UPDATE sources SET deleted_at = ? WHERE no = ?", time.Now().UnixMilli(), s.No); err != nil {
			return nil, fmt.Errorf("delete source %s: %w", id, err)
		}
		for _, table := range []string{"source_tokens", "source_state"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE source = ?", s.No); err != nil {
				return nil, fmt.Errorf("delete %s of source %s: %w", table, id, err)
			}
		}
		return sourceDeed(audit.SourceDelete, s, nil), nil
	})
}

// LoadSources reads all sources that are not deleted, and their tokens, for the book.
func (db *DB) LoadSources(ctx context.Context) (sources []source.Source, tokens []source.Token, err error) {
	err = db.snapshot(ctx, "load sources", func(snap snapshot) error {
		var rows []sourceRow
		if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT "+sourceColumns+sourceTables); err != nil {
			return err
		}
		if sources, err = db.sourcesOf(rows); err != nil {
			return err
		}

		var kept []struct {
			Hash   []byte `db:"hash"`
			Source int64  `db:"source"`
			Until  *int64 `db:"until_at"`
		}
		if err := sqlx.SelectContext(ctx, snap.Q, &kept, "SELECT hash, source, until_at FROM source_tokens"); err != nil {
			return err
		}
		tokens = make([]source.Token, len(kept))
		for i, k := range kept {
			tokens[i] = source.Token{Hash: [32]byte(k.Hash), Source: k.Source}
			if k.Until != nil {
				tokens[i].Until = time.UnixMilli(*k.Until)
			}
		}
		return nil
	})
	return sources, tokens, err
}
