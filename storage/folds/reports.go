package folds

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// reportFold keeps the facts of the reports. They outlast the bodies that they
// come from, so they hold what is counted and no more: of a customer's number a
// code, which is the same for the same number.
type reportFold struct {
	key []byte // of those codes
}

func (reportFold) name() string { return "reports" }

func (f reportFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	c := &reportChange{tx: tx, tenant: tenant, groups: map[reportCallKey]*reportGroup{}, slots: map[reportSlot]bool{}, named: map[string]*reportNaming{}}
	states := map[string]map[int64]reportState{} // by agent and start
	for _, e := range events {
		switch e.Type {
		case event.CDRCall:
			f.hearCall(c, report.Telemarketing, e)
		case event.CDRBotCall:
			f.hearCall(c, report.Bot, e)
		case event.CDRParty:
			c.hearParty(report.Telemarketing, e)
		case event.CDRBotParty:
			c.hearParty(report.Bot, e)
		case event.AgentStatus:
			s := report.ReadStatus(e)
			if s.Agent == "" || s.Start == 0 {
				continue
			}
			if states[s.Agent] == nil {
				states[s.Agent] = map[int64]reportState{}
			}
			if was, there := states[s.Agent][s.Start]; !there || s.Created >= was.Created {
				states[s.Agent][s.Start] = newReportState(&s, e.Seq)
			}
		}
	}
	if err := c.recount(ctx); err != nil {
		return err
	}
	if err := c.restateAll(ctx, states); err != nil {
		return err
	}
	if err := c.rename(ctx); err != nil {
		return err
	}
	if len(events) == 0 {
		return nil
	}
	return c.mark(ctx, events[len(events)-1].Seq)
}

// customer is the code of a number.
func (f reportFold) customer(tenant int64, number string) blob {
	if number == "" {
		return ""
	}
	h := hmac.New(sha256.New, f.key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(tenant)))
	h.Write([]byte(number))
	return blob(h.Sum(nil)[:len(report.Customer{})])
}

// blob is bytes that can be compared.
type blob string

// Value implements driver.Valuer.
func (b blob) Value() (driver.Value, error) { return []byte(b), nil }

// Scan implements sql.Scanner.
func (b *blob) Scan(v any) error {
	raw, is := v.([]byte)
	if !is {
		return fmt.Errorf("%T is no bytes", v)
	}
	*b = blob(raw)
	return nil
}

// reportCall is a row of report_calls.
type reportCall struct {
	Scope     int64  `db:"scope"`
	ID        string `db:"call_id"`
	Start     int64  `db:"start_at"`
	Seq       int64  `db:"seq"`
	Type      int64  `db:"call_type"`
	Own       int64  `db:"own"`
	Legs      int64  `db:"legs"`
	Talk      int64  `db:"talk"`
	Total     int64  `db:"total"`
	AgentTalk int64  `db:"agent_talk"`
	Gateway   string `db:"gateway"`
	Route     string `db:"route"`
	Customer  blob   `db:"customer"`
}

// reportParty is a row of report_parties.
type reportParty struct {
	Scope       int64  `db:"scope"`
	Call        string `db:"call_id"`
	ID          string `db:"party_id"`
	Start       int64  `db:"start_at"`
	Seq         int64  `db:"seq"`
	CallNo      int64  `db:"call_no"`
	Type        int64  `db:"call_type"`
	Dial        int64  `db:"dial"`
	Role        int64  `db:"role"`
	Result      int64  `db:"result"`
	Talk        int64  `db:"talk"`
	Total       int64  `db:"total"`
	Shows       int64  `db:"shows"`
	Agent       string `db:"agent"`
	Number      string `db:"agent_no"`
	Name        string `db:"agent_name"`
	Departments string `db:"departments"`
}

const (
	reportCallColumns  = "scope, call_id, start_at, seq, call_type, own, legs, talk, total, agent_talk, gateway, route, customer"
	reportPartyColumns = "scope, call_id, party_id, start_at, seq, call_no, call_type, dial, role, result, talk, total, shows, agent, agent_no, agent_name, departments"
)

type reportCallKey struct {
	scope int64
	id    string
}

