package hub_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	_ "modernc.org/sqlite" // the driver "sqlite", to take and give back space

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// limits sets limits of the demo tenant, as the platform may.
func limits(t *testing.T, h *hubtest.Hub, limits string) {
	t.Helper()
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":`+limits+`}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
}

// crowd is many receivers on one listener. Each has a path of its own.
type crowd struct {
	url  string
	hang bool

	mu    sync.Mutex
	came  map[string]int // requests of each receiver
	open  map[string]int // requests of each that have not ended
	ended int            // requests that have ended
	most  int            // the most requests that were open at the same time
	news  chan struct{}
}

func newCrowd(t *testing.T, hang bool) *crowd {
	c := &crowd{hang: hang, came: map[string]int{}, open: map[string]int{}, news: make(chan struct{}, 1)}
	srv := httptest.NewServer(c)
	c.url = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return c
}

func (c *crowd) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var drain [4 << 10]byte
	for { // a server notices that its client went away only after reading the body
		if _, err := r.Body.Read(drain[:]); err != nil {
			break
		}
	}
	c.change(func() {
		c.came[r.URL.Path]++
		c.open[r.URL.Path]++
		total := 0
		for _, n := range c.open {
			total += n
		}
		c.most = max(c.most, total)
	})
	if c.hang {
		<-r.Context().Done()
	}
	c.change(func() {
		c.ended++
		c.open[r.URL.Path]--
	})
}

func (c *crowd) change(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// wait waits until f reports true, at most 40 s.
func (c *crowd) wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.After(40 * time.Second); ; {
		c.mu.Lock()
		ok := f()
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-c.news:
		case <-deadline:
			require.FailNow(t, what)
		}
	}
}

// 300 of 400 receivers hang. The other 100 get everything before one request of the 300
// has ended, so they did not wait for it. What the hub keeps in memory does not grow
// with the backlog of the 300.
func TestHangingReceiversDelayNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	const hanging, well, first, more = 300, 100, 1, 4
	h := hubtest.Start(t)
	limits(t, h, `{"subscriptions":500,"eventsPerSecond":1000000}`)
	hung, fine := newCrowd(t, true), newCrowd(t, false)
	for i := range hanging {
		h.Subscribe(hung.url+"/"+strconv.Itoa(i), "timeoutMs", 30000, "maxInFlight", 4)
	}
	for i := range well {
		h.Subscribe(fine.url + "/" + strconv.Itoa(i))
	}

	send := func(from, to int) {
		var batch []string
		for n := from; n < to; n++ {
			batch = append(batch, hubtest.Ringing("c"+strconv.Itoa(n), n))
		}
		a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(batch, ",")+"]")
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	served := func(n int) {
		t.Helper()
		fine.wait(t, "healthy receivers are held back", func() bool {
			for i := range well {
				if fine.came["/"+strconv.Itoa(i)] < n {
					return false
				}
			}
			return true
		})
	}

	send(0, first)
	served(first)
	hung.wait(t, "hanging receivers were not tried", func() bool { return len(hung.came) == hanging })
	before := heap()
	send(first, first+more)
	served(first + more)
	grown := heap() - before

	hung.mu.Lock()
	ended, most, tried := hung.ended, hung.most, len(hung.came)
	hung.mu.Unlock()
	require.Zero(t, ended, "a request to a hanging receiver ended, so this shows nothing")
	require.LessOrEqual(t, most, hanging*4)
	require.Less(t, grown, int64(64<<20), "memory grows with the backlog of those who hang")
	t.Logf("%d receivers took %d pushes each while %d hung with %d requests open, which did not end; "+
		"heap +%d KiB for %d more deliveries", well, first+more, tried, most, grown>>10, more*(hanging+well))
}

// heap returns the memory in use after a garbage collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// filler takes space in the hub's database from outside, and gives it back.
type filler struct {
	t  *testing.T
	db *sql.DB
}

