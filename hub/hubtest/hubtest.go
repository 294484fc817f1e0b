// Package hubtest runs a whole hub inside a test: real store, real router,
// real sockets, and receivers that misbehave on request.
package hubtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
)

// PlatformKey is the platform key of every hub that Start makes.
const PlatformKey = "hk_platform_0123456789abcdef0123456789abcdef"

// Hub is a hub that serves on a loopback port of its own.
type Hub struct {
	t      testing.TB
	log    *slog.Logger
	cfg    config.Config
	URL    string
	Owner  string // key of the tenant "demo"
	stop   context.CancelFunc
	served chan error
	hub    *hub.Hub
}

// Start starts a hub with an empty store, and stops it at the end of the test. change
// may alter the configuration.
func Start(t testing.TB, change ...func(*config.Config)) *Hub {
	t.Helper()
	return StartLogging(t, slog.New(slog.NewTextHandler(logWriter(t), nil)), change...)
}

// StartLogging is Start with the log of the test.
func StartLogging(t testing.TB, log *slog.Logger, change ...func(*config.Config)) *Hub {
	t.Helper()
	dir := t.TempDir()
	h := &Hub{t: t, log: log, cfg: config.Config{
		Addr: "127.0.0.1:0", Data: dir, PlatformKey: PlatformKey, AllowNetworks: []string{"loopback"},
		ShutdownTimeout: 10 * time.Second,
	}}
	if os.Getenv(StoreVariable) == "postgres" {
		OnPostgres(t)(&h.cfg)
	}
	for _, f := range change {
		f(&h.cfg)
	}
	if h.cfg.MetricsAddr == "" && (h.cfg.PublicURL != "" || len(h.cfg.TrustedProxies) > 0) {
		h.cfg.MetricsAddr = "localhost:0" // the default port is one for all hubs of the machine
	}
	if h.cfg.DatabaseURL == "" && h.cfg.Data == dir {
		makeTables(t, dir)
	}
	h.start()
	t.Cleanup(h.Stop)
	return h
}

func (h *Hub) start() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	h.hub, err = hub.New(ctx, h.cfg, h.log)
	require.NoError(h.t, err)
	if first := h.hub.First(); first != nil {
		h.Owner = first.Owner
	}
	h.URL = "http://" + h.hub.Addr()
	h.stop, h.served = cancel, make(chan error, 1)
	go func() { h.served <- h.hub.Run(ctx) }()
	if h.Owner == "" && h.cfg.PlatformKey != "" && h.cfg.TLSCert == "" {
		h.makeDemo()
	}
}

// makeDemo makes the tenant "demo" and its owner key, as an operator does who set a
// platform key. It does nothing if another hub of the same store has made them.
func (h *Hub) makeDemo() {
	h.t.Helper()
	a := h.Do("POST", "/v1/tenants", h.cfg.PlatformKey, map[string]any{"companyId": "demo", "name": "Demo"})
	if a.Status == http.StatusConflict {
		return
	}
	require.Equal(h.t, http.StatusCreated, a.Status, "%s", a.Body)

	a = h.Do("POST", "/v1/tenants/demo/keys", h.cfg.PlatformKey, map[string]any{"role": "owner", "name": "first start"})
	require.Equal(h.t, http.StatusCreated, a.Status, "%s", a.Body)
	h.Owner = a.JSON(h.t)["key"].(string)
}

// SignInLink returns a link that signs in to the console once, as the hub prints it.
func (h *Hub) SignInLink() string {
	h.t.Helper()
	link, err := h.hub.SignInLink(context.Background())
	require.NoError(h.t, err)
	return link
}

// ForTenant makes a tenant and its owner key, and returns the hub as that tenant sees it: for
// tests that share one.
func (h *Hub) ForTenant(t testing.TB, company string) *Hub {
	t.Helper()
	c := &Hub{t: t, log: h.log, cfg: h.cfg, URL: h.URL}
	a := c.Do("POST", "/v1/tenants", h.cfg.PlatformKey, map[string]any{"companyId": company, "name": "Tenant " + company})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	a = c.Do("POST", "/v1/tenants/"+company+"/keys", h.cfg.PlatformKey, map[string]any{"role": "owner", "name": "owner"})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	c.Owner = a.JSON(t)["key"].(string)
	return c
}

// Addrs returns the addresses of all listeners of the hub.
func (h *Hub) Addrs() []string { return h.hub.Addrs() }

// Stop stops the hub gracefully. Stopping it twice does nothing.
func (h *Hub) Stop() {
	if h.stop == nil {
		return
	}
	h.stop()
	h.stop = nil
	select {
	case err := <-h.served:
		if err != nil {
			h.t.Errorf("hub: %v", err)
		}
	case <-time.After(patience):
		h.t.Error("the hub does not stop")
		return
	}
	if err := h.hub.Close(); err != nil {
		h.t.Errorf("close hub: %v", err)
	}
}

// Restart stops the hub and starts it again on the same store.
func (h *Hub) Restart() {
	h.t.Helper()
	h.Stop()
	h.start()
}

// logWriter shows the hub's log when the test asks for it (HUBTEST_LOG=1).
func logWriter(testing.TB) io.Writer {
	if os.Getenv("HUBTEST_LOG") != "" {
		return os.Stderr
	}
	return io.Discard
}

// Answer is the answer of the hub to a request.
type Answer struct {
	Method string // of the request
	Status int
	Header http.Header
	Body   []byte
}

