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
	since int64    // everything that ended at or after this time has been loaded
	upTo  int64    // what events up to this number changed has been loaded, too
	marks [2]int64 // rebuilt and trimmed, when it was loaded

	agents    map[string]*seenRow
	stretches map[string][]live.Stretch
	calls     map[string]*live.Call
	callSeqs  map[string]int64 // of the last event about each call
	chats     map[string]*live.Chat
	chatSeqs  map[string]int64
	visitors  map[string]*visitorRow
	queues    map[string]*queueRow

	built *live.Facts // from all this; nil: it has changed
}

// seenRow is an agent as seen_agents and its last status have it.
type seenRow struct {
	seenAgent
	live.AgentState
	Seq int64 `db:"seq"`
}

// visitorRow is a row of live_visitors.
type visitorRow struct {
	ID   string `db:"visitor_id"`
	At   int64  `db:"at"`
	Here int64  `db:"here"`
	Seq  int64  `db:"seq"`
}

// queueRow is a row of seen_queues.
type queueRow struct {
	live.SeenQueue
	Seq int64 `db:"seq"`
}

// dayMS is a day in milliseconds.
const dayMS = 86_400_000

// maxFactsAge is by how many ms the facts in memory may begin earlier than asked for
// before they are dropped.
const maxFactsAge = dayMS

// factsOf returns the cache of a tenant.
func (f *Folds) factsOf(tenant int64) *factCache {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.facts[tenant] == nil {
		f.facts[tenant] = &factCache{}
	}
	return f.facts[tenant]
}

// forget drops what is in memory of a tenant.
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
		marks := [2]int64{at[rebuilt], at[trimmed]}
		cached := f.factsOf(tenant)
		if f.least(at) == resetting {
			cached = &factCache{} // rows of now may be deleted, which no later look would notice
		}
		found, err = cached.find(ctx, snap, tenant, since, f.least(at), marks)
		return err
	})
	return found, err
}

// unchanged returns the facts that were built before if nothing came since; nil:
// something did.
func (c *factCache) unchanged(since, last int64) *live.Facts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.built == nil || !c.covers(since) || c.upTo < last {
		return nil
	}
	return c.built
}

// covers reports whether the facts in memory begin early enough, and not too early.
func (c *factCache) covers(since int64) bool { return since >= c.since && since-c.since <= maxFactsAge }

// find returns the facts since a time, from a snapshot in which the folds have come to a
// number.
func (c *factCache) find(ctx context.Context, snap snapshot, tenant, since, upTo int64, marks [2]int64) (*live.Facts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil || !c.covers(since) || c.marks != marks {
		c.cachedFacts = newCachedFacts(since, marks)
	}
	if c.built != nil && c.upTo >= upTo {
		return c.built, nil
	}

	if err := c.read(ctx, snap, tenant); err != nil {
		c.calls = nil // what was read in part is read again
		c.built = nil
		return nil, err
	}
	c.upTo = max(c.upTo, upTo)
	if c.built == nil {
		c.built = c.build()
	}
	return c.built, nil
}

func newCachedFacts(since int64, marks [2]int64) cachedFacts {
	return cachedFacts{
		since: since, marks: marks,
		agents: map[string]*seenRow{}, stretches: map[string][]live.Stretch{},
		calls: map[string]*live.Call{}, callSeqs: map[string]int64{},
		chats: map[string]*live.Chat{}, chatSeqs: map[string]int64{},
		visitors: map[string]*visitorRow{}, queues: map[string]*queueRow{},
	}
}

