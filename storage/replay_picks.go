package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

const (
	dryRunChunk = 500              // picks that a dry run looks at in one state of the database
	dryRunTime  = 20 * time.Second // after which it says how far it came
	dryRunKeys  = 100_000          // order keys that are pending live, of which it knows at most
)

// plan says what a job will look at: the range of event numbers, and its subscriptions.
func (db *DB) plan(ctx context.Context, kind search.JobKind, spec *search.JobSpec) (*jobPlan, error) {
	if err := db.CatchUp(ctx); err != nil {
		return nil, err
	}
	p := new(jobPlan)
	err := db.snapshot(ctx, "plan a job", func(snap snapshot) error {
		from, to := spec.Times()
		var err error
		if p.Low, p.Below, err = snap.seqRange(ctx, spec.Tenant, from, to); err != nil {
			return err
		}

		// What is accepted from now on is not part of the job.
		last := "SELECT COALESCE((SELECT seq FROM events WHERE tenant = ? ORDER BY seq DESC LIMIT 1), 0)"
		args := []any{spec.Tenant}
		if snap.In == sqldb.Postgres {
			last, args = "SELECT last_value FROM event_seq", nil
		}
		var newest int64
		if err := sqlx.GetContext(ctx, snap.Q, &newest, last, args...); err != nil {
			return fmt.Errorf("last event: %w", err)
		}
		p.Below = min(p.Below, newest+1)
		if spec.Subject() != nil {
			if err := snap.planBySubject(ctx, spec.Tenant, p); err != nil {
				return err
			}
		}

		if spec.Deliveries != nil {
			if p.Sources, err = snap.sources(ctx, spec, p.Low, p.Below); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}

	if spec.Target != 0 {
		p.Tracks = []track{{Sub: spec.Target, At: p.Low - 1}}
		return p, nil
	}
	for _, sub := range p.Sources {
		if db.index.Get(sub) != nil {
			p.Tracks = append(p.Tracks, track{Sub: sub, At: p.Low - 1})
		}
	}
	p.Sources = nil // each track has its own
	return p, nil
}

// sources lists the subscriptions that have deliveries in the range of a job.
func (snap snapshot) sources(ctx context.Context, spec *search.JobSpec, low, below int64) (subs []int64, err error) {
	where, args := "s.tenant = ?", []any{spec.Tenant}
	where, args = ofSubs(where, args, spec.Deliveries.Subs)
	err = sqlx.SelectContext(ctx, snap.Q, &subs, "SELECT s.no FROM subscriptions s WHERE "+where+` AND EXISTS
		(SELECT 1 FROM deliveries d WHERE d.sub = s.no AND d.seq >= ? AND d.seq < ?) ORDER BY s.no`,
		append(args, low, below)...)
	return subs, err
}

// upwards returns the next event numbers above one, lowest first and each once, at most
// limit of them. It looks at no more than look rows. upTo is the number up to which it
// has looked; done: there is nothing more below the end.
func (w *walk) upwards(
	ctx context.Context, q sqlx.QueryerContext, after, below int64, look, limit int,
) (seqs []int64, upTo int64, done bool, err error) {
	upTo, done = below-1, true
	if w.filter != "" {
		var bound int64
		err := sqlx.GetContext(ctx, q, &bound, "SELECT seq FROM "+w.table+" WHERE "+w.where+
			" AND seq > ? AND seq < ? ORDER BY seq LIMIT 1 OFFSET ?", slices.Concat(w.args, []any{after, below, look - 1})...)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, 0, false, err
		}
		if err == nil {
			upTo, done = bound, false
		}
	}

	query := "SELECT seq FROM " + w.table + " WHERE " + w.where + " AND seq > ? AND seq <= ?"
	args := slices.Concat(w.args, []any{after, upTo})
	if w.filter != "" {
		query += " AND (" + w.filter + ")"
		args = append(args, w.picks...)
	}
	if err := sqlx.SelectContext(ctx, q, &seqs, query+" ORDER BY seq LIMIT ?", append(args, limit)...); err != nil {
		return nil, 0, false, err
	}
	if len(seqs) == limit {
		upTo, done = seqs[limit-1], false
	}
	return unique(seqs), upTo, done, nil
}

// jobWalk returns the walk that finds what a job may pick: of the deliveries of a
// subscription, or of events.
func jobWalk(spec *search.JobSpec, sub int64) walk {
	if subject := spec.Subject(); subject != nil { // all events that name the number, which are few
		return walk{table: "subjects", where: "tenant = ? AND subject = ?", args: []any{spec.Tenant, subject}}
	}
	if spec.Events != nil {
		return eventWalk(*spec.Events)
	}
	f := spec.Deliveries
	if f.OrderKey != "" { // all events of the key, which are few
		return eventWalk(search.EventFilter{Tenant: spec.Tenant, OrderKey: f.OrderKey})
	}
	w := deliveryWalk(sub, f)
	if spec.Only == search.OnlyFailed && w.table == "deliveries" {
		// What failed has an index. State 6 is what failed and was retried by hand.
		w.table, w.where = "deliveries INDEXED BY deliveries_trouble", "sub = ? AND (state > 1 OR last_error > 0)"
		w.narrow("run = 0 AND state IN (2, 3, 6)")
	}
	return w
}

// candidates returns what the next part of a track may pick, at most n of each source,
// by event number. For events the subscription is 0.
func (snap snapshot) candidates(
	ctx context.Context, spec *search.JobSpec, p *jobPlan, t track, n int,
) (found []search.DeliveryCursor, upTo int64, done bool, err error) {
	sources := p.Sources
	switch {
	case spec.Events != nil:
		sources = []int64{0}
	case spec.Target == 0:
		sources = []int64{t.Sub}
	}

	// Of several sources the one that came least far bounds the part.
	upTo, done = p.Below-1, true
	look := max(minLook, snap.rows/max(1, len(sources)))
	for _, sub := range sources {
		w := jobWalk(spec, sub)
		seqs, to, all, err := w.upwards(ctx, snap.Q, t.At, p.Below, look, n)
		if err != nil {
			return nil, 0, false, err
		}
		upTo = min(upTo, to)
		done = done && all
		for _, seq := range seqs {
			found = append(found, search.DeliveryCursor{Seq: seq, Sub: sub})
		}
	}
	found = slices.DeleteFunc(found, func(c search.DeliveryCursor) bool { return c.Seq > upTo })
	slices.SortFunc(found, func(a, b search.DeliveryCursor) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Sub, b.Sub))
	})
	return found, upTo, done, nil
}

