package subscriptions_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/subscriptions"
)

// matching is an index with one subscription of tenant 1 that has this filter.
func matching(t require.TestingT, filter string) *subscriptions.Index {
	s, problems := subscriptions.Create([]byte(`{"url": "https://crm.example/", "filter": `+filter+`}`), rules)
	require.Empty(t, problems, filter)
	s.No, s.Tenant = 1, 1
	x := subscriptions.NewIndex()
	x.Put(s)
	return x
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		filter string
		typ    event.Type
		body   string
		want   bool
	}{
		{`null`, event.CDRCall, `{}`, true},
		{`{}`, event.CDRCall, `{}`, true},
		{`{"agentIDs": []}`, event.CDRCall, `{}`, true},
		{`{"agentIDs": ["1001"]}`, event.CDRCall, `{}`, false},
		{`{"agentIDs": ["1001"]}`, event.CDRCall, `{"belongAgentID": "1002", "firstAgentID": " 1001 "}`, true},
		{`{"agentIDs": ["1001"]}`, event.CDRCall, `{"firstCallAgentID": 1001}`, true},
		{`{"agentIDs": ["1001"]}`, event.AgentStatus, `{"agentID": "\u0031001"}`, true},
		{`{"agentIDs": ["1001"]}`, event.AgentStatus, `{"agent\u0049D": "1001"}`, true},
		{
			`{"agentIDs": ["1001"]}`, event.AgentStatus,
			`{"agentUUID": "1001", "lastAgentID": "1001", "x": {"agentID": "1001"}}`, false,
		},
		{`{"agentIDs": ["1001"]}`, event.AgentStatus, `{"agentID": null}`, false},
		{`{"departmentIds": ["d2"]}`, event.CDRParty, `{"departmentId": "d1| d2"}`, true},
		{`{"departmentIds": ["d1|d2"]}`, event.CDRParty, `{"departmentId": "d1|d2"}`, false},
		{`{"departmentIds": ["d2"]}`, event.CDRParty, `{"departmentId": "|"}`, false},
		{`{"queueIds": ["q1"]}`, event.QueueEntered, `{"queueId": "q1"}`, true},
		{`{"queueIds": ["q1"]}`, event.CallRinging, `{"thisQueue": "q1"}`, true},
		{`{"queueIds": ["q1"]}`, event.CallAgentError, `{"thisQueues": ["q0", "q1"]}`, true},
		{`{"queueIds": ["q1"]}`, event.CallAgentError, `{"thisQueues": "[\"q0\", \"q1\"]"}`, true},
		{`{"queueIds": ["q1"]}`, event.CallAgentError, `{"thisQueues": "[\"q0\", \"q1\""}`, false},
		{`{"queueIds": ["q1"]}`, event.CallAgentError, `{"thisQueues": "q1"}`, true},
		{`{"queueIds": ["q1"]}`, event.CallAgentError, `{"thisQueues": {"0": "q1"}}`, false},
		{`{"queueIds": ["q1"]}`, event.CDRBotParty, `{"fromQueueID": "q1"}`, true},
		{`{"gatewayNumbers": ["010"]}`, event.CDRCall, `{"gatewayNumber": "010"}`, true},
		{`{"gatewayNumbers": ["010"]}`, event.CDRCall, `{"callType": 2, "DNIS": "010"}`, false},
		{`{"gatewayNumbers": ["010"]}`, event.CallRinging, `{"callType": "Inbound", "ANI": "139", "DNIS": "010"}`, true},
		{`{"gatewayNumbers": ["010"]}`, event.CallRinging, `{"callType": "Inbound", "ANI": "010", "DNIS": "139"}`, false},
		{`{"gatewayNumbers": ["010"]}`, event.CallRinging, `{"callType": "3", "ANI": "010", "DNIS": "139"}`, true},
		{`{"gatewayNumbers": ["010"]}`, event.CallRinging, `{"callType": "Internal", "ANI": "010", "DNIS": "010"}`, false},
		{`{"callTypes": [2]}`, event.CallRinging, `{"callType": "Inbound"}`, true},
		{`{"callTypes": ["Inbound"]}`, event.CDRCall, `{"callType": 2}`, true},
		{`{"callTypes": ["2"]}`, event.AgentStatus, `{"callType": "2"}`, true},
		{`{"callTypes": [1, "Outbound"]}`, event.CDRCall, `{"callType": 3}`, true},
		{`{"callTypes": ["Consult"]}`, event.CallHeld, `{"callType": "Consult"}`, true},
		{`{"callTypes": [2]}`, event.CDRCall, `{"callType": 3}`, false},
		{`{"callTypes": [2]}`, event.CDRCall, `{"callType": 7}`, false},
		{`{"callTypes": [2], "queueIds": ["q1"]}`, event.QueueLeft, `{"callType": 2, "queueId": "q1"}`, true},
		{`{"callTypes": [2], "queueIds": ["q1"]}`, event.QueueLeft, `{"callType": 3, "queueId": "q1"}`, false},
		{`{"callTypes": [2], "queueIds": ["q1"]}`, event.QueueLeft, `{"callType": 2, "queueId": "q2"}`, false},
	} {
		got := matching(t, c.filter).Match(&event.Event{Tenant: 1, Type: c.typ, Body: []byte(c.body)}, nil)
		require.Equal(t, c.want, len(got) == 1, "%s %s", c.filter, c.body)
	}
}

