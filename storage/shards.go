package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

// LeaseFor is how long a process that does not renew keeps its shards, by the clock of
// the database. It must stop sending well before that.
const LeaseFor = 8 * time.Second

// leaseWait bounds a statement about shards. One that hangs must leave time for another
// before the process has to stop sending.
const leaseWait = 1500 * time.Millisecond

// forgetProcess is when the row of a process that died is deleted.
const forgetProcess = time.Minute

// serverTime is the clock of the database, Unix ms.
const serverTime = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// Reach reports whether the database answers in time. It changes nothing.
func (db *DB) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	if err := db.lease.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return nil
}

// RenewShards marks this process as alive. It returns the shards that the process owns,
// each with its epoch, and how many processes are alive, this one included. A shard that
// is missing from the answer has another owner by now. The renewal may have been done
// although the answer is an error.
func (db *DB) RenewShards(ctx context.Context) (owned map[int]int64, processes int, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()

	// One round trip, so that a slow network does not count three times. The owners'
	// transactions hold a key share of the shards, which this does not wait for.
	rows, err := db.lease.QueryContext(ctx, `WITH me AS (
			INSERT INTO processes (name, renewed_at) VALUES (?1, `+serverTime+`)
				ON CONFLICT (name) DO UPDATE SET renewed_at = excluded.renewed_at),
		mine AS (UPDATE shards SET renewed_at = `+serverTime+` WHERE owner = ?1 RETURNING shard, epoch),
		others AS (SELECT count(*) AS n FROM processes WHERE name <> ?1 AND renewed_at > `+serverTime+` - ?2)
		SELECT others.n + 1, COALESCE(mine.shard, -1), COALESCE(mine.epoch, 0) FROM others LEFT JOIN mine ON true`,
		db.cfg.Process, LeaseFor.Milliseconds())
	if err != nil {
		return nil, 0, fmt.Errorf("renew shards: %w", err)
	}
	defer rows.Close()

	owned = map[int]int64{}
	for rows.Next() {
		var shard int
		var epoch int64
		if err := rows.Scan(&processes, &shard, &epoch); err != nil {
			return nil, 0, fmt.Errorf("renew shards: %w", err)
		}
		if shard >= 0 { // -1: it owns no shard
			owned[shard] = epoch
		}
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("renew shards: %w", err)
	}
	return owned, processes, nil
}

// ClaimShards takes up to most shards that have no owner, or whose owner has not
// renewed for LeaseFor, each under its next epoch.
func (db *DB) ClaimShards(ctx context.Context, most int) (map[int]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()

	// A row is skipped while an outcome of its last owner is being committed, or
	// another process is taking it.
	claimed, err := db.shards(ctx, `UPDATE shards SET owner = ?, epoch = epoch + 1, renewed_at = `+serverTime+`
		WHERE shard = ANY (ARRAY(SELECT shard FROM shards WHERE owner <> ? AND (owner = '' OR renewed_at < `+serverTime+` - ?)
			ORDER BY renewed_at, shard LIMIT ? FOR UPDATE SKIP LOCKED))
		RETURNING shard, epoch`, db.cfg.Process, db.cfg.Process, LeaseFor.Milliseconds(), most)
	if err != nil {
		return nil, fmt.Errorf("claim shards: %w", err)
	}
	return claimed, nil
}

// ReleaseShards gives up shards at once; nothing of them may be in flight any more.
// Each is given with the epoch under which it was owned. If the database does this late,
// after the caller gave up waiting, a shard that the process has claimed again stays.
func (db *DB) ReleaseShards(ctx context.Context, shards map[int]int64) error {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	var nos, epochs []int64
	for shard, epoch := range shards {
		nos = append(nos, int64(shard))
		epochs = append(epochs, epoch)
	}
	if _, err := db.lease.ExecContext(ctx, `UPDATE shards s SET owner = '', renewed_at = 0
		FROM unnest(?::bigint[], ?::bigint[]) r (shard, epoch)
		WHERE s.owner = ? AND s.shard = r.shard AND s.epoch = r.epoch`,
		pq.Array(nos), pq.Array(epochs), db.cfg.Process); err != nil {
		return fmt.Errorf("release shards: %w", err)
	}
	return nil
}

