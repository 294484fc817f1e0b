package hub_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// longAgo is before all that a test accepts.
const longAgo = "2020-01-01T00:00:00Z"

// jobIs waits until a replay is in a state, and returns it.
func jobIs(t *testing.T, h *hubtest.Hub, id, state string) gjson.Result {
	t.Helper()
	var job gjson.Result
	require.Eventually(t, func() bool {
		job = gjson.ParseBytes(do(t, h, "GET", "/v1/replays/"+id, nil, 200).Body)
		return job.Get("state").String() == state
	}, 5*time.Minute, 50*time.Millisecond, "the job does not get there")
	return job
}

// made asks for a job and returns its id.
func made(t *testing.T, h *hubtest.Hub, path, body string) string {
	t.Helper()
	a := do(t, h, "POST", path, body, 201)
	id := gjson.GetBytes(a.Body, "id").String()
	require.Equal(t, path, strings.TrimSuffix(a.Header.Get("Location"), "/"+id))
	return id
}

// A replay of many deliveries sends each once more, with the same ids, marked, in the
// order of each key, while live events of the same keys flow.
func TestReplayOfMany(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		const keys, live = 50, 100
		events := 1000
		if strings.HasSuffix(t.Name(), "postgres") { // each statement is a round trip there
			events = 500
		}
		limits := `{"limits":{"eventsPerSecond":1000000}}`
		require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, limits).Status)
		sink := hubtest.NewReceiver(t)
		h.Subscribe(sink.URL)
		send := func(from, n int) {
			var list []string
			for i := from; i < from+n; i++ {
				list = append(list, hubtest.Ringing(fmt.Sprint("c", i%keys), i))
			}
			hubtest.Eventually(t, "the hub has room", func() bool {
				return h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(list, ",")+"]").Status == 202
			})
		}
		wait := func(n int) {
			require.Eventually(t, func() bool { return len(sink.Pushes()) >= n }, 3*time.Minute, 50*time.Millisecond)
		}
		for from := 0; from < events; from += 250 {
			send(from, 250)
		}
		wait(events)
		sent := map[string]bool{}
		for _, p := range sink.Pushes() {
			sent[p.Header.Get("webhook-id")] = true
		}

		replay := `{"filter":{"from":"` + longAgo + `","type":"call.*"},"only":"all","reason":"a test"`
		var dry gjson.Result
		require.Eventually(t, func() bool { // the last outcomes are being committed
			dry = gjson.ParseBytes(do(t, h, "POST", "/v1/replays", replay+`,"dryRun":true}`, 200).Body)
			return int(dry.Get("matching").Int()) == events
		}, time.Minute, 50*time.Millisecond)
		require.True(t, dry.Get("complete").Bool())
		id := made(t, h, "/v1/replays", replay+"}")
		for i := range live / 10 {
			send(events+10*i, 10)
		}
		job := jobIs(t, h, id, "done")
		require.EqualValues(t, events, job.Get("progress.written").Int())
		require.EqualValues(t, events, job.Get("progress.delivered").Int())
		wait(2*events + live)

		replayed, last := map[string]bool{}, map[string]int{}
		for _, p := range sink.Pushes()[events:] {
			if p.Header.Get("X-Hookline-Replay") == "" {
				continue
			}
			push := p.Header.Get("webhook-id")
			require.True(t, sent[push], "the same id as before")
			require.False(t, replayed[push], "sent twice")
			replayed[push] = true
			call := gjson.GetBytes(p.Body, "callID").String()
			require.Greater(t, p.N()+1, last[call], "in the order of the key")
			last[call] = p.N() + 1
		}
		require.Len(t, replayed, events)
		page := do(t, h, "GET", "/v1/deliveries?limit=500&replay="+id, nil, 200).Body
		require.Len(t, gjson.GetBytes(page, "data").Array(), 500)
		require.Equal(t, id, gjson.GetBytes(page, "data.0.runs.0.replay").String())
	})
}

