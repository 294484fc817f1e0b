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

	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/report"
)

// reportFold keeps the facts of the reports. They outlast the bodies that they come from,
// so they hold what is counted and no more: instead of a customer's number a code, which
// is the same for the same number.
type reportFold struct {
	key []byte // of those codes
}

func (reportFold) name() string { return "reports" }

func (f reportFold) plan(tenant int64, records []record.Record) change {
	c := &reportPlan{tenant: tenant, calls: map[reportCallKey]*callNews{}, states: map[string]map[int64]reportState{}}
	for i := range records {
		seq := records[i].Event.Seq
		switch r := records[i].Says.(type) {
		case *record.Call:
			c.addCall(r, seq, f.code(tenant, r.Customer()))
		case *record.Party:
			c.addParty(r, seq)
		case *record.Status:
			c.addStatus(r, seq)
		}
		c.last = seq
	}
	return c
}

// code returns what stands for a customer's number.
func (f reportFold) code(tenant int64, number string) blob {
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
	Own       int64  `db:"own"`  // report.OwnFlags
	Legs      int64  `db:"legs"` // report.LegsOf
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
	CallNo      int64  `db:"call_no"` // the same for all parties of a call, and for no others
	Type        int64  `db:"call_type"`
	Dial        int64  `db:"dial"`
	Role        int64  `db:"role"`
	Result      int64  `db:"result"`
	Talk        int64  `db:"talk"`
	Total       int64  `db:"total"`
	Shows       int64  `db:"shows"` // report.Party.Shows
	Agent       string `db:"agent"`
	Number      string `db:"agent_no"`
	Name        string `db:"agent_name"`
	Departments string `db:"departments"`
}

const (
	reportCallColumns  = "scope, call_id, start_at, seq, call_type, own, legs, talk, total, agent_talk, gateway, route, customer"
	reportPartyColumns = `scope, call_id, party_id, start_at, seq, call_no, call_type, dial, role, result, talk, total, shows,
		agent, agent_no, agent_name, departments`
)

func (r *reportCall) row(tenant int64) []any {
	return []any{
		tenant, r.Scope, r.ID, r.Start, r.Seq, r.Type, r.Own, r.Legs, r.Talk, r.Total, r.AgentTalk, r.Gateway, r.Route, r.Customer,
	}
}

func (p *reportParty) row(tenant int64) []any {
	return []any{
		tenant, p.Scope, p.Call, p.ID, p.Start, p.Seq, p.CallNo, p.Type, p.Dial, p.Role, p.Result, p.Talk, p.Total, p.Shows,
		p.Agent, p.Number, p.Name, p.Departments,
	}
}

// reportCallKey tells calls apart.
type reportCallKey struct {
	scope int64
	id    string
}

// reportPlan is what records say, before it is compared with the rows.
type reportPlan struct {
	tenant int64
	calls  map[reportCallKey]*callNews
	states map[string]map[int64]reportState // by agent and start
	last   int64                            // number of the last event
}

// callNews is the versions of a call's records that came. A version without a start
// counts nowhere, but replaces the one before.
type callNews struct {
	replaced      bool                    // a main record came
	call          *reportCall             // nil: it has no start
	parties       map[string]*reportParty // by partyId; nil: it has no start
	firstPartySeq int64                   // number of the first party record
}

// news returns what is new of a call.
func (c *reportPlan) news(scope record.Scope, callID string) *callNews {
	key := reportCallKey{scope: int64(scope), id: callID}
	n := c.calls[key]
	if n == nil {
		n = &callNews{parties: map[string]*reportParty{}}
		c.calls[key] = n
	}
	return n
}

func (c *reportPlan) addCall(r *record.Call, seq int64, customer blob) {
	if r.ID == "" {
		return
	}
	n := c.news(r.Scope, r.ID)
	n.replaced = true
	n.call = nil
	if r.Start == 0 {
		return
	}
	n.call = &reportCall{
		Scope: int64(r.Scope), ID: r.ID, Start: r.Start, Seq: seq, Type: r.Type, Own: int64(report.OwnFlags(r)),
		Talk: r.Talk, Total: r.Total, Gateway: r.Gateway, Route: r.Route, Customer: customer,
	}
}

