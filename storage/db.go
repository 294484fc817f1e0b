// Package storage holds all SQL: one file per subject, each statement beside the scan that
// reads it. What the hub knows survives here, and nowhere else.
//
// SQLite is written by one goroutine over one connection (writer.go), which commits whatever
// waits as one transaction. Everybody else reads through a pool; each statement is a short
// transaction of its own that sees every commit before it. PostgreSQL is written by a few such
// goroutines, in any number of processes. Statements are the same for both, in the words that
// SQLite takes; what speaks to the databases is in internal/sqldb. What the query APIs answer
// from is made of the events that are stored here, in folds.
package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/migrations"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

var (
	_ ingest.Store   = (*DB)(nil)
	_ delivery.Store = (*DB)(nil)
)

// File is the name of the database in its folder.
const File = "hookline.db"

// Errors of the databases, for those who call the store.
var (
	ErrLocked = sqldb.ErrLocked // another process serves the same folder
	ErrClosed = sqldb.ErrClosed // the store is closing
)

// ParseURL reads the URL of a PostgreSQL database. The error never shows it: it
// may hold a password.
func ParseURL(raw string) (*url.URL, error) { return sqldb.ParseURL(raw) }

// Config says where a store is and how it works: embedded in Dir or, if there is a URL, on
// PostgreSQL. Zero values mean the defaults.
type Config struct {
	Dir string // folder of the database and its lock file; made when absent
	URL string // postgres://…; never shown, because it may hold a password
	// Writers is how many connections commit on PostgreSQL, one of them outcomes, the others
	// accepts; 2 or more, default 3. With two for accepts, one that waits for a lock does not
	// hold up the other.
	Writers    int
	Readers    int          // connections that read; default 8, on PostgreSQL 16
	Process    string       // name of this process in events and attempts
	Box        *signing.Box // seals secrets at rest
	CacheBytes int          // of bodies just committed, kept for their push; default 64 MiB
	QueueBytes int          // of bodies waiting for the writer; past them ErrBusy; default 64 MiB
	PageRows   int          // rows that a page of the log may look at; default DefaultPageRows
	MaxPages   int          // PRAGMA max_page_count, for tests of a full disk; 0: no bound
	Log        *slog.Logger

	// The functions below are called after a commit, and must not block. All but Nudge may
	// be nil.

	// Nudge is called when rows have become pending.
	Nudge func(subs []Rows)
	// Committed is called with the number of events and outcomes of the commit, and how long
	// it took.
	Committed func(events, outcomes int, took time.Duration)
	// Stored is called for each tenant whose events were stored.
	Stored func(tenant int64)
	// Changed is called for every subscription that was made (before is nil), changed or deleted.
	Changed func(before, after *subscriptions.Subscription)
	// Acted is called after a change of which other processes must know: of tenants, keys or
	// subscriptions.
	Acted func()
}

// Rows says that a subscription has new pending rows. If From is not 0, some may have become
// visible below others, from that event number on.
type Rows struct {
	Sub, From int64
	Replays   bool // its runs of replays changed
	Again     bool // runs ended that nobody has sent
}

// DB is the store.
type DB struct {
	cfg     Config
	in      sqldb.Dialect
	lock    *os.File // SQLite's folder
	pool    *sqlx.DB // of the connections that write; SQLite: one, which the writer holds
	read    *sqlx.DB
	lease   *sqlx.DB // of one connection, for shards; SQLite: nil
	index   *subscriptions.Index
	indexed indexVersion

	firstSeq atomic.Int64 // number from which on there are partitions for days

	box        *signing.Box
	subjects   search.Subjects
	rejected   rejections // refused events that are not counted yet
	countsFrom int64      // the first hour of which events, and deliveries by type, are counted
	cache      *cache
	writer     *writer
	notes      notes
	inbox      inbox
	dir        directories
	log        *slog.Logger

	jobs    chan struct{} // of capacity 1: a job waits for RunJobs
	replays chan struct{} // of capacity 1: a job waits for RunReplays
}

const lockName = "hookline.lock"

const pragmas = "_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
	"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)" +
	"&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16384)"