// JSON returns the body as an object.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(a.Body, &v), "%d %s", a.Status, a.Body)
	return v
}

// patience is how long a test waits for what must happen: long, as the machine may be
// busy with other tests.
const patience = time.Minute

var client = &http.Client{Timeout: patience}

// Do makes a request with a key. body may be nil, a string, bytes, or anything that
// marshals to JSON. Headers come in pairs of name and value.
func (h *Hub) Do(method, path, key string, body any, headers ...string) Answer {
	h.t.Helper()
	a, err := h.Try(method, path, key, body, headers...)
	require.NoError(h.t, err)
	return a
}

// Try is Do for requests that may fail.
func (h *Hub) Try(method, path, key string, body any, headers ...string) (Answer, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		r = bytes.NewReader(raw)
	}

	req, err := http.NewRequestWithContext(context.Background(), method, h.URL+path, r)
	if err != nil {
		return Answer{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}

	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return Answer{method, resp.StatusCode, resp.Header, raw}, err
}

// Subscribe makes a subscription of the demo tenant. Fields come in pairs of name and
// value.
func (h *Hub) Subscribe(url string, fields ...any) map[string]any {
	h.t.Helper()
	body := map[string]any{"url": url}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i].(string)] = fields[i+1]
	}
	a := h.Do("POST", "/v1/subscriptions", h.Owner, body)
	require.Equal(h.t, http.StatusCreated, a.Status, "%s", a.Body)
	return a.JSON(h.t)
}

// Send posts events (envelopes as JSON), each in a request of its own, until the hub
// has taken them. It returns their ids.
func (h *Hub) Send(events ...string) []string {
	h.t.Helper()
	var ids []string
	for _, e := range events {
		a := h.post(e)
		var body struct {
			Results []struct{ ID string } `json:"results"`
		}
		require.NoError(h.t, json.Unmarshal(a.Body, &body))
		ids = append(ids, body.Results[0].ID)
	}
	return ids
}

// SendTogether posts events in one request, a line for each, and requires that the hub
// takes all. It costs a fraction of what Send costs.
func (h *Hub) SendTogether(events ...string) {
	h.t.Helper()
	h.post(strings.Join(events, "\n"), "Content-Type", "application/x-ndjson")
}

// post posts events and requires the answer 202. If the hub is too busy to take them it
// posts them again, as senders do.
func (h *Hub) post(events string, headers ...string) Answer {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		a := h.Do("POST", "/v1/events", h.Owner, events, headers...)
		if a.Status == http.StatusServiceUnavailable && time.Now().Before(deadline) {
			continue
		}
		require.Equal(h.t, http.StatusAccepted, a.Status, "%s", a.Body)
		return a
	}
}

// Ringing returns an envelope of a call event. n makes it differ from others of the
// call.
func Ringing(call string, n int) string {
	return fmt.Sprintf(`{"type":"call.ringing","data":{"callID":%q,"partyID":"p1","thisDN":"1001","n":%d}}`, call, n)
}

// CDR returns an envelope of a main call record. n makes it differ from others of the
// call.
func CDR(call string, n int) string {
	return fmt.Sprintf(`{"type":"cdr.call","data":{"callID":%q,"callType":2,`+
		`"startTime":1637068256419,"endTime":1637068356419,"n":%d}}`, call, n)
}

// Push is one request that a receiver got.
type Push struct {
	At     time.Time
	Method string
	URL    string
	Header http.Header
	Body   []byte
}

// N returns the number in the body of Ringing and CDR; 0 if the body is sealed.
func (p Push) N() int {
	var b struct{ N int }
	_ = json.Unmarshal(p.Body, &b) // fails for a sealed body
	return b.N
}

// Receiver takes pushes, and answers them as its test wants.
type Receiver struct {
	URL    string
	mu     sync.Mutex
	pushes []Push
	came   chan struct{} // closed at the next push, and then replaced
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

// NewReceiver returns a receiver that answers the first pushes with some statuses, and
// all others with 200.
func NewReceiver(t testing.TB, statuses ...int) *Receiver {
	return NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < len(statuses) {
			w.WriteHeader(statuses[n])
		}
	})
}

// NewReceiverFunc returns a receiver that answers the n-th push, counted from 0, with
// answer. The body was read already.
func NewReceiverFunc(t testing.TB, answer func(n int, w http.ResponseWriter, r *http.Request)) *Receiver {
	rec := &Receiver{came: make(chan struct{}), answer: answer}
	srv := httptest.NewServer(rec)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	rec.URL = srv.URL
	return rec
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the hub gave up
	}
	r.mu.Lock()
	n := len(r.pushes)
	r.pushes = append(r.pushes, Push{at, req.Method, req.URL.String(), req.Header.Clone(), body})
	close(r.came)
	r.came = make(chan struct{})
	r.mu.Unlock()
	r.answer(n, w, req)
}

// Pushes returns the pushes so far.
func (r *Receiver) Pushes() []Push {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Push(nil), r.pushes...)
}

// Wait waits until n pushes have come, at most a minute.
func (r *Receiver) Wait(t testing.TB, n int) []Push {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		got, came := len(r.pushes), r.came
		r.mu.Unlock()
		if got >= n {
			return r.Pushes()
		}
		select {
		case <-came:
		case <-deadline:
			require.FailNow(t, "pushes are missing", "%d of %d came", got, n)
		}
	}
}

// Eventually waits until f reports true, at most a minute.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, patience, 5*time.Millisecond, what)
}
