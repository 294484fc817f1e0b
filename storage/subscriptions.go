package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

var _ api.SubscriptionStore = (*DB)(nil)

// subscriptionRow is a subscription at one of its versions.
type subscriptionRow struct {
	No         int64         `db:"no"`
	ID         string        `db:"id"`
	Tenant     int64         `db:"tenant"`
	CompanyID  string        `db:"company_id"`
	Version    int64         `db:"version"`
	PausedAt   sql.NullInt64 `db:"paused_at"`
	PausedFor  int64         `db:"paused_for"`
	CreatedAt  int64         `db:"created_at"`
	DeletedAt  sql.NullInt64 `db:"deleted_at"`
	UpdatedAt  int64         `db:"updated_at"`
	Fields     []byte        `db:"fields"`
	HoldUntil  int64         `db:"hold_until"`
	HoldReason string        `db:"hold_reason"`
	Breaker    []byte        `db:"breaker"`
	Releases   int64         `db:"releases"`
	standstillRow
}

// standstillRow is a subscriptions.Standstill in the subscription's row.
type standstillRow struct {
	Past  int64 `db:"still_past"` // ms
	From  int64 `db:"still_from"` // Unix ms; 0: zero
	Until int64 `db:"still_until"`
	Mark  int64 `db:"still_mark"`
}

const standstillColumns = "still_past, still_from, still_until, still_mark"

// standstill returns the standstill that a row holds.
func (r *standstillRow) standstill() subscriptions.Standstill {
	s := subscriptions.Standstill{Past: time.Duration(r.Past) * time.Millisecond, Mark: r.Mark}
	if r.From > 0 {
		s.From = time.UnixMilli(r.From)
		s.Until = time.UnixMilli(r.Until)
	}
	return s
}

// subscriptionColumns and subscriptionTables select subscriptions at their current versions.
const (
	subscriptionColumns = `s.no, s.id, s.tenant, t.company_id, v.version, s.paused_at, s.paused_for,
		s.created_at, s.deleted_at, v.at AS updated_at, v.fields, s.hold_until, s.hold_reason, s.breaker,
		s.releases, ` + standstillColumns
	subscriptionTables = ` FROM subscriptions s CROSS JOIN subscription_versions v ON v.version = s.version
		CROSS JOIN tenants t ON t.no = s.tenant `
)

// subscriptionKeyRow is a key of a subscription.
type subscriptionKeyRow struct {
	Sub        int64         `db:"sub"`
	N          int           `db:"n"`
	AppKey     []byte        `db:"app_key"`
	Encryption []byte        `db:"encryption"`
	From       int64         `db:"from_at"`
	Until      sql.NullInt64 `db:"until_at"`
}

// The purposes of sealed values: none opens in the place of another.
func headersPurpose(id string) string           { return "headers/" + id }
func appKeyPurpose(id string, n int) string     { return "appKey/" + id + "/" + strconv.Itoa(n) }
func encryptionPurpose(id string, n int) string { return "encryption/" + id + "/" + strconv.Itoa(n) }

// subscription returns the subscription that a row holds, without its keys.
func (db *DB) subscription(r *subscriptionRow) (*subscriptions.Subscription, error) {
	s := &subscriptions.Subscription{
		No: r.No, ID: r.ID, Tenant: r.Tenant, CompanyID: r.CompanyID, Version: r.Version,
		PausedFor: time.Duration(r.PausedFor) * time.Millisecond, Releases: r.Releases, Standstill: r.standstill(),
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), UpdatedAt: time.UnixMilli(r.UpdatedAt).UTC(),
		DeletedAt: timeOrNil(r.DeletedAt),
	}
	if r.PausedAt.Valid {
		s.PausedAt = time.UnixMilli(r.PausedAt.Int64).UTC()
	}
	open := func(sealed []byte) ([]byte, error) { return db.box.Open(headersPurpose(s.ID), sealed) }
	if err := s.SetFields(r.Fields, open); err != nil {
		return nil, fmt.Errorf("version %d: %w", s.Version, err)
	}
	return s, nil
}

