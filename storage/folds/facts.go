package folds

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ live.FactStore = (*Folds)(nil)

// factCache has the facts that boards of a tenant asked for last, so that they are read
// once: later only what has changed is read again.
type factCache struct {
	mu sync.Mutex
	cachedFacts
}

type cachedFacts struct {
	since int64 // everything that ended at or after this time has been loaded
	upTo  int64 // what events up to this number changed has been loaded, too
	marks [2]int64

	agents    map[string]*seenRow
	stretches map[string][]live.Stretch
	calls     map[string]*live.Call
	seqs      map[string]int64 // of the last event about each call
	chats     map[string]*live.Chat
	chatSeqs  map[string]int64
	visitors  map[string]*visitorRow
	queues    map[string]*queueRow

	built *live.Facts // from all this; nil: it has changed
}

type seenRow struct {
	seenAgent
	live.AgentState
	Seq int64 `db:"seq"`
}

type visitorRow struct {
	ID   string `db:"visitor_id"`
	At   int64  `db:"at"`
	Here int64  `db:"here"`
	Seq  int64  `db:"seq"`
}

type queueRow struct {
	live.SeenQueue
	Seq int64 `db:"seq"`
}

// dayMS is a day in milliseconds.
const dayMS = 86_400_000

// maxFactsAge is by how many ms the facts in memory may begin earlier than asked for
// before they are dropped.
const maxFactsAge = dayMS

func (f *Folds) factsOf(tenant int64) *factCache {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.facts[tenant] == nil {
		f.facts[tenant] = &factCache{}
	}
	return f.facts[tenant]
}

// forget what is in memory of a tenant.
func (f *Folds) forget(tenant int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.facts, tenant)
}

// FindFacts implements live.FactStore.
func (f *Folds) FindFacts(ctx context.Context, tenant, since int64) (found *live.Facts, err error) {
	if f.cfg.In == sqldb.SQLite { // all that is committed passes through this process
		last, err := f.horizon(ctx, tenant)
		if err != nil {
			return nil, fmt.Errorf("find facts: %w", err)
		}
		if found := f.factsOf(tenant).unchanged(since, last); found != nil {
			return found, nil
		}
	}
	err = f.askAt(ctx, tenant, "find facts", func(snap snapshot, at map[string]int64) error {
		found, err = f.factsOf(tenant).find(ctx, snap, tenant, since, f.least(at), [2]int64{at[rebuilt], at[trimmed]})
		return err
	})
	return found, err
}

// unchanged returns the facts that were built before if nothing came since; nil:
// something did.
func (s *factCache) unchanged(since, last int64) *live.Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.built == nil || !s.covers(since) || s.upTo < last {
		return nil
	}
	return s.built
}

func (s *factCache) covers(since int64) bool { return since >= s.since && since-s.since <= maxFactsAge }

func (s *factCache) find(ctx context.Context, snap snapshot, tenant, since, upTo int64, marks [2]int64) (found *live.Facts, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil || !s.covers(since) || s.marks != marks {
		s.cachedFacts = newCachedFacts(since, marks)
	}
	if s.built != nil && s.upTo >= upTo {
		return s.built, nil
	}
	if err := s.read(ctx, snap, tenant); err != nil {
		s.calls, s.built = nil, nil
		return nil, err
	}
	s.upTo = max(s.upTo, upTo)
	if s.built == nil {
		s.built = s.build()
	}
	return s.built, nil
}

func newCachedFacts(since int64, marks [2]int64) cachedFacts {
	return cachedFacts{
		since: since, marks: marks, agents: map[string]*seenRow{}, stretches: map[string][]live.Stretch{}, calls: map[string]*live.Call{},
		seqs: map[string]int64{}, chats: map[string]*live.Chat{}, chatSeqs: map[string]int64{}, visitors: map[string]*visitorRow{}, queues: map[string]*queueRow{},
	}
}

