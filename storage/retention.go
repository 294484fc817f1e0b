package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Retention deletes what is old, in two steps: first the payload (the bytes of events and
// of receivers' answers), long after it the metadata (events, deliveries, attempts, counts).
// What is pending keeps all it needs, however old it is. Subscriptions, tenants and the
// audit log stay.
//
// Times of acceptance never fall while numbers grow, so what is old is a range of event
// numbers that starts at the tenant's first one. Rows are found on the readers'
// connections and deleted by the writer in chunks, with a pause after each, so that accepts
// and outcomes never wait for more than one chunk.

const (
	retentionEvery = time.Hour
	retentionRetry = time.Minute // after a failure, e.g. because the disk is full
	// sliceEvents is after how many events it is noted how far payload retention came.
	sliceEvents = 100_000
	dayMS       = 86_400_000
)

// RunRetention deletes what is past retention, now and every hour, until ctx ends.
func (db *DB) RunRetention(ctx context.Context) error {
	for {
		wait := retentionEvery
		if err := db.Trim(ctx, time.Now()); err != nil && ctx.Err() == nil {
			db.log.Error("retention", "err", err)
			wait = retentionRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Trim deletes what is past its tenant's retention at now. If it fails, or ctx ends, the
// next call goes on where it stopped.
func (db *DB) Trim(ctx context.Context, now time.Time) error {
	var tenants []struct {
		No       int64  `db:"no"`
		Settings []byte `db:"settings"`
	}
	if err := db.read.SelectContext(ctx, &tenants, "SELECT no, settings FROM tenants ORDER BY no"); err != nil {
		return fmt.Errorf("retention: %w", err)
	}

	// What each tenant keeps, and the times before which nobody keeps anything.
	passes := make([]trimPass, len(tenants))
	payload, metadata := now.UnixMilli(), now.UnixMilli()
	for i, row := range tenants {
		days := struct {
			Payload    int64 `json:"payloadDays"`
			Metadata   int64 `json:"metadataDays"`
			Recordings int64 `json:"recordingDays"` // 0: for ever
		}{Payload: api.DefaultPayloadDays, Metadata: api.DefaultMetadataDays}
		if err := json.Unmarshal(row.Settings, &days); err != nil {
			return fmt.Errorf("retention: settings of tenant %d: %w", row.No, err)
		}
		passes[i] = trimPass{
			db: db, tenant: row.No,
			before: now.UnixMilli() - days.Payload*dayMS, beforeMeta: now.UnixMilli() - days.Metadata*dayMS,
		}
		if days.Recordings > 0 {
			passes[i].beforeSound = now.UnixMilli() - days.Recordings*dayMS
		}
		payload = min(payload, passes[i].before)
		metadata = min(metadata, passes[i].beforeMeta)
	}
	if len(passes) == 0 {
		return nil
	}

	return db.in.Try(ctx, db.pool, sqldb.TurnRetention, func() error {
		// Only what is counted may be deleted.
		for i := range passes {
			if err := passes[i].countOld(ctx); err != nil {
				return fmt.Errorf("bytes of tenant %d: %w", passes[i].tenant, err)
			}
		}

		if db.in == sqldb.Postgres {
			if err := db.closeDays(ctx, now); err != nil {
				return fmt.Errorf("retention: %w", err)
			}
			if err := db.dropDays(ctx, payload, min(payload, metadata)); err != nil {
				return fmt.Errorf("retention: %w", err)
			}
		}
		for i := range passes {
			if err := passes[i].run(ctx); err != nil {
				return fmt.Errorf("retention of tenant %d: %w", passes[i].tenant, err)
			}
		}
		return nil
	})
}

// trimPass is one pass over one tenant. It deletes payload accepted before one time, Unix
// ms, metadata accepted before another, and recordings put before a third.
type trimPass struct {
	db                 *DB
	tenant             int64
	before, beforeMeta int64
	beforeSound        int64      // of recordings; 0: none is too old
	subs               []int64    // all that the tenant ever had
	bytes              byteDeltas // what the chunk under way adds to the counts of bytes
}

func (t *trimPass) run(ctx context.Context) error {
	if err := t.db.read.SelectContext(ctx, &t.subs,
		"SELECT no FROM subscriptions WHERE tenant = ? ORDER BY no", t.tenant); err != nil {
		return err
	}

	// Payload.
	below, err := t.payload(ctx)
	if err != nil {
		return err
	}
	if err := t.kept(ctx); err != nil {
		return err
	}

	// Metadata, but no event whose body is still there: a body is found through its event.
	end, err := t.end(ctx, t.beforeMeta)
	if err != nil {
		return err
	}
	end = min(end, below)
	for _, sub := range t.subs {
		if err := t.deliveries(ctx, sub, end); err != nil {
			return err
		}
		if err := t.hours(ctx, sub, t.beforeMeta/hourMS); err != nil {
			return err
		}
	}
	if err := t.eventHours(ctx, t.beforeMeta/hourMS); err != nil {
		return err
	}
	if err := t.events(ctx, end); err != nil {
		return err
	}
	return t.recordings(ctx)
}

// recordingChunk is how many recordings are deleted in one transaction.
const recordingChunk = 250

// recordings deletes recordings that were made, and last put, before a time. Their bytes are
// swept when their notes are an hour old.
func (t *trimPass) recordings(ctx context.Context) error {
	const old = "tenant = ? AND created_at < ? AND updated_at < ?"
	at, id := int64(0), ""
	for t.beforeSound > 0 {
		var rows []struct {
			ID        string `db:"id"`
			CreatedAt int64  `db:"created_at"`
		}
		if err := t.db.read.SelectContext(ctx, &rows, "SELECT id, created_at FROM recordings WHERE "+old+
			" AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?",
			t.tenant, t.beforeSound, t.beforeSound, at, id, recordingChunk); err != nil || len(rows) == 0 {
			return err
		}

		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			for _, r := range rows {
				// Look again, because somebody may have put another one since.
				var gone recordingRow
				err := tx.GetContext(ctx, &gone, "DELETE FROM recordings WHERE "+old+" AND id = ? RETURNING "+recordingColumns,
					t.tenant, t.beforeSound, t.beforeSound, r.ID)
				if errors.Is(err, sql.ErrNoRows) {
					continue
				}
				if err != nil {
					return err
				}
				if err := loosen(ctx, tx, gone.Blob); err != nil {
					return err
				}
				if err := countRecording(ctx, tx, t.tenant, -gone.Size, 0); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		at, id = rows[len(rows)-1].CreatedAt, rows[len(rows)-1].ID
	}
	return nil
}

// end returns the number below which the tenant's events were accepted before ms. On
// PostgreSQL days are deleted as a whole.
func (t *trimPass) end(ctx context.Context, ms int64) (int64, error) {
	if t.db.in == sqldb.Postgres {
		return ms / dayMS << dayBits, nil
	}
	return snapshot{Snapshot: sqldb.Snapshot{Q: t.db.read}}.seqAt(ctx, t.tenant, ms)
}

// chunk runs fn in a write transaction of its own, then rests for as long as that took:
// retention has time, those who wait for the writer do not.
func (t *trimPass) chunk(ctx context.Context, fn func(tx *sqlx.Tx) error) error {
	began := time.Now()
	if err := t.db.admin(ctx, "retention", func(tx *sqlx.Tx) error {
		t.bytes = byteDeltas{}
		return fn(tx)
	}, func() { t.db.writer.bytes.add(t.bytes) }); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Since(began)):
		return nil
	}
}

// payload deletes the bytes of events, and returns the number from which on they are still
// there.
func (t *trimPass) payload(ctx context.Context) (int64, error) {
	var from int64
	err := t.db.read.GetContext(ctx, &from, "SELECT payload FROM retention WHERE tenant = ?", t.tenant)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	end, err := t.end(ctx, t.before)
	if err != nil {
		return 0, err
	}

	for from < end {
		to, err := t.after(ctx, from, end, sliceEvents)
		if err != nil {
			return from, err
		}
		if err := t.bodies(ctx, from, to); err != nil {
			return from, err
		}
		for _, sub := range t.subs {
			if err := t.answers(ctx, sub, from, to); err != nil {
				return from, err
			}
		}

		// Note how far this came, so that a restart does not begin from the start.
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO retention (tenant, payload) VALUES (?, ?)
				ON CONFLICT (tenant) DO UPDATE SET payload = excluded.payload`, t.tenant, to)
			return err
		}); err != nil {
			return from, err
		}
		from = to
	}
	return from, nil
}

// after returns the number below which the next n events of the tenant lie, from one on; end
// if they are fewer.
func (t *trimPass) after(ctx context.Context, from, end int64, n int) (int64, error) {
	var seq int64
	err := t.db.read.GetContext(ctx, &seq,
		"SELECT seq FROM events WHERE tenant = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?",
		t.tenant, from, end, n)
	if errors.Is(err, sql.ErrNoRows) {
		return end, nil
	}
	return seq, err
}

// bodies deletes the bodies of the events in [from, end), except those that are still to be
// pushed.
func (t *trimPass) bodies(ctx context.Context, from, end int64) (err error) {
	if t.db.in == sqldb.Postgres {
		if from, err = t.rest(ctx, from, end); err != nil {
			return err
		}
	}
	for from < end {
		to, err := t.after(ctx, from, end, jobChunk)
		if err != nil {
			return err
		}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			pending, err := t.pending(ctx, tx, from, to)
			if err != nil {
				return err
			}
			for _, seq := range pending {
				if _, err := tx.ExecContext(ctx, `INSERT INTO kept_bodies (tenant, seq) VALUES (?, ?)
					ON CONFLICT (tenant, seq) DO NOTHING`, t.tenant, seq); err != nil {
					return err
				}
			}

			const old = ` WHERE seq >= ?2 AND seq < ?3 AND seq IN
				(SELECT seq FROM events WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3
				EXCEPT SELECT seq FROM kept_bodies WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3)`
			if err := t.deleteBodies(ctx, tx, "DELETE FROM bodies"+old, t.tenant, from, to); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM masked_bodies"+old, t.tenant, from, to); err != nil {
				return err
			}
			return t.stillPending(ctx, tx, from, to, pending)
		}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// pending lists the events in [from, to) that are still to be pushed to somebody.
func (t *trimPass) pending(ctx context.Context, tx *sqlx.Tx, from, to int64) ([]int64, error) {
	var seqs []int64
	err := tx.SelectContext(ctx, &seqs, `SELECT d.seq
		FROM subscriptions s CROSS JOIN deliveries d INDEXED BY deliveries_pending
			ON d.sub = s.no AND d.state = 0 AND d.seq >= ?1 AND d.seq < ?2
		WHERE s.tenant = ?3
		UNION SELECT d.seq
		FROM subscriptions s CROSS JOIN deliveries d INDEXED BY deliveries_replaying
			ON d.sub = s.no AND d.state = 7 AND d.seq >= ?1 AND d.seq < ?2
		WHERE s.tenant = ?3 ORDER BY seq`, from, to, t.tenant)
	return seqs, err
}

// stillPending fails when more is pending than before. On PostgreSQL somebody may have asked
// for a retry of an event while its body was being deleted.
func (t *trimPass) stillPending(ctx context.Context, tx *sqlx.Tx, from, to int64, was []int64) error {
	if t.db.in == sqldb.SQLite {
		return nil
	}
	now, err := t.pending(ctx, tx, from, to)
	if err != nil {
		return err
	}
	for _, seq := range now {
		if _, before := slices.BinarySearch(was, seq); !before {
			return fmt.Errorf("a retry of event %d was asked for: it comes first", seq)
		}
	}
	return nil
}

// answers deletes what receivers answered to the attempts of [from, end).
func (t *trimPass) answers(ctx context.Context, sub, from, end int64) error {
	for from < end {
		// Whole deliveries, so that a chunk is a range of numbers.
		var rows []int64
		if err := t.db.read.SelectContext(ctx, &rows,
			"SELECT seq FROM attempts WHERE sub = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
			sub, from, end, jobChunk); err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		to := end
		if len(rows) == jobChunk {
			to = rows[len(rows)-1] + 1
		}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error { return stripAnswers(ctx, tx, sub, rows[0], to) }); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func stripAnswers(ctx context.Context, tx *sqlx.Tx, sub, from, to int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE attempts SET header = '', body = NULL
		WHERE sub = ? AND seq >= ? AND seq < ? AND (header <> '' OR body IS NOT NULL)`, sub, from, to)
	return err
}

// kept looks again at the bodies that stayed because they were still to be pushed, and
// deletes those that no longer are.
func (t *trimPass) kept(ctx context.Context) error {
	for from := int64(0); ; {
		var seqs []int64
		if err := t.db.read.SelectContext(ctx, &seqs,
			"SELECT seq FROM kept_bodies WHERE tenant = ? AND seq >= ? ORDER BY seq LIMIT ?",
			t.tenant, from, jobChunk); err != nil || len(seqs) == 0 {
			return err
		}

		low, end := seqs[0], seqs[len(seqs)-1]+1
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			pending, err := t.pending(ctx, tx, low, end)
			if err != nil {
				return err
			}
			for _, seq := range seqs {
				if _, still := slices.BinarySearch(pending, seq); still {
					continue
				}
				if err := t.release(ctx, tx, seq); err != nil {
					return err
				}
			}
			return t.stillPending(ctx, tx, low, end, pending)
		}); err != nil {
			return err
		}
		from = end
	}
}

// release deletes the payload of one event that was kept.
func (t *trimPass) release(ctx context.Context, tx *sqlx.Tx, seq int64) error {
	if err := t.deleteBodies(ctx, tx, "DELETE FROM bodies WHERE seq = ?2 AND tenant = ?1", t.tenant, seq); err != nil {
		return err
	}
	for _, stmt := range []string{
		"DELETE FROM masked_bodies WHERE seq = ?2 AND tenant = ?1",
		"DELETE FROM kept_bodies WHERE tenant = ?1 AND seq = ?2",
	} {
		if _, err := tx.ExecContext(ctx, stmt, t.tenant, seq); err != nil {
			return err
		}
	}
	for _, sub := range t.subs {
		if err := stripAnswers(ctx, tx, sub, seq, seq+1); err != nil {
			return err
		}
	}
	return nil
}

// deliveries deletes a subscription's deliveries below end that have ended, with their
// attempts.
func (t *trimPass) deliveries(ctx context.Context, sub, end int64) error {
	for from := int64(0); from < end; {
		// All runs of a delivery must have ended; states 0 and 7 are pending.
		var rows []int64
		if err := t.db.read.SelectContext(ctx, &rows, `SELECT seq FROM deliveries d
			WHERE sub = ? AND seq >= ? AND seq < ? AND run = 0
				AND NOT EXISTS (SELECT 1 FROM deliveries p INDEXED BY deliveries_pending
				WHERE p.sub = d.sub AND p.seq = d.seq AND p.state = 0)
				AND NOT EXISTS (SELECT 1 FROM deliveries p INDEXED BY deliveries_replaying
				WHERE p.sub = d.sub AND p.seq = d.seq AND p.state = 7)
			ORDER BY seq LIMIT ?`, sub, from, end, jobChunk/2); err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}

		to := rows[len(rows)-1] + 1
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			// Look again, because somebody may have asked for a retry since.
			const old = `WHERE sub = ?1 AND seq >= ?2 AND seq < ?3 AND seq NOT IN
				(SELECT seq FROM deliveries INDEXED BY deliveries_pending
					WHERE sub = ?1 AND state = 0 AND seq >= ?2 AND seq < ?3
				UNION SELECT seq FROM deliveries INDEXED BY deliveries_replaying
					WHERE sub = ?1 AND state = 7 AND seq >= ?2 AND seq < ?3)`
			if _, err := tx.ExecContext(ctx, "DELETE FROM attempts "+old, sub, rows[0], to); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "DELETE FROM deliveries "+old, sub, rows[0], to)
			return err
		}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// hours deletes the counts of hours before one, except those whose deliveries have not all
