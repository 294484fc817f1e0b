package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

var _ api.RetryStore = (*DB)(nil)

// RetryDelivery implements api.RetryStore.
func (db *DB) RetryDelivery(ctx context.Context, tenant, sub, seq int64, force bool, by access.Caller) error {
	// Count the run before anybody can see it: too early is harmless, too late is not.
	db.writer.pending.Change(sub, tenant, 1)
	err := db.act(context.WithoutCancel(ctx), by, "retry delivery", func(tx *sqlx.Tx) (*audit.Deed, error) {
		s, err := db.findSubscription(ctx, tx, 0, "s.no = ? AND s.tenant = ?", sub, tenant)
		if err != nil {
			return nil, err
		}
		if s.DeletedAt != nil {
			return nil, &api.Conflict{Reason: "its subscription was deleted"}
		}
		id, err := addRetry(ctx, db.in, tx, s.Subscription, seq, force, by.KeyID, time.Now())
		return &audit.Deed{
			Action: audit.DeliveryRetry, Tenant: tenant, Object: "delivery/" + id, After: map[string]bool{"force": force},
		}, err
	})
	if err != nil {
		db.writer.pending.Change(sub, tenant, -1)
		return err
	}
	db.cfg.Nudge([]Rows{{Sub: sub, From: seq}})
	return nil
}

// storedRun is what a retry has to know of an earlier run.
type storedRun struct {
	Run        int            `db:"run"`
	State      delivery.State `db:"state"`
	Type       event.Type     `db:"type"`
	Key        int64          `db:"order_key"`
	AcceptedAt int64          `db:"accepted_at"`
}

var errPendingAlready = &api.Conflict{Reason: "a run of it is pending already"}

// addRetry adds a pending run to a delivery and returns the delivery's public id.
func addRetry(
	ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, s *subscriptions.Subscription, seq int64,
	force bool, by string, now time.Time,
) (id string, err error) {
	var runs []storedRun
	if err := tx.SelectContext(ctx, &runs, `SELECT run, state, type, order_key, accepted_at FROM deliveries
		WHERE sub = ? AND seq = ? ORDER BY run`, s.No, seq); err != nil {
		return "", fmt.Errorf("find delivery: %w", err)
	}
	if len(runs) == 0 {
		return "", api.ErrNotFound
	}
	for _, r := range runs {
		if r.State == delivery.Pending || r.State == delivery.Replaying {
			return "", errPendingAlready
		}
	}

	// The body must still be there, and must stay until this is committed.
	var body int64
	err = tx.GetContext(ctx, &body, "SELECT seq FROM bodies WHERE seq = ?"+in.KeepRow(), seq)
	if errors.Is(err, sql.ErrNoRows) {
		return "", &api.Conflict{Reason: "the body of its event is past retention"}
	}
	if err != nil {
		return "", fmt.Errorf("find body: %w", err)
	}

	// Events of an order key go out in order, so a retry waits for whoever holds the key.
	first := runs[0]
	id = delivery.PublicID(s.No, seq, first.AcceptedAt)
	if s.Ordering == subscriptions.OrderingKey && first.Key != 0 && !force {
		held, err := holder(ctx, in, tx, s.No, first.Key, now.UnixMilli())
		if err != nil {
			return "", err
		}
		if held != "" {
			return "", &api.Conflict{
				Reason:   "its order key is held by " + held + ", which must end first; force=true sends it at once, marked late",
				WaitsFor: held,
			}
		}
	}

	class := first.Type.Class()
	res, err := tx.ExecContext(ctx, `INSERT INTO deliveries
		(sub, seq, run, order_key, type, version, state, tries, due_at, give_up_at, accepted_at, late, aside_at,
			made_by, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, 0, ?, 'retry') ON CONFLICT (sub, seq, run) DO NOTHING`,
		s.No, seq, runs[len(runs)-1].Run+1, first.Key, int64(first.Type), s.Version, int64(delivery.Pending),
		s.ActiveClock(now)+s.GiveUpAfter[class].Milliseconds(), first.AcceptedAt, force, by)
	if err != nil {
		return "", fmt.Errorf("add run: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return "", fmt.Errorf("add run: %w", err)
	} else if n == 0 { // a replay was quicker
		return "", errPendingAlready
	}

	// A delivery that succeeded stays so, whatever becomes of the new run.
	if first.State == delivery.Delivered {
		return id, nil
	}
	if _, err := tx.ExecContext(ctx,
		"UPDATE deliveries SET state = ?, done_at = NULL WHERE sub = ? AND seq = ? AND run = 0",
		int64(delivery.Reopened), s.No, seq); err != nil {
		return "", fmt.Errorf("reopen delivery: %w", err)
	}
	return id, moveHour(ctx, in, tx, hourOf(s.No, first.AcceptedAt, first.Type), first.State, delivery.Pending, 1)
}

// holder returns the public id of the earliest pending delivery that holds an order
// key; "" if the key is free. Deliveries that stepped aside hold nothing.
func holder(ctx context.Context, in sqldb.Dialect, q sqlx.QueryerContext, sub, key, now int64) (string, error) {
	var by struct {
		Seq        int64 `db:"seq"`
		AcceptedAt int64 `db:"accepted_at"`
	}
	err := sqlx.GetContext(ctx, q, &by, `SELECT seq, accepted_at FROM deliveries INDEXED BY deliveries_pending_key
		WHERE `+subOfKey(in)+` AND order_key = ? AND state = 0 AND order_key <> 0
			AND NOT late AND (aside_at = 0 OR aside_at > ?)
		ORDER BY seq, run LIMIT 1`, sub, key, now)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find holder of order key: %w", err)
	}
	return delivery.PublicID(sub, by.Seq, by.AcceptedAt), nil
}
