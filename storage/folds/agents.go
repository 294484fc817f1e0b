package folds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/record"
)

// agentFold keeps the agents that events name (seen_agents), their statuses
// (agent_statuses) and the history that follows from these (agent_stretches). A status
// that comes late takes its place in it.
type agentFold struct{}

func (agentFold) name() string { return "agents" }

func (agentFold) plan(tenant int64, records []record.Record) change {
	c := &agentChange{tenant: tenant, statuses: map[string]map[int64]newStatus{}}
	var seen seenAgents
	var mentions []record.Mention
	for i := range records {
		r := &records[i]
		mentions = r.AppendMentions(mentions[:0])
		for j := range mentions {
			seen.add(&mentions[j], r.Event.Seq)
		}
		if s, is := r.Says.(*record.Status); is {
			c.add(newStatus{Status: s, seq: r.Event.Seq, id: r.Event.ID})
		}
	}

	c.seen = seen.rows(tenant)
	c.agents = slices.Sorted(maps.Keys(c.statuses))
	return c
}

// agentChange is what a step changes about agents.
type agentChange struct {
	tenant   int64
	seen     [][]any                        // rows of seen_agents
	agents   []string                       // whose statuses came
	statuses map[string]map[int64]newStatus // by agent and start
}

// newStatus is a status that came, with the number and the id of its event.
type newStatus struct {
	*record.Status
	seq int64
	id  string
}

// add adds a status. Of several with one start the last to be made counts, then the last
// to arrive.
func (c *agentChange) add(s newStatus) {
	agent := s.Key()
	if c.statuses[agent] == nil {
		c.statuses[agent] = map[int64]newStatus{}
	}
	was, there := c.statuses[agent][s.Start]
	if !there || s.Created >= was.Created {
		c.statuses[agent][s.Start] = s
	}
}

func (c *agentChange) apply(ctx context.Context, tx Tx) error {
	if err := writeSeen(ctx, tx, c.seen); err != nil {
		return err
	}
	last, err := lastStretches(ctx, tx, c.tenant, c.agents)
	if err != nil {
		return err
	}

	// Most often the statuses of an agent come in their order: then its history goes on,
	// and nothing before changes. Else it is made again from the first of them.
	var statuses, stretches [][]any
	late := map[string]period{}
	for _, agent := range c.agents {
		all := c.statuses[agent]
		starts := slices.Sorted(maps.Keys(all))
		for _, start := range starts {
			statuses = append(statuses, all[start].row(c.tenant, agent))
		}
		if starts[0] <= last[agent].LastStatus {
			late[agent] = period{first: starts[0], last: starts[len(starts)-1]}
			continue
		}
		for _, s := range last[agent].extend(starts, all) {
			stretches = append(stretches, s.row(c.tenant, agent))
		}
	}

	if err := upsert(ctx, tx, `INSERT INTO agent_statuses
			(tenant, agent, start_at, created_at, seq, id, login, reason, work, call_id, call_type) VALUES`, statuses,
		`ON CONFLICT (tenant, agent, start_at) DO UPDATE SET created_at = excluded.created_at, seq = excluded.seq, id = excluded.id,
			login = excluded.login, reason = excluded.reason, work = excluded.work, call_id = excluded.call_id,
			call_type = excluded.call_type
			WHERE excluded.created_at >= agent_statuses.created_at`); err != nil {
		return err
	}
	if err := writeStretches(ctx, tx, stretches); err != nil {
		return err
	}
	return restretchAll(ctx, tx, c.tenant, late)
}

func (s newStatus) row(tenant int64, agent string) []any {
	return []any{tenant, agent, s.Start, s.Created, s.seq, s.id, s.Login, s.Reason, s.Work, s.Call, s.CallType}
}

// period is a time within which statuses changed: the starts of the first and of the last.
type period struct{ first, last int64 }

// lastStretch is the stretch that an agent is in, and the start of its last status.
type lastStretch struct {
	Agent string `db:"agent"`
	stretch
	LastStatus int64 `db:"last_status"` // -1: the agent has no status yet
}

