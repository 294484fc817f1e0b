package hub_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/cmd/hookline/simulate"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

const (
	reports     = "/callservice/tm/tm-reports/"
	mainRecords = reports + "maincdrs/_search"
)

// storyBegins is when the contact centre of the story opens; it closes 5 minutes
// later.
var storyBegins = time.Date(2026, 1, 15, 2, 0, 0, 0, time.UTC)

// testClock lets a query say when it is asked.
func testClock(c *config.Config) { c.TestClock = true }

// story is what happens in a store that is kept for TestStoresOfEarlierVersions:
// events of every kind, deliveries in every state, changes by admins. All of it
// comes to rest, so that the store answers the same years later.
type story struct {
	*hubtest.Hub
	t *testing.T
	keptStore
	began time.Time
}

func (s *story) do(method, path string, body any, want int) gjson.Result {
	s.t.Helper()
	a := s.Do(method, path, s.Owner, body)
	require.Equal(s.t, want, a.Status, "%s %s: %s", method, path, a.Body)
	return gjson.ParseBytes(a.Body)
}

// tell plays the story.
func (s *story) tell() {
	s.began = time.Now().Add(-time.Second)

	// Retention must not get at the store before 2036.
	s.do("PATCH", "/v1/tenants/demo", `{"timezone":"Asia/Singapore","settings":{"payloadDays":3650,"metadataDays":3650}}`,
		http.StatusOK)
	s.Keys["auditor"] = s.do("POST", "/v1/tenants/demo/keys", `{"role":"auditor","name":"Ada"}`,
		http.StatusCreated).Get("key").String()
	s.do("POST", "/v1/apps", `{"kind":"sobot","name":"crm"}`, http.StatusCreated)
	s.do("PUT", "/v1/directory", `{"agents":[{"agentUUID":"u-1","agentID":"1001","agentName":"Bo","queueIds":["q-1"]}],
		"departments":[{"departmentId":"d-1","name":"Support"}],"groups":[{"groupId":"g-1","name":"Sales"}],
		"queues":[{"queueId":"q-1","media":"call","groupId":"g-1"}]}`, http.StatusOK)

	// One who takes all, with a second key; one who gets masked and sealed bodies;
	// one who fails at first; one who only wants some calls.
	calm := s.Subscribe(hubtest.NewReceiver(s.t).URL, "name", "calm", "events", []string{"cdr.*", "queue.*"})
	s.do("POST", "/v1/subscriptions/"+calm["id"].(string)+"/rotate-key", `{"overlap":"24h"}`, http.StatusOK)
	s.Subscribe(hubtest.NewReceiver(s.t).URL, "name", "masked", "events", []string{"call.*", "cdr.call"},
		"masking", "partial", "encryption", "aes-256-gcm", "headers", map[string]string{"X-Token": "secret"})
	s.Subscribe(hubtest.NewReceiver(s.t, 503, 503, 500).URL, "name", "shaky", "events", []string{"chat.*"}, "retry",
		soon("50ms", "50ms"))
	s.Subscribe(hubtest.NewReceiver(s.t).URL, "name", "picky", "events", []string{"call.*"}, "filter",
		map[string]any{"callTypes": []string{"Inbound"}})

	s.simulate()
	s.rest("calm", "masked", "shaky", "picky")
	s.failures()
	s.waiting()
}

// simulate sends what a small centre does in five minutes.
func (s *story) simulate() {
	centre, err := simulate.New(simulate.Config{
		Seed: 1, Agents: 3, CallsPerHour: 60, ChatsPerHour: 30, Start: storyBegins, Duration: 5 * time.Minute,
	})
	require.NoError(s.t, err)
	var batch []json.RawMessage
	for e, more := centre.Next(); more; e, more = centre.Next() {
		batch = append(batch, e.AppendJSON(nil))
	}
	require.Less(s.t, len(batch), 400)
	s.do("POST", "/v1/events", batch, http.StatusAccepted)
}

