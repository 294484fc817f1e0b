package hub_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// several starts n hubs on one database. All have the owner key of the first one.
func several(t *testing.T, n int) []*hubtest.Hub {
	database := hubtest.Postgres(t)
	hubs := make([]*hubtest.Hub, n)
	for i := range hubs {
		hubs[i] = join(t, database, hubs[0])
	}
	return hubs
}

// join starts one more hub on a database.
func join(t *testing.T, database string, first *hubtest.Hub) *hubtest.Hub {
	h := hubtest.Start(t, hubtest.InDatabase(database), func(c *config.Config) { c.ShutdownTimeout = 4 * time.Second })
	if first != nil {
		h.Owner = first.Owner
	}
	return h
}

// journal is a receiver that notes how many requests it has at the same time.
type journal struct {
	*hubtest.Receiver
	hold time.Duration // before each answer

	mu   sync.Mutex
	open int // requests now
	most int // the most that there were at the same time
}

func newJournal(t *testing.T) *journal {
	j := &journal{}
	j.Receiver = hubtest.NewReceiverFunc(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		j.mu.Lock()
		j.open++
		j.most = max(j.most, j.open)
		j.mu.Unlock()
		select {
		case <-time.After(j.hold):
		case <-r.Context().Done():
		}
		j.mu.Lock()
		j.open--
		j.mu.Unlock()
	})
	return j
}

// requireInOrder requires that all events came, and those of a key in the order in which
// they were sent. keys says to which key each belongs. It counts duplicates, which it
// leaves out otherwise.
func (j *journal) requireInOrder(t *testing.T, keys []int) (duplicates int) {
	t.Helper()
	came := make([]bool, len(keys))
	next := map[int]int{} // key → the event that may come
	for _, p := range j.Pushes() {
		n := p.N()
		if came[n] {
			duplicates++
			continue
		}
		came[n] = true
		require.LessOrEqual(t, next[keys[n]], n, "of key %d event %d came after a later one", keys[n], n)
		next[keys[n]] = n
	}
	for n, ok := range came {
		require.True(t, ok, "event %d did not come", n)
	}
	return duplicates
}

// Several processes are one hub: each event is delivered once to each receiver, in the
// order of its key, whichever process it was posted to.
func TestProcessesAreOneHub(t *testing.T) {
	hubs := several(t, 3)
	receivers := make([]*journal, 6)
	for i := range receivers {
		receivers[i] = newJournal(t)
		hubs[i%3].Subscribe(receivers[i].URL)
	}

	// Each caller posts the next event of its keys after the 202, to the next process.
	const events, callers = 240, 4
	keys := make([]int, events)
	var senders sync.WaitGroup
	for c := range callers {
		senders.Go(func() {
			for n := c; n < events; n += callers {
				keys[n] = n % (2 * callers)
				hubs[n/callers%3].Send(hubtest.Ringing(fmt.Sprint("call", keys[n]), n))
			}
		})
	}
	senders.Wait()

	for _, r := range receivers {
		r.Wait(t, events)
	}
	for _, h := range hubs {
		hubtest.Eventually(t, "all is recorded", func() bool { return len(deliveries(t, h, "state=pending")) == 0 })
	}
	for _, r := range receivers {
		require.Zero(t, r.requireInOrder(t, keys), "duplicates")
	}
}

// A change on one process applies on the others: that of a subscription to the very next
// event, the revocation of a key soon.
func TestChangesReachOtherProcesses(t *testing.T) {
	t.Parallel()
	hubs := several(t, 3)
	old, next := hubtest.NewReceiver(t), hubtest.NewReceiver(t)
	id := hubs[0].Subscribe(old.URL)["id"].(string)
	sent := 0
	for round := range 6 {
		url := []string{next.URL, old.URL}[round%2]
		a := hubs[round%3].Do("PATCH", "/v1/subscriptions/"+id, hubs[0].Owner, map[string]any{"url": url})
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		hubs[(round+1)%3].Send(hubtest.Ringing(fmt.Sprint("call", round), round))
		sent++
		to := []*hubtest.Receiver{next, old}[round%2]
		pushes := to.Wait(t, round/2+1)
		require.Equal(t, round, pushes[len(pushes)-1].N())
	}

	a := hubs[0].Do("POST", "/v1/tenants/demo/keys", hubs[0].Owner, map[string]any{"role": "owner", "name": "short-lived"})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	key := a.JSON(t)
	ask := func(h *hubtest.Hub) int { return h.Do("GET", "/v1/subscriptions", key["key"].(string), nil).Status }
	hubtest.Eventually(t, "the key is known", func() bool {
		return ask(hubs[1]) == http.StatusOK && ask(hubs[2]) == http.StatusOK
	})

	a = hubs[1].Do("DELETE", "/v1/tenants/demo/keys/"+key["id"].(string), hubs[0].Owner, nil)
	require.Equal(t, http.StatusNoContent, a.Status, "%s", a.Body)
	require.Equal(t, http.StatusUnauthorized, ask(hubs[1]), "at once where it was revoked")
	hubtest.Eventually(t, "the key is refused", func() bool {
		return ask(hubs[0]) == http.StatusUnauthorized && ask(hubs[2]) == http.StatusUnauthorized
	})
}

