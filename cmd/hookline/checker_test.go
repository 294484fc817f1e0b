package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/cmd/hookline/sink"
	"github.com/hookline/hookline/storage"
)

const (
	crashInFlight = 8 // requests of a subscription
	crashKeys     = 4 // order keys of one sender
	crashAppKey   = "crash-test-app-key-0123456789abcdef"
)

// faults counts the times during which something is broken. Only such a time excuses
// that an event comes twice.
type faults struct{ n atomic.Int64 } // odd while something is broken

func (f *faults) begin() { f.n.Add(1) }
func (f *faults) end()   { f.n.Add(1) }

// moment breaks something that is whole again at once.
func (f *faults) moment() { f.n.Add(2) }

// watch is what one subscription's receiver saw, and what is wrong with it.
type watch struct {
	sink   *sink.Sink
	url    string
	sub    string   // id of the subscription
	types  []string // of the events that it wants; none: all
	faults *faults
	leased bool         // pushed to by processes that stop by themselves when the machine holds them up for 4 s
	open   atomic.Int64 // connections

	mu         sync.Mutex
	taken      map[string]int64 // event id → how many faults there had been when it was last taken
	last       map[string]int   // order key → highest number of its events
	duplicates map[int64]int    // by the fault after, or during, which what was known of the first push was lost
	inverted   int              // came, for the first time, after a later one of its key
	excuseless []string         // came twice while nothing was broken
	busy, most int              // requests at once
}

// newWatch starts a receiver that takes a moment and refuses some tries with 503.
func newWatch(t *testing.T, f *faults, types ...string) *watch {
	w := &watch{faults: f, types: types, taken: map[string]int64{}, last: map[string]int{}, duplicates: map[int64]int{}}
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
	now := w.faults.n.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	before, again := w.taken[p.EventID]
	w.taken[p.EventID] = now
	switch {
	case again && before == now && now%2 == 0:
		w.excuseless = append(w.excuseless, p.EventID)
	case again:
		w.duplicates[before/2]++
	case n < w.last[key]:
		w.inverted++
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
	require.Eventually(t, func() bool { return w.open.Load() == 0 }, patience, time.Millisecond,
		"connections of a dead process stay open")
}

func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.taken)
}

// wanted of the accepted events.
func (w *watch) wanted(accepted map[string]sent) (n int) {
	for _, e := range accepted {
		if w.wants(e) {
			n++
		}
	}
	return n
}

func (w *watch) wants(e sent) bool { return len(w.types) == 0 || slices.Contains(w.types, e.typ) }

// tally is what became of the events that a receiver wants.
type tally struct {
	accepted, delivered, lost, duplicated, inverted, late, replayed int
	retried                                                         int // refused with 503 and sent again
	worst                                                           int // duplicates of one fault
}

func (s tally) String() string {
	return fmt.Sprintf("accepted %d, delivered %d, lost %d, inverted %d, duplicated %d (at most %d by one fault), late %d, replayed %d, refused and retried %d",
		s.accepted, s.delivered, s.lost, s.inverted, s.duplicated, s.worst, s.late, s.replayed, s.retried)
}

func (s tally) plus(o tally) tally {
	return tally{
		s.accepted + o.accepted, s.delivered + o.delivered, s.lost + o.lost, s.duplicated + o.duplicated, s.inverted +
			o.inverted,
		s.late + o.late, s.replayed + o.replayed, s.retried + o.retried, max(s.worst, o.worst),
	}
}

// check what the receiver saw against what was accepted: of one fault it may have
// got so many events twice.
func (w *watch) check(t *testing.T, accepted map[string]sent, mayDouble int) tally {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.sink.Stats()
	s := tally{
		accepted: w.wanted(accepted), delivered: len(w.taken), inverted: w.inverted, late: int(st.Late),
		replayed: int(st.Replayed), retried: int(st.Retries),
	}
	for id, e := range accepted {
		if _, came := w.taken[id]; w.wants(e) && !came {
			s.lost++
		}
	}
	for _, n := range w.duplicates {
		s.duplicated += n
		s.worst = max(s.worst, n)
	}
	require.Zero(t, s.lost, "lost: %v", s)
	require.Equal(t, s.accepted, s.delivered, "more was delivered than accepted")
	require.Zero(t, s.inverted, "inverted: %v", s)
	require.Zero(t, st.Inversions, "inverted, by the sequence in the header")
	if !w.leased || len(w.excuseless) > crashInFlight {
		require.Empty(t, w.excuseless, "came twice, and nothing was broken")
	}
	s.duplicated += len(w.excuseless)
	require.LessOrEqual(t, s.worst, mayDouble, "duplicates because of one fault")
	require.Zero(t, s.late)
	require.Zero(t, s.replayed)
	require.Zero(t, st.BadSignatures)
	require.LessOrEqual(t, w.most, 2*crashInFlight, "of two processes, one of which was killed or cut off")
	return s
}

