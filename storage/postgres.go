package storage

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/hookline/hookline/hub/ingest"
)

// Bounds of every wait for PostgreSQL. The server ends what takes longer; when
// it cannot be reached any more, the connection gives up a little later.
const (
	connectWait = 5 * time.Second
	writerWait  = 10 * time.Second // a statement of a writer
	readerWait  = 30 * time.Second
	lockWait    = 5 * time.Second
	netSlack    = 5 * time.Second
)

// pgSettings of a pool's sessions.
type pgSettings struct {
	name      string        // what pg_stat_activity shows, behind the name of the process
	statement time.Duration // 0: no bound
	readOnly  bool
	wait      time.Duration // for the network; default a little longer than statement
	idle      time.Duration // of a transaction between two statements; default a minute
	async     bool          // a commit need not be on disk
}

// openPostgres makes a pool of connections that take statements in SQLite's
// words. Nothing is connected yet. An error does not show the password.
func openPostgres(rawURL, process string, s pgSettings) (*sqlx.DB, error) {
	cfg, err := pgConfig(rawURL, process, s)
	if err != nil {
		return nil, err
	}
	c, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	wait := s.wait
	if wait == 0 && s.statement > 0 {
		wait = s.statement + netSlack
	}
	c.Dialer(pgDialer{wait})
	return sqlx.NewDb(sql.OpenDB(pgConnector{c}), "postgres"), nil
}

// listenerURL names the database to a connection that only listens.
func listenerURL(rawURL, process string) (string, error) {
	u, err := sslURL(rawURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	for name, value := range map[string]string{
		"application_name": "hookline listen " + process, "connect_timeout": strconv.Itoa(int(connectWait.Seconds())),
	} {
		if q.Get(name) == "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

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

func pgConfig(rawURL, process string, s pgSettings) (pq.Config, error) {
	u, err := sslURL(rawURL)
	if err != nil {
		return pq.Config{}, err
	}
	cfg, err := pq.NewConfig(u.String())
	if err != nil {
		return cfg, fmt.Errorf("database URL: %w", err)
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "hookline " + s.name + " " + process
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectWait
	}
	// One round trip for a statement that is not prepared, and bytes as bytes.
	cfg.BinaryParameters = true
	set := func(name, value string) {
		if cfg.Runtime == nil {
			cfg.Runtime = map[string]string{}
		}
		if cfg.Runtime[name] == "" { // the operator's URL may say otherwise
			cfg.Runtime[name] = value
		}
	}
	set("lock_timeout", ms(lockWait))
	set("idle_in_transaction_session_timeout", ms(cmp.Or(s.idle, 2*readerWait)))
	set("tcp_user_timeout", ms(2*netSlack))
	if s.statement > 0 {
		set("statement_timeout", ms(s.statement))
	}
	if s.async {
		set("synchronous_commit", "off")
	}
	if s.readOnly {
		set("default_transaction_read_only", "on")
	}
	return cfg, nil
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// ParseURL reads the URL of a PostgreSQL database. The error never shows it: it
// may hold a password.
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

// isURL tells the URL of a database from a folder.
func isURL(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// pgDialer makes connections whose reads and writes end: the driver itself would
// wait for ever for a server that went away without a word. wait 0: no bound.
type pgDialer struct{ wait time.Duration }

// DialContext implements pq.DialerContext.
func (d pgDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{KeepAlive: netSlack}).DialContext(ctx, network, address)
	if err != nil || d.wait == 0 {
		return c, err
	}
	return &boundedConn{c, d.wait}, nil
}

// Dial implements pq.Dialer.
func (d pgDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, connectWait)
}

// DialTimeout implements pq.Dialer.
func (d pgDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

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

// pgConnector makes connections that translate.
type pgConnector struct{ *pq.Connector }

// Connect implements driver.Connector.
func (c pgConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, asBusy(err)
	}
	inner, ok := conn.(pgInner)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection is %T", conn), conn.Close())
	}
	return &pgConn{inner}, nil
}

// pgInner is what lib/pq's connection can do.
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

type pgConn struct{ pgInner }

func (c *pgConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.pgInner.Prepare(translate(query))
	return s, asBusy(err)
}

func (c *pgConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.pgInner.PrepareContext(ctx, translate(query))
	return s, asBusy(err)
}

func (c *pgConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.pgInner.BeginTx(ctx, opts)
	return tx, asBusy(err)
}

func (c *pgConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	res, err := c.pgInner.ExecContext(ctx, translate(query), args)
	return res, asBusy(err)
}

func (c *pgConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.pgInner.QueryContext(ctx, translate(query), args)
	return rows, asBusy(err)
}

// asBusy makes an error that is nobody's fault one of "come back later".
func asBusy(err error) error {
	if err == nil || !unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ingest.ErrBusy, err)
}

// CheckNamedValue makes arguments what PostgreSQL takes. Its text holds no NUL
// and nothing but UTF-8, while order keys, receivers' headers and the like come
// from outside: what does not fit becomes U+FFFD, in rows and in questions alike.
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

func cleanText(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// isConflict says that a transaction got in the way of another: made anew, it
// may well succeed.
func isConflict(err error) bool {
	return pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected) != nil
}

// pgUnavailable says that PostgreSQL cannot take anything now, whatever it is.
func pgUnavailable(err error) bool {
	if e := pq.As(err); e != nil {
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
	return isLost(err) || errors.Is(err, errSlow)
}

// isLost says that there is no connection any more.
func isLost(err error) bool {
	if _, is := errors.AsType[net.Error](err); is {
		return true
	}
	if e := pq.As(err); e != nil {
		return e.Code.Class() == "57" && e.Code != pqerror.QueryCanceled // it was ended, with the server or alone
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