// ended.
func (t *trimPass) hours(ctx context.Context, sub, before int64) error {
	// An hour has ended when the sum of its parts has.
	const settled = "SELECT hour FROM delivery_hours WHERE sub = ? AND hour < ? GROUP BY hour " +
		"HAVING sum(matched) = sum(delivered + exhausted + expired + cancelled + superseded)"
	for {
		// Whole hours, because the key has more columns.
		var hours []int64
		if err := t.db.read.SelectContext(ctx, &hours,
			"SELECT hour FROM ("+settled+") s ORDER BY hour LIMIT ?",
			sub, before, jobChunk/2); err != nil || len(hours) == 0 {
			return err
		}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			args := []any{sub, sub, hours[len(hours)-1] + 1}
			for _, table := range []string{"error_hours", "delivery_hours"} {
				if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE sub = ? AND hour IN ("+settled+")", args...); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

// eventHours deletes the counts of events of hours before one.
func (t *trimPass) eventHours(ctx context.Context, before int64) error {
	for {
		var old bool
		if err := t.db.read.GetContext(ctx, &old, "SELECT EXISTS (SELECT 1 FROM delivery_hours WHERE sub = ? AND hour < ?)",
			-t.tenant, before); err != nil || !old {
			return err
		}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM delivery_hours WHERE sub = ?1 AND hour IN
				(SELECT hour FROM delivery_hours WHERE sub = ?1 AND hour < ?2 ORDER BY hour LIMIT ?3)`, -t.tenant, before, jobChunk)
			return err
		}); err != nil {
			return err
		}
	}
}

// events deletes the events below end, except those that are still to be pushed.
func (t *trimPass) events(ctx context.Context, end int64) error {
	for from := int64(0); from < end; {
		to, err := t.after(ctx, from, end, jobChunk)
		if err != nil {
			return err
		}

		// Most often nothing is left to delete: that should cost no transaction.
		if to == end {
			var left bool
			if err := t.db.read.GetContext(ctx, &left,
				"SELECT EXISTS (SELECT 1 FROM events WHERE tenant = ? AND seq >= ? AND seq < ?)",
				t.tenant, from, end); err != nil || !left {
				return err
			}
		}
		if err := t.chunk(ctx, func(tx *sqlx.Tx) error { return t.removeEvents(ctx, tx, from, to) }); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (t *trimPass) removeEvents(ctx context.Context, tx *sqlx.Tx, from, to int64) error {
	pending, err := t.pending(ctx, tx, from, to)
	if err != nil {
		return err
	}

	// The ranges between what is pending.
	const these = " FROM events WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3"
	for _, stop := range append(pending, to) {
		if err := t.deleteBodies(ctx, tx, "DELETE FROM bodies WHERE seq >= ?2 AND seq < ?3 AND seq IN (SELECT seq"+these+")",
			t.tenant, from, stop); err != nil {
			return err
		}
		for _, stmt := range []string{
			"DELETE FROM event_ids WHERE tenant = ?1 AND id IN (SELECT id" + these + ")",
			"DELETE FROM masked_bodies WHERE seq >= ?2 AND seq < ?3 AND seq IN (SELECT seq" + these + ")",
			"DELETE FROM kept_bodies WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3",
			"DELETE" + these,
		} {
			if _, err := tx.ExecContext(ctx, stmt, t.tenant, from, stop); err != nil {
				return err
			}
		}
		from = stop + 1
	}
	return t.db.writer.noteLast(ctx, tx)
}

// noteLast writes the high mark before the events that carry it are deleted.
func (w *writer) noteLast(ctx context.Context, tx *sqlx.Tx) error {
	w.last.Lock()
	last := w.last.highMark
	w.last.Unlock()
	return writeHighMark(ctx, tx, last)
}

// highMark is the last event that there ever was. Its number is never used again, and later
// events are accepted at its time or after, even when its row is deleted.
type highMark struct {
	Seq int64 `json:"seq"`
	At  int64 `json:"at"`
}

// lastEvent finds the high mark: numbers go on from the highest that was committed. Bodies
// are deleted before events, so it looks at both, and at the note that retention leaves when
// it deletes events.
func lastEvent(ctx context.Context, q sqlx.QueryerContext) (highMark, error) {
	m, err := readHighMark(ctx, q)
	if err != nil {
		return m, err
	}
	var bodies sql.NullInt64
	if err := sqlx.GetContext(ctx, q, &bodies, "SELECT max(seq) FROM bodies"); err != nil {
		return m, fmt.Errorf("last event: %w", err)
	}
	m.Seq = max(m.Seq, bodies.Int64)

	var tenants []int64
	if err := sqlx.SelectContext(ctx, q, &tenants, "SELECT no FROM tenants"); err != nil {
		return m, fmt.Errorf("last event: %w", err)
	}
	for _, t := range tenants {
		var last []struct {
			Seq int64 `db:"seq"`
			At  int64 `db:"accepted_at"`
		}
		if err := sqlx.SelectContext(ctx, q, &last,
			"SELECT seq, accepted_at FROM events WHERE tenant = ? ORDER BY seq DESC LIMIT 1", t); err != nil {
			return m, fmt.Errorf("last event of tenant %d: %w", t, err)
		}
		for _, l := range last {
			m.Seq = max(m.Seq, l.Seq)
			m.At = max(m.At, l.At)
		}
	}
	return m, nil
}

func readHighMark(ctx context.Context, q sqlx.QueryerContext) (m highMark, err error) {
	var stored []byte
	err = sqlx.GetContext(ctx, q, &stored, "SELECT value FROM meta WHERE name = 'high_mark'")
	if errors.Is(err, sql.ErrNoRows) {
		return highMark{}, nil
	}
	if err == nil {
		err = json.Unmarshal(stored, &m)
	}
	if err != nil {
		return m, fmt.Errorf("last event: %w", err)
	}
	return m, nil
}

func writeHighMark(ctx context.Context, tx sqlx.ExecerContext, m highMark) error {
	value, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("last event: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('high_mark', ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, value); err != nil {
		return fmt.Errorf("last event: %w", err)
	}
	return nil
}
