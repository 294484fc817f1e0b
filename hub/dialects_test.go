package hub_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
)

// query is a query of a dialect, and how to read its answers.
type query struct {
	// ask makes the query about a tenant with a key, or without one if it is empty. params
	// are further members or parameters, in pairs of name and value.
	ask func(h *hubtest.Hub, key, company string, params ...string) hubtest.Answer

	code  string // gjson path of the code in an answer
	fine  string // code of success; empty if a success has no code
	found string // gjson path of what was found
	want  int    // how much of it the tenant with events finds

	// The codes of failures.
	noCredential, wrongCredential, badParameter string

	bad     [2]string // a parameter with a bad value, which the answer must name; empty if there is no such
	long    string    // a parameter that takes a text; empty if there is no such
	past    []string  // params of a page past the end; nil if there are no pages
	nowhere string    // a path of the dialect without a route
}

// posting makes a query with a JSON body, to which it adds params.
func posting(path, fixed string) func(h *hubtest.Hub, key, company string, params ...string) hubtest.Answer {
	return func(h *hubtest.Hub, key, _ string, params ...string) hubtest.Answer {
		var members map[string]any
		if json.Unmarshal([]byte(fixed), &members) != nil {
			panic(fixed)
		}
		for i := 0; i < len(params); i += 2 {
			members[params[i]] = params[i+1]
		}
		return h.Do("POST", path, key, members)
	}
}

// inBody makes a query with the key in the body, as DeepCall has it.
func inBody(path string) func(h *hubtest.Hub, key, company string, params ...string) hubtest.Answer {
	return func(h *hubtest.Hub, key, company string, params ...string) hubtest.Answer {
		if key != "" {
			params = append(params, "ssid", key)
		}
		return posting(path, "{}")(h, "", company, params...)
	}
}

// getting makes a query with a query string. %s in the path is the company.
func getting(
	path string, headers ...string,
) func(h *hubtest.Hub, key, company string, params ...string) hubtest.Answer {
	return func(h *hubtest.Hub, key, company string, params ...string) hubtest.Answer {
		path := strings.ReplaceAll(path, "%s", company)
		for i := 0; i < len(params); i += 2 {
			path += "&" + params[i] + "=" + params[i+1]
		}
		return h.Do("GET", path, key, nil, headers...)
	}
}

