package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hookline/hookline/hub/hubtest/pgserver"
	"github.com/hookline/hookline/hub/hubtest/rabbitserver"
)

// The keys of hubs that run on loopback for some minutes.
const (
	platformKey = "hk_platform_0123456789abcdef0123456789abcdef"
	masterKey   = "6d61737465726b65796f666d6561737572656d656e7473746861746c69766531"
)

// startServers starts PostgreSQL and RabbitMQ if one of the stores needs them. They
// write to the disk as they would in production.
func (c *Config) startServers(stores []Store) (stop func() error, err error) {
	stop = func() error { return nil }
	if !slices.ContainsFunc(stores, func(s Store) bool { return s.Kind != Embedded }) {
		return stop, nil
	}

	c.say("start PostgreSQL")
	if c.server, err = pgserver.Start(c.Dir, pgserver.CountStatements...); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(stores, func(s Store) bool { return s.Kind == Rabbit }) {
		return c.server.Stop, nil
	}

	c.say("start RabbitMQ")
	if c.broker, err = rabbitserver.Start(c.Dir); err != nil {
		return nil, errors.Join(err, c.server.Stop())
	}
	return func() error { return errors.Join(c.broker.Stop(), c.server.Stop()) }, nil
}

// fleet is one hub on the embedded store, or any number on one database.
type fleet struct {
	store    Store
	dir      string
	hubs     []*hubProcess
	key      string               // of the owner of tenant demo
	server   *pgserver.Server     // nil on the embedded store
	broker   *rabbitserver.Server // nil if the hubs use no broker
	database string
	settles  string  // id of the subscription that settle waits for; all if it is empty
	folds    float64 // once it is stopped: the share of the folds in the CPU time of the hubs, 0 to 1
}

type hubProcess struct {
	*process
	url     string
	profile string // file of its CPU profile, written when it stops
}

// startFleet starts hubs on an empty store. Their files have names that begin with
// name.
func (c *Config) startFleet(ctx context.Context, name string, s Store) (_ *fleet, err error) {
	f := &fleet{store: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
		}
	}()

	// A folder, and a database and a virtual host where the store needs them.
	if s.Kind != Embedded {
		name += fmt.Sprintf("-%s-x%d", s.Kind, s.Processes)
	}
	if f.dir, err = os.MkdirTemp(c.Dir, name+"-"); err != nil {
		return nil, err
	}
	env := []string{"HOOKLINE_DATA=" + filepath.Join(f.dir, "data")}
	if s.Kind != Embedded {
		f.server = c.server
		c.databases++
		if f.database, err = f.server.CreateDatabase(ctx, fmt.Sprintf("bench_%d", c.databases)); err != nil {
			return nil, err
		}
		env = []string{"HOOKLINE_DATABASE_URL=" + f.database, "HOOKLINE_MASTER_KEY=" + masterKey}
	}
	if s.Kind == Rabbit {
		vhost := fmt.Sprintf("bench_%d", c.databases)
		if err := c.broker.Manage(http.MethodPut, "/api/vhosts/"+vhost, ""); err != nil {
			return nil, err
		}
		f.broker = c.broker
		env = append(env, "HOOKLINE_AMQP_URL="+c.broker.URL+vhost)
	}

	for n := range s.Processes {
		as := name
		if n > 0 {
			as += fmt.Sprintf("-%d", n)
		}
		h, err := c.startHub(ctx, f.dir, as, env)
		if err != nil {
			return nil, err
		}
		f.hubs = append(f.hubs, h)
	}
	return f, f.makeTenant(ctx)
}

// makeTenant makes the tenant of the measurement, and its key.
func (f *fleet) makeTenant(ctx context.Context) error {
	url := f.hubs[0].url + "/v1/tenants"
	if _, err := call(ctx, http.MethodPost, url, platformKey, map[string]any{"companyId": "demo"}); err != nil {
		return fmt.Errorf("make the tenant: %w", err)
	}
	raw, err := call(ctx, http.MethodPost, url+"/demo/keys", platformKey, map[string]any{"role": "owner", "name": "bench"})
	if err != nil {
		return fmt.Errorf("make the tenant's key: %w", err)
	}
	var made struct {
		Key string `json:"key"`
	}
	err = json.Unmarshal(raw, &made)
	f.key = made.Key
	return err
}