// An event that says no department has those of its agents in the directory.
func TestFilterByDirectory(t *testing.T) {
	x := matching(t, `{"departmentIds": ["d1"]}`)
	var asked []string
	x.Departments = func(tenant int64, uuid, id string) []string {
		asked = append(asked, fmt.Sprint(tenant, uuid, id))
		if uuid == "u2" {
			return []string{"d0", "d1"}
		}
		return nil
	}
	match := func(body string) int {
		return len(x.Match(&event.Event{Tenant: 1, Type: event.CDRCall, Body: []byte(body)}, nil))
	}
	require.Equal(t, 1, match(`{"belongAgentUUID": "u1", "belongAgentID": "1", "firstAgentUUID": "u2"}`))
	require.Equal(t, []string{"1u11", "1u2"}, asked)
	require.Equal(t, 0, match(`{"agentID": "2"}`))
	require.Equal(t, 0, match(`{"agentUUID": "u2", "departmentId": "d2"}`), "what the event says counts")
	require.Equal(t, 0, match(`{}`))
}

// naive is the rule as the contract words it, over a decoded body.
func naive(filter map[string][]string, typ event.Type, raw []byte) bool {
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		panic(err)
	}
	text := func(name string) string {
		switch v := body[name].(type) {
		case string:
			return strings.TrimSpace(v)
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return ""
	}
	words := map[string]string{"Internal": "1", "Inbound": "2", "Outbound": "3"}
	direction := text("callType")
	if n, ok := words[direction]; ok {
		direction = n
	}
	has := map[string][]string{
		"agentIDs":       {text("agentID"), text("belongAgentID"), text("firstAgentID"), text("firstCallAgentID")},
		"departmentIds":  strings.Split(text("departmentId"), "|"),
		"queueIds":       {text("queueId"), text("thisQueue"), text("fromQueueID")},
		"gatewayNumbers": {text("gatewayNumber")},
		"callTypes":      {direction},
	}
	if list, ok := body["thisQueues"].([]any); ok {
		for _, v := range list {
			has["queueIds"] = append(has["queueIds"], v.(string))
		}
	}
	if strings.HasPrefix(typ.String(), "call.") && text("gatewayNumber") == "" {
		switch direction {
		case "2":
			has["gatewayNumbers"] = []string{text("DNIS")}
		case "3":
			has["gatewayNumbers"] = []string{text("ANI")}
		}
	}
	for field, wanted := range filter {
		found := len(wanted) == 0
		for _, w := range wanted {
			if n, ok := words[w]; ok && field == "callTypes" {
				w = n
			}
			found = found || slices.Contains(has[field], w)
		}
		if !found {
			return false
		}
	}
	return true
}

