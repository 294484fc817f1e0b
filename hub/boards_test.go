package hub_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

// boardsNow is noon in Singapore.
const boardsNow int64 = 1_700_020_800_000

// played is a hub on which a test plays a small contact centre by chance.
type played struct {
	*hubtest.Hub
	t *testing.T
	*rand.Rand
}

func newPlayed(t *testing.T, h *hubtest.Hub) *played {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &played{h, t, rand.New(rand.NewPCG(seed, 0))}
	a := h.Do("PUT", "/v1/directory", h.Owner, `{
		"agents":[
			{"agentUUID":"u-1","agentID":"11","agentName":"Ann","departmentIds":["d-1"],"groupIds":["g-1"],"queueIds":["1","2"],"maxConcurrentChats":3},
			{"agentUUID":"u-2","agentID":"9","agentName":"Bo","departmentIds":["d-1","d-2"],"groupIds":["g-2"],"queueIds":["2"]},
			{"agentUUID":"u-3","agentID":"","departmentIds":[],"queueIds":["3"],"maxConcurrentChats":-1}],
		"queues":[{"queueId":"1","name":"Sales","media":"call","departmentId":"d-1","groupId":"g-1"},{"queueId":"2","media":"chat"}]}`)
	require.Equal(t, 200, a.Status, "%s", a.Body)
	return c
}

// event returns something that happened in the last hours before now.
func (c *played) event() string {
	at := boardsNow - c.Int64N(3*3_600_000)
	agent := fmt.Sprintf("u-%d", 1+c.IntN(5))
	call := fmt.Sprintf("c-%d", c.IntN(12))
	queue := strconv.Itoa(1 + c.IntN(4))
	switch c.IntN(6) {
	case 0, 1:
		return fmt.Sprintf(`{"type":"agent.status","data":{"agentUUID":%q,"agentID":%q,"startTime":%d,"loginStatus":%d,"notReadyStatus":%d,"workStatus":%d,"callID":%q}}`,
			agent, agent[2:], at, []int{0, 1, 1, 2, 98}[c.IntN(5)], []int{0, 2, 11, 13}[c.IntN(4)],
			[]int{1, 2, 4, 5, 6, 7, 8}[c.IntN(7)], call)
	case 2:
		return fmt.Sprintf(`{"type":"queue.entered","data":{"contactId":%q,"media":"call","queueId":%q,"enteredAt":%d,"customerNumber":"+6591234567"}}`,
			call, queue, at)
	case 3:
		return fmt.Sprintf(`{"type":"queue.left","data":{"contactId":%q,"media":"call","queueId":%q,"leftAt":%d,"outcome":%q}}`,
			call, queue, at, []string{"answered", "abandoned", "transferred"}[c.IntN(3)])
	case 4:
		return fmt.Sprintf(`{"type":"call.%s","time":%d,"data":{"callID":%q,"partyID":"p-%s","agentUUID":%q,"callType":"Inbound","ANI":"+6591234567"}}`,
			[]string{"ringing", "established", "released"}[c.IntN(3)], at, call, agent, agent)
	}
	return fmt.Sprintf(`{"type":"cdr.party","data":{"callID":%q,"partyId":"p-%s","agentUUID":%q,"callType":2,"callResult":%d,"startTime":%d,"endTime":%d,"customerNumber":"+6591234567"}}`,
		call, agent, agent, 1+c.IntN(3), at, at+60_000)
}

func (c *played) play(n int) {
	var all []string
	for range n {
		all = append(all, c.event())
	}
	a := c.Do("POST", "/v1/events", c.Owner, "["+strings.Join(all, ",")+"]")
	require.Less(c.t, a.Status, 300, "%s", a.Body)
}

// whole asks until the figures have all events: on a busy machine that may take longer than
// a question waits.
func whole(t *testing.T, ask func() hubtest.Answer) gjson.Result {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		a := ask()
		require.Equal(t, 200, a.Status, "%s", a.Body)
		got := gjson.ParseBytes(a.Body)
		if got.Get("behind").Int() == 0 {
			return got
		}
		require.True(t, time.Now().Before(end), "the folds are behind: %s", a.Body)
	}
}

