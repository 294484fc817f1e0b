package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

// acceptOp is the events of one request, which wait for their commit.
type acceptOp struct {
	tenant   int64 // whose turn they take; 0: they are of several
	events   []*event.Event
	named    []bool // the sender gave the id
	verdicts []ingest.Verdict
	bytes    int64 // of the budget of what waits
	done     chan error

	// also is run in the transaction behind the events, once for each try; nil: nothing is. If it
	// fails, nothing of the op is committed.
	also func(ctx context.Context, w *worker) error
}

// Accept queues the events of one request and waits for their commit.
func (db *DB) Accept(ctx context.Context, events []*event.Event) ([]ingest.Verdict, error) {
	op := &acceptOp{
		events: events, named: make([]bool, len(events)),
		verdicts: make([]ingest.Verdict, len(events)), done: make(chan error, 1),
	}
	for i, e := range events {
		op.named[i] = e.ID != ""
		op.bytes += int64(len(e.Body)) + eventOverhead
		switch {
		case i == 0:
			op.tenant = e.Tenant
		case e.Tenant != op.tenant: // a broker's messages
			op.tenant = 0
		}
	}
	if err := db.writer.queue(op); err != nil {
		return nil, err
	}

	// Once queued, the events will be committed, so whoever sent them must be
	// answered accordingly, however long that takes. The writer always answers.
	return op.verdicts, <-op.done
}

// beginAccept begins a transaction on PostgreSQL that stores events. Its arguments
// are the lock and the number of events. It answers with the heads of the
// subscriptions, the numbers of the events, and the server's time in Unix ms, which
// is the same for all processes.
const beginAccept = `SELECT pg_advisory_xact_lock_shared(%d);
	SELECT (SELECT COALESCE(max(version), 0) FROM subscription_versions) AS version,
		(SELECT mark FROM standstill_head) AS mark,
		(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
		ARRAY(SELECT nextval('event_seq') FROM generate_series(1, %d)) AS seqs`

// begin begins the transaction that will store a batch, and returns the numbers of
// its events. On PostgreSQL no process can change a subscription, or the owner of
// an outcome's shard, before the transaction ends.
func (w *worker) begin(ctx context.Context, b batch) ([]int64, error) {
	n := b.events()

	// SQLite: nobody else writes, so there is nothing to ask.
	if w.db.in == sqldb.SQLite {
		if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return nil, err
		}
		w.now = time.Now().UnixMilli()
		w.heads = w.db.indexed.get()
		if n == 0 {
			return nil, nil
		}
		return w.number(make([]int64, n)), nil
	}

	// PostgreSQL: one round trip. Each statement sees what was committed before it
	// began, so the heads are those that hold under the lock.
	clear(w.epochs)
	w.now = time.Now().UnixMilli()
	query := "BEGIN;" + w.lockShards(b.outcomes)
	if n > 0 {
		query += fmt.Sprintf(beginAccept, sqldb.TurnMatching, n)
	}
	rows, err := w.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()

	// How many columns a row has says which of the statements it answers.
	var seqs pq.Int64Array
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			columns, err := rows.Columns()
			var shard int
			var epoch int64
			switch {
			case err != nil:
			case len(columns) == 4:
				err = rows.Scan(&w.heads.Version, &w.heads.Mark, &w.now, &seqs)
			case len(columns) == 2:
				err = rows.Scan(&shard, &epoch)
				w.epochs[shard] = epoch
			}
			if err != nil {
				return nil, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}

	if len(seqs) != n {
		return nil, fmt.Errorf("%d numbers for %d events", len(seqs), n)
	}
	if n == 0 {
		return nil, nil
	}
	return w.number(seqs), nil
}

// number notes the numbers and the time of a transaction. Those of SQLite are made
// here, because its one worker knows the last ones. Numbers of a transaction that
// fails are never used again, and the time never falls while numbers grow.
func (w *worker) number(seqs []int64) []int64 {
	last := &w.writer.last
	last.Lock()
	defer last.Unlock()
	w.now = max(w.now, last.At)
	last.At = w.now
	for i := range seqs {
		if w.db.in == sqldb.SQLite {
			seqs[i] = last.Seq + 1
		}
		last.Seq = max(last.Seq, seqs[i])
	}
	return seqs
}

