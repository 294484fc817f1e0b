package folds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// recordFold keeps call detail records: the current version of each, with what they are
// looked for by. Their bodies are those of their events, so they go when retention or an
// erasure removes those.
type recordFold struct{}

func (recordFold) name() string { return "records" }

func (recordFold) plan(tenant int64, records []record.Record) change {
	// Of several versions in one step only the last counts; and PostgreSQL changes no row
	// twice in a statement.
	calls, parties, attached := newLatest(), newLatest(), newLatest()
	c := &recordChange{tenant: tenant}
	for i := range records {
		e := records[i].Event
		switch r := records[i].Says.(type) {
		case *record.Call:
			calls.add(e.OrderKey, callRow(tenant, e.Seq, r))
			attached.add(e.OrderKey, attachedRow(tenant, e.Seq, r))
			c.touched.add(r.Scope, r.ID)
		case *record.Party:
			parties.add(e.OrderKey, partyRow(tenant, e.Seq, r))
			c.touched.add(r.Scope, r.Call)
		}
	}
	c.calls, c.parties, c.attached = calls.rows, parties.rows, attached.rows
	return c
}

// recordChange is what a step changes about records.
type recordChange struct {
	tenant                   int64
	calls, parties, attached [][]any
	touched                  touchedCalls
}

func (c *recordChange) apply(ctx context.Context, tx Tx) error {
	if err := upsert(ctx, tx, `INSERT INTO call_records (tenant, scope, call_id, start_at, seq, call_type, dial_type, result, hangup,
			transfers, consults, customer, gateway, first_agent, departments) VALUES`, c.calls,
		`ON CONFLICT (tenant, scope, call_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq, call_type = excluded.call_type,
			dial_type = excluded.dial_type, result = excluded.result, hangup = excluded.hangup, transfers = excluded.transfers,
			consults = excluded.consults, customer = excluded.customer, gateway = excluded.gateway,
			first_agent = excluded.first_agent, departments = excluded.departments`); err != nil {
		return err
	}
	if err := upsert(ctx, tx, `INSERT INTO party_records (tenant, scope, call_id, party_id, seq, start_at, agent_uuid, agent_id, answered,
			departments) VALUES`, c.parties,
		`ON CONFLICT (tenant, scope, call_id, party_id) DO UPDATE SET seq = excluded.seq, start_at = excluded.start_at,
			agent_uuid = excluded.agent_uuid, agent_id = excluded.agent_id, answered = excluded.answered,
			departments = excluded.departments`); err != nil {
		return err
	}
	if err := applyAttached(ctx, tx, c.tenant, c.attached); err != nil {
		return err
	}
	return c.touched.sum(ctx, tx, c.tenant)
}

// applyAttached stores the custom data of main records, or removes it where there is none
// now.
func applyAttached(ctx context.Context, tx Tx, tenant int64, rows [][]any) error {
	var some [][]any
	without := map[int64][]any{} // callIDs by scope
	for _, r := range rows {
		if r[len(r)-1] != "" {
			some = append(some, r)
			continue
		}
		scope := r[1].(int64)
		without[scope] = append(without[scope], r[2])
	}
	for scope, callIDs := range without {
		for list, args := range lists(callIDs, tenant, scope) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM call_attached WHERE tenant = ? AND scope = ? AND call_id IN "+list, args...); err != nil {
				return fmt.Errorf("custom data: %w", err)
			}
		}
	}
	return upsert(ctx, tx, "INSERT INTO call_attached (tenant, scope, call_id, start_at, seq, atoms, text) VALUES", some,
		`ON CONFLICT (tenant, scope, call_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq, atoms = excluded.atoms, text = excluded.text`)
}

// touchedCalls are calls, by scope, whose main record or parties have changed.
type touchedCalls [2]map[string]bool

func (c *touchedCalls) add(s record.Scope, callID string) {
	if c[s] == nil {
		c[s] = map[string]bool{}
	}
	c[s][callID] = true
}

// sum writes into the main records what filters ask of their parties.
func (c *touchedCalls) sum(ctx context.Context, tx Tx, tenant int64) error {
	for scope, calls := range c {
		if err := sumParties(ctx, tx, tenant, record.Scope(scope), slices.Sorted(maps.Keys(calls))); err != nil {
			return fmt.Errorf("sum parties: %w", err)
		}
	}
	return nil
}

