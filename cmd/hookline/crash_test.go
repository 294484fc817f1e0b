package main

import (
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	_ "modernc.org/sqlite" // the driver "sqlite", to recount what the hub wrote

	"github.com/hookline/hookline/cmd/hookline/sink"
	"github.com/hookline/hookline/storage"
)

const (
	crashInFlight = 8
	crashKeys     = 4 // order keys of one sender
	crashAppKey   = "crash-test-app-key-0123456789abcdef"
)

// watch is what one subscription's receiver saw, and what is wrong with it.
type watch struct {
	sink  *sink.Sink
	url   string
	sub   string // id of the subscription
	kills *atomic.Int64
	open  atomic.Int64 // connections

	mu         sync.Mutex
	taken      map[string]int64 // event id → how many kills there had been when it was last taken
	last       map[string]int   // order key → number of its last event
	duplicates map[int64]int    // by the kill that lost what was known of the first push
	wrong      []string
	busy, most int // requests at once
}

// newWatch starts a receiver that takes a moment and refuses some tries with 503.
func newWatch(t *testing.T, kills *atomic.Int64) *watch {
	w := &watch{kills: kills, taken: map[string]int64{}, last: map[string]int{}, duplicates: map[int64]int{}}
	var err error
	w.sink, err = sink.New(sink.Config{
		CompanyID: "demo", AppKeys: []string{crashAppKey}, OnPush: w.note,
		// Rare enough that five in a row, which would open the breaker, do not happen.
		Behaviour: sink.Behaviour{Status: http.StatusServiceUnavailable, Rate: 0.03, Seed: 1},
	})
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(w)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			w.open.Add(1)
		case http.StateClosed:
			w.open.Add(-1)
		}
	}
	srv.Start()
	w.url = srv.URL
	t.Cleanup(func() {
		w.sink.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	return w
}

func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.busy++
	w.most = max(w.most, w.busy)
	w.mu.Unlock()
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // its work: so a kill finds requests in flight
	w.sink.ServeHTTP(rw, r)
	w.mu.Lock()
	w.busy--
	w.mu.Unlock()
}

// note a push before its answer goes out: only then may the next of its key come.
func (w *watch) note(p *sink.Push) {
	if p.Status != http.StatusOK {
		return
	}
	key, n := gjson.GetBytes(p.Body, "callID").String(), int(gjson.GetBytes(p.Body, "n").Int())
	kills := w.kills.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	before, again := w.taken[p.EventID]
	w.taken[p.EventID] = kills
	switch {
	case again && before == kills:
		w.wrong = append(w.wrong, fmt.Sprintf("%s came twice and nobody was killed in between", p.EventID))
	case again:
		w.duplicates[before]++
	case n != w.last[key]+1:
		w.wrong = append(w.wrong, fmt.Sprintf("%s: %d after %d", key, n, w.last[key]))
	default:
		w.last[key] = n
	}
}

// quiet waits until all that a dead process sent was read: its requests may
// still be on the way when it is gone. Connections are accepted in order, so once
// one of ours was answered all of its are counted; each ends after its last request.
func (w *watch) quiet(t *testing.T) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(w.url + "/_stats")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Eventually(t, func() bool { return w.open.Load() == 0 }, 20*time.Second, time.Millisecond, "connections of a dead process stay open")
}

func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.taken)
}

// load is senders that post events until they are told to stop: one per set of
// order keys, the next event only after the answer to the one before.
type load struct {
	p        *process
	stop     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	accepted map[string]int // event id → times it was sent
	again    int            // answered duplicate: committed, but the 202 was lost
	err      error
}

func startLoad(p *process, senders int) *load {
	l := &load{p: p, stop: make(chan struct{}), accepted: map[string]int{}}
	for s := range senders {
		l.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				case <-time.After(time.Duration(rand.IntN(15)) * time.Millisecond):
				}
				if err := l.send(fmt.Sprintf("s%d-k%d", s, n%crashKeys), n/crashKeys+1); err != nil {
					l.mu.Lock()
					l.err = err
					l.mu.Unlock()
					return
				}
			}
		})
	}
	return l
}

// send one event until the hub has it, whatever happens to the hub meanwhile.
func (l *load) send(call string, n int) error {
	id := fmt.Sprintf("%s-%d", call, n)
	body := fmt.Sprintf(`{"id":%q,"type":"call.ringing","data":{"callID":%q,"partyID":"p1","thisDN":"1001","n":%d}}`, id, call, n)
	for tries := 1; ; tries++ {
		a, err := l.p.try("POST", "/v1/events", l.p.owner, body)
		switch {
		case err != nil || a.status == http.StatusServiceUnavailable:
			time.Sleep(5 * time.Millisecond) // it is down: nothing tells when it is up again
			continue
		case a.status != http.StatusAccepted:
			return fmt.Errorf("%s: %d %s", id, a.status, a.body)
		}
		l.mu.Lock()
		l.accepted[id] = tries
		if gjson.GetBytes(a.body, "results.0.status").String() == "duplicate" {
			l.again++
		}
		l.mu.Unlock()
		return nil
	}
}