// startHub starts a hub.
func (c *Config) startHub(ctx context.Context, dir, name string, env []string) (_ *hubProcess, err error) {
	h := &hubProcess{profile: filepath.Join(cmp.Or(c.Profiles, dir), name+".pprof")}
	args := []string{"serve", "--cpuprofile", h.profile}
	env = environment(append(env, "HOOKLINE_ADDR=127.0.0.1:0", "HOOKLINE_PLATFORM_KEY="+platformKey,
		"HOOKLINE_ALLOW_NETWORKS=loopback", "HOOKLINE_LOG=json")...)

	h.process, err = start(dir, name, c.Program, args, env, func(io.Reader) error { return nil })
	if err != nil {
		return nil, err
	}
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

// stop stops the hubs, all at the same time: one after the other, the last would
// first take over the shards of those before it. Then it reads their profiles, and
// removes what they stored.
func (f *fleet) stop() error {
	errs := make(chan error, len(f.hubs))
	for _, h := range f.hubs {
		go func() { errs <- h.stop() }()
	}
	var all error
	for range f.hubs {
		all = errors.Join(all, <-errs)
	}

	var profiles []string
	for _, h := range f.hubs {
		profiles = append(profiles, h.profile)
	}
	if all == nil {
		f.folds, all = shareOfFolds(profiles)
	}
	return errors.Join(all, os.RemoveAll(f.dir))
}

// urls returns the URLs of a path on each hub.
func (f *fleet) urls(path string) (urls []string) {
	for _, h := range f.hubs {
		urls = append(urls, h.url+path)
	}
	return urls
}

// liftLimits raises the tenant's limits above what a measurement reaches.
func (f *fleet) liftLimits(ctx context.Context) error {
	limits := map[string]any{"eventsPerSecond": 10_000_000, "pendingDeliveries": 1_000_000_000}
	url := f.hubs[0].url + "/v1/tenants/demo"
	if _, err := call(ctx, http.MethodPatch, url, platformKey, map[string]any{"limits": limits}); err != nil {
		return fmt.Errorf("lift the limits: %w", err)
	}
	return nil
}

// subscribe subscribes a URL to types of events, and returns the subscription's id.
func (f *fleet) subscribe(ctx context.Context, url, types string) (string, error) {
	raw, err := call(ctx, http.MethodPost, f.hubs[0].url+"/v1/subscriptions", f.key, map[string]any{
		"url": url, "events": []string{types}, "maxInFlight": maxInFlight,
	})
	if err != nil {
		return "", fmt.Errorf("subscribe: %w", err)
	}
	var made struct {
		ID string `json:"id"`
	}
	return made.ID, json.Unmarshal(raw, &made)
}

// use is what hubs and database have used so far.
type use struct {
	cpu        time.Duration // of all hubs
	serverCPU  time.Duration // of PostgreSQL and RabbitMQ
	statements int64         // that PostgreSQL ran
	peak       int64         // bytes of resident memory: the sum of each hub's highest
	mallocs    float64
	commits    float64
}

// use returns what was used so far.
func (f *fleet) use(ctx context.Context) (u use, err error) {
	for _, h := range f.hubs {
		if err := h.use(ctx, &u); err != nil {
			return u, err
		}
	}
	if f.server == nil {
		return u, nil
	}

	// The servers are shared by all hubs.
	pid, err := f.server.PID()
	if err != nil {
		return u, err
	}
	if u.serverCPU, err = familyCPU(pid); err != nil {
		return u, err
	}
	if f.broker != nil {
		took, err := familyCPU(f.broker.PID())
		if err != nil {
			return u, err
		}
		u.serverCPU += took
	}
	u.statements, err = pgserver.Statements(ctx, f.database)
	return u, err
}

// use adds what this hub has used so far to u.
func (h *hubProcess) use(ctx context.Context, u *use) error {
	cpu, peak, err := usage(h.cmd.Process.Pid)
	if err != nil {
		return err
	}
	u.cpu += cpu
	u.peak += peak

	raw, err := call(ctx, http.MethodGet, h.url+"/metrics", "", nil)
	if err != nil {
		return err
	}
	for name, to := range map[string]*float64{
		"go_memstats_mallocs_total":    &u.mallocs,
		"hookline_store_commits_total": &u.commits,
	} {
		n, err := metric(raw, name)
		if err != nil {
			return err
		}
		*to += n
	}
	return nil
}

// settle waits until nothing is pending and returns what was used by then. It does
// not ask the metrics, for what they say of other processes may be some seconds old.
func (f *fleet) settle(ctx context.Context) (use, error) {
	url := f.hubs[0].url + "/v1/deliveries?state=pending&limit=1&subscription=" + f.settles
	for {
		raw, err := call(ctx, http.MethodGet, url, f.key, nil)
		if err != nil {
			return use{}, err
		}
		var page struct{ Data []json.RawMessage }
		if err := json.Unmarshal(raw, &page); err != nil {
			return use{}, err
		}
		if len(page.Data) == 0 {
			return f.use(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return use{}, fmt.Errorf("deliveries stay pending: %w", ctx.Err())
		}
	}
}