// replayRow is an event that a job sends to the subscription of a track.
type replayRow struct {
	seq, key, acceptedAt, size int64
	typ                        event.Type
}

// part is the next part of a track: what to send, and how much it leaves out.
type part struct {
	rows   []replayRow
	upTo   int64
	done   bool
	counts search.JobCounts
}

// nextPart finds the next part of a track. sub is the subscription of the track as it
// is now.
func (db *DB) nextPart(
	ctx context.Context, spec *search.JobSpec, p *jobPlan, t track, sub *subscriptions.Subscription, n int,
) (next part, err error) {
	var seqs []int64
	facts := map[int64]*storedEvent{}
	err = db.snapshot(ctx, "find what to replay", func(snap snapshot) error {
		found, upTo, done, err := snap.candidates(ctx, spec, p, t, n)
		if err != nil {
			return err
		}
		next = part{upTo: upTo, done: done}
		if seqs, err = snap.picks(ctx, spec, found, &next.counts); err != nil {
			return err
		}
		if spec.Target != 0 {
			if seqs, err = snap.withoutTargets(ctx, spec, seqs, &next.counts); err != nil {
				return err
			}
		}
		return snap.eventFacts(ctx, spec.Tenant, seqs, facts)
	})
	if err != nil {
		return next, err
	}

	from, to := spec.Times()
	var kept []*delivery.Item
	for _, seq := range seqs {
		e := facts[seq]
		switch {
		case e != nil && (e.AcceptedAt < from || to > 0 && e.AcceptedAt >= to):
		case e != nil && spec.Events != nil && !e.isOf(spec.Events): // the walk went by the number alone
		case e == nil || !e.Kept:
			next.counts.PastRetention++
		default:
			kept = append(kept, &delivery.Item{ID: delivery.ID{Sub: t.Sub, Seq: seq}})
		}
	}
	if spec.Target != 0 {
		if kept, err = db.wanted(ctx, sub, kept, facts, &next.counts); err != nil {
			return next, err
		}
	}
	for _, it := range kept {
		e := facts[it.Seq]
		next.rows = append(next.rows, replayRow{
			seq: it.Seq, key: event.Key(e.OrderKey), acceptedAt: e.AcceptedAt, size: e.Size, typ: e.Type,
		})
	}
	return next, nil
}