// sumPartiesOf names the index, as SQLite would rather read all of a tenant's calls.
const sumPartiesOf = `UPDATE call_records INDEXED BY call_records_id SET (agents, party_departments) =
		(SELECT count(DISTINCT CASE WHEN p.answered THEN CASE WHEN p.agent_uuid <> '' THEN p.agent_uuid ELSE '#' || p.agent_id END END),
			COALESCE(string_agg(p.departments, ''), '') FROM party_records p
		WHERE p.tenant = call_records.tenant AND p.scope = call_records.scope AND p.call_id = call_records.call_id)
	WHERE tenant = ? AND scope = ? AND call_id IN `

func sumParties(ctx context.Context, tx Tx, tenant int64, scope record.Scope, callIDs []string) error {
	for list, args := range lists(callIDs, tenant, int64(scope)) {
		if _, err := tx.ExecContext(ctx, sumPartiesOf+list, args...); err != nil {
			return err
		}
	}
	return nil
}

func (recordFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	return recordFold{}.trim(ctx, tx, tenant, 1<<62)
}

// trim deletes some of the records whose version is below a number.
func (recordFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	for _, table := range []string{"call_records", "party_records", "call_attached"} {
		// The end of the chunk: at most so many rows before it go at a time.
		var to int64
		err := tx.GetContext(ctx, &to,
			"SELECT seq + 1 FROM "+table+" WHERE tenant = ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?",
			tenant, below, chunk-1)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			to = below
		case err != nil:
			return false, fmt.Errorf("%s: %w", table, err)
		default:
			more = true
		}

		var removed []struct {
			Scope  record.Scope `db:"scope"`
			CallID string       `db:"call_id"`
		}
		err = tx.SelectContext(ctx, &removed,
			"DELETE FROM "+table+" WHERE tenant = ? AND seq < ? RETURNING scope, call_id", tenant, to)
		if err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}

		// A call's sums are over the parties that are left.
		if table == "party_records" {
			touched := touchedCalls{}
			for _, p := range removed {
				touched.add(p.Scope, p.CallID)
			}
			if err := touched.sum(ctx, tx, tenant); err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// callRow returns the row of a main record.
func callRow(tenant, seq int64, r *record.Call) []any {
	return []any{
		tenant, int64(r.Scope), r.ID, r.Start, seq, r.Type, r.DialType, r.Result, r.Hangup, r.Transfers, r.Consults,
		r.CustomerNumber, r.Gateway, r.FirstAnswered, barred(r.Departments),
	}
}

// attachedRow returns the row of a main record's custom data; its last column is "" when
// there is none.
func attachedRow(tenant, seq int64, r *record.Call) []any {
	text := search.AttachedValue(r.AttachedData)
	return []any{tenant, int64(r.Scope), r.ID, r.Start, seq, barred(search.AttachedAtoms(text)), text}
}

// partyRow returns the row of a party record.
func partyRow(tenant, seq int64, r *record.Party) []any {
	return []any{
		tenant, int64(r.Scope), r.Call, r.ID, seq, r.Start, r.UUID, r.AgentID, r.Answered(), barred(r.Departments),
	}
}

// barred returns a list as a text in which |item| is found.
func barred(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return "|" + strings.Join(items, "||") + "|"
}

// latest keeps one row of each key, the last to be added.
type latest struct {
	rows  [][]any
	index map[string]int // in rows, by key
}

func newLatest() *latest { return &latest{index: map[string]int{}} }

func (l *latest) add(key string, row []any) {
	if i, there := l.index[key]; there {
		l.rows[i] = row
		return
	}
	l.index[key] = len(l.rows)
	l.rows = append(l.rows, row)
}

// listed is how many items a list of a statement has at most.
const listed = 64

// lists cuts items into lists for IN, each filled up to one of a few lengths: then there are
// few statements to prepare. args are those of a statement before its list.
func lists[T any](items []T, args ...any) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		for some := range slices.Chunk(items, listed) {
			full := sqldb.Filled(some)
			all := slices.Clone(args)
			for _, item := range full {
				all = append(all, item)
			}
			if !yield("("+sqldb.Values("?", len(full))+")", all) {
				return
			}
		}
	}
}

// upsert writes rows of equal length with few statements: insert, some rows, tail.
func upsert(ctx context.Context, tx Tx, insert string, rows [][]any, tail string) error {
	for len(rows) > 0 {
		n := sqldb.Fitting(len(rows))
		cols := len(rows[0])
		args := make([]any, 0, n*cols)
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		row := "(?" + strings.Repeat(",?", cols-1) + ")"
		if _, err := tx.ExecContext(ctx, insert+" "+sqldb.Values(row, n)+" "+tail, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