// key returns the key that a row holds, opened.
func (db *DB) key(id string, r *subscriptionKeyRow) (subscriptions.Key, error) {
	k := subscriptions.Key{N: r.N, From: time.UnixMilli(r.From).UTC(), Until: timeOrNil(r.Until)}
	app, err := db.box.Open(appKeyPurpose(id, r.N), r.AppKey)
	if err != nil {
		return k, fmt.Errorf("appKey %d of subscription %s: %w", r.N, id, err)
	}
	k.AppKey = string(app)
	if k.Encryption, err = db.box.Open(encryptionPurpose(id, r.N), r.Encryption); err != nil {
		return k, fmt.Errorf("encryption key %d of subscription %s: %w", r.N, id, err)
	}
	return k, nil
}

// LoadSubscriptions fills the matching index. Keys that are no longer valid are left out.
func (db *DB) LoadSubscriptions(ctx context.Context) error {
	return db.snapshot(ctx, "load subscriptions", func(snap snapshot) error {
		var head heads
		if err := sqlx.GetContext(ctx, snap.Q, &head, readHeads); err != nil {
			return err
		}

		// Read all keys before the subscriptions, because a connection answers one query at a
		// time.
		var keys []subscriptionKeyRow
		if err := sqlx.SelectContext(ctx, snap.Q, &keys, `SELECT sub, n, app_key, encryption, from_at, until_at
			FROM subscription_keys WHERE until_at IS NULL OR until_at > ? ORDER BY sub, n`, time.Now().UnixMilli()); err != nil {
			return err
		}

		subs, err := snap.Q.QueryxContext(ctx,
			"SELECT "+subscriptionColumns+subscriptionTables+"WHERE s.deleted_at IS NULL ORDER BY s.no")
		if err != nil {
			return err
		}
		defer subs.Close()
		for subs.Next() {
			var r subscriptionRow
			if err := subs.StructScan(&r); err != nil {
				return err
			}
			s, err := db.subscription(&r)
			if err != nil {
				return err
			}
			for ; len(keys) > 0 && keys[0].Sub <= s.No; keys = keys[1:] {
				if keys[0].Sub < s.No { // its subscription was deleted
					continue
				}
				key, err := db.key(s.ID, &keys[0])
				if err != nil {
					return err
				}
				s.Keys = append(s.Keys, key)
			}
			db.index.Put(s)
		}
		if err := subs.Err(); err != nil {
			return err
		}
		db.indexed.set(head)
		return nil
	})
}

// findSubscription reads a subscription with all its keys, even if it was deleted. where says
// which, by the columns of s. version 0 means the current one.
func (db *DB) findSubscription(
	ctx context.Context, q sqlx.QueryerContext, version int64, where string, args ...any,
) (*api.Subscription, error) {
	tables := subscriptionTables
	if version != 0 {
		tables = ` FROM subscriptions s CROSS JOIN subscription_versions v ON v.sub = s.no
			CROSS JOIN tenants t ON t.no = s.tenant `
		where += " AND v.version = ?"
		args = append(args, version)
	}
	var r subscriptionRow
	err := sqlx.GetContext(ctx, q, &r, "SELECT "+subscriptionColumns+tables+"WHERE "+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, api.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find subscription: %w", err)
	}
	return db.withKeys(ctx, q, &r)
}

// withKeys returns the subscription that a row holds, with all its keys and its hold.
func (db *DB) withKeys(ctx context.Context, q sqlx.QueryerContext, r *subscriptionRow) (*api.Subscription, error) {
	s, err := db.subscription(r)
	if err != nil {
		return nil, err
	}

	var keys []subscriptionKeyRow
	if err := sqlx.SelectContext(ctx, q, &keys, `SELECT sub, n, app_key, encryption, from_at, until_at
		FROM subscription_keys WHERE sub = ? ORDER BY n`, s.No); err != nil {
		return nil, fmt.Errorf("keys of subscription %s: %w", s.ID, err)
	}
	for i := range keys {
		k, err := db.key(s.ID, &keys[i])
		if err != nil {
			return nil, err
		}
		s.Keys = append(s.Keys, k)
	}

	hold, err := r.hold()
	if err != nil {
		return nil, err
	}
	return &api.Subscription{Subscription: s, Hold: hold}, nil
}