func (l *load) end(t *testing.T) map[string]int {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	require.NoError(t, l.err)
	return l.accepted
}

// subscribe both receivers: one plain, one sealed.
func subscribe(t *testing.T, p *process, watches ...*watch) {
	t.Helper()
	for i, w := range watches {
		encryption := []string{"none", "aes-256-gcm"}[i%2]
		a := p.ask("POST", "/v1/subscriptions", p.owner, fmt.Sprintf(`{"url":%q,"events":["call.*"],"appKey":%q,"maxInFlight":%d,"encryption":%q,
			"encryptionKey":"from-appKey","retry":{"live":{"schedule":["20ms","50ms","100ms","200ms","500ms","1s","1s","1s"],"jitter":0.2}}}`,
			w.url, crashAppKey, crashInFlight, encryption))
		require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
		w.sub = gjson.GetBytes(a.body, "id").String()
	}
}

// drained waits until every receiver has taken all that was accepted, and the
// hub has recorded so.
func drained(t *testing.T, p *process, accepted map[string]int, watches []*watch) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, w := range watches {
			if w.count() < len(accepted) {
				return false
			}
		}
		return true
	}, 60*time.Second, 20*time.Millisecond, "not all was delivered")
	require.Eventually(t, func() bool {
		a := p.ask("GET", "/v1/deliveries?state=pending&limit=1", p.owner, "")
		return a.status == http.StatusOK && len(gjson.GetBytes(a.body, "data").Array()) == 0
	}, 10*time.Second, 20*time.Millisecond, "deliveries stay pending")
}

// check what the receivers saw against what was accepted.
func (w *watch) check(t *testing.T, accepted map[string]int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	lost := 0
	for id := range accepted {
		if _, came := w.taken[id]; !came {
			lost++
		}
	}
	require.Zero(t, lost, "lost")
	require.Len(t, w.taken, len(accepted), "more was delivered than accepted")
	require.Empty(t, w.wrong)
	for kill, n := range w.duplicates {
		require.LessOrEqual(t, n, crashInFlight, "duplicates because of kill %d", kill+1)
	}
	st := w.sink.Stats()
	require.Zero(t, st.Inversions)
	require.Zero(t, st.Late)
	require.Zero(t, st.BadSignatures)
	require.LessOrEqual(t, w.most, 2*crashInFlight, "of two processes, one of which was killed")
}

// readable reads every accepted event back: each of its deliveries is delivered.
func readable(t *testing.T, p *process, accepted map[string]int, deliveries int) {
	t.Helper()
	ids := make(chan string)
	problems := make(chan string, 8)
	var wg sync.WaitGroup
	for range cap(problems) {
		wg.Go(func() {
			bad := ""
			for id := range ids {
				a, err := p.try("GET", "/v1/events/"+url.PathEscape(id), p.owner, "")
				states := gjson.GetBytes(a.body, "deliveries.#.state").Array()
				if err != nil || a.status != http.StatusOK || len(states) != deliveries {
					bad = fmt.Sprintf("event %s: %v %d %s", id, err, a.status, a.body)
				}
				for _, s := range states {
					if s.String() != "delivered" {
						bad = fmt.Sprintf("event %s: %s", id, a.body)
					}
				}
			}
			if bad != "" {
				problems <- bad
			}
		})
	}
	for id := range accepted {
		ids <- id
	}
	close(ids)
	wg.Wait()
	close(problems)
	for bad := range problems {
		require.Fail(t, "read back", bad)
	}
}

// recount reads the tables of a hub that has ended: what it counted as it went
// must be what is there.
func recount(t *testing.T, p *process, deliveries int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.data, "hookline.db")+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	one := func(query string) (v string) {
		t.Helper()
		require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&v), query)
		return v
	}
	require.Equal(t, "ok", one("PRAGMA integrity_check"))
	require.NoError(t, storage.CheckCounts(t.Context(), p.data))
	require.Equal(t, strconv.Itoa(deliveries), one("SELECT count(*) FROM deliveries WHERE state = 1 AND done_at > 0 AND tries > 0"))
	require.Equal(t, strconv.Itoa(deliveries), one("SELECT count(*) FROM deliveries"))
	require.Equal(t, fmt.Sprintf("%d %d 0", deliveries, deliveries), one(`SELECT sum(matched) || ' ' || sum(delivered) || ' ' ||
		sum(exhausted + expired + cancelled + superseded) FROM delivery_hours`))
	require.Equal(t, "0", one(`SELECT count(*) FROM (SELECT sub, accepted_at / 3600000 AS hour, count(*) AS n FROM deliveries GROUP BY 1, 2)
		AS counted LEFT JOIN (SELECT sub, hour, sum(matched) AS m, sum(delivered) AS d FROM delivery_hours GROUP BY 1, 2) AS noted USING (sub, hour)
		WHERE n IS NOT m OR n IS NOT d`), "an hour in which the counts differ from the rows")
	require.Equal(t, "0", one(`SELECT count(*) FROM deliveries d WHERE d.tries <>
		(SELECT count(*) FROM attempts a WHERE a.sub = d.sub AND a.seq = d.seq AND a.run = d.run AND a.n <= d.tries)`), "deliveries whose tries are not their attempts")
	require.Equal(t, "0", one(`SELECT count(*) FROM deliveries d JOIN attempts a ON a.sub = d.sub AND a.seq = d.seq AND a.run = d.run
		WHERE (a.n = d.tries) <> (a.status = 200)`), "delivered by any but the last attempt")
	require.Equal(t, one("SELECT sum(class = 0) || ' ' || sum(class > 0) FROM attempts"), one("SELECT sum(ok) || ' ' || sum(failed) FROM delivery_hours"))
	require.Equal(t, one("SELECT count(*) FROM events"), one("SELECT count(*) FROM event_ids"))
	require.Equal(t, one("SELECT count(*) FROM events"), one("SELECT count(*) FROM bodies"))
}

