package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Flood is one tenant that asks for far more than it may, on many routes at once, as
// paced requests: whoever answers, and however fast, gets the same ones. Those for which
// no connection is free are left out.
type Flood struct {
	URL string // of a hub, or of who refuses everything
	Key string // of an owner
}

// floodRoute is one kind of request of a Flood.
type floodRoute struct {
	name         string
	method, path string
	body         func(n int64) string // nil: none
	kind         string               // media type of the body; default: JSON
	perSecond    int
	connections  int
}

// stalls is how many connections of a Flood begin a body and never end it.
const stalls = 64

// floodRoutes ask for ten times of what a tenant may by default: 1,000 events a second,
// and two to four requests at a time.
func floodRoutes() []floodRoute {
	return []floodRoute{
		{name: "ingest", method: "POST", path: "/v1/events", body: floodEvents, perSecond: 500, connections: 16},
		{name: "directory", method: "PUT", path: "/v1/directory", body: floodDirectory, perSecond: 20, connections: 8},
		{name: "statistics", method: "GET", path: "/v1/stats", perSecond: 100, connections: 40},
		{name: "log", method: "GET", path: "/v1/events?limit=100", perSecond: 100, connections: 40},
		{name: "exports", method: "GET", path: "/v1/exports/deliveries", perSecond: 10, connections: 20},
		{name: "tail", method: "GET", path: "/v1/tail", perSecond: 50, connections: 50},
		{
			name: "recordings", method: "PUT", path: "/v1/recordings/flood", perSecond: 40, connections: 40,
			body: func(int64) string { return strings.Repeat("sound", 4<<10) }, kind: "audio/mpeg",
		},
	}
}

// floodEvents is a request of 20 events.
func floodEvents(n int64) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range int64(20) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":%q,"data":{"callID":"flood-%d","startTime":%d}}`, typeAlive, 20*n+i, time.Now().UnixMilli())
	}
	b.WriteByte(']')
	return b.String()
}

// floodDirectory is a directory of 200 agents.
func floodDirectory(int64) string {
	var b strings.Builder
	b.WriteString(`{"agents":[`)
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"agentUUID":"agent-%d","agentID":"%d"}`, i, i)
	}
	b.WriteString("]}")
	return b.String()
}

// floodPatience bounds one request; streams end by it.
const floodPatience = 3 * time.Second

// Run floods until ctx ends, and returns how many answers of which status came to which
// kind of request. It comes from an address of its own, because connections are counted by
// address.
func (f Flood) Run(ctx context.Context) map[string]map[int]int64 {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: floodPatience}
	counts := &floodCounts{of: map[string]map[int]int64{}}
	var all sync.WaitGroup
	for _, r := range floodRoutes() {
		client := &http.Client{Timeout: floodPatience, Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxConnsPerHost: r.connections, MaxIdleConnsPerHost: r.connections,
		}}
		defer client.CloseIdleConnections()
		all.Go(func() { f.ask(ctx, client, r, counts) })
	}
	for range stalls {
		all.Go(func() { f.stall(ctx, dialer) })
	}
	all.Wait()
	return counts.of
}

type floodCounts struct {
	mu sync.Mutex
	of map[string]map[int]int64 // by kind of request and status; 0: no answer
}

func (c *floodCounts) add(name string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[name] == nil {
		c.of[name] = map[int]int64{}
	}
	c.of[name][status]++
}

// ask makes the requests of a route, each when it is due.
func (f Flood) ask(ctx context.Context, client *http.Client, r floodRoute, counts *floodCounts) {
	var asking sync.WaitGroup
	defer asking.Wait()
	var busy atomic.Int64
	tick := time.NewTicker(time.Second / time.Duration(r.perSecond))
	defer tick.Stop()
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if busy.Load() >= int64(r.connections) {
			continue
		}
		busy.Add(1)
		asking.Go(func() {
			defer busy.Add(-1)
			counts.add(r.name, f.once(ctx, client, r, n))
		})
	}
}

// once makes a request and returns the status of its answer; 0: there was none.
func (f Flood) once(ctx context.Context, client *http.Client, r floodRoute, n int64) int {
	var body io.Reader
	kind := "application/json"
	if r.body != nil {
		body = strings.NewReader(r.body(n))
	}
	if r.kind != "" {
		kind = r.kind
	}
	req, err := http.NewRequestWithContext(ctx, r.method, f.URL+r.path, body)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+f.Key)
	req.Header.Set("Content-Type", kind)
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // a stream ends by the client's patience
	return resp.StatusCode
}

// stall begins a large body, waits until the connection is closed, and does so again.
func (f Flood) stall(ctx context.Context, dialer *net.Dialer) {
	at, err := url.Parse(f.URL)
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", at.Host)
		if err == nil {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			_, _ = fmt.Fprintf(conn, "POST /v1/events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
				f.Key, 1<<20, strings.Repeat(" ", 256<<10))
			_, _ = io.Copy(io.Discard, conn) // until it is closed
			stop()
			_ = conn.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
