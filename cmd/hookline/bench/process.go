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

// How long a process may take to stop and to serve: long, as the machine may be busy with
// other things.
const (
	stopWithin  = time.Minute
	startWithin = time.Minute
)

// process is a child process, which this one must end.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file of its standard error
	done chan struct{} // closed when it has ended
	err  error         // how it ended; to be read once done is closed
}

// start runs the program. Its standard error goes to a file. first reads the
// beginning of its standard output; start returns when first has.
func start(dir, name, program string, args, env []string, first func(io.Reader) error) (_ *process, err error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	p.cmd = exec.Command(program, args...) //nolint:noctx // stop ends it, by signals
	file, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own
	p.cmd.Env = env
	p.cmd.Stderr = file
	// In a group of its own a Ctrl-C for this process does not reach it: it must not
	// end before this process has stopped it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}

	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		r := bufio.NewReader(out)
		started <- first(r)
		_, _ = io.Copy(io.Discard, r) // or it would block when the pipe is full
		p.err = p.cmd.Wait()
	}()
	select {
	case err = <-started:
	case <-time.After(startWithin):
		err = errors.New("said nothing in time")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), p.stop(), p.lastWords())
	}
	return p, nil
}

// stop asks the child to end, kills it if it does not, and waits for it.
func (p *process) stop() error {
	select {
	case <-p.done:
		how := cmp.Or(p.err, errors.New("exit 0"))
		return fmt.Errorf("%s ended by itself: %w", p.name, errors.Join(how, p.lastWords()))
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // if it has ended by now, the wait below sees it
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

// lastWords returns the end of the child's log, as an error to join to others.
func (p *process) lastWords() error {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	return fmt.Errorf("its log ends: %s", raw[max(0, len(raw)-1000):])
}

// environment returns the environment of this process, without any setting of a
// hub, and more.
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

// withLoad returns the CPU time of the sink and of this process, which is the load.
func (s *sinkProcess) withLoad() (time.Duration, error) {
	sink, _, err := usage(s.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	load, _, err := usage(os.Getpid())
	return sink + load, err
}

// startSink starts a sink, which prints its URL.
func (c *Config) startSink(name, addr string) (*sinkProcess, error) {
	s := &sinkProcess{}
	var err error
	args := []string{"bench", "sink", "--addr", addr}
	s.process, err = start(c.Dir, name, c.Program, args, environment(), func(r io.Reader) error {
		line, err := bufio.NewReader(r).ReadString('\n')
		s.url = strings.TrimSpace(line)
		return err
	})
	return s, err
}

// metric reads a metric that has one series out of a scrape.
func metric(scrape []byte, name string) (float64, error) {
	all, err := metrics(scrape, name)
	if err != nil {
		return 0, err
	}
	return all[0], nil
}

// metrics reads all series of a metric out of a scrape, whatever their labels are. There is
// at least one.
func metrics(scrape []byte, name string) (values []float64, err error) {
	for line := range bytes.Lines(scrape) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(string(bytes.TrimSpace(rest[bytes.LastIndexByte(rest, ' '):])), 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %s: %w", name, err)
		}
		values = append(values, value)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("/metrics has no %s", name)
	}
	return values, nil
}

// tick is the unit of CPU time in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usage reads CPU time and peak resident memory of a process from /proc.
func usage(pid int) (cpu time.Duration, peak int64, err error) {
	f, err := stat(pid)
	if err != nil {
		return 0, 0, err
	}
	name := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			peak, err = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return time.Duration(f.user+f.system) * tick, peak << 10, nil
}

// familyCPU returns the CPU time of a process and of all its children, including
// those that have ended and were waited for.
func familyCPU(pid int) (time.Duration, error) {
	f, err := stat(pid)
	if err != nil {
		return 0, err
	}
	sum := f.user + f.system + f.endedUser + f.endedSystem

	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		child, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		// A child that has just ended is missed until its parent has waited for it.
		if g, err := stat(child); err == nil && g.parent == int64(pid) {
			sum += g.user + g.system
		}
	}
	return time.Duration(sum) * tick, nil
}

// procStat is what /proc says of a process. Its times are in ticks.
type procStat struct{ parent, user, system, endedUser, endedSystem int64 }

func stat(pid int) (s procStat, err error) {
	name := fmt.Sprintf("/proc/%d/stat", pid)
	raw, err := os.ReadFile(name)
	if err != nil {
		return s, fmt.Errorf("use of a process (needs Linux): %w", err)
	}

	// The second field is the name, in brackets, which may contain anything. The
	// fields after the last bracket are 3, 4 and so on.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	for at, to := range map[int]*int64{
		4: &s.parent, 14: &s.user, 15: &s.system, 16: &s.endedUser, 17: &s.endedSystem,
	} {
		if at-3 >= len(fields) {
			return s, fmt.Errorf("%s: %d fields", name, len(fields))
		}
		if *to, err = strconv.ParseInt(fields[at-3], 10, 64); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
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