// hold returns why and until when the subscription is held.
func (r *subscriptionRow) hold() (delivery.Hold, error) {
	h := delivery.Hold{Until: r.HoldUntil, Reason: r.HoldReason}
	if err := json.Unmarshal(r.Breaker, &h.Breaker); err != nil {
		return h, fmt.Errorf("breaker of subscription %s: %w", r.ID, err)
	}
	return h, nil
}

// FindSubscription implements api.SubscriptionStore.
func (db *DB) FindSubscription(ctx context.Context, tenant int64, id string) (*api.Subscription, error) {
	return db.findSubscription(ctx, db.read, 0, "s.id = ? AND s.tenant = ?", id, tenant)
}

// FindVersion implements api.SubscriptionStore.
func (db *DB) FindVersion(ctx context.Context, tenant, sub, version int64) (*subscriptions.Subscription, error) {
	s, err := db.findSubscription(ctx, db.read, version, "s.no = ? AND s.tenant = ?", sub, tenant)
	if err != nil {
		return nil, err
	}
	return s.Subscription, nil
}

// FindSubscriptions implements api.SubscriptionStore.
func (db *DB) FindSubscriptions(ctx context.Context, tenant, before int64, limit int) ([]api.Subscription, error) {
	where, args := "s.tenant = ? AND s.deleted_at IS NULL", []any{tenant}
	if before > 0 {
		where += " AND s.no < ?"
		args = append(args, before)
	}
	return db.subscriptionList(ctx, where+" ORDER BY s.no DESC LIMIT ?", append(args, limit)...)
}

// subscriptionList reads subscriptions with all their keys.
func (db *DB) subscriptionList(ctx context.Context, where string, args ...any) ([]api.Subscription, error) {
	var list []api.Subscription
	err := db.snapshot(ctx, "find subscriptions", func(snap snapshot) error {
		var rows []subscriptionRow
		if err := sqlx.SelectContext(ctx, snap.Q, &rows,
			"SELECT "+subscriptionColumns+subscriptionTables+"WHERE "+where, args...); err != nil {
			return err
		}
		for i := range rows {
			s, err := db.withKeys(ctx, snap.Q, &rows[i])
			if err != nil {
				return err
			}
			list = append(list, *s)
		}
		return nil
	})
	return list, err
}

// FindVersions implements api.SubscriptionStore.
func (db *DB) FindVersions(
	ctx context.Context, tenant int64, id string, before int64, limit int,
) ([]api.Version, error) {
	where, args := "s.id = ? AND s.tenant = ?", []any{id, tenant}
	if before > 0 {
		where += " AND v.version < ?"
		args = append(args, before)
	}
	var rows []struct {
		subscriptionRow
		ChangedBy string `db:"changed_by"`
	}
	if err := db.read.SelectContext(ctx, &rows, "SELECT "+subscriptionColumns+`, v.changed_by FROM subscriptions s
		CROSS JOIN subscription_versions v ON v.sub = s.no CROSS JOIN tenants t ON t.no = s.tenant
		WHERE `+where+" ORDER BY v.version DESC LIMIT ?", append(args, limit)...); err != nil {
		return nil, fmt.Errorf("versions of subscription %s: %w", id, err)
	}

	versions := make([]api.Version, len(rows))
	for i := range rows {
		s, err := db.subscription(&rows[i].subscriptionRow)
		if err != nil {
			return nil, err
		}
		versions[i] = api.Version{Subscription: s, ChangedBy: rows[i].ChangedBy}
	}
	return versions, nil
}

// VersionsAt implements api.SubscriptionStore.
func (db *DB) VersionsAt(ctx context.Context, tenant, at int64) ([]*subscriptions.Subscription, error) {
	return db.versionsAt(ctx, at, "s.tenant = ? AND (s.deleted_at IS NULL OR s.deleted_at > ?) ORDER BY s.no", tenant, at)
}

