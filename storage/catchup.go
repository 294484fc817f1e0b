package storage

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

// heads are the highest version of a subscription, and the highest mark of a standstill, that
// anybody committed.
type heads struct {
	Version int64 `db:"version"`
	Mark    int64 `db:"mark"`
}

const readHeads = `SELECT (SELECT COALESCE(max(version), 0) FROM subscription_versions) AS version, mark
	FROM standstill_head`

// indexVersion is the version and the mark up to which the matching index has all
// subscriptions. (Index.Version is the highest that it has seen.)
type indexVersion struct {
	mu            sync.Mutex // held by whoever loads what is missing
	version, mark atomic.Int64
}

func (v *indexVersion) get() heads { return heads{v.version.Load(), v.mark.Load()} }

// has reports whether the index has everything up to these heads.
func (v *indexVersion) has(h heads) bool {
	indexed := v.get()
	return indexed.Version >= h.Version && indexed.Mark >= h.Mark
}

func (v *indexVersion) set(to heads) {
	raise(&v.version, to.Version)
	raise(&v.mark, to.Mark)
}

// raise sets n to a value, unless n is higher already.
func raise(n *atomic.Int64, to int64) {
	for {
		at := n.Load()
		if at >= to || n.CompareAndSwap(at, to) {
			return
		}
	}
}

// CatchUp loads into the index what other processes changed of the subscriptions.
// Matching needs no call: each transaction that accepts events catches up by itself.
func (db *DB) CatchUp(ctx context.Context) error { return db.catchUp(ctx, db.read) }

// catchUp loads into the index what q sees of the subscriptions. On SQLite nobody else
// changes them.
func (db *DB) catchUp(ctx context.Context, q sqlx.QueryerContext) error {
	if db.in == sqldb.SQLite {
		return nil
	}
	var head heads
	if err := sqlx.GetContext(ctx, q, &head, readHeads); err != nil {
		return fmt.Errorf("version of subscriptions: %w", err)
	}
	return db.loadChanged(ctx, head)
}

// loadChanged loads into the index what changed of the subscriptions, unless it has everything
// up to there already.
func (db *DB) loadChanged(ctx context.Context, upTo heads) error {
	if db.indexed.has(upTo) {
		return nil
	}
	db.indexed.mu.Lock()
	defer db.indexed.mu.Unlock()
	if db.indexed.has(upTo) { // another goroutine has just done it
		return nil
	}
	indexed := db.indexed.get()

	ctx, cancel := context.WithTimeout(ctx, sqldb.WriterWait)
	defer cancel()
	var head heads
	var changed []*subscriptions.Subscription
	if err := db.snapshot(ctx, "load changed subscriptions", func(snap snapshot) error {
		if err := sqlx.GetContext(ctx, snap.Q, &head, readHeads); err != nil {
			return err
		}
		var rows []subscriptionRow
		if err := sqlx.SelectContext(ctx, snap.Q, &rows,
			"SELECT "+subscriptionColumns+subscriptionTables+"WHERE s.version > ? OR s.still_mark > ?",
			indexed.Version, indexed.Mark); err != nil {
			return err
		}
		for i := range rows {
			s, err := db.withKeys(ctx, snap.Q, &rows[i])
			if err != nil {
				return err
			}
			changed = append(changed, s.Subscription)
		}
		return nil
	}); err != nil {
		return err
	}

	// The index first: lanes look at it when they are told of a change.
	for _, s := range changed {
		db.index.Put(s)
	}
	db.indexed.set(head)
	for _, s := range changed {
		if s.Version > indexed.Version {
			db.nudgeLane(s.No)
		}
	}
	return nil
}