func newFiller(t *testing.T, dir string) *filler {
	t.Helper()
	path := filepath.Join(dir, "hookline.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return &filler{t, db}
}

func (f *filler) exec(query string) {
	f.t.Helper()
	_, err := f.db.ExecContext(f.t.Context(), query)
	require.NoError(f.t, err)
}

func (f *filler) pages() (n int) {
	f.t.Helper()
	require.NoError(f.t, f.db.QueryRowContext(f.t.Context(), "PRAGMA page_count").Scan(&n))
	return n
}

// While the disk is full new requests are refused as a whole, with 503 and Retry-After.
// Answers of receivers are kept and recorded once there is space, without a second
// push. Reading goes on, and no event that was accepted is lost.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	dir := t.TempDir()
	h := hubtest.Start(t, hubtest.InFolder(dir))
	owner := h.Owner
	answer := make(chan struct{})
	r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		select {
		case <-answer:
		case <-r.Context().Done():
		}
		_, _ = w.Write([]byte(strings.Repeat("long answer ", 400))) // so that recording it takes pages
	})
	h.Subscribe(r.URL, "timeoutMs", 30000)
	h.Stop()

	// The hub has room for 20 pages more.
	space := newFiller(t, dir)
	space.exec("CREATE TABLE filler (b BLOB)")
	space.exec("INSERT INTO filler VALUES (zeroblob(2000000))")
	pages := space.pages()
	h = hubtest.Start(t, hubtest.InFolder(dir), func(c *config.Config) { c.MaxPages = pages + 20 })
	h.Owner = owner

	accepted := 0
	var refused hubtest.Answer
	for refused.Status == 0 {
		a := h.Do("POST", "/v1/events", owner, full("e", accepted))
		if a.Status != http.StatusAccepted {
			refused = a
			break
		}
		accepted++
		require.Less(t, accepted, 1000, "the disk does not get full")
	}
	require.Greater(t, accepted, 8)
	require.Equal(t, http.StatusServiceUnavailable, refused.Status, "%s", refused.Body)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.Equal(t, "application/problem+json", refused.Header.Get("Content-Type"))
	require.Equal(t, http.StatusServiceUnavailable, h.Do("GET", "/readyz", "", nil).Status)
	require.Equal(t, http.StatusOK, h.Do("GET", "/healthz", "", nil).Status)

	// A request of many is taken as a whole or not at all.
	var batch []string
	for n := range 200 {
		batch = append(batch, full("batch", n))
	}
	a := h.Do("POST", "/v1/events", owner, "["+strings.Join(batch, ",")+"]")
	require.Equal(t, http.StatusServiceUnavailable, a.Status, "%s", a.Body)
	for n := range batch {
		require.Equal(t, http.StatusNotFound, h.Do("GET", "/v1/events/batch-"+strconv.Itoa(n), owner, nil).Status)
	}

	// Changes by admins are refused too, until there is space.
	a = h.Do("POST", "/v1/subscriptions", owner, map[string]any{
		"url": r.URL, "description": strings.Repeat("x", 900), "headers": map[string]string{"A": strings.Repeat("x", 7000)},
	})
	require.Equal(t, http.StatusServiceUnavailable, a.Status, "%s", a.Body)
	require.NotEmpty(t, a.Header.Get("Retry-After"))

	// The receiver answers now. Its answers cannot be recorded, so their slots
	// stay taken and nothing else is sent.
	r.Wait(t, 8)
	close(answer)
	require.Equal(t, accepted, len(inState(t, h, "pending")))
	refusals(t, h, 3) // each is a turn of the writer, which tries the outcomes first
	require.Equal(t, 8, len(r.Pushes()))
	require.Equal(t, accepted, len(inState(t, h, "pending")))

	// There is space again.
	space.exec("DELETE FROM filler")
	hubtest.Eventually(t, "all delivered", func() bool { return len(inState(t, h, "delivered")) == accepted })
	require.Equal(t, accepted, len(r.Pushes()), "the answers were kept while the disk was full: nothing comes twice")
	require.Equal(t, http.StatusAccepted, h.Do("POST", "/v1/events", owner, full("e", accepted)).Status)
	require.Equal(t, http.StatusOK, h.Do("GET", "/readyz", "", nil).Status)
	for n := range accepted + 1 {
		require.Equal(t, http.StatusOK, h.Do("GET", "/v1/events/e-"+strconv.Itoa(n), owner, nil).Status)
	}
}

// full returns an event with an id. Its body takes a page.
func full(name string, n int) string {
	return fmt.Sprintf(`{"id":"%s-%d","type":"call.ringing","data":{"callID":"%[1]s-%d","userData":%q}}`, name, n,
		noise(n))
}

// noise returns a text that does not compress.
func noise(seed int) string {
	var b strings.Builder
	x := uint64(seed) + 1
	for range 200 {
		x = x*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(&b, "%016x", x^x>>29)
	}
	return b.String()
}

// refusals sends n events, which must be refused.
func refusals(t *testing.T, h *hubtest.Hub, n int) {
	t.Helper()
	for i := range n {
		a := h.Do("POST", "/v1/events", h.Owner, full("refused", i))
		require.Equal(t, http.StatusServiceUnavailable, a.Status, "%s", a.Body)
	}
}