// versionsAt returns the subscriptions of a condition, as they were at a time. One that was
// made later has its first version.
func (db *DB) versionsAt(
	ctx context.Context, at int64, where string, args ...any,
) ([]*subscriptions.Subscription, error) {
	var rows []subscriptionRow
	err := db.read.SelectContext(ctx, &rows, "SELECT "+subscriptionColumns+` FROM subscriptions s
		CROSS JOIN subscription_versions v ON v.version = COALESCE(
			(SELECT max(version) FROM subscription_versions WHERE sub = s.no AND at <= ?),
			(SELECT min(version) FROM subscription_versions WHERE sub = s.no))
		CROSS JOIN tenants t ON t.no = s.tenant
		WHERE `+where, append([]any{at}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("subscriptions at %d: %w", at, err)
	}

	subs := make([]*subscriptions.Subscription, len(rows))
	for i := range rows {
		s, err := db.subscription(&rows[i])
		if err != nil {
			return nil, err
		}
		subs[i] = s
	}
	return subs, nil
}

// edit is a subscription before and after a change. before is nil if it is new.
type edit struct{ before, after *subscriptions.Subscription }

// change commits a change of a subscription, with its row in the audit log, and then
// puts it into the index, in the order of the commits. It is finished even if ctx ends,
// because what is in the store must be in the index. fn returns the change; nil means
// that it changed nothing.
func (db *DB) change(ctx context.Context, by access.Caller, what string, fn func(tx *sqlx.Tx) (*edit, error)) error {
	ctx = context.WithoutCancel(ctx)
	var made *edit
	return db.act(ctx, by, what, func(tx *sqlx.Tx) (*audit.Deed, error) {
		made = nil // this may be another try

		// No process matches an event from here to the commit.
		if err := db.in.Wait(ctx, tx, sqldb.TurnMatching); err != nil {
			return nil, err
		}
		if err := db.catchUp(ctx, tx); err != nil {
			return nil, err
		}

		var err error
		made, err = fn(tx)
		if err != nil || made == nil {
			return nil, err
		}
		return made.deed(), nil
	}, func() {
		if made == nil {
			return
		}
		db.index.Put(made.after)
		db.indexed.set(heads{Version: made.after.Version})
		if db.cfg.Changed != nil {
			db.cfg.Changed(made.before, made.after)
		}
	})
}

// deed returns what was done to a subscription, for the audit log.
func (c *edit) deed() *audit.Deed {
	before, after := c.before, c.after
	d := &audit.Deed{
		Action: audit.SubscriptionUpdate, Tenant: after.Tenant, Object: "subscription/" + after.ID, After: auditView(after),
	}
	if before == nil {
		d.Action = audit.SubscriptionCreate
		return d
	}

	d.Before = auditView(before)
	switch {
	case after.DeletedAt != nil:
		d.Action = audit.SubscriptionDelete
		d.After = nil
	case !slices.EqualFunc(before.Keys, after.Keys, sameKey):
		d.Action = audit.SubscriptionRotate
	case after.Paused() && !before.Paused():
		d.Action = audit.SubscriptionPause
	case before.Paused() && !after.Paused(), after.Releases > before.Releases && after.URL == before.URL:
		d.Action = audit.SubscriptionResume
	}
	return d
}

func sameKey(a, b subscriptions.Key) bool {
	return a.N == b.N && (a.Until == nil) == (b.Until == nil) && (a.Until == nil || a.Until.Equal(*b.Until))
}

// auditView returns a subscription as the log shows it, also to auditors: without
// secrets, without the query of its URL, which may hold one, and with the numbers of its
// keys instead of the keys.
func auditView(s *subscriptions.Subscription) any {
	v := struct {
		subscriptions.View
		Keys []int `json:"keys"`
	}{s.View(), make([]int, len(s.Keys))}
	v.URL = search.HideQuery(v.URL)
	for i, k := range s.Keys {
		v.Keys[i] = k.N
	}
	return v
}

// nudgeLane makes the owner of a subscription look at what has changed.
func (db *DB) nudgeLane(sub int64) { db.cfg.Nudge([]Rows{{Sub: sub}}) }

// CreateSubscription implements api.SubscriptionStore.
func (db *DB) CreateSubscription(
	ctx context.Context, s *subscriptions.Subscription, limit int, by access.Caller,
) (found *api.Subscription, made bool, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, false, fmt.Errorf("create subscription: %w", err)
	}
	err = db.change(ctx, by, "create subscription", func(tx *sqlx.Tx) (*edit, error) {
		// A request that is repeated finds what it made before, by the name.
		if s.Name != "" {
			found, err = db.findSubscription(ctx, tx, 0, "s.tenant = ? AND s.name = ? AND s.name <> '' AND s.deleted_at IS NULL",
				s.Tenant, s.Name)
			if !errors.Is(err, api.ErrNotFound) {
				return nil, err
			}
		}

		var count int
		if err := tx.GetContext(ctx, &count, "SELECT count(*) FROM subscriptions WHERE tenant = ? AND deleted_at IS NULL",
			s.Tenant); err != nil {
			return nil, fmt.Errorf("count subscriptions: %w", err)
		}
		if count >= limit {
			return nil, fmt.Errorf("%w: %d subscriptions", api.ErrLimit, limit)
		}

		// The row first, for its number; the rest is in its version.
		n := *s
		now := time.Now()
		n.ID = id.String()
		n.CreatedAt = time.UnixMilli(now.UnixMilli()).UTC()
		if err := tx.QueryRowContext(ctx, `INSERT INTO subscriptions
			(id, tenant, version, name, state, paused_reason, paused_for, hold_until, hold_reason,
				breaker, created_at)
			VALUES (?, ?, 0, ?, '', '', 0, 0, '', '{}', ?) RETURNING no`,
			n.ID, n.Tenant, n.Name, now.UnixMilli()).Scan(&n.No); err != nil {
			return nil, fmt.Errorf("create subscription: %w", err)
		}
		if err := tx.GetContext(ctx, &n.CompanyID, "SELECT company_id FROM tenants WHERE no = ?", n.Tenant); err != nil {
			return nil, fmt.Errorf("tenant of subscription: %w", err)
		}
		if err := db.writeVersion(ctx, tx, &n, by.KeyID, now); err != nil {
			return nil, err
		}
		made = true
		found = &api.Subscription{Subscription: &n}
		return &edit{after: &n}, nil
	})
	if err != nil {
		return nil, false, err
	}
	return found, made, nil
}