// Open migrates the database, loads what is kept in memory and starts the writer. Close ends
// it. The embedded store locks its folder first.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 64 << 20
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = 64 << 20
	}
	if cfg.Nudge == nil {
		cfg.Nudge = func([]Rows) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}

	db := &DB{
		cfg: cfg, box: cfg.Box, subjects: search.Subjects{Key: cfg.Box.Subkey(signing.LabelSubject)}, log: cfg.Log,
		index: subscriptions.NewIndex(), cache: newCache(cfg.CacheBytes),
		jobs: make(chan struct{}, 1), replays: make(chan struct{}, 1), notes: notes{turn: make(chan struct{}, 1)},
		inbox: inbox{turn: make(chan struct{}, 1)},
	}
	connect, where := db.openSQLite, cfg.Dir
	if cfg.URL != "" {
		db.in, connect, where = sqldb.Postgres, db.openPostgres, "PostgreSQL"
	}
	err := connect(ctx)
	if err == nil {
		err = db.load(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store in %s: %w", where, err), db.closeFiles())
	}
	return db, nil
}

// openSQLite opens the store in a folder.
func (db *DB) openSQLite(ctx context.Context) (err error) {
	if err := os.MkdirAll(db.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if db.lock, err = sqldb.LockFile(filepath.Join(db.cfg.Dir, lockName)); err != nil {
		return err
	}
	if err := ownerOnly(filepath.Join(db.cfg.Dir, File)); err != nil {
		return err
	}

	// One connection that writes, which the writer will hold.
	dsn := fileURI(filepath.Join(db.cfg.Dir, File)) + "?" + pragmas
	if db.cfg.MaxPages > 0 {
		dsn += fmt.Sprintf("&_pragma=max_page_count(%d)", db.cfg.MaxPages)
	}
	if db.pool, err = sqlx.Open("sqlite", dsn); err != nil {
		return err
	}
	db.pool.SetMaxOpenConns(1)
	if err := migrate(ctx, db.pool.DB, goose.DialectSQLite3, migrations.SQLite, "sqlite"); err != nil {
		return err
	}

	if db.read, err = sqlx.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return err
	}
	readers := cmp.Or(db.cfg.Readers, 8)
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	return nil
}

// ownerOnly makes the database file, if it is not there yet, so that only its owner can
// read and write it, and takes the others' rights away from one that an earlier version
// made. SQLite gives its log files the mode of the database.
func ownerOnly(path string) error {
	const mode = 0o600
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	if err := errors.Join(f.Chmod(mode), f.Close()); err != nil {
		return fmt.Errorf("database file: %w", err)
	}

	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Chmod(path+suffix, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("database file: %w", err)
		}
	}
	return nil
}

// openPostgres opens the store on a server.
func (db *DB) openPostgres(ctx context.Context) (err error) {
	if err := migratePostgres(ctx, db.cfg.URL, db.cfg.Process); err != nil {
		return err
	}

	// Connections for the writers, one each for changes by admins, upkeep, retention and
	// what comes now and then, and two for folds.
	write := sqldb.Settings{Name: "write", Statement: sqldb.WriterWait, Idle: sqldb.LockWait}
	if db.pool, err = sqldb.OpenPostgres(db.cfg.URL, db.cfg.Process, write); err != nil {
		return err
	}
	db.cfg.Writers = max(2, cmp.Or(db.cfg.Writers, 3))
	db.pool.SetMaxOpenConns(db.cfg.Writers + 6)
	db.pool.SetMaxIdleConns(db.cfg.Writers + 4)

	// One for shards, which no other work may delay.
	lease := sqldb.Settings{Name: "shards", Statement: leaseWait, Wait: leaseWait}
	if db.lease, err = sqldb.OpenPostgres(db.cfg.URL, db.cfg.Process, lease); err != nil {
		return err
	}
	db.lease.SetMaxOpenConns(1)

	read := sqldb.Settings{Name: "read", Statement: sqldb.ReaderWait, ReadOnly: true}
	if db.read, err = sqldb.OpenPostgres(db.cfg.URL, db.cfg.Process, read); err != nil {
		return err
	}
	readers := cmp.Or(db.cfg.Readers, 16)
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	return db.prepareDays(ctx)
}

// load reads what is kept in memory, and starts the writer.
func (db *DB) load(ctx context.Context) (err error) {
	if err := db.checkMasterKey(ctx); err != nil {
		return err
	}
	if err := db.loadCountsFrom(ctx); err != nil {
		return err
	}
	if db.writer, err = newWriter(ctx, db); err != nil {
		return err
	}
	if err := db.LoadSubscriptions(ctx); err != nil {
		return err
	}
	if err := db.FollowDirectory(ctx); err != nil {
		return err
	}
	db.index.Departments = db.dir.book.Departments
	if err := db.writer.load(ctx); err != nil {
		return err
	}
	db.writer.start()
	return nil
}