// reportGroup is the records of a call, as they were and as they are now.
type reportGroup struct {
	was, is       *reportCall
	wereParties   map[string]reportParty
	parties       map[string]reportParty
	heard         *reportCall            // the version that came; nil with gone: none that counts
	gone          bool                   //
	heardParties  map[string]reportParty // the same
	goneParties   map[string]bool
	firstPartySeq int64
}

type reportSlot struct {
	kind report.Kind
	slot int64
}

// reportChange is what a step makes of the facts of a tenant.
type reportChange struct {
	tx     *sqlx.Tx
	tenant int64
	groups map[reportCallKey]*reportGroup
	states []reportState // to be written
	slots  map[reportSlot]bool
	named  map[string]*reportNaming
}

func (c *reportChange) group(scope report.Scope, call string) *reportGroup {
	key := reportCallKey{int64(scope), call}
	g := c.groups[key]
	if g == nil {
		g = &reportGroup{wereParties: map[string]reportParty{}, heardParties: map[string]reportParty{}, goneParties: map[string]bool{}}
		c.groups[key] = g
	}
	return g
}

func (f reportFold) hearCall(c *reportChange, scope report.Scope, e *event.Event) {
	r := report.ReadCall(e)
	if r.ID == "" {
		return
	}
	g := c.group(scope, r.ID)
	if g.gone = r.Start == 0; g.gone {
		g.heard = nil
		return
	}
	g.heard = &reportCall{
		Scope: int64(scope), ID: r.ID, Start: r.Start, Seq: e.Seq, Type: r.Type, Own: int64(r.Flags), Talk: r.Talk, Total: r.Total,
		Gateway: r.Gateway, Route: r.Route, Customer: f.customer(c.tenant, r.Customer),
	}
}

func (c *reportChange) hearParty(scope report.Scope, e *event.Event) {
	p := report.ReadParty(e)
	if p.Call == "" || p.ID == "" {
		return
	}
	g := c.group(scope, p.Call)
	if p.Start == 0 {
		delete(g.heardParties, p.ID)
		g.goneParties[p.ID] = true
		return
	}
	if g.firstPartySeq == 0 {
		g.firstPartySeq = e.Seq
	}
	if scope == report.Bot { // no agent report is of them
		p.Agent, p.Number, p.Name, p.Departments = "", "", "", ""
	}
	delete(g.goneParties, p.ID)
	g.heardParties[p.ID] = reportParty{
		Scope: int64(scope), Call: p.Call, ID: p.ID, Start: p.Start, Seq: e.Seq, Type: p.Type, Dial: p.Dial, Role: p.Role, Result: p.Result,
		Talk: p.Talk, Total: p.Total, Agent: p.Agent, Number: p.Number, Name: p.Name, Departments: p.Departments,
	}
}

// recount brings the calls whose records changed up to date: what a call shows
// depends on its parties, and what a party shows on its call.
func (c *reportChange) recount(ctx context.Context) error {
	if err := c.loadGroups(ctx); err != nil {
		return err
	}
	var calls, parties [][]any
	keys := slices.SortedFunc(maps.Keys(c.groups), func(x, y reportCallKey) int {
		return cmp.Or(cmp.Compare(x.scope, y.scope), cmp.Compare(x.id, y.id))
	})
	for _, key := range keys {
		g := c.groups[key]
		g.settle()
		if err := c.noteCall(ctx, key, g, &calls); err != nil {
			return err
		}
		if err := c.noteParties(ctx, key, g, &parties); err != nil {
			return err
		}
	}
	if err := upsert(ctx, c.tx, "INSERT INTO report_calls (tenant, "+reportCallColumns+") VALUES", calls,
		`ON CONFLICT (tenant, scope, call_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq, call_type = excluded.call_type,
			own = excluded.own, legs = excluded.legs, talk = excluded.talk, total = excluded.total, agent_talk = excluded.agent_talk,
			gateway = excluded.gateway, route = excluded.route, customer = excluded.customer`); err != nil {
		return fmt.Errorf("calls: %w", err)
	}
	if err := upsert(ctx, c.tx, "INSERT INTO report_parties (tenant, "+reportPartyColumns+") VALUES", parties,
		`ON CONFLICT (tenant, scope, call_id, party_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq, call_no = excluded.call_no,
			call_type = excluded.call_type, dial = excluded.dial, role = excluded.role, result = excluded.result, talk = excluded.talk,
			total = excluded.total, shows = excluded.shows, agent = excluded.agent, agent_no = excluded.agent_no,
			agent_name = excluded.agent_name, departments = excluded.departments`); err != nil {
		return fmt.Errorf("parties: %w", err)
	}
	return nil
}

