package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is the database that a store is in. Statements are written once, in
// the words that SQLite takes; translate turns them into PostgreSQL's. What
// differs by more than words stands side by side in this file.
type dialect uint8

const (
	inSQLite dialect = iota
	inPostgres
)

// dialectOf a folder, or the URL of a database.
func dialectOf(where string) dialect {
	if isURL(where) {
		return inPostgres
	}
	return inSQLite
}

// bulkSizes are the lengths in rows of INSERT statements. Over a socket a
// statement costs a round trip, inside the process next to nothing.
func (d dialect) bulkSizes() []int {
	if d == inPostgres {
		return []int{128, 64, 32, 16, 8, 4, 2, 1}
	}
	return []int{32, 8, 1}
}

// outcomes says what becomes of runs. The row-wise form takes one run, the other
// arrays of them and answers with those that were still pending. Its "state + 0"
// keeps PostgreSQL from the index of all that is pending (pointQueries).
const (
	outcomeRow = `UPDATE deliveries SET state = ?, tries = ?, due_at = ?, first_try_at = ?, done_at = ?, last_status = coalesce(?, last_status),
		last_error = ?, late = ?, aside_at = ?, superseded_by = ? WHERE sub = ? AND seq = ? AND run = ? AND state = 0`
	outcomeArrays = `UPDATE deliveries d SET state = v.state, tries = v.tries, due_at = v.due_at, first_try_at = v.first_try_at,
			done_at = v.done_at, last_status = coalesce(v.last_status, d.last_status), last_error = v.last_error, late = v.late,
			aside_at = v.aside_at, superseded_by = v.superseded_by
		FROM (SELECT * FROM unnest(?::int[], ?::int[], ?::bigint[], ?::bigint[], ?::bigint[], ?::int[], ?::int[], ?::bool[], ?::bigint[], ?::bigint[],
				?::bigint[], ?::bigint[], ?::bigint[])
			AS u(state, tries, due_at, first_try_at, done_at, last_status, last_error, late, aside_at, superseded_by, sub, seq, run)) v
		WHERE d.sub = v.sub AND d.seq = v.seq AND d.run = v.run AND d.state + 0 = 0
		RETURNING d.sub, d.seq, d.run`
)

// subOfKey is the condition on the subscription beside one on the order key. Of
// what is pending at the moment PostgreSQL's statistics know nothing; between an
// index by subscription and one by order key it would choose by chance, and now and
// then read all that is pending, for each key. So the latter holds no subscription,
// and this condition fits no index.
func (d dialect) subOfKey() string {
	if d == inPostgres {
		return "sub + 0 = ?"
	}
	return "sub = ?"
}

// hourKey is the primary key of delivery_hours.
func (d dialect) hourKey() string {
	if d == inPostgres {
		return "sub, hour, class, part"
	}
	return "sub, hour, class"
}

// Parts of the counts by hour. Who adds to one holds its row until the commit.
const (
	partOfAdmins   = 0
	partOfOutcomes = 1 // of all processes: a subscription has one owner
	partsOfAccepts = 2 // the first; 16 for each of 16 sorts of processes
)

// hourPart is that of the i-th worker for some kinds of work.
func (db *DB) hourPart(takes kinds, i int) int64 {
	if takes&ofAccepts == 0 {
		return partOfOutcomes
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(db.cfg.Process)) // never fails
	return partsOfAccepts + int64(h.Sum32()%16)*16 + int64(i%16)
}

// pointQueries are settings of the connections that write. Their statements look
// for rows by their keys. Such a plan is kept, and made while a new table is empty
// it would be to read all of it.
const pointQueries = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_seqscan = off; SET enable_bitmapscan = off"

// beginAccept is how a transaction begins that stores events; of the lock and of
// so many events. It answers with the version of the subscriptions, the server's time in
// Unix ms, which is the same for all processes, and the numbers of the events.
const beginAccept = `SELECT pg_advisory_xact_lock_shared(%d);
	SELECT (SELECT COALESCE(max(version), 0) FROM subscription_versions) AS version, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
		ARRAY(SELECT nextval('event_seq') FROM generate_series(1, %d)) AS seqs`

// countPending counts the pending runs of each subscription that has some.
// SQLite does so at its start; recountPending is for PostgreSQL, where it is asked
// again and again. It finds the subscriptions by leaps through the index.
const (
	countPending = `SELECT d.sub, s.tenant, d.n FROM
		(SELECT sub, count(*) AS n FROM deliveries WHERE state = 0 GROUP BY sub) d JOIN subscriptions s ON s.no = d.sub`
	recountPending = `WITH RECURSIVE leap(sub) AS (
			(SELECT sub FROM deliveries WHERE state = 0 ORDER BY sub LIMIT 1)
			UNION ALL
			SELECT (SELECT d.sub FROM deliveries d WHERE d.state = 0 AND d.sub > leap.sub ORDER BY d.sub LIMIT 1) FROM leap WHERE leap.sub IS NOT NULL)
		SELECT s.no, s.tenant, greatest(1,
			(SELECT COALESCE(sum(h.matched - h.delivered - h.exhausted - h.expired - h.cancelled - h.superseded), 0) FROM delivery_hours h
				WHERE h.sub = s.no AND h.hour >= oldest.accepted_at / 3600000 - 1)
			+ (SELECT count(*) FROM deliveries r JOIN deliveries f ON f.sub = r.sub AND f.seq = r.seq AND f.run = 0 AND f.state = 1
				WHERE r.sub = s.no AND r.state = 0 AND r.run > 0))
		FROM leap JOIN subscriptions s ON s.no = leap.sub
			JOIN LATERAL (SELECT accepted_at FROM deliveries WHERE state = 0 AND sub = leap.sub ORDER BY seq, run LIMIT 1) oldest ON true`
)

