package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
)

var _ search.Records = (*Folds)(nil)

// recordFold keeps call detail records: the current version of each, with
// what they are looked for by. Their bodies are those of their events, so they
// go when retention or an erasure takes those away.
type recordFold struct{}

func (recordFold) name() string { return "records" }

func (recordFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	// Of several versions in one step only the last counts; and PostgreSQL
	// changes no row twice in a statement.
	calls, parties := newLatest(), newLatest()
	for _, e := range events {
		switch e.Type {
		case event.CDRCall:
			calls.add(e.OrderKey, callRow(search.Telemarketing, e))
		case event.CDRBotCall:
			calls.add(e.OrderKey, callRow(search.Bot, e))
		case event.CDRParty:
			parties.add(e.OrderKey, partyRow(search.Telemarketing, e))
		case event.CDRBotParty:
			parties.add(e.OrderKey, partyRow(search.Bot, e))
		}
	}
	if err := upsert(ctx, tx, `INSERT INTO call_records (tenant, scope, call_id, start_at, seq, call_type, dial_type, result, hangup, transfers, consults,
			customer, gateway, first_agent, departments) VALUES`, calls.rows(),
		`ON CONFLICT (tenant, scope, call_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq, call_type = excluded.call_type,
			dial_type = excluded.dial_type, result = excluded.result, hangup = excluded.hangup, transfers = excluded.transfers,
			consults = excluded.consults, customer = excluded.customer, gateway = excluded.gateway,
			first_agent = excluded.first_agent, departments = excluded.departments`); err != nil {
		return err
	}
	return upsert(ctx, tx, `INSERT INTO party_records (tenant, scope, call_id, party_id, seq, start_at, agent_uuid, agent_id, answered, departments) VALUES`,
		parties.rows(),
		`ON CONFLICT (tenant, scope, call_id, party_id) DO UPDATE SET seq = excluded.seq, start_at = excluded.start_at,
			agent_uuid = excluded.agent_uuid, agent_id = excluded.agent_id, answered = excluded.answered, departments = excluded.departments`)
}

func (recordFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return recordFold{}.trim(ctx, tx, tenant, 1<<62)
}

// trim takes away some of the records whose version is below a number.
func (recordFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	for _, table := range []string{"call_records", "party_records"} {
		var to int64
		err := tx.GetContext(ctx, &to, "SELECT seq + 1 FROM "+table+" WHERE tenant = ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?", tenant, below, jobChunk-1)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			to = below
		case err != nil:
			return false, fmt.Errorf("%s: %w", table, err)
		default:
			more = true
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant = ? AND seq < ?", tenant, to); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
	}
	return more, nil
}

func callRow(scope search.Scope, e *event.Event) []any {
	var (
		callID, dialType, customer, gateway, firstAgent      string
		start, callType, result, hangup, transfers, consults int64
		departments                                          []string
	)
	for name, v := range event.Members(e.Body) {
		switch string(name) {
		case "callID":
			callID = v.Text()
		case "startTime":
			start = v.Time()
		case "callType":
			callType, _ = v.Int()
		case "mainDialType":
			dialType = v.Text()
		case "callResult":
			result, _ = v.Int()
		case "hangupDisposition":
			hangup, _ = v.Int()
		case "transferCount":
			transfers, _ = v.Int()
		case "consultCount":
			consults, _ = v.Int()
		case "customerNumber":
			customer = v.Text()
		case "gatewayNumber":
			gateway = v.Text()
		case "firstAgentUUID":
			firstAgent = v.Text()
		case "departmentId":
			departments = v.Departments()
		}
	}
	return []any{
		e.Tenant, int64(scope), callID, start, e.Seq, callType, dialType, result, hangup, transfers, consults,
		customer, gateway, firstAgent, barred(departments),
	}
}

func partyRow(scope search.Scope, e *event.Event) []any {
	var (
		callID, partyID, uuid, id string
		start, result             int64
		role                      int64 = 2 // an agent, unless it says otherwise
		departments               []string
	)
	for name, v := range event.Members(e.Body) {
		switch string(name) {
		case "callID":
			callID = v.Text()
		case "partyId":
			partyID = v.Text()
		case "startTime":
			start = v.Time()
		case "agentUUID":
			uuid = v.Text()
		case "agentID":
			id = v.Text()
		case "callResult":
			result, _ = v.Int()
		case "agentRole":
			if n, there := v.Int(); there {
				role = n
			} else {
				role = 2
			}
		case "departmentId":
			departments = v.Departments()
		}
	}
	return []any{
		e.Tenant, int64(scope), callID, partyID, e.Seq, start, uuid, id, role == 2 && result == 3, barred(departments),
	}
}

