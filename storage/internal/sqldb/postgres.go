package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Bounds of every wait for PostgreSQL. The server ends what takes longer. When it cannot be
// reached any more, the connection gives up netSlack later.
const (
	WriterWait  = 10 * time.Second // for a statement of a writer
	ReaderWait  = 30 * time.Second // for a statement of a reader
	LockWait    = 5 * time.Second  // for a lock
	connectWait = 5 * time.Second
	netSlack    = 5 * time.Second
)

// Settings are those of the sessions of a pool.
type Settings struct {
	Name      string        // what pg_stat_activity shows, in front of the name of the process
	Statement time.Duration // longest time of one statement; 0: no bound
	ReadOnly  bool
	Wait      time.Duration // for the network; default a little longer than Statement
	Idle      time.Duration // longest pause of a transaction between two statements; default a minute
	Async     bool          // a commit need not be on disk
}

// OpenPostgres makes a pool of connections that take statements in SQLite's words. It does not
// connect yet. An error does not show the password.
func OpenPostgres(rawURL, process string, s Settings) (*sqlx.DB, error) {
	cfg, err := pgConfig(rawURL, process, s)
	if err != nil {
		return nil, err
	}
	c, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	wait := s.Wait
	if wait == 0 && s.Statement > 0 {
		wait = s.Statement + netSlack
	}
	c.Dialer(Dialer{wait})
	return sqlx.NewDb(sql.OpenDB(pgConnector{c}), "postgres"), nil
}

// ListenerURL returns the URL of a database for a connection that only listens.
func ListenerURL(rawURL, process string) (string, error) {
	u, err := sslURL(rawURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	for name, value := range map[string]string{
		"application_name": "hookline listen " + process,
		"connect_timeout":  strconv.Itoa(int(connectWait.Seconds())),
	} {
		if q.Get(name) == "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// sslURL reads the URL of a database, and makes it ask for TLS unless it says otherwise.
func sslURL(rawURL string) (*url.URL, error) {
	u, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	if q.Get("sslmode") == "" {
		// The driver's default may change; ours does not.
		q.Set("sslmode", "require")
		u.RawQuery = q.Encode()
	}
	return u, nil
}

// pgConfig returns what lib/pq needs to connect.
func pgConfig(rawURL, process string, s Settings) (pq.Config, error) {
	u, err := sslURL(rawURL)
	if err != nil {
		return pq.Config{}, err
	}
	cfg, err := pq.NewConfig(u.String())
	if err != nil {
		return cfg, fmt.Errorf("database URL: %w", err)
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "hookline " + s.Name + " " + process
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectWait
	}
	// One round trip for a statement that is not prepared, and bytes as bytes.
	cfg.BinaryParameters = true

	// What the operator's URL says has the last word.
	set := func(name, value string) {
		if cfg.Runtime == nil {
			cfg.Runtime = map[string]string{}
		}
		if cfg.Runtime[name] == "" {
			cfg.Runtime[name] = value
		}
	}
	set("lock_timeout", ms(LockWait))
	set("idle_in_transaction_session_timeout", ms(cmp.Or(s.Idle, 2*ReaderWait)))
	set("tcp_user_timeout", ms(2*netSlack))
	if s.Statement > 0 {
		set("statement_timeout", ms(s.Statement))
	}
	if s.Async {
		set("synchronous_commit", "off")
	}
	if s.ReadOnly {
		set("default_transaction_read_only", "on")
	}
	return cfg, nil
}

// ms returns a time as PostgreSQL's settings take it.
func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// ParseURL reads the URL of a PostgreSQL database. The error never shows the URL, which may
// hold a password.
func ParseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return nil, errors.New("must begin with postgres://")
	case strings.Trim(u.Path, "/") == "":
		return nil, errors.New("must name a database: postgres://user:password@host:5432/database")
	}
	return u, nil
}

// IsURL reports whether a store is at the URL of a database, not in a folder.
func IsURL(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// Dialer makes connections whose reads and writes end after Wait. The driver itself would wait
// for ever for a server that went away without closing the connection. 0 means no bound.
type Dialer struct{ Wait time.Duration }

// DialContext implements pq.DialerContext.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{KeepAlive: netSlack}).DialContext(ctx, network, address)
	if err != nil || d.Wait == 0 {
		return c, err
	}
	return &boundedConn{c, d.Wait}, nil
}

// Dial implements pq.Dialer.
func (d Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, connectWait)
}

// DialTimeout implements pq.Dialer.
func (d Dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// boundedConn is a connection whose reads and writes have a deadline.
type boundedConn struct {
	net.Conn
	wait time.Duration
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// pgConnector makes connections that translate statements.
type pgConnector struct{ *pq.Connector }

// Connect implements driver.Connector.
func (c pgConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, AsBusy(err)
	}
	inner, ok := conn.(pgInner)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection is %T", conn), conn.Close())
	}
	return &pgConn{inner}, nil
}

// pgInner is what a connection of lib/pq can do.
type pgInner interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// pgConn takes statements in SQLite's words, and returns errors that say when the database
// is busy.
type pgConn struct{ pgInner }

func (c *pgConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.pgInner.Prepare(translate(query))
	return s, AsBusy(err)
}

func (c *pgConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.pgInner.PrepareContext(ctx, translate(query))
	return s, AsBusy(err)
}

func (c *pgConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.pgInner.BeginTx(ctx, opts)
	return tx, AsBusy(err)
}

func (c *pgConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	res, err := c.pgInner.ExecContext(ctx, translate(query), args)
	return res, AsBusy(err)
}

func (c *pgConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.pgInner.QueryContext(ctx, translate(query), args)
	return rows, AsBusy(err)
}

// CheckNamedValue turns arguments into what PostgreSQL takes. Its text holds no NUL and nothing
// but UTF-8, while order keys, receivers' headers and the like come from outside. What does not
// fit becomes U+FFFD, when it is stored and when it is searched for.
func (c *pgConn) CheckNamedValue(v *driver.NamedValue) error {
	switch x := v.Value.(type) {
	case int64, bool, []byte, nil:
		return nil
	case string:
		v.Value = cleanText(x)
		return nil
	}
	err := c.pgInner.CheckNamedValue(v)
	if errors.Is(err, driver.ErrSkip) {
		v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
	}
	if s, ok := v.Value.(string); ok {
		v.Value = cleanText(s)
	}
	return err
}

// cleanText replaces what PostgreSQL's text cannot hold.
func cleanText(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