// queries are the queries of every dialect. A new one gets its lines here.
var queries = map[string]query{
	"sobot S1": {
		ask: posting("/callservice/tm/tm-reports/maincdrs/_search",
			`{"startTime": 1000, "endTime": 3000, "pageNum": 1, "pageSize": 10}`),
		code: "code", fine: "200", found: "data.list.#", want: 1,
		noCredential: "401", wrongCredential: "401", badParameter: "400",
		bad: [2]string{"callType", "9"}, long: "customerNumber", past: []string{"pageNum", "5000"},
		nowhere: "/callservice/tm/nothing",
	},
	"sobot S11": {
		ask: getting("/callservice/v6/webmsg/monitoring/agents-metrics?product=scc",
			"Idempotency-Key", "6f1c1c1e-7a0c-4a6e-9f5e-111111111111"),
		code: "code", found: "agentsMetrics.list.#", want: 1,
		noCredential: "401", wrongCredential: "401", badParameter: "400",
		bad: [2]string{"agentWorkStatuses", "77"}, past: []string{"pageNum", "5000"},
		nowhere: "/callservice/v6/webmsg/monitoring/nothing",
	},
	"deepcall queue": {
		ask:  inBody("/api/v2/liveQueue/count"),
		code: "code", fine: "200", found: "data.size", want: 1,
		noCredential: "1020", wrongCredential: "1014", badParameter: "1502",
		bad: [2]string{"breakDown", "colour"}, long: "disPlay", nowhere: "/api/v2/liveQueue/nothing",
	},
	"deepcall agents": {
		ask:  inBody("/deepcall/api/v2/Agent/live/"),
		code: "code", fine: "200", found: "message.pr.#", want: 1,
		noCredential: "1020", wrongCredential: "1014", badParameter: "1508",
		bad: [2]string{"status", "asleep"}, long: "groupid", nowhere: "/deepcall/api/v2/Agent/nothing",
	},
	"comm100 agents": {
		ask:  getting("/v4/livechat/realTime/Agents?includeStatusDistribution=true"),
		code: "errorCode", found: "list.#", want: 1,
		noCredential: "401", wrongCredential: "401", badParameter: "400",
		bad: [2]string{"pageSize", "x"}, long: "startTime", past: []string{"pageIndex", "5000"},
		nowhere: "/v4/livechat/realTime/Nothing",
	},
	"comm100 queue": {
		ask:  getting("/v4/livechat/realTime/Queue?"),
		code: "errorCode", found: "0.currentQueueLength", want: 1,
		noCredential: "401", wrongCredential: "401", nowhere: "/v4/nothing",
	},
	"comm100 today": {
		ask:  getting("/V4/livechat/realTime/Today?startTime=2020-01-01T00:00:00"),
		code: "errorCode", found: "chatRequests", want: 1,
		noCredential: "401", wrongCredential: "401", badParameter: "400",
		bad: [2]string{"utcOffset", "noon"}, long: "endTime", nowhere: "/v4/livechat/realTime/Yesterday",
	},
	"comm100 right now": {
		ask:  getting("/v4/LiveChat/RealTime/rightNow?"),
		code: "errorCode", found: "currentQueueLength", want: 1,
		noCredential: "401", wrongCredential: "401", badParameter: "400",
		bad: [2]string{"endTime", "noon"}, long: "startTime", nowhere: "/v4/livechat/",
	},
	"liveperson": {
		ask:  getting("/operations/api/account/%s/queuestate?v=2"),
		code: "error.statusCode", found: "totals.currentQueueSize", want: 1,
		noCredential: "401", wrongCredential: "401", badParameter: "400",
		bad: [2]string{"skillIds", "sales"}, long: "skillIds", nowhere: "/operations/api/account/demo/nothing",
	},
}

// Every dialect is asked the same questions.
func TestDialects(t *testing.T) {
	for name, q := range queries {
		t.Run(name, func(t *testing.T) { q.test(t, hubtest.Start(t), name) })
	}
}

// test makes the query with good and with bad credentials and parameters, for a tenant
// that has events and for another that has no event.
func (q query) test(t *testing.T, h *hubtest.Hub, name string) {
	other := otherTenant(t, h)
	at := time.Now().UnixMilli()
	h.Send(
		`{"type": "cdr.call", "data": {"callID": "c", "startTime": 2000}}`,
		fmt.Sprintf(`{"type": "queue.entered", "data": {"contactId": "w", "media": "call", "queueId": "7", `+
			`"enteredAt": %d}}`, at-5000),
		fmt.Sprintf(`{"type": "chat.requested", "data": {"chatId": "r", "visitorId": "v", "at": %d}}`, at-5000),
		fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": "u", "startTime": %d, "loginStatus": 1, `+
			`"workStatus": 1}}`, at-60_000),
	)

	get := func(a hubtest.Answer) (code, text string) {
		require.Truef(t, json.Valid(a.Body), "%d %s", a.Status, a.Body)
		require.Less(t, a.Status, 500, "%s", a.Body)
		return gjson.GetBytes(a.Body, q.code).String(), string(a.Body)
	}
	finds := func(want int, a hubtest.Answer) {
		t.Helper()
		code, text := get(a)
		require.Equal(t, http.StatusOK, a.Status, text)
		require.Equal(t, q.fine, code, text)
		require.True(t, gjson.GetBytes(a.Body, q.found).Exists(), text)
		require.Equal(t, want, int(gjson.GetBytes(a.Body, q.found).Int()), text)
	}
	fails := func(want string, a hubtest.Answer) string {
		t.Helper()
		code, text := get(a)
		require.Equal(t, want, code, text)
		require.False(t, gjson.GetBytes(a.Body, q.found).Exists(), text)
		return text
	}

	finds(q.want, q.ask(h, h.Owner, "demo"))
	finds(0, q.ask(h, other, "other"))
	fails(q.noCredential, q.ask(h, "", "demo"))
	for _, wrong := range []string{"hk_demo_wrongwrongwrongwrong", strings.Repeat("x", 3000)} {
		fails(q.wrongCredential, q.ask(h, wrong, "demo"))
	}
	if strings.Contains(name, "liveperson") { // the tenant is in the path, too
		fails(q.wrongCredential, q.ask(h, other, "demo"))
	}

	if q.bad[0] != "" {
		require.Contains(t, fails(q.badParameter, q.ask(h, h.Owner, "demo", q.bad[0], q.bad[1])), q.bad[0])
	}
	if q.long != "" {
		code, text := get(q.ask(h, h.Owner, "demo", q.long, strings.Repeat("9", 10_000)))
		require.NotEqual(t, q.fine, code, text)
		require.Contains(t, text, q.long)
		require.Less(t, len(text), 1000, "what was sent is not sent back")
	}
	if q.past != nil {
		finds(0, q.ask(h, h.Owner, "demo", q.past...))
	}

	// Paths without a handler are refused in the dialect's shape, too.
	a := h.Do("GET", q.nowhere, h.Owner, nil)
	code, text := get(a)
	require.NotEmpty(t, code, text)
	require.Equal(t, http.StatusNotFound, a.Status, text)
	a = h.Do("DELETE", q.nowhere, h.Owner, nil)
	code, text = get(a)
	require.NotEmpty(t, code, text)
	require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, a.Status, text)
}

