package folds

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

// chatFold keeps what is said of each chat (live_chats), and the waits of chats that are
// over (waits).
type chatFold struct{}

func (chatFold) name() string { return "chats" }

func (chatFold) plan(tenant int64, records []record.Record) change {
	return &chatChange{tenant: tenant, contacts: contactsOf(records, (*record.Record).ChatID)}
}

// chatChange is what a step changes about chats.
type chatChange struct {
	tenant int64
	contacts
}

func (c *chatChange) apply(ctx context.Context, tx Tx) error {
	if len(c.ids) == 0 {
		return nil
	}
	chats, err := c.load(ctx, tx)
	if err != nil {
		return err
	}

	waits := waitChange{media: "chat", before: map[string][]live.Wait{}}
	rows := make([][]any, len(c.ids))
	for i, id := range c.ids {
		chat := chats[id]
		waits.before[id] = chat.EndedWaits()
		for _, r := range c.records[id] {
			chat.Add(r)
		}
		facts, err := json.Marshal(chat)
		if err != nil {
			return fmt.Errorf("chat %s: %w", id, err)
		}
		rows[i] = []any{c.tenant, id, chat.First(), chat.Last(), c.seq(id), facts}
		waits.add(id, c.seq(id), chat.EndedWaits())
	}

	if err := upsert(ctx, tx, "INSERT INTO live_chats (tenant, chat_id, first_at, last_at, seq, facts) VALUES", rows,
		`ON CONFLICT (tenant, chat_id) DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at, seq = excluded.seq,
			facts = excluded.facts`); err != nil {
		return err
	}
	return waits.write(ctx, tx, c.tenant)
}

// load reads what is kept of the chats; a chat of which nothing is kept is empty.
func (c *chatChange) load(ctx context.Context, tx Tx) (map[string]*live.Chat, error) {
	chats := map[string]*live.Chat{}
	for _, id := range c.ids {
		chats[id] = &live.Chat{ID: id}
	}
	for list, args := range lists(c.ids, c.tenant) {
		var rows []chatFacts
		if err := tx.SelectContext(ctx, &rows, "SELECT chat_id, facts FROM live_chats WHERE tenant = ? AND chat_id IN "+list, args...); err != nil {
			return nil, fmt.Errorf("chats: %w", err)
		}
		for i := range rows {
			chat, err := rows[i].chat()
			if err != nil {
				return nil, err
			}
			chats[chat.ID] = chat
		}
	}
	return chats, nil
}

func (chatFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	return cutContacts(ctx, tx, "live_chats", "chat", tenant, record.Open)
}

// trim deletes the chats of which no event is left.
func (chatFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	return cutContacts(ctx, tx, "live_chats", "chat", tenant, below)
}

// cutContacts deletes calls or chats whose last event is below a number, and their waits.
func cutContacts(ctx context.Context, tx Tx, table, media string, tenant, below int64) (more bool, err error) {
	if more, err = cut(ctx, tx, table, "seq", tenant, below); err != nil {
		return false, err
	}
	res, err := tx.ExecContext(ctx, `DELETE FROM waits WHERE tenant = ? AND (media, contact_id, entered_at, queue) IN
		(SELECT media, contact_id, entered_at, queue FROM waits WHERE tenant = ? AND media = ? AND seq < ? ORDER BY seq LIMIT ?)`,
		tenant, tenant, media, below, chunk)
	if err != nil {
		return false, fmt.Errorf("waits: %w", err)
	}
	n, err := res.RowsAffected()
	return more || n == chunk, err
}

// chatFacts is a row of live_chats.
type chatFacts struct {
	ID    string `db:"chat_id"`
	Seq   int64  `db:"seq"`
	Facts []byte `db:"facts"`
}

func (f *chatFacts) chat() (*live.Chat, error) {
	c := &live.Chat{ID: f.ID}
	if err := json.Unmarshal(f.Facts, c); err != nil {
		return nil, fmt.Errorf("chat %s: %w", f.ID, err)
	}
	return c, nil
}

