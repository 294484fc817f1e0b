package storage

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/lib/pq"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

const itemColumns = `sub, seq, run, order_key, type, tries, due_at, give_up_at, accepted_at, coalesce(first_try_at, 0),
	aside_at, late, version, coalesce(replay, 0)`

// Pending reads up to limit pending runs after one, in order.
func (db *DB) Pending(ctx context.Context, sub int64, after delivery.ID, limit int) ([]*delivery.Item, error) {
	return db.items(ctx, `SELECT `+itemColumns+` FROM deliveries INDEXED BY deliveries_pending
		WHERE state = 0 AND sub = ? AND (seq, run) > (?, ?) ORDER BY seq, run LIMIT ?`, sub, after.Seq, after.Run, limit)
}

// Waiting reads the pending runs that were tried before, lowest first.
func (db *DB) Waiting(ctx context.Context, sub int64, limit int) ([]*delivery.Item, error) {
	return db.items(ctx, `SELECT `+itemColumns+` FROM deliveries INDEXED BY deliveries_waiting
		WHERE state = 0 AND tries > 0 AND sub = ? ORDER BY seq, run LIMIT ?`, sub, limit)
}

// OfKey reads the pending runs of one order key after one and up to another, lowest first.
func (db *DB) OfKey(ctx context.Context, sub, key int64, after, upTo delivery.ID, limit int) ([]*delivery.Item, error) {
	return db.items(ctx, `SELECT `+itemColumns+` FROM deliveries INDEXED BY deliveries_pending_key
		WHERE state = 0 AND order_key <> 0 AND `+subOfKey(db.in)+` AND order_key = ?
			AND (seq, run) > (?, ?) AND (seq, run) <= (?, ?)
		ORDER BY seq, run LIMIT ?`, sub, key, after.Seq, after.Run, upTo.Seq, upTo.Run, limit)
}

// Replays implements delivery.Store. Rows of a replay that is paused or stopped are left out.
func (db *DB) Replays(ctx context.Context, sub int64, limit int) ([]*delivery.Item, error) {
	return db.items(ctx, `SELECT `+itemColumns+` FROM deliveries INDEXED BY deliveries_replaying
		WHERE state = 7 AND sub = ? AND replay IN (SELECT no FROM jobs WHERE no IS NOT NULL AND state IN (`+jobsAtWork+`))
		ORDER BY seq, run LIMIT ?`, sub, limit)
}

// Replaying implements delivery.Store.
func (db *DB) Replaying(ctx context.Context, shards []int) ([]int64, error) {
	query, args := "SELECT DISTINCT sub FROM deliveries INDEXED BY deliveries_replaying WHERE state = 7", []any(nil)
	if db.in == sqldb.Postgres {
		query += " AND sub % ? = ANY (?)"
		args = []any{subscriptions.Shards, pq.Array(shards)}
	}
	var subs []int64
	if err := db.read.SelectContext(ctx, &subs, query, args...); err != nil {
		return nil, fmt.Errorf("find replays: %w", err)
	}
	return subs, nil
}

// Earlier implements delivery.Store. On SQLite nothing becomes visible late, because
// its one writer commits in the order of numbers.
func (db *DB) Earlier(
	ctx context.Context, sub int64, keys []int64, upTo delivery.ID, limit int,
) ([]*delivery.Item, error) {
	if db.in == sqldb.SQLite {
		return nil, nil
	}
	return db.items(ctx, earlierOfKeys, pq.Array(keys), sub, upTo.Seq, upTo.Run, limit)
}

var earlierOfKeys = `SELECT d.* FROM unnest(?::bigint[]) AS k(key), LATERAL (SELECT ` + itemColumns + ` FROM deliveries
	WHERE state = 0 AND order_key <> 0 AND ` + subOfKey(sqldb.Postgres) + ` AND order_key = k.key AND (seq, run) <= (?, ?)
		ORDER BY seq, run LIMIT ?) d
	ORDER BY d.seq, d.run`

// subOfKey returns the condition on the subscription that stands beside one on the
// order key. PostgreSQL's statistics do not know what is pending at the moment, so
// between an index by subscription and one by order key it would choose by chance, and
// now and then read all that is pending, for each key. That is why the index by order
// key does not hold the subscription, and why this condition fits no index.
func subOfKey(in sqldb.Dialect) string {
	if in == sqldb.Postgres {
		return "sub + 0 = ?"
	}
	return "sub = ?"
}

func (db *DB) items(ctx context.Context, query string, args ...any) ([]*delivery.Item, error) {
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read pending deliveries: %w", err)
	}
	defer rows.Close()
	var items []*delivery.Item
	for rows.Next() {
		i := new(delivery.Item)
		if err := rows.Scan(&i.Sub, &i.Seq, &i.Run, &i.Key, &i.Type, &i.Tries, &i.DueAt, &i.GiveUpAt, &i.AcceptedAt,
			&i.FirstTryAt, &i.AsideAt, &i.Late, &i.Version, &i.Replay); err != nil {
			return nil, fmt.Errorf("read pending deliveries: %w", err)
		}
		items = append(items, i)
	}
	return items, rows.Err()
}