// lastStretches returns the last stretch of each of some agents.
func lastStretches(ctx context.Context, tx Tx, tenant int64, agents []string) (map[string]*lastStretch, error) {
	all := map[string]*lastStretch{}
	for _, a := range agents {
		all[a] = &lastStretch{LastStatus: -1}
	}
	for list, args := range lists(agents, tenant) {
		var rows []*lastStretch
		if err := tx.SelectContext(ctx, &rows, `SELECT s.agent, s.start_at, s.end_at, s.id, s.login, s.reason, s.work,
				s.login_at, s.reason_at, s.work_at, s.logged_at, s.ready_at,
				(SELECT max(t.start_at) FROM agent_statuses t WHERE t.tenant = b.tenant AND t.agent = b.agent) AS last_status
			FROM seen_agents b CROSS JOIN agent_stretches s ON s.tenant = b.tenant AND s.agent = b.agent AND s.start_at =
				(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = b.tenant AND x.agent = b.agent)
			WHERE b.tenant = ? AND b.agent IN `+list, args...); err != nil {
			return nil, fmt.Errorf("states: %w", err)
		}
		for _, r := range rows {
			all[r.Agent] = r
		}
	}
	return all, nil
}

// extend continues the history with statuses that come after all others. It returns the
// rows that change: the stretch that ends, and those that begin.
func (t *lastStretch) extend(starts []int64, statuses map[int64]newStatus) (changed []stretch) {
	var last *stretch
	var was record.State
	if t.LastStatus >= 0 {
		last = &t.stretch
		was = t.State
	}

	for _, at := range starts {
		s := statuses[at]
		is := s.After(was)
		if last != nil && is == was {
			continue
		}
		next := last.next(is, at, s.id)
		if last != nil {
			ended := *last
			ended.End = at
			changed = append(changed, ended)
		}
		last = &next
		was = is
	}

	if last != &t.stretch {
		last.End = record.Open
		changed = append(changed, *last)
	}
	return changed
}

func (s *stretch) row(tenant int64, agent string) []any {
	return []any{
		tenant, agent, s.Start, s.End, s.ID, s.Login, s.Reason, s.Work,
		s.LoginAt, s.ReasonAt, s.WorkAt, s.LoggedAt, s.ReadyAt,
	}
}

func writeStretches(ctx context.Context, tx Tx, rows [][]any) error {
	return upsert(ctx, tx, `INSERT INTO agent_stretches
			(tenant, agent, start_at, end_at, id, login, reason, work, login_at, reason_at, work_at, logged_at, ready_at) VALUES`, rows,
		"ON CONFLICT (tenant, agent, start_at) DO UPDATE SET end_at = excluded.end_at")
}

func (agentFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	for _, by := range []struct{ table, column string }{
		{"agent_stretches", "start_at"}, {"agent_statuses", "seq"}, {"seen_agents", "seq"},
	} {
		left, err := cut(ctx, tx, by.table, by.column, tenant, record.Open)
		if err != nil {
			return false, err
		}
		more = more || left
	}
	return more, nil
}