// What failed is retried with one call; while the receiver fails again, the replay waits
// as every push does, and can be paused and stopped.
func TestRetriesOfWhatFailed(t *testing.T) {
	h := hubtest.Start(t)
	var status atomic.Int64
	status.Store(422) // the body is bad, which says nothing about the receiver
	sink := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
	})
	sub := h.Subscribe(sink.URL, "events", []string{"call.*"}, "retry", map[string]any{"live": map[string]any{"schedule": []string{"1ms"}, "jitter": 0}})
	id := sub["id"].(string)
	for n := range 4 {
		h.Send(hubtest.Ringing(fmt.Sprint("c", n), n))
	}
	count := func(query string) int {
		a := do(t, h, "GET", "/v1/deliveries?subscription="+id+"&type=call.*&"+query, nil, 200)
		return len(gjson.GetBytes(a.Body, "data").Array())
	}
	hubtest.Eventually(t, "all failed", func() bool { return count("state=exhausted") == 4 })

	// While it is paused nothing goes, not even after a restart.
	do(t, h, "POST", "/v1/subscriptions/"+id+"/pause", nil, 200)
	job := made(t, h, "/v1/replays", `{"filter":{"state":"exhausted","type":"call.*"},"only":"failed"}`)
	progress := func(field string) int {
		return int(gjson.GetBytes(do(t, h, "GET", "/v1/replays/"+job, nil, 200).Body, "progress."+field).Int())
	}
	hubtest.Eventually(t, "written ahead", func() bool { return progress("pending") == 4 })
	do(t, h, "POST", "/v1/replays/"+job+"/pause", nil, 200)
	do(t, h, "POST", "/v1/subscriptions/"+id+"/resume", nil, 200)
	h.Restart()
	h.Send(hubtest.Ringing("c9", 9))
	hubtest.Eventually(t, "a live one goes", func() bool { return count("state=exhausted") == 5 })
	require.Equal(t, 4, progress("pending"))
	hubtest.Eventually(t, "nothing live is left", func() bool {
		health := do(t, h, "GET", "/v1/subscriptions/"+id+"/health", nil, 200).Body
		return gjson.GetBytes(health, "backlog").Int() == 0
	})

	// Resumed, the runs fail again, by the schedule of the subscription.
	do(t, h, "POST", "/v1/replays/"+job+"/resume", nil, 200)
	done := jobIs(t, h, job, "done")
	require.EqualValues(t, 4, done.Get("progress.exhausted").Int())
	require.Equal(t, 5, count("state=exhausted"))

	// Then the receiver takes them.
	status.Store(200)
	retries := do(t, h, "POST", "/v1/retries", `{"filter":{"state":"exhausted","type":"call.*"}}`, 201)
	done = jobIs(t, h, gjson.GetBytes(retries.Body, "id").String(), "done")
	require.EqualValues(t, 5, done.Get("progress.delivered").Int())
	require.Equal(t, 5, count("state=delivered"))
	again := do(t, h, "POST", "/v1/retries", `{"filter":{"state":"exhausted","type":"call.*"}}`, 201)
	done = jobIs(t, h, gjson.GetBytes(again.Body, "id").String(), "done")
	require.Zero(t, done.Get("progress.written").Int())
	do(t, h, "DELETE", "/v1/replays/"+job, nil, 409)
}

// Events that a subscription never got are sent to it; pending pushes of an outage are
// cancelled, and do not arrive later.
func TestNeverSentAndCancelled(t *testing.T) {
	h := hubtest.Start(t)
	first := hubtest.NewReceiver(t)
	old := h.Subscribe(first.URL, "events", []string{"call.*"})["id"].(string)
	h.Send(hubtest.Ringing("c1", 1), hubtest.Ringing("c1", 2), hubtest.CDR("c1", 3))
	first.Wait(t, 2)

	second := hubtest.NewReceiver(t)
	sub := h.Subscribe(second.URL, "events", []string{"call.*"})["id"].(string)
	job := made(t, h, "/v1/replays",
		`{"filter":{"events":{"from":"`+longAgo+`","type":"call.*,cdr.*"}},"only":"never-sent","to":"`+sub+`"}`)
	done := jobIs(t, h, job, "done")
	require.EqualValues(t, 2, done.Get("progress.delivered").Int())
	require.EqualValues(t, 1, done.Get("progress.unwanted").Int())
	for i, p := range second.Pushes() {
		require.Equal(t, i+1, p.N())
		require.NotEmpty(t, p.Header.Get("X-Hookline-Replay"))
	}

	do(t, h, "POST", "/v1/subscriptions/"+old+"/pause", nil, 200)
	h.Send(hubtest.Ringing("c2", 4), hubtest.Ringing("c2", 5))
	cancel := `{"filter":{"subscription":"` + old + `"},"reason":"stale"`
	dry := do(t, h, "POST", "/v1/cancellations", cancel+`,"dryRun":true}`, 200)
	require.EqualValues(t, 2, gjson.GetBytes(dry.Body, "matching").Int())
	gone := made(t, h, "/v1/cancellations", cancel+"}")
	hubtest.Eventually(t, "cancelled", func() bool {
		a := do(t, h, "GET", "/v1/cancellations/"+gone, nil, 200)
		return gjson.GetBytes(a.Body, "state").String() == "done" && gjson.GetBytes(a.Body, "progress.cancelled").Int() == 2
	})
	do(t, h, "POST", "/v1/subscriptions/"+old+"/resume", nil, 200)
	h.Send(hubtest.Ringing("c2", 6))
	pushes := first.Wait(t, 3)
	require.Equal(t, 6, pushes[2].N(), "what was cancelled does not arrive")
}

