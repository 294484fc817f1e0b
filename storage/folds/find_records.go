package folds

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ search.Records = (*Folds)(nil)

// callConditions returns the conditions of a filter, apart from its custom data and its range
// of time: each begins with AND.
func (snap snapshot) callConditions(f *search.CallFilter) (where string, args []any) {
	and := func(cond string, values ...any) {
		where += " AND " + cond
		args = append(args, values...)
	}

	// What is asked of one call, or of its parties: these are found first, as one agent has
	// few calls of many.
	if f.CallID != "" {
		and("r.call_id = ?", f.CallID)
	}
	for _, by := range []struct {
		column, value string
	}{{"agent_uuid", f.AgentUUID}, {"agent_id", f.AgentID}} {
		if by.value == "" {
			continue
		}
		and("r.call_id IN (SELECT p.call_id FROM party_records p WHERE p.tenant = ? AND p.scope = ? AND p."+by.column+
			" = ? AND p."+by.column+" <> '')", f.Tenant, int64(f.Scope), by.value)
	}

	// A call enters a queue not long before its record begins, and waits less than a day.
	if f.Queue != "" {
		and("r.call_id IN (SELECT w.contact_id FROM waits w WHERE w.tenant = ? AND w.entered_at >= ? AND w.entered_at < ?"+
			" AND w.media = 'call' AND w.queue = ?)", f.Tenant, f.From-queueSpan, f.To+queueSpan, f.Queue)
	}

	// What is asked of the main record: texts, codes, amounts.
	for _, by := range []struct {
		column, value string
	}{{"customer", f.Customer}, {"gateway", f.Gateway}, {"dial_type", f.DialType}} {
		if by.value != "" {
			and("r."+by.column+" = ?", record.Clean(by.value))
		}
	}
	for _, by := range []struct {
		column string
		value  int64
	}{{"call_type", f.CallType}, {"result", f.CallResult}, {"hangup", f.Hangup}} {
		if by.value != 0 {
			and("r."+by.column+" = ?", by.value)
		}
	}
	if cond := amounts[f.Agents]; cond != "" {
		and("r.agents" + cond)
	}
	if cond := amounts[f.Transfers]; cond != "" {
		and("r.transfers" + cond)
	}
	if cond := amounts[f.Consults]; cond != "" {
		and("r.consults" + cond)
	}

	// The department of the call, of one of its parties, or of the agent who answered first.
	if f.Department != "" {
		cond := "(" + snap.In.Has("r.departments || r.party_departments")
		values := []any{barred([]string{record.Clean(f.Department)})}
		if len(f.DepartmentAgents) > 0 {
			cond += " OR r.first_agent IN (" + sqldb.Values("?", len(f.DepartmentAgents)) + ")"
			for _, a := range f.DepartmentAgents {
				values = append(values, a)
			}
		}
		and(cond+")", values...)
	}
	return where, args
}

// queueSpan is for how long, ms, a call may wait before or after its record begins.
const queueSpan = 24 * 60 * 60 * 1000

// amounts are the conditions of amounts; "" for any.
var amounts = [...]string{search.None: " = 0", search.One: " = 1", search.Several: " >= 2", search.Some: " >= 1"}

// FindCalls implements search.Records.
func (f *Folds) FindCalls(ctx context.Context, of search.CallFilter) (page []search.Record, total int, err error) {
	err = f.ask(ctx, of.Tenant, "find calls", func(snap snapshot) error {
		page, total, err = snap.calls(ctx, &of)
		return err
	})
	return page, total, err
}