// cut deletes about chunk rows of a table whose column is below a number, the least first.
func cut(ctx context.Context, tx Tx, table, column string, tenant, below int64) (more bool, err error) {
	var to int64
	err = tx.GetContext(ctx, &to, "SELECT "+column+" FROM "+table+" WHERE tenant = ? AND "+column+" < ? ORDER BY "+column+
		" LIMIT 1 OFFSET ?", tenant, below, chunk-1)
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

// trim deletes the statuses of events below a number, and then the agents whom no event
// names that is left.
func (agentFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
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
	last := old[len(old)-1].Seq
	if _, err := tx.ExecContext(ctx, "DELETE FROM agent_statuses WHERE tenant = ? AND seq <= ?", tenant, last); err != nil {
		return false, fmt.Errorf("old statuses: %w", err)
	}

	// Histories of these agents change where the statuses were.
	changed := map[string]period{}
	for _, s := range old {
		in, there := changed[s.Agent]
		if !there {
			in = period{first: s.Start, last: s.Start}
		}
		changed[s.Agent] = period{first: min(in.first, s.Start), last: max(in.last, s.Start)}
	}
	return true, restretchAll(ctx, tx, tenant, changed)
}

// seenAgents is what a step's events say of agents, by their keys.
type seenAgents map[string]*agentNews

// agentNews is what a step's events say of one agent: the newest value of each that is not
// empty.
type agentNews struct {
	uuid         string
	id, name, dn dated[string]
	phone        dated[int64]
	first        int64 // time of the earliest event
	seq          int64 // of the last event
}

// dated is a value and its time.
type dated[T comparable] struct {
	value T
	at    int64
}

// note takes a value that is not empty and not older; of equal times the last to arrive.
func (d *dated[T]) note(v T, at int64) {
	var empty T
	if v != empty && (d.value == empty || at >= d.at) {
		*d = dated[T]{value: v, at: at}
	}
}

func (s *seenAgents) add(m *record.Mention, seq int64) {
	if *s == nil {
		*s = seenAgents{}
	}
	key := m.Key()
	a := (*s)[key]
	if a == nil {
		a = &agentNews{uuid: m.UUID}
		(*s)[key] = a
	}

	a.id.note(m.AgentID, m.At)
	a.name.note(m.AgentName, m.At)
	a.dn.note(m.DN, m.At)
	a.phone.note(m.PhoneType, m.At)
	if m.At > 0 && (a.first == 0 || m.At < a.first) {
		a.first = m.At
	}
	a.seq = seq
}

// rows of seen_agents.
func (s seenAgents) rows(tenant int64) (rows [][]any) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		a := s[key]
		rows = append(rows, []any{
			tenant, key, a.uuid, a.id.value, a.id.at, a.name.value, a.name.at, a.dn.value, a.dn.at, a.phone.value, a.phone.at, a.first, a.seq,
		})
	}
	return rows
}

// writeSeen brings rows of seen_agents up to date: each value by itself, if the new one is
// not empty and not older (dated.note in SQL).
func writeSeen(ctx context.Context, tx Tx, rows [][]any) error {
	newer := func(value, at, empty string) string {
		takes := " = CASE WHEN excluded." + value + " <> " + empty +
			" AND (seen_agents." + value + " = " + empty + " OR excluded." + at + " >= seen_agents." + at + ") THEN excluded."
		return value + takes + value + " ELSE seen_agents." + value + " END, " +
			at + takes + at + " ELSE seen_agents." + at + " END, "
	}
	return upsert(ctx, tx, `INSERT INTO seen_agents
			(tenant, agent, uuid, id, id_at, name, name_at, dn, dn_at, phone_type, phone_at, first_at, seq) VALUES`, rows,
		`ON CONFLICT (tenant, agent) DO UPDATE SET `+
			newer("id", "id_at", "''")+newer("name", "name_at", "''")+newer("dn", "dn_at", "''")+newer("phone_type", "phone_at", "0")+
			`first_at = CASE WHEN excluded.first_at > 0 AND (seen_agents.first_at = 0 OR excluded.first_at < seen_agents.first_at)
				THEN excluded.first_at ELSE seen_agents.first_at END, seq = excluded.seq`)
}

// stretch is a row of agent_stretches.
type stretch struct {
	record.State
	Start int64  `db:"start_at"` // Unix ms, as are all times
	End   int64  `db:"end_at"`   // may be record.Open
	ID    string `db:"id"`       // of the event that began it

	LoginAt  int64 `db:"login_at"` // since when each code is what it is
	ReasonAt int64 `db:"reason_at"`
	WorkAt   int64 `db:"work_at"`
	LoggedAt int64 `db:"logged_at"` // since when the agent is logged in; 0: it is not
	ReadyAt  int64 `db:"ready_at"`  // when the work status last became 1; 0: never
}

