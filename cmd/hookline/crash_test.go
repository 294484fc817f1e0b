package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	_ "modernc.org/sqlite" // the driver "sqlite", to recount what the hub wrote

	"github.com/hookline/hookline/cmd/hookline/sink"
)

// The binary as its users run it.
func TestBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	binary := build(t)
	for name, test := range map[string]func(*testing.T, string){
		"one hub per folder":    testOneHubPerFolder,
		"graceful stop":         testGracefulStop,
		"same id, while killed": testSameIDWhileKilled,
		"kill -9":               testKillNine,
		"replay, while killed":  testReplayWhileKilled,
	} {
		t.Run(name, func(t *testing.T) { test(t, binary) })
	}
}

// The real binary is killed with -9 at random moments and started again on the
// same file, under load. Nothing accepted is lost, nothing comes out of order,
// and what comes twice was in flight when the process died.
func testKillNine(t *testing.T, binary string) {
	const rounds = 21
	var kills faults
	p := newProcess(t, binary)
	watches := []*watch{newWatch(t, &kills), newWatch(t, &kills)}
	subscribe(t, p, watches...)
	l := startLoad(16, oneHub(p))
	for round := range rounds {
		// Sometimes before it serves, mostly under load, however long its start takes.
		if enough := l.posted() + 30; round%4 != 0 {
			require.Eventually(t, func() bool { return l.posted() >= enough }, time.Minute, time.Millisecond)
		}
		time.Sleep(time.Duration(50+rand.IntN(550)) * time.Millisecond)
		p.kill()
		for _, w := range watches {
			w.quiet(t) // what the dead one had sent belongs to it
		}
		kills.moment()
		p.start()
	}
	p.ready()
	accepted := l.end(t)
	require.Greater(t, len(accepted), 20*rounds, "hardly any load: this shows nothing")
	backlog := gjson.ParseBytes(p.ask("GET", "/v1/deliveries?state=pending&limit=500", p.owner,
		"").body).Get("data.#").Int()
	drained(t, p, accepted, watches)
	readable(t, p, accepted, watches)
	require.Zero(t, p.end(patience), "exit code after a graceful stop: %s", p.log)
	recountFolder(t, p, len(accepted)*len(watches))
	for i, w := range watches {
		t.Logf("subscription %d: %v", i+1, w.check(t, accepted, crashInFlight))
	}
	t.Logf("killed %d times; accepted %d, of these %d committed by a process that died before its 202; pending when the load ended %d (500: or more); sent again %d times",
		rounds, len(accepted), l.again, backlog, resent(accepted))
}

// oneHub is load on a single process.
func oneHub(p *process) *load {
	return &load{
		hubs: []*process{p}, types: []string{"call.ringing"}, pause: 15 * time.Millisecond, patience: patience,
	}
}

// recountFolder is recount of an embedded store.
func recountFolder(t *testing.T, p *process, deliveries int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.data, "hookline.db")+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	var whole string
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&whole))
	require.Equal(t, "ok", whole)
	recount(t, db, p.data, deliveries)
}

// SIGTERM under load: the hub stops within its bound, with everything in flight
// recorded: nothing is lost and nothing comes twice.
func testGracefulStop(t *testing.T, binary string) {
	var kills faults // stays 0: a graceful stop excuses no duplicate
	p := newProcess(t, binary)
	watches := []*watch{newWatch(t, &kills), newWatch(t, &kills)}
	subscribe(t, p, watches...)
	l := startLoad(8, oneHub(p))
	for range 3 {
		before := watches[0].count()
		require.Eventually(t, func() bool { return watches[0].count() >= before+100 }, time.Minute, time.Millisecond)
		require.Zero(t, p.end(patience), "exit code: %s", p.log)
		p.start()
		p.ready()
	}
	accepted := l.end(t)
	drained(t, p, accepted, watches)
	require.Zero(t, p.end(patience), "exit code: %s", p.log)
	recountFolder(t, p, len(accepted)*len(watches))
	for _, w := range watches {
		require.Zero(t, w.check(t, accepted, 0).duplicated)
		require.Zero(t, w.sink.Stats().Duplicates)
	}
}

// A second hub on the same folder says why it does not start; the lock of one
// that was killed is free.
func testOneHubPerFolder(t *testing.T, binary string) {
	p := newProcess(t, binary)
	second := p.command("127.0.0.1:0")
	out, err := second.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 1, second.ProcessState.ExitCode(), "%s", out)
	require.Contains(t, string(out), "another hookline process uses this data folder")
	require.Contains(t, string(out), p.data)
	p.kill()
	p.start()
	p.ready()
	require.Equal(t, http.StatusOK, p.ask("GET", "/v1/subscriptions", p.owner, "").status)
}

// 64 senders post one id at the same time while the hub is killed: at most one
// hears that it was accepted, and it is stored and delivered once.
func testSameIDWhileKilled(t *testing.T, binary string) {
	p := newProcess(t, binary)
	pushes := make(chan string, 1000)
	s, err := sink.New(sink.Config{OnPush: func(p *sink.Push) { pushes <- p.ID }})
	require.NoError(t, err)
	srv := httptest.NewServer(s)
	defer srv.Close()
	a := p.ask("POST", "/v1/subscriptions", p.owner, fmt.Sprintf(`{"url":%q}`, srv.URL))
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)

	const rounds, senders = 5, 64
	for round := range rounds {
		id := fmt.Sprintf("once-%d", round)
		body := fmt.Sprintf(`{"id":%q,"type":"call.ringing","data":{"callID":%q}}`, id, id)
		statuses := make(chan string, senders)
		begin, stop := make(chan struct{}), make(chan struct{})
		for range senders {
			go func() {
				<-begin
				for {
					a, err := p.try("POST", "/v1/events", p.owner, body)
					if err == nil && a.status != http.StatusServiceUnavailable {
						statuses <- gjson.GetBytes(a.body, "results.0.status").String()
						return
					}
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			}()
		}
		close(begin)
		time.Sleep(time.Duration(rand.IntN(8000)) * time.Microsecond)
		p.kill()
		p.start()
		p.ready()
		got := map[string]int{}
		for range senders {
			select {
			case s := <-statuses:
				got[s]++
			case <-time.After(patience):
				require.FailNow(t, "senders without an answer", "%v", got)
			}
		}
		close(stop)
		require.LessOrEqual(t, got["accepted"], 1)
		require.Equal(t, senders, got["accepted"]+got["duplicate"], "%v", got)
		a := p.ask("GET", "/v1/events?orderKey="+url.QueryEscape("call/"+id), p.owner, "")
		require.Len(t, gjson.GetBytes(a.body, "data").Array(), 1, "%s", a.body)
		require.EqualValues(t, 1, gjson.GetBytes(a.body, "data.0.matched").Int())
	}
	distinct := map[string]bool{}
	for len(distinct) < rounds {
		select {
		case id := <-pushes:
			distinct[id] = true
		case <-time.After(patience):
			require.FailNow(t, "pushes are missing", "%d of %d", len(distinct), rounds)
		}
	}
}
