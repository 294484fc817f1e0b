package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/recording"
)

var _ recording.Store = (*DB)(nil)

type recordingRow struct {
	Tenant    int64  `db:"tenant"`
	ID        string `db:"id"`
	Source    []byte `db:"source"`
	Blob      string `db:"blob"`
	Size      int64  `db:"size"`
	Hash      []byte `db:"hash"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

const recordingColumns = `tenant, id, source, blob, size, hash, created_at, updated_at`

// sourceOf returns what the sealed source of a recording is for, so that it opens nowhere
// else.
func sourceOf(tenant int64, id string) string {
	return "recording/" + strconv.FormatInt(tenant, 10) + "/" + id
}

// recording returns the recording that a row holds.
func (db *DB) recording(row *recordingRow) (*recording.Recording, error) {
	r := &recording.Recording{
		Tenant: row.Tenant, ID: row.ID, Blob: row.Blob, Size: row.Size,
		CreatedAt: time.UnixMilli(row.CreatedAt).UTC(), UpdatedAt: time.UnixMilli(row.UpdatedAt).UTC(),
	}
	copy(r.Hash[:], row.Hash)
	if len(row.Source) > 0 {
		source, err := db.box.Open(sourceOf(row.Tenant, row.ID), row.Source)
		if err != nil {
			return nil, fmt.Errorf("source of recording %s: %w", row.ID, err)
		}
		r.Source = string(source)
	}
	return r, nil
}

func findRecording(ctx context.Context, q sqlx.QueryerContext, tenant int64, id string) (*recordingRow, error) {
	var row recordingRow
	err := sqlx.GetContext(ctx, q, &row,
		`SELECT `+recordingColumns+` FROM recordings WHERE tenant = ? AND id = ?`, tenant, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, recording.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("find recording %s: %w", id, err)
	}
	return &row, nil
}

// FindRecordings implements recording.Store.
func (db *DB) FindRecordings(ctx context.Context, f recording.Filter) ([]recording.Recording, error) {
	where, args := "tenant = ?", []any{f.Tenant}
	and := func(cond string, values ...any) {
		where += " AND " + cond
		args = append(args, values...)
	}
	if f.From > 0 {
		and("created_at >= ?", f.From)
	}
	if f.To > 0 {
		and("created_at < ?", f.To)
	}
	if f.BeforeAt > 0 {
		and("(created_at < ? OR created_at = ? AND id < ?)", f.BeforeAt, f.BeforeAt, f.BeforeID)
	}

	var rows []recordingRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+recordingColumns+` FROM recordings WHERE `+where+
		` ORDER BY created_at DESC, id DESC LIMIT ?`, append(args, f.Limit)...); err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	found := make([]recording.Recording, len(rows))
	for i := range rows {
		r, err := db.recording(&rows[i])
		if err != nil {
			return nil, err
		}
		found[i] = *r
	}
	return found, nil
}

// FindRecording implements recording.Store.
func (db *DB) FindRecording(ctx context.Context, tenant int64, id string) (*recording.Recording, error) {
	row, err := findRecording(ctx, db.read, tenant, id)
	if err != nil {
		return nil, err
	}
	return db.recording(row)
}

// NoteBlob implements recording.Store.
func (db *DB) NoteBlob(ctx context.Context, blob string) error {
	return db.admin(ctx, "note blob", func(tx *sqlx.Tx) error { return loosen(ctx, tx, blob) })
}

// loosen notes that no recording has a blob, so that its bytes can be deleted after a while.
func loosen(ctx context.Context, tx *sqlx.Tx, blob string) error {
	if blob == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO loose_blobs (blob, since) VALUES (?, ?)`,
		blob, time.Now().UnixMilli()); err != nil {
		return fmt.Errorf("note blob %s: %w", blob, err)
	}
	return nil
}

