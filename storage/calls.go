package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

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

// FindLive implements live.Store.
func (f *Folds) FindLive(ctx context.Context, tenant, since int64) (agents []live.Seen, calls []*live.Call, err error) {
	err = f.ask(ctx, tenant, "find agents and calls", func(l log) error {
		agents, calls, err = l.live(ctx, tenant, since, f.callsOf(tenant))
		return err
	})
	return agents, calls, err
}

func (l log) live(ctx context.Context, tenant, since int64, boards *boardCalls) (agents []live.Seen, calls []*live.Call, err error) {
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
	calls, err = boards.find(ctx, l, tenant, since)
	return agents, calls, err
}

// boardCalls are the calls of a tenant that boards asked for last, so that each is
// read once: only those that have changed are read again.
type boardCalls struct {
	mu    sync.Mutex
	since int64 // all calls whose last time is not before it are here
	seq   int64 // as of this event
	calls map[string]boardCall
}

type boardCall struct {
	*live.Call
	seq int64
}

// callsOld is how much older than asked for calls get before they are dropped, ms.
const callsOld = dayMS

func (f *Folds) callsOf(tenant int64) *boardCalls {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boards[tenant] == nil {
		f.boards[tenant] = &boardCalls{}
	}
	return f.boards[tenant]
}

// dropCalls of a tenant whose last event is below a number: retention takes them away.
func (f *Folds) dropCalls(tenant, below int64) {
	b := f.callsOf(tenant)
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.calls, func(_ string, c boardCall) bool { return c.seq < below })
}

// forgetCalls of a tenant: its rows are made anew.
func (f *Folds) forgetCalls(tenant int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.boards, tenant)
}

func (b *boardCalls) find(ctx context.Context, l log, tenant, since int64) (calls []*live.Call, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil || since < b.since || since-b.since > callsOld {
		b.calls, b.since, b.seq = map[string]boardCall{}, since, 0
	}
	var changed []callFacts
	where, args := "seq > ?", []any{tenant, b.seq}
	if b.seq == 0 {
		where, args = "last_at >= ?", []any{tenant, b.since}
	}
	if err := sqlx.SelectContext(ctx, l.q, &changed, "SELECT call_id, seq, facts FROM live_calls WHERE tenant = ? AND "+where, args...); err != nil {
		return nil, err
	}
	for _, k := range changed {
		b.seq = max(b.seq, k.Seq)
		if k.Seq < b.calls[k.ID].seq { // of a state of the store before the last
			continue
		}
		c, err := k.call()
		if err != nil {
			b.calls = nil
			return nil, err
		}
		if c.Last >= b.since {
			c.Prepare()
			b.calls[k.ID] = boardCall{c, k.Seq}
		}
	}
	calls = make([]*live.Call, 0, len(b.calls))
	for _, c := range b.calls {
		if c.Last >= since {
			calls = append(calls, c.Call)
		}
	}
	return calls, nil
}
