package hub_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/operate"
	"github.com/hookline/hookline/storage"
)

// pair starts two hubs on one database. Each owns half of the shards.
func pair(t *testing.T) (database string, hubs []*hubtest.Hub) {
	t.Helper()
	database = hubtest.Postgres(t)
	one := join(t, database, nil)
	hubs = []*hubtest.Hub{one, join(t, database, one)}
	hubtest.Eventually(t, "the key is known", func() bool {
		return hubs[1].Do("GET", "/v1/subscriptions", one.Owner, nil).Status == http.StatusOK
	})
	return database, hubs
}

// calls are the types of calls, without events of the hub about itself.
var calls = []string{"call.*"}

// do makes a request to one hub as its owner, and requires a status.
func do(t *testing.T, h *hubtest.Hub, method, path string, body any, want int) hubtest.Answer {
	t.Helper()
	a := h.Do(method, path, h.Owner, body)
	require.Equal(t, want, a.Status, "%s %s: %s", method, path, a.Body)
	return a
}

// A retry that was asked of any process is sent at once by the delivery's owner, which
// does not wait until its lane looks by itself, every 10 s.
func TestRetryAskedElsewhere(t *testing.T) {
	t.Parallel()
	_, hubs := pair(t)
	r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Hookline-Replay") == "" {
			w.WriteHeader(http.StatusUnprocessableEntity) // does not count as a fault of the receiver
		}
	})
	hubs[0].Subscribe(r.URL, "events", calls, "retry", map[string]any{"live": map[string]any{"schedule": []string{}}})
	const events = 8
	for n := range events {
		hubs[n%2].Send(hubtest.Ringing(fmt.Sprint("call", n), n))
	}
	var ids []string
	hubtest.Eventually(t, "all are given up", func() bool {
		ids = inState(t, hubs[0], "exhausted")
		return len(ids) == events
	})

	// Half of them are asked of a process that is not the owner.
	began := time.Now()
	for i, id := range ids {
		do(t, hubs[i%2], "POST", "/v1/deliveries/"+id+"/retry", nil, http.StatusAccepted)
		pushes := r.Wait(t, events+i+1)
		require.Equal(t, id, pushes[events+i].Header.Get("Webhook-Id"))
	}
	require.Less(t, time.Since(began), 30*time.Second, "they waited until their lanes looked by themselves")
	hubtest.Eventually(t, "all are delivered", func() bool { return len(inState(t, hubs[1], "delivered")) == events })
	require.Equal(t, 2*events, len(r.Pushes()), "each once")
}

// A subscription that is paused on one process gets no event that another accepts from
// then on, until it is resumed on any process.
func TestPauseElsewhere(t *testing.T) {
	t.Parallel()
	_, hubs := pair(t)
	r, other := hubtest.NewReceiver(t), hubtest.NewReceiver(t)
	id := hubs[0].Subscribe(r.URL, "events", calls)["id"].(string)
	hubs[0].Subscribe(other.URL, "events", calls)
	sent := 0
	for round := range 6 {
		here, there := hubs[round%2], hubs[(round/2)%2]
		do(t, here, "POST", "/v1/subscriptions/"+id+"/pause", nil, http.StatusOK)
		before := len(r.Pushes())
		require.Equal(t, sent, before)
		for range 5 {
			there.Send(hubtest.Ringing(fmt.Sprint("call", sent), sent))
			sent++
		}
		other.Wait(t, sent)
		hubtest.Eventually(t, "the others are recorded", func() bool { return len(inState(t, there, "pending")) == 5 })
		require.Equal(t, before, len(r.Pushes()), "paused")
		do(t, there, "POST", "/v1/subscriptions/"+id+"/resume", nil, http.StatusOK)
		r.Wait(t, sent)
	}
	hubtest.Eventually(t, "all are delivered", func() bool { return len(inState(t, hubs[0], "pending")) == 0 })
	require.Equal(t, sent, len(r.Pushes()))
}