// sent is an event that the hub has taken.
type sent struct {
	typ   string
	tries int
}

// load is senders that post events until they are told to stop: one per set of
// order keys, the next event only after the answer to the one before. What has no
// clear answer is sent again with the same id, to the next hub.
type load struct {
	hubs     []*process
	types    []string
	pause    time.Duration // of a sender between two events, at most
	patience time.Duration // with one request
	stop     chan struct{}
	wg       sync.WaitGroup

	mu       sync.Mutex
	accepted map[string]sent
	again    int // answered duplicate: committed, but the 202 was lost
	refused  int // answered 503
	silent   int // not answered within patience
	muted    map[*process]time.Time
	slowest  time.Duration // answer
	errs     []error
}

func startLoad(senders int, l *load) *load {
	l.stop, l.accepted, l.muted = make(chan struct{}), map[string]sent{}, map[*process]time.Time{}
	for s := range senders {
		l.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				case <-time.After(rand.N(l.pause)):
				}
				if err := l.send(s+n, l.types[s%len(l.types)], fmt.Sprintf("s%d-k%d", s, n%crashKeys), n/crashKeys+1); err != nil {
					l.mu.Lock()
					l.errs = append(l.errs, err)
					l.mu.Unlock()
					return
				}
			}
		})
	}
	return l
}

// send one event until a hub has it, whatever happens to the hubs meanwhile.
func (l *load) send(first int, typ, call string, n int) error {
	id := fmt.Sprintf("%s-%d", call, n)
	body := fmt.Sprintf(`{"id":%q,"type":%q,"data":{"callID":%q,"partyID":"p1","thisDN":"1001","n":%d}}`, id, typ, call, n)
	for tries := 1; ; tries++ {
		p := l.choose(first + tries)
		began := time.Now()
		a, err := p.tryFor(l.patience, "POST", "/v1/events", p.owner, body)
		l.answered(p, a, err, time.Since(began))
		switch {
		case err != nil || a.status == http.StatusServiceUnavailable:
			time.Sleep(rand.N(l.pause)) // it is down: nothing tells when it is up again
			continue
		case a.status != http.StatusAccepted:
			return fmt.Errorf("%s: %d %s", id, a.status, a.body)
		}
		l.mu.Lock()
		l.accepted[id] = sent{typ, tries}
		if gjson.GetBytes(a.body, "results.0.status").String() == "duplicate" {
			l.again++
		}
		l.mu.Unlock()
		return nil
	}
}

// choose a hub as a balancer does: one that was silent gets nothing for a while.
func (l *load) choose(n int) *process {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.hubs {
		if p := l.hubs[(n+i)%len(l.hubs)]; time.Since(l.muted[p]) > 5*time.Second {
			return p
		}
	}
	return l.hubs[n%len(l.hubs)]
}

func (l *load) answered(p *process, a reply, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.slowest = max(l.slowest, took)
		if a.status == http.StatusServiceUnavailable {
			l.refused++
		}
	case took >= l.patience:
		l.silent++
		l.muted[p] = time.Now()
	}
}

// posted so far.
func (l *load) posted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

func (l *load) end(t *testing.T) map[string]sent {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	require.Empty(t, l.errs)
	return l.accepted
}

// resent is how often an event was sent again.
func resent(accepted map[string]sent) (n int) {
	for _, e := range accepted {
		n += e.tries - 1
	}
	return n
}

