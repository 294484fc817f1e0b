package storage

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
)

// callFold keeps what is said of each call, for the boards, and the waits of calls
// that are over.
type callFold struct{}

func (callFold) name() string { return "calls" }

func (callFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	calls, of := map[string]*live.Call{}, make([]string, len(events))
	var ids []any
	for i, e := range events {
		if of[i] = live.CallOf(e); of[i] != "" && calls[of[i]] == nil {
			calls[of[i]] = &live.Call{}
			ids = append(ids, of[i])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var known []callFacts
	if err := tx.SelectContext(ctx, &known, "SELECT call_id, facts FROM live_calls WHERE tenant = ? AND call_id IN ("+values("?", len(ids))+")",
		append([]any{tenant}, ids...)...); err != nil {
		return fmt.Errorf("calls: %w", err)
	}
	for _, k := range known {
		c, err := k.call()
		if err != nil {
			return err
		}
		calls[k.ID] = c
	}
	w := waits{media: "call", was: map[string][]live.Stay{}}
	for id, c := range calls {
		w.was[id] = c.Waits()
	}
	seqs := map[string]int64{}
	for i, e := range events {
		if of[i] != "" {
			calls[of[i]].Add(e)
			seqs[of[i]] = e.Seq
		}
	}
	rows := make([][]any, len(ids))
	for i, of := range ids {
		id := of.(string)
		c := calls[id]
		facts, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("call %s: %w", id, err)
		}
		rows[i] = []any{tenant, id, c.Last, seqs[id], facts}
		w.now(id, seqs[id], c.Waits())
	}
	if err := upsert(ctx, tx, "INSERT INTO live_calls (tenant, call_id, last_at, seq, facts) VALUES", rows,
		"ON CONFLICT (tenant, call_id) DO UPDATE SET last_at = excluded.last_at, seq = excluded.seq, facts = excluded.facts"); err != nil {
		return err
	}
	return w.write(ctx, tx, tenant)
}

func (callFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return cutContacts(ctx, tx, "live_calls", "call", tenant, live.Open)
}

// trim takes away calls of which no event is left.
func (callFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	return cutContacts(ctx, tx, "live_calls", "call", tenant, below)
}

type callFacts struct {
	ID    string `db:"call_id"`
	Seq   int64  `db:"seq"`
	Facts []byte `db:"facts"`
}

func (f *callFacts) call() (*live.Call, error) {
	c := &live.Call{ID: f.ID}
	if err := json.Unmarshal(f.Facts, c); err != nil {
		return nil, fmt.Errorf("call %s: %w", f.ID, err)
	}
	return c, nil
}