func (c *reportPlan) addParty(r *record.Party, seq int64) {
	if r.Call == "" || r.ID == "" {
		return
	}
	n := c.news(r.Scope, r.Call)
	n.parties[r.ID] = nil
	if r.Start == 0 {
		return
	}

	if n.firstPartySeq == 0 {
		n.firstPartySeq = seq
	}
	of := report.AttributionOf(r)
	n.parties[r.ID] = &reportParty{
		Scope: int64(r.Scope), Call: r.Call, ID: r.ID, Start: r.Start, Seq: seq, Type: record.Direction(r.Type), Dial: r.Dial,
		Role: r.Role, Result: r.Result, Talk: r.Talk, Total: r.Total,
		Agent: of.Agent, Number: of.Number, Name: of.Name, Departments: of.Departments,
	}
}

func (c *reportPlan) apply(ctx context.Context, tx Tx) error {
	s := newReportStep(tx, c.tenant)
	if err := s.writeRecords(ctx, c.calls); err != nil {
		return err
	}
	if err := s.restateAll(ctx, c.states); err != nil {
		return err
	}
	if err := s.rename(ctx); err != nil {
		return err
	}
	return s.mark(ctx, c.last)
}

// reportStep is one change of the facts of a tenant.
type reportStep struct {
	tx     Tx
	tenant int64
	slots  map[reportSlot]bool      // hours whose facts change
	names  map[string]*reportNaming // by agent: what changes about its names
	states []reportState            // rows to be written
}

// reportSlot is an hour of one kind of facts.
type reportSlot struct {
	kind report.Kind
	slot int64
}

func newReportStep(tx Tx, tenant int64) *reportStep {
	return &reportStep{tx: tx, tenant: tenant, slots: map[reportSlot]bool{}, names: map[string]*reportNaming{}}
}

// reportGroup is the records of one call, as they were and as they are now.
type reportGroup struct {
	*callNews

	callBefore, callNow       *reportCall // nil: there is none that counts
	partiesBefore, partiesNow map[string]reportParty
}

// writeRecords brings the calls whose records changed up to date: what a call counts as
// depends on its parties, and what a party counts as on its call.
func (s *reportStep) writeRecords(ctx context.Context, news map[reportCallKey]*callNews) error {
	groups, err := s.loadGroups(ctx, news)
	if err != nil {
		return err
	}

	var calls, parties [][]any
	keys := slices.SortedFunc(maps.Keys(groups), func(x, y reportCallKey) int {
		return cmp.Or(cmp.Compare(x.scope, y.scope), cmp.Compare(x.id, y.id))
	})
	for _, key := range keys {
		g := groups[key]
		g.settle()
		if err := s.writeCall(ctx, key, g, &calls); err != nil {
			return err
		}
		if err := s.writeParties(ctx, key, g, &parties); err != nil {
			return err
		}
	}

	if err := upsert(ctx, s.tx, "INSERT INTO report_calls (tenant, "+reportCallColumns+") VALUES", calls,
		`ON CONFLICT (tenant, scope, call_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq, call_type = excluded.call_type,
			own = excluded.own, legs = excluded.legs, talk = excluded.talk, total = excluded.total, agent_talk = excluded.agent_talk,
			gateway = excluded.gateway, route = excluded.route, customer = excluded.customer`); err != nil {
		return fmt.Errorf("calls: %w", err)
	}
	if err := upsert(ctx, s.tx, "INSERT INTO report_parties (tenant, "+reportPartyColumns+") VALUES", parties,
		`ON CONFLICT (tenant, scope, call_id, party_id) DO UPDATE SET start_at = excluded.start_at, seq = excluded.seq,
			call_no = excluded.call_no, call_type = excluded.call_type, dial = excluded.dial, role = excluded.role,
			result = excluded.result, talk = excluded.talk, total = excluded.total, shows = excluded.shows, agent = excluded.agent,
			agent_no = excluded.agent_no, agent_name = excluded.agent_name, departments = excluded.departments`); err != nil {
		return fmt.Errorf("parties: %w", err)
	}
	return nil
}

// loadGroups reads the rows that there are of the calls.
func (s *reportStep) loadGroups(ctx context.Context, news map[reportCallKey]*callNews) (map[reportCallKey]*reportGroup, error) {
	groups := map[reportCallKey]*reportGroup{}
	ids := map[int64][]string{} // by scope
	for key, n := range news {
		groups[key] = &reportGroup{callNews: n, partiesBefore: map[string]reportParty{}}
		ids[key.scope] = append(ids[key.scope], key.id)
	}

	for scope, all := range ids {
		for list, args := range lists(all, s.tenant, scope) {
			if err := s.loadCalls(ctx, scope, list, args, groups); err != nil {
				return nil, err
			}
		}
	}
	return groups, nil
}