// subscribe receivers: every other one sealed.
func subscribe(t *testing.T, p *process, watches ...*watch) {
	t.Helper()
	for i, w := range watches {
		events := `"call.*"`
		if len(w.types) > 0 {
			events = `"` + strings.Join(w.types, `","`) + `"`
		}
		encryption := []string{"none", "aes-256-gcm"}[i%2]
		a := p.ask("POST", "/v1/subscriptions", p.owner, fmt.Sprintf(`{"url":%q,"events":[%s],"appKey":%q,"maxInFlight":%d,"encryption":%q,
			"encryptionKey":"from-appKey","retry":{"live":{"schedule":["20ms","50ms","100ms","200ms","500ms","1s","1s","1s"],"jitter":0.2}}}`,
			w.url, events, crashAppKey, crashInFlight, encryption))
		require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
		w.sub = gjson.GetBytes(a.body, "id").String()
	}
}

// drained waits until every receiver has taken all that was accepted, and the
// hub has recorded so.
func drained(t *testing.T, p *process, accepted map[string]sent, watches []*watch) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, w := range watches {
			if w.count() < w.wanted(accepted) {
				return false
			}
		}
		return true
	}, 60*time.Second, 20*time.Millisecond, "not all was delivered")
	require.Eventually(t, func() bool {
		a := p.ask("GET", "/v1/deliveries?state=pending&limit=1", p.owner, "")
		return a.status == http.StatusOK && len(gjson.GetBytes(a.body, "data").Array()) == 0
	}, patience, 20*time.Millisecond, "deliveries stay pending")
}

// readable reads every accepted event back: each of its deliveries is delivered.
func readable(t *testing.T, p *process, accepted map[string]sent, watches []*watch) {
	t.Helper()
	ids := make(chan string)
	problems := make(chan string, 8)
	var wg sync.WaitGroup
	for range cap(problems) {
		wg.Go(func() {
			bad := ""
			for id := range ids {
				deliveries := 0
				for _, w := range watches {
					if w.wants(accepted[id]) {
						deliveries++
					}
				}
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

// recount reads the tables of hubs that have ended: what they counted as they
// went must be what is there. where is the folder, or the URL, of the store.
func recount(t *testing.T, db *sql.DB, where string, deliveries int) {
	t.Helper()
	one := func(query string) (v string) {
		t.Helper()
		require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&v), query)
		return v
	}
	require.NoError(t, storage.CheckCounts(t.Context(), where))
	require.Equal(t, strconv.Itoa(deliveries),
		one("SELECT count(*) FROM deliveries WHERE state = 1 AND done_at > 0 AND tries > 0"))
	require.Equal(t, strconv.Itoa(deliveries), one("SELECT count(*) FROM deliveries"))
	require.Equal(t, fmt.Sprintf("%d %d 0", deliveries, deliveries), one(`SELECT sum(matched) || ' ' || sum(delivered) || ' ' ||
		sum(exhausted + expired + cancelled + superseded) FROM delivery_hours WHERE sub > 0`)) // the others count a tenant's events
	require.Equal(t, "0", one(`SELECT count(*) FROM (SELECT sub, accepted_at / 3600000 AS hour, count(*) AS n FROM deliveries GROUP BY 1, 2)
		AS counted LEFT JOIN (SELECT sub, hour, sum(matched) AS m, sum(delivered) AS d FROM delivery_hours GROUP BY 1, 2) AS noted USING (sub, hour)
		WHERE n IS DISTINCT FROM m OR n IS DISTINCT FROM d`), "an hour in which the counts differ from the rows")
	require.Equal(t, "0", one(`SELECT count(*) FROM deliveries d WHERE d.tries <>
		(SELECT count(*) FROM attempts a WHERE a.sub = d.sub AND a.seq = d.seq AND a.run = d.run AND a.n <= d.tries)`), "deliveries whose tries are not their attempts")
	require.Equal(t, "0", one(`SELECT count(*) FROM deliveries d JOIN attempts a ON a.sub = d.sub AND a.seq = d.seq AND a.run = d.run
		WHERE (a.n = d.tries) <> (a.status = 200)`), "delivered by any but the last attempt")
	require.Equal(t, one("SELECT count(*) FILTER (WHERE class = 0) || ' ' || count(*) FILTER (WHERE class > 0) FROM attempts"),
		one("SELECT sum(ok) || ' ' || sum(failed) FROM delivery_hours WHERE sub > 0"))
	require.Equal(t, one("SELECT count(*) FROM events"), one("SELECT count(*) FROM event_ids"))
	require.Equal(t, one("SELECT count(*) FROM events"), one("SELECT count(*) FROM bodies"))
}
