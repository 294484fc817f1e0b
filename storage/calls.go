package storage

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
)

var _ live.Store = (*Folds)(nil)

// callFold keeps what is said of each call, for the boards.
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
	seqs := map[string]int64{}
	for i, e := range events {
		if of[i] != "" {
			calls[of[i]].Add(e)
			seqs[of[i]] = e.Seq
		}
	}
	rows := make([][]any, len(ids))
	for i, id := range ids {
		c := calls[id.(string)]
		facts, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("call %s: %w", id, err)
		}
		rows[i] = []any{tenant, id, c.Last, seqs[id.(string)], facts}
	}
	return upsert(ctx, tx, "INSERT INTO live_calls (tenant, call_id, last_at, seq, facts) VALUES", rows,
		"ON CONFLICT (tenant, call_id) DO UPDATE SET last_at = excluded.last_at, seq = excluded.seq, facts = excluded.facts")
}

func (callFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return cut(ctx, tx, "live_calls", "seq", tenant, live.Open)
}

// trim takes away calls of which no event is left.
func (callFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	return cut(ctx, tx, "live_calls", "seq", tenant, below)
}

type callFacts struct {
	ID    string `db:"call_id"`
	Facts []byte `db:"facts"`
}

func (f *callFacts) call() (*live.Call, error) {
	c := &live.Call{ID: f.ID}
	if err := json.Unmarshal(f.Facts, c); err != nil {
		return nil, fmt.Errorf("call %s: %w", f.ID, err)
	}
	return c, nil
}

// FindLive implements live.Store.
func (f *Folds) FindLive(ctx context.Context, tenant, since int64) (agents []live.Seen, calls []*live.Call, err error) {
	err = f.ask(ctx, tenant, "find agents and calls", func(l log) error {
		agents, calls, err = l.live(ctx, tenant, since)
		return err
	})
	return agents, calls, err
}

func (l log) live(ctx context.Context, tenant, since int64) (agents []live.Seen, calls []*live.Call, err error) {
	var rows []struct {
		seenAgent
		live.Known
	}
	if err := sqlx.SelectContext(ctx, l.q, &rows, "SELECT "+seenColumns+`, a.first_at, CASE WHEN s.agent IS NULL THEN 0 ELSE 1 END AS statuses,
			coalesce(s.login, 0) AS login, coalesce(s.reason, 0) AS reason, coalesce(s.work, 0) AS work,
			coalesce(s.login_at, 0) AS login_at, coalesce(s.reason_at, 0) AS reason_at, coalesce(s.work_at, 0) AS work_at,
			coalesce(t.call_id, '') AS call_id, coalesce(t.call_type, 0) AS call_type
		FROM seen_agents a
		LEFT JOIN agent_stretches s ON s.tenant = a.tenant AND s.agent = a.agent AND s.start_at =
			(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = a.tenant AND x.agent = a.agent)
		LEFT JOIN agent_statuses t ON t.tenant = a.tenant AND t.agent = a.agent AND t.start_at =
			(SELECT max(y.start_at) FROM agent_statuses y WHERE y.tenant = a.tenant AND y.agent = a.agent)
		WHERE a.tenant = ?`, tenant); err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		agents = append(agents, live.Seen{Agent: r.agent(), Known: r.Known})
	}
	var found []callFacts
	if err := sqlx.SelectContext(ctx, l.q, &found, "SELECT call_id, facts FROM live_calls WHERE tenant = ? AND last_at >= ?", tenant, since); err != nil {
		return nil, nil, err
	}
	for _, k := range found {
		c, err := k.call()
		if err != nil {
			return nil, nil, err
		}
		calls = append(calls, c)
	}
	return agents, calls, nil
}