// inState returns the ids of all deliveries in a state.
func inState(t *testing.T, h *hubtest.Hub, state string) (ids []string) {
	t.Helper()
	for path := "/v1/deliveries?limit=500&state=" + state; path != ""; {
		a := h.Do("GET", path, h.Owner, nil)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		for _, id := range gjson.GetBytes(a.Body, "data.#.id").Array() {
			ids = append(ids, id.String())
		}
		path = ""
		if next := gjson.GetBytes(a.Body, "nextCursor").String(); next != "" {
			path = "/v1/deliveries?limit=500&state=" + state + "&cursor=" + next
		}
	}
	return ids
}

// If the disk is full at the start and stays full until the next start, the hub starts,
// reads, pushes and stops. What it could not record it pushes again.
func TestStartOnFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	dir := t.TempDir()
	h := hubtest.Start(t, hubtest.InFolder(dir))
	owner := h.Owner
	r := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write([]byte(strings.Repeat("long answer ", 400)))
	})
	h.Subscribe(r.URL, "retry",
		map[string]any{"live": map[string]any{"schedule": []string{"100ms", "100ms"}, "jitter": 0}})
	h.Send(full("e", 0))
	r.Wait(t, 1)
	h.Stop()

	// The second attempt cannot be recorded.
	space := newFiller(t, dir)
	h = hubtest.Start(t, hubtest.InFolder(dir), func(c *config.Config) {
		c.MaxPages = space.pages()
		c.ShutdownTimeout = 2 * time.Second
	})
	h.Owner = owner
	require.Equal(t, http.StatusOK, h.Do("GET", "/v1/events/e-0", owner, nil).Status)
	r.Wait(t, 2)
	h.Stop()
	require.Equal(t, 2, len(r.Pushes()))

	h = hubtest.Start(t, hubtest.InFolder(dir))
	h.Owner = owner
	hubtest.Eventually(t, "delivered", func() bool { return len(inState(t, h, "delivered")) == 1 })
	pushes := r.Pushes()
	require.Len(t, pushes, 3)
	for _, p := range pushes {
		require.Equal(t, pushes[0].Header.Get("Webhook-Id"), p.Header.Get("Webhook-Id"))
	}
	require.Equal(t, "2", pushes[2].Header.Get("X-Hookline-Attempt"), "the attempt without a record has no number")
}

// If 64 senders post the same event at the same time, one of them gets the answer
// accepted, the others duplicate. If their bodies differ, one is accepted and the
// others are conflicts.
func TestSameIDInParallel(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t)
	h.Subscribe(r.URL)
	const senders = 64

	// race returns how many senders got which answer.
	race := func(body func(i int) string) map[string]int {
		got := make(chan string, senders)
		begin := make(chan struct{})
		for i := range senders {
			go func() {
				<-begin
				a, err := h.Try("POST", "/v1/events", h.Owner, body(i))
				if err != nil {
					got <- err.Error()
					return
				}
				got <- fmt.Sprintf("%d %s", a.Status, gjson.GetBytes(a.Body, "results.0.status"))
			}()
		}
		close(begin)
		answers := map[string]int{}
		for range senders {
			answers[<-got]++
		}
		return answers
	}

	for round := range 5 {
		event := func(n int) string {
			return fmt.Sprintf(`{"id":"same-%d","type":"call.ringing","data":{"callID":"c%d","n":%d}}`, round, round, n)
		}
		same := race(func(int) string { return event(0) })
		require.Equal(t, map[string]int{"202 accepted": 1, "202 duplicate": senders - 1}, same)
		other := func(n int) string {
			return fmt.Sprintf(`{"id":"other-%d","type":"call.ringing","data":{"callID":"d%d","n":%d}}`, round, round, n)
		}
		require.Equal(t, map[string]int{"202 accepted": 1, "409 rejected": senders - 1}, race(other))

		// Within one request it is the same.
		a := h.Do("POST", "/v1/events", h.Owner, "["+event(0)+","+event(1)+"]")
		require.Equal(t, http.StatusMultiStatus, a.Status)
		require.Equal(t, `["duplicate","rejected"]`, gjson.GetBytes(a.Body, "results.#.status").Raw)
		twice := fmt.Sprintf(`{"id":"twice-%d","type":"call.ringing","data":{"callID":"e"}}`, round)
		a = h.Do("POST", "/v1/events", h.Owner, "["+twice+","+twice+"]")
		require.Equal(t, `["accepted","duplicate"]`, gjson.GetBytes(a.Body, "results.#.status").Raw, "%s", a.Body)
	}

	pushes := r.Wait(t, 15)
	ids := map[string]bool{}
	for _, p := range pushes {
		ids[p.Header.Get("X-Hookline-Event-Id")] = true
	}
	require.Len(t, ids, 15)
	hubtest.Eventually(t, "all recorded", func() bool { return len(inState(t, h, "pending")) == 0 })
	require.Equal(t, 15, len(r.Pushes()))
}
