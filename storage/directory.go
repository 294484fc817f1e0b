package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/directory"
)

var _ api.DirectoryStore = (*DB)(nil)

const (
	// tombstoneLife is how long a deleted object's row stays, so that a process that was
	// cut off for a while still sees the deletion.
	tombstoneLife = 24 * time.Hour
	// directoryPage is how many changes are read at a time.
	directoryPage = 5_000
)

// directories holds the directories of all tenants in memory, up to a version.
type directories struct {
	book  directory.Book
	mu    sync.Mutex
	until int64
}

// Directory returns the directories of all tenants. They are in step with this process's
// changes, and have those of others up to the last FollowDirectory.
func (db *DB) Directory() *directory.Book { return &db.dir.book }

// FollowDirectory reads the changes that were committed since the last call.
// Call it from time to time where other processes make changes.
func (db *DB) FollowDirectory(ctx context.Context) error {
	db.dir.mu.Lock()
	defer db.dir.mu.Unlock()
	for {
		var rows []directoryRow
		if err := db.read.SelectContext(ctx, &rows, `SELECT tenant, kind, id, body, version FROM directory
			WHERE version > ? ORDER BY version LIMIT ?`, db.dir.until, directoryPage); err != nil {
			return fmt.Errorf("read the directory: %w", err)
		}
		changes := make([]directory.Change, len(rows))
		for i, r := range rows {
			changes[i] = directory.Change{Tenant: r.Tenant, Version: r.Version, Kind: directory.Kind(r.Kind), Key: r.ID}
			if r.Body == "" { // it was deleted
				continue
			}
			var err error
			if changes[i].Object, err = r.object(); err != nil {
				return err
			}
		}

		db.dir.book.Apply(changes)
		if len(rows) > 0 {
			db.dir.until = rows[len(rows)-1].Version
		}
		if len(rows) < directoryPage {
			return nil
		}
	}
}

type directoryRow struct {
	Tenant  int64  `db:"tenant"`
	Kind    string `db:"kind"`
	ID      string `db:"id"`
	Body    string `db:"body"`
	Version int64  `db:"version"`
}

// object returns the object that a row holds.
func (r *directoryRow) object() (directory.Object, error) {
	o := directory.New(directory.Kind(r.Kind))
	if o == nil {
		return nil, fmt.Errorf("directory: unknown kind %q", r.Kind)
	}
	if err := json.Unmarshal([]byte(r.Body), o); err != nil {
		return nil, fmt.Errorf("directory: %s/%s: %w", r.Kind, r.ID, err)
	}
	return o, nil
}

// directoryObject returns what the audit log calls an object of the directory.
func directoryObject(k directory.Kind, id string) string { return "directory/" + string(k) + "/" + id }

// changeDirectory commits what fn changes, and then reads it back into memory. fn gets the
// version of its first change, and counts it up for each further one.
func (db *DB) changeDirectory(
	ctx context.Context, by access.Caller, what string, fn func(tx *sqlx.Tx, version *int64) (*audit.Deed, error),
) error {
	ctx = context.WithoutCancel(ctx) // what is in the store must be in memory
	err := db.act(ctx, by, what, func(tx *sqlx.Tx) (*audit.Deed, error) {
		// This comes first: whoever else changes a directory waits here until the
		// commit, so that nobody reads past a version that is not committed yet.
		var version int64
		if err := tx.GetContext(ctx, &version,
			`UPDATE directory_head SET version = version + 1 WHERE one = 1 RETURNING version`); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}

		deed, err := fn(tx, &version)
		if err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE directory_head SET version = ? WHERE one = 1`, version); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory WHERE deleted_at < ?`,
			time.Now().Add(-tombstoneLife).UnixMilli()); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return deed, nil
	})
	if err != nil {
		return err
	}
	return db.FollowDirectory(ctx)
}