// loadGroups reads the records that there are of the calls.
func (c *reportChange) loadGroups(ctx context.Context) error {
	ids := map[int64][]any{}
	for key := range c.groups {
		ids[key.scope] = append(ids[key.scope], key.id)
	}
	for scope, all := range ids {
		// SQLite would rather read all calls of the tenant.
		where := "_id WHERE tenant = ? AND scope = ? AND call_id IN (" + sqldb.Values("?", len(all)) + ")"
		args := append([]any{c.tenant, scope}, all...)
		var calls []reportCall
		if err := c.tx.SelectContext(ctx, &calls, "SELECT "+reportCallColumns+" FROM report_calls INDEXED BY report_calls"+where, args...); err != nil {
			return fmt.Errorf("read calls: %w", err)
		}
		for i := range calls {
			c.groups[reportCallKey{scope, calls[i].ID}].was = &calls[i]
		}
		var parties []reportParty
		if err := c.tx.SelectContext(ctx, &parties, "SELECT "+reportPartyColumns+" FROM report_parties INDEXED BY report_parties"+where, args...); err != nil {
			return fmt.Errorf("read parties: %w", err)
		}
		for _, p := range parties {
			c.groups[reportCallKey{scope, p.Call}].wereParties[p.ID] = p
		}
	}
	return nil
}

// settle what the records of a call are now, and show.
func (g *reportGroup) settle() {
	if g.is = g.was; g.heard != nil || g.gone {
		g.is = g.heard
	}
	g.parties = maps.Clone(g.wereParties)
	maps.Copy(g.parties, g.heardParties)
	no := g.firstPartySeq
	for _, p := range g.wereParties {
		no = p.CallNo
	}
	var call *report.Call
	if g.is != nil {
		call = &report.Call{Type: g.is.Type, Flags: report.Flags(g.is.Own)}
	}
	var all []report.Party
	var placed []string // parties that count as placed
	for id, p := range g.parties {
		if g.goneParties[id] {
			delete(g.parties, id)
			continue
		}
		r := report.Party{ID: p.ID, Start: p.Start, Type: p.Type, Dial: p.Dial, Role: p.Role, Result: p.Result, Talk: p.Talk}
		all = append(all, r)
		if p.CallNo = no; p.Scope == int64(report.Telemarketing) {
			p.Shows = int64(r.Shows(call))
		}
		if p.Shows&int64(report.Out) != 0 {
			placed = append(placed, id)
		}
		g.parties[id] = p
	}
	if len(placed) == 1 {
		p := g.parties[placed[0]]
		p.Shows |= int64(report.Sole)
		g.parties[p.ID] = p
	}
	if g.is != nil {
		is, legs := *g.is, report.LegsOf(all)
		is.Legs, is.AgentTalk = int64(legs.Flags), legs.Talk
		g.is = &is
	}
}

func (c *reportChange) noteCall(ctx context.Context, key reportCallKey, g *reportGroup, rows *[][]any) error {
	if g.was != nil && g.is != nil && *g.was == *g.is {
		return nil
	}
	kind := callKind(key.scope)
	if g.was != nil {
		c.touch(kind, g.was.Start)
	}
	switch r := g.is; {
	case r != nil:
		c.touch(kind, r.Start)
		*rows = append(*rows, []any{
			c.tenant, r.Scope, r.ID, r.Start, r.Seq, r.Type, r.Own, r.Legs, r.Talk, r.Total, r.AgentTalk, r.Gateway, r.Route, r.Customer,
		})
	case g.was != nil:
		if _, err := c.tx.ExecContext(ctx, "DELETE FROM report_calls WHERE tenant = ? AND scope = ? AND call_id = ?", c.tenant, key.scope, key.id); err != nil {
			return fmt.Errorf("calls: %w", err)
		}
	}
	return nil
}