// read what has changed.
func (s *factCache) read(ctx context.Context, snap snapshot, tenant int64) error {
	for _, part := range []struct {
		what string
		fn   func(context.Context, snapshot, int64) error
	}{{"agents", s.readAgents}, {"calls", s.readCalls}, {"chats", s.readChats}, {"visitors", s.readVisitors}, {"queues", s.readQueues}} {
		if err := part.fn(ctx, snap, tenant); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return nil
}

func (s *factCache) readAgents(ctx context.Context, snap snapshot, tenant int64) error {
	var rows []*seenRow
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT "+seenColumns+`, a.seq, a.first_at, CASE WHEN s.agent IS NULL THEN 0 ELSE 1 END AS statuses,
			coalesce(s.login, 0) AS login, coalesce(s.reason, 0) AS reason, coalesce(s.work, 0) AS work,
			coalesce(s.login_at, 0) AS login_at, coalesce(s.reason_at, 0) AS reason_at, coalesce(s.work_at, 0) AS work_at,
			coalesce(s.logged_at, 0) AS logged_at, coalesce(s.ready_at, 0) AS ready_at,
			CASE WHEN s.agent IS NULL THEN coalesce((SELECT c.until FROM agent_calls c WHERE c.tenant = a.tenant AND c.agent = a.agent AND c.last_at < ?
				ORDER BY c.until DESC LIMIT 1), 0) ELSE 0 END AS freed_at,
			coalesce(t.call_id, '') AS call_id, coalesce(t.call_type, 0) AS call_type
		FROM seen_agents a
		LEFT JOIN agent_stretches s ON s.tenant = a.tenant AND s.agent = a.agent AND s.start_at =
			(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = a.tenant AND x.agent = a.agent)
		LEFT JOIN agent_statuses t ON t.tenant = a.tenant AND t.agent = a.agent AND t.start_at =
			(SELECT max(y.start_at) FROM agent_statuses y WHERE y.tenant = a.tenant AND y.agent = a.agent)
		WHERE a.tenant = ? AND a.seq > ?`, s.since, tenant, s.upTo); err != nil {
		return err
	}
	var keys []string
	for _, r := range rows {
		if was := s.agents[r.Agent]; was != nil && (r.Seq < was.Seq || *r == *was) {
			continue
		}
		s.agents[r.Agent], s.built = r, nil
		if r.Statuses {
			keys = append(keys, r.Agent)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.readStretches(ctx, snap, tenant, keys)
}

func (s *factCache) readStretches(ctx context.Context, snap snapshot, tenant int64, keys []string) error {
	list, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	var rows []struct {
		Agent string `db:"agent"`
		live.Stretch
	}
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "WITH these (agent) AS ("+items(snap.In)+`)
		SELECT s.agent, s.start_at, s.end_at, s.login, s.reason, s.work FROM these n JOIN agent_stretches s ON s.tenant = ? AND s.agent = n.agent AND s.start_at >=
			coalesce((SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = ? AND x.agent = n.agent AND x.start_at <= ?), 0)
		WHERE s.end_at > ? ORDER BY s.agent, s.start_at`, string(list), tenant, tenant, s.since, s.since); err != nil {
		return err
	}
	all := maps.Clone(s.stretches) // the facts that were built have the old map
	for _, k := range keys {
		delete(all, k)
	}
	for _, r := range rows {
		all[r.Agent] = append(all[r.Agent], r.Stretch)
	}
	s.stretches = all
	return nil
}

func (s *factCache) readCalls(ctx context.Context, snap snapshot, tenant int64) error {
	var rows []callFacts
	where, args := "last_at >= ?", []any{tenant, s.since}
	if s.upTo > 0 {
		where, args = "seq > ?", []any{tenant, s.upTo}
	}
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT call_id, seq, facts FROM live_calls WHERE tenant = ? AND "+where, args...); err != nil {
		return err
	}
	if err := s.addCalls(rows, s.since); err != nil {
		return err
	}
	// Those that agents have to do with, however long nothing is said of them.
	var ids []any
	for _, a := range s.agents {
		if a.OnCall() && a.CallID != "" && s.calls[a.CallID] == nil {
			ids = append(ids, a.CallID)
		}
	}
	for some := range slices.Chunk(ids, upsertRows) {
		rows = rows[:0]
		if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT call_id, seq, facts FROM live_calls WHERE tenant = ? AND call_id IN ("+sqldb.Values("?", len(some))+")",
			append([]any{tenant}, some...)...); err != nil {
			return err
		}
		if err := s.addCalls(rows, 0); err != nil {
			return err
		}
	}
	return nil
}

func (s *factCache) addCalls(rows []callFacts, since int64) error {
	for i := range rows {
		r := &rows[i]
		if at, there := s.seqs[r.ID]; there && r.Seq <= at {
			continue
		}
		c, err := r.call()
		if err != nil {
			return err
		}
		if _, there := s.calls[r.ID]; !there && c.Last < since {
			continue
		}
		c.Prepare()
		s.calls[r.ID], s.seqs[r.ID], s.built = c, r.Seq, nil
	}
	return nil
}

func (s *factCache) readChats(ctx context.Context, snap snapshot, tenant int64) error {
	var rows []chatFacts
	where, args := "last_at >= ?", []any{tenant, s.since}
	if s.upTo > 0 {
		where, args = "seq > ?", []any{tenant, s.upTo}
	}
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT chat_id, seq, facts FROM live_chats WHERE tenant = ? AND "+where, args...); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		if at, there := s.chatSeqs[r.ID]; there && r.Seq <= at {
			continue
		}
		c, err := r.chat()
		if err != nil {
			return err
		}
		if c.Last() < s.since {
			continue
		}
		c.Prepare()
		s.chats[r.ID], s.chatSeqs[r.ID], s.built = c, r.Seq, nil
	}
	return nil
}

func (s *factCache) readVisitors(ctx context.Context, snap snapshot, tenant int64) error {
	var rows []*visitorRow
	where, args := "here = 1 AND at >= ?", []any{tenant, s.since}
	if s.upTo > 0 {
		where, args = "seq > ?", []any{tenant, s.upTo}
	}
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT visitor_id, at, here, seq FROM live_visitors WHERE tenant = ? AND "+where, args...); err != nil {
		return err
	}
	for _, r := range rows {
		was := s.visitors[r.ID]
		if was != nil && r.Seq <= was.Seq || was == nil && r.At < s.since {
			continue
		}
		s.visitors[r.ID], s.built = r, nil
	}
	return nil
}

func (s *factCache) readQueues(ctx context.Context, snap snapshot, tenant int64) error {
	var rows []*queueRow
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT queue, media, seq FROM seen_queues WHERE tenant = ? AND seq > ?", tenant, s.upTo); err != nil {
		return err
	}
	for _, r := range rows {
		if was := s.queues[r.ID]; was == nil || r.Seq > was.Seq && r.SeenQueue != was.SeenQueue {
			s.queues[r.ID], s.built = r, nil
		}
	}
	return nil
}

func (s *factCache) build() *live.Facts {
	made := &live.Facts{
		Since: s.since, Stretches: s.stretches, Agents: make([]live.SeenAgent, 0, len(s.agents)),
		Calls: slices.AppendSeq(make([]*live.Call, 0, len(s.calls)), maps.Values(s.calls)),
		Chats: slices.AppendSeq(make([]*live.Chat, 0, len(s.chats)), maps.Values(s.chats)),
	}
	for _, a := range s.agents {
		made.Agents = append(made.Agents, live.SeenAgent{Agent: a.agent(), AgentState: a.AgentState})
	}
	for _, v := range s.visitors {
		if v.Here == 1 {
			made.Visitors = append(made.Visitors, v.At)
		}
	}
	slices.Sort(made.Visitors)
	for _, q := range s.queues {
		made.Queues = append(made.Queues, q.SeenQueue)
	}
	return made
}

// EachChat implements live.FactStore.
func (f *Folds) EachChat(ctx context.Context, tenant, from, to int64, fn func(*live.Chat)) error {
	return f.ask(ctx, tenant, "find chats", func(snap snapshot) error { return snap.eachChat(ctx, tenant, from, to, fn) })
}

func (snap snapshot) eachChat(ctx context.Context, tenant, from, to int64, fn func(*live.Chat)) error {
	rows, err := snap.Q.QueryxContext(ctx, "SELECT chat_id, seq, facts FROM live_chats WHERE tenant = ? AND last_at >= ? AND first_at < ?", tenant, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r chatFacts
		if err := rows.StructScan(&r); err != nil {
			return err
		}
		c, err := r.chat()
		if err != nil {
			return err
		}
		c.Prepare()
		fn(c)
	}
	return rows.Err()
}

// EachStretch implements live.FactStore.
func (f *Folds) EachStretch(ctx context.Context, tenant, from, to int64, fn func(agent string, s live.Stretch)) error {
	return f.ask(ctx, tenant, "find statuses", func(snap snapshot) error { return snap.eachStretch(ctx, tenant, from, to, fn) })
}

func (snap snapshot) eachStretch(ctx context.Context, tenant, from, to int64, fn func(agent string, s live.Stretch)) error {
	rows, err := snap.Q.QueryxContext(ctx, `SELECT s.agent, s.start_at, s.end_at, s.login, s.reason, s.work
		FROM seen_agents n JOIN agent_stretches s ON s.tenant = n.tenant AND s.agent = n.agent AND s.start_at >=
			coalesce((SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = n.tenant AND x.agent = n.agent AND x.start_at <= ?), 0)
		WHERE n.tenant = ? AND s.start_at < ? AND s.end_at > ? ORDER BY s.agent, s.start_at`, from, tenant, to, from)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r struct {
			Agent string `db:"agent"`
			live.Stretch
		}
		if err := rows.StructScan(&r); err != nil {
			return err
		}
		fn(r.Agent, r.Stretch)
	}
	return rows.Err()
}