// loadCalls reads the rows of some calls of a scope into their groups. list and args are
// their ids, for IN, after the tenant and the scope.
func (s *reportStep) loadCalls(
	ctx context.Context, scope int64, list string, args []any, groups map[reportCallKey]*reportGroup,
) error {
	// The index is named, as SQLite would rather read all calls of the tenant.
	where := "_id WHERE tenant = ? AND scope = ? AND call_id IN " + list

	var calls []reportCall
	if err := s.tx.SelectContext(ctx, &calls, "SELECT "+reportCallColumns+" FROM report_calls INDEXED BY report_calls"+where, args...); err != nil {
		return fmt.Errorf("read calls: %w", err)
	}
	for i := range calls {
		groups[reportCallKey{scope, calls[i].ID}].callBefore = &calls[i]
	}

	var parties []reportParty
	if err := s.tx.SelectContext(ctx, &parties, "SELECT "+reportPartyColumns+" FROM report_parties INDEXED BY report_parties"+where, args...); err != nil {
		return fmt.Errorf("read parties: %w", err)
	}
	for i := range parties {
		groups[reportCallKey{scope, parties[i].Call}].partiesBefore[parties[i].ID] = parties[i]
	}
	return nil
}

// settle works out what the records of the call are now, and what they count as.
func (g *reportGroup) settle() {
	g.callNow = g.callBefore
	if g.replaced {
		g.callNow = g.call
	}
	g.partiesNow = maps.Clone(g.partiesBefore)
	for id, p := range g.parties {
		if p == nil {
			delete(g.partiesNow, id)
		} else {
			g.partiesNow[id] = *p
		}
	}

	// All parties of a call have one number, that of the first record which came.
	no := g.firstPartySeq
	for _, p := range g.partiesBefore {
		no = p.CallNo
	}

	// What the parties count as.
	var call *report.Call
	if g.callNow != nil {
		call = &report.Call{Type: g.callNow.Type, Flags: report.Flags(g.callNow.Own)}
	}
	var all []report.Party
	var placed []string // parties that count as placed
	for id, p := range g.partiesNow {
		r := report.Party{ID: p.ID, Start: p.Start, Type: p.Type, Dial: p.Dial, Role: p.Role, Result: p.Result, Talk: p.Talk}
		all = append(all, r)
		p.CallNo = no
		p.Shows = 0
		if p.Scope == int64(record.Telemarketing) { // no agent report is of bots
			p.Shows = int64(r.Shows(call))
		}
		if p.Shows&int64(report.Out) != 0 {
			placed = append(placed, id)
		}
		g.partiesNow[id] = p
	}
	if len(placed) == 1 {
		p := g.partiesNow[placed[0]]
		p.Shows |= int64(report.Sole)
		g.partiesNow[p.ID] = p
	}

	// What the call counts as.
	if g.callNow != nil {
		now, legs := *g.callNow, report.LegsOf(all)
		now.Legs = int64(legs.Flags)
		now.AgentTalk = legs.Talk
		g.callNow = &now
	}
}

// writeCall adds the row of a call to rows, or deletes it, if it has changed.
func (s *reportStep) writeCall(ctx context.Context, key reportCallKey, g *reportGroup, rows *[][]any) error {
	before, now := g.callBefore, g.callNow
	if before != nil && now != nil && *before == *now {
		return nil
	}

	kind := report.Calls
	if key.scope == int64(record.Bot) {
		kind = report.BotCalls
	}
	if before != nil {
		s.touch(kind, before.Start)
	}
	switch {
	case now != nil:
		s.touch(kind, now.Start)
		*rows = append(*rows, now.row(s.tenant))
	case before != nil:
		if _, err := s.tx.ExecContext(ctx, "DELETE FROM report_calls WHERE tenant = ? AND scope = ? AND call_id = ?",
			s.tenant, key.scope, key.id); err != nil {
			return fmt.Errorf("calls: %w", err)
		}
	}
	return nil
}