// forget removes the note of a blob: a recording has it, or its bytes are gone.
func forget(ctx context.Context, tx *sqlx.Tx, blob string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM loose_blobs WHERE blob = ?`, blob); err != nil {
		return fmt.Errorf("forget blob %s: %w", blob, err)
	}
	return nil
}

// recordingNote is what the audit log says about a recording.
type recordingNote struct {
	Source string `json:"source"` // "upload" or "url"; the URL itself may hold a secret
	Size   int64  `json:"size,omitempty"`
}

// noteOf returns what the audit log says about a recording; nil if there is none.
func noteOf(row *recordingRow) any {
	switch {
	case row == nil:
		return nil
	case len(row.Source) > 0:
		return recordingNote{"url", row.Size}
	}
	return recordingNote{"upload", row.Size}
}

// countRecording adds to the bytes of a tenant's recordings. It keeps the row of their count
// until the transaction ends, so several processes together do not pass most, unless that is
// 0 for no limit. ErrQuota.
func countRecording(ctx context.Context, tx *sqlx.Tx, tenant, by, most int64) error {
	if by == 0 {
		return nil
	}
	var bytes int64
	if err := tx.GetContext(ctx, &bytes, `INSERT INTO recording_bytes (tenant, bytes) VALUES (?, ?)
		ON CONFLICT (tenant) DO UPDATE SET bytes = recording_bytes.bytes + excluded.bytes RETURNING bytes`,
		tenant, by); err != nil {
		return fmt.Errorf("count bytes of recordings: %w", err)
	}
	if by > 0 && most > 0 && bytes > most {
		return recording.ErrQuota
	}
	return nil
}

// RecordingBytes implements recording.Store.
func (db *DB) RecordingBytes(ctx context.Context, tenant int64) (bytes int64, err error) {
	err = db.read.GetContext(ctx, &bytes, "SELECT bytes FROM recording_bytes WHERE tenant = ?", tenant)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("bytes of recordings: %w", err)
	}
	return bytes, nil
}

// PutRecording implements recording.Store.
func (db *DB) PutRecording(
	ctx context.Context, by access.Caller, r *recording.Recording, most int64,
) (before string, err error) {
	ctx = context.WithoutCancel(ctx) // the bytes are there already
	now := time.Now().UnixMilli()
	row := recordingRow{
		Tenant: r.Tenant, ID: r.ID, Blob: r.Blob, Size: r.Size, Hash: r.Hash[:], CreatedAt: now, UpdatedAt: now,
	}
	if r.Source != "" {
		row.Source = db.box.Seal(sourceOf(r.Tenant, r.ID), []byte(r.Source))
	}
	err = db.act(ctx, by, "put recording", func(tx *sqlx.Tx) (*audit.Deed, error) {
		old, err := findRecording(ctx, tx, r.Tenant, r.ID)
		if err != nil && !errors.Is(err, recording.ErrNotFound) {
			return nil, err
		}
		before = ""
		added := row.Size
		if old != nil {
			before = old.Blob
			added -= old.Size
			row.CreatedAt = old.CreatedAt
			row.UpdatedAt = max(now, old.UpdatedAt+1) // so that FetchedRecording can tell one put from the next
		}

		if err := errors.Join(loosen(ctx, tx, before), forget(ctx, tx, r.Blob)); err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO recordings (`+recordingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, id) DO UPDATE SET source = excluded.source, blob = excluded.blob, size = excluded.size,
				hash = excluded.hash, updated_at = excluded.updated_at`,
			row.Tenant, row.ID, row.Source, row.Blob, row.Size, row.Hash, row.CreatedAt, row.UpdatedAt); err != nil {
			return nil, fmt.Errorf("put recording %s: %w", r.ID, err)
		}
		if err := countRecording(ctx, tx, r.Tenant, added, most); err != nil {
			return nil, err
		}
		return &audit.Deed{
			Tenant: r.Tenant, Action: audit.RecordingPut, Object: "recording/" + r.ID, Before: noteOf(old), After: noteOf(&row),
		}, nil
	})
	r.CreatedAt = time.UnixMilli(row.CreatedAt).UTC()
	r.UpdatedAt = time.UnixMilli(row.UpdatedAt).UTC()
	return before, err
}

// FetchedRecording implements recording.Store.
func (db *DB) FetchedRecording(ctx context.Context, r *recording.Recording, most int64) (kept bool, err error) {
	ctx = context.WithoutCancel(ctx)
	err = db.adminFor(ctx, r.Tenant, "fetched recording", func(tx *sqlx.Tx) error {
		// Unless somebody has put another recording in its place since.
		res, err := tx.ExecContext(ctx, `UPDATE recordings SET blob = ?, size = ?, hash = ?
			WHERE tenant = ? AND id = ? AND blob = '' AND updated_at = ?`,
			r.Blob, r.Size, r.Hash[:], r.Tenant, r.ID, r.UpdatedAt.UnixMilli())
		if err != nil {
			return fmt.Errorf("fetched recording %s: %w", r.ID, err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("fetched recording %s: %w", r.ID, err)
		}
		kept = n > 0
		if !kept {
			return nil
		}
		if err := countRecording(ctx, tx, r.Tenant, r.Size, most); err != nil {
			return err
		}
		return forget(ctx, tx, r.Blob)
	})
	return kept && err == nil, err
}

// DeleteRecording implements recording.Store.
func (db *DB) DeleteRecording(ctx context.Context, by access.Caller, tenant int64, id string) (blob string, err error) {
	ctx = context.WithoutCancel(ctx)
	err = db.act(ctx, by, "delete recording", func(tx *sqlx.Tx) (*audit.Deed, error) {
		old, err := findRecording(ctx, tx, tenant, id)
		if err != nil {
			return nil, err
		}
		blob = old.Blob
		if err := loosen(ctx, tx, blob); err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM recordings WHERE tenant = ? AND id = ?`, tenant, id); err != nil {
			return nil, fmt.Errorf("delete recording %s: %w", id, err)
		}
		if err := countRecording(ctx, tx, tenant, -old.Size, 0); err != nil {
			return nil, err
		}
		return &audit.Deed{
			Tenant: tenant, Action: audit.RecordingDelete, Object: "recording/" + id, Before: noteOf(old),
		}, nil
	})
	return blob, err
}

// LooseBlobs implements recording.Store.
func (db *DB) LooseBlobs(ctx context.Context, at time.Time, limit int) ([]string, error) {
	var blobs []string
	if err := db.read.SelectContext(ctx, &blobs, `SELECT blob FROM loose_blobs WHERE since < ? ORDER BY since LIMIT ?`,
		at.UnixMilli(), limit); err != nil {
		return nil, fmt.Errorf("loose blobs: %w", err)
	}
	return blobs, nil
}

// ForgetBlobs implements recording.Store.
func (db *DB) ForgetBlobs(ctx context.Context, blobs []string) error {
	return db.admin(ctx, "forget blobs", func(tx *sqlx.Tx) error {
		for _, b := range blobs {
			if err := forget(ctx, tx, b); err != nil {
				return err
			}
		}
		return nil
	})
}