func (snap snapshot) calls(ctx context.Context, of *search.CallFilter) (page []search.Record, total int, err error) {
	// A filter on custom data goes by the rows of that, which are fewer.
	from, by := "call_records r", "r"
	conditions, args := snap.callConditions(of)
	if of.Attached != nil {
		from, by = "call_attached a", "a"
		if conditions != "" {
			from += ` CROSS JOIN call_records r
				ON r.tenant = a.tenant AND r.scope = a.scope AND r.start_at = a.start_at AND r.call_id = a.call_id`
		}
		data, values := snap.attachedConditions(of.Attached)
		conditions = data + conditions
		args = append(values, args...)
	}

	where := by + ".tenant = ? AND " + by + ".scope = ? AND " + by + ".start_at >= ? AND " + by + ".start_at < ?" + conditions
	args = append([]any{of.Tenant, int64(of.Scope), max(of.From, 1), of.To}, args...)
	err = sqlx.GetContext(ctx, snap.Q, &total, "SELECT count(*) FROM "+from+" WHERE "+where, args...)
	if err != nil || total <= of.Offset {
		return nil, total, err
	}

	page, err = snap.records(ctx, callType(of.Scope), `SELECT k.seq, b.bytes FROM
		(SELECT `+by+".seq, "+by+".start_at, "+by+".call_id FROM "+from+" WHERE "+where+
		" ORDER BY "+by+".start_at DESC, "+by+`.call_id LIMIT ? OFFSET ?) k
		CROSS JOIN bodies b ON b.seq = k.seq ORDER BY k.start_at DESC, k.call_id`, append(args, of.Limit, of.Offset)...)
	return page, total, err
}

// attachedConditions returns the conditions of a filter on custom data: each begins with AND.
func (snap snapshot) attachedConditions(of *search.Attached) (where string, args []any) {
	if of.Atoms == nil {
		return " AND " + snap.In.Has("a.text"), []any{of.Text}
	}
	for _, atom := range of.Atoms {
		where += " AND " + snap.In.Has("a.atoms")
		args = append(args, barred([]string{atom}))
	}
	return where, args
}

// FindCall implements search.Records.
func (f *Folds) FindCall(ctx context.Context, tenant int64, scope record.Scope, callID string) (call *search.Record, parties []search.Record, err error) {
	err = f.ask(ctx, tenant, "find call", func(snap snapshot) error {
		call, parties, err = snap.call(ctx, tenant, scope, callID)
		return err
	})
	if err == nil && call == nil && len(parties) == 0 {
		err = search.ErrNotFound
	}
	return call, parties, err
}

func (snap snapshot) call(ctx context.Context, tenant int64, scope record.Scope, callID string) (call *search.Record, parties []search.Record, err error) {
	found, err := snap.records(ctx, callType(scope), `SELECT c.seq, b.bytes FROM call_records c CROSS JOIN bodies b ON b.seq = c.seq
		WHERE c.tenant = ? AND c.scope = ? AND c.call_id = ?`, tenant, int64(scope), callID)
	if err != nil {
		return nil, nil, err
	}
	if len(found) > 0 {
		call = &found[0]
	}
	parties, err = snap.records(ctx, partyType(scope), `SELECT p.seq, b.bytes FROM party_records p CROSS JOIN bodies b ON b.seq = p.seq
		WHERE p.tenant = ? AND p.scope = ? AND p.call_id = ? ORDER BY p.start_at, p.party_id`, tenant, int64(scope), callID)
	return call, parties, err
}

func callType(s record.Scope) event.Type {
	if s == record.Bot {
		return event.CDRBotCall
	}
	return event.CDRCall
}

func partyType(s record.Scope) event.Type {
	if s == record.Bot {
		return event.CDRBotParty
	}
	return event.CDRParty
}

// records reads records from rows of a number and a body.
func (snap snapshot) records(ctx context.Context, typ event.Type, query string, args ...any) (all []search.Record, err error) {
	rows, err := snap.Q.QueryxContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecord(rows, typ)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scanRecord(rows *sqlx.Rows, typ event.Type) (r search.Record, err error) {
	var stored sql.RawBytes
	if err := rows.Scan(&r.Seq, &stored); err != nil {
		return r, err
	}
	r.Type = typ
	if r.Body, err = sqldb.DecodeBody(stored); err != nil {
		return r, fmt.Errorf("body of event %d: %w", r.Seq, err)
	}
	return r, nil
}
