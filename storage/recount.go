package storage

import (
	"context"
	"errors"
	"fmt"
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

// CheckCounts recounts all deliveries and attempts of the store in a folder, or
// of a database's URL, and compares them with delivery_hours, from which health and stats are answered.
// It reads one state of the database, which another process may be using. The
// error wraps ErrMiscount and names the first ten hours that differ; what
// retention has removed counts as a difference too.
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
	var wrong []string
	for k, r := range recounted {
		if c := counted[k]; c == nil || *c != *r {
			wrong = append(wrong, fmt.Sprintf("subscription %d, hour %d, class %s: counted %v, there are %v", k.sub, k.hour, k.class, c, *r))
		}
		delete(counted, k)
	}
	for k, c := range counted {
		if *c != (hourCount{}) {
			wrong = append(wrong, fmt.Sprintf("subscription %d, hour %d, class %s: counted %v, there are none", k.sub, k.hour, k.class, *c))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w in %d hours:\n%s", ErrMiscount, len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
	return nil
}

type hourCount struct {
	search.Counts
	pending int64
	search.Tried
}

// bothCounts are those of delivery_hours, and those that the rows give.
func bothCounts(ctx context.Context, tx *sqlx.Tx) (counted, recounted map[stateHour]*hourCount, err error) {
	counted, recounted = map[stateHour]*hourCount{}, map[stateHour]*hourCount{}
	if err := eachRow(ctx, tx, "SELECT "+hourColumns+" FROM delivery_hours", func(rows *sqlx.Rows) error {
		var k stateHour
		c := new(hourCount)
		if err := rows.Scan(append(append([]any{&k.sub, &k.hour, &k.class}, countsTo(&c.Counts)...), triedTo(&c.Tried)...)...); err != nil {
			return err
		}
		if whole := counted[k]; whole != nil { // other parts of it came before
			c.Counts.Add(&whole.Counts)
			c.Tried.Add(&whole.Tried)
		}
		c.pending = c.Pending()
		counted[k] = c
		return nil
	}); err != nil {
		return nil, nil, err
	}
	of := func(sub, at int64, typ event.Type) *hourCount {
		k := stateHour{sub, at / hourMS, typ.Class()}
		c := recounted[k]
		if c == nil {
			c = new(hourCount)
			recounted[k] = c
		}
		return c
	}
	if err := eachRow(ctx, tx, "SELECT sub, accepted_at, type, state FROM deliveries WHERE run = 0", func(rows *sqlx.Rows) error {
		var sub, at int64
		var typ event.Type
		var state delivery.State
		if err := rows.Scan(&sub, &at, &typ, &state); err != nil {
			return err
		}
		c := of(sub, at, typ)
		c.Matched++
		*map[delivery.State]*int64{
			delivery.Pending: &c.pending, delivery.Reopened: &c.pending, delivery.Delivered: &c.Delivered, delivery.Exhausted: &c.Exhausted,
			delivery.Expired: &c.Expired, delivery.Cancelled: &c.Cancelled, delivery.Superseded: &c.Superseded,
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