func TestFilterAgreesWithNaiveMatcher(t *testing.T) {
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{"1", "2", "3", "4"})
		many := make([]string, 20) // more than are looked through one by one
		for i := range many {
			many[i] = strconv.Itoa(i + 3)
		}
		filter := map[string][]string{}
		for _, field := range []string{"agentIDs", "departmentIds", "queueIds", "gatewayNumbers"} {
			switch rapid.IntRange(0, 4).Draw(t, field) {
			case 0:
				filter[field] = rapid.SliceOfN(value, 0, 2).Draw(t, "values")
			case 1:
				filter[field] = many
			}
		}
		if rapid.Bool().Draw(t, "callTypes") {
			filter["callTypes"] = rapid.SliceOfN(rapid.SampledFrom([]string{
				"1", "2", "3", "Internal", "Inbound", "Outbound", "Consult",
			}),
				0, 3).Draw(t, "values")
		}
		body := map[string]any{}
		for _, field := range []string{
			"agentID", "belongAgentID", "firstAgentID", "firstCallAgentID", "departmentId", "queueId", "thisQueue",
			"fromQueueID",
			"gatewayNumber", "ANI", "DNIS", "agentUUID", "lastAgentID", "chargeDepartmentId",
		} {
			v := value.Draw(t, "value")
			switch rapid.IntRange(0, 7).Draw(t, field) {
			case 0:
				body[field] = v
			case 1:
				body[field] = json.Number(v)
			case 2:
				body[field] = " " + v + " "
			case 3:
				body[field] = v + "|" + value.Draw(t, "second")
			case 4:
				body[field] = rapid.SampledFrom([]any{nil, "", true, []string{v}, 1.5}).Draw(t, "odd")
			}
		}
		if rapid.Bool().Draw(t, "thisQueues") {
			body["thisQueues"] = rapid.SliceOfN(value, 0, 3).Draw(t, "queues")
		}
		body["callType"] = rapid.SampledFrom([]any{
			nil, 1, 2, 3, 9, "1", "2", "Internal", "Inbound", "Outbound", "Consult", "Odd",
		}).Draw(t, "callType")
		typ := rapid.SampledFrom([]event.Type{
			event.CDRCall, event.CallCreated, event.CallAgentError, event.QueueLeft, event.AgentStatus,
		}).Draw(t, "type")
		rawBody, err := json.Marshal(body)
		require.NoError(t, err)
		rawFilter, err := json.Marshal(filter)
		require.NoError(t, err)

		got := matching(t, string(rawFilter)).Match(&event.Event{Tenant: 1, Type: typ, Body: rawBody}, nil)
		want := naive(filter, typ, rawBody)
		require.Equal(t, want, len(got) == 1, "%s of %s by %s", rawBody, typ, rawFilter)
		if want && len(filter) > 1 {
			matched++
		}
	})
	require.NotZero(t, matched, "the bodies are such that some match")
}

// A patch merges a filter by name; null and [] take a field out.
func TestPatchFilter(t *testing.T) {
	s := create(t,
		`{"url": "https://crm.example/", "filter": {"agentIDs": ["1"], "queueIds": [" q1 "], "callTypes": ["Inbound", "3"]}}`)
	require.JSONEq(t, `{"agentIDs": ["1"], "queueIds": ["q1"], "callTypes": ["Inbound", 3]}`, asJSON(t, s.View().Filter))
	s = patch(t, s, `{"filter": {"agentIDs": null, "callTypes": [], "departmentIds": ["d"]}}`)
	require.JSONEq(t, `{"departmentIds": ["d"], "queueIds": ["q1"]}`, asJSON(t, s.View().Filter))
	same := patch(t, s, `{"filter": {}}`)
	require.Equal(t, s.Filter, same.Filter)
	require.Nil(t, patch(t, s, `{"filter": {"departmentIds": [], "queueIds": null}}`).Filter)
	require.Nil(t, patch(t, s, `{"filter": null}`).Filter)
	require.JSONEq(t, `null`, asJSON(t, patch(t, s, `{"filter": null}`).View().Filter))
}

func asJSON(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func FuzzFacets(f *testing.F) {
	for _, t := range event.Types() {
		f.Add(uint8(t), event.Sample(t))
	}
	f.Add(uint8(event.CallAgentError), []byte(`{"thisQueues":"[\"q\"]","agentI\u0044":1}`))
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		x := event.FacetsOf(&event.Event{Type: event.Type(typ), Body: body})
		for _, list := range [][]string{x.Departments, x.Queues, x.Gateways} {
			require.NotContains(t, list, "")
		}
	})
}

// What an event costs when a filter looks at it.
func BenchmarkMatchWithFilter(b *testing.B) {
	x := matching(b, `{"agentIDs": ["1001", "1002"], "callTypes": [2]}`)
	e := &event.Event{Tenant: 1, Type: event.CDRCall, Body: event.Sample(event.CDRCall)}
	var into []*subscriptions.Subscription
	b.ReportAllocs()
	for b.Loop() {
		into = x.Match(e, into[:0])
	}
	require.Len(b, into, 1)
}
