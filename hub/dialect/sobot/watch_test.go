package sobot_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

const watchMetrics = "/callservice/v6/webmsg/monitoring/_watch/agents-metrics"

// board is what a client has made of the messages of a stream so far.
type board struct {
	t      *testing.T
	stream *hubtest.Stream
	state  map[string]any
	lastID int64
}

// watch opens a stream and takes its full message.
func watch(t *testing.T, h *hubtest.Hub, query string, headers ...string) *board {
	t.Helper()
	b := &board{
		t: t,
		stream: h.Stream(watchMetrics+"?product=scc&"+query, h.Owner,
			append([]string{"Idempotency-Key", uuid.NewString()}, headers...)...),
	}
	require.Equal(t, http.StatusOK, b.stream.Status, "%s", b.stream.Body)
	require.Equal(t, "text/event-stream;charset=utf-8", b.stream.Header.Get("Content-Type"))
	require.Equal(t, "EventAgentsMetricsWatch", b.next()["MessageID"])
	return b
}

// next message, as it is; it is in the state then.
func (b *board) next() map[string]any {
	b.t.Helper()
	for {
		e, open := b.stream.Next(b.t)
		require.True(b.t, open, "the stream has ended")
		if e.ID != "" {
			return b.take(e)
		}
	}
}

func (b *board) take(e hubtest.Event) map[string]any {
	b.t.Helper()
	require.Empty(b.t, e.Name)
	id, err := strconv.ParseInt(e.ID, 10, 64)
	require.NoError(b.t, err)
	require.Greater(b.t, id, b.lastID)
	b.lastID = id
	var m map[string]any
	require.NoError(b.t, json.Unmarshal([]byte(e.Data), &m), "%s", e.Data)
	require.Equal(b.t, "demo", m["companyId"])
	require.InDelta(b.t, time.Now().UnixMilli(), m["creationTime"], 3e14)
	if m["MessageID"] == "EventAgentsMetricsWatch" {
		b.state = m
		return m
	}
	require.Equal(b.t, "EventAgentsMetricsChanged", m["MessageID"])
	require.NotEmpty(b.t, m["list"])
	for _, c := range m["list"].([]any) {
		b.apply(c.(map[string]any))
	}
	return m
}

// apply a change as the documentation says.
func (b *board) apply(c map[string]any) {
	b.t.Helper()
	metrics := b.state["agentsMetrics"].(map[string]any)
	list := metrics["list"].([]any)
	id, path := c["id"].(string), strings.Split(c["path"].(string), "/")
	row := slices.IndexFunc(list, func(r any) bool {
		r2 := r.(map[string]any)
		return r2["agentUUID"] == id || r2["agentUUID"] == "" && r2["agentID"] == id
	})
	switch {
	case c["op"] == "replace" && id != "":
		require.Equal(b.t, []string{"agentsMetrics", "list"}, path[:2])
		require.Contains(b.t, list[row], path[2])
		list[row].(map[string]any)[path[2]] = c["value"]
	case c["op"] == "replace":
		require.Contains(b.t, b.state[path[0]], path[1])
		b.state[path[0]].(map[string]any)[path[1]] = c["value"]
	case c["op"] == "remove":
		require.GreaterOrEqual(b.t, row, 0, "%v", c)
		metrics["list"] = slices.Delete(list, row, row+1)
	case c["op"] == "add":
		require.Negative(b.t, row, "%v", c)
		metrics["list"] = slices.Insert(list, int(c["index"].(float64)), c["value"])
	default:
		require.Fail(b.t, "what is this?", "%v", c)
	}
}

// asked is what S11 says of the same.
func asked(t *testing.T, h *hubtest.Hub, query string, headers ...string) map[string]any {
	t.Helper()
	a := h.Do("GET", metrics+"?product=scc&"+query, h.Owner, nil,
		append([]string{"Idempotency-Key", someID}, headers...)...)
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	return a.JSON(t)
}

func same(a, b map[string]any) bool {
	text := func(m map[string]any) string {
		m = map[string]any{"summary": m["agentsSummary"], "metrics": m["agentsMetrics"]}
		raw, _ := json.Marshal(m) //nolint:errchkjson // it was JSON
		return string(raw)
	}
	return text(a) == text(b)
}

