package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/hookline/hookline/hub/ingest"
)

var (
	// ErrLocked is returned when another process serves the same data folder.
	ErrLocked = errors.New("another hookline process uses this data folder")
	// ErrClosed is returned to those who ask the writer after the store began to close.
	ErrClosed = errors.New("the store is closing")
	// ErrSlow means that the database answers, or may do so, but takes too long.
	ErrSlow = errors.New("the database is too slow")
)

// ConflictTries is how often a transaction is tried while others get in its way,
// before it counts as refused.
const ConflictTries = 5

// Unavailable reports whether the database cannot take anything now, whatever it
// is: it is full, cannot be reached, or is being stopped.
func Unavailable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // the caller went away; the database did not
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return postgresUnavailable(err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

func postgresUnavailable(err error) bool {
	e := pq.As(err)
	if e == nil {
		return IsLost(err) || errors.Is(err, ErrSlow)
	}

	switch e.Code.Class() {
	case "08", // connection
		"53", // out of space, memory or connections
		"57", // shutting down, starting, cancelled for its time
		"58": // the system below it
		return true
	}

	switch e.Code {
	case pqerror.ReadOnlySQLTransaction, pqerror.LockNotAvailable, pqerror.IdleInTransactionSessionTimeout,
		pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected:
		return true
	}
	return false
}

// AsBusy wraps an error that means "not now" in ingest.ErrBusy, and returns any
// other error as it is.
func AsBusy(err error) error {
	if err == nil || !Unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ingest.ErrBusy, err)
}

// IsLost reports whether err means that the connection is gone.
func IsLost(err error) bool {
	if _, is := errors.AsType[net.Error](err); is {
		return true
	}
	if e := pq.As(err); e != nil {
		// The server ended the connection: it stops, or an operator asked for it.
		return e.Code.Class() == "57" && e.Code != pqerror.QueryCanceled
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// IsConflict reports whether a transaction failed because another got in its way.
// The same transaction may succeed when it is run again.
func IsConflict(err error) bool {
	return pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected) != nil
}

// IsNoTable reports whether PostgreSQL does not know a table. On SQLite the file
// itself is missing then.
func IsNoTable(err error) bool { return pq.As(err, pqerror.UndefinedTable) != nil }

// IsUnique reports whether a row was refused because another has the same key.
func IsUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
	}
	return pq.As(err, pqerror.UniqueViolation) != nil
}

// IsUnfit reports whether the database refuses what a statement would store, and
// will refuse it again: a value is too long for an index, out of range, or no text.
func IsUnfit(err error) bool {
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
