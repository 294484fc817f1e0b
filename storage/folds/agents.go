package folds

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ live.History = (*Folds)(nil)

// agentFold keeps the agents that events name and the history of their states. A
// status that comes late takes its place in it.
type agentFold struct{}

func (agentFold) name() string { return "agents" }

// period within which something changed.
type period struct{ first, last int64 }

func (agentFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	var seen namings
	statuses := map[string]map[int64]live.Status{} // by agent and start
	for _, e := range events {
		for _, n := range live.Mentions(e) {
			seen.add(&n, e.Seq)
		}
		if e.Type != event.AgentStatus {
			continue
		}
		s := live.ReadStatus(e)
		key := live.AgentKey(s.UUID, s.AgentID)
		if statuses[key] == nil {
			statuses[key] = map[int64]live.Status{}
		}
		if was, there := statuses[key][s.Start]; !there || s.Created >= was.Created {
			statuses[key][s.Start] = s
		}
	}
	if err := seen.write(ctx, tx, tenant); err != nil {
		return err
	}
	tails, err := lastStretches(ctx, tx, tenant, slices.Sorted(maps.Keys(statuses)))
	if err != nil {
		return err
	}
	var rows, made [][]any
	changed := map[string]period{}
	for agent, all := range statuses {
		for start, s := range all {
			rows = append(rows, []any{tenant, agent, start, s.Created, s.Seq, s.ID, s.Login, s.Reason, s.Work, s.CallID, s.CallType})
		}
		starts := slices.Sorted(maps.Keys(all))
		if tail := tails[agent]; starts[0] > tail.ToldAt { // they came in their order: nothing before changes
			for _, s := range tail.extend(starts, all) {
				made = append(made, s.row(tenant, agent))
			}
			continue
		}
		changed[agent] = period{starts[0], starts[len(starts)-1]}
	}
	if err := upsert(ctx, tx, `INSERT INTO agent_statuses (tenant, agent, start_at, created_at, seq, id, login, reason, work, call_id, call_type) VALUES`, rows,
		`ON CONFLICT (tenant, agent, start_at) DO UPDATE SET created_at = excluded.created_at, seq = excluded.seq, id = excluded.id,
			login = excluded.login, reason = excluded.reason, work = excluded.work, call_id = excluded.call_id, call_type = excluded.call_type
			WHERE excluded.created_at >= agent_statuses.created_at`); err != nil {
		return err
	}
	if err := writeStretches(ctx, tx, made); err != nil {
		return err
	}
	return stretchAll(ctx, tx, tenant, changed)
}

// lastStretch is the one that an agent is in, and the start of its last status.
type lastStretch struct {
	Agent string `db:"agent"`
	stretch
	ToldAt int64 `db:"told_at"` // -1: it never told any
}

func lastStretches(ctx context.Context, tx *sqlx.Tx, tenant int64, agents []string) (map[string]*lastStretch, error) {
	all := map[string]*lastStretch{}
	for some := range slices.Chunk(agents, upsertRows) {
		args := []any{tenant}
		for _, a := range some {
			all[a] = &lastStretch{ToldAt: -1}
			args = append(args, a)
		}
		var rows []*lastStretch
		if err := tx.SelectContext(ctx, &rows, `SELECT s.agent, s.start_at, s.end_at, s.id, s.login, s.reason, s.work, s.login_at, s.reason_at, s.work_at,
				s.logged_at, s.ready_at, (SELECT max(t.start_at) FROM agent_statuses t WHERE t.tenant = b.tenant AND t.agent = b.agent) AS told_at
			FROM seen_agents b JOIN agent_stretches s ON s.tenant = b.tenant AND s.agent = b.agent AND s.start_at =
				(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = b.tenant AND x.agent = b.agent)
			WHERE b.tenant = ? AND b.agent IN (`+sqldb.Values("?", len(some))+")", args...); err != nil {
			return nil, fmt.Errorf("states: %w", err)
		}
		for _, r := range rows {
			all[r.Agent] = r
		}
	}
	return all, nil
}

