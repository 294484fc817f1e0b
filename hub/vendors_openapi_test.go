package hub_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/dialect"
	"github.com/hookline/hookline/hub/dialect/deepcall"
	"github.com/hookline/hookline/hub/dialect/liveperson"
	"github.com/hookline/hookline/hub/dialect/sobot"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/openapi"
)

// vendorDocument returns the document of a vendor's API; if it is strict, as in document.
func vendorDocument(t *testing.T, name string, strict bool) *openapi3.T {
	t.Helper()
	all, err := openapi.LoadVendors()
	require.NoError(t, err)
	raw := all[name].JSON
	if strict {
		var v any
		require.NoError(t, json.Unmarshal(raw, &v))
		closeObjects(v)
		raw, err = json.Marshal(v)
		require.NoError(t, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	return doc
}

// The documents of the vendors' APIs have every route of their dialects, and no others.
func TestVendorDocumentsHaveEveryRoute(t *testing.T) {
	comm100 := []dialect.Route{} // its one route takes any path, in any case
	for _, name := range []string{"agents", "queue", "today", "rightNow"} {
		comm100 = append(comm100, dialect.Route{Method: "GET", Path: "/v4/livechat/realtime/" + name})
	}
	for name, routes := range map[string][]dialect.Route{
		"sobot": (&sobot.API{}).Routes(), "deepcall": (&deepcall.API{}).Routes(), "liveperson": (&liveperson.API{}).Routes(),
		"comm100": comm100,
	} {
		documented := map[string]bool{}
		ids := map[string]bool{}
		for path, item := range vendorDocument(t, name, false).Paths.Map() {
			for method, op := range item.Operations() {
				documented[method+" "+path] = true
				require.False(t, ids[op.OperationID], "%s twice", op.OperationID)
				ids[op.OperationID] = true
			}
		}
		for _, r := range routes {
			if r.Method == "OPTIONS" { // for pages of other origins
				continue
			}
			key := r.Method + " " + template(r.Path)
			require.True(t, documented[key], "%s is a route and not in %s.yaml", key, name)
			delete(documented, key)
		}
		require.Empty(t, documented, "in %s.yaml and not routes", name)
	}
}

// What the vendors' documents show as examples is as ours say.
func TestVendorExamples(t *testing.T) {
	for name, schemas := range map[string]map[string]string{
		"sobot":      {"s1": "Calls", "s2": "Parties", "s3": "CallAndParties", "s3-masked": "CallAndParties", "s9": "Histories"},
		"deepcall":   {"live-queue": "QueueCount", "agent-live": "AgentList"},
		"liveperson": {"all-v1": "QueueState", "all-v2": "QueueState", "skills-1-100-v2": "QueueState", "skills-1-2-v1": "QueueState"},
		"comm100":    {"agents": "AgentPage", "queue": "QueueState", "today": "Today", "rightnow": "RightNow"},
	} {
		doc := vendorDocument(t, name, false)
		for file, schema := range schemas {
			raw, err := os.ReadFile(filepath.Join("dialect", name, "testdata", file+".json"))
			require.NoError(t, err)
			var v any
			require.NoError(t, json.Unmarshal(raw, &v), file)
			list, is := v.([]any)
			if !is {
				list = []any{v}
			}
			require.NotEmpty(t, list)
			for _, one := range list {
				require.NoError(t, doc.Components.Schemas[schema].Value.VisitJSON(one, openapi3.EnableJSONSchema2020()), "%s of %s", file, name)
			}
		}
	}
}

// What the vendors' routes answer is as the documents say, and says no more.
func TestVendorAnswersAreAsDocumented(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	for _, media := range []string{"audio/mpeg", "text/event-stream"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.PlainBodyDecoder)
		t.Cleanup(func() { openapi3filter.UnregisterBodyDecoder(media) })
	}
	h := hubtest.Start(t, withTestClock)
	p := newPlayed(t, h)
	p.play(60)
	var all []string
	for n := range 10 {
		all = append(all, p.records(n))
	}
	all = append(all,
		fmt.Sprintf(`{"type":"chat.requested","data":{"chatId":"x","visitorId":"v","at":%d,"departmentId":"d-1"}}`, boardsNow-90_000),
		fmt.Sprintf(`{"type":"queue.entered","data":{"contactId":"x","media":"chat","queueId":"2","agentUUID":"u-1","enteredAt":%d}}`, boardsNow-90_000),
		fmt.Sprintf(`{"type":"cdr.call","data":{"callID":"one","callType":2,"startTime":%d}}`, boardsNow-1000))
	require.Less(t, h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(all, ",")+"]").Status, 300)
	require.Equal(t, 200, h.Do("PUT", "/v1/recordings/r-1", h.Owner, "ID3 sound", "Content-Type", "audio/mpeg").Status)

	ask := func(name string) *reader {
		return &reader{
			Hub: h, t: t, doc: vendorDocument(t, name, true), seen: map[string][]int{},
			headers: []string{"X-Hookline-Now", strconv.FormatInt(boardsNow, 10), "Idempotency-Key", uuid.NewString()},
		}
	}
	succeeded := func(r *reader) {
		for path, item := range r.doc.Paths.Map() {
			for method := range item.Operations() {
				name := method + " " + path
				require.Contains(t, r.seen[name], 200, "no success of %s was held against the document", name)
			}
		}
	}
	from, to := boardsNow-6*24*3_600_000, boardsNow

	r := ask("sobot")
	for _, prefix := range []string{"/callservice/tm/tm-reports", "/callservice/v6/cc-reports"} {
		r.ask(200, "POST", prefix+"/maincdrs/_search", h.Owner, fmt.Sprintf(`{"startTime":%d,"endTime":%d,"pageNum":1,"pageSize":100}`, from, to))
		r.ask(200, "POST", prefix+"/maincdrs/_search", h.Owner, fmt.Sprintf(`{"startTime":"%d","endTime":%d,"pageNum":1,"pageSize":15,"hideNumber":1}`, from, to))
		r.ask(400, "POST", prefix+"/maincdrs/_search", h.Owner, `{}`)
		r.ask(401, "POST", prefix+"/maincdrs/_search", "", `{}`)
		r.ask(200, "GET", prefix+"/maincdrs/{callID}/partycdrs", h.Owner, nil, "r-1")
		r.ask(404, "GET", prefix+"/maincdrs/{callID}/partycdrs", h.Owner, nil, "nothing")
		r.ask(200, "POST", prefix+"/cdrs/_search", h.Owner, `{"callID":"one"}`)
		r.ask(404, "POST", prefix+"/cdrs/_search", h.Owner, `{"callID":"nothing"}`)
		r.ask(200, "POST", prefix+"/agent-histories/_search", h.Owner, `{"startTime":"2023-11-14 00:00","endTime":"2023-11-16 00:00","pageNum":1,"pageSize":15}`)
		r.ask(200, "GET", prefix+"/gateway_number/check_plan", h.Owner, nil)
		r.ask(200, "GET", prefix+"/gateway_number/check_plan?planType=2", h.Owner, nil)
		for path, question := range map[string]string{
			"gateway-number-table": `"dimensions":3,"customerFields":"inbound_calls"`,
			"agent-table":          `"dimensions":9,"agentReportType":2,"customerFields":["inbound_agent_partits","agentFirstLogin_timestamp"]`,
			"depart-table":         `"dimensions":12,"callType":"2","customerFields":"inbound_agent_partits"`,
		} {
			r.ask(200, "POST", prefix+"/"+path+"/_search", h.Owner,
				`{"dateType":13,"startDate":"2023-11-01","startTime":"00:00","endDate":"2023-11-30","endTime":"24:00",`+question+`}`)
			r.ask(400, "POST", prefix+"/"+path+"/_search", h.Owner, `{"dimensions":99}`)
		}
	}
	r.ask(200, "GET", "/callservice/v6/webmsg/monitoring/agents-metrics?product=scc", h.Owner, nil)
	r.ask(400, "GET", "/callservice/v6/webmsg/monitoring/agents-metrics?product=", h.Owner, nil)
	stream := h.Stream("/callservice/v6/webmsg/monitoring/_watch/agents-metrics?product=scc&delay=0", h.Owner, "Idempotency-Key", uuid.NewString())
	full, open := stream.Next(t)
	require.True(t, open)
	r.is("Metrics", []byte(full.Data))
	p.play(10)
	h.Send(fmt.Sprintf(`{"type":"agent.status","data":{"agentUUID":"u-1","startTime":%d,"loginStatus":1,"workStatus":%d}}`, boardsNow, 1))
	h.Send(fmt.Sprintf(`{"type":"agent.status","data":{"agentUUID":"u-new","startTime":%d,"loginStatus":2,"workStatus":%d}}`, boardsNow, 4))
	for {
		change, open := stream.Next(t)
		require.True(t, open)
		if change.Data != "" {
			r.is("MetricsChange", []byte(change.Data))
			break
		}
	}
	stream.Close()
	r.ask(200, "GET", "/callservice/v6/cc-audios/recordings/{id}", h.Owner, nil, "r-1")
	r.ask(200, "HEAD", "/callservice/v6/cc-audios/recordings/{id}", h.Owner, nil, "r-1")
	r.ask(404, "GET", "/callservice/v6/cc-audios/recordings/{id}", h.Owner, nil, "r-2")
	app := newClient(t, h, h.Owner)
	for kind, change := range map[string]func(map[string]any){"company": func(map[string]any) {}, "agent": agent1001} {
		signed, err := json.Marshal(app.body(app.now(), change))
		require.NoError(t, err)
		r.ask(200, "POST", "/tokens/"+kind, "", string(signed))
		r.ask(400, "POST", "/tokens/"+kind, "", `{"appId":"","currentTime":1,"responseType":"token","sign":"x"}`)
	}
	seconds := strconv.FormatInt(app.now()/1000, 10)
	r.ask(200, "GET", "/api/get_token?appid="+app.appID+"&create_time="+seconds+"&sign="+md5hex(app.appID+seconds+app.secret), "", nil)
	r.ask(400, "GET", "/api/get_token", "", nil)
	r.seen["GET /callservice/v6/webmsg/monitoring/_watch/agents-metrics"] = []int{200} // its messages, above
	succeeded(r)

	r = ask("deepcall")
	for _, prefix := range []string{"", "/deepcall"} {
		for _, slash := range []string{"", "/"} {
			queue, agents := prefix+"/api/v2/liveQueue/count"+slash, prefix+"/api/v2/Agent/live"+slash
			r.ask(200, "POST", queue, "", `{"ssid":"`+h.Owner+`"}`)
			r.ask(200, "POST", queue, "", `{"ssid":"`+h.Owner+`","fields":["TC","AC","WT","AT","AHT","ABT"],"breakDown":"agentId"}`)
			r.ask(200, "POST", agents, "", `{"ssid":"`+h.Owner+`","A":1}`)
			r.ask(200, "POST", agents, "", `{"ssid":"wrong"}`)
		}
	}
	succeeded(r)

	r = ask("liveperson")
	for _, query := range []string{"?v=1", "?v=2", "?v=2&skillIds=1,9"} {
		r.ask(200, "GET", "/operations/api/account/{account}/queuestate"+query, h.Owner, nil, "demo")
	}
	r.ask(400, "GET", "/operations/api/account/{account}/queuestate", h.Owner, nil, "demo")
	r.ask(401, "GET", "/operations/api/account/{account}/queuestate?v=1", "", nil, "demo")
	succeeded(r)

	r = ask("comm100")
	for _, path := range []string{"agents?includeStatusDistribution=true", "agents?pageSize=1", "queue", "today?startTime=2023-11-14T00:00:00", "rightNow"} {
		r.ask(200, "GET", "/v4/livechat/realtime/"+path, h.Owner, nil)
	}
	r.ask(400, "GET", "/v4/livechat/realtime/today?startTime=x", h.Owner, nil)
	r.ask(401, "GET", "/v4/livechat/realtime/today?startTime=2023-11-14T00:00:00", "", nil)
	succeeded(r)
}

// The pages show every operation, and are found from the first one.
func TestVendorPages(t *testing.T) {
	h := hubtest.Start(t)
	first := string(h.Do("GET", "/docs", "", nil).Body)
	for _, name := range openapi.Vendors {
		require.Contains(t, first, `href="/docs/`+name+`"`)
		page := h.Do("GET", "/docs/"+name, "", nil)
		require.Equal(t, 200, page.Status)
		require.Contains(t, string(page.Body), `href="/openapi/`+name+`.json"`)
		require.NotContains(t, string(page.Body), "ZgotmplZ")
		require.NotRegexp(t, `(src|href)="?(https?:)?//`, string(page.Body))
		for _, item := range vendorDocument(t, name, false).Paths.Map() {
			for _, op := range item.Operations() {
				require.Contains(t, string(page.Body), `<article id="`+op.OperationID+`">`)
			}
		}
		served := h.Do("GET", "/openapi/"+name+".json", "", nil)
		require.Equal(t, 200, served.Status)
		require.Equal(t, "application/json", served.Header.Get("Content-Type"))
	}
}
