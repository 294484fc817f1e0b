package folds

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ live.History = (*Folds)(nil)

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
	// What the filter asks besides the range.
	also, extra := "", []any{}
	for _, by := range []struct {
		column string
		codes  []int64
	}{{"login", of.Login}, {"reason", of.Reason}, {"work", of.Work}} {
		if len(by.codes) == 0 {
			continue
		}
		also += " AND s." + by.column + " IN (" + sqldb.Values("?", len(by.codes)) + ")"
		for _, c := range by.codes {
			extra = append(extra, c)
		}
	}
	if of.Agents != nil {
		keys, err := snap.pick(ctx, of)
		if err != nil || len(keys) == 0 {
			return nil, 0, err
		}
		list, err := json.Marshal(keys)
		if err != nil {
			return nil, 0, err
		}
		also += " AND s.agent IN (" + items(snap.In) + ")"
		extra = append(extra, string(list))
	}

	// First of each agent the stretch that it was in before the range, then those that
	// begin in it: apart, so that the many are read in the order of an index. One that
	// still lasts does so until now: it does not reach into a range that is to come.
	last := int64(record.Open)
	if of.Now <= of.From {
		last--
	}
	parts := []struct {
		where string
		args  []any
	}{
		{
			"FROM seen_agents b " + stretchBefore(snap.In) + " WHERE b.tenant = ? AND s.end_at > ? AND s.end_at <= ?" + also,
			slices.Concat([]any{of.From, of.Tenant, of.From, last}, extra),
		},
		{
			"FROM agent_stretches s WHERE s.tenant = ? AND s.start_at >= ? AND s.start_at < ?" + also,
			slices.Concat([]any{of.Tenant, of.From, of.To}, extra),
		},
	}

	// The page may begin in the first part and end in the second.
	for _, part := range parts {
		var n int
		if err := sqlx.GetContext(ctx, snap.Q, &n, "SELECT count(*) "+part.where, part.args...); err != nil {
			return nil, 0, err
		}
		from := max(0, of.Offset-total)
		left := of.Limit - len(page)
		if from < n && left > 0 {
			if page, err = snap.addStretches(ctx, page, part.where, append(part.args, left, from)); err != nil {
				return nil, 0, err
			}
		}
		total += n
	}
	return page, total, nil
}

// addStretches adds a page of the stretches that where picks. The last two of args are its
// limit and its offset.
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

// pick asks the filter which agents it wants, and returns their keys.
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

// stretchBefore returns SQL that joins to each agent b the stretch s that it was in before
// a time.
func stretchBefore(in sqldb.Dialect) string {
	if in == sqldb.Postgres { // which would else look at every stretch of every agent
		return `JOIN LATERAL (SELECT * FROM agent_stretches x WHERE x.tenant = b.tenant AND x.agent = b.agent AND x.start_at < ?
			ORDER BY x.start_at DESC LIMIT 1) s ON true`
	}
	return `CROSS JOIN agent_stretches s ON s.tenant = b.tenant AND s.agent = b.agent AND s.start_at =
		(SELECT max(x.start_at) FROM agent_stretches x WHERE x.tenant = b.tenant AND x.agent = b.agent AND x.start_at < ?)`
}

// items returns a subquery of the texts in one argument, a JSON list of them.
func items(in sqldb.Dialect) string {
	if in == sqldb.Postgres {
		return "SELECT jsonb_array_elements_text(CAST(? AS jsonb))"
	}
	return "SELECT value FROM json_each(?)"
}