// equals waits until the state is what S11 says, at most 20 s.
func (b *board) equals(h *hubtest.Hub, query string, headers ...string) {
	b.t.Helper()
	var want map[string]any
	for deadline := time.Now().Add(20 * time.Second); ; {
		if want = asked(b.t, h, query, headers...); same(b.state, want) {
			return
		}
		for more := true; more; {
			var e hubtest.Event
			if e, more = b.stream.Poll(10 * time.Millisecond); more && e.ID != "" {
				b.take(e)
			}
		}
		if time.Now().After(deadline) {
			require.Equal(b.t, want, b.state, "watched with %s", query)
		}
	}
}

// Full message, increments, order of the page, as the document and ours say.
func TestWatchMetrics(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { h := hubtest.Start(t, testClock); testWatchMetrics(t, h, h) })
	t.Run("postgres", func(t *testing.T) {
		database := hubtest.Postgres(t)
		one, other := hubtest.Start(t, testClock,
			hubtest.InDatabase(database)), hubtest.Start(t, testClock, hubtest.InDatabase(database))
		other.Owner = one.Owner
		testWatchMetrics(t, one, other)
	})
}

// Events and the directory change on another process.
func testWatchMetrics(t *testing.T, h, other *hubtest.Hub) {
	status := func(agent string, at int64, rest string) string {
		return fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": %q, "agentID": %q, "startTime": %d, %s}}`, agent,
			strings.TrimPrefix(agent, "u"), at, rest)
	}
	now := time.Now().UnixMilli()
	h.Send(status("u7", now-5000, `"loginStatus": 1, "workStatus": 1`),
		status("u9", now-5000, `"loginStatus": 2, "notReadyStatus": 11`))
	b := watch(t, h, "delay=0")
	require.True(t, same(b.state, asked(t, h, "")), "%v", b.state)
	changes := func(m map[string]any) (all []string) {
		for _, c := range m["list"].([]any) {
			raw, err := json.Marshal(c)
			require.NoError(t, err)
			all = append(all, string(raw))
		}
		return all
	}
	// As in the document's example.
	other.Send(status("u7", now-4000, `"workStatus": 7, "callType": 2`))
	require.ElementsMatch(t, []string{
		`{"id":"u7","op":"replace","path":"agentsMetrics/list/agentWorkStatus","value":7}`,
		`{"id":"u7","op":"replace","path":"agentsMetrics/list/callType","value":2}`,
		fmt.Sprintf(`{"id":"u7","op":"replace","path":"agentsMetrics/list/lastWorkStatusChangedTime","value":%d}`, now-4000),
		`{"id":"","op":"replace","path":"agentsSummary/readyAgentsCount","value":0}`,
		`{"id":"","op":"replace","path":"agentsSummary/establishedAgentsCount","value":1}`,
		`{"id":"","op":"replace","path":"agentsSummary/inCallAgentsCount","value":1}`,
	}, changes(b.next()))
	// A row comes in between, another leaves the page of two.
	two := watch(t, h, "delay=0&pageSize=2")
	other.Send(status("u8", now, `"loginStatus": 1`))
	m := two.next()
	got := changes(m)
	require.Len(t, got, 5, "%v", got)
	require.Equal(t, `{"id":"u9","op":"remove","path":"agentsMetrics/list"}`, got[0])
	require.Contains(t, got[1], `{"id":"u8","index":1,"op":"add","path":"agentsMetrics/list","value":{`)
	require.Equal(t, `{"id":"","op":"replace","path":"agentsMetrics/total","value":3}`, got[2])
	two.equals(h, "pageSize=2")
	b.equals(h, "")
	// An agent without UUID is its agentID.
	other.Send(`{"type": "agent.status", "data": {"agentID": "1", "startTime": ` + strconv.FormatInt(now, 10) +
		`, "loginStatus": 1}}`)
	b.equals(h, "")
	other.Send(`{"type": "agent.status", "data": {"agentID": "1", "startTime": ` + strconv.FormatInt(now+1, 10) +
		`, "workStatus": 1}}`)
	b.equals(h, "")
	// The directory changes what is shown, without an event.
	require.Less(t,
		other.Do("PUT", "/v1/directory/agents/u9", h.Owner,
			`{"agentUUID": "u9", "agentName": "Nine", "agentID": "0"}`).Status,
		300)
	m = b.next()
	require.Contains(t, changes(m)[1], "Nine")
	b.equals(h, "")
	// An id that means two rows: all of it is told again.
	other.Send(status("0", now, `"loginStatus": 1`),
		`{"type": "agent.status", "data": {"agentID": "0", "startTime": `+strconv.FormatInt(now, 10)+`, "loginStatus": 1}}`)
	b.equals(h, "")
	other.Send(status("0", now+1, `"workStatus": 4`))
	require.Equal(t, "EventAgentsMetricsWatch", b.next()["MessageID"])
	b.equals(h, "")
	// Tests set the moment of the full message; increments are about the present.
	past := strconv.FormatInt(now-86_400_000, 10)
	then := watch(t, h, "delay=0", "X-Hookline-Now", past)
	require.True(t, same(then.state, asked(t, h, "", "X-Hookline-Now", past)))
	require.InDelta(t, now-86_400_000, then.state["creationTime"], 0)
	then.equals(h, "")
}

