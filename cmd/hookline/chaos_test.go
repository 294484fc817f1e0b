package main

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres", to look at what the hubs do
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
)

var long = flag.Bool("chaos", false, "run all of TestChaos, which takes ten minutes: make chaos")

// takeOverWithin is how long a shard may stand still when its owner is lost, on a machine
// that does nothing else (make chaos). make test runs other tests beside this one.
const takeOverWithin = 15 * time.Second

// cluster is three processes on one PostgreSQL of their own, senders that post to
// whichever answers, and receivers whose subscriptions lie all over the shards.
type cluster struct {
	t       *testing.T
	server  *pgtest.Server
	url     string // of the database
	db      *sql.DB
	hubs    []*process
	names   map[*process]string // under which the present start owns shards
	seen    map[string]bool     // names of all starts
	faults  faults
	watches []*watch
	load    *load
	took    []time.Duration // take-overs
}

const (
	clusterHubs    = 3
	clusterSubs    = 12
	clusterSenders = 20 // 80 order keys
)

var clusterTypes = []string{"call.ringing", "call.established", "call.released"}

// newCluster starts it all; way leads a hub to the database.
func newCluster(
	t *testing.T, binary string, patience time.Duration, way func(hub int, database string) string,
) *cluster {
	server := pgtest.Start(t)
	c := &cluster{t: t, server: server, url: server.URL, names: map[*process]string{}, seen: map[string]bool{}}
	var err error
	c.db, err = sql.Open("postgres", c.url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.db.Close()) })
	for i := range clusterHubs {
		to := c.url
		if way != nil {
			to = way(i, to)
		}
		p := prepare(t, binary, "HOOKLINE_DATABASE_URL="+to, "HOOKLINE_MASTER_KEY="+strings.Repeat("5a", 32))
		c.hubs = append(c.hubs, p)
		c.start(p)
	}
	first := c.hubs[0]
	first.open()
	for _, p := range c.hubs {
		p.owner = first.owner
	}
	// Their shards are numbered as they are made: others in between spread them.
	for i := range clusterSubs {
		w := newWatch(t, &c.faults, clusterTypes[i%len(clusterTypes)])
		w.leased = true
		c.watches = append(c.watches, w)
		subscribe(t, first, w)
		for range 4 {
			a := first.ask("POST", "/v1/subscriptions", first.owner, fmt.Sprintf(`{"url":%q,"events":["visitor.left"]}`, w.url))
			require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
		}
	}
	c.balanced()
	for _, p := range c.hubs { // changes of keys reach others within seconds
		c.eventually("the key is known", func() bool {
			a, err := p.try("GET", "/v1/subscriptions?limit=1", p.owner, "")
			return err == nil && a.status == http.StatusOK
		})
	}
	c.load = startLoad(clusterSenders,
		&load{hubs: c.hubs, types: clusterTypes, pause: 130 * time.Millisecond, patience: patience})
	return c
}

// eventually is bounded by a time that no fault of ours needs.
func (c *cluster) eventually(what string, f func() bool) {
	c.t.Helper()
	require.Eventually(c.t, f, time.Minute, 20*time.Millisecond, what)
}

// start a process and learn its name.
func (c *cluster) start(p *process) {
	c.t.Helper()
	p.start()
	p.ready()
	delete(c.names, p)
	c.eventually("it joins", func() bool {
		for _, n := range c.column("SELECT name FROM processes") {
			if !c.seen[n] {
				c.names[p], c.seen[n] = n, true
			}
		}
		return c.names[p] != ""
	})
}

// column of a query; nil while the database is away.
func (c *cluster) column(query string, args ...any) (values []string) {
	rows, err := c.db.QueryContext(c.t.Context(), query, args...)
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if rows.Scan(&v) != nil {
			return nil
		}
		values = append(values, v)
	}
	if rows.Err() != nil {
		return nil
	}
	return values
}

// balanced waits until every process has its share: of 64 they have 22, 22 and 20.
func (c *cluster) balanced() {
	c.t.Helper()
	c.eventually("each process has its share", func() bool {
		for _, p := range c.hubs {
			if len(c.column("SELECT shard FROM shards WHERE owner = $1", c.names[p])) < 20 {
				return false
			}
		}
		return true
	})
}

// flowing waits until every receiver got something more.
func (c *cluster) flowing() {
	c.t.Helper()
	before := make([]int, len(c.watches))
	for i, w := range c.watches {
		before[i] = w.count()
	}
	c.eventually("all receivers get events", func() bool {
		for i, w := range c.watches {
			if w.count() < before[i]+5 {
				return false
			}
		}
		return true
	})
}

// owned are the numbers of those subscriptions with a receiver that a process owns.
func (c *cluster) owned(p *process) (subs []string) {
	for _, w := range c.watches {
		subs = append(subs, c.column(`SELECT s.no FROM subscriptions s JOIN shards h ON h.shard = s.no % 64
			WHERE s.id = $1 AND h.owner = $2`, w.sub, c.names[p])...)
	}
	require.NotEmpty(c.t, subs, "it owns nothing: its loss shows nothing")
	return subs
}

