package folds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/hub/search"
)

// Most tests of this package open a whole store, which is built on it, so they
// stand outside. This file is what they see of the inside.

// Bounds of steps and pages.
const (
	StepEvents = foldEvents
	StatusPage = statusPage
)

// Columns of the tables of reports.
const (
	ReportCallColumns  = reportCallColumns
	ReportPartyColumns = reportPartyColumns
	ReportStateColumns = reportStateColumns
)

var (
	Upsert       = upsert
	SumPartiesOf = sumPartiesOf
)

// Tally is a fold that counts what it is given, and notes the last number.
type Tally struct {
	As    string
	Fail  error // what apply returns, if not nil
	Unfit int64 // number of an event that the database refuses

	mu    sync.Mutex
	turns []int64 // tenants, in the order in which steps applied events of theirs
}

// Turns returns the tenants whose events were applied, step by step.
func (f *Tally) Turns() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.turns)
}

func (f *Tally) name() string { return f.As }

func (f *Tally) plan(tenant int64, records []record.Record) change {
	return &tallyChange{f, tenant, records}
}

type tallyChange struct {
	*Tally
	tenant  int64
	records []record.Record
}

func (f *tallyChange) apply(ctx context.Context, tx Tx) error {
	f.mu.Lock()
	f.turns = append(f.turns, f.tenant)
	f.mu.Unlock()
	for i := range f.records {
		e := f.records[i].Event
		times := 1
		if e.Seq == f.Unfit {
			times = 2 // its key is unique
		}
		for range times {
			if _, err := tx.ExecContext(ctx, "INSERT INTO tally (fold, tenant, seq, body) VALUES (?, ?, ?, ?)", f.As, f.tenant, e.Seq, string(e.Body)); err != nil {
				return err
			}
		}
	}
	return f.Fail
}

func (f *Tally) reset(ctx context.Context, tx Tx, tenant int64) (bool, error) {
	res, err := tx.ExecContext(ctx, `DELETE FROM tally WHERE fold = ? AND tenant = ? AND seq <=
		(SELECT min(seq) + 99 FROM tally WHERE fold = ? AND tenant = ?)`, f.As, tenant, f.As, tenant)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// Use replaces all folds by tallies.
func (f *Folds) Use(tallies ...*Tally) {
	f.all = nil
	for _, t := range tallies {
		f.all = append(f.all, t)
	}
}

// Only leaves nothing but the fold of this name.
func (f *Folds) Only(name string) {
	f.all = slices.DeleteFunc(f.all, func(g fold) bool { return g.name() != name })
}

// Replay applies events with each fold, in two steps, and then takes away what came
// from the first of them; test is run with the name of the fold, and runs all that.
func (f *Folds) Replay(ctx context.Context, tenant int64, events []*event.Event, test func(name string, replay func(tx *sqlx.Tx) error)) {
	half := len(events) / 2
	for _, g := range f.all {
		test(g.name(), func(tx *sqlx.Tx) error {
			for _, some := range [][]*event.Event{events[:half], events[half:]} {
				if err := g.plan(tenant, record.ReadAll(some)).apply(ctx, tx); err != nil {
					return err
				}
			}
			if old, is := g.(trimmer); is {
				_, err := old.trim(ctx, tx, tenant, int64(half))
				return err
			}
			return nil
		})
	}
}

// Positions returns the positions of all folds of a tenant, by name.
func Positions(ctx context.Context, q sqlx.QueryerContext, tenant int64) (map[string]int64, error) {
	var rows []positionRow
	err := sqlx.SelectContext(ctx, q, &rows, fmt.Sprintf("SELECT name, position FROM folds WHERE tenant = %d", tenant))
	return positionsByName(rows), err
}

// StepTime sets how long a step may have the writer. With 0 each step applies one event.
func (f *Folds) StepTime(d time.Duration) {
	f.stepTime = d
	f.aloneTime = d
	f.leastPiece = 1
}

// Step makes one step, and reports whether there are others.
func (f *Folds) Step(ctx context.Context, tenant, to int64) (more bool, err error) {
	return f.step(ctx, tenant, to)
}

// Lowest returns the lowest position of a tenant's folds.
func (f *Folds) Lowest(ctx context.Context, tenant int64) (int64, error) {
	return f.lowest(ctx, f.cfg.Read, tenant)
}

// Ask runs fn on one state of the database in which all that was accepted before
// is folded.
func (f *Folds) Ask(ctx context.Context, tenant int64, fn func(q sqlx.QueryerContext) error) error {
	return f.ask(ctx, tenant, "ask", func(snap snapshot) error { return fn(snap.Q) })
}

// Pack makes the blocks of the hours that are over.
func (f *Folds) Pack(ctx context.Context, now time.Time) error { return f.pack(ctx, now) }

// Packed returns the blocks that a report about a span makes because there are none.
func (f *Folds) Packed(ctx context.Context, tenant int64, kind report.Kind, span report.Span) ([]packedBlock, error) {
	r := &reportReader{tenant: tenant, quiet: time.Now().UnixMilli()}
	err := f.snapshot(ctx, "test", func(snap snapshot) error {
		r.snapshot = snap
		return r.Blocks(ctx, kind, span, func(*report.Block) error { return nil })
	})
	return r.packed, err
}

// Keep keeps such blocks.
func (f *Folds) Keep(ctx context.Context, tenant int64, packed []packedBlock) error {
	return f.keep(ctx, tenant, packed)
}

// Snapshot is one state of the database.
type Snapshot = snapshot

// Calls asks for a page of records.
func (snap snapshot) Calls(ctx context.Context, of *search.CallFilter) error {
	_, _, err := snap.calls(ctx, of)
	return err
}

// Call asks for the records of a call.
func (snap snapshot) Call(ctx context.Context, tenant int64, callID string) error {
	_, _, err := snap.call(ctx, tenant, record.Telemarketing, callID)
	return err
}

// Stretches asks for a page of histories.
func (snap snapshot) Stretches(ctx context.Context, of *live.HistoryFilter) error {
	_, _, err := snap.stretches(ctx, of)
	return err
}

// Boards asks all that boards are made of: the first time, and what has changed.
func (snap snapshot) Boards(ctx context.Context, tenant int64) error {
	for _, upTo := range []int64{0, 7} {
		s := &factCache{cachedFacts: newCachedFacts(1, [2]int64{})}
		s.upTo = upTo
		if err := s.read(ctx, snap, tenant); err != nil {
			return err
		}
		if err := s.readStretches(ctx, snap, tenant, []string{"ua"}); err != nil {
			return err
		}
		s.agents["ua"] = &seenRow{AgentState: live.AgentState{State: record.State{Work: 7}, CallID: "c"}}
		if err := s.readCalls(ctx, snap, tenant); err != nil {
			return err
		}
	}
	return errors.Join(snap.eachChat(ctx, tenant, 1, 2, nil), snap.eachStretch(ctx, tenant, 1, 2, nil), snap.eachWait(ctx, tenant, 1, 2, nil))
}