// A hold ends at once whichever process is asked to end it.
func TestResumeAskedElsewhere(t *testing.T) {
	t.Parallel()
	_, hubs := pair(t)
	var better atomic.Bool
	r := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !better.Load() {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	var took time.Duration // from the end of a hold until all is delivered
	for i := range 4 {     // subscriptions of both owners
		better.Store(false)
		id := hubs[0].Subscribe(r.URL, "events", calls, "retry", soon("10ms", "10ms"))["id"].(string)
		hubs[0].Send(hubtest.Ringing("call", i))
		held := func() bool {
			a := do(t, hubs[1], "GET", "/v1/subscriptions/"+id, nil, http.StatusOK)
			return gjson.GetBytes(a.Body, "hold.reason").String() == "retryAfter"
		}
		hubtest.Eventually(t, "held", held)
		better.Store(true)
		began := time.Now()
		if i < 2 {
			do(t, hubs[1], "POST", "/v1/subscriptions/"+id+"/resume", nil, http.StatusOK)
		} else {
			do(t, hubs[1], "PATCH", "/v1/subscriptions/"+id, map[string]any{"url": r.URL + "?other"}, http.StatusOK)
		}
		hubtest.Eventually(t, "delivered", func() bool { return len(inState(t, hubs[0], "pending")) == 0 })
		took += time.Since(began)
		require.False(t, held())
		do(t, hubs[0], "DELETE", "/v1/subscriptions/"+id, nil, http.StatusNoContent)
	}
	require.Less(t, took, 30*time.Second, "their lanes looked by themselves, every 10 s")
}

// Rows of the audit log that processes write at the same time are one chain.
func TestAuditOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	database, hubs := pair(t)
	r := hubtest.NewReceiver(t)
	const each = 15
	var both sync.WaitGroup
	for i, h := range hubs {
		id := h.Subscribe(r.URL)["id"].(string)
		both.Go(func() {
			for n := range each {
				a, err := h.Try("PATCH", "/v1/subscriptions/"+id, h.Owner, map[string]any{"name": fmt.Sprint(i, "-", n)})
				if err != nil || a.Status != http.StatusOK {
					t.Errorf("%v %d %s", err, a.Status, a.Body)
				}
			}
		})
	}
	both.Wait()

	var cfg config.Config
	hubtest.InDatabase(database)(&cfg)
	rows, err := operate.VerifyAudit(t.Context(), cfg)
	require.NoError(t, err)
	require.GreaterOrEqual(t, rows, int64(2*(each+1)))

	// Every change has its row.
	names := map[string]bool{}
	for cursor := ""; ; {
		a := do(t, hubs[0], "GET", "/v1/audit?limit=20"+cursor, nil, http.StatusOK)
		for _, n := range gjson.GetBytes(a.Body, "data.#.after.name").Array() {
			names[n.String()] = true
		}
		next := gjson.GetBytes(a.Body, "nextCursor").String()
		if next == "" {
			break
		}
		cursor = "&cursor=" + next
	}
	for i := range hubs {
		for n := range each {
			require.True(t, names[fmt.Sprint(i, "-", n)], "%d-%d", i, n)
		}
	}
}

// The pending deliveries of a deleted subscription are cancelled once, although several
// processes see that there is something to do.
func TestDeleteOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	database, hubs := pair(t)
	r := hubtest.NewReceiver(t)
	const batch, batches = 900, 3
	limits(t, hubs[0], `{"eventsPerSecond":1000000}`)
	var ids []string
	for range 2 {
		id := hubs[0].Subscribe(r.URL, "events", calls)["id"].(string)
		do(t, hubs[0], "POST", "/v1/subscriptions/"+id+"/pause", nil, http.StatusOK)
		ids = append(ids, id)
	}
	for b := range batches {
		events := make([]string, batch)
		for n := range events {
			events[n] = hubtest.Ringing(fmt.Sprint("call", n), b*batch+n)
		}
		do(t, hubs[0], "POST", "/v1/events", "["+strings.Join(events, ",")+"]", http.StatusAccepted)
	}
	for i, id := range ids {
		do(t, hubs[i], "DELETE", "/v1/subscriptions/"+id, nil, http.StatusNoContent)
	}
	hubtest.Eventually(t, "all are cancelled", func() bool { return len(inState(t, hubs[0], "pending")) == 0 })
	require.Equal(t, 2*batch*batches, len(inState(t, hubs[1], "cancelled")))
	require.NoError(t, storage.CheckCounts(t.Context(), database), "each is counted once")
	require.Zero(t, len(r.Pushes()))
}

// An event of the hub about itself comes from one process. That a subject has one a
// minute is for TestNewsOfSeveralProcesses, which has a clock of its own.
func TestOperationalEventsOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	_, hubs := pair(t)
	news := hubtest.NewReceiver(t)
	hubs[0].Subscribe(news.URL, "events", []string{"subscription.*", "delivery.exhausted"})
	r := hubtest.NewReceiver(t, http.StatusUnprocessableEntity)
	noRetry := map[string]any{"live": map[string]any{"schedule": []string{}}}
	id := hubs[0].Subscribe(r.URL, "events", calls, "retry", noRetry)["id"].(string)
	hubs[1].Send(hubtest.Ringing("c1", 1))
	news.Wait(t, 1)
	do(t, hubs[0], "POST", "/v1/subscriptions/"+id+"/pause", nil, http.StatusOK)
	news.Wait(t, 2)
	hubs[1].Send(hubtest.Ringing("c2", 2)) // it knows of the change now, too
	do(t, hubs[1], "POST", "/v1/subscriptions/"+id+"/resume", nil, http.StatusOK)
	hubs[0].Send(hubtest.Ringing("c3", 3))
	hubs[1].Send(hubtest.Ringing("c4", 4))
	news.Wait(t, 3)
	r.Wait(t, 4)
	hubtest.Eventually(t, "all has ended", func() bool { return len(inState(t, hubs[0], "pending")) == 0 })
	count := map[string]int{}
	for _, p := range news.Pushes() {
		count[p.Header.Get("X-Hookline-Event")]++
	}
	require.Equal(t, map[string]int{"delivery.exhausted": 1, "subscription.paused": 1, "subscription.resumed": 1}, count)
}
