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

type acceptOp struct {
	events   []*event.Event
	named    []bool // the sender gave the id
	verdicts []ingest.Verdict
	bytes    int
	done     chan error
}

// Accept queues the events of one request and waits for their commit.
func (db *DB) Accept(ctx context.Context, events []*event.Event) ([]ingest.Verdict, error) {
	op := &acceptOp{
		events: events, named: make([]bool, len(events)),
		verdicts: make([]ingest.Verdict, len(events)), done: make(chan error, 1),
	}
	for i, e := range events {
		op.named[i] = e.ID != ""
		op.bytes += len(e.Body)
	}
	w := db.w
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return nil, ErrClosed
	}
	if w.bytes+op.bytes > db.cfg.QueueBytes && w.bytes > 0 {
		w.mu.Unlock()
		return nil, ingest.ErrBusy
	}
	w.bytes += op.bytes
	w.accepts = append(w.accepts, op)
	w.signal(ofAccepts)
	w.mu.Unlock()
	// Once queued it will be committed: whoever sent it must hear so, however
	// long that takes. The writer always answers.
	return op.verdicts, <-op.done
}

// beginAccept is how a transaction begins that stores events; of the lock and of
// so many events. It answers with the heads of the subscriptions, the server's time in
// Unix ms, which is the same for all processes, and the numbers of the events.
const beginAccept = `SELECT pg_advisory_xact_lock_shared(%d);
	SELECT (SELECT COALESCE(max(version), 0) FROM subscription_versions) AS version, (SELECT mark FROM standstill_head) AS mark, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
		ARRAY(SELECT nextval('event_seq') FROM generate_series(1, %d)) AS seqs`

// begin a transaction that will store a batch: it has the time, numbers for its
// events, and, on PostgreSQL, the word of all processes that neither a
// subscription nor the owner of an outcome's shard changes before it ends.
func (k *worker) begin(ctx context.Context, b batch) ([]int64, error) {
	n := b.events()
	if k.db.in == sqldb.SQLite {
		if _, err := k.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return nil, err
		}
		k.now, k.heads = time.Now().UnixMilli(), k.db.known.get()
		if n == 0 {
			return nil, nil
		}
		return k.w.number(k, make([]int64, n)), nil
	}
	clear(k.epochs)
	k.now = time.Now().UnixMilli()
	query := "BEGIN;" + k.lockShards(b.outcomes)
	if n > 0 {
		query += fmt.Sprintf(beginAccept, sqldb.TurnMatching, n)
	}
	// One round trip. Each statement sees what was committed before it began, so
	// the version is the one that holds under the lock.
	rows, err := k.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var seqs pq.Int64Array
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			cols, err := rows.Columns()
			var shard int
			var epoch int64
			switch {
			case err != nil:
			case len(cols) == 4:
				err = rows.Scan(&k.heads.Version, &k.heads.Mark, &k.now, &seqs)
			case len(cols) == 2:
				err = rows.Scan(&shard, &epoch)
				k.epochs[shard] = epoch
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
	return k.w.number(k, seqs), nil
}

// number notes the numbers and the time of a transaction. SQLite's are made
// here: its one worker knows the last ones. Those of a transaction that fails are
// never used again, and the time never falls while numbers grow.
func (w *writer) number(k *worker, seqs []int64) []int64 {
	w.last.Lock()
	defer w.last.Unlock()
	k.now = max(k.now, w.last.At)
	w.last.At = k.now
	for i := range seqs {
		if k.db.in == sqldb.SQLite {
			seqs[i] = w.last.Seq + 1
		}
		w.last.Seq = max(w.last.Seq, seqs[i])
	}
	return seqs
}

// insertEvents writes the events that are new, with their bytes and one
// pending delivery for each subscription that wants them.
func (k *worker) insertEvents(ctx context.Context, ops []*acceptOp, seqs []int64) error {
	if len(ops) == 0 {
		return nil
	}
	if err := k.db.catchUp(ctx, k.heads); err != nil {
		return err
	}
	s, now := &k.stmt, k.now
	if err := k.numberEvents(ctx, ops, seqs); err != nil {
		return err
	}
	var wants []*subscriptions.Subscription
	for _, op := range ops {
		for i, e := range op.events {
			if op.verdicts[i] != ingest.Stored {
				continue
			}
			wants = k.wants(e, wants[:0])
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
				k.db.cfg.Process, e.Hash[:], int64(len(e.Body)), int64(len(wants)), warnings, trace, int64(e.Hops), e.Test)
			s.bodies.add(e.Seq, e.Tenant, sqldb.EncodeBody(e.Body))
			key, class := event.Key(e.OrderKey), e.Type.Class()
			for _, sub := range wants {
				giveUp := sub.ActiveClock(time.UnixMilli(now)) + sub.GiveUpAfter[class].Milliseconds()
				s.deliveries.add(sub.No, e.Seq, int64(0), key, int64(e.Type), sub.Version, int64(delivery.Pending), int64(0), int64(0),
					giveUp, now, false, int64(0))
				k.delta.add(sub.No, e.Tenant, e.Seq)
				k.hours.matched(sub.No, now, class)
			}
		}
	}
	for _, b := range []*bulk{s.events, s.bodies, s.deliveries} {
		if k.tooLate() {
			return sqldb.ErrSlow
		}
		if _, err := b.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// numberEvents gives each event its number and, where the sender gave none,
// its id; those whose id is known already get their verdict instead.
func (k *worker) numberEvents(ctx context.Context, ops []*acceptOp, seqs []int64) error {
	var named []*event.Event
	for _, op := range ops {
		for i, e := range op.events {
			op.verdicts[i] = ingest.Stored
			e.Seq, e.AcceptedAt, seqs = seqs[0], k.now, seqs[1:]
			if op.named[i] {
				named = append(named, e)
			} else {
				e.ID = newEventID(k.now, e.Seq)
			}
		}
	}
	// Two transactions with the same ids wait for each other, in this order.
	slices.SortFunc(named, func(a, b *event.Event) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Seq, b.Seq))
	})
	for _, e := range named {
		k.stmt.ids.add(e.Tenant, e.ID, e.Seq, k.now/dayMS, e.Hash[:])
	}
	inserted, err := k.stmt.ids.flush(ctx)
	if err != nil || inserted == int64(len(named)) {
		return err
	}
	return k.findKnown(ctx, ops)
}

// findKnown is the slow path: some id of this batch was there before.
func (k *worker) findKnown(ctx context.Context, ops []*acceptOp) error {
	for _, op := range ops {
		for i, e := range op.events {
			if !op.named[i] {
				continue
			}
			var known struct {
				Seq  int64  `db:"seq"`
				Hash []byte `db:"hash"`
			}
			if err := k.stmt.known.GetContext(ctx, &known, e.Tenant, e.ID); err != nil {
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
func (k *worker) wants(e *event.Event, into []*subscriptions.Subscription) []*subscriptions.Subscription {
	if e.Target == 0 {
		return k.db.index.Match(e, into)
	}
	if sub := k.db.index.Get(e.Target); sub != nil && sub.Tenant == e.Tenant {
		return append(into, sub)
	}
	return into
}