// Full message and increments are S11, whatever is asked, at any moment of a day
// that nobody planned.
func TestWatchedIsWhatIsAsked(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Run("sqlite", func(t *testing.T) { h := hubtest.Start(t); testWatchedIsWhatIsAsked(t, h, h) })
	t.Run("postgres", func(t *testing.T) {
		database := hubtest.Postgres(t)
		one, other := hubtest.Start(t, hubtest.InDatabase(database)), hubtest.Start(t, hubtest.InDatabase(database))
		other.Owner = one.Owner
		testWatchedIsWhatIsAsked(t, one, other)
	})
}

func testWatchedIsWhatIsAsked(t *testing.T, h, other *hubtest.Hub) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	events := func() (batch []map[string]any) {
		for range 1 + rng.IntN(12) {
			// Some of it lies in the past or to come, and one call in a hundred goes
			// stale while the test runs.
			at := time.Now().UnixMilli() - int64(rng.IntN(20_000)) + 10_000
			if rng.IntN(20) == 0 {
				at = time.Now().UnixMilli() - 12*3_600_000 + int64(rng.IntN(5000))
			}
			agent := fmt.Sprint("u", rng.IntN(12))
			switch rng.IntN(5) {
			case 0, 1:
				data := map[string]any{"agentUUID": agent, "startTime": at}
				for name, values := range map[string][]int{
					"loginStatus": {0, 1, 2, 98}, "workStatus": {1, 2, 4, 5, 6, 7, 8}, "notReadyStatus": {0, 11, 12},
				} {
					if rng.IntN(2) == 0 {
						data[name] = values[rng.IntN(len(values))]
					}
				}
				if rng.IntN(3) == 0 {
					data["callID"], data["callType"] = fmt.Sprint("c", rng.IntN(10)), 2+rng.IntN(2)
				}
				batch = append(batch, map[string]any{"type": "agent.status", "data": data})
			case 2:
				call := fmt.Sprint("c", rng.IntN(30))
				e := told{
					typ: pick("cdr.call", "cdr.party"), call: call, agent: agent, at: at, end: at + 1000, result: rng.Int64N(9),
				}
				if e.typ == "cdr.party" {
					e.party = fmt.Sprint("p", rng.IntN(3))
				}
				batch = append(batch, e.envelope())
			default:
				e := told{
					typ:  pick("call.dialing", "call.ringing", "call.established", "call.held", "call.released", "call.deleted"),
					call: fmt.Sprint("c", rng.IntN(30)), party: fmt.Sprint("p", rng.IntN(3)), agent: agent, at: at,
					dir: pick("", "Inbound", "Outbound"),
				}
				if e.typ == "call.deleted" && rng.IntN(3) > 0 {
					e.typ = "call.retrieved"
				}
				batch = append(batch, e.envelope())
			}
		}
		return batch
	}
	send := func() {
		a := other.Do("POST", "/v1/events", h.Owner, events())
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	send()
	queries := []string{
		"delay=0", "delay=50&sort=agentWorkStatus,desc&pageSize=3", "delay=0&agentWorkStatuses=5,6,7,8",
		"delay=100&sort=lastWorkStatusChangedTime,asc&pageSize=4&pageNum=2",
		"delay=10&agentLoginStatuses=1,2&sort=agentName,desc", "delay=0&departmentIds=d1",
		"delay=0&sort=outboundCallsCountToday,desc&pageSize=5",
	}
	boards := make([]*board, len(queries))
	for i, q := range queries {
		boards[i] = watch(t, h, q)
	}
	for range 12 {
		for range rng.IntN(4) {
			send()
		}
		if rng.IntN(3) == 0 {
			uuid := fmt.Sprint("u", rng.IntN(14))
			body := map[string]any{
				"agentUUID": uuid, "agentID": strconv.Itoa(rng.IntN(9)), "agentName": pick("", "Ann", "Bob", "Zoe"),
				"departmentIds": []string{pick("d1", "d2")},
			}
			require.Less(t, other.Do("PUT", "/v1/directory/agents/"+uuid, h.Owner, body).Status, 300)
		}
		if i := rng.IntN(len(boards)); rng.IntN(2) == 0 { // it connects again
			boards[i].stream.Close()
			boards[i] = watch(t, h, queries[i])
		}
		for i, b := range boards {
			b.equals(h, queries[i])
		}
	}
}