func callKind(scope int64) report.Kind {
	if report.Scope(scope) == report.Bot {
		return report.BotCalls
	}
	return report.Calls
}

func (c *reportChange) noteParties(ctx context.Context, key reportCallKey, g *reportGroup, rows *[][]any) error {
	for _, id := range slices.Sorted(maps.Keys(g.wereParties)) {
		was := g.wereParties[id]
		if is, still := g.parties[id]; still && is == was {
			continue
		} else if !still {
			if _, err := c.tx.ExecContext(ctx, "DELETE FROM report_parties WHERE tenant = ? AND scope = ? AND call_id = ? AND party_id = ?",
				c.tenant, key.scope, key.id, id); err != nil {
				return fmt.Errorf("parties: %w", err)
			}
			c.naming(was.Agent).lose(was.Seq)
		} else if is.Seq != was.Seq {
			c.naming(was.Agent).lose(was.Seq)
		}
		if was.Shows != 0 {
			c.touch(report.Parties, was.Start)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(g.parties)) {
		p := g.parties[id]
		was, there := g.wereParties[id]
		if there && was == p {
			continue
		}
		if p.Shows != 0 {
			c.touch(report.Parties, p.Start)
		}
		if !there || was.Seq != p.Seq {
			c.naming(p.Agent).hear(p.Start, p.Seq, p.Number, p.Name)
		}
		*rows = append(*rows, []any{
			c.tenant, p.Scope, p.Call, p.ID, p.Start, p.Seq, p.CallNo, p.Type, p.Dial, p.Role, p.Result, p.Talk, p.Total, p.Shows,
			p.Agent, p.Number, p.Name, p.Departments,
		})
	}
	return nil
}

// reportState is a row of report_states.
type reportState struct {
	Agent      string `db:"agent"`
	Start      int64  `db:"start_at"`
	End        int64  `db:"end_at"`
	Seq        int64  `db:"seq"`
	Created    int64  `db:"created_at"`
	SaysLogin  *int64 `db:"says_login"`
	SaysReason *int64 `db:"says_reason"`
	SaysWork   *int64 `db:"says_work"`
	Login      int64  `db:"login"`
	Reason     int64  `db:"reason"`
	Work       int64  `db:"work"`
	Shows      int64  `db:"shows"`
	Number     string `db:"agent_no"`
	Name       string `db:"agent_name"`
}

const reportStateColumns = "agent, start_at, end_at, seq, created_at, says_login, says_reason, says_work, login, reason, work, shows, agent_no, agent_name"

func newReportState(s *report.Status, seq int64) reportState {
	return reportState{
		Agent: s.Agent, Start: s.Start, Seq: seq, Created: s.Created, SaysLogin: s.Login, SaysReason: s.Reason, SaysWork: s.Work,
		Number: s.Number, Name: s.Name,
	}
}

func (s *reportState) state() report.State {
	return report.State{Login: s.Login, Reason: s.Reason, Work: s.Work}
}

// follow another state, nil: the first.
func (s *reportState) follow(before *reportState) {
	was := report.State{}
	if before != nil {
		was = before.state()
	}
	is := (&report.Status{Login: s.SaysLogin, Reason: s.SaysReason, Work: s.SaysWork}).After(was)
	s.Login, s.Reason, s.Work, s.Shows = is.Login, is.Reason, is.Work, int64(is.Shows(was))
}

// restateAll puts changes of agents' states, by agent and start, into their places.
func (c *reportChange) restateAll(ctx context.Context, changes map[string]map[int64]reportState) error {
	if len(changes) == 0 {
		return nil
	}
	agents := slices.Sorted(maps.Keys(changes))
	args := []any{}
	for _, a := range agents {
		args = append(args, a, slices.Min(slices.Collect(maps.Keys(changes[a]))))
	}
	var before []reportState
	if err := c.tx.SelectContext(ctx, &before, "WITH t (who, first) AS (VALUES (CAST(? AS TEXT), CAST(? AS BIGINT))"+strings.Repeat(",(?,?)", len(agents)-1)+
		") SELECT "+reportStateColumns+` FROM t CROSS JOIN report_states s ON s.tenant = ? AND s.agent = t.who AND s.start_at =
			(SELECT max(b.start_at) FROM report_states b WHERE b.tenant = ? AND b.agent = t.who AND b.start_at < t.first)`,
		append(args, c.tenant, c.tenant)...); err != nil {
		return fmt.Errorf("states before: %w", err)
	}
	last := map[string]*reportState{}
	for i := range before {
		last[before[i].Agent] = &before[i]
	}
	for _, a := range agents {
		if err := c.restate(ctx, a, last[a], changes[a]); err != nil {
			return fmt.Errorf("states of %s: %w", a, err)
		}
	}
	return c.writeStates(ctx)
}

// restate puts changes of an agent's state into their places, after the last state
// before them, nil: none. What follows is made anew up to where it is again as it
// was. Most often nothing follows.
func (c *reportChange) restate(ctx context.Context, agent string, last *reportState, changes map[int64]reportState) error {
	starts := slices.Sorted(maps.Keys(changes))
	// close the last one; it is written if that, or anything before, changed it.
	changed := false
	end := func(at int64) {
		if last != nil && (changed || last.End != at) {
			last.End = at
			c.states = append(c.states, *last)
			c.touch(report.States, last.Start)
		}
	}
	follows := last == nil || last.End != report.Open
	for from, more := starts[0], follows; more || len(starts) > 0; {
		var page []reportState
		if more {
			if err := c.tx.SelectContext(ctx, &page, "SELECT "+reportStateColumns+` FROM report_states
				WHERE tenant = ? AND agent = ? AND start_at >= ? ORDER BY start_at LIMIT ?`, c.tenant, agent, from, statusPage); err != nil {
				return err
			}
			more = len(page) == statusPage
		}
		for len(page) > 0 || !more && len(starts) > 0 {
			var next reportState
			isNew := len(starts) > 0 && (len(page) == 0 || starts[0] <= page[0].Start)
			var old *reportState
			if isNew {
				next, starts = changes[starts[0]], starts[1:]
			}
			if len(page) > 0 && (!isNew || page[0].Start == next.Start) {
				old, page = &page[0], page[1:]
				from = old.Start + 1
				switch {
				case !isNew || next.Created < old.Created: // the one that is there stays
					next, isNew = *old, false
				default:
					c.naming(agent).lose(old.Seq)
					next.End = old.End
				}
			}
			if isNew {
				c.naming(agent).hear(next.Start, next.Seq, next.Number, next.Name)
			}
			next.follow(last)
			if last != nil {
				end(next.Start)
			}
			if !isNew && old.state() == next.state() && old.Shows == next.Shows {
				if len(starts) == 0 { // from here on all is as it was
					return nil
				}
				last, changed = &next, false
				continue
			}
			last, changed = &next, true
		}
	}
	end(report.Open)
	return nil
}

func (c *reportChange) writeStates(ctx context.Context) error {
	rows := make([][]any, len(c.states))
	for i, s := range c.states {
		rows[i] = []any{
			c.tenant, s.Agent, s.Start, s.End, s.Seq, s.Created, s.SaysLogin, s.SaysReason, s.SaysWork, s.Login, s.Reason, s.Work, s.Shows, s.Number, s.Name,
		}
	}
	if err := upsert(ctx, c.tx, "INSERT INTO report_states (tenant, "+reportStateColumns+") VALUES", rows,
		`ON CONFLICT (tenant, agent, start_at) DO UPDATE SET end_at = excluded.end_at, seq = excluded.seq, created_at = excluded.created_at,
			says_login = excluded.says_login, says_reason = excluded.says_reason, says_work = excluded.says_work, login = excluded.login,
			reason = excluded.reason, work = excluded.work, shows = excluded.shows, agent_no = excluded.agent_no, agent_name = excluded.agent_name`); err != nil {
		return fmt.Errorf("states: %w", err)
	}
	return nil
}

// reportNaming is what a step changes about what is known of an agent.
type reportNaming struct {
	lost         map[int64]bool // versions that are no more
	number, name reportName
}

// reportName is the newest value that is not empty, by start, then by arrival.
type reportName struct {
	is      string
	at, seq int64
}

func (n *reportName) hear(o reportName) {
	if o.is != "" && (n.is == "" || cmp.Or(cmp.Compare(o.at, n.at), cmp.Compare(o.seq, n.seq)) > 0) {
		*n = o
	}
}

func (c *reportChange) naming(agent string) *reportNaming {
	n := c.named[agent]
	if n == nil {
		n = &reportNaming{lost: map[int64]bool{}}
		c.named[agent] = n
	}
	return n
}

func (n *reportNaming) lose(seq int64) { n.lost[seq] = true }

func (n *reportNaming) hear(at, seq int64, number, name string) {
	n.number.hear(reportName{number, at, seq})
	n.name.hear(reportName{name, at, seq})
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

// rename brings what is known of the agents up to date, after the records are.
func (c *reportChange) rename(ctx context.Context) error {
	delete(c.named, "") // nobody
	if len(c.named) == 0 {
		return nil
	}
	agents := slices.Sorted(maps.Keys(c.named))
	args := []any{c.tenant}
	for _, a := range agents {
		args = append(args, a)
	}
	var known []reportAgent
	if err := c.tx.SelectContext(ctx, &known, "SELECT agent, no, no_at, no_seq, name, name_at, name_seq FROM report_agents WHERE tenant = ? AND agent IN ("+
		sqldb.Values("?", len(agents))+")", args...); err != nil {
		return fmt.Errorf("agents: %w", err)
	}
	was := map[string]reportAgent{}
	for _, a := range known {
		was[a.Agent] = a
	}
	var rows [][]any
	for _, agent := range agents {
		a, there := was[agent]
		n := c.named[agent]
		number, err := c.newest(ctx, agent, "agent_no", n, reportName{a.No, a.NoAt, a.NoSeq}, n.number)
		if err != nil {
			return err
		}
		name, err := c.newest(ctx, agent, "agent_name", n, reportName{a.Name, a.NameAt, a.NameSeq}, n.name)
		if err != nil {
			return err
		}
		if is := (reportAgent{agent, number.is, number.at, number.seq, name.is, name.at, name.seq}); !there || is != a {
			rows = append(rows, []any{c.tenant, agent, number.is, number.at, number.seq, name.is, name.at, name.seq})
		}
	}
	if err := upsert(ctx, c.tx, "INSERT INTO report_agents (tenant, agent, no, no_at, no_seq, name, name_at, name_seq) VALUES", rows,
		`ON CONFLICT (tenant, agent) DO UPDATE SET no = excluded.no, no_at = excluded.no_at, no_seq = excluded.no_seq,
			name = excluded.name, name_at = excluded.name_at, name_seq = excluded.name_seq`); err != nil {
		return fmt.Errorf("agents: %w", err)
	}
	return nil
}

// newest of what was known and what came; when the version that said it is no
// more, and what came is not newer than that was, of all records.
func (c *reportChange) newest(ctx context.Context, agent, column string, n *reportNaming, was, came reportName) (reportName, error) {
	best := came
	best.hear(was)
	if !n.lost[best.seq] || best.is == "" {
		return best, nil
	}
	var found reportName
	for _, table := range []string{"report_parties", "report_states"} {
		var rows []struct {
			Is    string `db:"is_now"`
			Start int64  `db:"start_at"`
			Seq   int64  `db:"seq"`
		}
		if err := c.tx.SelectContext(ctx, &rows, "SELECT "+column+" AS is_now, start_at, seq FROM "+table+
			" WHERE tenant = ? AND agent = ? AND agent <> '' AND "+column+" <> '' ORDER BY start_at DESC, seq DESC LIMIT 1", c.tenant, agent); err != nil {
			return found, fmt.Errorf("newest %s of %s: %w", column, agent, err)
		}
		for _, r := range rows {
			found.hear(reportName{r.Is, r.Start, r.Seq})
		}
	}
	return found, nil
}

func (c *reportChange) touch(k report.Kind, start int64) {
	c.slots[reportSlot{k, start / report.SlotMS}] = true
}

// mark the hours whose facts changed, by the step that ends with an event.
func (c *reportChange) mark(ctx context.Context, seq int64) error {
	slots := slices.SortedFunc(maps.Keys(c.slots), func(x, y reportSlot) int {
		return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.slot, y.slot))
	})
	rows := make([][]any, len(slots))
	for i, s := range slots {
		rows[i] = []any{c.tenant, int64(s.kind), s.slot, seq}
	}
	if err := upsert(ctx, c.tx, "INSERT INTO report_blocks (tenant, kind, slot, changed) VALUES", rows,
		"ON CONFLICT (tenant, kind, slot) DO UPDATE SET changed = excluded.changed, block = NULL"); err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	return nil
}

