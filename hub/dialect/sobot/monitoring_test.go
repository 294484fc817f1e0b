package sobot_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/live"
)

const (
	metrics = "/callservice/v6/webmsg/monitoring/agents-metrics"
	someID  = "6f1c1c1e-7a0c-4a6e-9f5e-111111111111"
	noon    = 1_700_020_800_000 // 2023-11-15 12:00 in Singapore
	morning = noon - 12*3_600_000
)

type metricsAnswer struct {
	AgentsSummary map[string]int64
	AgentsMetrics struct {
		PageNum, PageSize, Total int
		List                     []map[string]any
	}
}

func askMetrics(t *testing.T, h *hubtest.Hub, query string, now int64, headers ...string) (a metricsAnswer) {
	t.Helper()
	got := h.Do("GET", metrics+"?product=scc&"+query, h.Owner, nil,
		append([]string{
			"Idempotency-Key", someID, "X-Hookline-Now", strconv.FormatInt(now, 10), "timezoneid", "Asia/Singapore",
		},
			headers...)...)
	require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
	require.NoError(t, json.Unmarshal(got.Body, &a))
	return a
}

// told is an event as it was sent, read by nothing of the hub's.
type told struct {
	typ, call, party, agent, role, dir string
	at, end, result                    int64
}

func (e told) envelope() map[string]any {
	data := map[string]any{"callID": e.call}
	switch e.typ {
	case "cdr.call":
		data["startTime"], data["endTime"], data["callResult"], data["firstCallAgentUUID"] = e.at, e.end, e.result, e.agent
		if e.dir != "" {
			data["callType"] = map[string]int{"Inbound": 2, "Outbound": 3}[e.dir]
		}
	case "cdr.party":
		data["startTime"], data["endTime"], data["callResult"], data["partyId"], data["agentUUID"] = e.at, e.end, e.result,
			e.party, e.agent
	default:
		data["creationTime"], data["partyID"], data["callType"] = e.at, e.party, e.dir
		if e.agent != "" {
			data["agentUUID"] = e.agent
		}
		if e.role != "" {
			data["partyRole"] = e.role
		}
	}
	return map[string]any{"type": e.typ, "data": data}
}

// recount is the contract's table, one row after the other, from all that was told.
func recount(all []told, agent string) (c [4]int64) {
	latest := map[string]told{} // records: the last to arrive
	for _, e := range all {
		if strings.HasPrefix(e.typ, "cdr.") {
			latest[e.typ+" "+e.call+" "+e.party] = e
		}
	}
	calls := map[string]bool{}
	for _, e := range all {
		calls[e.call] = true
	}
	today := func(at int64) bool { return at >= morning && at < morning+86_400_000 }
	for call := range calls {
		main, closed := latest["cdr.call "+call+" "]
		dir := ""
		var earliest int64
		over, customer := closed, false
		for _, e := range all {
			if e.call == call && strings.HasPrefix(e.typ, "call.") {
				if e.dir != "" && (earliest == 0 || e.at < earliest) {
					dir, earliest = e.dir, e.at
				}
				over = over || e.typ == "call.deleted"
				customer = customer || e.typ == "call.established" && e.role == "Customer"
			}
		}
		if closed && main.dir != "" {
			dir = main.dir
		}
		var dialed int64
		for party := range map[string]bool{"p0": true, "p1": true, "p2": true} {
			var first int64
			who := map[string]bool{}
			seen := map[string]bool{}
			record, has := latest["cdr.party "+call+" "+party]
			for _, e := range all {
				if e.call != call || e.party != party || strings.HasPrefix(e.typ, "cdr.") {
					continue
				}
				if first == 0 || e.at < first {
					first = e.at
				}
				seen[e.typ], who[e.agent] = true, true
				if e.typ == "call.dialing" && e.agent == agent && (dialed == 0 || e.at < dialed) {
					dialed = e.at
				}
			}
			if has {
				who[record.agent] = true
				if first == 0 || record.at < first {
					first = record.at
				}
			}
			if !who[agent] || dir != "Inbound" || !today(first) {
				continue
			}
			switch {
			case seen["call.established"] || record.result == 3:
				c[0]++
			case seen["call.ringing"] && (seen["call.released"] || has || over), record.result == 1, record.result == 2:
				c[1]++
			}
		}
		if closed && main.agent == agent && (dialed == 0 || main.at < dialed) {
			dialed = main.at
		}
		if dir == "Outbound" && dialed > 0 && today(dialed) {
			c[2]++
			if customer || closed && (main.result == 8 || main.result == 21) {
				c[3]++
			}
		}
	}
	return c
}