// picks returns the events of the candidates that the job picks, each once.
func (snap snapshot) picks(
	ctx context.Context, spec *search.JobSpec, found []search.DeliveryCursor, counts *search.JobCounts,
) (seqs []int64, err error) {
	if spec.Events != nil {
		for _, c := range found {
			seqs = append(seqs, c.Seq)
		}
		return seqs, nil
	}

	for some := range slices.Chunk(found, 500) {
		ds, err := snap.loadDeliveries(ctx, spec.Tenant, some)
		if err != nil {
			return nil, err
		}
		for i := range ds {
			d := &ds[i]
			if !spec.Deliveries.Matches(d) || spec.Deliveries.OrderKey != "" && d.OrderKey != spec.Deliveries.OrderKey {
				continue
			}
			switch ended := spec.Only.Picks(d.State); {
			case spec.Target == 0 && d.HasPending():
				// A delivery that failed and was retried by hand is pending now.
				if ended || spec.Only == search.OnlyAll || len(d.Runs) > 0 {
					counts.AlreadyPending++
				}
			case ended:
				seqs = append(seqs, d.Seq)
			}
		}
	}
	return unique(seqs), nil
}

// withoutTargets takes out the events of which the target has a delivery that forbids
// another run.
func (snap snapshot) withoutTargets(
	ctx context.Context, spec *search.JobSpec, seqs []int64, counts *search.JobCounts,
) ([]int64, error) {
	has := map[int64]bool{}
	for some := range slices.Chunk(seqs, 500) {
		which := make([]search.DeliveryCursor, len(some))
		for i, seq := range some {
			which[i] = search.DeliveryCursor{Seq: seq, Sub: spec.Target}
		}
		ds, err := snap.loadDeliveries(ctx, spec.Tenant, which)
		if err != nil {
			return nil, err
		}
		for i := range ds {
			d := &ds[i]
			switch {
			case spec.Only == search.OnlyNeverSent:
				// One that a stopped replay has made, but that was not tried, was never sent.
				has[d.Seq] = !(d.ReplayNo > 0 && d.State == delivery.Cancelled && d.Tries == 0)
			case d.HasPending():
				has[d.Seq] = true
				counts.AlreadyPending++
			}
		}
	}
	return slices.DeleteFunc(seqs, func(seq int64) bool { return has[seq] }), nil
}

// storedEvent is what a job has to know of an event.
type storedEvent struct {
	Seq        int64      `db:"seq"`
	Type       event.Type `db:"type"`
	OrderKey   string     `db:"order_key"`
	AcceptedAt int64      `db:"accepted_at"`
	Size       int64      `db:"size"`
	Kept       bool       `db:"kept"` // its body is there
}

// isOf reports whether the filter of a job picks the event by its type and order key.
func (e *storedEvent) isOf(f *search.EventFilter) bool {
	return (f.Types == 0 || f.Types.Has(e.Type)) && (f.OrderKey == "" || f.OrderKey == e.OrderKey)
}

