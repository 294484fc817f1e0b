package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// replayed is what a receiver saw of replays.
type replayed struct {
	mu     sync.Mutex
	live   int
	pushes int
	order  map[string][]int64 // by call: the numbers in its events, each when it came first
	ids    map[string]bool
}

func (r *replayed) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the hub was killed
	}
	time.Sleep(2 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Header.Get("X-Hookline-Replay") == "" {
		r.live++
		return
	}
	r.pushes++
	id := req.Header.Get("webhook-id")
	if !r.ids[id] {
		call := gjson.GetBytes(body, "callID").String()
		r.order[call] = append(r.order[call], gjson.GetBytes(body, "n").Int())
		r.ids[id] = true
	}
}

func (r *replayed) seen() (live, ids int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live, len(r.ids)
}

// The hub is killed at random moments while a replay is at work: it goes on where it
// was, sends each delivery, in order, and twice no more than what was in flight.
func testReplayWhileKilled(t *testing.T, binary string) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		replayWhileKilled(t, prepare(t, binary), 3)
	})
	t.Run("postgres", func(t *testing.T) { // another process waits for the lease of one that was killed
		t.Parallel()
		replayWhileKilled(t, prepare(t, binary, "HOOKLINE_DATABASE_URL="+hubtest.Postgres(t),
			"HOOKLINE_MASTER_KEY="+strings.Repeat("5a", 32)), 1)
	})
}

func replayWhileKilled(t *testing.T, p *process, kills int) {
	const events, calls, inFlight = 600, 20, 8
	p.start()
	p.ready()
	p.open()
	sink := &replayed{order: map[string][]int64{}, ids: map[string]bool{}}
	srv := httptest.NewServer(sink)
	defer srv.Close()
	a := p.ask("POST", "/v1/subscriptions", p.owner, fmt.Sprintf(`{"url":%q,"events":["call.*"]}`, srv.URL))
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)

	var list []string
	for n := range events {
		list = append(list, hubtest.Ringing(fmt.Sprint("c", n%calls), n))
	}
	a = p.ask("POST", "/v1/events", p.owner, "["+strings.Join(list, ",")+"]")
	require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	matching := func() int64 {
		a := p.ask("POST", "/v1/replays", p.owner, `{"filter":{"state":"delivered"},"only":"all","dryRun":true}`)
		return gjson.GetBytes(a.body, "matching").Int()
	}
	require.Eventually(t, func() bool { return matching() == events }, 2*time.Minute, 20*time.Millisecond)
	a = p.ask("POST", "/v1/replays", p.owner, `{"filter":{"state":"delivered"},"only":"all"}`)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	job := "/v1/replays/" + gjson.GetBytes(a.body, "id").String()

	for range kills {
		_, before := sink.seen()
		require.Eventually(t, func() bool {
			_, ids := sink.seen()
			return ids > before || ids == events
		}, 2*time.Minute, time.Millisecond)
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		p.kill()
		p.start()
		p.ready()
	}
	require.Eventually(t, func() bool {
		a, err := p.try("GET", job, p.owner, "")
		return err == nil && gjson.GetBytes(a.body, "state").String() == "done"
	}, 2*time.Minute, 50*time.Millisecond)
	done := p.ask("GET", job, p.owner, "")
	require.EqualValues(t, events, gjson.GetBytes(done.body, "progress.delivered").Int(), "%s", done.body)
	require.EqualValues(t, events, gjson.GetBytes(done.body, "progress.written").Int())

	sink.mu.Lock()
	defer sink.mu.Unlock()
	require.Len(t, sink.ids, events)
	require.LessOrEqual(t, sink.pushes, events+kills*inFlight)
	for call, numbers := range sink.order {
		require.IsIncreasing(t, numbers, call)
	}
}
