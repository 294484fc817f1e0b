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
	w := db.writer
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		o.Done(ErrClosed)
		return
	}
	w.outcomes.Push(w.tenantOf(o), 1, o)
	w.signal(ofOutcomes)
	w.mu.Unlock()
}

// outcomeRow and outcomeArrays change the rows of runs that are still pending, live
// (0) or for a replay (7). The first takes one run; the second takes arrays of them and answers with the runs that
// it changed. Its "state + 0" keeps PostgreSQL from using the index of all that is
// pending (pointQueries).
const (
	outcomeRow = `UPDATE deliveries SET state = ?, tries = ?, due_at = ?, first_try_at = ?, done_at = ?,
		last_status = coalesce(?, last_status), last_error = ?, late = ?, aside_at = ?, superseded_by = ?
		WHERE sub = ? AND seq = ? AND run = ? AND state IN (0, 7)`
	outcomeArrays = `UPDATE deliveries d SET state = v.state, tries = v.tries, due_at = v.due_at,
			first_try_at = v.first_try_at, done_at = v.done_at,
			last_status = coalesce(v.last_status, d.last_status), last_error = v.last_error, late = v.late,
			aside_at = v.aside_at, superseded_by = v.superseded_by
		FROM (SELECT * FROM unnest(?::int[], ?::int[], ?::bigint[], ?::bigint[], ?::bigint[], ?::int[], ?::int[], ?::bool[],
				?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
			AS u(state, tries, due_at, first_try_at, done_at, last_status, last_error, late, aside_at, superseded_by,
				sub, seq, run)) v
		WHERE d.sub = v.sub AND d.seq = v.seq AND d.run = v.run AND d.state + 0 IN (0, 7)
		RETURNING d.sub, d.seq, d.run`
)

// recordOutcomes writes what became of runs: their attempts, and their next state.
func (w *worker) recordOutcomes(ctx context.Context, outcomes []*delivery.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}

	// Rows are written in the order of their keys, so that transactions wait for
	// each other in one order.
	slices.SortFunc(outcomes, func(a, b *delivery.Outcome) int { return a.Item.ID.Compare(b.Item.ID) })

	// The attempts, with the masked bodies that were made for them.
	s := &w.stmt
	nexts := make([]next, len(outcomes))
	for i, o := range outcomes {
		nexts[i] = nextOf(o, w.now)
		it, a := o.Item, o.Attempt
		if a == nil {
			continue
		}
		s.attempts.add(it.Sub, it.Seq, int64(it.Run), nexts[i].tries, a.At,
			a.DNS.Microseconds(), a.Connect.Microseconds(), a.TLS.Microseconds(), a.First.Microseconds(),
			a.Total.Microseconds(), a.RemoteIP, int64(a.StatusCode), int64(a.Class),
			nullText(a.Err), a.Header, nullBytes(a.Body), a.SignedAt, a.RandomCode, nullBytes(a.Nonce), int64(a.KeyN), a.Version,
			a.Late, a.Replay, w.db.cfg.Process, o.Epoch)
		w.counts.attempt(o)
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

	changed, err := w.changeStates(ctx, nexts)
	if err != nil {
		return fmt.Errorf("record outcomes: %w", err)
	}

	// Count what ended. A run that was cancelled since it was sent has ended before;
	// its attempt stays on the record.
	for i, n := range nexts {
		if !changed[i] || n.pending() {
			continue
		}
		if err := w.countEnd(ctx, outcomes[i].Item, n); err != nil {
			return fmt.Errorf("record outcome of run %d: %w", n.Run, err)
		}
	}
	return nil
}

