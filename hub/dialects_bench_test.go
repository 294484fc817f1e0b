package hub_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// BenchmarkDialects makes each query of the live dialects over 1,000 agents and 5,000
// contacts that wait. busy means that an event is accepted before each query. p50 and
// p99 are of the whole request over loopback, without that event: time, and CPU time of
// hub and client.
func BenchmarkDialects(b *testing.B) {
	for _, store := range []string{"sqlite", "postgres"} {
		b.Run(store, func(b *testing.B) {
			var h *hubtest.Hub
			if store == "postgres" {
				h = hubtest.Start(b, hubtest.OnPostgres(b))
			} else {
				h = hubtest.Start(b)
			}
			centre(b, h)
			for _, name := range []string{
				"sobot S11", "deepcall queue", "deepcall agents", "liveperson",
				"comm100 agents", "comm100 queue", "comm100 today", "comm100 right now",
			} {
				for _, busy := range []bool{false, true} {
					b.Run(fmt.Sprintf("%s/busy=%t", name, busy), func(b *testing.B) { queries[name].bench(b, h, busy) })
				}
			}
		})
	}
}

func (q query) bench(b *testing.B, h *hubtest.Hub, busy bool) {
	q.ask(h, h.Owner, "demo") // some things are read only once
	var took, cpu []time.Duration
	for i := range b.N {
		if busy {
			h.Send(statusOf(i%1000, time.Now().UnixMilli(), 1+i%2*3))
		}
		began, used := time.Now(), processTime(b)
		a := q.ask(h, h.Owner, "demo")
		took = append(took, time.Since(began))
		cpu = append(cpu, processTime(b)-used)
		require.Equal(b, http.StatusOK, a.Status, "%s", a.Body)
	}
	b.ReportMetric(0, "ns/op")
	for unit, times := range map[string][]time.Duration{"ms": took, "cpu-ms": cpu} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-"+unit)
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-"+unit)
	}
}

// statusOf returns an event: agent u<n> has a status from a time on.
func statusOf(n int, at int64, work int) string {
	return fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": "u%d", "startTime": %d, `+
		`"loginStatus": 1, "workStatus": %d}}`, n, at, work)
}

// processTime returns the CPU time of hub and client so far, which does not depend on
// what else the machine does.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// centre fills a hub: 1,000 agents of 20 groups and 50 queues, a call that goes on for
// each tenth of them, and 5,000 contacts that wait, half calls and half chats.
func centre(b *testing.B, h *hubtest.Hub) {
	b.Helper()
	a := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey,
		`{"limits": {"eventsPerSecond": 100000}, "settings": {"comm100.rateLimit": 1000000}}`)
	require.Equal(b, http.StatusOK, a.Status, "%s", a.Body)
	now := time.Now().UnixMilli()

	// Agents and queues, in the directory and in events.
	var agents, queues []map[string]any
	for i := range 50 {
		queues = append(queues, map[string]any{
			"queueId": fmt.Sprint(i), "media": "call", "groupId": fmt.Sprint(i % 20), "strategy": "Round Robin",
		})
	}
	var events []string
	for i := range 1000 {
		agents = append(agents, map[string]any{
			"agentUUID": fmt.Sprintf("u%d", i), "agentID": fmt.Sprint(i), "agentName": fmt.Sprintf("Agent %d", i),
			"clientType": "Web", "groupIds": []string{fmt.Sprint(i % 20)},
			"queueIds": []string{fmt.Sprint(i % 50), fmt.Sprint((i + 7) % 50)},
		})
		events = append(events, statusOf(i, now-3_600_000-int64(i), 1))
		if i%10 == 0 {
			events = append(events, fmt.Sprintf(`{"type": "call.established", "data": {"callID": "c%d", "partyID": "p", `+
				`"agentUUID": "u%d", "callType": "Inbound", "creationTime": %d}}`, i, i, now-60_000))
		}
	}
	for from := 0; from < len(agents); from += 200 {
		a := h.Do("PUT", "/v1/directory", h.Owner, map[string]any{"agents": agents[from : from+200], "queues": queues})
		require.Less(b, a.Status, 300, "%.500s", a.Body)
	}

	// Those who wait.
	for i := range 5000 {
		at := now - int64(i)*100
		if i%2 == 0 {
			events = append(events, fmt.Sprintf(`{"type": "queue.entered", "data": {"contactId": "w%d", "media": "call", `+
				`"queueId": "%d", "enteredAt": %d, "callType": 2, "gatewayNumber": "400%d", "customerNumber": "1381234%04d"}}`,
				i, i%50, at, i%30, i))
			continue
		}
		events = append(events,
			fmt.Sprintf(`{"type": "queue.entered", "data": {"contactId": "w%d", "media": "chat", `+
				`"queueId": "%d", "enteredAt": %d}}`, i, i%50, at),
			fmt.Sprintf(`{"type": "chat.requested", "data": {"chatId": "w%d", "departmentId": "d%d", `+
				`"visitorId": "v%d", "at": %d}}`, i, i%10, i, at))
	}

	for part := range slices.Chunk(events, 1000) {
		a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(part, ",")+"]")
		require.Equal(b, http.StatusAccepted, a.Status, "%.500s", a.Body)
	}
}
