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

// indexVersion is the version of the subscriptions up to which the matching
// index knows all of them. (Index.Version is the highest that it has seen.)
type indexVersion struct {
	mu sync.Mutex // of those who load what is missing
	at atomic.Int64
}

func (v *indexVersion) get() int64 { return v.at.Load() }

func (v *indexVersion) set(to int64) {
	for {
		at := v.at.Load()
		if at >= to || v.at.CompareAndSwap(at, to) {
			return
		}
	}
}

// catchUp loads what other processes changed of the subscriptions, unless the
// index knows them up to a version already.
func (db *DB) catchUp(ctx context.Context, version int64) error {
	if db.known.get() >= version {
		return nil
	}
	db.known.mu.Lock()
	defer db.known.mu.Unlock()
	known := db.known.get()
	if known >= version { // somebody else did it meanwhile
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sqldb.WriterWait)
	defer cancel()
	var head int64
	var changed []*subscriptions.Subscription
	if err := db.snapshot(ctx, "load changed subscriptions", func(snap snapshot) error {
		if err := sqlx.GetContext(ctx, snap.Q, &head, headVersion); err != nil {
			return err
		}
		var rows []subscriptionRow
		if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT "+subscriptionColumns+subscriptionTables+"WHERE s.version > ?", known); err != nil {
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
		db.tellLane(s.No)
	}
	return nil
}

const headVersion = "SELECT COALESCE(max(version), 0) FROM subscription_versions"

// CatchUp loads what other processes changed of the subscriptions. Matching
// needs no call: each transaction that accepts events sees to it.
func (db *DB) CatchUp(ctx context.Context) error { return db.catchUpTo(ctx, db.read) }

// catchUpTo is catchUp to what q sees.
func (db *DB) catchUpTo(ctx context.Context, q sqlx.QueryerContext) error {
	if db.in == sqldb.SQLite { // whoever changes them is here
		return nil
	}
	var head int64
	if err := sqlx.GetContext(ctx, q, &head, headVersion); err != nil {
		return fmt.Errorf("version of subscriptions: %w", err)
	}
	return db.catchUp(ctx, head)
}