// A time zone that cannot be read is an error in every dialect: the figures of
// another zone's day would look right.
func TestDialectsUnreadableZone(t *testing.T) {
	dir := t.TempDir()
	h := hubtest.Start(t, hubtest.InFolder(dir))
	h.Stop()
	newFiller(t, dir).exec("UPDATE tenants SET timezone = 'Mars/Olympus' WHERE company_id = 'demo'")
	h.Restart()

	for name, q := range queries {
		if name == "sobot S1" {
			continue // its times are instants, so it reads no zone
		}
		t.Run(name, func(t *testing.T) {
			a := q.ask(h, h.Owner, "demo")
			require.Equal(t, http.StatusInternalServerError, a.Status, "%s", a.Body)
			want := "500"
			if strings.Contains(name, "deepcall") {
				want = "1032"
			}
			require.Equal(t, want, gjson.GetBytes(a.Body, q.code).String(), "%s", a.Body)
			require.NotContains(t, string(a.Body), "Mars", "the log says which zone it is")
		})
	}
}

// A body may begin with a byte order mark, whoever reads it.
func TestBodiesWithAMark(t *testing.T) {
	h := hubtest.Start(t)
	post := func(method, path, key, body string) {
		t.Helper()
		a := h.Do(method, path, key, event.Mark+body, "Content-Type", "application/json")
		require.Less(t, a.Status, 300, "%s %s: %s", method, path, a.Body)
		require.NotContains(t, []string{"1047"}, gjson.GetBytes(a.Body, "code").String(), "%s: %s", path, a.Body)
	}
	post("POST", "/v1/events/call.ringing", h.Owner, `{"callID":"c","thisDN":"1001"}`)
	post("POST", "/v1/subscriptions", h.Owner, `{"url":"https://crm.example/push","name":"crm"}`)
	post("PATCH", "/v1/tenants/demo", h.Owner, `{"name":"Demo"}`)
	post("PUT", "/v1/directory", h.Owner, `{"agents":[{"agentUUID":"u","agentID":"1"}]}`)
	post("POST", "/deepcall/api/v2/Agent/live/", "", `{"ssid":"`+h.Owner+`"}`)

	c := newClient(t, h, h.Owner)
	body, err := json.Marshal(c.body(c.now()))
	require.NoError(t, err)
	post("POST", "/tokens/company", "", string(body))
}