var counterNames = []string{
	"inboundEstablishedCallsCountToday", "inboundAbandonCallsCountToday", "outboundCallsCountToday",
	"outboundEstablishedCallsCountToday",
}

// The counters of today are those of a naive recount of all that was told, in
// whatever order it came, also after a restart and a rebuild.
func TestCountersOfToday(t *testing.T) {
	hubtest.Each(t, testCountersOfToday, testClock)
}

func testCountersOfToday(t *testing.T, h *hubtest.Hub) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []told
	agents := []string{"a0", "a1", "a2"}
	types := []string{
		"call.dialing", "call.ringing", "call.established", "call.held", "call.retrieved", "call.released", "call.deleted",
		"cdr.call", "cdr.party", "call.ringing",
	}
	check := func(what string) {
		t.Helper()
		a := askMetrics(t, h, "", noon)
		var sums [4]int64
		for _, row := range a.AgentsMetrics.List {
			want := recount(all, row["agentUUID"].(string))
			for i, name := range counterNames {
				require.EqualValues(t, want[i], row[name], "%s: %s of %s", what, name, row["agentUUID"])
				sums[i] += want[i]
			}
		}
		for i, name := range counterNames {
			require.Equal(t, sums[i], a.AgentsSummary[name], what)
		}
	}
	for step := range 12 {
		var batch []map[string]any
		for range 20 {
			n := rng.IntN(30)
			e := told{
				typ: types[rng.IntN(len(types))], call: fmt.Sprint("c", n), party: fmt.Sprint("p", rng.IntN(3)),
				// Some of it lies in yesterday, some in tomorrow; no two at one time.
				at: morning - 3_600_000 + rng.Int64N(26*3600)*1000 +
					int64(len(all)), dir: []string{"", "Inbound", "Outbound"}[rng.IntN(3)],
			}
			e.end = e.at + 1000
			switch e.typ {
			case "cdr.call":
				e.party, e.agent, e.result = "", agents[rng.IntN(3)], []int64{6, 7, 8, 21}[rng.IntN(4)]
			case "cdr.party":
				e.dir, e.agent, e.result = "", agents[e.party[1]-'0'], rng.Int64N(3)+1
			case "call.deleted":
				e.party = ""
			default:
				e.agent = agents[e.party[1]-'0']
				if e.typ == "call.established" && rng.IntN(4) == 0 {
					e.party, e.agent, e.role = "customer", "", "Customer"
				}
			}
			all = append(all, e)
			batch = append(batch, e.envelope())
		}
		a := h.Do("POST", "/v1/events", h.Owner, batch)
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
		check(fmt.Sprint("step ", step))
	}
	var sums [4]int64
	for _, agent := range agents {
		for i, n := range recount(all, agent) {
			sums[i] += n
		}
	}
	require.NotContains(t, sums, int64(0), "there was something of each to count")
	h.Restart()
	check("restarted")
	h.Rebuild()
	check("rebuilt")
}

// S11 as the contract has it: rows, filters, order, pages, summary.
func TestAgentMetrics(t *testing.T) {
	hubtest.Each(t, testAgentMetrics, testClock)
}

