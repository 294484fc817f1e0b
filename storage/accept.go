package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/subscriptions"
)

// statements of the hot path, prepared once on the writer's connection.
type statements struct {
	ids, events, bodies, masked, deliveries, attempts, hours, minutes, errors *bulk

	known, outcome, reopenedDone *sqlx.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sqlx.Conn) error {
	for _, b := range []struct {
		to     **bulk
		insert string
		cols   int
		tail   string
	}{
		{&s.ids, "INSERT INTO event_ids (tenant, id, seq, day, hash) VALUES", 5, "ON CONFLICT DO NOTHING"},
		{&s.events, `INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id,
			process, body_hash, size, matched, warnings, traceparent, hops, test) VALUES`, 17, ""},
		{&s.bodies, "INSERT INTO bodies (seq, tenant, bytes) VALUES", 3, ""},
		{&s.masked, "INSERT INTO masked_bodies (seq, policy, tenant, bytes) VALUES", 4, "ON CONFLICT DO NOTHING"},
		{&s.deliveries, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at,
			give_up_at, accepted_at, late, aside_at) VALUES`, 13, ""},
		{
			&s.attempts, `INSERT INTO attempts (sub, seq, run, n, at, dns, connect, tls, first, total, remote_ip, status,
			class, error, header, body, signed_at, random_code, nonce, key_n, version, late, replay, process, epoch) VALUES`, 25,
			"ON CONFLICT DO NOTHING",
		},
	} {
		p, err := prepareBulk(ctx, conn, b.insert, b.cols, b.tail)
		if err != nil {
			return fmt.Errorf("prepare %.40s: %w", b.insert, err)
		}
		*b.to = p
	}
	if err := s.prepareHours(ctx, conn); err != nil {
		return err
	}
	for _, q := range []struct {
		to  **sqlx.Stmt
		sql string
	}{
		{&s.known, "SELECT seq, hash FROM event_ids WHERE tenant = ? AND id = ?"},
		{&s.outcome, `UPDATE deliveries SET state = ?, tries = ?, due_at = ?, first_try_at = ?, done_at = ?, last_status = coalesce(?, last_status),
			last_error = ?, late = ?, aside_at = ?, superseded_by = ? WHERE sub = ? AND seq = ? AND run = ? AND state = 0`},
		{&s.reopenedDone, `UPDATE deliveries SET state = ?, done_at = ?, last_status = coalesce(?, last_status), last_error = ?
			WHERE sub = ? AND seq = ? AND run = 0 AND state = 6`},
	} {
		p, err := conn.PreparexContext(ctx, q.sql) //nolint:sqlclosecheck // lives as long as the connection
		if err != nil {
			return fmt.Errorf("prepare %.40s: %w", q.sql, err)
		}
		*q.to = p
	}
	return nil
}

func (s *statements) bulks() []*bulk {
	return []*bulk{s.ids, s.events, s.bodies, s.masked, s.deliveries, s.attempts, s.hours, s.minutes, s.errors}
}

// drop forgets the rows of a transaction that failed.
func (s *statements) drop() {
	for _, b := range s.bulks() {
		b.drop()
	}
}

// close frees the statements. database/sql does not, of a connection that was
// taken out; with one of them left SQLite would keep the file open and the
// write-ahead log as it is.
func (s *statements) close() error {
	var errs []error
	for _, b := range s.bulks() {
		if b != nil { // Open failed before it came to be
			errs = append(errs, b.close())
		}
	}
	for _, stmt := range []*sqlx.Stmt{s.known, s.outcome, s.reopenedDone} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// insertEvents writes the events that are new, with their bytes and one
// pending delivery for each subscription that wants them.
func (w *writer) insertEvents(ctx context.Context, ops []*acceptOp) error {
	if len(ops) == 0 {
		return nil
	}
	s := &w.stmt
	now := max(time.Now().UnixMilli(), w.lastAt) // never falls while numbers grow
	if err := w.numberEvents(ctx, ops, now); err != nil {
		return err
	}
	var wants []*subscriptions.Subscription
	for _, op := range ops {
		for i, e := range op.events {
			if op.verdicts[i] != ingest.Stored {
				continue
			}
			wants = w.wants(e, wants[:0])
			var warnings any
			if len(e.Warnings) > 0 {
				b, err := json.Marshal(e.Warnings)
				if err != nil {
					return fmt.Errorf("warnings: %w", err)
				}
				warnings = string(b)
			}
			var trace any
			if e.Traceparent != "" {
				trace = e.Traceparent
			}
			s.events.add(e.Tenant, e.Seq, e.ID, int64(e.Type), e.OrderKey, e.OccurredAt, now, e.Source, e.KeyID,
				w.db.cfg.Process, e.Hash[:], int64(len(e.Body)), int64(len(wants)), warnings, trace, int64(e.Hops), e.Test)
			s.bodies.add(e.Seq, e.Tenant, encodeBody(e.Body))
			key, class := event.Key(e.OrderKey), e.Type.Class()
			for _, sub := range wants {
				giveUp := sub.ActiveClock(time.UnixMilli(now)) + sub.GiveUpAfter[class].Milliseconds()
				s.deliveries.add(sub.No, e.Seq, int64(0), key, int64(e.Type), sub.Version, int64(delivery.Pending), int64(0), int64(0),
					giveUp, now, false, int64(0))
				w.pending.add(sub.No, e.Tenant)
				w.hours.matched(sub.No, now, class)
			}
		}
	}
	for _, b := range []*bulk{s.events, s.bodies, s.deliveries} {
		if _, err := b.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// numberEvents gives each event its number and, where the sender gave none,
// its id; those whose id is known already get their verdict instead.
func (w *writer) numberEvents(ctx context.Context, ops []*acceptOp, now int64) error {
	s, seq := &w.stmt, w.lastSeq
	named := int64(0)
	for _, op := range ops {
		for i, e := range op.events {
			seq++
			op.verdicts[i] = ingest.Stored
			e.Seq, e.AcceptedAt = seq, now
			if !op.named[i] {
				e.ID = newEventID(now, seq)
				continue
			}
			named++
			s.ids.add(e.Tenant, e.ID, seq, now/86_400_000, e.Hash[:])
		}
	}
	inserted, err := s.ids.flush(ctx)
	if err != nil {
		return err
	}
	if inserted < named {
		if err := w.findKnown(ctx, ops); err != nil {
			return err
		}
	}
	w.lastSeq, w.lastAt = seq, now // numbers of a failed transaction are never used again
	return nil
}

// findKnown is the slow path: some id of this batch was there before.
func (w *writer) findKnown(ctx context.Context, ops []*acceptOp) error {
	for _, op := range ops {
		for i, e := range op.events {
			if !op.named[i] {
				continue
			}
			var known struct {
				Seq  int64  `db:"seq"`
				Hash []byte `db:"hash"`
			}
			if err := w.stmt.known.GetContext(ctx, &known, e.Tenant, e.ID); err != nil {
				return fmt.Errorf("look up event id: %w", err)
			}
			switch {
			case known.Seq == e.Seq:
			case string(known.Hash) == string(e.Hash[:]):
				op.verdicts[i] = ingest.Known
			default:
				op.verdicts[i] = ingest.Conflict
			}
		}
	}
	return nil
}

// wants lists the subscriptions that the event goes to.
func (w *writer) wants(e *event.Event, into []*subscriptions.Subscription) []*subscriptions.Subscription {
	if e.Target == 0 {
		return w.db.index.Match(e, into)
	}
	if sub := w.db.index.Get(e.Target); sub != nil && sub.Tenant == e.Tenant {
		return append(into, sub)
	}
	return into
}
