package folds

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// reportState is a row of report_states: a status of an agent, what it says and the state
// that it leads to. Unlike a stretch it is there for every status, whether or not the state
// changes.
type reportState struct {
	Agent      string `db:"agent"`
	Start      int64  `db:"start_at"`
	End        int64  `db:"end_at"` // start of the next one, or record.Open
	Seq        int64  `db:"seq"`
	Created    int64  `db:"created_at"`
	SaysLogin  *int64 `db:"says_login"`
	SaysReason *int64 `db:"says_reason"`
	SaysWork   *int64 `db:"says_work"`
	record.State
	Shows  int64  `db:"shows"` // report.StateFlags
	Number string `db:"agent_no"`
	Name   string `db:"agent_name"`
}

const reportStateColumns = `agent, start_at, end_at, seq, created_at, says_login, says_reason, says_work, login, reason, work, shows,
	agent_no, agent_name`

// addStatus adds a status. Of several with one start the last to be made counts, then the
// last to arrive.
func (c *reportPlan) addStatus(s *record.Status, seq int64) {
	agent := s.Key()
	if agent == "" || s.Start == 0 {
		return
	}
	if c.states[agent] == nil {
		c.states[agent] = map[int64]reportState{}
	}
	was, there := c.states[agent][s.Start]
	if there && s.Created < was.Created {
		return
	}
	c.states[agent][s.Start] = reportState{
		Agent: agent, Start: s.Start, Seq: seq, Created: s.Created, SaysLogin: s.Login, SaysReason: s.Reason, SaysWork: s.Work,
		Number: s.AgentID, Name: s.AgentName,
	}
}

// follow works out the state after another one; nil: it is the first.
func (s *reportState) follow(before *reportState) {
	was := record.State{}
	if before != nil {
		was = before.State
	}
	codes := record.Codes{Login: s.SaysLogin, Reason: s.SaysReason, Work: s.SaysWork}
	s.State = codes.After(was)
	s.Shows = int64(report.StateFlags(s.State, was))
}

// restateAll puts statuses, by agent and start, into their places.
func (s *reportStep) restateAll(ctx context.Context, news map[string]map[int64]reportState) error {
	if len(news) == 0 {
		return nil
	}
	agents := slices.Sorted(maps.Keys(news))

	// The last state of each agent before the first of its statuses.
	last := map[string]*reportState{}
	for some := range slices.Chunk(agents, listed) {
		some = sqldb.Filled(some)
		args := []any{}
		for _, a := range some {
			args = append(args, a, slices.Min(slices.Collect(maps.Keys(news[a]))))
		}
		var before []reportState
		if err := s.tx.SelectContext(ctx, &before, "WITH t (who, first) AS (VALUES (CAST(? AS TEXT), CAST(? AS BIGINT))"+
			strings.Repeat(",(?,?)", len(some)-1)+") SELECT "+reportStateColumns+
			` FROM t CROSS JOIN report_states s ON s.tenant = ? AND s.agent = t.who AND s.start_at =
				(SELECT max(b.start_at) FROM report_states b WHERE b.tenant = ? AND b.agent = t.who AND b.start_at < t.first)`,
			append(args, s.tenant, s.tenant)...); err != nil {
			return fmt.Errorf("states before: %w", err)
		}
		for i := range before {
			last[before[i].Agent] = &before[i]
		}
	}

	for _, a := range agents {
		if err := s.restate(ctx, a, last[a], news[a]); err != nil {
			return fmt.Errorf("states of %s: %w", a, err)
		}
	}
	return s.writeStates(ctx)
}

// restate puts statuses of an agent into their places, after the last state before them
// (nil: there is none). What follows is made again up to where it is the same as before.
// Most often nothing follows.
func (s *reportStep) restate(ctx context.Context, agent string, last *reportState, news map[int64]reportState) error {
	changed := false // last differs from its row
	// endLast ends the last state, and writes it if that changes it.
	endLast := func(at int64) {
		if last == nil || !changed && last.End == at {
			return
		}
		last.End = at
		s.states = append(s.states, *last)
		s.touch(report.States, last.Start)
	}

	// Two sequences are merged by their start: the statuses that came, and the rows that are
	// there. Rows need not be read when the last state is known to be the last of all.
	starts := slices.Sorted(maps.Keys(news))
	from, more := starts[0], last == nil || last.End != record.Open
	for more || len(starts) > 0 {
		var page []reportState
		if more {
			if err := s.tx.SelectContext(ctx, &page, "SELECT "+reportStateColumns+` FROM report_states
				WHERE tenant = ? AND agent = ? AND start_at >= ? ORDER BY start_at LIMIT ?`, s.tenant, agent, from, statusPage); err != nil {
				return err
			}
			more = len(page) == statusPage
		}

		for len(page) > 0 || !more && len(starts) > 0 {
			// The next status is a new one, a row, or a new one that takes a row's place.
			var next reportState
			var row *reportState
			isNew := len(starts) > 0 && (len(page) == 0 || starts[0] <= page[0].Start)
			if isNew {
				next = news[starts[0]]
				starts = starts[1:]
			}
			if len(page) > 0 && (!isNew || page[0].Start == next.Start) {
				row = &page[0]
				page = page[1:]
				from = row.Start + 1
				if !isNew || next.Created < row.Created {
					isNew = false
					next = *row
				} else {
					next.End = row.End
					s.naming(agent).lose(row.Seq)
				}
			}
			if isNew {
				s.naming(agent).note(next.Start, next.Seq, next.Number, next.Name)
			}

			next.follow(last)
			if last != nil {
				endLast(next.Start)
			}
			changed = isNew || row.State != next.State || row.Shows != next.Shows
			if !changed && len(starts) == 0 {
				return nil // from here on all is as it was
			}
			last = &next
		}
	}
	endLast(record.Open)
	return nil
}

// writeStates writes the rows that changed.
func (s *reportStep) writeStates(ctx context.Context) error {
	rows := make([][]any, len(s.states))
	for i := range s.states {
		r := &s.states[i]
		rows[i] = []any{
			s.tenant, r.Agent, r.Start, r.End, r.Seq, r.Created, r.SaysLogin, r.SaysReason, r.SaysWork,
			r.Login, r.Reason, r.Work, r.Shows, r.Number, r.Name,
		}
	}
	if err := upsert(ctx, s.tx, "INSERT INTO report_states (tenant, "+reportStateColumns+") VALUES", rows,
		`ON CONFLICT (tenant, agent, start_at) DO UPDATE SET end_at = excluded.end_at, seq = excluded.seq, created_at = excluded.created_at,
			says_login = excluded.says_login, says_reason = excluded.says_reason, says_work = excluded.says_work,
			login = excluded.login, reason = excluded.reason, work = excluded.work, shows = excluded.shows,
			agent_no = excluded.agent_no, agent_name = excluded.agent_name`); err != nil {
		return fmt.Errorf("states: %w", err)
	}
	return nil
}