// extend the history with statuses that come after all others: the stretch that
// ends, and those that begin.
func (t *lastStretch) extend(starts []int64, statuses map[int64]live.Status) (made []stretch) {
	var last *stretch
	var was live.State
	if t.ToldAt >= 0 {
		last, was = &t.stretch, t.State
	}
	for _, at := range starts {
		s := statuses[at]
		is := s.After(was)
		if last != nil && is == was {
			continue
		}
		next := last.next(is, &status{Start: at, ID: s.ID})
		if last != nil {
			ended := *last
			ended.End = at
			made = append(made, ended)
		}
		last, was = &next, is
	}
	if last != &t.stretch {
		last.End = live.Open
		made = append(made, *last)
	}
	return made
}

func (s *stretch) row(tenant int64, agent string) []any {
	return []any{tenant, agent, s.Start, s.End, s.ID, s.Login, s.Reason, s.Work, s.LoginAt, s.ReasonAt, s.WorkAt, s.LoggedAt, s.ReadyAt}
}

func writeStretches(ctx context.Context, tx *sqlx.Tx, rows [][]any) error {
	return upsert(ctx, tx, `INSERT INTO agent_stretches (tenant, agent, start_at, end_at, id, login, reason, work, login_at, reason_at, work_at, logged_at,
		ready_at) VALUES`, rows, "ON CONFLICT (tenant, agent, start_at) DO UPDATE SET end_at = excluded.end_at")
}

func (agentFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	for _, by := range []struct{ table, column string }{{"agent_stretches", "start_at"}, {"agent_statuses", "seq"}, {"seen_agents", "seq"}} {
		left, err := cut(ctx, tx, by.table, by.column, tenant, live.Open)
		if err != nil {
			return false, err
		}
		more = more || left
	}
	return more, nil
}

// cut takes away about chunk rows of a table whose column is below a number,
// the least first.
func cut(ctx context.Context, tx *sqlx.Tx, table, column string, tenant, below int64) (more bool, err error) {
	var to int64
	err = tx.GetContext(ctx, &to, "SELECT "+column+" FROM "+table+" WHERE tenant = ? AND "+column+" < ? ORDER BY "+column+" LIMIT 1 OFFSET ?",
		tenant, below, chunk-1)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		to = below - 1
	case err != nil:
		return false, fmt.Errorf("%s: %w", table, err)
	default:
		more = true
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant = ? AND "+column+" <= ?", tenant, to); err != nil {
		return false, fmt.Errorf("%s: %w", table, err)
	}
	return more, nil
}

// trim takes away statuses of events below a number, and then those agents whom
// no event names that is left.
func (agentFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	var old []struct {
		Agent string `db:"agent"`
		Start int64  `db:"start_at"`
		Seq   int64  `db:"seq"`
	}
	if err := tx.SelectContext(ctx, &old, "SELECT agent, start_at, seq FROM agent_statuses WHERE tenant = ? AND seq < ? ORDER BY seq LIMIT ?",
		tenant, below, chunk); err != nil {
		return false, fmt.Errorf("old statuses: %w", err)
	}
	if len(old) == 0 {
		_, err := tx.ExecContext(ctx, "DELETE FROM seen_agents WHERE tenant = ? AND seq < ?", tenant, below)
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM agent_statuses WHERE tenant = ? AND seq <= ?", tenant, old[len(old)-1].Seq); err != nil {
		return false, fmt.Errorf("old statuses: %w", err)
	}
	changed := map[string]period{}
	for _, s := range old {
		in, there := changed[s.Agent]
		if !there {
			in = period{s.Start, s.Start}
		}
		changed[s.Agent] = period{min(in.first, s.Start), max(in.last, s.Start)}
	}
	return true, stretchAll(ctx, tx, tenant, changed)
}

// namings is what a step's events say of agents.
type namings struct{ all map[string]*naming }

type naming struct {
	uuid         string
	id, name, dn dated[string]
	phone        dated[int64]
	first        int64
	seq          int64
}

// dated is a value and its time: the newest that is not empty counts, of equal
// times the last to arrive.
type dated[T comparable] struct {
	is T
	at int64
}

func (d *dated[T]) hear(v T, at int64) {
	var empty T
	if v != empty && (d.is == empty || at >= d.at) {
		d.is, d.at = v, at
	}
}