// Leave gives up all shards, and the place among the processes.
func (db *DB) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	if _, err := db.lease.ExecContext(ctx, "UPDATE shards SET owner = '', renewed_at = 0 WHERE owner = ?",
		db.cfg.Process); err != nil {
		return fmt.Errorf("release shards: %w", err)
	}
	if _, err := db.lease.ExecContext(ctx, "DELETE FROM processes WHERE name = ? OR renewed_at < "+serverTime+" - ?",
		db.cfg.Process, forgetProcess.Milliseconds()); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

func (db *DB) shards(ctx context.Context, query string, args ...any) (map[int]int64, error) {
	rows, err := db.lease.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	shards := map[int]int64{}
	for rows.Next() {
		var shard int
		var epoch int64
		if err := rows.Scan(&shard, &epoch); err != nil {
			return nil, err
		}
		shards[shard] = epoch
	}
	return shards, rows.Err()
}

// Shared reports whether other processes may serve the same store.
func (db *DB) Shared() bool { return db.in == sqldb.Postgres }

// lockShards returns the part of a transaction's first statement that reads the epochs of
// the shards of these outcomes, as far as this process owns them, and keeps them until the
// transaction ends. Another process that takes a shard waits for that; a renewal does not.
func (w *worker) lockShards(outcomes []*delivery.Outcome) string {
	if len(outcomes) == 0 {
		return ""
	}
	var needed [subscriptions.Shards]bool
	for _, o := range outcomes {
		needed[subscriptions.Shard(o.Item.Sub)] = true
	}
	var list strings.Builder
	for shard, is := range needed {
		if is {
			fmt.Fprintf(&list, ",%d", shard)
		}
	}
	return fmt.Sprintf("SELECT shard, epoch FROM shards WHERE owner = %s AND shard IN (%s) ORDER BY shard FOR KEY SHARE;",
		pq.QuoteLiteral(w.db.cfg.Process), list.String()[1:])
}

// mayRecord reports whether an outcome comes from the owner of its shard, as the
// transaction under way sees it.
func (w *worker) mayRecord(o *delivery.Outcome) bool {
	return w.db.in == sqldb.SQLite || w.epochs[subscriptions.Shard(o.Item.Sub)] == o.Epoch && o.Epoch > 0
}

// ours returns the outcomes that may be recorded.
func (w *worker) ours(outcomes []*delivery.Outcome) []*delivery.Outcome {
	if w.db.in == sqldb.SQLite {
		return outcomes
	}
	return slices.DeleteFunc(slices.Clone(outcomes), func(o *delivery.Outcome) bool { return !w.mayRecord(o) })
}

// backlogCap is where BacklogOf stops counting.
const backlogCap = 1000

// BacklogOf implements delivery.Store.
func (db *DB) BacklogOf(ctx context.Context, shards []int) (map[int64]int, error) {
	if db.in == sqldb.SQLite {
		return db.Backlog(ctx)
	}
	rows, err := db.read.QueryContext(ctx, `SELECT s.no, p.n FROM subscriptions s, LATERAL (SELECT count(*) AS n
			FROM (SELECT 1 FROM deliveries d WHERE d.sub = s.no AND d.state = 0 LIMIT ?) few) p
		WHERE s.deleted_at IS NULL AND s.no % ? = ANY (?) AND p.n > 0`, backlogCap, subscriptions.Shards, pq.Array(shards))
	if err != nil {
		return nil, fmt.Errorf("read backlog: %w", err)
	}
	defer rows.Close()
	backlog := map[int64]int{}
	for rows.Next() {
		var sub int64
		var n int
		if err := rows.Scan(&sub, &n); err != nil {
			return nil, fmt.Errorf("read backlog: %w", err)
		}
		backlog[sub] = n
	}
	return backlog, rows.Err()
}
