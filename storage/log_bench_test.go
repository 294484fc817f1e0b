package storage

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

var benchRows = flag.Int("past-rows", 500_000, "deliveries in the log that BenchmarkLog reads, over 100 subscriptions")

// BenchmarkLog reads pages of a log of 30 days and 100 subscriptions, with an
// attempt for each delivery.
func BenchmarkLog(b *testing.B) {
	b.Run("sqlite", benchLog)
	b.Run(postgresTest, benchLog)
}

func benchLog(b *testing.B) {
	const subs, days = 100, 30
	db, ctx := openPast(b), context.Background()
	for day := range int64(days) {
		if db.in == sqldb.Postgres {
			for _, table := range dayTables {
				require.NoError(b, db.makePartition(ctx, table, pastStart/dayMS+day))
			}
			require.NoError(b, db.noteDays(ctx))
		}
	}
	step := days * dayMS / int64(*benchRows/5+1)
	db.seed(b, func(tx *sqlx.Tx) {
		require.NoError(b, storetest.InsertTenant(ctx, tx, 1))
		for no := int64(1); no <= subs; no++ {
			require.NoError(b, insertSub(ctx, tx, no, 1, nil))
		}
		// Each event goes to 5 of the 100; 1 in 1,000 deliveries failed for good,
		// 1 in 20,000 is of a rare type.
		events := *benchRows / 5
		const first = pastStart / dayMS * dayMS
		_, err := tx.ExecContext(ctx, `WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id, process, body_hash, size, matched, hops, test)
			SELECT 1, (? + i * ?) / 86400000 * 4294967296 + i, 'e-' || i, CASE WHEN i % 20000 = 0 THEN 1 ELSE 8 END, 'call/' || (i / 12),
				? + i * ?, ? + i * ?, 'http', 'k', 'p', ?, 1000, 5, 0, false FROM n`,
			events, first, step, first, step, first, step, make([]byte, 32))
		require.NoError(b, err)
		_, err = tx.ExecContext(ctx, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at, give_up_at, accepted_at,
				first_try_at, done_at, last_status, last_error, late, aside_at)
			SELECT s.no, e.seq, 0, e.seq / 12, e.type, 1, CASE WHEN (e.seq * 5 + s.no / 20) % 1000 = 0 THEN 2 ELSE 1 END, 1, 0, 0,
				e.accepted_at, e.accepted_at, e.accepted_at, CASE WHEN (e.seq * 5 + s.no / 20) % 1000 = 0 THEN 503 ELSE 200 END,
				CASE WHEN (e.seq * 5 + s.no / 20) % 1000 = 0 THEN 8 ELSE 0 END, false, 0
			FROM subscriptions s CROSS JOIN events e ON e.tenant = 1 AND s.no % 20 = e.seq % 20`)
		require.NoError(b, err)
		_, err = tx.ExecContext(ctx, `INSERT INTO attempts (sub, seq, run, n, at, dns, connect, tls, first, total, remote_ip, status, class,
				header, signed_at, random_code, key_n, version, late, replay, process, epoch)
			SELECT sub, seq, 0, 1, accepted_at, 0, 0, 0, 900, 1000, '127.0.0.1', last_status, last_error,
				?, accepted_at, '0123456789abcdef', 1, 1, false, false, 'p', 0
			FROM deliveries`, "Content-Length: 2\nDate: Fri, 20 Nov 2026 05:45:52 GMT\n")
		require.NoError(b, err)
	})
	db.exec(b, "ANALYZE")
	if db.in == sqldb.Postgres {
		db.exec(b, "SELECT setval('event_seq', ?)", (pastStart/dayMS+days)<<dayBits) // that day is today
	}
	end := int64(pastStart/dayMS*dayMS) + days*dayMS
	for _, c := range []struct {
		name string
		f    search.DeliveryFilter
	}{
		{"newest", search.DeliveryFilter{}},
		{"oneSub", search.DeliveryFilter{Subs: []int64{7}}},
		{"old", search.DeliveryFilter{To: end - days*dayMS/2}},
		{"orderKey", search.DeliveryFilter{OrderKey: "call/1000"}},
		{"exhausted", search.DeliveryFilter{States: search.States(delivery.Exhausted)}},
		{"pending", search.DeliveryFilter{States: search.States(delivery.Pending)}},
		{"status503", search.DeliveryFilter{HTTP: []search.StatusRange{{From: 503, To: 503}}}},
		{"neverSeenStatus", search.DeliveryFilter{HTTP: []search.StatusRange{{From: 418, To: 418}}}},
		{"neverSeen2xx", search.DeliveryFilter{HTTP: []search.StatusRange{{From: 204, To: 204}}}},
		{"rareType", search.DeliveryFilter{Types: event.Of(event.CDRCall)}},
		{"rareTypeOneSub", search.DeliveryFilter{Types: event.Of(event.CDRCall), Subs: []int64{7}}},
		{"rareTypeFailed", search.DeliveryFilter{Types: event.Of(event.CDRCall), Errors: search.Errors(delivery.Timeout)}},
	} {
		b.Run("deliveries/"+c.name, func(b *testing.B) {
			c.f.Tenant, c.f.Limit = 1, 50
			storetest.Pages(b, func() error {
				_, _, err := db.FindDeliveries(ctx, c.f)
				return err
			})
		})
	}
	b.Run("attempts", func(b *testing.B) {
		var places []struct{ Sub, Seq int64 } // here and there
		require.NoError(b, db.read.Select(&places, "SELECT sub, seq FROM deliveries WHERE seq % 997 = 0 LIMIT 1000"))
		n := 0
		storetest.Pages(b, func() error {
			p := places[n%len(places)]
			n++
			found, err := db.FindAttempts(ctx, 1, p.Sub, p.Seq, search.AttemptPlace{}, 50)
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("%d attempts of event %d", len(found), p.Seq)
			}
			return err
		})
	})
	for _, c := range []struct {
		name string
		f    search.EventFilter
	}{
		{"newest", search.EventFilter{}},
		{"old", search.EventFilter{To: end - days*dayMS/2}},
		{"orderKey", search.EventFilter{OrderKey: "call/1000"}},
		{"rareType", search.EventFilter{Types: event.Of(event.CDRCall)}},
		{"unmatched", search.EventFilter{Matched: new(false)}},
	} {
		b.Run("events/"+c.name, func(b *testing.B) {
			c.f.Tenant, c.f.Limit = 1, 50
			storetest.Pages(b, func() error {
				_, _, err := db.FindEvents(ctx, c.f)
				return err
			})
		})
	}
}