func (s *namings) add(n *live.Mention, seq int64) {
	if s.all == nil {
		s.all = map[string]*naming{}
	}
	a := s.all[n.Key()]
	if a == nil {
		a = &naming{uuid: n.UUID}
		s.all[n.Key()] = a
	}
	a.id.hear(n.AgentID, n.At)
	a.name.hear(n.Name, n.At)
	a.dn.hear(n.DN, n.At)
	a.phone.hear(n.PhoneType, n.At)
	if n.At > 0 && (a.first == 0 || n.At < a.first) {
		a.first = n.At
	}
	a.seq = seq
}

func (s *namings) write(ctx context.Context, tx *sqlx.Tx, tenant int64) error {
	var rows [][]any
	for _, key := range slices.Sorted(maps.Keys(s.all)) {
		a := s.all[key]
		rows = append(rows, []any{tenant, key, a.uuid, a.id.is, a.id.at, a.name.is, a.name.at, a.dn.is, a.dn.at, a.phone.is, a.phone.at, a.first, a.seq})
	}
	newer := func(value, at, empty string) string {
		when := " = CASE WHEN excluded." + value + " <> " + empty + " AND (seen_agents." + value + " = " + empty + " OR excluded." + at + " >= seen_agents." + at + ") THEN excluded."
		return value + when + value + " ELSE seen_agents." + value + " END, " + at + when + at + " ELSE seen_agents." + at + " END, "
	}
	return upsert(ctx, tx, `INSERT INTO seen_agents (tenant, agent, uuid, id, id_at, name, name_at, dn, dn_at, phone_type, phone_at, first_at, seq) VALUES`, rows,
		`ON CONFLICT (tenant, agent) DO UPDATE SET `+newer("id", "id_at", "''")+newer("name", "name_at", "''")+newer("dn", "dn_at", "''")+newer("phone_type", "phone_at", "0")+
			`first_at = CASE WHEN excluded.first_at > 0 AND (seen_agents.first_at = 0 OR excluded.first_at < seen_agents.first_at) THEN excluded.first_at
				ELSE seen_agents.first_at END, seq = excluded.seq`)
}

// stretch is a row of agent_stretches.
type stretch struct {
	live.State
	Start int64  `db:"start_at"`
	End   int64  `db:"end_at"`
	ID    string `db:"id"`
	// Since when each code is what it is.
	LoginAt  int64 `db:"login_at"`
	ReasonAt int64 `db:"reason_at"`
	WorkAt   int64 `db:"work_at"`
	LoggedAt int64 `db:"logged_at"` // since when it is logged in; 0: it is not
	ReadyAt  int64 `db:"ready_at"`  // when the work status last became 1; 0: never
}

// next is the stretch that begins at a status.
func (s *stretch) next(is live.State, st *status) stretch {
	n := stretch{State: is, Start: st.Start, ID: st.ID, LoginAt: st.Start, ReasonAt: st.Start, WorkAt: st.Start}
	if is.LoggedIn() {
		n.LoggedAt = st.Start
	}
	if is.Work == 1 {
		n.ReadyAt = st.Start
	}
	if s == nil {
		return n
	}
	if is.LoggedIn() && s.LoggedIn() {
		n.LoggedAt = s.LoggedAt
	}
	if is.Work != 1 || s.Work == 1 {
		n.ReadyAt = s.ReadyAt
	}
	if is.Login == s.Login {
		n.LoginAt = s.LoginAt
	}
	if is.Reason == s.Reason {
		n.ReasonAt = s.ReasonAt
	}
	if is.Work == s.Work {
		n.WorkAt = s.WorkAt
	}
	return n
}

// like says whether what follows the two is the same.
func (s *stretch) like(o *stretch) bool {
	return s.State == o.State && s.LoginAt == o.LoginAt && s.ReasonAt == o.ReasonAt && s.WorkAt == o.WorkAt &&
		s.LoggedAt == o.LoggedAt && s.ReadyAt == o.ReadyAt
}

// status is a row of agent_statuses.
type status struct {
	Start  int64  `db:"start_at"`
	ID     string `db:"id"`
	Login  *int64 `db:"login"`
	Reason *int64 `db:"reason"`
	Work   *int64 `db:"work"`
}

// statusPage is how many statuses are read at a time.
const statusPage = 256

func stretchAll(ctx context.Context, tx *sqlx.Tx, tenant int64, changed map[string]period) error {
	for _, agent := range slices.Sorted(maps.Keys(changed)) {
		if err := restretch(ctx, tx, tenant, agent, changed[agent]); err != nil {
			return fmt.Errorf("history of %s: %w", agent, err)
		}
	}
	return nil
}

