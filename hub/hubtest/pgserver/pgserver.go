// Package pgserver runs a private PostgreSQL on a free loopback port, from the
// programs found on this machine, for tests and measurements.
package pgserver

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
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
)

// Server is a private server on a free loopback port. It ends with the process that
// started it, even if that is killed.
type Server struct {
	URL  string // of the database postgres
	Dir  string
	Port int
	bin  string
	cmd  *exec.Cmd
	hold io.WriteCloser // input of the server's keeper, which stops the server when it is closed
}

// Start makes a cluster in a new folder and starts it. The new folder is below an
// existing one, or below that for temporary files if below is empty. If this process
// runs as root the user postgres, or nobody, must have access to the folder. settings
// are passed as -c.
func Start(below string, settings ...string) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(below, "private-pg-")
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

	initdb := s.command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"),
		"-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	out, err := initdb.CombinedOutput()
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
		"-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "shared_buffers=128MB",
		"-c", "logging_collector=off",
	}
	for _, c := range settings {
		args = append(args, "-c", c)
	}

	// The keeper is a shell that ends the server and cleans up when its own input ends,
	// as it does when this process ends, even by kill -9.
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

	// The first thing that the keeper prints is the server's process id.
	var pid int
	if _, err := fmt.Fscanln(stdout, &pid); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "pid"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return err
	}
	return s.ready()
}

// ready waits until the server answers.
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

// PID returns the id of the server's main process.
func (s *Server) PID() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// Signal sends a signal to the server and waits until it has ended. SIGINT stops it
// fast, which cuts clients off; SIGQUIT stops it at once, as a crash does.
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
	_ = s.cmd.Wait() // an error only says that a signal ended it
	return nil
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	return errors.Join(s.Signal(syscall.SIGINT), os.RemoveAll(s.Dir))
}

// postgresBin returns the folder of the server's programs.
func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("PostgreSQL's server programs are not installed: " +
		"on Debian, apt-get install postgresql; make test does so as root")
}

// command returns a command that runs as the user postgres, or nobody, if this process
// runs as root, because PostgreSQL refuses to run as root.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.Dir
	// In a group of its own a Ctrl-C for this process does not reach it: it must not
	// end before this process has stopped it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: unprivileged()}
	return cmd
}

// own gives a folder to the user that the server runs as.
func (s *Server) own(dir string) error {
	cred := unprivileged()
	if cred == nil {
		return nil
	}
	return os.Chown(dir, int(cred.Uid), int(cred.Gid))
}

// unprivileged returns the user to run the server as, or nil if this process does not
// run as root.
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

// CreateDatabase makes an empty database and returns its URL.
func (s *Server) CreateDatabase(ctx context.Context, name string) (string, error) {
	db, err := sql.Open("postgres", s.URL)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return strings.Replace(s.URL, "/postgres?", "/"+name+"?", 1), nil
}

// CountStatements are the settings that Statements and RowsChanged need.
var CountStatements = []string{"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=10000"}

// Statements returns how many statements a database has run for clients, including
// BEGIN and COMMIT. The server must have been started with CountStatements.
func Statements(ctx context.Context, url string) (n int64, err error) {
	return sumOf(ctx, url, "calls", "%")
}

// RowsChanged returns how many rows of a table UPDATE and DELETE have changed. The
// server must have been started with CountStatements.
func RowsChanged(ctx context.Context, url, table string) (n int64, err error) {
	updated, err := sumOf(ctx, url, "rows", "UPDATE "+table+" %")
	if err != nil {
		return 0, err
	}
	deleted, err := sumOf(ctx, url, "rows", "DELETE FROM "+table+" %")
	return updated + deleted, err
}

// sumOf adds up a column of pg_stat_statements, over the statements that are like a
// pattern.
func sumOf(ctx context.Context, url, column, pattern string) (n int64, err error) {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"); err != nil {
		return 0, fmt.Errorf("count statements: %w", err)
	}

	// It leaves out the statements that only count.
	err = db.QueryRowContext(ctx, "SELECT COALESCE(sum("+column+`), 0) FROM pg_stat_statements
		WHERE query NOT LIKE '%pg_stat_statements%' AND query LIKE $1
		AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`, pattern).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count statements: %w", err)
	}
	return n, nil
}

// freeTCP returns a free port.
func freeTCP() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
