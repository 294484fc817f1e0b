package folds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// subjectFold keeps the index by which events are found by a customer's phone number: the
// code of each number that masking finds in an event. Test events are not in it.
//
// A store that had events before it had this fold is indexed in two directions: what is new
// by the fold, like all others, and what is old by Index, the newest first, so that no other
// fold waits for it. The mark indexed says how far that came.
type subjectFold struct{ subjects search.Subjects }

func (subjectFold) name() string { return "subjects" }

// indexed is a mark: from this number on a tenant's events are in the index of numbers. A
// tenant without it has all of them there. A migration sets it.
const indexed = "-indexed"

func (g subjectFold) plan(tenant int64, records []record.Record) change {
	c := subjectChange{}
	for i := range records {
		c = g.add(c, tenant, records[i].Event)
	}
	return c
}

// add adds the rows of an event.
func (g subjectFold) add(rows subjectChange, tenant int64, e *event.Event) subjectChange {
	for _, number := range event.CustomerNumbers(e.Type, e.Body) {
		rows = append(rows, []any{tenant, g.subjects.Of(tenant, number), e.Seq})
	}
	return rows
}

// subjectChange is rows to add: tenant, code, number of the event.
type subjectChange [][]any

func (c subjectChange) apply(ctx context.Context, tx Tx) error {
	return upsert(ctx, tx, "INSERT INTO subjects (tenant, subject, seq) VALUES", c,
		"ON CONFLICT (tenant, subject, seq) DO NOTHING")
}

// reset deletes some of the rows. With the last of them goes the mark: the fold comes past
// all events again.
func (g subjectFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	if more, err = g.trim(ctx, tx, tenant, 1<<62); err != nil || more {
		return more, err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM folds WHERE tenant = ? AND name = ?", tenant, indexed)
	return false, err
}

// trim deletes some of the rows of events below a number.
func (subjectFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	var to int64
	err = tx.GetContext(ctx, &to, "SELECT seq + 1 FROM subjects WHERE tenant = ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?",
		tenant, below, chunk-1)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		to = below
	case err != nil:
		return false, fmt.Errorf("subjects: %w", err)
	default:
		more = true
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM subjects WHERE tenant = ? AND seq < ?", tenant, to); err != nil {
		return false, fmt.Errorf("subjects: %w", err)
	}
	return more, nil
}

// IndexedRange returns the range [low, below) of a tenant's events that are in the index of
// numbers; below is 0 while it is made again.
func IndexedRange(ctx context.Context, q sqlx.QueryerContext, tenant int64) (low, below int64, err error) {
	var rows []positionRow
	err = sqlx.SelectContext(ctx, q, &rows, "SELECT name, position FROM folds WHERE tenant = ? AND name IN (?, ?)",
		tenant, subjectFold{}.name(), indexed)
	at := positionsByName(rows)
	return at[indexed], at[subjectFold{}.name()] + 1, err
}

// numberIndex returns the fold that keeps the index of numbers; false if it is not kept.
func (f *Folds) numberIndex() (subjectFold, bool) {
	for _, g := range f.all {
		if s, is := g.(subjectFold); is {
			return s, true
		}
	}
	return subjectFold{}, false
}

// WaitIndexed waits until the index of numbers has what a tenant accepted before the call,
// for as long as atMost allows, and returns what it has then. It is no error if the time was
// not enough.
func (f *Folds) WaitIndexed(ctx context.Context, tenant int64, atMost time.Duration) (search.Indexed, error) {
	to, whole, err := f.waitIndexed(ctx, tenant, atMost)
	if err != nil {
		return search.Indexed{}, fmt.Errorf("index of numbers: %w", err)
	}

	var as search.Indexed
	err = f.snapshot(ctx, "index of numbers", func(snap snapshot) error {
		at, err := f.positions(ctx, snap.Q, tenant)
		if err != nil {
			return err
		}
		if from := at[indexed]; from > 0 {
			err := sqlx.GetContext(ctx, snap.Q, &as.From, `SELECT coalesce((SELECT accepted_at FROM events
				WHERE tenant = ? AND seq >= ? ORDER BY seq LIMIT 1), 0)`, tenant, from)
			if err != nil {
				return err
			}
		}
		if position := at[subjectFold{}.name()]; !whole || position < to {
			return sqlx.GetContext(ctx, snap.Q, &as.Behind, `SELECT count(*) FROM (SELECT seq FROM events
				WHERE tenant = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?) k`, tenant, position, to, mostCounted)
		}
		return nil
	})
	return as, err
}