// tokens makes tokens of a new app, whose id it gives.
func tokens(t *testing.T, h *hubtest.Hub) (app string, token func(kind string) string) {
	t.Helper()
	made := h.Do("POST", "/v1/apps", h.Owner, `{"kind": "sobot", "name": "crm"}`).JSON(t)
	last := int64(0)
	return made["appId"].(string), func(kind string) string {
		t.Helper()
		last = max(last+1, time.Now().UnixMilli()) // each sign is of a time of its own
		at := strconv.FormatInt(last, 10)
		sum := md5.Sum([]byte(made["appId"].(string) + at + "token" + made["appSecret"].(string)))
		a := h.Do("POST", "/tokens/"+kind, "",
			map[string]any{
				"responseType": "token", "appId": made["appId"], "currentTime": at, "sign": hex.EncodeToString(sum[:]),
				"agentId": "u1",
			})
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		return a.JSON(t)["access_token"].(string)
	}
}

// Who may hear, and what becomes of a stream whose listener may not any more.
func TestWatchCredentials(t *testing.T) {
	h := hubtest.Start(t)
	app, token := tokens(t, h)
	agent := token("agent")
	path := watchMetrics + "?product=scc&idempotencyKey=" + someID
	get := func(query, key string, headers ...string) *hubtest.Stream {
		return h.Stream(path+query, key, headers...)
	}
	in := get("&token="+agent, "")
	require.Equal(t, http.StatusOK, in.Status, "%s", in.Body)
	require.Equal(t, "*", in.Header.Get("Access-Control-Allow-Origin"))
	company := token("company")
	refused(t, get("&token="+company, "").Answer, 403, "FORBIDDEN", "")
	refused(t, get("&token="+h.Owner, "").Answer, 403, "FORBIDDEN", "")
	refused(t, get("&token=x", "").Answer, 401, "UNAUTHORIZED", "")
	refused(t, get("", "").Answer, 401, "UNAUTHORIZED", "")
	refused(t, get("", company).Answer, 400, "PARAM_REQUIRED", "operatorUserId: ")
	require.Equal(t, http.StatusOK, get("&operatorUserId=7", company).Status)
	require.Equal(t, http.StatusOK, get("", "", "token", agent).Status)
	refused(t, h.Do("GET", metrics+"?product=scc&idempotencyKey="+someID+"&token="+agent, "", nil), 401, "UNAUTHORIZED",
		"")
	ingest := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role": "ingest"}`).JSON(t)["key"].(string)
	got := get("", ingest)
	refused(t, got.Answer, 403, "FORBIDDEN", "")
	require.Equal(t, "*", got.Header.Get("Access-Control-Allow-Origin"), "a page sees why")

	// A token dies with its app, and so does the stream.
	last := get("&token="+agent, "")
	require.Equal(t, http.StatusNoContent, h.Do("DELETE", "/v1/apps/"+app, h.Owner, nil).Status)
	began := time.Now()
	for open := true; open; {
		_, open = last.Next(t)
	}
	require.Less(t, time.Since(began), time.Minute)
}