// failures leaves deliveries that are exhausted, also after a retry by hand, and
// cancelled, and a subscription that its receiver ended.
func (s *story) failures() {
	never := s.Subscribe(hubtest.NewReceiverFunc(s.t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusInternalServerError)
	}).URL, "name", "never", "events", []string{"agent.status"}, "retry", soon("50ms"))
	gone := s.Subscribe(hubtest.NewReceiverFunc(s.t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGone)
	}).URL, "name", "gone", "events", []string{"visitor.arrived"})
	deleted := s.Subscribe(hubtest.NewReceiver(s.t).URL, "name", "deleted", "events", []string{"call.dtmf_sent"})
	s.do("POST", "/v1/subscriptions/"+deleted["id"].(string)+"/pause", nil, http.StatusOK)

	s.Send(`{"type":"agent.status","data":{"agentUUID":"u-1","startTime":1768442400000,"loginStatus":1,"workStatus":1}}`,
		`{"type":"visitor.arrived","data":{"visitorId":"v-1","at":1768442400000}}`,
		`{"type":"call.dtmf_sent","data":{"callID":"c-1","partyID":"p1","thisDN":"1001"}}`)
	hubtest.Eventually(s.t, "exhausted", func() bool { return s.inState(never, "exhausted") == 1 })
	failed := s.do("GET", "/v1/deliveries?state=exhausted", nil, http.StatusOK).Get("data.0.id").String()
	s.do("POST", "/v1/deliveries/"+failed+"/retry", nil, http.StatusAccepted)
	hubtest.Eventually(s.t, "exhausted again", func() bool { return s.inState(never, "exhausted") == 1 })
	hubtest.Eventually(s.t, "paused", func() bool {
		return s.do("GET", "/v1/subscriptions/"+gone["id"].(string), nil, http.StatusOK).Get("state").String() == "paused"
	})
	s.do("DELETE", "/v1/subscriptions/"+deleted["id"].(string), nil, http.StatusNoContent)
}

// waiting leaves a paused subscription that its receiver had asked to wait, with
// deliveries that were tried and that were not, and one that gave way.
func (s *story) waiting() {
	sub := s.Subscribe(hubtest.NewReceiverFunc(s.t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	}).URL, "name", "waits", "events", []string{"cdr.call", "cdr.party"}, "supersede", true,
		"retry", map[string]any{"cdr": map[string]any{"schedule": []string{"1s", "1s"}}})
	s.Waiting = sub["id"].(string)
	s.AppKey = sub["appKey"].(string)
	path := "/v1/subscriptions/" + s.Waiting
	s.Send(hubtest.CDR("w-0", 1))
	hubtest.Eventually(s.t, "held",
		func() bool { return s.do("GET", path, nil, http.StatusOK).Get("hold.until").String() != "" })
	s.do("POST", path+"/pause", nil, http.StatusOK)

	s.Send(hubtest.CDR("w-1", 1)) // gives way to its correction
	s.Send(hubtest.CDR("w-1", 2), hubtest.CDR("w-2", 1), hubtest.CDR("w-3", 1))
	hubtest.Eventually(s.t, "superseded", func() bool { return s.inState(sub, "superseded") == 1 })
	s.rest("calm", "masked")
	for _, d := range s.do("GET", "/v1/deliveries?state=pending&subscription="+s.Waiting, nil,
		http.StatusOK).Get("data").Array() {
		s.Pending = append(s.Pending, d.Get("id").String())
	}
	require.Len(s.t, s.Pending, 4)
}

func (s *story) inState(sub map[string]any, state string) int64 {
	s.t.Helper()
	return s.do("GET", "/v1/deliveries?subscription="+sub["id"].(string)+"&state="+state, nil,
		http.StatusOK).Get("data.#").Int()
}

// rest waits until subscriptions have nothing left to deliver.
func (s *story) rest(names ...string) {
	s.t.Helper()
	for _, name := range names {
		all := s.do("GET", "/v1/subscriptions?limit=100", nil, http.StatusOK)
		id := all.Get(`data.#(name=="` + name + `").id`).String()
		require.NotEmpty(s.t, id, name)
		hubtest.Eventually(s.t, name+" is at rest", func() bool {
			return s.do("GET", "/v1/deliveries?state=pending&subscription="+id, nil, http.StatusOK).Get("data.#").Int() == 0
		})
	}
}