// writeVersion makes s the current version of its subscription, and sets its version
// number and time.
func (db *DB) writeVersion(
	ctx context.Context, tx *sqlx.Tx, s *subscriptions.Subscription, by string, now time.Time,
) error {
	seal := func(plain []byte) []byte { return db.box.Seal(headersPurpose(s.ID), plain) }
	fields, err := s.Fields(seal)
	if err != nil {
		return err
	}
	s.UpdatedAt = time.UnixMilli(now.UnixMilli()).UTC()
	if err := tx.QueryRowContext(ctx, `INSERT INTO subscription_versions (version, sub, fields, changed_by, at)
		VALUES ((SELECT COALESCE(max(version), 0) + 1 FROM subscription_versions), ?, ?, ?, ?) RETURNING version`,
		s.No, fields, by, now.UnixMilli()).Scan(&s.Version); err != nil {
		return fmt.Errorf("new version of subscription %s: %w", s.ID, err)
	}

	var pausedAt any
	if s.Paused() {
		pausedAt = s.PausedAt.UnixMilli()
	}
	if _, err := tx.ExecContext(ctx, `UPDATE subscriptions
		SET version = ?, name = ?, state = ?, paused_reason = ?, paused_at = ?, paused_for = ?, deleted_at = ?
		WHERE no = ?`, s.Version, s.Name, s.State, s.PausedReason, pausedAt, s.PausedFor.Milliseconds(), nullMS(s.DeletedAt), s.No); err != nil {
		if sqldb.IsUnique(err) {
			return fmt.Errorf("a subscription named %q %w", s.Name, api.ErrExists)
		}
		return fmt.Errorf("update subscription %s: %w", s.ID, err)
	}

	for _, k := range s.Keys {
		app := db.box.Seal(appKeyPurpose(s.ID, k.N), []byte(k.AppKey))
		encryption := db.box.Seal(encryptionPurpose(s.ID, k.N), k.Encryption)
		if _, err := tx.ExecContext(ctx, `INSERT INTO subscription_keys (sub, n, app_key, encryption, from_at, until_at)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sub, n) DO UPDATE SET until_at = excluded.until_at`,
			s.No, k.N, app, encryption, k.From.UnixMilli(), nullMS(k.Until)); err != nil {
			return fmt.Errorf("key %d of subscription %s: %w", k.N, s.ID, err)
		}
	}
	return nil
}

