package storage

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// On PostgreSQL most of what is old is deleted as whole partitions, which costs the same
// however much is in them. What a tenant keeps for a shorter time than the others is deleted
// row by row, as in SQLite, and so are deliveries and the answers of receivers.

// maxLeftover is how many events of a day may be still to be pushed for its partition to be
// dropped; their rows are moved to the partition for all other days. If there are more, the
// rows of the day are deleted one by one.
const maxLeftover = 10_000

// dropDays drops the partitions of bodies accepted before one time, and of events and
// attempts accepted before another, Unix ms.
func (db *DB) dropDays(ctx context.Context, payload, metadata int64) error {
	for _, t := range []struct {
		table  string
		before int64
	}{{"bodies", payload}, {"masked_bodies", payload}, {"attempts", metadata}, {"events", metadata}} {
		days, err := db.daysOf(ctx, t.table)
		if err != nil {
			return err
		}
		for _, day := range days { // oldest first
			if (day+1)*dayMS > t.before {
				break
			}
			if err := db.dropDay(ctx, t.table, day); err != nil {
				return fmt.Errorf("drop %s: %w", partition(t.table, day), err)
			}
		}
	}
	if err := db.writer.bytes.load(ctx, db.read); err != nil {
		return err
	}
	return db.noteDays(ctx)
}

// dropDay drops the partition of a day, unless too much of it is still to be pushed.
func (db *DB) dropDay(ctx context.Context, table string, day int64) error {
	left, err := leftovers(ctx, db.read, day)
	if err != nil || len(left.Seqs) > maxLeftover {
		return err
	}
	if table == "events" {
		if err := db.dropIDs(ctx, day, left); err != nil {
			return err
		}
	}

	return db.admin(ctx, "retention", func(tx *sqlx.Tx) error {
		// Everybody who needs the table waits for this transaction, which waits for those
		// who use it. Rather come again than let them wait.
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
			return err
		}
		if err := db.in.Wait(ctx, tx, sqldb.TurnDays); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}

		// Look again, because somebody may have asked for a retry since.
		left, err := leftovers(ctx, tx, day)
		if err != nil || len(left.Seqs) > maxLeftover {
			return err
		}
		name, seqs := partition(table, day), pq.Array(left.Seqs)
		if _, err := tx.ExecContext(ctx,
			"CREATE TEMPORARY TABLE leftover ON COMMIT DROP AS SELECT * FROM "+name+" WHERE seq = ANY(?)", seqs); err != nil {
			return err
		}
		for _, stmt := range []string{"DROP TABLE " + name, "INSERT INTO " + table + " SELECT * FROM leftover"} {
			if _, err := tx.ExecContext(ctx, stmt); err != nil {
				return err
			}
		}

		switch table {
		case "events":
			return db.writer.noteLast(ctx, tx)
		case "bodies":
			if err := dropBytes(ctx, tx, day, left.Seqs); err != nil {
				return err
			}
		default:
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO kept_bodies (tenant, seq) SELECT * FROM unnest(?::bigint[], ?::bigint[])
			ON CONFLICT (tenant, seq) DO NOTHING`, pq.Array(left.Tenants), seqs)
		return err
	})
}

// dropBytes counts the bytes of a day whose partition of bodies was dropped: only those of
// events that are still to be pushed are left. It adds up rows that are in no partition.
func dropBytes(ctx context.Context, tx *sqlx.Tx, day int64, kept []int64) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM body_bytes WHERE day = ?", day); err != nil {
		return fmt.Errorf("count bytes: %w", err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO body_bytes (tenant, day, part, bytes)
		SELECT tenant, CAST(? AS bigint), CAST(? AS bigint), sum(length(bytes)) FROM bodies WHERE seq = ANY(?)
		GROUP BY tenant`, day, int64(partOfAdmins), pq.Array(kept))
	if err != nil {
		return fmt.Errorf("count bytes: %w", err)
	}
	return nil
}

// leftover holds the events of a day that are still to be pushed to somebody.
type leftover struct{ Tenants, Seqs []int64 }

// leftovers finds these events, but no more than show that there are too many.
func leftovers(ctx context.Context, q sqlx.QueryerContext, day int64) (l leftover, err error) {
	var rows []struct {
		Tenant int64 `db:"tenant"`
		Seq    int64 `db:"seq"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows, `SELECT DISTINCT s.tenant, d.seq FROM subscriptions s
		JOIN (SELECT sub, seq FROM deliveries WHERE state = 0 UNION ALL SELECT sub, seq FROM deliveries WHERE state = 7) d
			ON d.sub = s.no AND d.seq >= ? AND d.seq < ? LIMIT ?`,
		day<<dayBits, (day+1)<<dayBits, maxLeftover+1); err != nil {
		return l, fmt.Errorf("find what is pending: %w", err)
	}
	for _, r := range rows {
		l.Tenants = append(l.Tenants, r.Tenant)
		l.Seqs = append(l.Seqs, r.Seq)
	}
	return l, nil
}

// dropIDs deletes the senders' ids of the events of a day, some at a time.
func (db *DB) dropIDs(ctx context.Context, day int64, keep leftover) error {
	var tenant, seq int64
	for {
		var rows []struct {
			Tenant int64  `db:"tenant"`
			Seq    int64  `db:"seq"`
			ID     string `db:"id"`
		}
		if err := db.read.SelectContext(ctx, &rows, "SELECT tenant, seq, id FROM "+partition("events", day)+
			" WHERE (tenant, seq) > (?, ?) AND seq <> ALL(?) ORDER BY tenant, seq LIMIT ?",
			tenant, seq, pq.Array(keep.Seqs), jobChunk); err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}

		tenants, ids := make([]int64, len(rows)), make([]string, len(rows))
		for i, r := range rows {
			tenants[i] = r.Tenant
			ids[i] = r.ID
		}
		t := trimPass{db: db}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM event_ids i USING unnest(?::bigint[], ?::text[]) AS old(tenant, id)
				WHERE i.tenant = old.tenant AND i.id = old.id`, pq.Array(tenants), pq.Array(ids))
			return err
		}); err != nil {
			return err
		}

		last := rows[len(rows)-1]
		tenant, seq = last.Tenant, last.Seq
	}
}

// firstOf returns the number from which on a table has partitions for days.
func (db *DB) firstOf(ctx context.Context, table string) (int64, error) {
	days, err := db.daysOf(ctx, table)
	if err != nil || len(days) == 0 {
		return 0, err
	}
	return days[0] << dayBits, nil
}

// rest deletes bodies of the tenant's events in [from, end) that are in no partition of a
// day, and returns the number from which on there are days.
func (t *trimPass) rest(ctx context.Context, from, end int64) (int64, error) {
	first, err := t.db.firstOf(ctx, "bodies")
	if err != nil || first <= from {
		return from, err
	}
	first = min(first, end)
	pending := strconv.Itoa(int(delivery.Pending))
	return first, t.chunk(ctx, func(tx *sqlx.Tx) error {
		for _, table := range []string{"bodies", "masked_bodies"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+` b WHERE seq >= ?2 AND seq < ?3 AND tenant = ?1
				AND NOT EXISTS (SELECT 1 FROM deliveries d JOIN subscriptions s ON s.no = d.sub
					WHERE s.tenant = ?1 AND d.state = `+pending+` AND d.seq = b.seq)
				AND seq NOT IN (SELECT seq FROM kept_bodies WHERE tenant = ?1)`, t.tenant, from, first); err != nil {
				return err
			}
		}
		return nil
	})
}
