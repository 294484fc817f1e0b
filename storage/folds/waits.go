package folds

import (
	"context"
	"fmt"
	"slices"

	"github.com/hookline/hookline/hub/live"
	"github.com/hookline/hookline/hub/record"
)

var _ live.WaitHistory = (*Folds)(nil)

// waitChange is what a step changes about the waits of calls, or of chats, that are over.
type waitChange struct {
	media  string
	before map[string][]live.Wait // by contact: the waits that were over before
	ids    []string               // contacts whose rows are replaced
	rows   [][]any                // tenant aside
}

// add replaces the waits of a contact, if they have changed.
func (w *waitChange) add(id string, seq int64, ended []live.Wait) {
	if slices.Equal(ended, w.before[id]) {
		return
	}
	w.ids = append(w.ids, id)
	for i := range ended {
		e := &ended[i]
		w.rows = append(w.rows, []any{
			w.media, id, e.Queue, e.At, e.EndsAt, e.Outcome, e.Answer, e.Department, e.Group, e.Campaign, e.Gateway, e.CallType, seq,
		})
	}
}

func (w *waitChange) write(ctx context.Context, tx Tx, tenant int64) error {
	for list, args := range lists(w.ids, tenant, w.media) {
		if _, err := tx.ExecContext(ctx, "DELETE FROM waits WHERE tenant = ? AND media = ? AND contact_id IN "+list, args...); err != nil {
			return fmt.Errorf("waits: %w", err)
		}
	}

	rows := make([][]any, len(w.rows))
	for i, r := range w.rows {
		rows[i] = append([]any{tenant}, r...)
	}
	return upsert(ctx, tx, `INSERT INTO waits (tenant, media, contact_id, queue, entered_at, ended_at, outcome, agent, department_id,
		group_id, campaign_id, gateway_number, call_type, seq) VALUES`, rows,
		"ON CONFLICT (tenant, media, contact_id, entered_at, queue) DO NOTHING")
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
		QueueEvent: record.QueueEvent{
			Contact: r.Contact, At: r.EnteredAt, Queue: r.Queue, Media: r.Media, Department: r.Department, Group: r.Group,
			Campaign: r.Campaign, Gateway: r.Gateway, CallType: r.CallType, Outcome: r.Outcome,
		},
		Over: true, EndsAt: r.EndedAt, Answer: r.Agent,
	}
}

// EachWait implements live.WaitHistory.
func (f *Folds) EachWait(ctx context.Context, tenant, from, to int64, fn func(live.Wait) error) error {
	return f.ask(ctx, tenant, "find waits", func(snap snapshot) error { return snap.eachWait(ctx, tenant, from, to, fn) })
}

func (snap snapshot) eachWait(ctx context.Context, tenant, from, to int64, fn func(live.Wait) error) error {
	rows, err := snap.Q.QueryxContext(ctx, `SELECT media, contact_id, queue, entered_at, ended_at, outcome, agent, department_id, group_id,
		campaign_id, gateway_number, call_type FROM waits WHERE tenant = ? AND entered_at >= ? AND entered_at < ? ORDER BY entered_at`,
		tenant, from, to)
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
