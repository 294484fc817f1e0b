package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ api.AuditStore = (*DB)(nil)

// itself is the hub as somebody who changes things.
var itself = access.Caller{KeyID: "hub"}

// act commits a change that somebody may ask about later: what fn does and its row in
// the audit log are committed together or not at all. fn returns what it did; nil means
// that it did nothing, so there is no row. Each of then is called after the commit, as
// admin does. Only what the hub does by itself all day long calls admin directly.
func (db *DB) act(
	ctx context.Context, by access.Caller, what string, fn func(tx *sqlx.Tx) (*audit.Deed, error), then ...func(),
) error {
	return db.adminFor(ctx, by.Tenant, what, func(tx *sqlx.Tx) error {
		deed, err := fn(tx)
		if err != nil || deed == nil {
			return err
		}
		return db.writeAudit(context.WithoutCancel(ctx), tx, entry{by, *deed, time.Now()})
	}, append(then, db.acted)...)
}

// acted makes other processes look at what has changed.
func (db *DB) acted() {
	if db.cfg.Acted != nil {
		db.cfg.Acted()
	}
}

// ChangeMark returns a mark that is a different one after every change that is in the audit
// log.
func (db *DB) ChangeMark(ctx context.Context) (string, error) {
	var head []byte
	if err := db.read.GetContext(ctx, &head, "SELECT value FROM meta WHERE name = 'audit_head'"); err != nil {
		return "", fmt.Errorf("head of the audit log: %w", err)
	}
	return string(head), nil
}

// entry is what becomes a row of the audit log.
type entry struct {
	by   access.Caller
	deed audit.Deed
	at   time.Time
}

// writeAudit writes rows behind the log's head. It comes last in a transaction, because no
// other process can write rows until the transaction ends.
func (db *DB) writeAudit(ctx context.Context, tx *sqlx.Tx, entries ...entry) error {
	if err := db.in.Wait(ctx, tx, sqldb.TurnAudit); err != nil {
		return err
	}
	head, err := db.auditHead(ctx, tx)
	if err != nil {
		return err
	}

	key := db.auditKey()
	for _, e := range entries {
		r := audit.Row{
			At: e.at.UnixMilli(), Tenant: e.deed.Tenant,
			Platform: e.deed.Tenant == 0 || e.by.Role == access.Platform,
			Who:      e.by.KeyID, Name: e.by.Name, IP: e.by.IP, Action: e.deed.Action, Object: e.deed.Object,
		}
		if r.Before, err = audit.JSON(e.deed.Before); err != nil {
			return err
		}
		if r.After, err = audit.JSON(e.deed.After); err != nil {
			return err
		}
		head = head.Next(key, &r)
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit
			(seq, at, tenant, platform, who, name, ip, action, object, before, after, prev_hash, hash)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Seq, r.At, r.Tenant, r.Platform, r.Who, r.Name, r.IP,
			r.Action, r.Object, r.Before, r.After, r.Prev, r.Hash); err != nil {
			return fmt.Errorf("write audit log: %w", err)
		}
	}
	return setHead(ctx, tx, head, key)
}

// setHead writes the head of the audit log.
func setHead(ctx context.Context, tx *sqlx.Tx, head audit.Head, key []byte) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('audit_head', ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, head.Seal(key)); err != nil {
		return fmt.Errorf("write head of audit log: %w", err)
	}
	return nil
}

// auditHead returns where the log goes on. If somebody has tampered with the head, the log
// goes on all the same, and the break stays visible.
func (db *DB) auditHead(ctx context.Context, tx *sqlx.Tx) (audit.Head, error) {
	head, err := readHead(ctx, tx, db.auditKey())
	if !errors.Is(err, audit.ErrHead) {
		return head, err
	}

	db.log.Error("audit log", "err", err)
	var last struct{ Seq, At int64 }
	if err := tx.GetContext(ctx, &last,
		"SELECT COALESCE(max(seq), 0) AS seq, COALESCE(max(at), 0) AS at FROM audit"); err != nil {
		return head, fmt.Errorf("end of audit log: %w", err)
	}
	return audit.LostHead(max(last.Seq, 0), last.At), nil
}

// readHead reads the head of the audit log. A store without a head gives audit.ErrHead too,
// because the head is made together with the store.
func readHead(ctx context.Context, q sqlx.QueryerContext, key []byte) (audit.Head, error) {
	var b []byte
	err := sqlx.GetContext(ctx, q, &b, "SELECT value FROM meta WHERE name = 'audit_head'")
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, fmt.Errorf("read head of audit log: %w", err)
	}
	return audit.OpenHead(key, b)
}

func (db *DB) auditKey() []byte { return db.box.Subkey(signing.LabelAudit) }

// notes gathers the rows of those who look at something, so that many readers cost one commit
// and not one each.
type notes struct {
	mu   sync.Mutex
	next *noteBatch    // gathers while the batch before it is committed
	turn chan struct{} // of capacity 1; full while a batch is being committed
}

// noteBatch is rows that are committed together.
type noteBatch struct {
	entries []entry
	done    chan struct{} // closed when err is set
	err     error
}