// writeParties adds the rows of the parties of a call that have changed to rows, and deletes
// those that are gone. What names an agent is noted.
func (s *reportStep) writeParties(ctx context.Context, key reportCallKey, g *reportGroup, rows *[][]any) error {
	for _, id := range slices.Sorted(maps.Keys(g.partiesBefore)) {
		before := g.partiesBefore[id]
		now, still := g.partiesNow[id]
		if still && now == before {
			continue
		}

		if !still {
			if _, err := s.tx.ExecContext(ctx, "DELETE FROM report_parties WHERE tenant = ? AND scope = ? AND call_id = ? AND party_id = ?",
				s.tenant, key.scope, key.id, id); err != nil {
				return fmt.Errorf("parties: %w", err)
			}
		}
		if !still || now.Seq != before.Seq {
			s.naming(before.Agent).lose(before.Seq)
		}
		if before.Shows != 0 {
			s.touch(report.Parties, before.Start)
		}
	}

	for _, id := range slices.Sorted(maps.Keys(g.partiesNow)) {
		now := g.partiesNow[id]
		before, there := g.partiesBefore[id]
		if there && before == now {
			continue
		}

		if now.Shows != 0 {
			s.touch(report.Parties, now.Start)
		}
		if !there || before.Seq != now.Seq {
			s.naming(now.Agent).note(now.Start, now.Seq, now.Number, now.Name)
		}
		*rows = append(*rows, now.row(s.tenant))
	}
	return nil
}

// touch notes that facts that begin at a time change.
func (s *reportStep) touch(k report.Kind, start int64) {
	s.slots[reportSlot{kind: k, slot: start / report.SlotMS}] = true
}

// mark drops the blocks of the hours whose facts changed, by the step that ends with an
// event.
func (s *reportStep) mark(ctx context.Context, seq int64) error {
	slots := slices.SortedFunc(maps.Keys(s.slots), func(x, y reportSlot) int {
		return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.slot, y.slot))
	})
	rows := make([][]any, len(slots))
	for i, of := range slots {
		rows[i] = []any{s.tenant, int64(of.kind), of.slot, seq}
	}
	if err := upsert(ctx, s.tx, "INSERT INTO report_blocks (tenant, kind, slot, changed) VALUES", rows,
		"ON CONFLICT (tenant, kind, slot) DO UPDATE SET changed = excluded.changed, block = NULL"); err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	return nil
}

// reportTables are the tables whose rows come from one event each.
var reportTables = []string{"report_calls", "report_parties", "report_states"}

// reset deletes what can be made again: facts whose body is gone stay.
func (f reportFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
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
		upTo := int64(record.Open)
		if len(to) > 0 {
			upTo = to[0]
			more = true
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant = ? AND seq >= ? AND seq <= ?", tenant, kept, upTo); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
	}
	if more {
		return true, nil
	}

	// What follows from the rows, once no row is left to delete.
	if _, err := tx.ExecContext(ctx, "UPDATE report_blocks SET block = NULL WHERE tenant = ? AND block IS NOT NULL", tenant); err != nil {
		return false, fmt.Errorf("blocks: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM report_agents WHERE tenant = ?", tenant); err != nil {
		return false, fmt.Errorf("agents: %w", err)
	}
	return false, renameAll(ctx, tx, tenant)
}

// trim deletes facts whose events are gone: bodies go earlier, and facts outlast them.
func (f reportFold) trim(ctx context.Context, tx Tx, tenant, _ int64) (more bool, err error) {
	var first int64 // of the events that are there
	if err := tx.GetContext(ctx, &first, "SELECT coalesce((SELECT min(seq) FROM events WHERE tenant = ?), 0)", tenant); err != nil {
		return false, fmt.Errorf("first event: %w", err)
	}

	s := newReportStep(tx, tenant)
	for _, table := range reportTables {
		kind, and := "scope", ""
		switch table {
		case "report_parties":
			kind = fmt.Sprint(int64(report.Parties))
		case "report_states": // one that lasts is needed, however old it is
			kind = fmt.Sprint(int64(report.States))
			and = fmt.Sprintf(" AND end_at < %d", int64(record.Open))
		}

		var old []struct {
			Start int64 `db:"start_at"`
			Seq   int64 `db:"seq"`
			Kind  int64 `db:"kind"`
		}
		if err := tx.SelectContext(ctx, &old, "SELECT start_at, seq, "+kind+" AS kind FROM "+table+
			" WHERE tenant = ? AND seq < ?"+and+" ORDER BY seq LIMIT ?", tenant, first, chunk); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
		if len(old) == 0 {
			continue
		}
		for _, r := range old {
			s.touch(report.Kind(r.Kind), r.Start)
		}
		last := old[len(old)-1].Seq
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant = ? AND seq <= ?"+and, tenant, last); err != nil {
			return false, fmt.Errorf("%s: %w", table, err)
		}
		more = more || len(old) == chunk
	}
	return more, s.mark(ctx, first)
}