// barred is a list as a text in which |item| is found.
func barred(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return "|" + strings.Join(items, "|"+"|")
}

// latest keeps one row of each key, the last to be added.
type latest struct {
	place map[string]int
	all   [][]any
}

func newLatest() *latest { return &latest{place: map[string]int{}} }

func (l *latest) add(key string, row []any) {
	if i, there := l.place[key]; there {
		l.all[i] = row
		return
	}
	l.place[key] = len(l.all)
	l.all = append(l.all, row)
}

func (l *latest) rows() [][]any { return l.all }

// upsertRows of one statement.
const upsertRows = 64

// upsert writes rows of equal length with few statements: insert, the rows, tail.
func upsert(ctx context.Context, tx *sqlx.Tx, insert string, rows [][]any, tail string) error {
	for chunk := range slices.Chunk(rows, upsertRows) {
		args := make([]any, 0, len(chunk)*len(chunk[0]))
		for _, r := range chunk {
			args = append(args, r...)
		}
		row := "(?" + strings.Repeat(",?", len(chunk[0])-1) + ")"
		if _, err := tx.ExecContext(ctx, insert+" "+values(row, len(chunk))+" "+tail, args...); err != nil {
			return err
		}
	}
	return nil
}

// callConditions of a filter, custom data aside.
func callConditions(f *search.CallFilter) (where string, args []any) {
	and := func(cond string, values ...any) {
		if where != "" {
			where += " AND "
		}
		where, args = where+cond, append(args, values...)
	}
	and("c.tenant = ?", f.Tenant)
	and("c.scope = ?", int64(f.Scope))
	and("c.start_at >= ?", max(f.From, 1))
	and("c.start_at < ?", f.To)
	if f.CallID != "" {
		and("c.call_id = ?", f.CallID)
	}
	for _, by := range []struct {
		column, value string
	}{{"agent_uuid", f.AgentUUID}, {"agent_id", f.AgentID}} {
		if by.value != "" { // found first: one agent has few calls of many
			and("c.call_id IN (SELECT p.call_id FROM party_records p WHERE p.tenant = ? AND p.scope = ? AND p."+by.column+" = ? AND p."+by.column+" <> '')",
				f.Tenant, int64(f.Scope), by.value)
		}
	}
	for _, by := range []struct {
		column, value string
	}{{"customer", f.Customer}, {"gateway", f.Gateway}, {"dial_type", f.DialType}} {
		if by.value != "" {
			and("c."+by.column+" = ?", by.value)
		}
	}
	for _, by := range []struct {
		column string
		value  int64
	}{{"call_type", f.CallType}, {"result", f.CallResult}, {"hangup", f.Hangup}} {
		if by.value != 0 {
			and("c."+by.column+" = ?", by.value)
		}
	}
	if cond := amounts[f.Agents]; cond != "" {
		// Which of them is lowest and which highest says whether there are several.
		and(`(SELECT CASE WHEN min(a) IS NULL THEN 0 WHEN min(a) = max(a) THEN 1 ELSE 2 END FROM
			(SELECT CASE WHEN p.agent_uuid <> '' THEN p.agent_uuid ELSE '#' || p.agent_id END AS a FROM party_records p
			WHERE p.tenant = c.tenant AND p.scope = c.scope AND p.call_id = c.call_id AND p.answered) AS answered)` + cond)
	}
	if cond := amounts[f.Transfers]; cond != "" {
		and("c.transfers" + cond)
	}
	if cond := amounts[f.Consults]; cond != "" {
		and("c.consults" + cond)
	}
	if f.Department != "" {
		bar := barred([]string{f.Department})
		cond := `(replace(c.departments, ?, '') <> c.departments OR EXISTS (SELECT 1 FROM party_records p
			WHERE p.tenant = c.tenant AND p.scope = c.scope AND p.call_id = c.call_id AND replace(p.departments, ?, '') <> p.departments)`
		is := []any{bar, bar}
		if len(f.DepartmentAgents) > 0 {
			cond += " OR c.first_agent IN (" + values("?", len(f.DepartmentAgents)) + ")"
			for _, a := range f.DepartmentAgents {
				is = append(is, a)
			}
		}
		and(cond+")", is...)
	}
	return where, args
}