// Close commits what waits, then closes the database and frees the folder.
func (db *DB) Close() error {
	db.writer.stop()
	return db.closeFiles()
}

func (db *DB) closeFiles() error {
	var errs []error
	if db.read != nil {
		errs = append(errs, db.read.Close())
	}
	if db.lease != nil {
		errs = append(errs, db.lease.Close())
	}
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	if db.pool != nil {
		errs = append(errs, db.pool.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Index returns the matching index, which the store keeps in step with its commits.
func (db *DB) Index() *subscriptions.Index { return db.index }

// awayFor is how long a refused commit counts. Without new work nothing would show that the
// database takes commits again.
const awayFor = 5 * time.Second

// Ping returns an error if the database does not answer, or refused the last commit.
func (db *DB) Ping(ctx context.Context) error {
	if at := db.writer.away.Load(); at > 0 && time.Since(time.UnixMilli(at)) < awayFor {
		return errors.New("the last commit was refused, as for want of space")
	}
	var one int
	return db.read.GetContext(ctx, &one, "SELECT 1")
}

// migratePostgres migrates the database. Several processes may call it at once: they take turns.
func migratePostgres(ctx context.Context, url, process string) error {
	// Connections of their own, because a migration may take longer than any statement of ours.
	pool, err := sqldb.OpenPostgres(url, process, sqldb.Settings{Name: "migrate"})
	if err != nil {
		return err
	}
	defer pool.Close()
	turns, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return migrate(ctx, pool.DB, goose.DialectPostgres, migrations.Postgres, "postgres", goose.WithSessionLocker(turns))
}

// migrate brings the schema up to date.
func migrate(
	ctx context.Context, pool *sql.DB, d goose.Dialect, files fs.FS, dir string, options ...goose.ProviderOption,
) error {
	fsys, err := fs.Sub(files, dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d, pool, fsys, options...)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// checkMasterKey refuses a store whose secrets were sealed with another key. A new store gets
// its check value, and with it the head of its audit log, because a log without a head counts
// as tampered with.
func (db *DB) checkMasterKey(ctx context.Context) error {
	tx, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := db.in.Wait(ctx, tx, sqldb.TurnStart); err != nil {
		return err
	}
	err = checkKey(ctx, tx, db.box)
	if !errors.Is(err, errNoKeyCheck) {
		return err
	}

	// A new store.
	if _, err := tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('master_key_check', ?)",
		db.box.Check()); err != nil {
		return err
	}
	if err := setHead(ctx, tx, audit.NewHead(), db.auditKey()); err != nil {
		return err
	}
	return tx.Commit()
}

var errNoKeyCheck = errors.New("the store does not say which master key sealed it")

// checkKey returns an error unless a store's secrets were sealed with the key of box. It is
// errNoKeyCheck if the store is new.
func checkKey(ctx context.Context, q sqlx.QueryerContext, box *signing.Box) error {
	var stored []byte
	err := sqlx.GetContext(ctx, q, &stored, "SELECT value FROM meta WHERE name = 'master_key_check'")
	if errors.Is(err, sql.ErrNoRows) {
		return errNoKeyCheck
	}
	if sqldb.IsNoTable(err) {
		return fmt.Errorf("no store in this database: %w", fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	if !box.Matches(stored) {
		return errors.New("the master key is not the one that sealed this store's secrets")
	}
	return nil
}

// openReader opens the database of a folder, or at a URL, for reading only, even while others
// serve it. It creates nothing.
func openReader(dir string) (*sqlx.DB, error) {
	if sqldb.IsURL(dir) {
		return sqldb.OpenPostgres(dir, "", sqldb.Settings{Name: "inspect", ReadOnly: true})
	}
	path := filepath.Join(dir, File)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no store in %s: %w", dir, err)
	}
	return openFile(path, "mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(10000)")
}

// openFile opens a database file with the options of SQLite's URI.
func openFile(path, options string) (*sqlx.DB, error) {
	return sqlx.Open("sqlite", fileURI(path)+"?"+options)
}

// fileURI returns the name of a file for SQLite, whatever characters its path has.
func fileURI(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// Alone runs fn while no other process runs a function that it gave to Alone.
func (db *DB) Alone(ctx context.Context, fn func() error) error {
	if db.in == sqldb.SQLite {
		return fn()
	}
	tx, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("wait for other processes: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it held the lock, and nothing else
	if err := db.in.Wait(ctx, tx, sqldb.TurnAlone); err != nil {
		return err
	}
	return fn()
}