// Load implements delivery.Store.
func (db *DB) Load(ctx context.Context, items []*delivery.Item, m event.Masking) error {
	if err := db.loadEvents(ctx, items); err != nil {
		return err
	}
	for _, i := range items {
		i.Body = nil
		i.Masked = event.Unmasked
		if i.Event != nil {
			i.Body = i.Event.Pushed(event.Unmasked)
		}
	}
	if m == event.Unmasked {
		return nil
	}
	return db.loadMasked(ctx, items, m)
}

// loadMasked gives each item the masked bytes that are stored, or makes them. It asks
// for stored ones even if the event was accepted just now, because another process,
// of another version, may have pushed it already.
func (db *DB) loadMasked(ctx context.Context, items []*delivery.Item, m event.Masking) error {
	args := []any{int64(m)}
	for _, i := range items {
		args = append(args, i.Seq)
	}
	rows, err := db.read.QueryContext(ctx, "SELECT seq, bytes FROM masked_bodies WHERE policy = ? AND seq IN ("+
		sqldb.Values("?", len(items))+")", args...)
	if err != nil {
		return fmt.Errorf("load masked bodies: %w", err)
	}
	defer rows.Close()
	stored := map[int64][]byte{}
	for rows.Next() {
		var seq int64
		var b []byte
		if err := rows.Scan(&seq, &b); err != nil {
			return fmt.Errorf("load masked bodies: %w", err)
		}
		if stored[seq], err = sqldb.DecodeBody(b); err != nil {
			return fmt.Errorf("load masked body of event %d: %w", seq, err)
		}
	}

	// Masked tells the lane that these bytes are to be stored with the attempt.
	for _, i := range items {
		if i.Event == nil {
			continue
		}
		i.Body = stored[i.Seq]
		if i.Body == nil {
			i.Body = i.Event.Pushed(m)
			i.Masked = m
		}
	}
	return rows.Err()
}

// loadEvents fills in the events of the items: from memory when this process has
// just committed them, else with one statement.
func (db *DB) loadEvents(ctx context.Context, items []*delivery.Item) error {
	missing := map[int64][]*delivery.Item{}
	var args []any
	low, high := int64(math.MaxInt64), int64(0)
	for _, i := range items {
		if i.Event == nil {
			i.Event = db.cache.get(i.Seq)
		}
		if i.Event != nil {
			continue
		}
		if missing[i.Seq] == nil {
			args = append(args, i.Seq)
			low, high = min(low, i.Seq), max(high, i.Seq)
		}
		missing[i.Seq] = append(missing[i.Seq], i)
	}
	if len(args) == 0 {
		return nil
	}

	// The range of numbers spares PostgreSQL a look into every partition of events.
	rows, err := db.read.QueryContext(ctx, `SELECT e.tenant, t.company_id, e.seq, e.id, e.type, e.order_key, e.occurred_at,
		e.accepted_at, e.traceparent, e.hops, e.test, b.bytes
		FROM bodies b JOIN events e ON e.tenant = b.tenant AND e.seq = b.seq JOIN tenants t ON t.no = b.tenant
		WHERE b.seq IN (`+sqldb.Values("?", len(args))+") AND e.seq BETWEEN ? AND ?", append(args, low, high)...)
	if err != nil {
		return fmt.Errorf("load events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := new(event.Event)
		var stored []byte
		var trace sql.NullString
		if err := rows.Scan(&e.Tenant, &e.CompanyID, &e.Seq, &e.ID, &e.Type, &e.OrderKey, &e.OccurredAt, &e.AcceptedAt,
			&trace, &e.Hops, &e.Test, &stored); err != nil {
			return fmt.Errorf("load events: %w", err)
		}
		e.Traceparent = trace.String
		e.Completed = sqldb.Completed(stored)
		if e.Body, err = sqldb.DecodeBody(stored); err != nil {
			return fmt.Errorf("load event %s: %w", e.ID, err)
		}
		for _, i := range missing[e.Seq] {
			i.Event = e
		}
	}
	return rows.Err()
}

// Backlog returns how many runs are pending, by subscription.
func (db *DB) Backlog(context.Context) (map[int64]int, error) {
	p := &db.writer.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.bySub), nil
}

// OldestPending returns when the event of the oldest pending run was accepted, Unix
// ms; 0 if nothing is pending. It asks once for each subscription, and looks at no
// more than the 10,000 with the lowest numbers.
func (db *DB) OldestPending(ctx context.Context) (int64, error) {
	backlog, err := db.Backlog(ctx)
	if err != nil {
		return 0, err
	}
	subs := slices.Sorted(maps.Keys(backlog))
	oldest := int64(0)
	for _, sub := range subs[:min(len(subs), 10_000)] {
		var found []int64
		if err := db.read.SelectContext(ctx, &found, `SELECT accepted_at FROM deliveries INDEXED BY deliveries_pending
			WHERE state = 0 AND sub = ? ORDER BY seq LIMIT 1`, sub); err != nil {
			return 0, fmt.Errorf("oldest pending: %w", err)
		}
		for _, at := range found {
			if oldest == 0 || at < oldest {
				oldest = at
			}
		}
	}
	return oldest, nil
}