// askAll asks everything that does not depend on when it is asked.
func (s *story) askAll() {
	// Looking at bodies is audited, too: ask for what was done before that.
	ended := time.Now().Add(time.Second)
	time.Sleep(time.Until(ended))
	during := "from=" + s.began.UTC().Format(time.RFC3339) + "&to=" + ended.UTC().Format(time.RFC3339) + "&limit=500"
	get := func(path string) gjson.Result { return s.ask(keptAnswer{Method: "GET", Path: path, Key: "owner"}) }

	get("/v1/audit?" + during)
	get("/v1/tenants/demo")
	get("/v1/tenants/demo/keys")
	get("/v1/apps")
	for _, kind := range []string{"agents", "departments", "groups", "queues"} {
		get("/v1/directory/" + kind)
	}
	get("/v1/stats?by=subscription&bucket=day&from=" + day(s.began) + "&to=" + day(ended.AddDate(0, 0, 1)))

	for _, sub := range get("/v1/subscriptions?limit=100").Get("data").Array() {
		get("/v1/subscriptions/" + sub.Get("id").String())
		get("/v1/subscriptions/" + sub.Get("id").String() + "/versions")
		get("/v1/deliveries?subscription=" + sub.Get("id").String() + "&" + during)
	}
	for _, e := range get("/v1/events?" + during).Get("data").Array() {
		get("/v1/events/" + e.Get("id").String())
	}

	// Of what was delivered at once a few are enough.
	shown := map[string]int{}
	for _, state := range []string{"delivered", "exhausted", "superseded", "cancelled", "pending", "expired"} {
		for _, d := range get("/v1/deliveries?state=" + state + "&" + during).Get("data").Array() {
			kind := d.Get("subscriptionId").String() + state
			if shown[kind]++; shown[kind] > 5 {
				continue
			}
			get("/v1/deliveries/" + d.Get("id").String())
			get("/v1/deliveries/" + d.Get("id").String() + "/attempts")
			s.ask(keptAnswer{Method: "GET", Path: "/v1/deliveries/" + d.Get("id").String() + "/attempts", Key: "auditor"})
		}
	}
	s.askDialects()
}

func day(at time.Time) string { return at.UTC().Truncate(24 * time.Hour).Format(time.RFC3339) }

// askDialects asks the vendors' APIs what their folds hold, at a moment within the
// story.
func (s *story) askDialects() {
	from, to := storyBegins.UnixMilli(), storyBegins.Add(2*time.Hour).UnixMilli()
	now := []string{
		"X-Hookline-Now", strconv.FormatInt(storyBegins.Add(6*time.Minute).UnixMilli(),
			10), "timezoneid", "Asia/Singapore",
		"Idempotency-Key", "6f1c1c1e-7a0c-4a6e-9f5e-111111111111",
	}
	post := func(path, body string) {
		s.ask(keptAnswer{Method: "POST", Path: path, Key: "owner", Body: body, Headers: now})
	}
	get := func(path string) { s.ask(keptAnswer{Method: "GET", Path: path, Key: "owner", Headers: now}) }

	post(mainRecords, fmt.Sprintf(`{"startTime":%d,"endTime":%d,"pageNum":1,"pageSize":100}`, from, to))
	post(reports+"agent-histories/_search",
		`{"startTime":"2026-01-15 00:00","endTime":"2026-01-15 23:59","pageNum":1,"pageSize":100}`)
	const wholeDay = `"dateType":13,"startDate":"2026-01-15","startTime":"00:00","endDate":"2026-01-15","endTime":"24:00","currPage":1,"pageSize":100`
	post(reports+"gateway-number-table/_search",
		`{"dimensions":2,"callType":2,"customerFields":"inbound_calls,inbound_humanAgent_answered_calls",`+wholeDay+`}`)
	post(reports+"agent-table/_search",
		`{"dimensions":9,"agentReportType":2,"customerFields":"inbound_agent_partits,inbound_agentTalk_duration",`+wholeDay+`}`)
	post(reports+"depart-table/_search",
		`{"dimensions":11,"callType":2,"customerFields":"inbound_agent_partits,inbound_agentTalk_duration",`+wholeDay+`}`)
	get("/callservice/v6/webmsg/monitoring/agents-metrics?product=scc")
	get("/v4/livechat/realTime/Agents?includeStatusDistribution=true&pageSize=10")
	get("/v4/livechat/realTime/Queue?")
	get("/v4/livechat/realTime/rightNow?")
	get("/operations/api/account/demo/queuestate?v=2")
	s.ask(keptAnswer{Method: "POST", Path: "/api/v2/liveQueue/count", Body: `{"ssid":"` + s.Owner + `"}`, Headers: now})
	s.ask(keptAnswer{
		Method: "POST", Path: "/deepcall/api/v2/Agent/live/", Body: `{"ssid":"` + s.Owner + `"}`, Headers: now,
	})
}

// ask keeps a request and its answer.
func (s *story) ask(k keptAnswer) gjson.Result {
	s.t.Helper()
	a := s.Do(k.Method, k.Path, s.Keys[k.Key], nonEmpty(k.Body), k.Headers...)
	require.Less(s.t, a.Status, 300, "%s %s: %s", k.Method, k.Path, a.Body)
	k.Status, k.Answer = a.Status, a.Body
	s.Answers = append(s.Answers, k)
	return gjson.ParseBytes(a.Body)
}
