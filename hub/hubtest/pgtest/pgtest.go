// Package pgtest gives tests a real PostgreSQL: a private server on a free
// loopback port, and in it a database for each test.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
	"github.com/stretchr/testify/require"
)

// Variable names a server to make test databases on. make test starts
// one for all packages; without it, a test binary starts its own.
const Variable = "HUBTEST_POSTGRES"

// Database makes an empty database for the test on a real server and returns
// its URL. The database goes with the test.
func Database(t testing.TB) string { return database(t, "template0") }

// Copy makes a database for the test as prepare makes an empty one. It is asked
// once in a process, whoever calls: copies cost a fraction of a migration.
func Copy(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	original.once.Do(func() {
		original.name, original.err = create("template0")
		if original.err == nil {
			original.err = prepare(at(original.name))
		}
	})
	require.NoError(t, original.err, "prepare a database")
	return database(t, original.name)
}

func database(t testing.TB, template string) string {
	t.Helper()
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
	original  struct {
		once sync.Once
		name string
		err  error
	}
	shared struct {
		once   sync.Once
		server *Server
		err    error
	}
)

// server of the tests: make test's, or one of this process.
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
		return "" // it was there when the database was made
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

// Server is a private server on a free loopback port. It ends with the
// process that started it, however that ends.
type Server struct {
	URL  string // of the database postgres
	Dir  string
	Port int
	bin  string
	cmd  *exec.Cmd
	hold io.WriteCloser // the server's keeper reads it: closed, the server stops
}

// StartForTests starts a server that many tests share: quick, and it need not
// survive the machine.
func StartForTests() (*Server, error) { return Start("fsync=off", "full_page_writes=off") }

// Start makes a cluster in a temporary folder and starts it. settings
// are passed as -c.
func Start(settings ...string) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	// Not below a test's own folder: that is closed to the user the server runs as.
	dir, err := os.MkdirTemp("", "hubtest-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: bin}
	if err := s.own(dir); err != nil {
		return nil, err
	}
	if s.Port, err = freeTCP(); err != nil {
		return nil, err
	}
	out, err := s.command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.URL = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.Port)
	return s, s.Start(settings...)
}

// Start starts the server again after Kill or Stop.
func (s *Server) Start(settings ...string) error {
	args := []string{
		"-D", filepath.Join(s.Dir, "data"), "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port),
		"-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "shared_buffers=128MB", "-c", "logging_collector=off",
	}
	for _, c := range settings {
		args = append(args, "-c", c)
	}
	// The keeper ends the server and cleans up when its own input ends, which it
	// does when this process goes, also by kill -9.
	script := `"$0" "$@" </dev/null & pid=$!; echo $pid; read -r how
		if [ "$how" = keep ]; then wait $pid; else kill -INT $pid 2>/dev/null; wait $pid; rm -rf "$PWD"; fi`
	s.cmd = s.command("/bin/sh", append([]string{"-c", script, filepath.Join(s.bin, "postgres")}, args...)...)
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stderr = log
	if s.hold, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var pid int
	if _, err := fmt.Fscanln(stdout, &pid); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "pid"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return err
	}
	return s.ready()
}

func (s *Server) ready() error {
	db, err := sql.Open("postgres", s.URL)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PID of the server's main process.
func (s *Server) PID() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// Signal the server and wait until it has ended: SIGINT stops it fast (clients
// are cut off), SIGQUIT at once, as a crash does.
func (s *Server) Signal(sig syscall.Signal) error {
	pid, err := s.PID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	_, _ = io.WriteString(s.hold, "keep\n")
	_ = s.hold.Close()
	_ = s.cmd.Wait() // its status says how it was ended, which we know
	return nil
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	return errors.Join(s.Signal(syscall.SIGINT), os.RemoveAll(s.Dir))
}

// postgresBin finds the folder of the server's programs.
func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("PostgreSQL's server programs are not installed: on Debian, apt-get install postgresql; make test does so as root")
}

// command runs as user postgres, or nobody, when we are root: PostgreSQL refuses root.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.Dir
	if cred := unprivileged(); cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	}
	return cmd
}

func (s *Server) own(dir string) error {
	cred := unprivileged()
	if cred == nil {
		return nil
	}
	return os.Chown(dir, int(cred.Uid), int(cred.Gid))
}

func unprivileged() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

func freeTCP() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