// restretch makes an agent's stretches anew from the first status that changed to
// where they are again as they were: most often the last status is the only one.
func restretch(ctx context.Context, tx *sqlx.Tx, tenant int64, agent string, changed period) error {
	before, err := stretchAt(ctx, tx, tenant, agent, changed.first-1)
	if err != nil {
		return err
	}
	made := []stretch{}
	if before != nil {
		made = append(made, *before)
	}
	end, until := int64(live.Open), int64(live.Open)
	for from, more := changed.first, true; more; {
		var page []status
		if err := tx.SelectContext(ctx, &page, `SELECT start_at, id, login, reason, work FROM agent_statuses
			WHERE tenant = ? AND agent = ? AND start_at >= ? ORDER BY start_at LIMIT ?`, tenant, agent, from, statusPage); err != nil {
			return err
		}
		more = len(page) == statusPage
		for _, s := range page {
			from = s.Start + 1
			var was live.State
			var last *stretch
			if len(made) > 0 {
				last = &made[len(made)-1]
				was = last.State
			}
			is := (&live.Status{Login: s.Login, Reason: s.Reason, Work: s.Work}).After(was)
			if last == nil || is != was {
				next := last.next(is, &s)
				if last != nil {
					last.End = s.Start
				}
				made = append(made, next)
			}
			if s.Start <= changed.last {
				continue
			}
			old, err := stretchAt(ctx, tx, tenant, agent, s.Start)
			if err != nil {
				return err
			}
			if old != nil && old.like(&made[len(made)-1]) { // from here on all is as it was
				end, until, more = old.End, s.Start, false
				break
			}
		}
	}
	if len(made) > 0 {
		made[len(made)-1].End = end
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM agent_stretches WHERE tenant = ? AND agent = ? AND start_at >= ? AND start_at <= ?",
		tenant, agent, changed.first, until); err != nil {
		return err
	}
	var rows [][]any
	for _, s := range made {
		rows = append(rows, s.row(tenant, agent))
	}
	return writeStretches(ctx, tx, rows)
}

// stretchAt is the one that an agent is in at a time; nil: none.
func stretchAt(ctx context.Context, tx *sqlx.Tx, tenant int64, agent string, at int64) (*stretch, error) {
	var s stretch
	err := tx.GetContext(ctx, &s, `SELECT start_at, end_at, id, login, reason, work, login_at, reason_at, work_at, logged_at, ready_at FROM agent_stretches
		WHERE tenant = ? AND agent = ? AND start_at <= ? ORDER BY start_at DESC LIMIT 1`, tenant, agent, at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none is no error
	}
	return &s, err
}

// seenAgent is what a row of seen_agents says.
type seenAgent struct {
	Agent     string `db:"agent"`
	UUID      string `db:"uuid"`
	AgentID   string `db:"agent_id"`
	Name      string `db:"name"`
	DN        string `db:"dn"`
	PhoneType int64  `db:"phone_type"`
}

func (a *seenAgent) agent() live.Agent {
	return live.Agent{Key: a.Agent, UUID: a.UUID, AgentID: a.AgentID, Name: a.Name, DN: a.DN, PhoneType: a.PhoneType}
}

const seenColumns = "a.agent, a.uuid, a.id AS agent_id, a.name, a.dn, a.phone_type"

// FindStretches implements live.History.
func (f *Folds) FindStretches(ctx context.Context, of live.HistoryFilter) (page []live.AgentStretch, total int, err error) {
	err = f.ask(ctx, of.Tenant, "find statuses", func(snap snapshot) error {
		page, total, err = snap.stretches(ctx, &of)
		return err
	})
	return page, total, err
}