// maxNotes is how many rows may wait for one commit; further ones are refused.
const maxNotes = 1000

// Note implements api.AuditStore.
func (db *DB) Note(ctx context.Context, by access.Caller, d audit.Deed) error {
	w := &db.notes
	w.mu.Lock()
	if w.next == nil {
		w.next = &noteBatch{done: make(chan struct{})}
	}
	b := w.next
	if len(b.entries) >= maxNotes {
		w.mu.Unlock()
		return fmt.Errorf("write audit log: %w", ingest.ErrBusy)
	}
	b.entries = append(b.entries, entry{by, d, time.Now()})
	first := len(b.entries) == 1
	w.mu.Unlock()
	if !first {
		<-b.done
		return b.err
	}

	// Whoever began a batch commits it, for all who joined before its turn came.
	w.turn <- struct{}{}
	w.mu.Lock()
	w.next = nil
	w.mu.Unlock()
	b.err = db.admin(context.WithoutCancel(ctx), "write audit log", func(tx *sqlx.Tx) error {
		return db.writeAudit(context.WithoutCancel(ctx), tx, b.entries...)
	})
	<-w.turn
	close(b.done)
	return b.err
}

const auditColumns = "seq, at, tenant, platform, who, name, ip, action, object, before, after, prev_hash, hash"

func scanAudit(rows *sqlx.Rows) (r audit.Row, err error) {
	err = rows.Scan(&r.Seq, &r.At, &r.Tenant, &r.Platform, &r.Who, &r.Name, &r.IP, &r.Action, &r.Object,
		&r.Before, &r.After, &r.Prev, &r.Hash)
	return r, err
}

// FindAudit implements api.AuditStore.
func (db *DB) FindAudit(ctx context.Context, f audit.Filter) (page []audit.Row, next int64, err error) {
	err = db.snapshot(ctx, "find audit rows", func(snap snapshot) error {
		page, next, err = snap.audit(ctx, f)
		return err
	})
	return page, next, err
}

func (snap snapshot) audit(ctx context.Context, f audit.Filter) (page []audit.Row, next int64, err error) {
	w := auditWalk(f)
	if w.low, w.below, err = snap.auditRange(ctx, f.From, f.To); err != nil {
		return nil, 0, err
	}
	if f.Before > 0 {
		w.below = min(w.below, f.Before)
	}

	// One more than asked for shows whether another page follows.
	seqs, err := w.step(ctx, snap.Q, snap.rows, f.Limit+1)
	if err != nil {
		return nil, 0, err
	}
	if len(seqs) > f.Limit {
		seqs = seqs[:f.Limit]
		next = seqs[f.Limit-1]
	} else if !w.done {
		next = w.below
	}
	if len(seqs) == 0 {
		return nil, next, nil
	}

	args := make([]any, len(seqs))
	for i, s := range seqs {
		args[i] = s
	}
	rows, err := snap.Q.QueryxContext(ctx, "SELECT "+auditColumns+" FROM audit WHERE seq IN ("+
		sqldb.Values("?", len(seqs))+") ORDER BY seq DESC", args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanAudit(rows)
		if err != nil {
			return nil, 0, err
		}
		page = append(page, r)
	}
	return page, next, rows.Err()
}

// auditWalk chooses the index for a filter: by tenant, or that of the platform's rows.
func auditWalk(f audit.Filter) walk {
	w := walk{table: "audit INDEXED BY audit_tenant", where: "tenant = ?", args: []any{f.Tenant}}
	if f.Tenant == 0 {
		w.table, w.where, w.args = "audit INDEXED BY audit_platform", "platform", nil
	}
	var filters []string
	for column, value := range map[string]string{"action": f.Action, "object": f.Object, "who": f.Who} {
		if value != "" {
			filters = append(filters, column+" = ?")
			w.picks = append(w.picks, value)
		}
	}
	w.filter = strings.Join(filters, " AND ")
	return w
}

// auditRange returns the range [low, below) of rows written at from <= t < to, Unix ms; 0
// means open.
func (snap snapshot) auditRange(ctx context.Context, from, to int64) (low, below int64, err error) {
	low, below = 1, math.MaxInt64
	if from > 0 {
		if low, err = snap.auditAt(ctx, from); err != nil {
			return 0, 0, err
		}
	}
	if to > 0 {
		if below, err = snap.auditAt(ctx, to); err != nil {
			return 0, 0, err
		}
	}
	return low, below, nil
}

// auditAt finds by bisection the first row written at or after ms. Times never fall while
// numbers grow.
func (snap snapshot) auditAt(ctx context.Context, ms int64) (int64, error) {
	var low, high int64
	row := snap.Q.QueryRowxContext(ctx, "SELECT COALESCE(min(seq), 0), COALESCE(max(seq) + 1, 0) FROM audit")
	if err := row.Scan(&low, &high); err != nil {
		return 0, fmt.Errorf("range of audit log: %w", err)
	}
	for low < high {
		middle := low + (high-low)/2
		var seq, at int64
		row := snap.Q.QueryRowxContext(ctx, "SELECT seq, at FROM audit WHERE seq >= ? ORDER BY seq LIMIT 1", middle)
		if err := row.Scan(&seq, &at); err != nil {
			return 0, fmt.Errorf("audit row at %d: %w", ms, err)
		}
		if at >= ms {
			high = middle
		} else {
			low = seq + 1
		}
	}
	return low, nil
}

