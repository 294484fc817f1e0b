package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Record queues an outcome. The queue holds at most what is in flight, which is bounded.
func (db *DB) Record(o *delivery.Outcome) {
	w := db.w
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		o.Done(ErrClosed)
		return
	}
	w.outcomes = append(w.outcomes, o)
	w.signal(ofOutcomes)
	w.mu.Unlock()
}

// recordOutcomes writes what became of runs: their attempts, and their next state.
func (k *worker) recordOutcomes(ctx context.Context, outcomes []*delivery.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	slices.SortFunc(outcomes, func(a, b *delivery.Outcome) int { return a.Item.ID.Compare(b.Item.ID) })
	s := &k.stmt
	nexts := make([]next, len(outcomes))
	for i, o := range outcomes {
		nexts[i] = nextOf(o, k.now)
		it, a := o.Item, o.Attempt
		if a == nil {
			continue
		}
		s.attempts.add(it.Sub, it.Seq, int64(it.Run), nexts[i].tries, a.At, a.DNS.Microseconds(), a.Connect.Microseconds(),
			a.TLS.Microseconds(), a.First.Microseconds(), a.Total.Microseconds(), a.RemoteIP, int64(a.StatusCode), int64(a.Class),
			text(a.Err), a.Header, bytes(a.Body), a.SignedAt, a.RandomCode, bytes(a.Nonce), int64(a.KeyN), a.Version, a.Late,
			a.Replay, k.db.cfg.Process, o.Epoch)
		k.hours.attempt(o)
		if it.Masked != event.Unmasked {
			s.masked.add(it.Seq, int64(it.Masked), it.Event.Tenant, sqldb.EncodeBody(it.Body))
		}
	}
	attempts := int64(s.attempts.rows())
	written, err := s.attempts.flush(ctx)
	if err != nil {
		return fmt.Errorf("record attempts: %w", err)
	}
	if written < attempts {
		return errRecorded
	}
	if _, err := s.masked.flush(ctx); err != nil {
		return fmt.Errorf("record masked bodies: %w", err)
	}
	changed, err := k.changeStates(ctx, nexts)
	if err != nil {
		return fmt.Errorf("record outcomes: %w", err)
	}
	for i, n := range nexts {
		if !changed[i] || n.state == delivery.Pending {
			continue // still to be sent, or cancelled meanwhile: the attempt stays on the record
		}
		it := outcomes[i].Item
		k.delta.done(it.Sub)
		if it.Run > 0 { // the delivery follows its latest run, unless it was delivered before
			res, err := s.reopenedDone.ExecContext(ctx, int64(n.state), n.done.Int64, n.status, n.class, it.Sub, it.Seq)
			if err != nil {
				return fmt.Errorf("record outcome of run %d: %w", it.Run, err)
			}
			if first, err := res.RowsAffected(); err != nil {
				return fmt.Errorf("record outcome of run %d: %w", it.Run, err)
			} else if first == 0 {
				continue
			}
		}
		k.hours.ended(it.Sub, it.AcceptedAt, it.Type.Class(), n.state)
	}
	return nil
}

// next is what becomes of the row of a run.
type next struct {
	delivery.ID
	state              delivery.State
	tries, due, aside  int64
	first, done, later sql.NullInt64
	status, class      sql.NullInt64
	late               bool
}

func nextOf(o *delivery.Outcome, now int64) next {
	it, v := o.Item, o.Verdict
	n := next{
		ID: it.ID, state: v.State, tries: int64(it.Tries), due: v.DueAt, aside: v.AsideAt,
		first: nullable(it.FirstTryAt), later: nullable(v.SupersededBy), late: it.Late,
	}
	if a := o.Attempt; a != nil {
		n.tries++
		if !n.first.Valid {
			n.first = nullable(a.At)
		}
		n.status, n.class = number(int64(a.StatusCode)), number(int64(a.Class))
	} else if v.State == delivery.Exhausted {
		n.class = number(int64(delivery.GaveUp))
	}
	if v.State != delivery.Pending {
		n.done = number(now)
	}
	return n
}

// changeStates says which runs were still pending and are now as they should be.
func (k *worker) changeStates(ctx context.Context, nexts []next) ([]bool, error) {
	changed := make([]bool, len(nexts))
	if k.db.in == sqldb.Postgres {
		return changed, k.changeAll(ctx, nexts, changed)
	}
	for i, n := range nexts {
		res, err := k.stmt.outcome.ExecContext(ctx, int64(n.state), n.tries, n.due, n.first, n.done, n.status, n.class, n.late, n.aside, n.later,
			n.Sub, n.Seq, n.Run)
		if err != nil {
			return nil, err
		}
		rows, err := res.RowsAffected()
		if err != nil {
			return nil, err
		}
		changed[i] = rows > 0
	}
	return changed, nil
}

// changeAll changes all rows with one statement.
func (k *worker) changeAll(ctx context.Context, nexts []next, changed []bool) error {
	var state, tries, due, aside, sub, seq, run []int64
	var first, done, status, class, later []sql.NullInt64
	var late []bool
	place := make(map[delivery.ID]int, len(nexts))
	for i, n := range nexts {
		state, tries, due, aside = append(state, int64(n.state)), append(tries, n.tries), append(due, n.due), append(aside, n.aside)
		first, done, later = append(first, n.first), append(done, n.done), append(later, n.later)
		status, class, late = append(status, n.status), append(class, n.class), append(late, n.late)
		sub, seq, run = append(sub, n.Sub), append(seq, n.Seq), append(run, int64(n.Run))
		place[n.ID] = i
	}
	rows, err := k.stmt.outcome.QueryContext(ctx, state, tries, due, pq.Array(first), pq.Array(done), pq.Array(status), pq.Array(class), late, aside,
		pq.Array(later), sub, seq, run)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id delivery.ID
		if err := rows.Scan(&id.Sub, &id.Seq, &id.Run); err != nil {
			return err
		}
		changed[place[id]] = true
	}
	return rows.Err()
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func bytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// nullable is a number of which 0 means that there is none.
func nullable(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: n != 0} }

func number(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: true} }

// outcomes says what becomes of runs. The row-wise form takes one run, the other
// arrays of them and answers with those that were still pending. Its "state + 0"
// keeps PostgreSQL from the index of all that is pending (pointQueries).
const (
	outcomeRow = `UPDATE deliveries SET state = ?, tries = ?, due_at = ?, first_try_at = ?, done_at = ?, last_status = coalesce(?, last_status),
		last_error = ?, late = ?, aside_at = ?, superseded_by = ? WHERE sub = ? AND seq = ? AND run = ? AND state = 0`
	outcomeArrays = `UPDATE deliveries d SET state = v.state, tries = v.tries, due_at = v.due_at, first_try_at = v.first_try_at,
			done_at = v.done_at, last_status = coalesce(v.last_status, d.last_status), last_error = v.last_error, late = v.late,
			aside_at = v.aside_at, superseded_by = v.superseded_by
		FROM (SELECT * FROM unnest(?::int[], ?::int[], ?::bigint[], ?::bigint[], ?::bigint[], ?::int[], ?::int[], ?::bool[], ?::bigint[], ?::bigint[],
				?::bigint[], ?::bigint[], ?::bigint[])
			AS u(state, tries, due_at, first_try_at, done_at, last_status, last_error, late, aside_at, superseded_by, sub, seq, run)) v
		WHERE d.sub = v.sub AND d.seq = v.seq AND d.run = v.run AND d.state + 0 = 0
		RETURNING d.sub, d.seq, d.run`
)
