package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ api.UsageStore = (*DB)(nil)

// usageEvents is how many of a tenant's latest events are looked at to tell how many come
// in a second.
const usageEvents = 20_000

// FindUsage implements api.UsageStore.
func (db *DB) FindUsage(ctx context.Context, tenant int64, now time.Time) (u api.TenantUsage, err error) {
	u.Pending = db.PendingOf(tenant)
	if u.Subscriptions, u.Keys, err = db.CountObjects(ctx, tenant, now); err != nil {
		return u, err
	}
	err = db.read.QueryRowxContext(ctx, `SELECT
			(SELECT count(*) FROM recordings WHERE tenant = ?1),
			coalesce((SELECT bytes FROM recording_bytes WHERE tenant = ?1), 0),
			(SELECT CAST(coalesce(sum(bytes), 0) AS bigint) FROM body_bytes WHERE tenant = ?1),
			EXISTS (SELECT 1 FROM uncounted_bodies WHERE tenant = ?1)`, tenant).
		Scan(&u.Recordings, &u.RecordingBytes, &u.EventBytes, &u.Counting)
	if err != nil {
		return u, fmt.Errorf("usage of tenant %d: %w", tenant, err)
	}

	// The seconds of the last minute in which events were accepted, latest first. With very
	// many events the first of these seconds is not seen as a whole.
	var seconds []struct {
		Second int64 `db:"second"`
		Events int   `db:"events"`
	}
	if err := db.read.SelectContext(ctx, &seconds, `SELECT accepted_at / 1000 AS second, count(*) AS events
		FROM (SELECT accepted_at FROM events WHERE tenant = ? ORDER BY seq DESC LIMIT ?) latest
		WHERE accepted_at >= ? GROUP BY accepted_at / 1000 ORDER BY 1 DESC`,
		tenant, usageEvents, now.Add(-time.Minute).UnixMilli()); err != nil {
		return u, fmt.Errorf("events of tenant %d: %w", tenant, err)
	}
	for _, s := range seconds {
		u.EventsPeak = max(u.EventsPeak, s.Events)
		if s.Second == now.Unix()-1 { // the last one that is over
			u.EventsNow = s.Events
		}
	}
	return u, nil
}

// CountObjects implements api.UsageStore.
func (db *DB) CountObjects(ctx context.Context, tenant int64, now time.Time) (subscriptions, keys int, err error) {
	err = db.read.QueryRowxContext(ctx, `SELECT
			(SELECT count(*) FROM subscriptions WHERE tenant = ?1 AND deleted_at IS NULL),
			(SELECT count(*) FROM keys WHERE tenant = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2))`,
		tenant, now.UnixMilli()).Scan(&subscriptions, &keys)
	if err != nil {
		return 0, 0, fmt.Errorf("objects of tenant %d: %w", tenant, err)
	}
	return subscriptions, keys, nil
}

// Size returns how many bytes the store takes, with the write-ahead log of an embedded one.
func (db *DB) Size(ctx context.Context) (bytes int64, err error) {
	if db.in == sqldb.Postgres {
		err = db.read.GetContext(ctx, &bytes, "SELECT pg_database_size(current_database())")
		return bytes, err
	}
	for _, name := range []string{File, File + "-wal"} {
		if info, err := os.Stat(filepath.Join(db.cfg.Dir, name)); err == nil {
			bytes += info.Size()
		}
	}
	return bytes, nil
}

// Processes returns the names of the processes that serve the store now, in the order of
// their names.
func (db *DB) Processes(ctx context.Context) (names []string, err error) {
	if db.in == sqldb.SQLite {
		return []string{db.cfg.Process}, nil
	}
	err = db.read.SelectContext(ctx, &names,
		"SELECT name FROM processes WHERE renewed_at > "+serverTime+" - ? ORDER BY name",
		LeaseFor.Milliseconds())
	return names, err
}