func testAgentMetrics(t *testing.T, h *hubtest.Hub) {
	a := h.Do("PUT", "/v1/directory", h.Owner, `{"agents": [{"agentUUID": "u10", "agentID": "10", "agentName": "Ten", "phoneType": 4, "thisDN": "dn10", "clientType": "Web", "departmentIds": ["d1"]},
		{"agentUUID": "u9", "agentID": "9"}, {"agentUUID": "ux", "agentID": "x9"}, {"agentUUID": "none"}]}`)
	require.Less(t, a.Status, 300, "%s", a.Body)
	status := func(agent string, at int, rest string) string {
		return fmt.Sprintf(`{"type": "agent.status", "data": {"agentUUID": %q, "startTime": %d, %s}}`, agent,
			noon-3_600_000+at, rest)
	}
	call := func(typ, call, party, agent string, at int, rest string) string {
		return fmt.Sprintf(`{"type": %q, "data": {"callID": %q, "partyID": %q, "agentUUID": %q, "creationTime": %d %s}}`, typ,
			call, party, agent, noon-3_600_000+at, rest)
	}
	h.Send(
		status("u10", 0,
			`"loginStatus": 1, "workStatus": 1`), status("u10", 500, `"workStatus": 7, "callID": "in"`),
		status("u10", 100, `"workStatus": 1`),
		status("u9", 0, `"loginStatus": 2, "notReadyStatus": 11, "workStatus": 2`),
		call("call.ringing", "in", "p1", "u10", 400,
			`, "callType": "Inbound", "ANI": "138"`), call("call.established", "in", "p1", "u10", 500, ""),
		// An agent who never tells a status shows what its calls do.
		call("call.dialing", "out", "p1", "seen", 600,
			`, "callType": "Outbound", "DNIS": "139"`), call("call.held", "out", "p1", "seen", 700, ""),
	)
	ids := func(query string) (ids []string) {
		for _, r := range askMetrics(t, h, query, noon).AgentsMetrics.List {
			ids = append(ids, r["agentUUID"].(string))
		}
		return ids
	}
	all := []string{"u9", "u10", "ux", "none", "seen"}
	got := askMetrics(t, h, "", noon)
	require.Equal(t, all, ids(""))
	row := func(uuid string) string {
		i := slices.IndexFunc(got.AgentsMetrics.List, func(r map[string]any) bool { return r["agentUUID"] == uuid })
		raw, err := json.Marshal(got.AgentsMetrics.List[i])
		require.NoError(t, err)
		return string(raw)
	}
	require.JSONEq(t, `{"agentUUID": "u10", "agentID": "10", "agentName": "Ten", "phoneType": 4, "thisDN": "dn10", "agentLoginStatus": 1, "agentWorkStatus": 7, "agentBusyReasonCode": 0,
		"lastWorkStatusChangedTime": 1700017200500, "lastLoginStatusChangedTime": 1700017200000, "customerNumber": "138", "customerPrivacyNumber": "", "callType": 2,
		"inboundEstablishedCallsCountToday": 1, "inboundAbandonCallsCountToday": 0, "outboundCallsCountToday": 0, "outboundEstablishedCallsCountToday": 0, "clientType": "Web"}`, row("u10"))
	require.JSONEq(t, `{"agentUUID": "seen", "agentID": "", "agentName": "", "phoneType": 0, "thisDN": "", "agentLoginStatus": 1, "agentWorkStatus": 8, "agentBusyReasonCode": 0,
		"lastWorkStatusChangedTime": 1700017200700, "lastLoginStatusChangedTime": 1700017200600, "customerNumber": "139", "customerPrivacyNumber": "", "callType": 3,
		"inboundEstablishedCallsCountToday": 0, "inboundAbandonCallsCountToday": 0, "outboundCallsCountToday": 1, "outboundEstablishedCallsCountToday": 0, "clientType": "Unknown"}`, row("seen"))
	require.Equal(t, map[string]int64{
		"inboundEstablishedCallsCountToday": 1, "inboundAbandonCallsCountToday": 0, "outboundCallsCountToday": 1,
		"outboundEstablishedCallsCountToday": 0,
		"inboundCallsCount":                  1, "outboundCallsCount": 1, "loginAgentsCount": 3, "onlineAgentsCount": 2, "busyAgentsCount": 1,
		"sysLockAgentsCount": 0, "logoutAgentsCount": 2,
		"inCallAgentsCount": 2, "readyAgentsCount": 0, "busyingAgentsCount": 1, "dialingAgentsCount": 0,
		"ringingAgentsCount": 0, "establishedAgentsCount": 1, "heldAgentsCount": 1,
		"acwAgentsCount": 0, "sysLockingAgentsCount": 0,
	}, got.AgentsSummary)
	for query, want := range map[string][]string{
		"sort=agentNumber,desc":              {"none", "seen", "ux", "u10", "u9"},
		"sort=agentWorkStatus,desc":          {"seen", "u10", "u9", "ux", "none"},
		"agents=10,=9;":                      {"u9", "u10"},
		"agents[]=u9&agents=u10&agentType=1": {"u9", "u10"},
		"departmentIds[]=d1":                 {"u10"},
		"departmentIds=d2;":                  nil,
		"agentWorkStatuses=7,8":              {"u10", "seen"},
		"agentBusyReasonCodes=11":            {"u9"},
		"agentLoginStatuses=2":               {"u9"},
		"pageSize=2&pageNum=2":               {"ux", "none"},
		"pageNum=9":                          nil,
	} {
		require.Equal(t, want, ids(query), query)
	}
	// By each column of the list, in both directions; ties are in the default order.
	value := func(agent, column string) any {
		return got.AgentsMetrics.List[slices.Index(all, agent)][column]
	}
	for column := range got.AgentsMetrics.List[0] {
		for way, sign := range map[string]int{"asc": 1, "desc": -1} {
			want := slices.SortedStableFunc(slices.Values(all), func(a, b string) int {
				x, y := value(a, column), value(b, column)
				if n, is := x.(float64); is {
					return sign * cmp.Compare(n, y.(float64))
				}
				if column == "agentID" {
					return sign * live.CompareNumbers(x.(string), y.(string))
				}
				return sign * cmp.Compare(x.(string), y.(string))
			})
			require.Equal(t, want, ids("sort="+column+","+way), "%s %s", column, way)
		}
	}
	require.EqualValues(t, 1, askMetrics(t, h, "agentWorkStatuses=8", noon).AgentsSummary["inboundCallsCount"],
		"whatever the filter")
	// Nothing expires by a timer: another now, another answer.
	later := askMetrics(t, h, "agents=seen&agentType=1", noon+12*3_600_000)
	require.Zero(t, later.AgentsSummary["outboundCallsCount"], "stale")
	require.InDelta(t, 1, later.AgentsMetrics.List[0]["agentWorkStatus"], 0)
	require.Zero(t, later.AgentsSummary["outboundCallsCountToday"], "another day")
	require.EqualValues(t, 1,
		askMetrics(t, h, "", noon+12*3_600_000, "timezoneid", "UTC").AgentsSummary["outboundCallsCountToday"], "not there")
	// Over for good.
	h.Send(`{"type": "cdr.call", "data": {"callID": "out", "startTime": 1}}`,
		call("call.ringing", "out", "p2", "u9", 900, ""))
	require.Zero(t, askMetrics(t, h, "", noon).AgentsSummary["outboundCallsCount"])
	h.Restart()
	require.Equal(t, all, ids(""))
	before := askMetrics(t, h, "", noon)
	h.Rebuild()
	require.Equal(t, before, askMetrics(t, h, "", noon))
}

