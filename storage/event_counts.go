package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
)

// Events are counted by tenant and hour with the statement that counts deliveries: in the
// rows of delivery_hours whose subscription is minus the tenant's number. So accepting costs
// no statement more. These columns count them.
const (
	acceptedEvents  = delivery.Pending   // matched; also those that nobody wanted
	duplicateEvents = delivery.Delivered // sent again with the same id and body
	rejectedEvents  = delivery.Exhausted
	unmatchedEvents = delivery.Expired
)

// countKind is what the column class of delivery_hours says: 100 + the type of the events. In
// rows from before types were counted it is their class.
type countKind int64

const firstTypeKind = 100

// kindOf returns the kind under which deliveries of a type are counted.
func kindOf(t event.Type) countKind { return firstTypeKind + countKind(t) }

// eventType returns the type; 0 if it was not counted.
func (k countKind) eventType() event.Type { return event.Type(max(0, k-firstTypeKind)) }

// class returns the class of the events.
func (k countKind) class() event.Class {
	if t := k.eventType(); t > 0 {
		return t.Class()
	}
	return event.Class(k)
}

// events counts events of a tenant.
func (c *countDeltas) events(tenant, at int64, what delivery.State, n int64) {
	key := stateHour{sub: -tenant, hour: at / hourMS}
	d := c.hours[key]
	if d == nil {
		d = new(hourDelta)
		c.hours[key] = d
	}
	d.states[what] += n
}

// rejections are events that were refused and not yet counted in the database, by tenant.
type rejections struct {
	mu       sync.Mutex
	byTenant map[int64]int64
}

// add counts refused events of tenants.
func (r *rejections) add(byTenant map[int64]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTenant == nil {
		r.byTenant = map[int64]int64{}
	}
	for tenant, n := range byTenant {
		r.byTenant[tenant] += n
	}
}

// take returns what is not counted yet, for somebody who counts it, or gives it back by add.
func (r *rejections) take() map[int64]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	some := r.byTenant
	r.byTenant = nil
	return some
}

// Rejected counts n events of a tenant that were refused. The next transaction that stores
// events writes them to the counts, or RunCounts within a second.
func (db *DB) Rejected(tenant int64, n int) {
	if n > 0 {
		db.rejected.add(map[int64]int64{tenant: int64(n)})
	}
}

// countRejected adds what was refused since the last transaction to the counts of this one.
func (w *worker) countRejected() {
	w.rejected = w.db.rejected.take()
	for tenant, n := range w.rejected {
		w.counts.events(tenant, w.now, rejectedEvents, n)
	}
}

// rejectedEvery is how often refused events are counted when nothing else is stored.
const rejectedEvery = 500 * time.Millisecond

// RunCounts counts the refused events that no transaction has counted, until ctx ends.
func (db *DB) RunCounts(ctx context.Context) error {
	tick := time.NewTicker(rejectedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), upkeepWait)
			defer cancel()
			db.writeRejected(last)
			return nil
		case <-tick.C:
			db.writeRejected(ctx)
		}
	}
}