// eventFacts reads what a job has to know of some events.
func (snap snapshot) eventFacts(ctx context.Context, tenant int64, seqs []int64, into map[int64]*storedEvent) error {
	for some := range slices.Chunk(seqs, 500) {
		args := make([]any, 0, len(some)+3)
		for _, seq := range some {
			args = append(args, seq)
		}
		var rows []storedEvent
		if err := sqlx.SelectContext(ctx, snap.Q, &rows, "WITH k(seq) AS (VALUES "+sqldb.BigInts(1, len(some))+`)
			SELECT e.seq, e.type, e.order_key, e.accepted_at, e.size, b.seq IS NOT NULL AS kept
			FROM k CROSS JOIN events e ON e.tenant = ? AND e.seq = k.seq AND e.seq BETWEEN ? AND ?
				LEFT JOIN bodies b ON b.seq = e.seq`,
			append(args, tenant, slices.Min(some), slices.Max(some))...); err != nil {
			return err
		}
		for i := range rows {
			into[rows[i].Seq] = &rows[i]
		}
	}
	return nil
}

// wanted takes out the events that the target of a replay does not want, by its types
// and filter of now.
func (db *DB) wanted(
	ctx context.Context, sub *subscriptions.Subscription, items []*delivery.Item, facts map[int64]*storedEvent,
	counts *search.JobCounts,
) ([]*delivery.Item, error) {
	if sub.Filter != nil {
		for some := range slices.Chunk(items, 250) {
			if err := db.loadEvents(ctx, some); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(items, func(it *delivery.Item) bool {
		switch {
		case !sub.Types.Has(facts[it.Seq].Type):
		case sub.Filter == nil:
			return false
		case it.Event == nil: // its body went just now
			counts.PastRetention++
			return true
		case sub.Wants(it.Event.Type, db.index.Facets(it.Event)):
			return false
		}
		counts.Unwanted++
		return true
	}), nil
}

// CountJob implements api.JobStore. It looks at everything that the job would look at.
func (db *DB) CountJob(ctx context.Context, kind search.JobKind, spec *search.JobSpec) (*search.DryRun, error) {
	p, err := db.plan(ctx, kind, spec)
	if err != nil {
		return nil, err
	}

	until := time.Now().Add(dryRunTime)
	dry := &search.DryRun{Complete: true}
	for _, t := range p.Tracks {
		sub := db.index.Get(t.Sub)
		if sub == nil {
			continue
		}
		keys, err := db.pendingKeys(ctx, kind, sub)
		if err != nil {
			return nil, err
		}

		// Part by part, as the job itself would go, until the time of a dry run is over.
		for !t.Done {
			if time.Now().After(until) {
				dry.Complete = false
				return dry, nil
			}

			next, err := db.partOf(ctx, kind, spec, p, t, sub, dryRunChunk)
			if err != nil {
				return nil, err
			}
			noteDryRun(dry, next, keys)
			t.At = next.upTo
			t.Done = next.done
		}
	}
	return dry, nil
}

// noteDryRun adds a part to a dry run. Of keys, those that the part has are taken out.
func noteDryRun(dry *search.DryRun, next part, keys map[int64]bool) {
	dry.JobCounts.Add(next.counts)
	for _, r := range next.rows {
		dry.Matching++
		dry.Bytes += r.size
		dry.Newest = max(dry.Newest, r.acceptedAt)
		if dry.Oldest == 0 || r.acceptedAt < dry.Oldest {
			dry.Oldest = r.acceptedAt
		}
		if keys[r.key] {
			dry.KeysPending++
			delete(keys, r.key)
		}
	}
}

// pendingKeys returns the order keys of which something live is pending for a
// subscription.
func (db *DB) pendingKeys(
	ctx context.Context, kind search.JobKind, sub *subscriptions.Subscription,
) (map[int64]bool, error) {
	if kind != search.Replays || sub.Ordering != subscriptions.OrderingKey {
		return nil, nil
	}
	var found []int64
	if err := db.read.SelectContext(ctx, &found, `SELECT DISTINCT order_key FROM deliveries INDEXED BY deliveries_pending
		WHERE sub = ? AND state = 0 AND order_key <> 0 LIMIT ?`, sub.No, dryRunKeys); err != nil {
		return nil, fmt.Errorf("find pending order keys: %w", err)
	}
	keys := make(map[int64]bool, len(found))
	for _, key := range found {
		keys[key] = true
	}
	return keys, nil
}