// translated statements by their text; those longer than maxTranslated are
// lists of values of many lengths, and are made each time.
var translated sync.Map

const maxTranslated = 4 << 10

// translate makes a statement in SQLite's words one of PostgreSQL's:
//
//	?, ?3                → $1, $3
//	INDEXED BY name      → nothing: the planner knows the index too
//	CROSS JOIN t ON …    → JOIN t ON …: in SQLite it keeps the order of the tables
//
// No statement of ours has a question mark in a literal.
func translate(query string) string {
	if t, ok := translated.Load(query); ok {
		return t.(string)
	}
	t := toPostgres(query)
	if len(query) <= maxTranslated {
		translated.Store(query, t)
	}
	return t
}

func toPostgres(query string) string {
	const indexed, cross = " INDEXED BY ", "CROSS JOIN "
	var b strings.Builder
	b.Grow(len(query) + 64)
	for n := 0; ; {
		at := strings.IndexAny(query, "? C")
		if at < 0 {
			b.WriteString(query)
			return b.String()
		}
		b.WriteString(query[:at])
		query = query[at:]
		switch {
		case query[0] == '?':
			query = query[1:]
			b.WriteByte('$')
			if query != "" && isDigit(query[0]) {
				continue
			}
			n++
			b.WriteString(strconv.Itoa(n))
		case strings.HasPrefix(query, indexed):
			query = query[len(indexed):]
			end := strings.IndexFunc(query, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
			if end < 0 {
				end = len(query)
			}
			query = query[end:]
		case strings.HasPrefix(query, cross):
			query = query[len("CROSS "):]
			b.WriteString("JOIN ")
			query = query[len("JOIN "):]
		default:
			b.WriteByte(query[0])
			query = query[1:]
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// What processes take turns at, on PostgreSQL. SQLite has one process and one writer.
const (
	lockStart     = 0x686f6f6b00 + iota // make what a new store needs
	lockMatching                        // change a subscription; shared: match events
	lockAudit                           // write rows behind the head of the audit log
	lockRetention                       // take away what is old
	lockAlone                           // make the first credentials
	lockDays                            // make and drop partitions, move on to a new day
)

// lockFor waits until no other transaction is at something, and keeps them from
// it until tx ends.
func (db *DB) lockFor(ctx context.Context, tx *sqlx.Tx, what int64) error {
	if db.in == inSQLite {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", what); err != nil {
		return fmt.Errorf("wait for other processes: %w", err)
	}
	return nil
}

// Alone runs fn while no other process runs what it gives to Alone.
func (db *DB) Alone(ctx context.Context, fn func() error) error {
	if db.in == inSQLite {
		return fn()
	}
	tx, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("wait for other processes: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it held the lock, and nothing else
	if err := db.lockFor(ctx, tx, lockAlone); err != nil {
		return err
	}
	return fn()
}

// onlyOne runs fn unless another process is at the same thing.
func (db *DB) onlyOne(ctx context.Context, what int64, fn func() error) error {
	if db.in == inSQLite {
		return fn()
	}
	// A lock of the session: no transaction stays open meanwhile.
	conn, err := db.pool.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var mine bool
	if err := conn.GetContext(ctx, &mine, "SELECT pg_try_advisory_lock(?)", what); err != nil || !mine {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", what) //nolint:errcheck // it ends with the connection
	return fn()
}

// acceptSkew bounds by how much an event may have been accepted before one with a
// lower number, in ms. SQLite's writer is alone. On PostgreSQL number and time
// come from the server in one statement, and a process may stall in between.
func (d dialect) acceptSkew() int64 {
	if d == inPostgres {
		return 5000
	}
	return 0
}

// keepRow is the end of a SELECT whose rows stay until the transaction ends.
func (d dialect) keepRow() string {
	if d == inPostgres {
		return " FOR KEY SHARE"
	}
	return ""
}

// has is the condition that a text has another in it, which is its argument.
func (d dialect) has(text string) string {
	if d == inPostgres {
		return "strpos(" + text + ", ?) > 0"
	}
	return "instr(" + text + ", ?) > 0"
}

// snapshotOptions of a transaction that sees one state of the database.
func (d dialect) snapshotOptions() *sql.TxOptions {
	if d == inPostgres {
		return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// bigints is a list of n rows of numbers for VALUES. The first row says what
// they are: PostgreSQL would take them for text.
func bigints(cols, n int) string {
	first := "(CAST(? AS BIGINT)" + strings.Repeat(",CAST(? AS BIGINT)", cols-1) + ")"
	return first + strings.Repeat(",(?"+strings.Repeat(",?", cols-1)+")", n-1)
}

// unavailable says that the database cannot take anything now, whatever it is:
// it is full, cannot be reached, or is being stopped.
func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // who asked went away
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return pgUnavailable(err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// isNoTable says that PostgreSQL does not know a table. In SQLite there is no file then.
func isNoTable(err error) bool { return pq.As(err, pqerror.UndefinedTable) != nil }

// isUnique says that a row was refused because there is one like it.
func isUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
	}
	return pq.As(err, pqerror.UniqueViolation) != nil
}

// isUnfit says that the database refuses what a statement would store, and will
// again: a value that is too long for an index, out of range, no text.
func isUnfit(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
			return true
		}
		return false
	}
	e := pq.As(err)
	if e == nil {
		return false
	}
	switch e.Code.Class() {
	case "21", // two rows for one
		"22", // a value
		"23", // a constraint
		"54": // too long, too many
		return true
	}
	return false
}
