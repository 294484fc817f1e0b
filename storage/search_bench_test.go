package storage

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
)

var benchRows = flag.Int("past-rows", 500_000, "deliveries in the log that BenchmarkLog reads, over 100 subscriptions")

// BenchmarkLog reads pages of a long log of 100 subscriptions, with an attempt
// for each delivery.
func BenchmarkLog(b *testing.B) {
	const subs = 100
	db, ctx := openPast(b), context.Background()
	db.seed(b, func(tx *sqlx.Tx) {
		require.NoError(b, insertTenant(ctx, tx, 1))
		for no := int64(1); no <= subs; no++ {
			require.NoError(b, insertSub(ctx, tx, no, 1, nil))
		}
		// Each event goes to 5 of the 100; 1 in 1,000 deliveries failed for good,
		// 1 in 20,000 is of a rare type.
		events := *benchRows / 5
		_, err := tx.ExecContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id, process, body_hash, size, matched, hops, test)
			SELECT 1, i, 'e-' || i, iif(i % 20000 = 0, 1, 8), 'call/' || (i / 12), ? + i, ? + i, 'http', 'k', 'p', zeroblob(32), 1000, 5, 0, 0 FROM n`,
			events, pastStart, pastStart)
		require.NoError(b, err)
		_, err = tx.ExecContext(ctx, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at, give_up_at, accepted_at,
				first_try_at, done_at, last_status, last_error, late, aside_at)
			SELECT s.no, e.seq, 0, e.seq / 12, e.type, 1, iif((e.seq * 5 + s.no / 20) % 1000 = 0, 2, 1), 1, 0, 0, e.accepted_at, e.accepted_at, e.accepted_at,
				iif((e.seq * 5 + s.no / 20) % 1000 = 0, 503, 200), iif((e.seq * 5 + s.no / 20) % 1000 = 0, 8, 0), 0, 0
			FROM subscriptions s CROSS JOIN events e ON e.tenant = 1 AND s.no % 20 = e.seq % 20`)
		require.NoError(b, err)
		_, err = tx.ExecContext(ctx, `INSERT INTO attempts (sub, seq, run, n, at, dns, connect, tls, first, total, remote_ip, status, class,
				header, signed_at, random_code, key_n, version, late, replay, process, epoch)
			SELECT sub, seq, 0, 1, accepted_at, 0, 0, 0, 900, 1000, '127.0.0.1', last_status, last_error,
				'Content-Length: 2' || char(10) || 'Date: Fri, 20 Nov 2026 05:45:52 GMT' || char(10), accepted_at, '0123456789abcdef', 1, 1, 0, 0, 'p', 0
			FROM deliveries`)
		require.NoError(b, err)
	})
	end := int64(pastStart) + int64(*benchRows)/5
	for _, c := range []struct {
		name string
		f    search.DeliveryFilter
	}{
		{"newest", search.DeliveryFilter{}},
		{"oneSub", search.DeliveryFilter{Sub: 7}},
		{"old", search.DeliveryFilter{To: end - int64(*benchRows)/10}},
		{"orderKey", search.DeliveryFilter{OrderKey: "call/1000"}},
		{"exhausted", search.DeliveryFilter{State: new(delivery.Exhausted)}},
		{"pending", search.DeliveryFilter{State: new(delivery.Pending)}},
		{"status503", search.DeliveryFilter{HTTP: 503}},
		{"neverSeenStatus", search.DeliveryFilter{HTTP: 418}},
		{"neverSeen2xx", search.DeliveryFilter{HTTP: 204}},
		{"rareType", search.DeliveryFilter{Types: event.Of(event.CDRCall)}},
		{"rareTypeOneSub", search.DeliveryFilter{Types: event.Of(event.CDRCall), Sub: 7}},
		{"rareTypeFailed", search.DeliveryFilter{Types: event.Of(event.CDRCall), Error: delivery.Timeout}},
	} {
		b.Run("deliveries/"+c.name, func(b *testing.B) {
			c.f.Tenant, c.f.Limit = 1, 50
			benchPages(b, func() error {
				_, _, err := db.FindDeliveries(ctx, c.f)
				return err
			})
		})
	}
	b.Run("attempts", func(b *testing.B) {
		seq := int64(0)
		benchPages(b, func() error {
			seq = (seq+999_983)%(int64(*benchRows)/5) + 1 // here and there
			found, err := db.FindAttempts(ctx, 1, seq%20+20, seq, search.AttemptPlace{}, 50)
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("%d attempts of event %d", len(found), seq)
			}
			return err
		})
	})
	for _, c := range []struct {
		name string
		f    search.EventFilter
	}{
		{"newest", search.EventFilter{}},
		{"old", search.EventFilter{To: end - int64(*benchRows)/10}},
		{"orderKey", search.EventFilter{OrderKey: "call/1000"}},
		{"rareType", search.EventFilter{Types: event.Of(event.CDRCall)}},
		{"unmatched", search.EventFilter{Matched: new(false)}},
	} {
		b.Run("events/"+c.name, func(b *testing.B) {
			c.f.Tenant, c.f.Limit = 1, 50
			benchPages(b, func() error {
				_, _, err := db.FindEvents(ctx, c.f)
				return err
			})
		})
	}
}

func benchPages(b *testing.B, page func() error) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		require.NoError(b, page())
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
