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

// statements of the hot path, prepared once on the writer's connection.
type statements struct {
	ids, events, bodies, masked, deliveries, attempts, hours, minutes, errors *bulk

	known, outcome, reopenedDone *sqlx.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sqlx.Conn, in sqldb.Dialect) error {
	sizes, outcome := bulkSizes(in), outcomeRow
	if in == sqldb.Postgres {
		outcome = outcomeArrays
	}
	for _, b := range []struct {
		to     **bulk
		insert string
		cols   int
		tail   string
	}{
		{&s.ids, "INSERT INTO event_ids (tenant, id, seq, day, hash) VALUES", 5, "ON CONFLICT (tenant, id) DO NOTHING"},
		{&s.events, `INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id,
			process, body_hash, size, matched, warnings, traceparent, hops, test) VALUES`, 17, ""},
		{&s.bodies, "INSERT INTO bodies (seq, tenant, bytes) VALUES", 3, ""},
		{&s.masked, "INSERT INTO masked_bodies (seq, policy, tenant, bytes) VALUES", 4, "ON CONFLICT (seq, policy) DO NOTHING"},
		{&s.deliveries, `INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at,
			give_up_at, accepted_at, late, aside_at) VALUES`, 13, ""},
		{
			&s.attempts, `INSERT INTO attempts (sub, seq, run, n, at, dns, connect, tls, first, total, remote_ip, status,
			class, error, header, body, signed_at, random_code, nonce, key_n, version, late, replay, process, epoch) VALUES`, 25,
			"ON CONFLICT (sub, seq, run, n) DO NOTHING",
		},
	} {
		*b.to = newBulk(conn, sizes, b.insert, b.cols, b.tail)
	}
	s.newHours(conn, in)
	for _, q := range []struct {
		to  **sqlx.Stmt
		sql string
	}{
		{&s.known, "SELECT seq, hash FROM event_ids WHERE tenant = ? AND id = ?"},
		{&s.outcome, outcome},
		{&s.reopenedDone, `UPDATE deliveries SET state = ?, done_at = ?, last_status = coalesce(?, last_status), last_error = ?
			WHERE sub = ? AND seq = ? AND run = 0 AND state = 6`},
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
	return []*bulk{s.ids, s.events, s.bodies, s.masked, s.deliveries, s.attempts, s.hours, s.minutes, s.errors}
}

// drop forgets the rows of a transaction that failed.
func (s *statements) drop() {
	for _, b := range s.bulks() {
		if b != nil { // there is no connection
			b.drop()
		}
	}
}

// close frees the statements. database/sql does not, of a connection that was
// taken out; with one of them left SQLite would keep the file open and the
// write-ahead log as it is.
func (s *statements) close() error {
	var errs []error
	for _, b := range s.bulks() {
		if b != nil { // Open failed before it came to be
			errs = append(errs, b.close())
		}
	}
	for _, stmt := range []*sqlx.Stmt{s.known, s.outcome, s.reopenedDone} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// bulk inserts many rows with few statements: of some sizes, each prepared when
// it is first needed.
type bulk struct {
	conn   *sqlx.Conn
	insert string // "INSERT … VALUES"
	tail   string // what follows the rows
	cols   int
	args   []any
	sizes  []int // rows of each statement, falling to 1
	by     []*sql.Stmt
}

func newBulk(conn *sqlx.Conn, sizes []int, insert string, cols int, tail string) *bulk {
	return &bulk{conn: conn, insert: insert, tail: tail, cols: cols, sizes: sizes, by: make([]*sql.Stmt, len(sizes))}
}

// stmt of the i-th size.
func (b *bulk) stmt(ctx context.Context, i int) (*sql.Stmt, error) {
	if b.by[i] != nil {
		return b.by[i], nil
	}
	row := "(?" + strings.Repeat(",?", b.cols-1) + ")"
	stmt, err := b.conn.PrepareContext(ctx, b.insert+" "+row+strings.Repeat(","+row, b.sizes[i]-1)+" "+b.tail)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40s: %w", b.insert, err)
	}
	b.by[i] = stmt
	return stmt, nil
}

func (b *bulk) close() error {
	var errs []error
	for _, stmt := range b.by {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// add one row of cols values.
func (b *bulk) add(values ...any) { b.args = append(b.args, values...) }

func (b *bulk) rows() int { return len(b.args) / b.cols }

func (b *bulk) drop() {
	clear(b.args)
	b.args = b.args[:0]
}

// flush writes the rows added and returns how many were inserted.
func (b *bulk) flush(ctx context.Context) (int64, error) {
	defer b.drop()
	rows, inserted := b.rows(), int64(0)
	for at := 0; at < rows; {
		for i, n := range b.sizes {
			if rows-at < n {
				continue
			}
			stmt, err := b.stmt(ctx, i) //nolint:sqlclosecheck // lives as long as the connection
			if err != nil {
				return inserted, err
			}
			res, err := stmt.ExecContext(ctx, b.args[at*b.cols:(at+n)*b.cols]...)
			if err != nil {
				return inserted, err
			}
			k, err := res.RowsAffected()
			if err != nil {
				return inserted, err
			}
			inserted += k
			at += n
			break
		}
	}
	return inserted, nil
}

// bulkSizes are the lengths in rows of INSERT statements. Over a socket a
// statement costs a round trip, inside the process next to nothing.
func bulkSizes(in sqldb.Dialect) []int {
	if in == sqldb.Postgres {
		return []int{128, 64, 32, 16, 8, 4, 2, 1}
	}
	return []int{32, 8, 1}
}
