package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// statements are those of the hot path, prepared once on a worker's connection.
type statements struct {
	ids, events, bodies, masked, deliveries, attempts, hours, minutes, failed, errors, bytes *bulk

	known, outcome, reopenedDone, firstState, replayDone *sqlx.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sqlx.Conn, in sqldb.Dialect) error {
	outcome := outcomeRow
	if in == sqldb.Postgres {
		outcome = outcomeArrays
	}

	sizes := bulkSizes(in)
	for _, b := range []struct {
		to     **bulk
		insert string
		cols   int
		suffix string
	}{
		{&s.ids, "INSERT INTO event_ids (tenant, id, seq, day, hash) VALUES", 5, "ON CONFLICT (tenant, id) DO NOTHING"},
		{&s.events, `INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id,
			process, body_hash, size, matched, warnings, traceparent, hops, test) VALUES`, 17, ""},
		{&s.bodies, "INSERT INTO bodies (seq, tenant, bytes) VALUES", 3, ""},
		{
			&s.masked, "INSERT INTO masked_bodies (seq, policy, tenant, bytes) VALUES", 4,
			"ON CONFLICT (seq, policy) DO NOTHING",
		},
		{&s.deliveries, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at,
			give_up_at, accepted_at, late, aside_at) VALUES`, 13, ""},
		{
			&s.attempts, `INSERT INTO attempts (sub, seq, run, n, at, dns, connect, tls, first, total, remote_ip, status,
			class, error, header, body, signed_at, random_code, nonce, key_n, version, late, replay, process, epoch) VALUES`, 25,
			"ON CONFLICT (sub, seq, run, n) DO NOTHING",
		},
	} {
		*b.to = newBulk(conn, sizes, b.insert, b.cols, b.suffix)
	}
	s.prepareCounts(conn, in)

	for _, q := range []struct {
		to  **sqlx.Stmt
		sql string
	}{
		{&s.known, "SELECT seq, hash FROM event_ids WHERE tenant = ? AND id = ?"},
		{&s.outcome, outcome},
		{&s.reopenedDone, `UPDATE deliveries
			SET state = ?, done_at = ?, last_status = coalesce(?, last_status), last_error = ?
			WHERE sub = ? AND seq = ? AND run = 0 AND state = 6`},
		{&s.firstState, "SELECT state FROM deliveries WHERE sub = ? AND seq = ? AND run = 0" + in.ChangeRow()},
		{&s.replayDone, `UPDATE deliveries
			SET state = ?, done_at = ?, last_status = coalesce(?, last_status), last_error = ?
			WHERE sub = ? AND seq = ? AND run = 0`},
	} {
		p, err := conn.PreparexContext(ctx, q.sql) //nolint:sqlclosecheck // lives as long as the connection
		if err != nil {
			return fmt.Errorf("prepare %.40s: %w", q.sql, err)
		}
		*q.to = p
	}
	return nil
}

func (s *statements) bulks() []*bulk {
	return []*bulk{s.ids, s.events, s.bodies, s.masked, s.deliveries, s.attempts, s.hours, s.minutes, s.failed, s.errors, s.bytes}
}

// drop forgets the rows of a transaction that failed.
func (s *statements) drop() {
	for _, b := range s.bulks() {
		if b != nil { // else there is no connection
			b.drop()
		}
	}
}

// close frees the statements. database/sql does not do so when a connection was
// taken out of its pool, and with one of them left SQLite would keep the file open
// and the write-ahead log as it is.
func (s *statements) close() error {
	var errs []error
	for _, b := range s.bulks() {
		if b != nil { // else Open failed before it was made
			errs = append(errs, b.close())
		}
	}
	for _, stmt := range []*sqlx.Stmt{s.known, s.outcome, s.reopenedDone, s.firstState, s.replayDone} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// bulk inserts many rows with few statements. There is one for each of a few sizes,
// prepared when it is first needed.
type bulk struct {
	conn   *sqlx.Conn
	insert string // "INSERT … VALUES"
	suffix string // what follows the rows
	cols   int
	args   []any
	sizes  []int       // rows of each statement, falling to 1
	bySize []*sql.Stmt // nil: not prepared yet
}

func newBulk(conn *sqlx.Conn, sizes []int, insert string, cols int, suffix string) *bulk {
	return &bulk{conn: conn, insert: insert, suffix: suffix, cols: cols, sizes: sizes, bySize: make([]*sql.Stmt, len(sizes))}
}

// bulkSizes returns the lengths of INSERT statements, in rows. Over a socket a
// statement costs a round trip, inside the process next to nothing.
func bulkSizes(in sqldb.Dialect) []int {
	if in == sqldb.Postgres {
		return []int{128, 64, 32, 16, 8, 4, 2, 1}
	}
	return []int{32, 8, 1}
}

// stmt returns the statement of the i-th size.
func (b *bulk) stmt(ctx context.Context, i int) (*sql.Stmt, error) {
	if b.bySize[i] != nil {
		return b.bySize[i], nil
	}
	row := "(?" + strings.Repeat(",?", b.cols-1) + ")"
	stmt, err := b.conn.PrepareContext(ctx, b.insert+" "+sqldb.Values(row, b.sizes[i])+" "+b.suffix)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40s: %w", b.insert, err)
	}
	b.bySize[i] = stmt
	return stmt, nil
}

func (b *bulk) close() error {
	var errs []error
	for _, stmt := range b.bySize {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// add adds one row of cols values.
func (b *bulk) add(values ...any) { b.args = append(b.args, values...) }

func (b *bulk) rows() int { return len(b.args) / b.cols }

func (b *bulk) drop() {
	clear(b.args)
	b.args = b.args[:0]
}

// flush writes the rows that were added, and returns how many of them were inserted.
func (b *bulk) flush(ctx context.Context) (inserted int64, err error) {
	defer b.drop()
	rows := b.rows()
	for at := 0; at < rows; {
		// The longest statement that the rows left can fill; the last has one row.
		size := 0
		for b.sizes[size] > rows-at {
			size++
		}
		next := at + b.sizes[size]
		stmt, err := b.stmt(ctx, size) //nolint:sqlclosecheck // lives as long as the connection
		if err != nil {
			return inserted, err
		}
		res, err := stmt.ExecContext(ctx, b.args[at*b.cols:next*b.cols]...)
		if err != nil {
			return inserted, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return inserted, err
		}
		inserted += n
		at = next
	}
	return inserted, nil
}
