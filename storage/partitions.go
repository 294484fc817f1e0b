package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// On PostgreSQL the number of an event begins with the day of its acceptance, counted
// from 1970 by the server's clock in UTC. The lower dayBits count the events of that day.
// Each morning the first process to notice moves the sequence on.
//
// So a day is a range of numbers: what is partitioned by number is partitioned by day,
// whoever knows a number knows the partition, and "newest first" is one partition after
// the other. A few events around midnight may bear the day before, and a day with more
// than 2^32 events would take numbers of the next; neither does any harm.
const (
	dayBits   = 32
	daysAhead = 2 // partitions made before they are needed
)

// stepDays is how many partitions one page of the log looks at. Each costs a lock for each
// of its indexes, and the server has room for a few thousand locks.
const stepDays = 31

// dayTables are the tables that are partitioned by day.
var dayTables = []string{"events", "bodies", "masked_bodies", "attempts"}

// partition returns the name of a day's partition.
func partition(table string, day int64) string {
	return table + "_" + time.UnixMilli(day*dayMS).UTC().Format("20060102")
}

// prepareDays makes the partitions of today and of the days to come, and then lets
// today's numbers begin. Any number of processes may call it at once.
func (db *DB) prepareDays(ctx context.Context) error {
	today, reached, err := db.day(ctx)
	if err != nil {
		return err
	}
	for day := today; day <= today+daysAhead; day++ {
		for _, table := range dayTables {
			if err := db.makePartition(ctx, table, day); err != nil {
				return fmt.Errorf("partition %s: %w", partition(table, day), err)
			}
		}
	}
	if err := db.noteDays(ctx); err != nil || reached >= today {
		return err
	}

	// Today begins, unless another process is faster.
	tx, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin day: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := db.in.Wait(ctx, tx, sqldb.TurnDays); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "SELECT setval('event_seq', ?) FROM event_seq WHERE last_value < ?",
		today<<dayBits, today<<dayBits); err != nil {
		return fmt.Errorf("begin day: %w", err)
	}
	return tx.Commit()
}

// originGap is how many numbers are left out when the database turns out to be another one
// than before: restored from a backup, or a standby that took over and perhaps lacks the
// last commits. Receivers know a delivery by its number. If another event got the same
// number, they would take it for a duplicate and drop it. The gap is seven hours at 10,000
// events a second; a day has room for 15 gaps.
const originGap = 1 << 28

// checkOrigin leaves a gap in the numbers when the database is another one than
// when they were last taken.
func (db *DB) checkOrigin(ctx context.Context, q sqlx.QueryerContext) error {
	var now string
	err := sqlx.GetContext(ctx, q, &now, `SELECT
			system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '/' || d.oid
		FROM pg_control_system(), pg_database d WHERE d.datname = current_database()`)
	if pq.As(err, pqerror.InsufficientPrivilege) != nil {
		db.log.Warn("whether the database was restored cannot be seen: see to a gap in event_seq by hand", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("which server this is: %w", err)
	}
	if was, err := readOrigin(ctx, q); err != nil || was == now {
		return err
	}

	// It is another one. The first process to notice leaves the gap.
	tx, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := db.in.Wait(ctx, tx, sqldb.TurnDays); err != nil {
		return err
	}
	was, err := readOrigin(ctx, tx)
	if err != nil || was == now {
		return err
	}
	if was != "" {
		db.log.Warn("the database was restored, or another server took over: numbers go on after a gap",
			"was", was, "is", now)
		if _, err := tx.ExecContext(ctx, "SELECT setval('event_seq', last_value + ?) FROM event_seq",
			int64(originGap)); err != nil {
			return fmt.Errorf("leave a gap: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('origin', ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, []byte(now)); err != nil {
		return fmt.Errorf("note which server this is: %w", err)
	}
	return tx.Commit()
}

// readOrigin returns which server the numbers were last taken from; "" if none were.
func readOrigin(ctx context.Context, q sqlx.QueryerContext) (string, error) {
	var was []byte
	err := sqlx.GetContext(ctx, q, &was, "SELECT value FROM meta WHERE name = 'origin'")
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("which server it was: %w", err)
	}
	return string(was), nil
}

// daysOf returns the days that have a partition of a table, oldest first.
func (db *DB) daysOf(ctx context.Context, table string) ([]int64, error) {
	var names []string
	if err := db.pool.SelectContext(ctx, &names, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = to_regclass(?)`, table); err != nil {
		return nil, fmt.Errorf("partitions of %s: %w", table, err)
	}
	var days []int64
	for _, name := range names {
		at, err := time.Parse("20060102", strings.TrimPrefix(name, table+"_"))
		if err != nil {
			continue // the partition for rows of all other days
		}
		days = append(days, at.UnixMilli()/dayMS)
	}
	slices.Sort(days)
	return days, nil
}

// noteDays remembers the number from which on there are partitions for days.
func (db *DB) noteDays(ctx context.Context) error {
	days, err := db.daysOf(ctx, "events")
	if err == nil && len(days) > 0 {
		db.firstSeq.Store(days[0] << dayBits)
	}
	return err
}

// day returns today by the server's clock, and the day that numbers have reached.
func (db *DB) day(ctx context.Context) (today, reached int64, err error) {
	err = db.pool.QueryRowxContext(ctx, `SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint, last_value
		FROM event_seq`).Scan(&today, &reached)
	if err != nil {
		return 0, 0, fmt.Errorf("day of numbers: %w", err)
	}
	return today, reached >> dayBits, nil
}

// makePartition makes the partition of a day, unless there is one. It is made apart and
// then attached, which keeps nobody from reading or writing the other partitions.
func (db *DB) makePartition(ctx context.Context, table string, day int64) error {
	name := partition(table, day)
	if there, err := db.hasTable(ctx, db.pool, name); err != nil || there {
		return err
	}

	tx, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := db.in.Wait(ctx, tx, sqldb.TurnDays); err != nil {
		return err
	}
	if there, err := db.hasTable(ctx, tx, name); err != nil || there {
		return err
	}

	for _, stmt := range []string{
		"CREATE TABLE " + name + " (LIKE " + table + " INCLUDING ALL)",
		fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)",
			table, name, day<<dayBits, (day+1)<<dayBits),
	} {
		if _, err := tx.ExecContext(ctx, stmt); err != nil {
			if pq.As(err, pqerror.CheckViolation) != nil {
				// Nobody made it in time. The partition for all other days has rows of that
				// day already, and keeps them.
				db.log.Warn("partition comes too late", "table", name)
				return nil
			}
			return err
		}
	}
	return tx.Commit()
}

// hasTable reports whether there is a table. It reads the catalogue itself, because
// to_regclass may answer from what the connection remembers, and miss what another process
// has just made.
func (db *DB) hasTable(ctx context.Context, q sqlx.QueryerContext, name string) (there bool, err error) {
	err = sqlx.GetContext(ctx, q, &there, `SELECT EXISTS
		(SELECT 1 FROM pg_class WHERE relname = ? AND relnamespace = current_schema()::regnamespace)`, name)
	return there, err
}
