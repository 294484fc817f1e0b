package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is `hookline serve` as its users run it: the built binary, on a data
// folder, to be killed and started again.
type process struct {
	t      *testing.T
	binary string
	data   string
	addr   string
	env    []string // besides what every hub gets
	owner  string   // key of the demo tenant
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	out    *bytes.Buffer // of the present start; read once exited
	log    *bytes.Buffer
}

// patience is how long a test waits for what must happen: long, as the machine may be
// busy with other tests.
const patience = time.Minute

const platformKey = "hk_platform_0123456789abcdef0123456789abcdef"

// build makes the binary as `make build` does, once for all tests; TestMain
// removes its folder.
func build(t *testing.T) string {
	t.Helper()
	path, err := built()
	require.NoError(t, err)
	return path
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hookline-test-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "hookline")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var builtIn string // the folder of built; "": nobody asked for it

// newProcess starts a hub on an empty data folder and lets the demo tenant send
// as fast as it can.
func newProcess(t *testing.T, binary string) *process {
	t.Helper()
	p := prepare(t, binary)
	p.start()
	p.ready()
	p.open()
	return p
}

// prepare a process to be started.
func prepare(t *testing.T, binary string, env ...string) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &process{t: t, binary: binary, data: t.TempDir(), addr: l.Addr().String(), env: env}
	require.NoError(t, l.Close())
	t.Cleanup(p.kill)
	return p
}

// open makes the demo tenant, with high limits, and an owner key.
func (p *process) open() {
	t := p.t
	t.Helper()
	a := p.ask("POST", "/v1/tenants", platformKey,
		`{"companyId":"demo","limits":{"eventsPerSecond":1000000,"subscriptions":1000}}`)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	a = p.ask("POST", "/v1/tenants/demo/keys", platformKey, `{"role":"owner","name":"test"}`)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	var key struct{ Key string }
	require.NoError(t, json.Unmarshal(a.body, &key))
	p.owner = key.Key
}

// command is `hookline serve` on the data folder, not started.
func (p *process) command(addr string) *exec.Cmd {
	cmd := exec.Command(p.binary, "serve")
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "HOOKLINE_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "HOOKLINE_ADDR="+addr, "HOOKLINE_DATA="+p.data, "HOOKLINE_PLATFORM_KEY="+platformKey,
		"HOOKLINE_ALLOW_NETWORKS=loopback", "HOOKLINE_LOG=json", "HOOKLINE_LOG_LEVEL=warn")
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

func (p *process) start() {
	p.t.Helper()
	p.cmd, p.exited = p.command(p.addr), make(chan struct{})
	p.out, p.log = new(bytes.Buffer), new(bytes.Buffer)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	require.NoError(p.t, p.cmd.Start())
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(exited)
	}(p.cmd, p.exited)
}

// ready waits until the hub says that it is.
func (p *process) ready() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if a, err := p.try("GET", "/readyz", "", ""); err == nil && a.status == http.StatusOK {
			return
		}
		select {
		case <-p.exited:
			require.FailNow(p.t, "the hub ended", "%v\n%s", p.cmd.ProcessState, p.log)
		default:
		}
		require.True(p.t, time.Now().Before(deadline), "the hub does not get ready")
	}
}

// kill ends it without a chance to do anything; nothing if it has ended.
func (p *process) kill() {
	if p.cmd == nil || p.cmd.Process == nil { // never started
		return
	}
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.exited
}

// end asks it to stop and returns its exit code.
func (p *process) end(within time.Duration) int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.exited:
	case <-time.After(within):
		require.FailNow(p.t, "the hub does not stop", "%s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

var processClient = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// try a request that may fail, because nobody is there to answer it.
func (p *process) try(method, path, key, body string) (reply, error) {
	return p.tryFor(time.Minute, method, path, key, body)
}

// tryFor is try with a bound.
func (p *process) tryFor(patience time.Duration, method, path, key, body string) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := processClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, raw}, err
}

func (p *process) ask(method, path, key, body string) reply {
	p.t.Helper()
	a, err := p.try(method, path, key, body)
	require.NoError(p.t, err)
	return a
}
