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

// heads are the highest version of a subscription and the highest mark of a
// standstill that somebody committed.
type heads struct {
	Version int64 `db:"version"`
	Mark    int64 `db:"mark"`
}

const readHeads = "SELECT (SELECT COALESCE(max(version), 0) FROM subscription_versions) AS version, mark FROM standstill_head"

// indexVersion says up to which version and mark the matching index knows all
// subscriptions. (Index.Version is the highest that it has seen.)
type indexVersion struct {
	mu            sync.Mutex // of those who load what is missing
	version, mark atomic.Int64
}

func (v *indexVersion) get() heads { return heads{v.version.Load(), v.mark.Load()} }

// knows reports whether nothing up to there is missing.
func (v *indexVersion) knows(h heads) bool {
	known := v.get()
	return known.Version >= h.Version && known.Mark >= h.Mark
}

func (v *indexVersion) set(to heads) {
	raise(&v.version, to.Version)
	raise(&v.mark, to.Mark)
}

// raise n to a value, unless it is higher already.
func raise(n *atomic.Int64, to int64) {
	for {
		at := n.Load()
		if at >= to || n.CompareAndSwap(at, to) {
			return
		}
	}
}

// catchUp loads what other processes changed of the subscriptions, unless the
// index knows them up to there already.
func (db *DB) catchUp(ctx context.Context, upTo heads) error {
	if db.known.knows(upTo) {
		return nil
	}
	db.known.mu.Lock()
	defer db.known.mu.Unlock()
	if db.known.knows(upTo) { // somebody else did it meanwhile
		return nil
	}
	known := db.known.get()

	ctx, cancel := context.WithTimeout(ctx, sqldb.WriterWait)
	defer cancel()
	var head heads
	var changed []*subscriptions.Subscription
	if err := db.snapshot(ctx, "load changed subscriptions", func(snap snapshot) error {
		if err := sqlx.GetContext(ctx, snap.Q, &head, readHeads); err != nil {
			return err
		}
		var rows []subscriptionRow
		if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT "+subscriptionColumns+subscriptionTables+"WHERE s.version > ? OR s.still_mark > ?",
			known.Version, known.Mark); err != nil {
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

	for _, s := range changed {
		db.index.Put(s)
	}
	db.known.set(head)
	for _, s := range changed {
		if s.Version > known.Version {
			db.tellLane(s.No)
		}
	}
	return nil
}

// CatchUp loads what other processes changed of the subscriptions. Matching
// needs no call: each transaction that accepts events sees to it.
func (db *DB) CatchUp(ctx context.Context) error { return db.catchUpTo(ctx, db.read) }

// catchUpTo is catchUp to what q sees.
func (db *DB) catchUpTo(ctx context.Context, q sqlx.QueryerContext) error {
	if db.in == sqldb.SQLite { // whoever changes them is here
		return nil
	}
	var head heads
	if err := sqlx.GetContext(ctx, q, &head, readHeads); err != nil {
		return fmt.Errorf("version of subscriptions: %w", err)
	}
	return db.catchUp(ctx, head)
}
