// Package rabbitserver runs a private RabbitMQ node on free loopback ports, from
// the programs found on this machine, for tests and measurements.
package rabbitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a private node on free loopback ports. It ends with the process that
// started it, even if that is killed.
type Server struct {
	URL   string // amqp://…/, of the virtual host "/"; append the name of another one for its URL
	Admin string // http://…: the management API

	dir  string
	env  []string
	pid  int
	cmd  *exec.Cmd
	hold io.WriteCloser // input of the node's keeper, which stops the node when it is closed
}

// String returns the text that Parse reads.
func (s *Server) String() string { return s.URL + " " + s.Admin }

// Parse returns a node that another process started, from its String. It cannot be
// stopped or started.
func Parse(at string) (*Server, error) {
	amqp, admin, ok := strings.Cut(at, " ")
	if !ok {
		return nil, fmt.Errorf("not a node of RabbitMQ: %q", at)
	}
	return &Server{URL: amqp, Admin: admin}, nil
}

const bin = "/usr/lib/rabbitmq/bin/" // not Debian's wrapper, which switches to another user

// Installed reports whether the programs are there.
func Installed() bool {
	_, err := os.Stat(bin + "rabbitmq-server")
	return err == nil
}

// Start makes a node in a new folder and starts it. The new folder is below an
// existing one, or below that for temporary files if below is empty. settings are
// lines of rabbitmq.conf.
func Start(below string, settings ...string) (*Server, error) {
	if !Installed() {
		return nil, errors.New("RabbitMQ is not installed: " +
			"on Debian, apt-get install rabbitmq-server; make test does so as root")
	}
	dir, err := os.MkdirTemp(below, "private-rabbit-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}

	// The node gets ports, files and a name server of its own, and two threads.
	s := &Server{
		dir: dir, URL: "amqp://guest:guest@127.0.0.1:" + ports[0] + "/", Admin: "http://127.0.0.1:" + ports[1],
		env: append(os.Environ(),
			"HOME="+dir,               // for the cookie
			"RUNNING_UNDER_SYSTEMD=1", // the script execs the node, which so has the script's id
			"ERL_EPMD_PORT="+ports[3], "ERL_EPMD_ADDRESS=127.0.0.1",
			"RABBITMQ_NODENAME=hubtest@localhost", "RABBITMQ_NODE_PORT="+ports[0], "RABBITMQ_DIST_PORT="+ports[2],
			"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
			"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
			"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"),
			"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "env"),
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "+
				"-kernel inet_dist_use_interface {127,0,0,1}"),
	}

	conf := append([]string{
		"listeners.tcp.1 = 127.0.0.1:" + ports[0],
		"management.tcp.ip = 127.0.0.1",
		"management.tcp.port = " + ports[1],
		"management_agent.disable_metrics_collector = true",
		"vm_memory_high_watermark.absolute = 2GB",
		"disk_free_limit.absolute = 10MB",
	}, settings...)
	for name, text := range map[string]string{
		"rabbitmq.conf": strings.Join(conf, "\n") + "\n", "plugins": "[rabbitmq_management].\n", "env": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return s, s.Start()
}

// Start starts the node again after Signal.
func (s *Server) Start() error {
	// The keeper is a shell that ends the node and its name server, by their ids, and
	// cleans up when its own input ends, as it does when this process ends, even by
	// kill -9.
	script := `epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 </dev/null >/dev/null 2>&1 & names=$!
		until epmd -names >/dev/null 2>&1 || ! kill -0 $names; do sleep 0.05; done
		"$0" </dev/null >>"$HOME/out" 2>&1 & pid=$!; echo $pid; read -r how
		if [ "$how" = keep ]; then wait $pid; kill $names; wait $names
		else kill -9 $pid; kill $names; wait; cd /; rm -rf "$HOME"; fi 2>/dev/null`
	s.cmd = exec.Command("/bin/sh", "-c", script, bin+"rabbitmq-server")
	s.cmd.Dir = s.dir
	s.cmd.Env = s.env
	// In a group of its own a Ctrl-C in the terminal does not reach the keeper. It
	// reaches the tests, which then end the keeper's input.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	var err error
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

	// The first thing that the keeper prints is the node's process id.
	if _, err := fmt.Fscanln(stdout, &s.pid); err != nil {
		return fmt.Errorf("start RabbitMQ: %w", err)
	}
	return s.ready()
}

// ready waits until both AMQP and the management API answer.
func (s *Server) ready() error {
	var err error
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = s.Manage("GET", "/api/vhosts", ""); err == nil {
			err = s.dial()
		}
		if err == nil {
			return nil
		}
		if syscall.Kill(s.pid, 0) != nil {
			break
		}
	}
	out, _ := os.ReadFile(filepath.Join(s.dir, "out"))
	return fmt.Errorf("RabbitMQ does not answer: %w\n%s", err, out)
}

// dial connects to the AMQP port.
func (s *Server) dial() error {
	at, err := url.Parse(s.URL)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("tcp", at.Host, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// PID returns the process id of the node.
func (s *Server) PID() int { return s.pid }

// Signal sends a signal to the node and waits until it has ended. SIGTERM stops it as
// an operator does, SIGKILL as a crash does.
func (s *Server) Signal(sig syscall.Signal) error {
	if err := syscall.Kill(s.pid, sig); err != nil {
		return err
	}
	_, _ = io.WriteString(s.hold, "keep\n")
	_ = s.hold.Close()
	_ = s.cmd.Wait() // an error only says that a signal ended it
	return nil
}

// Stop ends the node and removes its folder.
func (s *Server) Stop() error {
	_ = s.hold.Close() // the keeper does the rest
	_ = s.cmd.Wait()
	return os.RemoveAll(s.dir)
}

// Ctl runs rabbitmqctl on the node. The command may take long on a busy machine: it
// starts a virtual machine of its own.
func (s *Server) Ctl(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin+"rabbitmqctl", args...)
	cmd.Dir = s.dir
	cmd.Env = s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rabbitmqctl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Manage makes a request to the management API. body is JSON, or empty.
func (s *Server) Manage(method, path, body string) error {
	at, err := url.Parse(s.Admin + path)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), method, at.String(), strings.NewReader(body))
	if err != nil {
		return err
	}

	req.SetBasicAuth("guest", "guest")
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, text)
	}
	return err
}

// freePorts returns free ports below those that the system gives to clients, so that
// no client takes them while the node is down.
func freePorts(n int) (ports []string, err error) {
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := strconv.Itoa(20000 + rand.IntN(12000))
		l, busy := net.Listen("tcp", "127.0.0.1:"+port)
		if busy != nil {
			err = busy
			continue
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no free ports: %w", err)
}
