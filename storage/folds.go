package storage

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/folds"
)

// NewFolds returns the folds of a store that is open.
func NewFolds(db *DB) *folds.Folds {
	return folds.New(folds.Config{
		Store: foldStore{db}, In: db.in, Read: db.read, Write: db.pool, Key: db.box.Subkey(signing.LabelReport),
		Subjects: db.subjects, Log: db.log,
	})
}

var _ folds.Store = foldStore{}

// foldStore is the store as its folds see it.
type foldStore struct{ db *DB }

// EventsAfter implements folds.Store.
func (s foldStore) EventsAfter(tenant, seq int64, n int) (events []*event.Event, here bool) {
	return s.db.cache.after(tenant, seq, n)
}

// LastEvent implements folds.Store.
func (s foldStore) LastEvent(tenant int64) int64 { return s.db.cache.last(tenant) }

// LastEvents implements folds.Store.
func (s foldStore) LastEvents() map[int64]int64 { return s.db.cache.lasts() }

// Writes implements folds.Store.
func (s foldStore) Writes() bool { return s.db.writer.hasWork() }

// Step implements folds.Store. Its statements are prepared on the connection that the one
// worker of SQLite keeps, on which the transaction is.
func (s foldStore) Step(ctx context.Context, fn func(tx folds.Tx) error) error {
	w := s.db.writer
	return w.change(ctx, &adminOp{what: "fold", fold: true, fn: func(*sqlx.Tx) error {
		w.busy.Store(false)
		return fn(w.workers[0].folds)
	}})
}
