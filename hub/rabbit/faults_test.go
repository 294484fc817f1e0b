package rabbit_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/hubtest/rabbittest"
	"github.com/hookline/hookline/hub/rabbit"
)

// bothWays is load on both ways in: senders that give each event an id, send
// it until they hear that it was taken, and only then the next of its key.
type bothWays struct {
	ctx      context.Context
	stop     context.CancelFunc
	ended    sync.WaitGroup
	byHTTP   atomic.Int64
	byBroker atomic.Int64
	again    atomic.Int64 // published or posted more than once
	blocked  atomic.Int64 // publishers that the broker told to wait
	failures chan error
}

const sendersEach, keysOfSender = 3, 4

// betweenEvents is how long a sender waits after each event. The faults last as long as
// the broker needs to start, and all that is sent in this time is delivered and counted.
const betweenEvents = 40 * time.Millisecond

func startBothWays(t *testing.T, hubs []*hubtest.Hub, url string) *bothWays {
	l := &bothWays{failures: make(chan error, 2*sendersEach)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for i := range sendersEach {
		l.ended.Go(func() { l.post(hubs[i%len(hubs)], fmt.Sprint("http", i)) })
		l.ended.Go(func() { l.publish(url, fmt.Sprint("amqp", i)) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *bothWays) end() {
	l.stop()
	l.ended.Wait()
}

// wait a moment, or less when the load ends.
func (l *bothWays) wait(d time.Duration) {
	select {
	case <-l.ctx.Done():
	case <-time.After(d):
	}
}

// of the n-th event of a sender: its id, and its envelope.
func (l *bothWays) of(sender string, n int) (id, body string) {
	call := fmt.Sprintf("%s-%d", sender, n%keysOfSender)
	id = fmt.Sprintf("%s.%d", call, n/keysOfSender)
	return id, fmt.Sprintf(`{"id":%q,"type":"call.ringing","data":{"callID":%q,"partyID":"p","thisDN":"1","n":%d}}`, id, call, n/keysOfSender)
}

func (l *bothWays) post(h *hubtest.Hub, sender string) {
	for n := 0; l.ctx.Err() == nil; n++ {
		_, body := l.of(sender, n)
		for tries := 0; ; tries++ {
			a, err := h.Try("POST", "/v1/events", h.Owner, body)
			if err == nil && a.Status == http.StatusAccepted {
				break
			}
			if err == nil && a.Status != http.StatusServiceUnavailable {
				l.failures <- fmt.Errorf("%d %s", a.Status, a.Body)
				return
			}
			l.again.Add(1)
			time.Sleep(5 * time.Millisecond) // also when the load ends: what was begun is sent
		}
		l.byHTTP.Add(1)
		l.wait(betweenEvents)
	}
}

func (l *bothWays) publish(url, sender string) {
	n := 0
	for l.ctx.Err() == nil {
		conn, err := amqp.DialConfig(url, amqp.Config{Heartbeat: 2 * time.Second, Dial: amqp.DefaultDial(2 * time.Second)})
		if err == nil {
			_ = l.publishBy(conn, sender, &n) // the connection was lost
			_ = conn.Close()
			l.again.Add(1)
		}
		l.wait(50 * time.Millisecond)
	}
}

func (l *bothWays) publishBy(conn *amqp.Connection, sender string, n *int) error {
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		return err
	}
	notes := conn.NotifyBlocked(make(chan amqp.Blocking, 100))
	for {
		id, body := l.of(sender, *n)
		c, err := ch.PublishWithDeferredConfirm(rabbit.EventsExchange, "demo.call.ringing", true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: id, Body: []byte(body),
		})
		if err != nil {
			return err
		}
		for confirmed := false; !confirmed; {
			select {
			case b, open := <-notes:
				switch {
				case !open:
					notes = nil
				case b.Active:
					l.blocked.Add(1)
				default:
					l.blocked.Add(-1)
				}
			case <-c.Done():
				if !c.Acked() {
					return errors.New("not confirmed") // the connection was closed, too
				}
				confirmed = true
			}
		}
		*n++
		l.byBroker.Add(1)
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		l.wait(betweenEvents)
	}
}

// more waits until a count has grown.
func more(t *testing.T, what string, count *atomic.Int64, by int64) {
	t.Helper()
	from := count.Load()
	require.Eventually(t, func() bool { return count.Load() >= from+by }, time.Minute, time.Millisecond, what)
}

// A broker that is stopped, killed, cut off or short of memory, under load on
// both ways in, on two processes: nothing is lost, stored twice or out of order;
// HTTP and deliveries go on without it.
func TestBrokerFaults(t *testing.T) {
	what := []string{"close", "alarm", "kill"}
	if *chaos {
		what = []string{"stop", "close", "kill", "alarm", "stop", "gone", "close", "kill", "alarm", "stop"}
	}
	faults(t, what...)
}

var chaos = flag.Bool("chaos", false, "more faults: five restarts, and a broker that is gone for a minute besides")

// faults of the broker, one after the other.
func faults(t *testing.T, what ...string) {
	s := rabbittest.Start(t)
	database := hubtest.Postgres(t)
	var hubs []*hubtest.Hub
	for range 2 {
		h := hubtest.Start(t, hubtest.InDatabase(database), byBroker(s.URL), func(c *config.Config) { c.ShutdownTimeout = 4 * time.Second })
		if len(hubs) > 0 {
			h.Owner = hubs[0].Owner
		}
		hubs = append(hubs, h)
	}
	a := hubs[0].Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"eventsPerSecond":1000000}}`)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	receivers := []*hubtest.Receiver{hubtest.NewReceiver(t), hubtest.NewReceiver(t)}
	for i, r := range receivers {
		hubs[i].Subscribe(r.URL, "maxInFlight", 32)
	}
	newPlatform(t, s.URL) // waits for the queues
	l := startBothWays(t, hubs, s.URL)
	flows := func() {
		t.Helper()
		more(t, "events by HTTP", &l.byHTTP, 30)
		more(t, "events by the broker", &l.byBroker, 30)
	}
	delivered := func(by int) {
		t.Helper()
		for _, r := range receivers {
			from := len(r.Pushes())
			require.Eventually(t, func() bool { return len(r.Pushes()) >= from+by }, time.Minute, time.Millisecond, "pushes")
		}
	}
	flows()
	for _, fault := range what {
		began := time.Now()
		switch fault {
		case "close":
			require.NoError(t, s.Ctl("close_all_connections", "a test"))
		case "alarm":
			require.NoError(t, s.Ctl("set_vm_memory_high_watermark", "0.00001"))
			require.Eventually(t, func() bool { return l.blocked.Load() == sendersEach }, time.Minute, time.Millisecond, "publishers are blocked")
			more(t, "events by HTTP without a broker", &l.byHTTP, 50)
			delivered(50)
			require.NoError(t, s.Ctl("set_vm_memory_high_watermark", "absolute", "2GB"))
		case "kill", "stop", "gone":
			sig := syscall.SIGTERM
			if fault == "kill" {
				sig = syscall.SIGKILL
			}
			require.NoError(t, s.Signal(sig))
			l.blocked.Store(0)
			more(t, "events by HTTP without a broker", &l.byHTTP, 50)
			delivered(50)
			if fault == "gone" {
				time.Sleep(time.Minute)
			}
			require.NoError(t, s.Start())
		}
		flows()
		t.Logf("%s: %s", fault, time.Since(began).Round(time.Millisecond))
	}
	l.end()
	select {
	case err := <-l.failures:
		require.NoError(t, err)
	default:
	}

	// Every event that was taken is stored once: the senders' counts say how many.
	sent := int(l.byHTTP.Load() + l.byBroker.Load())
	db, err := sql.Open("postgres", database)
	require.NoError(t, err)
	defer db.Close()
	var stored, distinct int
	require.Eventually(t, func() bool {
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*), count(DISTINCT id) FROM events WHERE type <> 0 AND id LIKE '%-%.%'").Scan(&stored, &distinct))
		return stored >= sent
	}, time.Minute, 50*time.Millisecond, "stored")
	require.Equal(t, distinct, stored, "doubled")
	// A publisher that was told to end may not have heard of its last one.
	require.LessOrEqual(t, stored-sent, 2*sendersEach)
	for _, r := range receivers {
		pushes := r.Wait(t, stored)
		require.Eventually(t, func() bool { return len(r.Pushes()) >= stored }, time.Minute, time.Millisecond)
		next, came := map[string]int{}, map[string]bool{}
		for _, p := range pushes {
			id := p.Header.Get("X-Hookline-Event-Id")
			require.False(t, came[id], "%s came twice, and no process died", id)
			came[id] = true
			call := gjson.GetBytes(p.Body, "callID").String()
			require.Equal(t, next[call], p.N(), "of %s", call)
			next[call]++
		}
	}
	t.Logf("%d by HTTP, %d by the broker, %d again: lost 0, doubled 0, inverted 0", l.byHTTP.Load(), l.byBroker.Load(), l.again.Load())
}
