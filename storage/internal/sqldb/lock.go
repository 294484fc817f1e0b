package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/jmoiron/sqlx"
)

// LockFile takes an exclusive lock on a file, which the kernel drops when the
// process ends, however it ends. The error wraps ErrLocked if another holds it.
func LockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrLocked, path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// Turn is something that processes take turns at, on PostgreSQL. SQLite has one
// process and one writer, so nobody waits there.
type Turn int64

// The turns, as numbers of advisory locks.
const (
	TurnStart     Turn = 0x686f6f6b00 + iota // make what a new store needs
	TurnMatching                             // change a subscription; shared: match events
	TurnAudit                                // write rows behind the head of the audit log
	TurnRetention                            // delete what is old
	TurnAlone                                // make the first credentials
	TurnDays                                 // make and drop partitions, move on to a new day
	TurnIndexing                             // index the numbers of old events
)

// Halves returns the turn as pg_locks shows it: columns classid and objid.
func (t Turn) Halves() (class, object int64) { return int64(t) >> 32, int64(t) & (1<<32 - 1) }

// Wait waits for a turn and keeps it until tx ends.
func (d Dialect) Wait(ctx context.Context, tx *sqlx.Tx, t Turn) error {
	if d == SQLite {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", int64(t)); err != nil {
		return fmt.Errorf("wait for other processes: %w", err)
	}
	return nil
}

// Try runs fn while no other process has the turn. If another has it now, fn is
// not run and the error is nil.
func (d Dialect) Try(ctx context.Context, pool *sqlx.DB, t Turn, fn func() error) error {
	if d == SQLite {
		return fn()
	}

	// The lock belongs to a session, so that no transaction stays open while fn runs.
	conn, err := pool.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var mine bool
	if err := conn.GetContext(ctx, &mine, "SELECT pg_try_advisory_lock(?)", int64(t)); err != nil || !mine {
		return err
	}
	end := context.WithoutCancel(ctx)
	defer conn.ExecContext(end, "SELECT pg_advisory_unlock(?)", int64(t)) //nolint:errcheck // it ends with the connection

	return fn()
}
