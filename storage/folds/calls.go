package folds

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage/internal/sqldb"
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
			calls[of[i]] = &live.Call{ID: of[i]}
			ids = append(ids, of[i])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var known []callFacts
	if err := tx.SelectContext(ctx, &known, "SELECT call_id, facts FROM live_calls WHERE tenant = ? AND call_id IN ("+sqldb.Values("?", len(ids))+")",
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
	w := waits{media: "call", was: map[string][]live.Wait{}}
	ends := map[string]map[string]int64{}
	for id, c := range calls {
		w.was[id], ends[id] = c.EndedWaits(), c.Ends()
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
		w.now(id, seqs[id], c.EndedWaits())
	}
	if err := upsert(ctx, tx, "INSERT INTO live_calls (tenant, call_id, last_at, seq, facts) VALUES", rows,
		"ON CONFLICT (tenant, call_id) DO UPDATE SET last_at = excluded.last_at, seq = excluded.seq, facts = excluded.facts"); err != nil {
		return err
	}
	if err := w.write(ctx, tx, tenant); err != nil {
		return err
	}
	for id, c := range calls {
		for agent := range ends[id] { // whoever it was before may not have been
			ends[id][agent] = 0
		}
		maps.Copy(ends[id], c.Ends())
	}
	return writeEnds(ctx, tx, tenant, calls, ends, seqs)
}

// writeEnds keeps when the parties of agents who never told their state ended:
// that is how long they are free.
func writeEnds(ctx context.Context, tx *sqlx.Tx, tenant int64, calls map[string]*live.Call, ends map[string]map[string]int64, seqs map[string]int64) error {
	agents := map[string]bool{}
	for _, of := range ends {
		for agent := range of {
			agents[agent] = true
		}
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(agents)), upsertRows) {
		args := []any{tenant}
		for _, a := range some {
			args = append(args, a)
		}
		var told []string
		if err := tx.SelectContext(ctx, &told, "SELECT agent FROM seen_agents s WHERE tenant = ? AND agent IN ("+sqldb.Values("?", len(some))+`)
			AND EXISTS (SELECT 1 FROM agent_statuses t WHERE t.tenant = s.tenant AND t.agent = s.agent)`, args...); err != nil {
			return fmt.Errorf("agents of calls: %w", err)
		}
		for _, a := range told {
			delete(agents, a)
		}
	}
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(ends)) {
		for _, agent := range slices.Sorted(maps.Keys(ends[id])) {
			if agents[agent] {
				rows = append(rows, []any{tenant, agent, id, ends[id][agent], calls[id].Last, seqs[id]})
			}
		}
	}
	return upsert(ctx, tx, "INSERT INTO agent_calls (tenant, agent, call_id, until, last_at, seq) VALUES", rows,
		"ON CONFLICT (tenant, agent, call_id) DO UPDATE SET until = excluded.until, last_at = excluded.last_at, seq = excluded.seq")
}

func (callFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return cutCalls(ctx, tx, tenant, live.Open)
}

// trim takes away calls of which no event is left.
func (callFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	return cutCalls(ctx, tx, tenant, below)
}

func cutCalls(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	left, err := cut(ctx, tx, "agent_calls", "seq", tenant, below)
	if err != nil {
		return false, err
	}
	more, err = cutContacts(ctx, tx, "live_calls", "call", tenant, below)
	return more || left, err
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