// writeRejected counts refused events in a transaction of its own.
func (db *DB) writeRejected(ctx context.Context) {
	some := db.rejected.take()
	if len(some) == 0 {
		return
	}
	hour := time.Now().UnixMilli() / hourMS
	err := db.admin(context.WithoutCancel(ctx), "count refused events", func(tx *sqlx.Tx) error {
		for tenant, n := range some {
			more := map[string]int64{stateColumns[rejectedEvents]: n}
			if err := addHour(ctx, db.in, tx, stateHour{sub: -tenant, hour: hour}, more); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.rejected.add(some)
		if ctx.Err() == nil {
			db.log.Warn("refused events are not counted yet", "err", err)
		}
	}
}

// loadCountsFrom keeps what countsFrom reads.
func (db *DB) loadCountsFrom(ctx context.Context) (err error) {
	db.countsFrom, err = countsFrom(ctx, db.read)
	return err
}

// countsFrom reads the first hour of which events, and deliveries by type, are counted.
func countsFrom(ctx context.Context, q sqlx.QueryerContext) (from int64, err error) {
	var text []byte
	err = sqlx.GetContext(ctx, q, &text, "SELECT value FROM meta WHERE name = 'counts_from'")
	switch {
	case errors.Is(err, sql.ErrNoRows): // a store that never knew a time without
		return 0, nil
	case err == nil:
		from, err = strconv.ParseInt(string(text), 10, 64)
	}
	if err != nil {
		return 0, fmt.Errorf("where counts begin: %w", err)
	}
	return from, nil
}

// FindEventStats implements search.Figures.
func (db *DB) FindEventStats(ctx context.Context, f search.StatsFilter) (rows []search.EventStats, from int64, err error) {
	spans, bounds := spansOf(f)
	sums := map[int64]*search.EventStats{}
	err = db.snapshot(ctx, "find stats of events", func(snap snapshot) error {
		for _, s := range spans {
			found, err := snap.Q.QueryxContext(ctx, `SELECT (hour * 60 + ?) / ? AS bucket, CAST(sum(matched) AS BIGINT),
					CAST(sum(delivered) AS BIGINT), CAST(sum(exhausted) AS BIGINT), CAST(sum(expired) AS BIGINT)
				FROM delivery_hours WHERE sub = ? AND hour >= ? AND hour < ? GROUP BY bucket`,
				s.offset, s.unit, -f.Tenant, s.low, s.below)
			if err != nil {
				return err
			}
			if err := addEventStats(found, sums); err != nil {
				return err
			}
		}
		return nil
	})
	for bucket, r := range sums {
		r.From = bounds[bucket][0]
		r.To = bounds[bucket][1]
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b search.EventStats) int { return cmp.Compare(a.From, b.From) })
	return rows, db.countsFrom, err
}

// addEventStats adds the rows of a span by bucket. A day in which the clocks change is in two
// spans.
func addEventStats(found *sqlx.Rows, sums map[int64]*search.EventStats) error {
	defer found.Close()
	for found.Next() {
		var bucket int64
		var r search.EventStats
		if err := found.Scan(&bucket, &r.Accepted, &r.Duplicate, &r.Rejected, &r.Unmatched); err != nil {
			return err
		}
		if sum := sums[bucket]; sum != nil {
			sum.Add(&r)
		} else {
			sums[bucket] = &r
		}
	}
	return found.Err()
}

// errorHour is what a row of error_hours counts.
type errorHour struct {
	sub, hour int64
	error     delivery.ErrorClass
}

func (a errorHour) compare(b errorHour) int {
	return cmp.Or(cmp.Compare(a.sub, b.sub), cmp.Compare(a.hour, b.hour), cmp.Compare(a.error, b.error))
}

// errorKey is what a row of stats by error sums up. Of attempts from before errors were
// counted the class is None.
type errorKey struct {
	bucket int64
	class  delivery.ErrorClass
}

// Questions for failed attempts of a span: by error class, and all together.
const (
	failedByClass = `SELECT (h.hour * 60 + ?) / ?, h.error, CAST(sum(h.attempts) AS BIGINT)
		FROM subscriptions s CROSS JOIN error_hours h ON h.sub = s.no AND h.hour >= ? AND h.hour < ?
		WHERE s.tenant = ? GROUP BY 1, 2`
	failedTogether = `SELECT (h.hour * 60 + ?) / ?, 0, CAST(sum(h.failed) AS BIGINT)
		FROM subscriptions s CROSS JOIN delivery_hours h ON h.sub = s.no AND h.hour >= ? AND h.hour < ?
		WHERE s.tenant = ? GROUP BY 1`
)

// FindErrorStats implements search.Figures.
func (db *DB) FindErrorStats(ctx context.Context, f search.StatsFilter) (rows []search.ErrorStats, err error) {
	spans, bounds := spansOf(f)
	sums := map[errorKey]int64{}
	err = db.snapshot(ctx, "find stats of errors", func(snap snapshot) error {
		for _, s := range spans {
			for _, query := range []string{failedByClass, failedTogether} {
				found, err := snap.Q.QueryxContext(ctx, query, s.offset, s.unit, s.low, s.below, f.Tenant)
				if err != nil {
					return err
				}
				if err := addErrorStats(found, sums); err != nil {
					return err
				}
			}
		}
		return nil
	})

	for k, n := range sums {
		if n != 0 {
			b := bounds[k.bucket]
			rows = append(rows, search.ErrorStats{From: b[0], To: b[1], Class: k.class, Attempts: n})
		}
	}
	slices.SortFunc(rows, func(a, b search.ErrorStats) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Class, b.Class))
	})
	return rows, err
}

// addErrorStats adds rows of failedByClass, or of failedTogether. What the sum of both has and
// the classes have not stays as the row without a class.
func addErrorStats(found *sqlx.Rows, sums map[errorKey]int64) error {
	defer found.Close()
	for found.Next() {
		var k errorKey
		var n int64
		if err := found.Scan(&k.bucket, &k.class, &n); err != nil {
			return err
		}
		sums[k] += n
		if k.class != delivery.None {
			sums[errorKey{bucket: k.bucket}] -= n
		}
	}
	return found.Err()
}

// FindMinuteStats implements search.Figures.
func (db *DB) FindMinuteStats(ctx context.Context, f search.StatsFilter) (rows []search.MinuteStats, err error) {
	group := "''"
	if f.By == search.BySubscription {
		group = "s.id"
	}
	err = db.snapshot(ctx, "find stats by the minute", func(snap snapshot) error {
		found, err := snap.Q.QueryxContext(ctx, "SELECT m.minute, "+group+" AS grp, "+each(triedColumns, "CAST(sum(m.%) AS BIGINT)")+`
			FROM subscriptions s CROSS JOIN delivery_minutes m ON m.sub = s.no AND m.minute >= ? AND m.minute < ?
			WHERE s.tenant = ? GROUP BY m.minute, grp ORDER BY m.minute, grp`, f.From, f.To, f.Tenant)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var r search.MinuteStats
			if err := found.Scan(append([]any{&r.Minute, &r.Subscription}, triedTo(&r.Tried)...)...); err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return found.Err()
	})
	return rows, err
}

// hourOf returns the key of the counts of deliveries of a type to a subscription whose
// events were accepted at a time, or of attempts that began then.
func hourOf(sub, at int64, t event.Type) stateHour { return stateHour{sub, at / hourMS, kindOf(t)} }