// get asks at boardsNow.
func (c *played) get(path string, headers ...string) gjson.Result {
	c.t.Helper()
	headers = append(headers, "X-Hookline-Now", strconv.FormatInt(boardsNow, 10))
	return whole(c.t, func() hubtest.Answer { return c.Do("GET", path, c.Owner, nil, headers...) })
}

// Native boards show what the vendors' routes show of the same moment.
func TestBoardsAreTheVendors(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		c := newPlayed(t, h)
		ms := func(v gjson.Result) int64 {
			if v.Type == gjson.Null {
				return 0
			}
			at, err := time.Parse(time.RFC3339Nano, v.String())
			require.NoError(t, err)
			return at.UnixMilli()
		}
		for range 6 {
			c.play(1 + c.IntN(25))

			// Agents: Sobot's monitoring.
			query := "?department=" + []string{"", "d-1", "d-2", "d-1,d-2", "d-3"}[c.IntN(5)]
			board := c.get("/v1/boards/agents" + query)
			require.Zero(t, board.Get("behind").Int())
			vendor := c.get("/callservice/v6/webmsg/monitoring/agents-metrics"+
				strings.Replace(query, "?department=", "?product=scc&pageSize=100&departmentIds=",
					1), "Idempotency-Key", uuid.NewString())
			theirs := vendor.Get("agentsMetrics.list").Array()
			ours := board.Get("data").Array()
			require.Len(t, ours, len(theirs))
			require.EqualValues(t, len(theirs), board.Get("total").Int())
			for i, v := range theirs {
				o := ours[i]
				for native, name := range map[string]string{
					"agentUUID": "agentUUID", "agentID": "agentID", "name": "agentName", "thisDN": "thisDN",
					"loginStatus": "agentLoginStatus", "workStatus": "agentWorkStatus", "notReadyStatus": "agentBusyReasonCode",
					"today.inboundEstablished": "inboundEstablishedCallsCountToday",
					"today.inboundAbandoned":   "inboundAbandonCallsCountToday",
					"today.outbound":           "outboundCallsCountToday", "today.outboundEstablished": "outboundEstablishedCallsCountToday",
				} {
					require.Equal(t, v.Get(name).Value(), o.Get(native).Value(), "%s of %s", native, o)
				}
				require.Equal(t, v.Get("lastWorkStatusChangedTime").Int(), ms(o.Get("workSince")), "%s", o)
				require.Equal(t, v.Get("customerNumber").String(), o.Get("call.customerNumber").String(), "%s", o)
			}
			for native, name := range map[string]string{
				"loggedIn": "loginAgentsCount", "loggedOut": "logoutAgentsCount", "onCall": "inCallAgentsCount",
				"afterWork": "acwAgentsCount", "inboundCalls": "inboundCallsCount", "outboundCalls": "outboundCallsCount",
				"today.inboundEstablished": "inboundEstablishedCallsCountToday",
			} {
				require.Equal(t, vendor.Get("agentsSummary."+name).Int(), board.Get("summary."+native).Int(), native)
			}

			// Queues: LivePerson's queue state.
			board = c.get("/v1/boards/queues")
			skills := c.get("/operations/api/account/demo/queuestate?v=2").Get("skills").Map()
			require.Len(t, board.Get("data").Array(), len(skills))
			for _, q := range board.Get("data").Array() {
				skill := skills[q.Get("id").String()]
				require.Equal(t, skill.Get("currentQueueSize").Int(), q.Get("waiting").Int(), "%s", q)
				require.Equal(t, skill.Get("currentAvailableSlots").Int(), q.Get("slots").Int(), "%s", q)
				longest := int64(-1)
				if since := ms(q.Get("waitingSince")); since > 0 {
					longest = boardsNow - since
				}
				require.Equal(t, skill.Get("currentMaxWaitTimeInQueue").Int(), longest, "%s", q)
				agents := q.Get("agents").Map()
				sum := agents["ready"].Int() + agents["onCall"].Int() + agents["afterWork"].Int() + agents["away"].Int()
				require.Equal(t, agents["loggedIn"].Int(), sum, "%s", q)
				require.LessOrEqual(t, q.Get("today.inTime").Int(), q.Get("today.answered").Int())
			}
		}
	}, withTestClock)
}

