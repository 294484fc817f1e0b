package folds

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// The reports show of each agent the newest number and name of all records that still hold
// (report_agents). A record that is replaced or gone may have been the one that said them.

// reportNaming is what a step changes about the number and name of an agent.
type reportNaming struct {
	lost         map[int64]bool // numbers of events whose records were replaced or are gone
	number, name reportName     // the newest that came
}

// reportName is a text with the start of the record that says it, and the number of its
// event.
type reportName struct {
	text    string
	at, seq int64
}

// note takes another text if it is not empty and newer: by start, then by arrival.
func (n *reportName) note(o reportName) {
	newer := cmp.Or(cmp.Compare(o.at, n.at), cmp.Compare(o.seq, n.seq)) > 0
	if o.text != "" && (n.text == "" || newer) {
		*n = o
	}
}

// naming returns what changes about an agent.
func (s *reportStep) naming(agent string) *reportNaming {
	n := s.names[agent]
	if n == nil {
		n = &reportNaming{lost: map[int64]bool{}}
		s.names[agent] = n
	}
	return n
}

// lose notes that the record of an event does not hold any more.
func (n *reportNaming) lose(seq int64) { n.lost[seq] = true }

// note notes what a record says.
func (n *reportNaming) note(at, seq int64, number, name string) {
	n.number.note(reportName{text: number, at: at, seq: seq})
	n.name.note(reportName{text: name, at: at, seq: seq})
}

// reportAgent is a row of report_agents.
type reportAgent struct {
	Agent   string `db:"agent"`
	No      string `db:"no"`
	NoAt    int64  `db:"no_at"`
	NoSeq   int64  `db:"no_seq"`
	Name    string `db:"name"`
	NameAt  int64  `db:"name_at"`
	NameSeq int64  `db:"name_seq"`
}

// rename brings the names of agents up to date, after the records are.
func (s *reportStep) rename(ctx context.Context) error {
	delete(s.names, "") // records that name nobody
	if len(s.names) == 0 {
		return nil
	}
	agents := slices.Sorted(maps.Keys(s.names))
	before, err := s.loadNames(ctx, agents)
	if err != nil {
		return err
	}

	var rows [][]any
	for _, agent := range agents {
		was, there := before[agent]
		n := s.names[agent]
		number, err := s.newest(ctx, agent, "agent_no", n, reportName{text: was.No, at: was.NoAt, seq: was.NoSeq}, n.number)
		if err != nil {
			return err
		}
		name, err := s.newest(ctx, agent, "agent_name", n, reportName{text: was.Name, at: was.NameAt, seq: was.NameSeq}, n.name)
		if err != nil {
			return err
		}
		now := reportAgent{
			Agent: agent, No: number.text, NoAt: number.at, NoSeq: number.seq, Name: name.text, NameAt: name.at, NameSeq: name.seq,
		}
		if !there || now != was {
			rows = append(rows, []any{s.tenant, agent, now.No, now.NoAt, now.NoSeq, now.Name, now.NameAt, now.NameSeq})
		}
	}

	if err := upsert(ctx, s.tx, "INSERT INTO report_agents (tenant, agent, no, no_at, no_seq, name, name_at, name_seq) VALUES", rows,
		`ON CONFLICT (tenant, agent) DO UPDATE SET no = excluded.no, no_at = excluded.no_at, no_seq = excluded.no_seq,
			name = excluded.name, name_at = excluded.name_at, name_seq = excluded.name_seq`); err != nil {
		return fmt.Errorf("agents: %w", err)
	}
	return nil
}

// loadNames reads the rows of agents.
func (s *reportStep) loadNames(ctx context.Context, agents []string) (map[string]reportAgent, error) {
	all := map[string]reportAgent{}
	for list, args := range lists(agents, s.tenant) {
		var rows []reportAgent
		if err := s.tx.SelectContext(ctx, &rows, "SELECT agent, no, no_at, no_seq, name, name_at, name_seq FROM report_agents "+
			"WHERE tenant = ? AND agent IN "+list, args...); err != nil {
			return nil, fmt.Errorf("agents: %w", err)
		}
		for _, a := range rows {
			all[a.Agent] = a
		}
	}
	return all, nil
}

// newest returns the later of the known name and the new one. If the record that said it
// does not hold any more, it looks for the newest among all rows.
func (s *reportStep) newest(ctx context.Context, agent, column string, n *reportNaming, known, came reportName) (reportName, error) {
	best := came
	best.note(known)
	if best.text == "" || !n.lost[best.seq] {
		return best, nil
	}

	var found reportName
	for _, table := range []string{"report_parties", "report_states"} {
		var rows []struct {
			Text  string `db:"text"`
			Start int64  `db:"start_at"`
			Seq   int64  `db:"seq"`
		}
		if err := s.tx.SelectContext(ctx, &rows, "SELECT "+column+" AS text, start_at, seq FROM "+table+
			" WHERE tenant = ? AND agent = ? AND agent <> '' AND "+column+" <> '' ORDER BY start_at DESC, seq DESC LIMIT 1",
			s.tenant, agent); err != nil {
			return found, fmt.Errorf("newest %s of %s: %w", column, agent, err)
		}
		for _, r := range rows {
			found.note(reportName{text: r.Text, at: r.Start, seq: r.Seq})
		}
	}
	return found, nil
}

// renameAll sets the names of all agents from the records that are there.
func renameAll(ctx context.Context, tx Tx, tenant int64) error {
	var agents []string
	if err := tx.SelectContext(ctx, &agents, `SELECT agent FROM report_parties WHERE tenant = ? AND agent <> ''
		UNION SELECT agent FROM report_states WHERE tenant = ? ORDER BY agent`, tenant, tenant); err != nil {
		return fmt.Errorf("agents: %w", err)
	}

	for some := range slices.Chunk(agents, listed) {
		s := newReportStep(tx, tenant)
		for _, a := range some {
			// As if the record that said the name did not hold any more: then rename looks.
			n := s.naming(a)
			n.lose(0)
			n.number.text = "?"
			n.name.text = "?"
		}
		if err := s.rename(ctx); err != nil {
			return err
		}
	}
	return nil
}