func TestBadMetricsParameters(t *testing.T) {
	h := hubtest.Start(t)
	ask := func(query url.Values, headers ...string) hubtest.Answer {
		return h.Do("GET", metrics+"?"+query.Encode(), h.Owner, nil, headers...)
	}
	good := url.Values{"product": {"scc"}, "idempotencyKey": {someID}}
	require.Equal(t, http.StatusOK, ask(good).Status)
	refused(t, ask(url.Values{"product": {"scc"}}), 400, "PARAM_REQUIRED", "Idempotency-Key: ")
	refused(t, ask(good, "Idempotency-Key", "x"), 400, "PARAM_VALUE", "Idempotency-Key: ")
	refused(t, ask(url.Values{"idempotencyKey": {someID}}), 400, "PARAM_REQUIRED", "product: ")
	refused(t, ask(good, "timezoneid", "Mars"), 400, "PARAM_VALUE", "timezoneid: ")
	refused(t, h.Do("GET", metrics+"?a=%zz", h.Owner, nil), 400, "PARAM_VALUE", "query: ")
	for name, reasons := range map[string]map[string][]string{
		"PARAM_TYPE": {
			"agentType": {"x", "1.5"}, "pageNum": {"x"}, "pageSize": {"99999999999999999999"}, "delay": {"x"},
			"agentWorkStatuses": {"x", "1,y"}, "agentBusyReasonCodes": {"x"}, "agentLoginStatuses": {"1.5"},
		},
		"PARAM_VALUE": {
			"agentType": {"2", "-1"}, "pageNum": {"0", "100000"}, "pageSize": {"0", "1001"}, "delay": {"-1", "60001"},
			"sort":              {"x", "agentNumber,up", ",x"},
			"agentWorkStatuses": {"3"}, "agentBusyReasonCodes": {"3"}, "agentLoginStatuses": {"3"}, "agents": {manyItems()},
		},
	} {
		for param, values := range reasons {
			for _, v := range values {
				q := url.Values{"product": {"scc"}, "idempotencyKey": {someID}, param: {v}}
				refused(t, ask(q), 400, name, param+": ")
			}
		}
	}
	refused(t, h.Do("GET", metrics, "", nil), 401, "UNAUTHORIZED", "")
}