// UpdateSubscription implements api.SubscriptionStore.
func (db *DB) UpdateSubscription(ctx context.Context, tenant int64, id string, version int64, by access.Caller,
	change func(*subscriptions.Subscription) (*subscriptions.Subscription, error),
) (*api.Subscription, error) {
	return db.updateSubscription(ctx, tenant, id, version, by,
		func(current *api.Subscription) (_ *subscriptions.Subscription, release bool, _ error) {
			next, err := change(current.Subscription)
			if err != nil {
				return nil, false, err
			}

			// Whoever resumes a subscription wants it to be tried now. And what the hub
			// learned about the receiver at another URL says nothing about this one.
			resumed := current.Paused() && !next.Paused()
			moved := next.URL != current.URL
			return next, resumed || moved, nil
		})
}

// ResumeSubscription implements api.SubscriptionStore.
func (db *DB) ResumeSubscription(
	ctx context.Context, tenant int64, id string, version int64, by access.Caller, now time.Time,
) (*api.Subscription, error) {
	return db.updateSubscription(ctx, tenant, id, version, by,
		func(current *api.Subscription) (_ *subscriptions.Subscription, release bool, _ error) {
			hold := current.Hold
			held := hold.Until > now.UnixMilli() || hold.Breaker.State != "" && hold.Breaker.State != "closed"
			return current.Resume(now), held || current.Paused(), nil
		})
}

// updateSubscription commits what change makes of a subscription. If change returns release,
// it also ends the holds of the subscription and closes its breaker. If change returns the
// same pointer, and nothing is to be released, nothing is written.
func (db *DB) updateSubscription(ctx context.Context, tenant int64, id string, version int64, by access.Caller,
	change func(current *api.Subscription) (next *subscriptions.Subscription, release bool, err error),
) (updated *api.Subscription, err error) {
	err = db.change(ctx, by, "update subscription", func(tx *sqlx.Tx) (*edit, error) {
		current, err := db.findLive(ctx, tx, tenant, id, version)
		if err != nil {
			return nil, err
		}
		next, release, err := change(current)
		if err != nil {
			return nil, err
		}
		if next == current.Subscription && !release {
			updated = current
			return nil, nil
		}
		if err := db.nameFree(ctx, tx, next); err != nil {
			return nil, err
		}

		n := *next
		now := time.Now()
		updated = &api.Subscription{Subscription: &n, Hold: current.Hold}
		if err := db.writeVersion(ctx, tx, &n, by.KeyID, now); err != nil {
			return nil, err
		}
		if release {
			updated.Hold = delivery.Hold{}
			if err := db.release(ctx, tx, current.Subscription, &n, now); err != nil {
				return nil, err
			}
		}
		return &edit{current.Subscription, &n}, nil
	})
	if err != nil {
		return nil, err
	}
	db.nudgeLane(updated.No)
	return updated, nil
}