// takenOver waits until other processes have delivered for each of the
// subscriptions that were a lost one's, and says how long the last of them took.
func (c *cluster) takenOver(lost string, subs []string, since time.Time) time.Duration {
	c.t.Helper()
	var first []string
	c.eventually("others take over", func() bool {
		first = c.column(`SELECT min(at) FROM attempts WHERE process <> $1 AND at > $2 AND status = 200 AND sub = ANY (string_to_array($3, ',')::bigint[])
			GROUP BY sub ORDER BY 1`, lost, since.UnixMilli(), strings.Join(subs, ","))
		return len(first) == len(subs)
	})
	var at int64
	_, err := fmt.Sscan(first[len(first)-1], &at)
	require.NoError(c.t, err)
	return time.UnixMilli(at).Sub(since)
}

// quicklyTakenOver is takenOver within its bound, and notes how long it took.
func (c *cluster) quicklyTakenOver(lost string, subs []string, since time.Time) {
	c.t.Helper()
	took := c.takenOver(lost, subs, since)
	c.took = append(c.took, took)
	if *long {
		require.Less(c.t, took, takeOverWithin, "take-over")
	}
}

// finish stops the load, lets everything drain and checks it.
func (c *cluster) finish(mayDouble int) {
	t := c.t
	t.Helper()
	accepted := c.load.end(t)
	drained(t, c.hubs[0], accepted, c.watches)
	readable(t, c.hubs[1], accepted, c.watches)
	for _, p := range c.hubs {
		require.Zero(t, p.end(30*time.Second), "exit code after a graceful stop: %s", p.log)
		require.NotContains(t, p.log.String(), "panic")
	}
	var all tally
	for _, w := range c.watches {
		all = all.plus(w.check(t, accepted, mayDouble))
	}
	recount(t, c.db, c.url, all.accepted)
	l := c.load
	t.Logf("%d events of %d keys posted; %d answered 503, %d without an answer, sent again %d times, %d of these were known already; slowest answer %v",
		len(accepted), clusterSenders*crashKeys, l.refused, l.silent, resent(accepted), l.again,
		l.slowest.Round(time.Millisecond))
	t.Logf("%d subscriptions: %v", len(c.watches), all)
	if len(c.took) > 0 {
		longest, total := time.Duration(0), time.Duration(0)
		for _, d := range c.took {
			longest, total = max(longest, d), total+d
		}
		t.Logf("%d take-overs, from the loss to the last first delivery by another process: mean %v, longest %v",
			len(c.took), (total / time.Duration(len(c.took))).Round(time.Millisecond), longest.Round(time.Millisecond))
	}
}

// Several processes on one PostgreSQL, while things break around them. Nothing
// accepted is lost, no order key is out of order, and what comes twice was in
// flight when something broke.
func TestChaos(t *testing.T) {
	pgtest.Needed(t)
	binary := build(t)
	if !*long {
		t.Run("kill -9, and PostgreSQL restarts", func(t *testing.T) { chaosBriefly(t, binary) })
		return
	}
	t.Run("kill -9 of each process in turn", func(t *testing.T) { chaosKill(t, binary) })
	t.Run("an owner sleeps", func(t *testing.T) { chaosSleep(t, binary) })
	t.Run("the way to PostgreSQL is cut and slow", func(t *testing.T) { chaosNetwork(t, binary) })
	t.Run("PostgreSQL restarts and stops", func(t *testing.T) { chaosPostgres(t, binary) })
}

func chaosBriefly(t *testing.T, binary string) {
	c := newCluster(t, binary, patience, nil)
	c.flowing()
	c.kill(c.hubs[0])
	c.restart(syscall.SIGQUIT, 0)
	c.finish(2 * crashInFlight)
	require.Zero(t, c.load.silent, "requests without an answer")
}

// kill a process; another delivers what was its.
func (c *cluster) kill(p *process) {
	c.t.Helper()
	subs, lost := c.owned(p), c.names[p]
	c.faults.begin()
	at := time.Now()
	p.kill()
	c.start(p)
	c.quicklyTakenOver(lost, subs, at)
	c.balanced()
	c.flowing()
	c.faults.end()
}

func chaosKill(t *testing.T, binary string) {
	c := newCluster(t, binary, 30*time.Second, nil)
	for i := range 10 {
		c.flowing()
		c.kill(c.hubs[i%clusterHubs])
	}
	c.finish(crashInFlight)
}

