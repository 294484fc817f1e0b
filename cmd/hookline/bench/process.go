package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stopWithin  = 30 * time.Second
	startWithin = 20 * time.Second
	platformKey = "hk_platform_0123456789abcdef0123456789abcdef" // of a hub on loopback that lives for a minute
)

// process is a child, and ours to end.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // file of its standard error
	done chan struct{}
	err  error // how it ended; once done is closed
}

// start runs the program with its standard error in a file and its standard
// output read by heard until that returns.
func start(dir, name, program string, args, env []string, heard func(io.Reader) error) (_ *process, err error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	p.cmd = exec.Command(program, args...) //nolint:noctx // stop ends it, by signals
	file, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own
	p.cmd.Env, p.cmd.Stderr = env, file
	// A group of its own: a Ctrl-C for us must not end it before we are done with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	said := make(chan error, 1)
	go func() {
		defer close(p.done)
		r := bufio.NewReader(out)
		said <- heard(r)
		_, _ = io.Copy(io.Discard, r) // until its end
		p.err = p.cmd.Wait()
	}()
	select {
	case err = <-said:
	case <-time.After(startWithin):
		err = errors.New("said nothing in time")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), p.stop(), p.lastWords())
	}
	return p, nil
}

// stop asks the child to end, makes it end should it not, and waits for it.
func (p *process) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended by itself: %w", p.name, errors.Join(cmp.Or(p.err, errors.New("exit 0")), p.lastWords()))
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // ended by now: the wait below sees it
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %s", p.name, stopWithin)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.name, errors.Join(p.err, p.lastWords()))
	}
	return nil
}

// lastWords is the end of the child's log.
func (p *process) lastWords() error {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	return fmt.Errorf("its log ends: %s", raw[max(0, len(raw)-1000):])
}

// environment is ours without any setting of a hub.
func environment(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "HOOKLINE_") {
			env = append(env, kv)
		}
	}
	return append(env, more...)
}

type sinkProcess struct {
	*process
	url string
}

func (c *Config) startSink(context.Context) (*sinkProcess, error) {
	s := &sinkProcess{}
	var err error
	s.process, err = start(c.Dir, "sink", c.Program, []string{"bench", "sink"}, environment(), func(r io.Reader) error {
		line, err := bufio.NewReader(r).ReadString('\n')
		s.url = strings.TrimSpace(line)
		return err
	})
	return s, err
}

type hubProcess struct {
	*process
	url string
	key string // of the owner of tenant demo
}

func (c *Config) startHub(ctx context.Context, dir, name string) (_ *hubProcess, err error) {
	h := &hubProcess{}
	args := []string{"serve", "--json"}
	if c.Profiles != "" {
		args = append(args, "--cpuprofile", filepath.Join(c.Profiles, name+".pprof"))
	}
	env := environment("HOOKLINE_ADDR=127.0.0.1:0", "HOOKLINE_DATA="+filepath.Join(dir, "data"), "HOOKLINE_PLATFORM_KEY="+platformKey,
		"HOOKLINE_ALLOW_NETWORKS=loopback", "HOOKLINE_LOG=json")
	var first struct {
		OwnerKey string `json:"ownerKey"`
	}
	h.process, err = start(dir, "hub", c.Program, args, env, func(r io.Reader) error { return json.NewDecoder(r).Decode(&first) })
	if err != nil {
		return nil, err
	}
	h.key = first.OwnerKey
	if h.url, err = h.address(ctx); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

// address waits until the hub's log says where it serves.
func (h *hubProcess) address(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		raw, err := os.ReadFile(h.log)
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(raw) {
			var said struct{ Msg, Addr string }
			if json.Unmarshal(line, &said) == nil && said.Msg == "serving" {
				return "http://" + said.Addr, nil
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-h.done:
			return "", errors.New("hub ended before it served")
		case <-ctx.Done():
			return "", fmt.Errorf("hub does not serve: %w", ctx.Err())
		}
	}
}

// prepare lifts the tenant's limits and subscribes.
func (h *hubProcess) prepare(ctx context.Context, sink string, subs int) error {
	limits := map[string]any{"limits": map[string]any{"eventsPerSecond": 10_000_000, "pendingDeliveries": 1_000_000_000}}
	if _, err := call(ctx, http.MethodPatch, h.url+"/v1/tenants/demo", platformKey, limits); err != nil {
		return fmt.Errorf("lift the limits: %w", err)
	}
	for n := range subs {
		sub := map[string]any{"url": fmt.Sprintf("%s/%d", sink, n), "events": []string{"cdr.*"}, "maxInFlight": maxInFlight}
		if _, err := call(ctx, http.MethodPost, h.url+"/v1/subscriptions", h.key, sub); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	return nil
}

// use is what the hub has used so far.
type use struct {
	cpu     time.Duration
	peak    int64 // bytes of resident memory, the most ever
	mallocs float64
	commits float64
	pending float64
}

// settle waits until nothing is pending and returns what was used by then.
func (h *hubProcess) settle(ctx context.Context) (use, error) {
	for {
		u, err := h.use(ctx)
		if err != nil || u.pending == 0 {
			return u, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return u, fmt.Errorf("%.0f deliveries stay pending: %w", u.pending, ctx.Err())
		}
	}
}

func (h *hubProcess) use(ctx context.Context) (u use, err error) {
	if u.cpu, u.peak, err = usage(h.cmd.Process.Pid); err != nil {
		return u, err
	}
	raw, err := call(ctx, http.MethodGet, h.url+"/metrics", "", nil)
	if err != nil {
		return u, err
	}
	for name, to := range map[string]*float64{
		"go_memstats_mallocs_total": &u.mallocs, "hookline_store_commits_total": &u.commits, "hookline_deliveries_pending": &u.pending,
	} {
		if *to, err = metric(raw, name); err != nil {
			return u, err
		}
	}
	return u, nil
}

// metric reads one without labels out of a scrape.
func metric(scrape []byte, name string) (float64, error) {
	for line := range bytes.Lines(scrape) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}

// tick is the unit of CPU time in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usage reads CPU time and peak resident memory of a process from /proc.
func usage(pid int) (cpu time.Duration, peak int64, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return 0, 0, fmt.Errorf("use of the hub (needs Linux): %w", err)
	}
	// After the name, which may hold anything: fields 3, 4, …; 14 and 15 are user and system time.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("%sstat: %d fields", dir, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	status, err3 := os.ReadFile(dir + "status")
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if peak, err = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64); err != nil {
				return 0, 0, fmt.Errorf("%sstatus: %w", dir, err)
			}
		}
	}
	return time.Duration(user+system) * tick, peak << 10, nil
}

// call makes one request and returns the body of a 2xx answer.
func call(ctx context.Context, method, url, key string, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %d %.300s", method, req.URL.Path, resp.StatusCode, raw)
	}
	return raw, nil
}