// waitIndexed folds up to what a tenant has accepted, unless the index of numbers is there
// already: other folds may be behind. whole is false if the time was over before.
func (f *Folds) waitIndexed(ctx context.Context, tenant int64, atMost time.Duration) (to int64, whole bool, err error) {
	bound, stop := context.WithTimeout(ctx, atMost)
	defer stop()
	if to, err = f.horizon(bound, tenant); err == nil && f.came(tenant) < to {
		var at map[string]int64
		if at, err = f.positions(bound, f.cfg.Read, tenant); err == nil && at[subjectFold{}.name()] < to {
			to, err = f.foldTo(bound, tenant)
		}
	}
	if err == nil || bound.Err() == nil || ctx.Err() != nil {
		return to, err == nil, err
	}
	to, err = f.lastNumber(ctx, tenant)
	return to, false, err
}

// indexEvery is the time between two looks for tenants whose events are to be indexed. They
// are there when a store is first opened by a version that indexes; afterwards there are none.
const indexEvery = time.Minute

// runIndex indexes what was accepted before there was an index, until ctx ends. On
// PostgreSQL one process does it.
func (f *Folds) runIndex(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.cfg.In.Try(ctx, f.cfg.Write, sqldb.TurnIndexing, func() error { return f.Index(ctx) })
		if err != nil && ctx.Err() == nil && !errors.Is(err, sqldb.ErrClosed) {
			f.cfg.Log.Error("index of numbers", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(indexEvery):
		}
	}
}

// Index indexes the numbers of all events that were accepted before there was an index,
// tenant by tenant in turns.
func (f *Folds) Index(ctx context.Context) error {
	if _, kept := f.numberIndex(); !kept {
		return nil
	}
	var tenants []int64
	if err := f.cfg.Read.SelectContext(ctx, &tenants, "SELECT tenant FROM folds WHERE name = ? ORDER BY tenant", indexed); err != nil {
		return err
	}
	for len(tenants) > 0 {
		var left []int64
		for _, t := range tenants {
			more, err := f.indexStep(ctx, t)
			if err != nil {
				return fmt.Errorf("tenant %d: %w", t, err)
			}
			if more {
				left = append(left, t)
			}
		}
		tenants = left
	}
	return nil
}

// indexStep indexes the newest events of a tenant that are not indexed. more: there are
// others left.
func (f *Folds) indexStep(ctx context.Context, tenant int64) (more bool, err error) {
	at, err := f.positions(ctx, f.cfg.Read, tenant)
	if err != nil {
		return false, err
	}
	from := at[indexed]
	if from == 0 || at[subjectFold{}.name()] == resetting { // done, or all are indexed again
		return false, nil
	}
	rows, to, more, err := f.unindexed(ctx, tenant, from)
	if err != nil {
		return false, err
	}

	err = f.transact(ctx, tenant, func(tx Tx) error {
		// The mark moves first: if a rebuild took it away, nothing is written behind that.
		query, args := "UPDATE folds SET position = ? WHERE tenant = ? AND name = ? AND position = ?", []any{to, tenant, indexed, from}
		if !more {
			query, args = "DELETE FROM folds WHERE tenant = ? AND name = ? AND position = ?", args[1:]
		}
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return rows.apply(ctx, tx)
	})
	return more, err
}

// unindexed reads the newest events below a number, as many as a step looks at, and returns
// their rows and the number down to which that is. more: there are others below.
func (f *Folds) unindexed(ctx context.Context, tenant, below int64) (rows subjectChange, to int64, more bool, err error) {
	g, _ := f.numberIndex()
	found, err := f.cfg.Read.QueryContext(ctx, `SELECT e.seq, e.type, e.test, b.bytes FROM events e JOIN bodies b ON b.seq = e.seq
		WHERE e.tenant = ? AND e.seq < ? AND e.seq >= coalesce((SELECT payload FROM retention WHERE tenant = ?), 0)
		ORDER BY e.seq DESC LIMIT ?`, tenant, below, tenant, foldEvents)
	if err != nil {
		return nil, 0, false, err
	}
	defer found.Close()

	n, size := 0, 0
	for ; size <= foldBytes && found.Next(); n++ {
		e := &event.Event{Tenant: tenant}
		var body sql.RawBytes
		if err := found.Scan(&e.Seq, &e.Type, &e.Test, &body); err != nil {
			return nil, 0, false, err
		}
		if e.Body, err = sqldb.DecodeBody(body); err != nil {
			return nil, 0, false, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		to = e.Seq
		size += len(e.Body)
		if !e.Test {
			rows = g.add(rows, tenant, e)
		}
	}
	return rows, to, n == foldEvents || size > foldBytes, found.Err()
}
