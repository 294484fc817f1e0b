package folds

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

// callFold keeps what is said of each call, for the boards (live_calls), the waits of calls
// that are over (waits), and when agents without a status were done with their calls
// (agent_calls).
type callFold struct{}

func (callFold) name() string { return "calls" }

func (callFold) plan(tenant int64, records []record.Record) change {
	return &callChange{tenant: tenant, contacts: contactsOf(records, (*record.Record).CallID)}
}

// contacts are the calls or chats that a step's events are about.
type contacts struct {
	ids     []string // in the order in which they came
	records map[string][]*record.Record
}

// contactsOf returns the contacts that id finds in records; "" is none.
func contactsOf(records []record.Record, id func(*record.Record) string) contacts {
	c := contacts{records: map[string][]*record.Record{}}
	for i := range records {
		r := &records[i]
		of := id(r)
		if of == "" {
			continue
		}
		if c.records[of] == nil {
			c.ids = append(c.ids, of)
		}
		c.records[of] = append(c.records[of], r)
	}
	return c
}

// seq returns the number of the last event about a contact.
func (c *contacts) seq(id string) int64 {
	all := c.records[id]
	return all[len(all)-1].Event.Seq
}

// callChange is what a step changes about calls.
type callChange struct {
	tenant int64
	contacts
}

func (c *callChange) apply(ctx context.Context, tx Tx) error {
	if len(c.ids) == 0 {
		return nil
	}
	calls, err := c.load(ctx, tx)
	if err != nil {
		return err
	}

	// What was kept of the calls, to see what changes: their waits, and the ends of their
	// agents' parties. An agent of before may be none now; then its end is 0.
	waits := waitChange{media: "call", before: map[string][]live.Wait{}}
	ends := map[string]map[string]int64{}
	for id, call := range calls {
		waits.before[id] = call.EndedWaits()
		ends[id] = call.Ends()
		for agent := range ends[id] {
			ends[id][agent] = 0
		}
	}

	rows := make([][]any, len(c.ids))
	for i, id := range c.ids {
		call := calls[id]
		for _, r := range c.records[id] {
			call.Add(r)
		}
		facts, err := json.Marshal(call)
		if err != nil {
			return fmt.Errorf("call %s: %w", id, err)
		}
		rows[i] = []any{c.tenant, id, call.Last, c.seq(id), facts}
		waits.add(id, c.seq(id), call.EndedWaits())
		maps.Copy(ends[id], call.Ends())
	}

	if err := upsert(ctx, tx, "INSERT INTO live_calls (tenant, call_id, last_at, seq, facts) VALUES", rows,
		"ON CONFLICT (tenant, call_id) DO UPDATE SET last_at = excluded.last_at, seq = excluded.seq, facts = excluded.facts"); err != nil {
		return err
	}
	if err := waits.write(ctx, tx, c.tenant); err != nil {
		return err
	}
	return c.writeEnds(ctx, tx, calls, ends)
}

// load reads what is kept of the calls; a call of which nothing is kept is empty.
func (c *callChange) load(ctx context.Context, tx Tx) (map[string]*live.Call, error) {
	calls := map[string]*live.Call{}
	for _, id := range c.ids {
		calls[id] = &live.Call{ID: id}
	}
	for list, args := range lists(c.ids, c.tenant) {
		var rows []callFacts
		if err := tx.SelectContext(ctx, &rows, "SELECT call_id, facts FROM live_calls WHERE tenant = ? AND call_id IN "+list, args...); err != nil {
			return nil, fmt.Errorf("calls: %w", err)
		}
		for i := range rows {
			call, err := rows[i].call()
			if err != nil {
				return nil, err
			}
			calls[call.ID] = call
		}
	}
	return calls, nil
}

// writeEnds keeps when the parties of agents without a status ended: since then they are
// free. ends has the times by call and agent.
func (c *callChange) writeEnds(ctx context.Context, tx Tx, calls map[string]*live.Call, ends map[string]map[string]int64) error {
	without := map[string]bool{}
	for _, of := range ends {
		for agent := range of {
			without[agent] = true
		}
	}
	for list, args := range lists(slices.Sorted(maps.Keys(without)), c.tenant) {
		var withStatus []string
		if err := tx.SelectContext(ctx, &withStatus, "SELECT agent FROM seen_agents s WHERE tenant = ? AND agent IN "+list+`
			AND EXISTS (SELECT 1 FROM agent_statuses t WHERE t.tenant = s.tenant AND t.agent = s.agent)`, args...); err != nil {
			return fmt.Errorf("agents of calls: %w", err)
		}
		for _, a := range withStatus {
			delete(without, a)
		}
	}

	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(ends)) {
		for _, agent := range slices.Sorted(maps.Keys(ends[id])) {
			if without[agent] {
				rows = append(rows, []any{c.tenant, agent, id, ends[id][agent], calls[id].Last, c.seq(id)})
			}
		}
	}
	return upsert(ctx, tx, "INSERT INTO agent_calls (tenant, agent, call_id, until, last_at, seq) VALUES", rows,
		"ON CONFLICT (tenant, agent, call_id) DO UPDATE SET until = excluded.until, last_at = excluded.last_at, seq = excluded.seq")
}

func (callFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	return cutCalls(ctx, tx, tenant, record.Open)
}

// trim deletes the calls of which no event is left.
func (callFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	return cutCalls(ctx, tx, tenant, below)
}

func cutCalls(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	moreEnds, err := cut(ctx, tx, "agent_calls", "seq", tenant, below)
	if err != nil {
		return false, err
	}
	moreCalls, err := cutContacts(ctx, tx, "live_calls", "call", tenant, below)
	return moreEnds || moreCalls, err
}

// callFacts is a row of live_calls.
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