// nameFree returns *api.NameTaken when another subscription of the tenant has the name
// that a subscription is about to get. Nobody else changes names until tx ends.
func (db *DB) nameFree(ctx context.Context, tx *sqlx.Tx, s *subscriptions.Subscription) error {
	if s.Name == "" {
		return nil
	}
	other, err := db.findSubscription(ctx, tx, 0, "s.tenant = ? AND s.name = ? AND s.name <> '' AND s.no <> ? AND s.deleted_at IS NULL",
		s.Tenant, s.Name, s.No)
	if errors.Is(err, api.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return &api.NameTaken{Name: s.Name, ID: other.ID}
}

// release ends the holds of a subscription, closes its breaker and lets its active clock go
// on, in its row and in n, the version that is being written. before is the version before it;
// if that is paused, its pause counts until now.
func (db *DB) release(ctx context.Context, tx *sqlx.Tx, before, n *subscriptions.Subscription, now time.Time) error {
	// writeVersion has locked the row, but it may have changed before that: holds are written
	// without the lock of those who change subscriptions.
	var r struct {
		Releases int64 `db:"releases"`
		standstillRow
	}
	if err := tx.GetContext(ctx, &r,
		"SELECT releases, "+standstillColumns+" FROM subscriptions WHERE no = ?", n.No); err != nil {
		return fmt.Errorf("release subscription %d: %w", n.No, err)
	}
	held := *before
	held.Releases = r.Releases
	held.Standstill = r.standstill()
	released := held.Release(now)
	n.Releases = released.Releases
	n.Standstill = released.Standstill

	if _, err := tx.ExecContext(ctx, `UPDATE subscriptions
		SET releases = ?, hold_until = 0, hold_reason = '', breaker = '{}' WHERE no = ?`, n.Releases, n.No); err != nil {
		return fmt.Errorf("release subscription %d: %w", n.No, err)
	}
	if n.Standstill == held.Standstill {
		return nil
	}
	return writeStandstill(ctx, tx, n)
}

// findLive reads a subscription that is not deleted. version is the one that the caller
// expects; 0 means any.
func (db *DB) findLive(
	ctx context.Context, tx *sqlx.Tx, tenant int64, id string, version int64,
) (*api.Subscription, error) {
	s, err := db.findSubscription(ctx, tx, 0, "s.id = ? AND s.tenant = ? AND s.deleted_at IS NULL", id, tenant)
	if err == nil && version != 0 && version != s.Version {
		return nil, api.ErrVersion
	}
	return s, err
}

// Pause implements delivery.Store: the hub itself stops a subscription.
func (db *DB) Pause(ctx context.Context, sub, releases int64, reason string) error {
	err := db.change(ctx, itself, "pause subscription", func(tx *sqlx.Tx) (*edit, error) {
		s, err := db.findSubscription(ctx, tx, 0, "s.no = ? AND s.deleted_at IS NULL", sub)
		if errors.Is(err, api.ErrNotFound) {
			return nil, nil // it was deleted, so it is stopped for good
		}
		if err != nil {
			return nil, err
		}
		if s.Releases != releases { // the reason is about another receiver
			return nil, nil
		}

		now := time.Now()
		paused := s.Subscription.Pause(reason, now)
		if paused == s.Subscription { // it is paused already
			return nil, nil
		}
		if err := db.writeVersion(ctx, tx, paused, itself.KeyID, now); err != nil {
			return nil, err
		}
		return &edit{s.Subscription, paused}, nil
	})
	if err == nil {
		db.nudgeLane(sub)
	}
	return err
}

// FindHold implements delivery.Store.
func (db *DB) FindHold(ctx context.Context, sub int64) (delivery.Hold, error) {
	var r subscriptionRow
	if err := db.read.GetContext(ctx, &r,
		"SELECT hold_until, hold_reason, breaker FROM subscriptions WHERE no = ?", sub); err != nil {
		return delivery.Hold{}, fmt.Errorf("hold of subscription %d: %w", sub, err)
	}
	return r.hold()
}

// SetHold implements delivery.Store.
func (db *DB) SetHold(ctx context.Context, sub, epoch, releases int64, h delivery.Hold) error {
	var held *subscriptions.Subscription // if its clock stands still
	tenant := int64(0)
	if s := db.index.Get(sub); s != nil {
		tenant = s.Tenant
	}
	return db.adminFor(ctx, tenant, "hold subscription", func(tx *sqlx.Tx) error {
		held = nil // this may be another try

		// Only the owner of its shard may hold a subscription.
		if db.in == sqldb.Postgres {
			var owner bool
			if err := tx.GetContext(ctx, &owner, `SELECT count(*) = 1
				FROM (SELECT FROM shards WHERE shard = ? AND epoch = ? AND owner = ? FOR KEY SHARE) mine`,
				subscriptions.Shard(sub), epoch, db.cfg.Process); err != nil || !owner {
				return err
			}
		}
		written, err := writeHold(ctx, tx, sub, releases, h)
		if err != nil || !written || h.RetryAt == 0 {
			return err
		}

		// writeHold has locked the row, so what is read of it now holds.
		s, err := db.findSubscription(ctx, tx, 0, "s.no = ?", sub)
		if err != nil {
			return err
		}
		held = s.StandStill(time.Now(), time.UnixMilli(h.RetryAt))
		return writeStandstill(ctx, tx, held)
	}, func() {
		if held != nil {
			db.index.SetStandstill(sub, held.Standstill)
		}
	})
}

// writeHold writes hold and breaker of a subscription. It returns false, and writes nothing, if
// the subscription was released more often than the caller knows.
// writeHold writes why and until when a subscription is held.
func writeHold(ctx context.Context, tx *sqlx.Tx, sub, releases int64, h delivery.Hold) (bool, error) {
	breaker, err := json.Marshal(h.Breaker)
	if err != nil {
		return false, fmt.Errorf("breaker of subscription %d: %w", sub, err)
	}
	res, err := tx.ExecContext(ctx, `UPDATE subscriptions SET hold_until = ?, hold_reason = ?, breaker = ?
		WHERE no = ? AND releases = ?`, h.Until, h.Reason, breaker, sub, releases)
	if err != nil {
		return false, fmt.Errorf("hold subscription %d: %w", sub, err)
	}
	rows, err := res.RowsAffected()
	return rows > 0, err
}

// writeStandstill writes the standstill of a subscription, and sets its mark to the next one.
func writeStandstill(ctx context.Context, tx *sqlx.Tx, s *subscriptions.Subscription) error {
	still := &s.Standstill
	if err := tx.GetContext(ctx, &still.Mark,
		"UPDATE standstill_head SET mark = mark + 1 WHERE one = 1 RETURNING mark"); err != nil {
		return fmt.Errorf("mark of subscription %d: %w", s.No, err)
	}
	var from, until int64
	if !still.From.IsZero() {
		from = still.From.UnixMilli()
		until = still.Until.UnixMilli()
	}
	if _, err := tx.ExecContext(ctx, `UPDATE subscriptions
		SET still_past = ?, still_from = ?, still_until = ?, still_mark = ? WHERE no = ?`,
		still.Past.Milliseconds(), from, until, still.Mark, s.No); err != nil {
		return fmt.Errorf("standstill of subscription %d: %w", s.No, err)
	}
	return nil
}

// DeleteSubscription implements api.SubscriptionStore.
func (db *DB) DeleteSubscription(ctx context.Context, tenant int64, id string, version int64, by access.Caller) error {
	var no int64
	err := db.change(ctx, by, "delete subscription", func(tx *sqlx.Tx) (*edit, error) {
		s, err := db.findLive(ctx, tx, tenant, id, version)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		deleted := *s.Subscription
		deleted.DeletedAt = &now
		no = deleted.No
		if err := db.writeVersion(ctx, tx, &deleted, by.KeyID, now); err != nil {
			return nil, err
		}
		if err := addJob(ctx, tx, tenant, jobDelete, deleteJob{Sub: no}, by.KeyID, now); err != nil {
			return nil, err
		}
		return &edit{s.Subscription, &deleted}, nil
	})
	if err == nil {
		db.nudgeLane(no)
		db.wakeJobs()
	}
	return err
}