func withTestClock(c *config.Config) { c.TestClock = true }

// A queue counts what became of today's waits.
func TestQueueBoardCountsToday(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		c := newPlayed(t, h)
		wait := func(contact string, from, to int64, outcome string) {
			h.Send(
				fmt.Sprintf(`{"type":"queue.entered","data":{"contactId":%q,"media":"call","queueId":"1","enteredAt":%d}}`, contact,
					boardsNow+from),
				fmt.Sprintf(`{"type":"queue.left","data":{"contactId":%q,"media":"call","queueId":"1","leftAt":%d,"outcome":%q}}`,
					contact, boardsNow+to, outcome))
		}
		wait("a", -900_000, -890_000, "answered")
		wait("b", -900_000, -860_000, "answered")
		wait("c", -900_000, -800_000, "abandoned")
		wait("d", -20*3_600_000, -20*3_600_000+1000, "answered") // yesterday
		today := func(query string) string {
			return c.get("/v1/boards/queues?queue=1" + query).Get("data.0.today").Raw
		}
		require.JSONEq(t, `{"ended":3,"answered":2,"inTime":1,"abandoned":1}`, today(""))
		require.JSONEq(t, `{"ended":3,"answered":2,"inTime":2,"abandoned":1}`, today("&inTime=40"))
	}, withTestClock)
}

// boardView is what a client makes of the messages of a stream.
type boardView struct {
	t      *testing.T
	stream *hubtest.Stream
	rev    int64
	rows   map[string]json.RawMessage
	order  []string
	rest   map[string]json.RawMessage // summary, total
}

func openBoard(t *testing.T, h *hubtest.Hub, path, key string, headers ...string) *boardView {
	t.Helper()
	b := &boardView{t: t, stream: h.Stream(path, key, append([]string{"Accept", "text/event-stream"}, headers...)...)}
	require.Equal(t, 200, b.stream.Status, "%s", b.stream.Body)
	require.Equal(t, "board", b.take())
	return b
}

// take takes the next message, and returns its name.
func (b *boardView) take() string {
	b.t.Helper()
	e, open := b.stream.Next(b.t)
	require.True(b.t, open, "the stream has ended")
	if e.Data == "" { // a comment
		return b.take()
	}
	m := gjson.Parse(e.Data)
	require.Equal(b.t, e.ID, m.Get("rev").String())
	require.Greater(b.t, m.Get("rev").Int(), b.rev)
	b.rev = m.Get("rev").Int()
	for _, name := range []string{"now", "asOf", "behind"} {
		require.True(b.t, m.Get(name).Exists(), "%s of %s", name, e.Data)
	}

	switch e.Name {
	case "board":
		b.rows, b.order, b.rest = map[string]json.RawMessage{}, nil, map[string]json.RawMessage{}
		for _, row := range m.Get("data").Array() {
			b.rows[row.Get("id").String()] = json.RawMessage(row.Raw)
			b.order = append(b.order, row.Get("id").String())
		}
	case "change":
		for _, row := range m.Get("changed").Array() {
			b.rows[row.Get("id").String()] = json.RawMessage(row.Raw)
		}
		for _, id := range m.Get("removed").Array() {
			delete(b.rows, id.String())
		}
		if order := m.Get("order"); order.Exists() {
			b.order = nil
			for _, id := range order.Array() {
				b.order = append(b.order, id.String())
			}
		}
	default:
		require.Equal(b.t, "ping", e.Name)
	}
	for _, name := range []string{"total", "summary"} {
		if v := m.Get(name); v.Exists() {
			b.rest[name] = json.RawMessage(v.Raw)
		}
	}
	return e.Name
}

