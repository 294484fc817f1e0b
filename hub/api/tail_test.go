package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/fair"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/tail"
	"github.com/hookline/hookline/subscriptions"
)

// tailing opens a stream and waits for its beginning.
func tailing(t *testing.T, h *hubtest.Hub, key, query string) *hubtest.Stream {
	t.Helper()
	s := h.Stream("/v1/tail"+query, key)
	require.Equal(t, 200, s.Status, "%s", s.Body)
	e, ok := s.Next(t)
	require.True(t, ok)
	require.Empty(t, e.Name, "a comment")
	return s
}

// attempt that comes next.
func attempt(t *testing.T, s *hubtest.Stream) map[string]any {
	t.Helper()
	e, ok := s.Next(t)
	require.True(t, ok)
	require.Equal(t, "attempt", e.Name)
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(e.Data), &v))
	return v
}

// Attempts reach the listeners of the tenant who asked for them, as they happen.
func TestTail(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t, 503)
	other := h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId":"other"}`)
	require.Equal(t, 201, other.Status)
	foreign := h.Do("POST", "/v1/tenants/other/keys", hubtest.PlatformKey, `{"role":"owner"}`).JSON(t)["key"].(string)
	sub := h.Subscribe(rec.URL, "retry",
		map[string]any{"cdr": map[string]any{"schedule": []string{"10ms"}}})["id"].(string)
	second := h.Subscribe(hubtest.NewReceiver(t).URL, "events", []string{"call.*"})["id"].(string)

	all, one := tailing(t, h, h.Owner, ""), tailing(t, h, auditor(t, h, false), "?subscription="+second)
	calls, others := tailing(t, h, h.Owner, "?type=call.*&subscription="+sub), tailing(t, h, foreign, "")
	require.Equal(t, "text/event-stream", all.Header.Get("Content-Type"))
	event := h.Send(hubtest.CDR("c1", 1))[0]
	first := attempt(t, all)
	d := deliveryOf(t, h, event)
	require.Equal(t, d["id"], first["delivery"])
	require.Equal(t, event, first["event"])
	require.Equal(t, sub, first["subscription"])
	require.Equal(t, "cdr.call", first["type"])
	require.Equal(t, "cdr/c1", first["orderKey"])
	require.Equal(t, 503.0, first["status"])
	require.Equal(t, "status", first["error"])
	require.Equal(t, "pending", first["state"])
	require.Contains(t, first, "dueAt")
	again := attempt(t, all)
	require.Equal(t, []any{200.0, "delivered", 2.0}, []any{again["status"], again["state"], again["n"]})
	require.NotContains(t, again, "dueAt")
	require.NotContains(t, again, "body")

	h.Send(hubtest.Ringing("c2", 1))
	require.Equal(t, second, attempt(t, one)["subscription"], "the first that it hears")
	require.Equal(t, "call.ringing", attempt(t, calls)["type"], "the first that it hears")
	// What the other tenant hears comes after all that it must not hear.
	require.Equal(t, 201, h.Do("POST", "/v1/subscriptions", foreign, map[string]any{"url": rec.URL}).Status)
	own := h.Do("POST", "/v1/events", foreign, hubtest.CDR("own", 1)).JSON(t)["results"].([]any)[0].(map[string]any)["id"]
	require.Equal(t, own, attempt(t, others)["event"])
}

// A graceful stop tells those who listen, and does not wait for them.
func TestTailEndsAtShutdown(t *testing.T) {
	h := hubtest.Start(t)
	s := tailing(t, h, h.Owner, "")
	began := time.Now()
	h.Stop()
	e, ok := s.Next(t)
	require.True(t, ok)
	require.Equal(t, "ended", e.Name)
	_, ok = s.Next(t)
	require.False(t, ok)
	require.Less(t, time.Since(began), 5*time.Second, "the stop alone may take 10 s")
}

func TestTailLimit(t *testing.T) {
	h := hubtest.Start(t)
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"sseStreams":2}}`).Status)
	first := tailing(t, h, h.Owner, "")
	tailing(t, h, h.Owner, "")
	third := h.Stream("/v1/tail", h.Owner)
	require.Equal(t, 429, third.Status)
	require.Contains(t, string(third.Body), "2 streams")
	first.Close()
	hubtest.Eventually(t, "there is room again", func() bool {
		s := h.Stream("/v1/tail", h.Owner)
		return s.Status == 200
	})
}

func TestTailOfARevokedKeyEnds(t *testing.T) {
	h := hubtest.Start(t)
	made := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"auditor"}`).JSON(t)
	s := tailing(t, h, made["key"].(string), "")
	require.Equal(t, 204, h.Do("DELETE", "/v1/tenants/demo/keys/"+made["id"].(string), h.Owner, nil).Status)
	revoked := time.Now()
	e, ok := s.Next(t)
	require.True(t, ok)
	require.Equal(t, "ended", e.Name)
	require.Less(t, time.Since(revoked), 5*time.Second, "as the contract says")
}

func TestTailBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for query, field := range map[string]string{
		"subscription=x": "subscription", "type=odd": "type", "state=pending": "state",
	} {
		s := h.Stream("/v1/tail?"+query, h.Owner)
		require.Equal(t, 400, s.Status)
		require.Equal(t, field, s.JSON(t)["errors"].([]any)[0].(map[string]any)["field"])
	}
}

// tailOf serves a feed to tenant 7, as a hub would.
func tailOf(t *testing.T, feed *tail.Feed, beat time.Duration) *bufio.Scanner {
	t.Helper()
	book := &access.Book{}
	book.PutTenant(access.Tenant{No: 7, CompanyID: "acme"})
	book.PutKey(access.Key{ID: "k", Tenant: 7, Role: access.Owner})
	api := &api.API{Tail: feed, Streams: &fair.Slots[int64]{}, Book: book, Beat: beat}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.TailAttempts(w, r, access.Caller{Tenant: 7, Role: access.Owner, KeyID: "k"}, nil)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(feed.Close)
	lines := bufio.NewScanner(fetch(t, t.Context(), srv.URL).Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

func TestTailBeats(t *testing.T) {
	lines := tailOf(t, &tail.Feed{}, time.Millisecond)
	for beats := 0; beats < 3; {
		require.True(t, lines.Scan())
		if lines.Text() == ": ping" {
			beats++
		}
	}
}

// A listener that does not read gets the event dropped and is disconnected; the hub does not wait for it.
func TestTailOfASlowListener(t *testing.T) {
	var feed tail.Feed
	lines := tailOf(t, &feed, time.Hour)
	require.True(t, lines.Scan(), "it has begun")
	report := delivery.Report{
		Sub: &subscriptions.Subscription{ID: "s", Tenant: 7}, Item: &delivery.Item{},
		Attempt: &delivery.Attempt{Err: strings.Repeat("x", 100_000)}, // what sockets hold is soon full
	}
	for range 100 * tail.Buffer {
		feed.Observe(report)
	}
	last, attempts := "", 0
	for lines.Scan() {
		if lines.Text() == "event: attempt" {
			attempts++
		}
		if strings.HasPrefix(lines.Text(), "event: ") {
			last = lines.Text()
		}
	}
	require.NoError(t, lines.Err())
	require.Equal(t, "event: dropped", last)
	require.GreaterOrEqual(t, attempts, tail.Buffer)
	require.Less(t, attempts, 100*tail.Buffer)
}