// VerifyAudit checks the audit log of the store in a folder, even while it is being served,
// and returns how many rows it has. The error is an *audit.Broken that names the first row
// that is not as it was written, or audit.ErrHead if the head is not.
func VerifyAudit(ctx context.Context, dir string, box *signing.Box) (rows int64, err error) {
	read, err := openReader(dir)
	if err != nil {
		return 0, err
	}
	defer read.Close()
	if err := checkKey(ctx, read, box); err != nil {
		return 0, err
	}

	// First the head: rows that are written behind it during the check do not matter.
	key := box.Subkey(signing.LabelAudit)
	tx, err := read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, fmt.Errorf("read audit log: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	head, headErr := readHead(ctx, tx, key)
	if headErr != nil && !errors.Is(headErr, audit.ErrHead) {
		return 0, headErr
	}
	var last int64
	if err := tx.GetContext(ctx, &last, "SELECT COALESCE(max(seq), 0) FROM audit"); err != nil {
		return 0, fmt.Errorf("end of audit log: %w", err)
	}
	if err := tx.Rollback(); err != nil {
		return 0, fmt.Errorf("read audit log: %w", err)
	}

	chain := audit.Chain{Key: key}
	owners := auditOwners{tenants: map[int64]int64{}}
	if err := eachAudit(ctx, read, last, func(r *audit.Row) error {
		owners.count(r)
		return chain.Check(r)
	}); err != nil {
		return 0, err
	}
	if headErr != nil {
		return 0, headErr
	}
	if err := chain.End(head); err != nil {
		return 0, err
	}
	return head.Seq, owners.check(ctx, read, sqldb.DialectOf(dir), last)
}

// auditOwners counts the rows of an audit log by who may read them.
type auditOwners struct {
	tenants  map[int64]int64 // rows of each tenant; 0: nobody's
	platform int64
}

func (o *auditOwners) count(r *audit.Row) {
	o.tenants[r.Tenant]++
	if r.Platform {
		o.platform++
	}
}

// check compares the rows up to one with those that readers find by the indexes that they
// use. A row that none of them finds is hidden, although the chain is whole.
func (o *auditOwners) check(ctx context.Context, read *sqlx.DB, in sqldb.Dialect, last int64) error {
	// SQLite has a type for each value. A condition of another type does not find it, while
	// reading it converts it.
	if in == sqldb.SQLite {
		var seq int64
		err := read.GetContext(ctx, &seq, `SELECT seq FROM audit WHERE seq <= ? AND (typeof(at) <> 'integer'
			OR typeof(tenant) <> 'integer' OR platform NOT IN (0, 1) OR typeof(platform) <> 'integer'
			OR typeof(who) <> 'text' OR typeof(action) <> 'text' OR typeof(object) <> 'text') ORDER BY seq LIMIT 1`, last)
		if err == nil {
			return &audit.Broken{Seq: seq, Reason: "is stored in another form, in which readers do not find it"}
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read audit log: %w", err)
		}
	}

	for tenant, rows := range o.tenants {
		var found int64
		if err := read.GetContext(ctx, &found,
			"SELECT count(*) FROM audit INDEXED BY audit_tenant WHERE tenant = ? AND seq <= ?", tenant, last); err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		if found != rows {
			return fmt.Errorf("the audit log is broken: of %d rows of tenant %d readers find %d", rows, tenant, found)
		}
	}
	var found int64
	if err := read.GetContext(ctx, &found,
		"SELECT count(*) FROM audit INDEXED BY audit_platform WHERE platform AND seq <= ?", last); err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	if found != o.platform {
		return fmt.Errorf("the audit log is broken: of %d rows of the platform readers find %d", o.platform, found)
	}
	return nil
}

// eachAudit reads the rows up to one in their order, some at a time, so that no long
// transaction keeps the write-ahead log of a serving hub from being checkpointed.
func eachAudit(ctx context.Context, read *sqlx.DB, last int64, fn func(*audit.Row) error) error {
	const page = 5000

	for after := int64(math.MinInt64); after < last; {
		n := 0
		err := func() error {
			rows, err := read.QueryxContext(ctx,
				"SELECT "+auditColumns+" FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", after, last, page)
			if err != nil {
				return fmt.Errorf("read audit log: %w", err)
			}
			defer rows.Close()
			for ; rows.Next(); n++ {
				r, err := scanAudit(rows)
				if err != nil { // the hub never wrote such a row
					return &audit.Broken{Seq: r.Seq, Reason: "was changed: " + err.Error()}
				}
				if err := fn(&r); err != nil {
					return err
				}
				after = r.Seq
			}
			return rows.Err()
		}()
		if err != nil {
			return err
		}
		if n < page {
			return nil
		}
	}
	return nil
}