// What is wrong with a replay is named by its field.
func TestBadReplays(t *testing.T) {
	h := hubtest.Start(t)
	sink := hubtest.NewReceiver(t)
	deleted := h.Subscribe(sink.URL)["id"].(string)
	do(t, h, "DELETE", "/v1/subscriptions/"+deleted, nil, 204)
	require.Equal(t, 201, h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId":"other"}`).Status)
	key := h.Do("POST", "/v1/tenants/other/keys", hubtest.PlatformKey, `{"role":"owner"}`).JSON(t)["key"].(string)
	foreign := h.Do("POST", "/v1/subscriptions", key, `{"url":"`+sink.URL+`"}`).JSON(t)["id"].(string)

	from := `"from":"` + longAgo + `"`
	for body, field := range map[string]string{
		`{"only":"all"}`:                                                                     "filter",
		`{"filter":{},"only":"all"}`:                                                         "filter.from",
		`{"filter":{"type":"call.*"},"only":"all"}`:                                          "filter.from",
		`{"filter":{` + from + `},"only":"some"}`:                                            "only",
		`{"filter":{` + from + `}}`:                                                          "only",
		`{"filter":{` + from + `},"only":"never-sent"}`:                                      "to",
		`{"filter":{` + from + `,"colour":"red"},"only":"all"}`:                              "filter.colour",
		`{"filter":{` + from + `,"state":"odd"},"only":"all"}`:                               "filter.state",
		`{"filter":{` + from + `,"state":["odd"]},"only":"all"}`:                             "filter.state",
		`{"filter":{` + from + `,"httpStatus":5000},"only":"all"}`:                           "filter.httpStatus",
		`{"filter":{` + from + `,"replay":"x"},"only":"all"}`:                                "filter.replay",
		`{"filter":{"from":"soon"},"only":"all"}`:                                            "filter.from",
		`{"filter":{` + from + `,"subscription":"` + foreign + `"},"only":"all"}`:            "filter.subscription",
		`{"filter":{` + from + `},"only":"all","to":"` + foreign + `"}`:                      "to",
		`{"filter":{` + from + `},"only":"all","to":"` + deleted + `"}`:                      "to",
		`{"filter":{` + from + `},"only":"all","ratePerSecond":0}`:                           "ratePerSecond",
		`{"filter":{` + from + `},"only":"all","reason":"` + strings.Repeat("x", 501) + `"}`: "reason",
		`{"filter":{"events":{}},"only":"all","to":"x"}`:                                     "filter.events.from",
		`{"filter":{"events":{` + from + `}},"only":"failed"}`:                               "only",
		`{"filter":{"events":{` + from + `}},"only":"all"}`:                                  "to",
		`{"filter":{"events":{` + from + `,"x":"y"}},"only":"all"}`:                          "filter.events.x",
		`{"filter":{"events":7},"only":"all"}`:                                               "filter.events",
		`{"filter":{` + from + `,"events":{}},"only":"all"}`:                                 "filter",
		`{"filter":{` + from + `},"only":"all","colour":"red"}`:                              "colour",
	} {
		a := do(t, h, "POST", "/v1/replays", body, 422)
		require.Equal(t, field, gjson.GetBytes(a.Body, "errors.0.field").String(), "%s: %s", body, a.Body)
	}
	a := do(t, h, "POST", "/v1/retries", `{"filter":{"state":"exhausted"},"only":"all"}`, 422)
	require.Equal(t, "only", gjson.GetBytes(a.Body, "errors.0.field").String())
	a = do(t, h, "POST", "/v1/cancellations", `{"filter":{}}`, 422)
	require.Equal(t, "filter", gjson.GetBytes(a.Body, "errors.0.field").String())

	// To one that was deleted nothing goes, and a filter that matches nothing is no fault.
	job := made(t, h, "/v1/replays", `{"filter":{`+from+`,"subscription":"`+deleted+`"},"only":"all"}`)
	require.Zero(t, jobIs(t, h, job, "done").Get("progress.written").Int())
	do(t, h, "POST", "/v1/replays", `{"filter":{"from":"2999-01-01T00:00:00Z"},"only":"all","dryRun":true}`, 200)
}