// If the transaction with the lower numbers commits after one with higher numbers, its
// event is delivered all the same, and without waiting for the reconcile. The two
// transactions may be of one process or of two.
func TestLowerNumberCommitsLast(t *testing.T) {
	t.Parallel()
	database, hubs := pair(t)
	r := hubtest.NewReceiver(t)
	hubs[0].Subscribe(r.URL, "events", calls)
	hubs[0].Send(hubtest.Ringing("warm", 0))
	r.Wait(t, 1)

	raw, err := sql.Open("postgres", database)
	require.NoError(t, err)
	defer raw.Close()
	sent := 1
	var took time.Duration // from the commit of the first event until its push
	for _, by := range [][2]*hubtest.Hub{{hubs[0], hubs[0]}, {hubs[1], hubs[1]}, {hubs[0], hubs[1]}, {hubs[1], hubs[0]}} {
		// The first event has its number already when it must wait for this transaction,
		// which has inserted its id.
		id := fmt.Sprint("first-", sent)
		tx, err := raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(),
			`INSERT INTO event_ids (tenant, id, seq, day, hash) SELECT no, $1, 0, 0, '' FROM tenants`, id)
		require.NoError(t, err)
		first := make(chan hubtest.Answer, 1)
		go func() {
			a, _ := by[0].Try("POST", "/v1/events", hubs[0].Owner, fmt.Sprintf(
				`{"id":%q,"type":"call.ringing","data":{"callID":"low","partyID":"p","thisDN":"1","n":%d}}`, id, sent))
			first <- a
		}()
		hubtest.Eventually(t, "it waits", func() bool {
			var n int
			require.NoError(t, raw.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
				WHERE NOT granted AND locktype = 'transactionid' AND datname = current_database()`).Scan(&n))
			return n > 0
		})

		// The second event, which has a higher number, overtakes it.
		by[1].Send(hubtest.Ringing("high", sent+1))
		require.Equal(t, sent+1, r.Wait(t, sent+1)[sent].N())

		// Now the first one commits.
		began := time.Now()
		require.NoError(t, tx.Rollback())
		require.Equal(t, http.StatusAccepted, (<-first).Status)
		pushes := r.Wait(t, sent+2)
		took += time.Since(began)
		require.Equal(t, sent, pushes[sent+1].N())
		lower, higher := pushes[sent+1].Header.Get("X-Hookline-Sequence"), pushes[sent].Header.Get("X-Hookline-Sequence")
		require.Less(t, lower, higher, "or it proves nothing")
		sent += 2
	}
	require.Less(t, took, 20*time.Second, "each one waited until its lane looked by itself, every 10 s")
}

// A process that can reach its receivers but not the database stops sending before
// another takes over. No event is lost, and no key is out of order.
func TestCutOffOwnerIsFenced(t *testing.T) {
	database := hubtest.Postgres(t)
	cable := hubtest.NewCable(t, database)
	one := join(t, cable.URL, nil)
	r := newJournal(t)
	r.hold = 30 * time.Millisecond
	one.Subscribe(r.URL, "maxInFlight", 4)
	const events, calls = 600, 8
	keys, lines := make([]int, events), make([]string, events)
	for n := range keys {
		keys[n] = n % calls
		lines[n] = hubtest.Ringing(fmt.Sprint("call", keys[n]), n)
	}
	one.SendTogether(lines...)
	r.Wait(t, 20)

	two := join(t, database, one)
	cable.Cut()
	cut := time.Now()
	refused := make(chan hubtest.Answer, 1)
	go func() {
		a, _ := one.Try("POST", "/v1/events", one.Owner, hubtest.Ringing("refused", 0)) // no answer: status 0
		refused <- a
	}()
	hubtest.Eventually(t, "the cut has an effect", func() bool { return time.Since(cut) > 100*time.Millisecond })
	r.Wait(t, events)
	hubtest.Eventually(t, "all is delivered", func() bool { return len(deliveries(t, two, "state=pending")) == 0 })
	require.Equal(t, http.StatusServiceUnavailable, (<-refused).Status, "soon enough for its sender")

	cable.Mend()
	dup := r.requireInOrder(t, keys)
	t.Logf("%d duplicates", dup)
	require.LessOrEqual(t, dup, 2*4, "what was in flight, or answered and not recorded")
	one.Send(hubtest.Ringing("after", 0))
	r.Wait(t, events+dup+1)
}

// Rate and requests in flight of a subscription hold while processes join and
// leave, as its receiver sees them.
func TestLimitsWhileProcessesJoinAndLeave(t *testing.T) {
	database := hubtest.Postgres(t)
	first := join(t, database, nil)
	r := newJournal(t)
	r.hold = 30 * time.Millisecond // so that the rate alone, not what is in flight, sets the pace
	first.Subscribe(r.URL, "maxInFlight", 2, "ratePerSecond", 10)
	const events = 120
	for n := range events {
		first.Send(hubtest.Ringing(fmt.Sprint("call", n), n))
	}

	// Processes join, and the ones before them leave.
	last := first
	for i := 1; len(r.Pushes()) < events && i < 6; i++ {
		next := join(t, database, first)
		at := len(r.Pushes())
		r.Wait(t, min(events, at+8))
		last.Stop() // it hands its shards over
		last = next
		r.Wait(t, min(events, at+16))
	}

	pushes := r.Wait(t, events)
	require.Len(t, pushes, events, "no duplicates: each process left in good order")
	r.mu.Lock()
	most := r.most
	r.mu.Unlock()
	require.LessOrEqual(t, most, 2)
	for i := range pushes {
		j := i
		for ; j < len(pushes) && pushes[j].At.Sub(pushes[i].At) < time.Second; j++ {
		}
		require.LessOrEqual(t, j-i, 21, "in a second: a burst of 10, and 10 a second")
	}
	span := pushes[events-1].At.Sub(pushes[0].At)
	require.Greater(t, span, time.Duration(events-1-10)*100*time.Millisecond, "10 a second, after a burst")
}

// A listener on one process gets the attempts of all processes, each once and in order.
func TestTailOfAllProcesses(t *testing.T) {
	t.Parallel()
	hubs := several(t, 2)
	hubs[0].Subscribe(hubtest.NewReceiver(t).URL) // one of the two owns it
	hubtest.Eventually(t, "the key is known", func() bool {
		return hubs[1].Do("GET", "/v1/subscriptions", hubs[0].Owner, nil).Status == http.StatusOK
	})

	var streams []*hubtest.Stream
	for _, h := range hubs {
		s := h.Stream("/v1/tail", hubs[0].Owner)
		require.Equal(t, http.StatusOK, s.Status)
		streams = append(streams, s)
	}
	next := func(s *hubtest.Stream) string {
		for {
			e, open := s.Next(t)
			require.True(t, open)
			if e.Name != "" {
				require.Equal(t, "attempt", e.Name, e.Data)
				return gjson.Get(e.Data, "event").String()
			}
		}
	}
	ringing := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"type":"call.ringing","data":{"callID":"c","partyID":"p","thisDN":"1"}}`, id)
	}

	// Soon the owner of the subscription knows that somebody listens elsewhere.
	enough := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for n := 0; ; n++ {
			hubs[n%2].Send(ringing(fmt.Sprint("first-", n)))
			select {
			case <-enough:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	for _, s := range streams {
		next(s)
	}
	close(enough)
	sender.Wait()

	// From then on every listener gets everything.
	const events = 50
	for n := range events {
		hubs[n%2].Send(ringing(fmt.Sprint("then-", n)))
	}
	for _, s := range streams {
		id := next(s)
		for strings.HasPrefix(id, "first-") {
			id = next(s)
		}
		for n := range events {
			if n > 0 {
				id = next(s)
			}
			require.Equal(t, fmt.Sprint("then-", n), id)
		}
	}
}