// visitorFold keeps the last event of each visitor.
type visitorFold struct{}

func (visitorFold) name() string { return "visitors" }

func (visitorFold) plan(tenant int64, records []record.Record) change {
	type visitor struct{ at, here, seq int64 }
	all := map[string]visitor{}
	for i := range records {
		visit, is := records[i].Says.(*record.Visit)
		if !is {
			continue
		}
		here := int64(0)
		if visit.Arrived {
			here = 1
		}

		// The latest event counts; of an arrival and a departure at one time the departure.
		v, there := all[visit.Visitor]
		switch {
		case !there || visit.At > v.at:
			v.at = visit.At
			v.here = here
		case visit.At == v.at:
			v.here = min(v.here, here)
		}
		v.seq = records[i].Event.Seq
		all[visit.Visitor] = v
	}

	var rows rowChange
	for _, id := range slices.Sorted(maps.Keys(all)) {
		v := all[id]
		rows.rows = append(rows.rows, []any{tenant, id, v.at, v.here, v.seq})
	}
	rows.insert = "INSERT INTO live_visitors (tenant, visitor_id, at, here, seq) VALUES"
	rows.conflict = `ON CONFLICT (tenant, visitor_id) DO UPDATE SET
			here = CASE WHEN excluded.at > live_visitors.at OR excluded.at = live_visitors.at AND excluded.here < live_visitors.here
				THEN excluded.here ELSE live_visitors.here END,
			at = CASE WHEN excluded.at > live_visitors.at THEN excluded.at ELSE live_visitors.at END, seq = excluded.seq`
	return &rows
}

func (visitorFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	return cut(ctx, tx, "live_visitors", "seq", tenant, record.Open)
}

func (visitorFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	return cut(ctx, tx, "live_visitors", "seq", tenant, below)
}

// queueFold keeps the queues that events name, with the media of the earliest of them.
type queueFold struct{}

func (queueFold) name() string { return "queues" }

func (queueFold) plan(tenant int64, records []record.Record) change {
	type queue struct {
		media   string
		at, seq int64
	}
	all := map[string]queue{}
	for i := range records {
		e, is := records[i].Says.(*record.QueueEvent)
		if !is {
			continue
		}
		q, there := all[e.Queue]
		if !there || e.At <= q.at {
			q.media = e.Media
			q.at = e.At
		}
		q.seq = records[i].Event.Seq
		all[e.Queue] = q
	}

	var rows rowChange
	for _, id := range slices.Sorted(maps.Keys(all)) {
		q := all[id]
		rows.rows = append(rows.rows, []any{tenant, id, q.media, q.at, q.seq})
	}
	rows.insert = "INSERT INTO seen_queues (tenant, queue, media, at, seq) VALUES"
	rows.conflict = `ON CONFLICT (tenant, queue) DO UPDATE SET
			media = CASE WHEN excluded.at <= seen_queues.at THEN excluded.media ELSE seen_queues.media END,
			at = CASE WHEN excluded.at < seen_queues.at THEN excluded.at ELSE seen_queues.at END, seq = excluded.seq`
	return &rows
}

func (queueFold) reset(ctx context.Context, tx Tx, tenant int64) (more bool, err error) {
	return cut(ctx, tx, "seen_queues", "seq", tenant, record.Open)
}

func (queueFold) trim(ctx context.Context, tx Tx, tenant, below int64) (more bool, err error) {
	return cut(ctx, tx, "seen_queues", "seq", tenant, below)
}

// rowChange is a change that needs nothing but its rows.
type rowChange struct {
	insert, conflict string // around the rows, see upsert
	rows             [][]any
}

func (c *rowChange) apply(ctx context.Context, tx Tx) error {
	return upsert(ctx, tx, c.insert, c.rows, c.conflict)
}