func (snap snapshot) stretches(ctx context.Context, of *live.HistoryFilter) (page []live.AgentStretch, total int, err error) {
	also, extra := "", []any{}
	for _, by := range []struct {
		column string
		codes  []int64
	}{{"login", of.Login}, {"reason", of.Reason}, {"work", of.Work}} {
		if len(by.codes) > 0 {
			also += " AND s." + by.column + " IN (" + sqldb.Values("?", len(by.codes)) + ")"
			for _, c := range by.codes {
				extra = append(extra, c)
			}
		}
	}
	if of.Agents != nil {
		keys, err := snap.pick(ctx, of)
		if err != nil || len(keys) == 0 {
			return nil, 0, err
		}
		also += " AND s.agent IN (" + items(snap.In) + ")"
		list, err := json.Marshal(keys)
		if err != nil {
			return nil, 0, err
		}
		extra = append(extra, string(list))
	}
	// First of each agent the one it was in before the range, then those that begin
	// in it: apart, so that the many are read in the order of an index.
	// One that lasts does so until now: it reaches into no range that is to come.
	last := int64(live.Open)
	if of.Now <= of.From {
		last--
	}
	parts := []struct {
		where string
		args  []any
	}{
		{"FROM seen_agents b " + stretchBefore(snap.In) + " WHERE b.tenant = ? AND s.end_at > ? AND s.end_at <= ?" + also, slices.Concat([]any{of.From, of.Tenant, of.From, last}, extra)},
		{`FROM agent_stretches s WHERE s.tenant = ? AND s.start_at >= ? AND s.start_at < ?` + also, slices.Concat([]any{of.Tenant, of.From, of.To}, extra)},
	}
	for _, part := range parts {
		var n int
		if err := sqlx.GetContext(ctx, snap.Q, &n, "SELECT count(*) "+part.where, part.args...); err != nil {
			return nil, 0, err
		}
		if from, left := max(0, of.Offset-total), of.Limit-len(page); from < n && left > 0 {
			if page, err = snap.addStretches(ctx, page, part.where, append(part.args, left, from)); err != nil {
				return nil, 0, err
			}
		}
		total += n
	}
	return page, total, nil
}

// addStretches adds a page of those that where picks; limit and offset are the
// last of args.
func (snap snapshot) addStretches(ctx context.Context, page []live.AgentStretch, where string, args []any) ([]live.AgentStretch, error) {
	var rows []struct {
		stretch
		seenAgent
	}
	// Those before the page are skipped in the index, without a look at their rows.
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT s.start_at, s.end_at, s.id, s.login, s.reason, s.work, "+seenColumns+
		" FROM (SELECT s.tenant, s.agent, s.start_at "+where+" ORDER BY s.start_at, s.agent LIMIT ? OFFSET ?) p "+
		"JOIN agent_stretches s ON s.tenant = p.tenant AND s.agent = p.agent AND s.start_at = p.start_at "+
		"JOIN seen_agents a ON a.tenant = s.tenant AND a.agent = s.agent ORDER BY s.start_at, s.agent", args...); err != nil {
		return nil, err
	}
	for _, r := range rows {
		page = append(page, live.AgentStretch{
			Stretch: live.Stretch{State: r.State, Start: r.Start, End: r.End},
			Agent:   r.agent(), ID: r.ID,
		})
	}
	return page, nil
}

// pick asks the filter which agents it wants.
func (snap snapshot) pick(ctx context.Context, of *live.HistoryFilter) ([]string, error) {
	var seen []seenAgent
	if err := sqlx.SelectContext(ctx, snap.Q, &seen, "SELECT "+seenColumns+" FROM seen_agents a WHERE a.tenant = ?", of.Tenant); err != nil {
		return nil, err
	}
	slices.SortFunc(seen, func(a, b seenAgent) int { return cmp.Compare(a.Agent, b.Agent) })
	agents := make([]live.Agent, len(seen))
	for i := range seen {
		agents[i] = seen[i].agent()
	}
	return of.Agents(agents), nil
}

// stretchBefore joins to each agent b the stretch s that it was in before a time.
func stretchBefore(in sqldb.Dialect) string {
	if in == sqldb.Postgres { // which would else look at every stretch of every agent
		return `JOIN LATERAL (SELECT * FROM agent_stretches x WHERE x.tenant = b.tenant AND x.agent = b.agent AND x.start_at < ?
			ORDER BY x.start_at DESC LIMIT 1) s ON true`
	}
	return `JOIN agent_stretches s ON s.tenant = b.tenant AND s.agent = b.agent AND s.start_at =
		(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = b.tenant AND x.agent = b.agent AND x.start_at < ?)`
}

// items is a subquery of the texts in one argument, a JSON list of them.
func items(in sqldb.Dialect) string {
	if in == sqldb.Postgres {
		return "SELECT jsonb_array_elements_text(CAST(? AS jsonb))"
	}
	return "SELECT value FROM json_each(?)"
}
