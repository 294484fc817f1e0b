package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// How many bytes a tenant's events take is counted in the table body_bytes: the length
// of their bodies as the table bodies has them. The transaction that stores bodies adds
// to it, the one that deletes them takes away, so it always equals the sum over the rows.
// A row counts one day, because retention on PostgreSQL drops days as a whole.

// tenantDay is what rows of body_bytes count: the bodies of a tenant's events whose
// numbers have the same upper half. On PostgreSQL that is a day.
type tenantDay struct{ tenant, day int64 }

// dayOfSeq returns the day of an event's number.
func dayOfSeq(seq int64) int64 { return seq >> dayBits }

func (a tenantDay) compare(b tenantDay) int {
	return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.day, b.day))
}

// byteDeltas gathers what one transaction adds to body_bytes.
type byteDeltas map[tenantDay]int64

// upsert returns the statement that adds the deltas to a part of the counts; "" if there
// are none. It holds numbers only, so it needs no arguments, and can be sent together with
// another statement.
func (d byteDeltas) upsert(part int64) string {
	if len(d) == 0 {
		return ""
	}
	var rows []string
	for _, k := range sortedKeys(d, tenantDay.compare) {
		rows = append(rows, fmt.Sprintf("(%d, %d, %d, %d)", k.tenant, k.day, part, d[k]))
	}
	return "INSERT INTO body_bytes (tenant, day, part, bytes) VALUES " + strings.Join(rows, ", ") +
		" ON CONFLICT (tenant, day, part) DO UPDATE SET bytes = body_bytes.bytes + excluded.bytes"
}

// byteCounts knows how many bytes the bodies of each tenant's events take, without asking
// the database. With several processes, what the others store and delete is counted with
// the next load.
type byteCounts struct {
	mu       sync.Mutex
	byTenant map[int64]int64
}