// reportTables whose rows come from one event each.
var reportTables = []string{"report_calls", "report_parties", "report_states"}

// reset takes away what can be made anew: facts whose body is gone stay.
func (f reportFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	var kept int64 // bodies from this event on are there
	if err := tx.GetContext(ctx, &kept, "SELECT coalesce(max(payload), 0) FROM retention WHERE tenant = ?", tenant); err != nil {
		return false, fmt.Errorf("retention: %w", err)
	}
	for _, table := range reportTables {
		var to []int64
		if err := tx.SelectContext(ctx, &to, "SELECT seq FROM "+table+" WHERE tenant = ? AND seq >= ? ORDER BY seq LIMIT 1 OFFSET ?",
			tenant, kept, chunk-1); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
		upTo := int64(report.Open)
		if len(to) > 0 {
			upTo, more = to[0], true
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant = ? AND seq >= ? AND seq <= ?", tenant, kept, upTo); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
	}
	if more {
		return true, nil
	}
	if _, err := tx.ExecContext(ctx, "UPDATE report_blocks SET block = NULL WHERE tenant = ? AND block IS NOT NULL", tenant); err != nil {
		return false, fmt.Errorf("blocks: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM report_agents WHERE tenant = ?", tenant); err != nil {
		return false, fmt.Errorf("agents: %w", err)
	}
	return false, f.renameAll(ctx, tx, tenant)
}

// renameAll says of every agent what the records that stayed say.
func (reportFold) renameAll(ctx context.Context, tx *sqlx.Tx, tenant int64) error {
	var agents []string
	if err := tx.SelectContext(ctx, &agents, `SELECT agent FROM report_parties WHERE tenant = ? AND agent <> ''
		UNION SELECT agent FROM report_states WHERE tenant = ? ORDER BY agent`, tenant, tenant); err != nil {
		return fmt.Errorf("agents: %w", err)
	}
	c := &reportChange{tx: tx, tenant: tenant}
	for some := range slices.Chunk(agents, upsertRows) {
		c.named = map[string]*reportNaming{}
		for _, a := range some { // as if the version that said it were gone
			n := c.naming(a)
			n.lose(0)
			n.number.is, n.name.is = "?", "?"
		}
		if err := c.rename(ctx); err != nil {
			return err
		}
	}
	return nil
}

// trim takes away facts of events that are no more: their bodies went before.
func (reportFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, _ int64) (more bool, err error) {
	var first int64 // of the events that are there
	if err := tx.GetContext(ctx, &first, "SELECT coalesce((SELECT min(seq) FROM events WHERE tenant = ?), 0)", tenant); err != nil {
		return false, fmt.Errorf("first event: %w", err)
	}
	c := &reportChange{tx: tx, tenant: tenant, slots: map[reportSlot]bool{}}
	for _, table := range reportTables {
		// A state that lasts is looked back at without limit.
		and, kind := "", "scope"
		if table == "report_states" {
			and, kind = fmt.Sprintf(" AND end_at < %d", int64(report.Open)), fmt.Sprint(int64(report.States))
		}
		if table == "report_parties" {
			kind = fmt.Sprint(int64(report.Parties))
		}
		var old []struct {
			Start int64 `db:"start_at"`
			Seq   int64 `db:"seq"`
			Kind  int64 `db:"kind"`
		}
		if err := tx.SelectContext(ctx, &old, "SELECT start_at, seq, "+kind+" AS kind FROM "+table+" WHERE tenant = ? AND seq < ?"+and+" ORDER BY seq LIMIT ?",
			tenant, first, chunk); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
		if len(old) == 0 {
			continue
		}
		for _, r := range old {
			c.touch(report.Kind(r.Kind), r.Start)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant = ? AND seq <= ?"+and, tenant, old[len(old)-1].Seq); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
		more = more || len(old) == chunk
	}
	return more, c.mark(ctx, first)
}