// next returns the stretch that begins when an event, of an id, changes the state after s;
// nil is before the first status.
func (s *stretch) next(is record.State, at int64, id string) stretch {
	n := stretch{State: is, Start: at, ID: id, LoginAt: at, ReasonAt: at, WorkAt: at}
	if is.LoggedIn() {
		n.LoggedAt = at
	}
	if is.Work == 1 {
		n.ReadyAt = at
	}
	if s == nil {
		return n
	}

	// What has not changed is so since before.
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

// like reports whether the history after s is the same as after o.
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

// after returns the state that the status leads to from another one.
func (s *status) after(was record.State) record.State {
	codes := record.Codes{Login: s.Login, Reason: s.Reason, Work: s.Work}
	return codes.After(was)
}

// statusPage is how many statuses are read at a time.
const statusPage = 256

// restretchAll makes the histories of agents again where their statuses changed.
func restretchAll(ctx context.Context, tx Tx, tenant int64, changed map[string]period) error {
	for _, agent := range slices.Sorted(maps.Keys(changed)) {
		if err := restretch(ctx, tx, tenant, agent, changed[agent]); err != nil {
			return fmt.Errorf("history of %s: %w", agent, err)
		}
	}
	return nil
}

// restretch makes an agent's stretches again from the first status that changed to where
// they are the same as before. Most often that is soon after the last one that changed.
func restretch(ctx context.Context, tx Tx, tenant int64, agent string, changed period) error {
	// The history goes on from the stretch before.
	before, err := stretchAt(ctx, tx, tenant, agent, changed.first-1)
	if err != nil {
		return err
	}
	var made []stretch
	if before != nil {
		made = append(made, *before)
	}

	// Status by status: one that changes the state ends the last stretch and begins another.
	end := int64(record.Open)   // of the last stretch that is made
	until := int64(record.Open) // stretches that begin later stay
	from, more := changed.first, true
	for more {
		var page []status
		if err := tx.SelectContext(ctx, &page, `SELECT start_at, id, login, reason, work FROM agent_statuses
			WHERE tenant = ? AND agent = ? AND start_at >= ? ORDER BY start_at LIMIT ?`, tenant, agent, from, statusPage); err != nil {
			return err
		}
		more = len(page) == statusPage
		for i := range page {
			s := &page[i]
			from = s.Start + 1
			made = append(made, stretchAfter(made, s)...)
			if s.Start <= changed.last {
				continue
			}

			// Past the last change: once the old stretch is like the new one, what follows
			// is as it was.
			old, err := stretchAt(ctx, tx, tenant, agent, s.Start)
			if err != nil {
				return err
			}
			if old != nil && old.like(&made[len(made)-1]) {
				end = old.End
				until = s.Start
				more = false
				break
			}
		}
	}
	if len(made) > 0 {
		made[len(made)-1].End = end
	}

	// They replace those of that time.
	if _, err := tx.ExecContext(ctx, "DELETE FROM agent_stretches WHERE tenant = ? AND agent = ? AND start_at >= ? AND start_at <= ?",
		tenant, agent, changed.first, until); err != nil {
		return err
	}
	var rows [][]any
	for i := range made {
		rows = append(rows, made[i].row(tenant, agent))
	}
	return writeStretches(ctx, tx, rows)
}

// stretchAfter returns the stretch that a status begins after others, the last of which it
// ends; it returns none if the status changes nothing.
func stretchAfter(made []stretch, s *status) []stretch {
	if len(made) == 0 {
		var first *stretch
		return []stretch{first.next(s.after(record.State{}), s.Start, s.ID)}
	}
	last := &made[len(made)-1]
	is := s.after(last.State)
	if is == last.State {
		return nil
	}
	last.End = s.Start
	return []stretch{last.next(is, s.Start, s.ID)}
}

// stretchAt returns the stretch that an agent is in at a time; nil: none has begun.
func stretchAt(ctx context.Context, tx Tx, tenant int64, agent string, at int64) (*stretch, error) {
	var s stretch
	err := tx.GetContext(ctx, &s, `SELECT start_at, end_at, id, login, reason, work, login_at, reason_at, work_at, logged_at, ready_at
		FROM agent_stretches WHERE tenant = ? AND agent = ? AND start_at <= ? ORDER BY start_at DESC LIMIT 1`, tenant, agent, at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // to have none is no error
	}
	return &s, err
}