// load reads the counts from the database. On PostgreSQL, what this process commits at the
// same time may be missing until the next load.
func (c *byteCounts) load(ctx context.Context, q sqlx.QueryerContext) error {
	var rows []struct {
		Tenant int64 `db:"tenant"`
		Bytes  int64 `db:"bytes"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows,
		"SELECT tenant, CAST(sum(bytes) AS bigint) AS bytes FROM body_bytes GROUP BY tenant"); err != nil {
		return fmt.Errorf("bytes of events: %w", err)
	}

	byTenant := map[int64]int64{}
	for _, r := range rows {
		byTenant[r.Tenant] = r.Bytes
	}
	c.mu.Lock()
	c.byTenant = byTenant
	c.mu.Unlock()
	return nil
}

// add adds what a committed transaction added.
func (c *byteCounts) add(d byteDeltas) {
	if len(d) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, n := range d {
		c.byTenant[k.tenant] += n
	}
}

// EventBytes returns how many bytes the bodies of a tenant's events take, as far as they are
// counted.
func (db *DB) EventBytes(tenant int64) int64 {
	c := &db.writer.bytes
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byTenant[tenant]
}

// deleteBodies runs a DELETE statement on the table bodies, and takes what it deletes from
// the counts of bytes.
func (t *trimPass) deleteBodies(ctx context.Context, tx *sqlx.Tx, stmt string, args ...any) error {
	rows, err := tx.QueryxContext(ctx, stmt+" RETURNING tenant, seq, length(bytes)", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	deleted := byteDeltas{}
	for rows.Next() {
		var tenant, seq, n int64
		if err := rows.Scan(&tenant, &seq, &n); err != nil {
			return err
		}
		deleted[tenantDay{tenant, dayOfSeq(seq)}] -= n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	return t.addBytes(ctx, tx, deleted)
}

// addBytes adds deltas to the counts of bytes, in a chunk of retention.
func (t *trimPass) addBytes(ctx context.Context, tx *sqlx.Tx, d byteDeltas) error {
	if len(d) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, d.upsert(partOfAdmins)); err != nil {
		return fmt.Errorf("count bytes: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM body_bytes WHERE tenant = ? AND bytes = 0", t.tenant); err != nil {
		return fmt.Errorf("count bytes: %w", err)
	}
	for k, n := range d {
		t.bytes[k] += n
	}
	return nil
}

// countOld counts the bodies that an earlier version stored, or that RecountBytes wants
// counted once more. It walks down from the newest, a chunk at a time, and goes on after
// a restart where it stopped.
func (t *trimPass) countOld(ctx context.Context) error {
	for {
		var below int64
		err := t.db.read.GetContext(ctx, &below, "SELECT below FROM uncounted_bodies WHERE tenant = ?", t.tenant)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error { return t.countBelow(ctx, tx, below) }); err != nil {
			return err
		}
	}
}

// countBelow counts the bodies of the last jobChunk events below a number.
func (t *trimPass) countBelow(ctx context.Context, tx *sqlx.Tx, below int64) error {
	var low sql.NullInt64
	if err := tx.GetContext(ctx, &low, `SELECT min(seq) FROM
		(SELECT seq FROM events WHERE tenant = ? AND seq < ? ORDER BY seq DESC LIMIT ?) latest`,
		t.tenant, below, jobChunk); err != nil {
		return err
	}
	if !low.Valid {
		_, err := tx.ExecContext(ctx, "DELETE FROM uncounted_bodies WHERE tenant = ?", t.tenant)
		return err
	}

	var days []struct {
		Day   int64 `db:"day"`
		Bytes int64 `db:"bytes"`
	}
	if err := tx.SelectContext(ctx, &days, `SELECT e.seq >> ?1 AS day, CAST(sum(length(b.bytes)) AS bigint) AS bytes
		FROM events e CROSS JOIN bodies b ON b.seq = e.seq AND b.seq >= ?3 AND b.seq < ?4
		WHERE e.tenant = ?2 AND e.seq >= ?3 AND e.seq < ?4 GROUP BY e.seq >> ?1`,
		dayBits, t.tenant, low.Int64, below); err != nil {
		return err
	}
	counted := byteDeltas{}
	for _, d := range days {
		counted[tenantDay{t.tenant, d.Day}] = d.Bytes
	}
	if err := t.addBytes(ctx, tx, counted); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE uncounted_bodies SET below = ? WHERE tenant = ?", low.Int64, t.tenant)
	return err
}

// closeDays joins the parts of the counts of days that are over into one. On PostgreSQL
// there would be a row for each worker and day otherwise.
func (db *DB) closeDays(ctx context.Context, now time.Time) error {
	return db.admin(ctx, "retention", func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `WITH old AS
				(DELETE FROM body_bytes WHERE day < ? AND part <> ? RETURNING tenant, day, bytes)
			INSERT INTO body_bytes (tenant, day, part, bytes)
			SELECT tenant, day, CAST(? AS bigint), sum(bytes) FROM old GROUP BY tenant, day
			ON CONFLICT (tenant, day, part) DO UPDATE SET bytes = body_bytes.bytes + excluded.bytes`,
			now.UnixMilli()/dayMS-1, int64(partOfAdmins), int64(partOfAdmins))
		return err
	})
}

// recountPause is how long RecountBytes waits between two looks at whether another process
// still deletes what is old.
const recountPause = time.Second

// RecountBytes counts the bytes of a tenant's events and recordings once more from the
// rows, while others may serve the store.
func (db *DB) RecountBytes(ctx context.Context, tenant int64) error {
	for done := false; !done; {
		err := db.in.Try(ctx, db.pool, sqldb.TurnRetention, func() error {
			done = true
			if err := db.admin(ctx, "count bytes", func(tx *sqlx.Tx) error { return db.uncount(ctx, tx, tenant) }); err != nil {
				return err
			}
			t := trimPass{db: db, tenant: tenant}
			return t.countOld(ctx)
		})
		if err != nil {
			return fmt.Errorf("bytes of tenant %d: %w", tenant, err)
		}
		if done {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(recountPause):
		}
	}
	return db.writer.bytes.load(ctx, db.read)
}

// uncount forgets the counts of a tenant's bytes: those of events are to be counted by
// countOld, those of recordings are added up at once.
func (db *DB) uncount(ctx context.Context, tx *sqlx.Tx, tenant int64) error {
	// Nobody accepts events now. Later ones get higher numbers, and are counted as they are stored.
	if err := db.in.Wait(ctx, tx, sqldb.TurnMatching); err != nil {
		return err
	}
	for _, stmt := range []string{
		"DELETE FROM body_bytes WHERE tenant = ?1",
		"DELETE FROM uncounted_bodies WHERE tenant = ?1",
		`INSERT INTO uncounted_bodies (tenant, below)
			SELECT ?1, last + 1 FROM (SELECT max(seq) AS last FROM events WHERE tenant = ?1) e WHERE last IS NOT NULL`,

		// Its row is locked before recordings are read, as by those who change them.
		`INSERT INTO recording_bytes (tenant, bytes) VALUES (?1, 0)
			ON CONFLICT (tenant) DO UPDATE SET bytes = recording_bytes.bytes`,
		`UPDATE recording_bytes SET bytes =
			(SELECT CAST(coalesce(sum(size), 0) AS bigint) FROM recordings WHERE tenant = ?1) WHERE tenant = ?1`,
	} {
		if _, err := tx.ExecContext(ctx, stmt, tenant); err != nil {
			return fmt.Errorf("count bytes: %w", err)
		}
	}
	return nil
}

// CheckBytes compares the counted bytes of each tenant's events and recordings with the sums
// over the rows, in one state of the store in a folder, or at the URL of a database, which
// others may be using. The error wraps ErrMiscount. What is still to be counted after an
// update is left out; tenants is how many were compared.
func CheckBytes(ctx context.Context, dir string) (tenants int, err error) {
	db, err := openReader(dir)
	if err != nil {
		return 0, fmt.Errorf("check bytes: %w", err)
	}
	defer db.Close()
	tx, err := db.BeginTxx(ctx, sqldb.DialectOf(dir).SnapshotOptions())
	if err != nil {
		return 0, fmt.Errorf("check bytes: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written

	var rows []struct {
		Tenant     int64 `db:"tenant"`
		Counted    int64 `db:"counted"`
		Are        int64 `db:"are"`
		Recordings int64 `db:"recordings"`
		RecAre     int64 `db:"rec_are"`
	}
	if err := tx.SelectContext(ctx, &rows, `SELECT t.no AS tenant,
			CAST(coalesce(c.n, 0) AS bigint) AS counted, CAST(coalesce(b.n, 0) AS bigint) AS are,
			CAST(coalesce(rc.bytes, 0) AS bigint) AS recordings, CAST(coalesce(r.n, 0) AS bigint) AS rec_are
		FROM tenants t
			LEFT JOIN (SELECT tenant, sum(bytes) AS n FROM body_bytes GROUP BY tenant) c ON c.tenant = t.no
			LEFT JOIN (SELECT tenant, sum(length(bytes)) AS n FROM bodies GROUP BY tenant) b ON b.tenant = t.no
			LEFT JOIN recording_bytes rc ON rc.tenant = t.no
			LEFT JOIN (SELECT tenant, sum(size) AS n FROM recordings GROUP BY tenant) r ON r.tenant = t.no
		WHERE NOT EXISTS (SELECT 1 FROM uncounted_bodies u WHERE u.tenant = t.no) ORDER BY t.no`); err != nil {
		return 0, fmt.Errorf("check bytes: %w", err)
	}

	var wrong []string
	for _, r := range rows {
		if r.Counted != r.Are {
			wrong = append(wrong, fmt.Sprintf("tenant %d, events: counted %d bytes, there are %d", r.Tenant, r.Counted, r.Are))
		}
		if r.Recordings != r.RecAre {
			wrong = append(wrong, fmt.Sprintf("tenant %d, recordings: counted %d bytes, there are %d",
				r.Tenant, r.Recordings, r.RecAre))
		}
	}
	if len(wrong) > 0 {
		return len(rows), fmt.Errorf("%w:\n%s", ErrMiscount, strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
	return len(rows), nil
}