func sum(m map[int64]int) (n int) {
	for v := range maps.Values(m) {
		n += v
	}
	return n
}

// The binary as its users run it.
func TestBinary(t *testing.T) {
	binary := build(t)
	for name, test := range map[string]func(*testing.T, string){
		"one hub per folder":    testOneHubPerFolder,
		"graceful stop":         testGracefulStop,
		"same id, while killed": testSameIDWhileKilled,
		"kill -9":               testKillNine,
	} {
		t.Run(name, func(t *testing.T) { test(t, binary) })
	}
}

// The real binary is killed with -9 at random moments and started again on the
// same file, under load. Nothing accepted is lost, nothing comes out of order,
// and what comes twice was in flight when the process died.
func testKillNine(t *testing.T, binary string) {
	rounds := 21
	if testing.Short() {
		rounds = 4
	}
	var kills atomic.Int64
	p := newProcess(t, binary)
	watches := []*watch{newWatch(t, &kills), newWatch(t, &kills)}
	subscribe(t, p, watches...)
	l := startLoad(p, 16)
	for range rounds {
		// Sometimes before it serves, mostly under load.
		time.Sleep(time.Duration(50+rand.IntN(550)) * time.Millisecond)
		p.kill()
		for _, w := range watches {
			w.quiet(t) // what the dead one had sent belongs to it
		}
		kills.Add(1)
		p.start()
	}
	p.ready()
	accepted := l.end(t)
	resent := 0
	for _, tries := range accepted {
		resent += tries - 1
	}
	require.Greater(t, len(accepted), 50*rounds, "hardly any load: this shows nothing")
	backlog := gjson.ParseBytes(p.ask("GET", "/v1/deliveries?state=pending&limit=500", p.owner, "").body).Get("data.#").Int()
	drained(t, p, accepted, watches)
	readable(t, p, accepted, len(watches))
	require.Zero(t, p.end(20*time.Second), "exit code after a graceful stop: %s", p.log)
	recount(t, p, len(accepted)*len(watches))
	for i, w := range watches {
		w.check(t, accepted)
		worst := 0
		for _, n := range w.duplicates {
			worst = max(worst, n)
		}
		st := w.sink.Stats()
		t.Logf("subscription %d: delivered %d, lost 0, inverted 0, refused with 503 and retried %d, duplicated %d (at most %d because of one kill, allowed %d)",
			i+1, len(w.taken), st.Retries, sum(w.duplicates), worst, crashInFlight)
	}
	t.Logf("killed %d times; accepted %d, of these %d committed by a process that died before its 202; pending when the load ended %d (500: or more); sent again %d times",
		rounds, len(accepted), l.again, backlog, resent)
}

// SIGTERM under load: the hub stops within its bound, with everything in flight
// recorded: nothing is lost and nothing comes twice.
func testGracefulStop(t *testing.T, binary string) {
	var kills atomic.Int64 // stays 0: a graceful stop excuses no duplicate
	p := newProcess(t, binary)
	watches := []*watch{newWatch(t, &kills), newWatch(t, &kills)}
	subscribe(t, p, watches...)
	l := startLoad(p, 8)
	for range 3 {
		before := watches[0].count()
		require.Eventually(t, func() bool { return watches[0].count() >= before+100 }, 20*time.Second, time.Millisecond)
		require.Zero(t, p.end(20*time.Second), "exit code: %s", p.log)
		p.start()
		p.ready()
	}
	accepted := l.end(t)
	drained(t, p, accepted, watches)
	require.Zero(t, p.end(20*time.Second), "exit code: %s", p.log)
	recount(t, p, len(accepted)*len(watches))
	for _, w := range watches {
		w.check(t, accepted)
		require.Zero(t, sum(w.duplicates))
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
			case <-time.After(20 * time.Second):
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
		case <-time.After(20 * time.Second):
			require.FailNow(t, "pushes are missing", "%d of %d", len(distinct), rounds)
		}
	}
}