// A key has one stream; a tenant has so many.
func TestWatchLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Run("sqlite", func(t *testing.T) { h := hubtest.Start(t); testWatchLimits(t, h, h) })
	t.Run("postgres", func(t *testing.T) {
		database := hubtest.Postgres(t)
		one, other := hubtest.Start(t, hubtest.InDatabase(database)), hubtest.Start(t, hubtest.InDatabase(database))
		other.Owner = one.Owner
		testWatchLimits(t, one, other)
	})
}

func testWatchLimits(t *testing.T, h, other *hubtest.Hub) {
	require.Equal(t, http.StatusOK,
		h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits": {"sseStreams": 2}}`).Status)
	open := func(on *hubtest.Hub, key string) *hubtest.Stream {
		return on.Stream(watchMetrics+"?product=scc", h.Owner, "Idempotency-Key", key)
	}
	ends := func(s *hubtest.Stream) {
		t.Helper()
		for open := true; open; {
			_, open = s.Next(t)
		}
	}
	first, second := open(h, someID), open(h, uuid.NewString())
	require.Equal(t, 200, second.Status)
	third := open(h, uuid.NewString())
	refused(t, third.Answer, 429, "TOO_MANY_REQUESTS", "")
	require.Contains(t, string(third.Body), "2 streams")
	require.Equal(t, "1", third.Header.Get("Retry-After"))
	require.Equal(t, 429, h.Stream("/v1/tail", h.Owner).Status, "the same places")
	again := open(h, strings.ToUpper(someID))
	require.Equal(t, 200, again.Status, "it takes the place of the first")
	ends(first)
	if other != h {
		time.Sleep(2 * time.Millisecond) // or it might be of the same time
		elsewhere := open(other, someID)
		require.Equal(t, 200, elsewhere.Status)
		ends(again)
		elsewhere.Close()
	} else {
		again.Close()
	}
	hubtest.Eventually(t, "there is room again", func() bool { return open(h, uuid.NewString()).Status == 200 })
}

func TestWatchEndsAtShutdown(t *testing.T) {
	h := hubtest.Start(t)
	b := watch(t, h, "")
	began := time.Now()
	h.Stop()
	for open := true; open; {
		_, open = b.stream.Next(t)
	}
	require.Less(t, time.Since(began), 5*time.Second, "the stop alone may take 10 s")
}

func TestWatchBadInput(t *testing.T) {
	h := hubtest.Start(t)
	for query, want := range map[string]string{
		"": "product: ", "product=scc&delay=60001": "delay: ", "product=scc&delay=x": "delay: ",
		"product=scc&pageSize=0": "pageSize: ",
		"product=scc&sort=x":     "sort: ", "product=scc&agentWorkStatuses=9": "agentWorkStatuses: ",
	} {
		a := h.Do("GET", watchMetrics+"?"+query, h.Owner, nil, "Idempotency-Key", someID)
		require.Equal(t, 400, a.Status, query)
		require.Contains(t, string(a.Body), `"message":"`+want)
	}
	refused(t, h.Do("GET", watchMetrics+"?product=scc", h.Owner, nil), 400, "PARAM_REQUIRED", "Idempotency-Key: ")
	refused(t, h.Do("GET", watchMetrics+"?product=scc&idempotencyKey=x", h.Owner, nil), 400, "PARAM_VALUE",
		"Idempotency-Key: ")
	refused(t, h.Do("GET", watchMetrics+"?product=scc", h.Owner, nil, "Idempotency-Key", someID, "timezoneid", "Mars"),
		400, "PARAM_VALUE", "timezoneid: ")
	refused(t, h.Do("POST", watchMetrics, h.Owner, nil), 405, "METHOD_NOT_ALLOWED", "")
	a := h.Do("OPTIONS", watchMetrics, "", nil, "Origin", "https://crm.example", "Access-Control-Request-Method", "GET",
		"Access-Control-Request-Headers", "authorization,idempotency-key")
	require.Equal(t, http.StatusNoContent, a.Status)
	require.Equal(t, "*", a.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.Header.Get("Access-Control-Allow-Headers"), "Authorization")
	require.Contains(t, a.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	require.Empty(t, h.Do("OPTIONS", tm+"/maincdrs/_search", "", nil).Header.Get("Access-Control-Allow-Origin"),
		"only where boards are")
}
