package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/search"
)

var _ search.Figures = (*DB)(nil)

var (
	sumCounts = each(hourCounts, "sum(h.%)")
	sumTried  = each(triedColumns, "COALESCE(sum(%), 0)")
)

// countsTo returns where to scan the columns of sumCounts that count states.
func countsTo(c *search.Counts) []any {
	return []any{&c.Matched, &c.Delivered, &c.Exhausted, &c.Expired, &c.Cancelled, &c.Superseded}
}

// triedTo returns where to scan the columns of what was tried.
func triedTo(t *search.Tried) []any {
	to := []any{&t.OK, &t.Failed}
	for b := range t.Latencies {
		to = append(to, &t.Latencies[b])
	}
	return to
}

// FindStats implements search.Figures.
func (db *DB) FindStats(ctx context.Context, f search.StatsFilter) ([]search.StatsRow, error) {
	spans, bounds := spansOf(f)
	sums := map[groupKey]*search.StatsRow{}
	if err := db.snapshot(ctx, "find stats", func(snap snapshot) error {
		for _, s := range spans {
			if err := snap.addStats(ctx, sums, f, s, db.countsFrom); err != nil {
				return err
			}
			if len(sums) > f.Limit {
				return search.ErrTooManyRows
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}

	rows := make([]search.StatsRow, 0, len(sums))
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b groupKey) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.group, b.group))
	}) {
		r := sums[k]
		r.From = bounds[k.bucket][0]
		r.To = bounds[k.bucket][1]
		rows = append(rows, *r)
	}
	return rows, nil
}

// groupKey is what one row of stats sums up.
type groupKey struct {
	bucket int64 // hours, or days of local time, since 1970
	group  int64 // number of the subscription, class, or 0
}

// zoneSpan is a range of hours in which local time keeps its distance from UTC, so that
// the day of an hour is a matter of arithmetic.
type zoneSpan struct {
	low, below int64 // hours
	offset     int64 // minutes east of UTC
	unit       int64 // minutes of a bucket: an hour or a day
}

// spansOf returns the spans of the hours that are asked for, and the first hour of each
// bucket with the one behind its last.
func spansOf(f search.StatsFilter) (spans []zoneSpan, bounds map[int64][2]int64) {
	bounds = map[int64][2]int64{}
	for h := f.From; h < f.To; h++ {
		s := zoneSpan{low: h, unit: 60}
		if f.Days != nil {
			_, east := time.UnixMilli(h * hourMS).In(f.Days).Zone()
			s.offset = int64(east / 60)
			s.unit = 24 * 60
		}
		if n := len(spans); n == 0 || spans[n-1].offset != s.offset {
			spans = append(spans, s)
		}
		spans[len(spans)-1].below = h + 1

		bucket := (h*60 + s.offset) / s.unit
		b, known := bounds[bucket]
		if !known {
			b[0] = h
		}
		b[1] = h + 1
		bounds[bucket] = b
	}
	return spans, bounds
}

// mostKinds is how many kinds of counts an hour has at most.
const mostKinds = 256

// addStats adds what happened in a span to the rows. A day in which the clocks change is
// in two spans. Before the hour typesFrom nothing is known of types.
func (snap snapshot) addStats(
	ctx context.Context, sums map[groupKey]*search.StatsRow, f search.StatsFilter, s zoneSpan, typesFrom int64,
) error {
	group, most := "0", f.Limit+1
	switch f.By {
	case search.BySubscription:
		group = "s.no"
	case search.ByClass:
		group = "h.class"
		most *= mostKinds
	case search.ByType:
		group = fmt.Sprintf("CASE WHEN h.hour < %d THEN 0 ELSE h.class END", typesFrom)
		most *= mostKinds
	}
	rows, err := snap.Q.QueryxContext(ctx,
		"SELECT (h.hour * 60 + ?) / ? AS bucket, "+group+" AS grp, max(s.id), "+sumCounts+`
		FROM subscriptions s CROSS JOIN delivery_hours h ON h.sub = s.no AND h.hour >= ? AND h.hour < ?
		WHERE s.tenant = ? GROUP BY bucket, grp LIMIT ?`, s.offset, s.unit, s.low, s.below, f.Tenant, most)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k groupKey
		var r search.StatsRow
		to := append([]any{&k.bucket, &k.group, &r.Subscription}, countsTo(&r.Counts)...)
		if err := rows.Scan(append(to, triedTo(&r.Tried)...)...); err != nil {
			return err
		}

		if f.By != search.BySubscription {
			r.Subscription = ""
		}
		switch kind := countKind(k.group); f.By {
		case search.ByClass:
			r.Class = kind.class()
			k.group = int64(r.Class)
		case search.ByType:
			r.Type = kind.eventType()
			k.group = int64(r.Type)
		}
		if sum := sums[k]; sum != nil {
			sum.Counts.Add(&r.Counts)
			sum.Tried.Add(&r.Tried)
		} else {
			sums[k] = &r
		}
	}
	return rows.Err()
}

// FindHealth implements search.Figures.
func (db *DB) FindHealth(ctx context.Context, sub int64, now time.Time) (*search.Health, error) {
	db.writer.pending.mu.Lock()
	h := &search.Health{Backlog: db.writer.pending.bySub[sub]}
	db.writer.pending.mu.Unlock()
	return h, db.snapshot(ctx, "find health", func(snap snapshot) error { return snap.health(ctx, sub, now, h) })
}

func (snap snapshot) health(ctx context.Context, sub int64, now time.Time, h *search.Health) error {
	err := snap.Q.QueryRowxContext(ctx, `SELECT accepted_at FROM deliveries INDEXED BY deliveries_pending
		WHERE state = 0 AND sub = ? ORDER BY seq, run LIMIT 1`, sub).Scan(&h.OldestPending)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}

	// The last hour is counted by the minute, the day by the hour.
	minute, hour := now.UnixMilli()/minuteMS, now.UnixMilli()/hourMS
	for window, low := range map[*search.Window]int64{&h.FiveMinutes: minute - 5, &h.Hour: minute - 60} {
		window.From = low * minuteMS
		row := snap.Q.QueryRowxContext(ctx,
			"SELECT "+sumTried+" FROM delivery_minutes WHERE sub = ? AND minute >= ?", sub, low)
		if err := row.Scan(triedTo(&window.Tried)...); err != nil {
			return err
		}
	}
	h.Day.From = (hour - 24) * hourMS
	row := snap.Q.QueryRowxContext(ctx,
		"SELECT "+sumTried+" FROM delivery_hours WHERE sub = ? AND hour >= ?", sub, hour-24)
	if err := row.Scan(triedTo(&h.Day.Tried)...); err != nil {
		return err
	}

	h.LastError, err = snap.lastError(ctx, sub)
	return err
}

// lastError returns the last error of a subscription; nil if there was none.
func (snap snapshot) lastError(ctx context.Context, sub int64) (*search.LastError, error) {
	var e search.LastError
	var seq, acceptedAt int64
	row := snap.Q.QueryRowxContext(ctx,
		"SELECT at, seq, accepted_at, status, class, error FROM last_errors WHERE sub = ?", sub)
	err := row.Scan(&e.At, &seq, &acceptedAt, &e.Status, &e.Class, &e.Detail)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e.Delivery = delivery.PublicID(sub, seq, acceptedAt)
	return &e, nil
}