// shows reports whether the client has what an answer says.
func (b *boardView) shows(a gjson.Result) bool {
	var rows []string
	for _, id := range b.order {
		rows = append(rows, string(b.rows[id]))
	}
	data := a.Get("data").Raw
	return "["+strings.Join(rows, ",")+"]" == data && len(b.rows) == len(b.order) &&
		string(b.rest["total"]) == a.Get("total").Raw && string(b.rest["summary"]) == a.Get("summary").Raw
}

// The messages of a stream, one after the other, give what the same question gives as
// JSON, whatever happens; and every reconnection begins with the whole board.
func TestBoardStreams(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		c := newPlayed(t, h)
		c.play(20)
		paths := []string{
			"/v1/boards/agents", "/v1/boards/agents?department=d-1&limit=1", "/v1/boards/queues", "/v1/boards/queues?queue=1,2",
		}
		var views []*boardView
		for _, path := range paths {
			views = append(views, openBoard(t, h, path, h.Owner))
		}
		for range 4 {
			c.play(1 + c.IntN(10))
			require.Equal(t, 200, h.Do("PUT", "/v1/directory/agents/u-4", h.Owner,
				fmt.Sprintf(`{"agentID":"%d","departmentIds":["d-%d"]}`, c.IntN(20), 1+c.IntN(2))).Status)
			for i, v := range views {
				want := whole(t, func() hubtest.Answer { return h.Do("GET", paths[i], h.Owner, nil) })
				for !v.shows(want) {
					v.take()
				}
			}
		}

		again := openBoard(t, h, paths[0], h.Owner, "Last-Event-ID", strconv.FormatInt(views[0].rev, 10))
		require.True(t, again.shows(gjson.ParseBytes(h.Do("GET", paths[0], h.Owner, nil).Body)))
		require.GreaterOrEqual(t, again.rev, views[0].rev)

		// As many streams of one key as the limit allows, and no more.
		limit := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"sseStreams":6}}`)
		require.Equal(t, 200, limit.Status, "%s", limit.Body)
		sixth := openBoard(t, h, paths[0], h.Owner)
		more := h.Stream(paths[0], h.Owner, "Accept", "text/event-stream")
		require.Equal(t, 429, more.Status, "%s", more.Body)
		require.NotEmpty(t, more.Header.Get("Retry-After"))
		sixth.stream.Close()
	})
}

// Who may not see numbers sees none on a board, as JSON or in a stream.
func TestBoardsMaskNumbers(t *testing.T) {
	h := hubtest.Start(t)
	key := func(body string) string {
		a := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, body)
		require.Equal(t, 201, a.Status, "%s", a.Body)
		return a.JSON(t)["key"].(string)
	}
	masked, plain := key(`{"role":"query"}`), key(`{"role":"query","pii":true}`)
	now := time.Now().UnixMilli()
	h.Send(
		fmt.Sprintf(`{"type":"call.established","time":%d,"data":{"callID":"6591234567-1","partyID":"p","agentUUID":"u-1","callType":"Inbound","ANI":"+6591234567"}}`,
			now),
		fmt.Sprintf(`{"type":"agent.status","data":{"agentUUID":"u-1","startTime":%d,"loginStatus":1,"workStatus":7,"callID":"6591234567-1"}}`,
			now))

	for _, key := range []string{h.Owner, plain} {
		board := whole(t, func() hubtest.Answer { return h.Do("GET", "/v1/boards/agents", key, nil) })
		require.Contains(t, board.Raw, `"customerNumber":"+6591234567"`)
	}
	body := string(h.Do("GET", "/v1/boards/agents", masked, nil).Body)
	require.Contains(t, body, `"customerNumber":"+659***4567"`)
	require.NotContains(t, body, "91234567")

	// Streams of both share no view.
	first := openBoard(t, h, "/v1/boards/agents", h.Owner)
	second := openBoard(t, h, "/v1/boards/agents", masked)
	require.Contains(t, string(first.rows["uuid/u-1"]), "91234567")
	require.NotContains(t, string(second.rows["uuid/u-1"]), "91234567")
}
