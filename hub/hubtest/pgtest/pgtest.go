// Package pgtest gives tests a real PostgreSQL: a private server (pgserver), and
// in it a database for each test.
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	neturl "net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest/pgserver"
	"github.com/hookline/hookline/hub/hubtest/sqlitetest"
)

// Variable is the environment variable with the URL of a server to make test databases
// on. make test starts one for all packages. Without it, a test binary starts its own.
const Variable = "HUBTEST_POSTGRES"

// Database makes an empty database for the test on a real server and returns its URL.
// The database is dropped at the end of the test.
func Database(t testing.TB) string { return database(t, "template0") }

// Copy makes a database for the test that prepare has filled. It has tables and nothing
// else, whoever calls Copy, so prepare is called only once for a server, on an empty
// database: copies of it cost much less than filling another one.
func Copy(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	Needed(t)
	url, err := server()
	require.NoError(t, err)
	name, err := original(url, prepare)
	require.NoError(t, err, "prepare a database")
	return database(t, name)
}

// original returns the name of the database that prepare has filled on a server.
func original(url string, prepare func(url string) error) (string, error) {
	originals.Lock()
	defer originals.Unlock()
	if name := originals.of[url]; name != "" {
		return name, nil
	}

	fill := func() ([]byte, error) {
		name, err := create("template0")
		if err != nil {
			return nil, err
		}
		return []byte(name), prepare(at(name))
	}
	filled := fill
	if url == os.Getenv(Variable) { // other binaries use this server, too
		filled = func() ([]byte, error) { return sqlitetest.Shared(neturl.PathEscape(url), fill) }
	}
	name, err := filled()
	if err != nil {
		return "", err
	}
	originals.of[url] = string(name)
	return string(name), nil
}

func database(t testing.TB, template string) string {
	t.Helper()
	Needed(t)
	name, err := create(template)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := onServer("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return at(name)
}

var (
	databases atomic.Int64
	originals = struct {
		sync.Mutex
		of map[string]string // by server
	}{of: map[string]string{}}
	shared struct {
		once   sync.Once
		server *Server
		err    error
	}
)

// server returns the URL of the server for tests: that of make test, or one that
// belongs to this process.
func server() (string, error) {
	if url := os.Getenv(Variable); url != "" {
		return url, nil
	}
	shared.once.Do(func() { shared.server, shared.err = StartForTests() })
	if shared.err != nil {
		return "", fmt.Errorf("PostgreSQL for tests: %w", shared.err)
	}
	return shared.server.URL, nil
}

func at(name string) string {
	url, err := server()
	if err != nil {
		return "" // cannot happen: there was a server when the database was made
	}
	return strings.Replace(url, "/postgres?", "/"+name+"?", 1)
}

func create(template string) (name string, err error) {
	name = fmt.Sprintf("t%d_%d", os.Getpid(), databases.Add(1))
	return name, onServer("CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY FILE_COPY")
}

func onServer(statement string) error {
	url, err := server()
	if err != nil {
		return err
	}
	admin, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = admin.ExecContext(ctx, statement)
	return err
}

// Server is a private server.
type Server = pgserver.Server

// Start makes a server of the test's own and starts it. It ends with the test,
// which may stop and start it as it likes.
func Start(t testing.TB) *Server {
	t.Helper()
	Needed(t)
	s, err := pgserver.Start("", noCompiling)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// StartForTests starts a server that many tests share. It is quick, as its data need
// not survive the machine.
func StartForTests() (*Server, error) {
	return pgserver.Start("", noCompiling, "fsync=off", "full_page_writes=off")
}

// noCompiling keeps the server from compiling queries to machine code. The server does
// so where it expects many rows, and in a test that takes longer than the query itself.
const noCompiling = "jit=off"

// Needed skips the test under -short, which asks for those that run without a
// server. make test, which runs all, counts a skipped test as failed. Call it
// where a test that needs PostgreSQL would do something costly first.
func Needed(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs PostgreSQL")
	}
}