// PutObjects implements api.DirectoryStore.
func (db *DB) PutObjects(
	ctx context.Context, by access.Caller, tenant int64, objects []directory.Object, limit int,
) error {
	bodies := make([]string, len(objects)) // made before others wait for the writer
	for i, o := range objects {
		body, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("directory: %s: %w", o.Key(), err)
		}
		bodies[i] = string(body)
	}

	return db.changeDirectory(ctx, by, "change the directory", func(tx *sqlx.Tx, version *int64) (*audit.Deed, error) {
		// The audit log shows a single object. Of several it shows how many there were of
		// each kind, because the objects themselves would make a row of megabytes.
		deed := &audit.Deed{Tenant: tenant, Action: audit.DirectoryPut, Object: "directory"}
		if len(objects) == 1 {
			o := objects[0]
			before, err := findObject(ctx, tx, tenant, o.Kind(), o.Key())
			if err != nil && !errors.Is(err, api.ErrNotFound) {
				return nil, err
			}
			deed.Object = directoryObject(o.Kind(), o.Key())
			deed.After = o
			if before != nil {
				deed.Before = before
			}
		} else {
			count := map[directory.Kind]int{}
			for _, o := range objects {
				count[o.Kind()]++
			}
			deed.After = count
		}

		// Who puts a whole directory changes little of it. What stays as it is costs no write,
		// and nobody reads it again.
		put, err := tx.PreparexContext(ctx, `INSERT INTO directory (tenant, kind, id, body, version, deleted_at)
			VALUES (?, ?, ?, ?, ?, NULL)
			ON CONFLICT (tenant, kind, id) DO UPDATE SET body = excluded.body, version = excluded.version, deleted_at = NULL
			WHERE directory.body <> excluded.body OR directory.deleted_at IS NOT NULL`)
		if err != nil {
			return nil, fmt.Errorf("change the directory: %w", err)
		}
		defer put.Close()
		for i, o := range objects {
			if i > 0 {
				*version++
			}
			if _, err := put.ExecContext(ctx, tenant, string(o.Kind()), o.Key(), bodies[i], *version); err != nil {
				return nil, fmt.Errorf("put %s: %w", directoryObject(o.Kind(), o.Key()), err)
			}
		}

		var live int
		if err := tx.GetContext(ctx, &live,
			`SELECT count(*) FROM directory WHERE tenant = ? AND deleted_at IS NULL`, tenant); err != nil {
			return nil, fmt.Errorf("count the directory of tenant %d: %w", tenant, err)
		}
		if live > limit {
			return nil, fmt.Errorf("%w: %d objects in the directory", api.ErrLimit, limit)
		}
		return deed, nil
	})
}

// DeleteObject implements api.DirectoryStore.
func (db *DB) DeleteObject(ctx context.Context, by access.Caller, tenant int64, k directory.Kind, id string) error {
	return db.changeDirectory(ctx, by, "delete from the directory",
		func(tx *sqlx.Tx, version *int64) (*audit.Deed, error) {
			before, err := findObject(ctx, tx, tenant, k, id)
			if err != nil {
				return nil, err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE directory SET body = '', version = ?, deleted_at = ?
			WHERE tenant = ? AND kind = ? AND id = ?`,
				*version, time.Now().UnixMilli(), tenant, string(k), id); err != nil {
				return nil, fmt.Errorf("delete %s: %w", directoryObject(k, id), err)
			}
			return &audit.Deed{
				Tenant: tenant, Action: audit.DirectoryDelete, Object: directoryObject(k, id), Before: before,
			}, nil
		})
}

// FindObject implements api.DirectoryStore.
func (db *DB) FindObject(ctx context.Context, tenant int64, k directory.Kind, id string) (directory.Object, error) {
	return findObject(ctx, db.read, tenant, k, id)
}

func findObject(
	ctx context.Context, q sqlx.QueryerContext, tenant int64, k directory.Kind, id string,
) (directory.Object, error) {
	var row directoryRow
	err := sqlx.GetContext(ctx, q, &row, `SELECT tenant, kind, id, body, version FROM directory
		WHERE tenant = ? AND kind = ? AND id = ? AND deleted_at IS NULL`, tenant, string(k), id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, api.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("find %s: %w", directoryObject(k, id), err)
	}
	return row.object()
}

// FindObjects implements api.DirectoryStore.
func (db *DB) FindObjects(
	ctx context.Context, tenant int64, k directory.Kind, after string, limit int,
) ([]directory.Object, error) {
	var rows []directoryRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT tenant, kind, id, body, version FROM directory
		WHERE tenant = ? AND kind = ? AND id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?`,
		tenant, string(k), after, limit); err != nil {
		return nil, fmt.Errorf("list %s of tenant %d: %w", k, tenant, err)
	}
	objects := make([]directory.Object, len(rows))
	for i := range rows {
		var err error
		if objects[i], err = rows[i].object(); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