// countEnd counts the end of a run. A delivery follows its latest run, unless it was
// delivered before.
func (w *worker) countEnd(ctx context.Context, it *delivery.Item, n next) error {
	if !it.OfReplay() {
		w.delta.done(it.Sub)
	}
	if it.Run == 0 {
		w.counts.ended(it.Sub, it.AcceptedAt, it.Type, n.state)
		return nil
	}

	// A delivery that a replay sends again stayed what it was until now.
	if it.OfReplay() {
		var was delivery.State
		if err := w.stmt.firstState.GetContext(ctx, &was, it.Sub, it.Seq); err != nil {
			return err
		}
		if was == delivery.Delivered || was == delivery.Pending {
			return nil
		}
		if _, err := w.stmt.replayDone.ExecContext(ctx, int64(n.state), n.done.Int64, n.status, n.class,
			it.Sub, it.Seq); err != nil {
			return err
		}
		w.counts.moved(it.Sub, it.AcceptedAt, it.Type, was, n.state)
		return nil
	}

	res, err := w.stmt.reopenedDone.ExecContext(ctx, int64(n.state), n.done.Int64, n.status, n.class, it.Sub, it.Seq)
	if err != nil {
		return err
	}
	reopened, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if reopened > 0 {
		w.counts.ended(it.Sub, it.AcceptedAt, it.Type, n.state)
	}
	return nil
}

// next is what the row of a run becomes.
type next struct {
	delivery.ID
	state              delivery.State
	tries, due, aside  int64
	first, done, later sql.NullInt64
	status, class      sql.NullInt64
	late               bool
}

// pending reports whether the run goes on.
func (n *next) pending() bool { return n.state == delivery.Pending || n.state == delivery.Replaying }

func nextOf(o *delivery.Outcome, now int64) next {
	it, v := o.Item, o.Verdict
	n := next{
		ID: it.ID, state: v.State, tries: int64(it.Tries), due: v.DueAt, aside: v.AsideAt,
		first: nullZero(it.FirstTryAt), later: nullZero(v.SupersededBy), late: it.Late,
	}
	if a := o.Attempt; a != nil {
		n.tries++
		if !n.first.Valid {
			n.first = nullZero(a.At)
		}
		n.status = notNull(int64(a.StatusCode))
		n.class = notNull(int64(a.Class))
	} else if v.State == delivery.Exhausted {
		n.class = notNull(int64(delivery.GaveUp))
	}
	switch {
	case v.State != delivery.Pending:
		n.done = notNull(now)
	case it.OfReplay():
		n.state = delivery.Replaying
	}
	return n
}

// changeStates writes the next states, and returns for each run whether it was
// still pending, so that its row was changed.
func (w *worker) changeStates(ctx context.Context, nexts []next) ([]bool, error) {
	changed := make([]bool, len(nexts))
	if w.db.in == sqldb.Postgres {
		return changed, w.changeAll(ctx, nexts, changed)
	}
	for i, n := range nexts {
		res, err := w.stmt.outcome.ExecContext(ctx, int64(n.state), n.tries, n.due, n.first, n.done, n.status, n.class,
			n.late, n.aside, n.later, n.Sub, n.Seq, n.Run)
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
func (w *worker) changeAll(ctx context.Context, nexts []next, changed []bool) error {
	// One array for each column.
	var state, tries, due, aside, sub, seq, run []int64
	var first, done, status, class, later []sql.NullInt64
	var late []bool
	index := make(map[delivery.ID]int, len(nexts))
	for i, n := range nexts {
		state = append(state, int64(n.state))
		tries = append(tries, n.tries)
		due = append(due, n.due)
		first = append(first, n.first)
		done = append(done, n.done)
		status = append(status, n.status)
		class = append(class, n.class)
		late = append(late, n.late)
		aside = append(aside, n.aside)
		later = append(later, n.later)
		sub = append(sub, n.Sub)
		seq = append(seq, n.Seq)
		run = append(run, int64(n.Run))
		index[n.ID] = i
	}

	rows, err := w.stmt.outcome.QueryContext(ctx, state, tries, due, pq.Array(first), pq.Array(done), pq.Array(status),
		pq.Array(class), late, aside, pq.Array(later), sub, seq, run)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id delivery.ID
		if err := rows.Scan(&id.Sub, &id.Seq, &id.Run); err != nil {
			return err
		}
		changed[index[id]] = true
	}
	return rows.Err()
}

// nullText returns a text for a column, NULL if it is empty.
func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// nullBytes returns bytes for a column, NULL if there are none.
func nullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// nullZero returns a number for a column, NULL if it is 0.
func nullZero(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: n != 0} }

// notNull returns a number for a column that can also be NULL.
func notNull(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: true} }
