package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// ErrMiscount is returned by CheckCounts when the counts differ from the rows.
var ErrMiscount = errors.New("counts differ from what they count")

// CheckCounts recounts all deliveries and attempts of the store in a folder, or at the URL
// of a database, and compares them with delivery_hours, which health and stats read. It reads
// one state of the database, which another process may be using. The error wraps ErrMiscount
// and names the first ten hours that differ; what retention has deleted counts as a
// difference too.
func CheckCounts(ctx context.Context, dir string) error {
	db, err := openReader(dir)
	if err != nil {
		return fmt.Errorf("check counts: %w", err)
	}
	defer db.Close()
	tx, err := db.BeginTxx(ctx, sqldb.DialectOf(dir).SnapshotOptions())
	if err != nil {
		return fmt.Errorf("check counts: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written

	counted, recounted, err := bothCounts(ctx, tx)
	if err != nil {
		return fmt.Errorf("check counts: %w", err)
	}
	wrong, err := wrongEventCounts(ctx, tx)
	if err != nil {
		return fmt.Errorf("check counts: %w", err)
	}
	for k, r := range recounted {
		if c := counted[k]; c == nil || *c != *r {
			wrong = append(wrong, fmt.Sprintf("subscription %d, hour %d, kind %d: counted %v, there are %v",
				k.sub, k.hour, k.kind, c, *r))
		}
		delete(counted, k)
	}
	for k, c := range counted {
		if *c != (hourCount{}) {
			wrong = append(wrong, fmt.Sprintf("subscription %d, hour %d, kind %d: counted %v, there are none",
				k.sub, k.hour, k.kind, *c))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w in %d hours:\n%s", ErrMiscount, len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
	return nil
}

// hourCount is what is counted of one stateHour.
type hourCount struct {
	search.Counts
	pending int64
	search.Tried
}

// bothCounts returns the counts of delivery_hours, and those that the rows add up to.
func bothCounts(ctx context.Context, tx *sqlx.Tx) (counted, recounted map[stateHour]*hourCount, err error) {
	counted = map[stateHour]*hourCount{}
	recounted = map[stateHour]*hourCount{}
	from, err := countsFrom(ctx, tx)
	if err != nil {
		return nil, nil, err
	}

	// On PostgreSQL an hour has several rows.
	if err := eachRow(ctx, tx, "SELECT "+hourColumns+" FROM delivery_hours WHERE sub > 0", func(rows *sqlx.Rows) error {
		var k stateHour
		c := new(hourCount)
		to := slices.Concat([]any{&k.sub, &k.hour, &k.kind}, countsTo(&c.Counts), triedTo(&c.Tried))
		if err := rows.Scan(to...); err != nil {
			return err
		}
		if k.hour < from { // rows by class and by type add up to the class
			k.kind = countKind(k.kind.class())
		}
		if before := counted[k]; before != nil {
			c.Counts.Add(&before.Counts)
			c.Tried.Add(&before.Tried)
		}
		c.pending = c.Pending()
		counted[k] = c
		return nil
	}); err != nil {
		return nil, nil, err
	}

	of := func(sub, at int64, typ event.Type) *hourCount {
		k := hourOf(sub, at, typ)
		if k.hour < from {
			k.kind = countKind(typ.Class())
		}
		c := recounted[k]
		if c == nil {
			c = new(hourCount)
			recounted[k] = c
		}
		return c
	}

	if err := eachRow(ctx, tx, "SELECT sub, accepted_at, type, state FROM deliveries WHERE run = 0",
		func(rows *sqlx.Rows) error {
			var sub, at int64
			var typ event.Type
			var state delivery.State
			if err := rows.Scan(&sub, &at, &typ, &state); err != nil {
				return err
			}
			c := of(sub, at, typ)
			c.Matched++
			*map[delivery.State]*int64{
				delivery.Pending: &c.pending, delivery.Reopened: &c.pending, delivery.Replaying: &c.pending,
				delivery.Delivered: &c.Delivered, delivery.Exhausted: &c.Exhausted, delivery.Expired: &c.Expired,
				delivery.Cancelled: &c.Cancelled, delivery.Superseded: &c.Superseded,
			}[state]++
			return nil
		}); err != nil {
		return nil, nil, err
	}

	return counted, recounted, eachRow(ctx, tx, `SELECT a.sub, a.at, d.type, a.class, a.total FROM attempts a
		CROSS JOIN deliveries d ON d.sub = a.sub AND d.seq = a.seq AND d.run = 0`, func(rows *sqlx.Rows) error {
		var sub, at, micros int64
		var typ event.Type
		var class delivery.ErrorClass
		if err := rows.Scan(&sub, &at, &typ, &class, &micros); err != nil {
			return err
		}
		of(sub, at, typ).Note(class == delivery.None, time.Duration(micros)*time.Microsecond)
		return nil
	})
}

// eachRow calls scan for every row of a query.
func eachRow(ctx context.Context, tx *sqlx.Tx, query string, scan func(*sqlx.Rows) error) error {
	rows, err := tx.QueryxContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// numberedHour is what is counted of a tenant's events in an hour, or of one error class of a
// subscription.
type numberedHour struct {
	of, hour, what int64
}

// wrongEventCounts recounts the events of each tenant, and the failed attempts by their
// error, and says which counts differ. Of hours before both were counted it says nothing.
func wrongEventCounts(ctx context.Context, tx *sqlx.Tx) (wrong []string, err error) {
	from, err := countsFrom(ctx, tx)
	if err != nil {
		return nil, err
	}

	// Of each: what is counted, and what is there.
	for what, queries := range map[string][2]string{
		"accepted events of tenant": {
			"SELECT -sub, hour, 0, matched FROM delivery_hours WHERE sub < 0",
			"SELECT tenant, accepted_at / 3600000, 0, 1 FROM events",
		},
		"unmatched events of tenant": {
			"SELECT -sub, hour, 0, expired FROM delivery_hours WHERE sub < 0",
			"SELECT tenant, accepted_at / 3600000, 0, 1 FROM events WHERE matched = 0",
		},
		"errors of subscription": {
			"SELECT sub, hour, error, attempts FROM error_hours",
			"SELECT sub, at / 3600000, class, 1 FROM attempts WHERE class <> 0",
		},
	} {
		// The two cancel each other out where the counts are right.
		left := map[numberedHour]int64{}
		for sign, query := range map[int64]string{1: queries[0], -1: queries[1]} {
			if err := eachRow(ctx, tx, query, func(rows *sqlx.Rows) error {
				var k numberedHour
				var n int64
				if err := rows.Scan(&k.of, &k.hour, &k.what, &n); err != nil {
					return err
				}
				left[k] += sign * n
				return nil
			}); err != nil {
				return nil, err
			}
		}

		for k, n := range left {
			if n != 0 && k.hour >= from {
				wrong = append(wrong, fmt.Sprintf("%s %d, hour %d, %d: %+d", what, k.of, k.hour, k.what, n))
			}
		}
	}
	return wrong, nil
}
