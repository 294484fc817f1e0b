package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Condition is the condition of a store, as seen by somebody who does not serve it.
type Condition struct {
	Exists   bool
	Served   bool // a process holds the folder's lock, or is connected
	Bytes    int64
	WALBytes int64 // of the write-ahead log
	Schema   int64 // number of the last migration
	Key      error // not nil: the store was sealed with another master key, or does not say which
	Damage   error // not nil: what the integrity check found
	LastAt   int64 // when it accepted its latest event, Unix ms; 0: it has no event

	Server *Server // nil for an embedded store
}

// Server is the PostgreSQL that a store is on.
type Server struct {
	Version     string
	Numeric     int           // e.g. 150004
	ReadOnly    bool          // a standby, or set so
	Durable     bool          // a commit that was answered survives a crash of the machine
	Ahead       time.Duration // of our clock
	Connections int           // in use, of all that connect to it
	Most        int           // that it allows
}

// Inspect looks at the store of a folder, or at the URL of a database, without changing it,
// even while it is served. The integrity check of an embedded store reads the whole file. If
// box is nil, the key is not compared.
func Inspect(ctx context.Context, dir string, box *signing.Box) (c Condition, err error) {
	if sqldb.IsURL(dir) {
		return inspectServer(ctx, dir, box)
	}

	// The files.
	path := filepath.Join(dir, File)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Exists, c.Bytes = true, info.Size()
	if wal, err := os.Stat(path + "-wal"); err == nil {
		c.WALBytes = wal.Size()
	}
	lock, err := sqldb.LockFile(filepath.Join(dir, lockName))
	switch {
	case err == nil:
		_ = lock.Close() // at once: somebody may be about to start
	case errors.Is(err, ErrLocked):
		c.Served = true
	default:
		return c, err
	}

	// What is in them.
	read, err := openReader(dir)
	if err != nil {
		return c, err
	}
	defer read.Close()
	c.Damage = quickCheck(ctx, read)
	if c.Damage != nil {
		return c, nil
	}
	if box != nil {
		c.Key = checkKey(ctx, read, box)
	}
	return c, c.read(ctx, read, 0)
}

// read reads what every store has. The latest event has at least the number from.
func (c *Condition) read(ctx context.Context, q *sqlx.DB, from int64) error {
	if err := q.GetContext(ctx, &c.Schema, "SELECT max(version_id) FROM goose_db_version"); err != nil {
		return fmt.Errorf("schema: %w", err)
	}

	// The latest event of each tenant costs one seek.
	var at sql.NullInt64
	if err := q.GetContext(ctx, &at, `SELECT max((SELECT accepted_at FROM events
		WHERE tenant = no AND seq >= ? ORDER BY seq DESC LIMIT 1)) FROM tenants`, from); err != nil {
		return fmt.Errorf("latest event: %w", err)
	}
	c.LastAt = at.Int64
	return nil
}

// inspectServer looks at a store on PostgreSQL.
func inspectServer(ctx context.Context, url string, box *signing.Box) (c Condition, err error) {
	// Not as a reader, because whether others may write is one of the questions.
	read, err := sqldb.OpenPostgres(url, "", sqldb.Settings{Name: "inspect", Statement: sqldb.ReaderWait})
	if err != nil {
		return c, err
	}
	defer read.Close()
	s := &Server{}
	var now int64
	if err := read.QueryRowxContext(ctx, `SELECT
			current_setting('server_version'), current_setting('server_version_num')::int,
			pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
			current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
				AND current_setting('synchronous_commit') <> 'off',
			(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
			(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
			current_setting('max_connections')::int,
			pg_database_size(current_database()), to_regclass('meta') IS NOT NULL,
			EXISTS (SELECT 1 FROM pg_stat_activity
				WHERE datname = current_database() AND application_name LIKE 'hookline write %')`).
		Scan(&s.Version, &s.Numeric, &s.ReadOnly, &s.Durable, &now, &s.Connections, &s.Most, &c.Bytes, &c.Exists,
			&c.Served); err != nil {
		return c, fmt.Errorf("ask the server: %w", err)
	}
	s.Ahead = time.Until(time.UnixMilli(now))
	c.Server = s
	if !c.Exists {
		return c, nil
	}

	if box != nil {
		c.Key = checkKey(ctx, read, box)
	}
	var last int64
	if err := read.GetContext(ctx, &last, "SELECT last_value FROM event_seq"); err != nil {
		return c, fmt.Errorf("latest event: %w", err)
	}
	return c, c.read(ctx, read, (last>>dayBits-1)<<dayBits)
}

// quickCheck reads the whole database. The error says what is damaged.
func quickCheck(ctx context.Context, q sqlx.QueryerContext) error {
	var found []string
	if err := sqlx.SelectContext(ctx, q, &found, "PRAGMA quick_check(10)"); err != nil {
		return err
	}
	if len(found) == 1 && found[0] == "ok" {
		return nil
	}
	return errors.New(strings.Join(found, "; "))
}