// read reads what has changed since the last time; the first time all.
func (c *factCache) read(ctx context.Context, snap snapshot, tenant int64) error {
	for _, part := range []struct {
		what string
		read func(context.Context, snapshot, int64) error
	}{
		{"agents", c.readAgents}, {"calls", c.readCalls}, {"chats", c.readChats}, {"visitors", c.readVisitors}, {"queues", c.readQueues},
	} {
		if err := part.read(ctx, snap, tenant); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return nil
}

func (c *factCache) readAgents(ctx context.Context, snap snapshot, tenant int64) error {
	// Each agent with its last stretch, its last status, and, without a status, the end of
	// its parties in calls that are too old to be among the facts.
	var rows []*seenRow
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT "+seenColumns+`, a.seq, a.first_at,
			CASE WHEN s.agent IS NULL THEN 0 ELSE 1 END AS statuses,
			coalesce(s.login, 0) AS login, coalesce(s.reason, 0) AS reason, coalesce(s.work, 0) AS work,
			coalesce(s.login_at, 0) AS login_at, coalesce(s.reason_at, 0) AS reason_at, coalesce(s.work_at, 0) AS work_at,
			coalesce(s.logged_at, 0) AS logged_at, coalesce(s.ready_at, 0) AS ready_at,
			CASE WHEN s.agent IS NULL THEN coalesce((SELECT c.until FROM agent_calls c
				WHERE c.tenant = a.tenant AND c.agent = a.agent AND c.last_at < ?
				ORDER BY c.until DESC LIMIT 1), 0) ELSE 0 END AS freed_at,
			coalesce(t.call_id, '') AS call_id, coalesce(t.call_type, 0) AS call_type
		FROM seen_agents a
		LEFT JOIN agent_stretches s ON s.tenant = a.tenant AND s.agent = a.agent AND s.start_at =
			(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = a.tenant AND x.agent = a.agent)
		LEFT JOIN agent_statuses t ON t.tenant = a.tenant AND t.agent = a.agent AND t.start_at =
			(SELECT max(y.start_at) FROM agent_statuses y WHERE y.tenant = a.tenant AND y.agent = a.agent)
		WHERE a.tenant = ? AND a.seq > ?`, c.since, tenant, c.upTo); err != nil {
		return err
	}

	var changed []string // agents with statuses
	for _, r := range rows {
		if was := c.agents[r.Agent]; was != nil && (r.Seq < was.Seq || *r == *was) {
			continue
		}
		c.agents[r.Agent] = r
		c.built = nil
		if r.Statuses {
			changed = append(changed, r.Agent)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return c.readStretches(ctx, snap, tenant, changed)
}

// readStretches reads the stretches of some agents again.
func (c *factCache) readStretches(ctx context.Context, snap snapshot, tenant int64, agents []string) error {
	list, err := json.Marshal(agents)
	if err != nil {
		return err
	}
	var rows []struct {
		Agent string `db:"agent"`
		live.Stretch
	}
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "WITH these (agent) AS ("+items(snap.In)+`)
		SELECT s.agent, s.start_at, s.end_at, s.login, s.reason, s.work
		FROM these n CROSS JOIN agent_stretches s ON s.tenant = ? AND s.agent = n.agent AND s.start_at >=
			coalesce((SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = ? AND x.agent = n.agent AND x.start_at <= ?), 0)
		WHERE s.end_at > ? ORDER BY s.agent, s.start_at`, string(list), tenant, tenant, c.since, c.since); err != nil {
		return err
	}

	all := maps.Clone(c.stretches) // the facts that were built have the old map
	for _, a := range agents {
		delete(all, a)
	}
	for _, r := range rows {
		all[r.Agent] = append(all[r.Agent], r.Stretch)
	}
	c.stretches = all
	return nil
}

// changedWhere returns the condition of rows that have changed, or, the first time, of
// those that are recent enough, with its arguments.
func (c *factCache) changedWhere(tenant int64, recent string) (where string, args []any) {
	if c.upTo > 0 {
		return "tenant = ? AND seq > ?", []any{tenant, c.upTo}
	}
	return "tenant = ? AND " + recent, []any{tenant, c.since}
}

func (c *factCache) readCalls(ctx context.Context, snap snapshot, tenant int64) error {
	where, args := c.changedWhere(tenant, "last_at >= ?")
	var rows []callFacts
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT call_id, seq, facts FROM live_calls WHERE "+where, args...); err != nil {
		return err
	}
	if err := c.addCalls(rows, c.since); err != nil {
		return err
	}

	// Calls that agents have to do with now, however old they are.
	var ids []any
	for _, a := range c.agents {
		if a.OnCall() && a.CallID != "" && c.calls[a.CallID] == nil {
			ids = append(ids, a.CallID)
		}
	}
	for list, args := range lists(ids, tenant) {
		rows = rows[:0]
		if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT call_id, seq, facts FROM live_calls WHERE tenant = ? AND call_id IN "+list,
			args...); err != nil {
			return err
		}
		if err := c.addCalls(rows, 0); err != nil {
			return err
		}
	}
	return nil
}

// addCalls takes calls that are news. One that is not there yet must have a time since.
func (c *factCache) addCalls(rows []callFacts, since int64) error {
	for i := range rows {
		r := &rows[i]
		if at, there := c.callSeqs[r.ID]; there && r.Seq <= at {
			continue
		}
		call, err := r.call()
		if err != nil {
			return err
		}
		if c.calls[r.ID] == nil && call.Last < since {
			continue
		}
		call.Prepare()
		c.calls[r.ID] = call
		c.callSeqs[r.ID] = r.Seq
		c.built = nil
	}
	return nil
}

func (c *factCache) readChats(ctx context.Context, snap snapshot, tenant int64) error {
	where, args := c.changedWhere(tenant, "last_at >= ?")
	var rows []chatFacts
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT chat_id, seq, facts FROM live_chats WHERE "+where, args...); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		if at, there := c.chatSeqs[r.ID]; there && r.Seq <= at {
			continue
		}
		chat, err := r.chat()
		if err != nil {
			return err
		}
		if chat.Last() < c.since {
			continue
		}
		chat.Prepare()
		c.chats[r.ID] = chat
		c.chatSeqs[r.ID] = r.Seq
		c.built = nil
	}
	return nil
}

func (c *factCache) readVisitors(ctx context.Context, snap snapshot, tenant int64) error {
	where, args := c.changedWhere(tenant, "here = 1 AND at >= ?")
	var rows []*visitorRow
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT visitor_id, at, here, seq FROM live_visitors WHERE "+where, args...); err != nil {
		return err
	}
	for _, r := range rows {
		was := c.visitors[r.ID]
		if was != nil && r.Seq <= was.Seq || was == nil && r.At < c.since {
			continue
		}
		c.visitors[r.ID] = r
		c.built = nil
	}
	return nil
}

func (c *factCache) readQueues(ctx context.Context, snap snapshot, tenant int64) error {
	var rows []*queueRow
	if err := sqlx.SelectContext(ctx, snap.Q, &rows, "SELECT queue, media, seq FROM seen_queues WHERE tenant = ? AND seq > ?",
		tenant, c.upTo); err != nil {
		return err
	}
	for _, r := range rows {
		was := c.queues[r.ID]
		if was == nil || r.Seq > was.Seq && r.SeenQueue != was.SeenQueue {
			c.queues[r.ID] = r
			c.built = nil
		}
	}
	return nil
}

// build makes the facts of what is in memory. Their lists come from maps, so they are in no
// order, and no figure may depend on it.
func (c *factCache) build() *live.Facts {
	facts := &live.Facts{
		Since: c.since, Stretches: c.stretches, Agents: make([]live.SeenAgent, 0, len(c.agents)),
		Calls: slices.AppendSeq(make([]*live.Call, 0, len(c.calls)), maps.Values(c.calls)),
		Chats: slices.AppendSeq(make([]*live.Chat, 0, len(c.chats)), maps.Values(c.chats)),
	}
	for _, a := range c.agents {
		facts.Agents = append(facts.Agents, live.SeenAgent{Agent: a.agent(), AgentState: a.AgentState})
	}
	for _, v := range c.visitors {
		if v.Here == 1 {
			facts.Visitors = append(facts.Visitors, v.At)
		}
	}
	slices.Sort(facts.Visitors)
	for _, q := range c.queues {
		facts.Queues = append(facts.Queues, q.SeenQueue)
	}
	return facts
}

// EachChat implements live.FactStore.
func (f *Folds) EachChat(ctx context.Context, tenant, from, to int64, fn func(*live.Chat)) error {
	return f.ask(ctx, tenant, "find chats", func(snap snapshot) error { return snap.eachChat(ctx, tenant, from, to, fn) })
}

func (snap snapshot) eachChat(ctx context.Context, tenant, from, to int64, fn func(*live.Chat)) error {
	rows, err := snap.Q.QueryxContext(ctx, `SELECT chat_id, seq, facts FROM live_chats
		WHERE tenant = ? AND last_at >= ? AND first_at < ?`, tenant, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r chatFacts
		if err := rows.StructScan(&r); err != nil {
			return err
		}
		chat, err := r.chat()
		if err != nil {
			return err
		}
		chat.Prepare()
		fn(chat)
	}
	return rows.Err()
}

// EachStretch implements live.FactStore.
func (f *Folds) EachStretch(ctx context.Context, tenant, from, to int64, fn func(agent string, s live.Stretch)) error {
	return f.ask(ctx, tenant, "find statuses", func(snap snapshot) error { return snap.eachStretch(ctx, tenant, from, to, fn) })
}

func (snap snapshot) eachStretch(ctx context.Context, tenant, from, to int64, fn func(agent string, s live.Stretch)) error {
	rows, err := snap.Q.QueryxContext(ctx, `SELECT s.agent, s.start_at, s.end_at, s.login, s.reason, s.work
		FROM seen_agents n CROSS JOIN agent_stretches s ON s.tenant = n.tenant AND s.agent = n.agent AND s.start_at >=
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