func manyItems() string {
	items := make([]string, 1001)
	for i := range items {
		items[i] = strconv.Itoa(i)
	}
	return strings.Join(items, ",")
}

// After how many hours without an event a call is over is the tenant's to say, for
// streams too.
func TestStaleCallHours(t *testing.T) {
	h := hubtest.Start(t, testClock)
	const hour = 3_600_000
	ringing := func(call string, at int64) {
		h.Send(fmt.Sprintf(`{"type": "call.ringing", "data": {"callID": %q, "partyID": "p", "agentUUID": "u1", "creationTime": %d, "callType": "Inbound"}}`,
			call, at))
	}
	set := func(hours any) hubtest.Answer {
		return h.Do("PATCH", "/v1/tenants/demo", h.Owner, map[string]any{"settings": map[string]any{"staleCallHours": hours}})
	}
	ringing("old", noon-13*hour)
	ringing("late", noon-2*hour)
	live := func() int64 { return askMetrics(t, h, "", noon).AgentsSummary["inboundCallsCount"] }
	require.EqualValues(t, 1, live())
	require.Equal(t, http.StatusOK, set(14).Status)
	require.EqualValues(t, 2, live())
	require.Equal(t, http.StatusOK, set(2).Status)
	require.EqualValues(t, 0, live())

	ringing("now", time.Now().UnixMilli()-90*60_000)
	b := watch(t, h, "delay=0")
	require.InDelta(t, 1, b.state["agentsSummary"].(map[string]any)["inboundCallsCount"], 0)
	require.Equal(t, http.StatusOK, set(1).Status)
	b.next()
	require.InDelta(t, 0, b.state["agentsSummary"].(map[string]any)["inboundCallsCount"], 0)
	for _, wrong := range []any{0, 721, 1.5, "12"} {
		a := set(wrong)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, "%v", wrong)
		require.Contains(t, string(a.Body), "settings.staleCallHours")
	}
}