// A process is stopped in the midst of things for longer than its lease, and
// then goes on where it was: what it still thinks that it owns is another's.
func chaosSleep(t *testing.T, binary string) {
	c := newCluster(t, binary, 2*time.Second, nil)
	for i := range 2 {
		c.flowing()
		p := c.hubs[i]
		subs := c.owned(p)
		c.faults.begin()
		at := time.Now()
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
		c.quicklyTakenOver(c.names[p], subs, at)
		time.Sleep(time.Until(at.Add(20 * time.Second)))
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
		c.balanced() // it joins again
		c.flowing()
		c.faults.end()
	}
	fenced := c.metric("hookline_store_fenced_total")
	c.finish(2 * crashInFlight)
	t.Logf("%d outcomes of owners that were none any more were not recorded", fenced)
}

// metric of all processes together.
func (c *cluster) metric(name string) (n int) {
	c.t.Helper()
	for _, p := range c.hubs {
		for line := range bytes.Lines(p.ask("GET", "/metrics", "", "").body) {
			var v int
			if _, err := fmt.Sscanf(string(line), name+" %d", &v); err == nil {
				n += v
			}
		}
	}
	return n
}

// An owner cannot reach the database any more, but its receivers; or its way is so
// slow that it does all it asks for and hears of nothing in time. Then its way is
// slow, but not too slow.
func chaosNetwork(t *testing.T, binary string) {
	var cable *hubtest.Cable
	c := newCluster(t, binary, 5*time.Second, func(hub int, database string) string {
		if hub > 0 {
			return database
		}
		cable = hubtest.NewCable(t, database)
		return cable.URL
	})
	p := c.hubs[0]
	for i := range 3 {
		c.flowing()
		subs := c.owned(p)
		c.faults.begin()
		at := time.Now()
		if i < 2 {
			cable.Cut()
			c.quicklyTakenOver(c.names[p], subs, at)
			// Who asks it all the same hears 503.
			asked := time.Now()
			a, err := p.tryFor(time.Minute, "POST", "/v1/events", p.owner,
				fmt.Sprintf(`{"id":"cut-%d","type":"call.held","data":{"callID":"c"}}`, i))
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, a.status, "%s", a.body)
			t.Logf("cut off, it answered 503 after %v", time.Since(asked).Round(time.Millisecond))
		} else {
			cable.Slow(900 * time.Millisecond)
			// Outcomes that it is recording keep its shards for as long as that takes.
			t.Logf("too slow, others took over after %v", c.takenOver(c.names[p], subs, at))
		}
		time.Sleep(time.Until(at.Add(20 * time.Second)))
		cable.Mend()
		c.balanced() // it joins again
		c.flowing()
		c.faults.end()
	}
	for _, slow := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond} {
		c.faults.begin()
		before, began := c.load.posted(), time.Now()
		cable.Slow(slow)
		time.Sleep(15 * time.Second)
		c.flowing()
		owned := c.column("SELECT shard FROM shards WHERE owner = $1", c.names[p])
		t.Logf("%v slower each way it owns %d shards; %d events posted to all in %v", slow, len(owned),
			c.load.posted()-before, time.Since(began).Round(time.Second))
		require.NotEmpty(t, owned)
		cable.Mend()
		c.balanced()
		c.flowing()
		c.faults.end()
	}
	fenced := c.metric("hookline_store_fenced_total")
	c.finish(2 * crashInFlight)
	t.Logf("%d outcomes of owners that were none any more were not recorded", fenced)
}

// restart PostgreSQL by a signal, after a while.
func (c *cluster) restart(how syscall.Signal, away time.Duration) {
	c.t.Helper()
	c.faults.begin()
	require.NoError(c.t, c.server.Signal(how))
	stopped := time.Now()
	for time.Since(stopped) < away {
		for _, p := range c.hubs {
			for _, path := range []string{"/v1/deliveries?limit=1", "/v1/events?limit=1", "/readyz", "/healthz"} {
				a := p.ask("GET", path, p.owner, "")
				want := http.StatusServiceUnavailable
				if path == "/healthz" {
					want = http.StatusOK
				}
				require.Equal(c.t, want, a.status, "%s %s", path, a.body)
				if strings.HasPrefix(path, "/v1") {
					require.NotEmpty(c.t, a.header.Get("Retry-After"))
					require.Equal(c.t, "application/problem+json", a.header.Get("Content-Type"))
					require.EqualValues(c.t, http.StatusServiceUnavailable, gjson.GetBytes(a.body, "status").Int())
				}
			}
		}
		time.Sleep(time.Second)
	}
	require.NoError(c.t, c.server.Start())
	c.balanced()
	c.flowing()
	c.faults.end()
}

// The senders meanwhile hear 503, and nothing worse: load.send takes nothing else.
func chaosPostgres(t *testing.T, binary string) {
	c := newCluster(t, binary, 30*time.Second, nil)
	for i := range 6 {
		c.flowing()
		c.restart([]syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}[i%2], 0)
	}
	c.flowing()
	c.restart(syscall.SIGINT, 30*time.Second)
	c.finish(2 * crashInFlight)
	require.NotZero(t, c.load.refused)
	require.Zero(t, c.load.silent, "requests without an answer")
}
