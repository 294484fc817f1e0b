package folds

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// chatFold keeps what is said of each chat, and the waits of chats that are over.
type chatFold struct{}

func (chatFold) name() string { return "chats" }

func (chatFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	chats, of := map[string]*live.Chat{}, make([]string, len(events))
	var ids []any
	for i, e := range events {
		if of[i] = live.ChatOf(e); of[i] != "" && chats[of[i]] == nil {
			chats[of[i]] = &live.Chat{ID: of[i]}
			ids = append(ids, of[i])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var known []chatFacts
	if err := tx.SelectContext(ctx, &known, "SELECT chat_id, facts FROM live_chats WHERE tenant = ? AND chat_id IN ("+sqldb.Values("?", len(ids))+")",
		append([]any{tenant}, ids...)...); err != nil {
		return fmt.Errorf("chats: %w", err)
	}
	for _, k := range known {
		c, err := k.chat()
		if err != nil {
			return err
		}
		chats[k.ID] = c
	}
	w := waits{media: "chat", was: map[string][]live.Wait{}}
	for id, c := range chats {
		w.was[id] = c.EndedWaits()
	}
	seqs := map[string]int64{}
	for i, e := range events {
		if of[i] != "" {
			chats[of[i]].Add(e)
			seqs[of[i]] = e.Seq
		}
	}
	rows := make([][]any, len(ids))
	for i, of := range ids {
		id := of.(string)
		c := chats[id]
		facts, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("chat %s: %w", id, err)
		}
		rows[i] = []any{tenant, id, c.First(), c.Last(), seqs[id], facts}
		w.now(id, seqs[id], c.EndedWaits())
	}
	if err := upsert(ctx, tx, "INSERT INTO live_chats (tenant, chat_id, first_at, last_at, seq, facts) VALUES", rows,
		`ON CONFLICT (tenant, chat_id) DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at, seq = excluded.seq,
			facts = excluded.facts`); err != nil {
		return err
	}
	return w.write(ctx, tx, tenant)
}

func (chatFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return cutContacts(ctx, tx, "live_chats", "chat", tenant, live.Open)
}

// trim takes away chats of which no event is left.
func (chatFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	return cutContacts(ctx, tx, "live_chats", "chat", tenant, below)
}

// cutContacts takes away calls or chats whose last event is below a number, and
// their waits.
func cutContacts(ctx context.Context, tx *sqlx.Tx, table, media string, tenant, below int64) (more bool, err error) {
	if more, err = cut(ctx, tx, table, "seq", tenant, below); err != nil {
		return false, err
	}
	res, err := tx.ExecContext(ctx, `DELETE FROM waits WHERE tenant = ? AND (media, contact_id, entered_at, queue) IN (SELECT media, contact_id, entered_at, queue
		FROM waits WHERE tenant = ? AND media = ? AND seq < ? ORDER BY seq LIMIT ?)`, tenant, tenant, media, below, chunk)
	if err != nil {
		return false, fmt.Errorf("waits: %w", err)
	}
	n, err := res.RowsAffected()
	return more || n == chunk, err
}

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

// waits of calls or chats that a step changes.
type waits struct {
	media string
	was   map[string][]live.Wait
	gone  []any
	rows  [][]any
}

// now says which waits of a contact are over.
func (w *waits) now(id string, seq int64, all []live.Wait) {
	if was := w.was[id]; len(all)+len(was) == 0 || slices.Equal(all, was) {
		return
	}
	w.gone = append(w.gone, id)
	for _, s := range all {
		w.rows = append(w.rows, []any{
			w.media, id, s.Queue, s.At, s.EndsAt, s.Outcome, s.Answer, s.Department, s.Group, s.Campaign, s.Gateway, s.CallType, seq,
		})
	}
}

func (w *waits) write(ctx context.Context, tx *sqlx.Tx, tenant int64) error {
	for ids := range slices.Chunk(w.gone, upsertRows) {
		if _, err := tx.ExecContext(ctx, "DELETE FROM waits WHERE tenant = ? AND media = ? AND contact_id IN ("+sqldb.Values("?", len(ids))+")",
			append([]any{tenant, w.media}, ids...)...); err != nil {
			return fmt.Errorf("waits: %w", err)
		}
	}
	for i := range w.rows {
		w.rows[i] = append([]any{tenant}, w.rows[i]...)
	}
	return upsert(ctx, tx, `INSERT INTO waits (tenant, media, contact_id, queue, entered_at, ended_at, outcome, agent, department_id, group_id,
		campaign_id, gateway_number, call_type, seq) VALUES`, w.rows, "ON CONFLICT (tenant, media, contact_id, entered_at, queue) DO NOTHING")
}

// waitRow is a row of waits.
type waitRow struct {
	Media      string `db:"media"`
	Contact    string `db:"contact_id"`
	Queue      string `db:"queue"`
	EnteredAt  int64  `db:"entered_at"`
	EndedAt    int64  `db:"ended_at"`
	Outcome    string `db:"outcome"` // "": the contact went to another queue, or its call or chat ended
	Agent      string `db:"agent"`   // who answered
	Department string `db:"department_id"`
	Group      string `db:"group_id"`
	Campaign   string `db:"campaign_id"`
	Gateway    string `db:"gateway_number"`
	CallType   int64  `db:"call_type"`
}

func (r *waitRow) wait() live.Wait {
	return live.Wait{
		QueueEvent: live.QueueEvent{
			At: r.EnteredAt, Queue: r.Queue, Media: r.Media, Department: r.Department, Group: r.Group,
			Campaign: r.Campaign, Gateway: r.Gateway, CallType: r.CallType, Outcome: r.Outcome,
		},
		Contact: r.Contact, Ended: true, EndsAt: r.EndedAt, Answer: r.Agent,
	}
}

var _ live.WaitHistory = (*Folds)(nil)

// EachWait implements live.WaitHistory.
func (f *Folds) EachWait(ctx context.Context, tenant, from, to int64, fn func(live.Wait) error) error {
	return f.ask(ctx, tenant, "find waits", func(snap snapshot) error { return snap.eachWait(ctx, tenant, from, to, fn) })
}

func (snap snapshot) eachWait(ctx context.Context, tenant, from, to int64, fn func(live.Wait) error) error {
	rows, err := snap.Q.QueryxContext(ctx, `SELECT media, contact_id, queue, entered_at, ended_at, outcome, agent, department_id, group_id, campaign_id,
		gateway_number, call_type FROM waits WHERE tenant = ? AND entered_at >= ? AND entered_at < ? ORDER BY entered_at`, tenant, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r waitRow
		if err := rows.StructScan(&r); err != nil {
			return err
		}
		if err := fn(r.wait()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// visitorFold keeps the last that was heard of each visitor.
type visitorFold struct{}

func (visitorFold) name() string { return "visitors" }

func (visitorFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	type visitor struct{ at, here, seq int64 }
	all := map[string]visitor{}
	for _, e := range events {
		v, is := live.ReadVisitor(e)
		if !is {
			continue
		}
		here := int64(0)
		if v.Arrived {
			here = 1
		}
		was, there := all[v.ID]
		switch {
		case !there || v.At > was.at:
			was.at, was.here = v.At, here
		case v.At == was.at:
			was.here = min(was.here, here)
		}
		was.seq = e.Seq
		all[v.ID] = was
	}
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(all)) {
		v := all[id]
		rows = append(rows, []any{tenant, id, v.at, v.here, v.seq})
	}
	return upsert(ctx, tx, "INSERT INTO live_visitors (tenant, visitor_id, at, here, seq) VALUES", rows,
		`ON CONFLICT (tenant, visitor_id) DO UPDATE SET
			here = CASE WHEN excluded.at > live_visitors.at OR excluded.at = live_visitors.at AND excluded.here < live_visitors.here
				THEN excluded.here ELSE live_visitors.here END,
			at = CASE WHEN excluded.at > live_visitors.at THEN excluded.at ELSE live_visitors.at END, seq = excluded.seq`)
}

func (visitorFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return cut(ctx, tx, "live_visitors", "seq", tenant, live.Open)
}

func (visitorFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	return cut(ctx, tx, "live_visitors", "seq", tenant, below)
}

// queueFold keeps the queues that events name.
type queueFold struct{}

func (queueFold) name() string { return "queues" }

func (queueFold) apply(ctx context.Context, tx *sqlx.Tx, tenant int64, events []*event.Event) error {
	type queue struct {
		media   string
		at, seq int64
	}
	all := map[string]queue{}
	for _, e := range events {
		if e.Type != event.QueueEntered && e.Type != event.QueueLeft {
			continue
		}
		f := live.ReadQueueEvent(e)
		was, there := all[f.Queue]
		if !there || f.At <= was.at {
			was.media, was.at = f.Media, f.At
		}
		was.seq = e.Seq
		all[f.Queue] = was
	}
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(all)) {
		q := all[id]
		rows = append(rows, []any{tenant, id, q.media, q.at, q.seq})
	}
	return upsert(ctx, tx, "INSERT INTO seen_queues (tenant, queue, media, at, seq) VALUES", rows,
		`ON CONFLICT (tenant, queue) DO UPDATE SET media = CASE WHEN excluded.at <= seen_queues.at THEN excluded.media ELSE seen_queues.media END,
			at = CASE WHEN excluded.at < seen_queues.at THEN excluded.at ELSE seen_queues.at END, seq = excluded.seq`)
}

func (queueFold) reset(ctx context.Context, tx *sqlx.Tx, tenant int64) (more bool, err error) {
	return cut(ctx, tx, "seen_queues", "seq", tenant, live.Open)
}

func (queueFold) trim(ctx context.Context, tx *sqlx.Tx, tenant, below int64) (more bool, err error) {
	return cut(ctx, tx, "seen_queues", "seq", tenant, below)
}