var amounts = [...]string{search.None: " = 0", search.One: " = 1", search.Several: " >= 2", search.Some: " >= 1"}

// FindCalls implements search.Records.
func (f *Folds) FindCalls(ctx context.Context, of search.CallFilter) (page []search.Record, total int, err error) {
	err = f.ask(ctx, of.Tenant, "find calls", func(l log) error {
		page, total, err = l.calls(ctx, &of)
		return err
	})
	return page, total, err
}

func (l log) calls(ctx context.Context, of *search.CallFilter) (page []search.Record, total int, err error) {
	if of.Attached != nil {
		return l.callsWith(ctx, of)
	}
	where, args := callConditions(of)
	if err := sqlx.GetContext(ctx, l.q, &total, "SELECT count(*) FROM call_records c WHERE "+where, args...); err != nil || total <= of.Offset {
		return nil, total, err
	}
	page, err = l.records(ctx, callType(of.Scope), `SELECT k.seq, b.bytes FROM
		(SELECT c.seq, c.start_at, c.call_id FROM call_records c WHERE `+where+` ORDER BY c.start_at DESC, c.call_id LIMIT ? OFFSET ?) k
		CROSS JOIN bodies b ON b.seq = k.seq ORDER BY k.start_at DESC, k.call_id`, append(args, of.Limit, of.Offset)...)
	return page, total, err
}

// callsWith looks into the body of every record that the rest of the filter picks.
func (l log) callsWith(ctx context.Context, of *search.CallFilter) (page []search.Record, total int, err error) {
	where, args := callConditions(of)
	rows, err := l.q.QueryxContext(ctx, "SELECT c.seq, b.bytes FROM call_records c CROSS JOIN bodies b ON b.seq = c.seq WHERE "+where+" ORDER BY c.start_at DESC, c.call_id", args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecord(rows, callType(of.Scope))
		if err != nil {
			return nil, 0, err
		}
		if !of.Attached.Matches(r.Body) {
			continue
		}
		if total >= of.Offset && len(page) < of.Limit {
			page = append(page, r)
		}
		total++
	}
	return page, total, rows.Err()
}

// FindCall implements search.Records.
func (f *Folds) FindCall(ctx context.Context, tenant int64, scope search.Scope, callID string) (call *search.Record, parties []search.Record, err error) {
	err = f.ask(ctx, tenant, "find call", func(l log) error {
		call, parties, err = l.call(ctx, tenant, scope, callID)
		return err
	})
	if err == nil && call == nil && len(parties) == 0 {
		err = search.ErrNotFound
	}
	return call, parties, err
}

func (l log) call(ctx context.Context, tenant int64, scope search.Scope, callID string) (call *search.Record, parties []search.Record, err error) {
	found, err := l.records(ctx, callType(scope), `SELECT c.seq, b.bytes FROM call_records c CROSS JOIN bodies b ON b.seq = c.seq
		WHERE c.tenant = ? AND c.scope = ? AND c.call_id = ?`, tenant, int64(scope), callID)
	if err != nil {
		return nil, nil, err
	}
	if len(found) > 0 {
		call = &found[0]
	}
	parties, err = l.records(ctx, partyType(scope), `SELECT p.seq, b.bytes FROM party_records p CROSS JOIN bodies b ON b.seq = p.seq
		WHERE p.tenant = ? AND p.scope = ? AND p.call_id = ? ORDER BY p.start_at, p.party_id`, tenant, int64(scope), callID)
	return call, parties, err
}

func callType(s search.Scope) event.Type {
	if s == search.Bot {
		return event.CDRBotCall
	}
	return event.CDRCall
}

func partyType(s search.Scope) event.Type {
	if s == search.Bot {
		return event.CDRBotParty
	}
	return event.CDRParty
}

// records reads rows of a number and a body.
func (l log) records(ctx context.Context, typ event.Type, query string, args ...any) (all []search.Record, err error) {
	rows, err := l.q.QueryxContext(ctx, query, args...)
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
	if r.Body, err = decodeBody(stored); err != nil {
		return r, fmt.Errorf("body of event %d: %w", r.Seq, err)
	}
	return r, nil
}