// insertEvents writes the events that are new, with their bytes and one pending
// delivery for each subscription that wants them.
func (w *worker) insertEvents(ctx context.Context, ops []*acceptOp, seqs []int64) error {
	if len(ops) == 0 {
		return nil
	}

	// Match with the subscriptions as they are under the lock of this transaction.
	if len(seqs) > 0 {
		if err := w.db.loadChanged(ctx, w.heads); err != nil {
			return err
		}
	}
	if err := w.numberEvents(ctx, ops, seqs); err != nil {
		return err
	}

	w.countRejected()
	var matched []*subscriptions.Subscription
	for _, op := range ops {
		for i, e := range op.events {
			if op.verdicts[i] != ingest.Stored {
				continue
			}
			matched = w.match(e, matched[:0])
			w.counts.events(e.Tenant, w.now, acceptedEvents, 1)
			if len(matched) == 0 {
				w.counts.events(e.Tenant, w.now, unmatchedEvents, 1)
			}

			// The event and its body.
			var warnings any
			if len(e.Warnings) > 0 {
				list, err := json.Marshal(e.Warnings)
				if err != nil {
					return fmt.Errorf("warnings: %w", err)
				}
				warnings = string(list)
			}
			w.stmt.events.add(e.Tenant, e.Seq, e.ID, int64(e.Type), e.OrderKey, e.OccurredAt, w.now, e.Source, e.KeyID,
				w.db.cfg.Process, e.Hash[:], int64(len(e.Body)), int64(len(matched)), warnings, nullText(e.Traceparent),
				int64(e.Hops), e.Test)
			stored := sqldb.EncodeBody(e.Body)
			if e.Completed {
				stored = sqldb.MarkCompleted(stored)
			}
			w.stmt.bodies.add(e.Seq, e.Tenant, stored)
			w.bytes[tenantDay{e.Tenant, dayOfSeq(e.Seq)}] += int64(len(stored))

			// A pending delivery for each subscription.
			key := event.Key(e.OrderKey)
			class := e.Type.Class()
			for _, sub := range matched {
				giveUp := sub.ActiveClock(time.UnixMilli(w.now)) + sub.GiveUpAfter[class].Milliseconds()
				w.stmt.deliveries.add(sub.No, e.Seq, int64(0), key, int64(e.Type), sub.Version, int64(delivery.Pending),
					int64(0), int64(0), giveUp, w.now, false, int64(0))
				w.delta.add(sub.No, e.Tenant, e.Seq)
				w.counts.matched(sub.No, w.now, e.Type)
			}
		}
	}

	for _, b := range []*bulk{w.stmt.events, w.stmt.bodies, w.stmt.deliveries} {
		if w.tooLate() {
			return sqldb.ErrSlow
		}
		if _, err := b.flush(ctx); err != nil {
			return err
		}
	}
	for _, op := range ops {
		if op.also == nil {
			continue
		}
		if err := op.also(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// match lists the subscriptions that an event goes to.
func (w *worker) match(e *event.Event, into []*subscriptions.Subscription) []*subscriptions.Subscription {
	if e.Target == 0 {
		return w.db.index.Match(e, into)
	}
	if sub := w.db.index.Get(e.Target); sub != nil && sub.Tenant == e.Tenant {
		return append(into, sub)
	}
	return into
}

// numberEvents gives each event its number and, where the sender gave none, its id.
// Events whose id was stored before get their verdict instead.
func (w *worker) numberEvents(ctx context.Context, ops []*acceptOp, seqs []int64) error {
	var named []*event.Event
	for _, op := range ops {
		for i, e := range op.events {
			op.verdicts[i] = ingest.Stored
			e.Seq, seqs = seqs[0], seqs[1:]
			e.AcceptedAt = w.now
			if op.named[i] {
				named = append(named, e)
			} else {
				e.ID = newEventID(w.now, e.Seq)
			}
		}
	}

	// Two transactions with the same ids wait for each other in this order.
	slices.SortFunc(named, func(a, b *event.Event) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Seq, b.Seq))
	})
	for _, e := range named {
		w.stmt.ids.add(e.Tenant, e.ID, e.Seq, w.now/dayMS, e.Hash[:])
	}
	inserted, err := w.stmt.ids.flush(ctx)
	if err != nil || inserted == int64(len(named)) {
		return err
	}
	return w.findKnown(ctx, ops)
}

// findKnown is the slow path: some id of this batch was stored before. It tells
// events that were sent again from others that bear the same id.
func (w *worker) findKnown(ctx context.Context, ops []*acceptOp) error {
	for _, op := range ops {
		for i, e := range op.events {
			if !op.named[i] {
				continue
			}
			var stored struct {
				Seq  int64  `db:"seq"`
				Hash []byte `db:"hash"`
			}
			if err := w.stmt.known.GetContext(ctx, &stored, e.Tenant, e.ID); err != nil {
				return fmt.Errorf("look up event id: %w", err)
			}
			switch {
			case stored.Seq == e.Seq:
			case string(stored.Hash) == string(e.Hash[:]):
				op.verdicts[i] = ingest.Known
				w.counts.events(e.Tenant, w.now, duplicateEvents, 1)
			default:
				op.verdicts[i] = ingest.Conflict
				w.counts.events(e.Tenant, w.now, rejectedEvents, 1)
			}
		}
	}
	return nil
}
