package sobot_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// refused checks a failure envelope.
func refused(t *testing.T, a hubtest.Answer, status int, reason, message string) {
	t.Helper()
	require.Equal(t, status, a.Status, "%s", a.Body)
	require.Equal(t, "application/json;charset=utf-8", a.Header.Get("Content-Type"))
	var f struct {
		APIVersion, Status, Message, Reason, Kind string
		Code                                      int
		Data                                      json.RawMessage
	}
	require.NoError(t, json.Unmarshal(a.Body, &f), "%s", a.Body)
	require.Equal(t, "6.2 Fail Error null", fmt.Sprintf("%s %s %s %s", f.APIVersion, f.Status, f.Kind, f.Data))
	require.Equal(t, status, f.Code)
	require.Equal(t, reason, f.Reason, "%s", a.Body)
	require.True(t, strings.HasPrefix(f.Message, message), "%q begins with %q", f.Message, message)
}

// Every parameter that cannot be taken is named, the first of the document's
// table first, and none is a fault of the hub's.
func TestBadParameters(t *testing.T) {
	h := hubtest.Start(t)
	good := map[string]any{"startTime": 1000, "endTime": 2000, "pageNum": 1, "pageSize": 10}
	search := func(change map[string]any) hubtest.Answer {
		q := maps.Clone(good)
		maps.Copy(q, change)
		return h.Do("POST", tm+"/maincdrs/_search", h.Owner, q)
	}
	require.Equal(t, http.StatusOK, search(nil).Status)

	for _, name := range []string{"startTime", "endTime", "pageNum", "pageSize"} {
		for _, absent := range []any{nil, "", "  "} {
			refused(t, search(map[string]any{name: absent}), 400, "PARAM_REQUIRED", name+": ")
		}
	}
	integers := []string{
		"startTime", "endTime", "pageNum", "pageSize", "hideNumber", "agentType", "callType", "callResult",
		"hangupDisposition", "agentCount", "transferCount", "consultCount",
	}
	for _, name := range integers {
		for _, wrong := range []any{
			"x", true, 1.5, "1.5", []int{1}, map[string]any{}, "1e1", json.Number("99999999999999999999"), "0x1",
		} {
			refused(t, search(map[string]any{name: wrong}), 400, "PARAM_TYPE", name+": ")
		}
		for _, beyond := range []any{-1, "-1", int64(1) << 62, json.Number("-9223372036854775808")} {
			refused(t, search(map[string]any{name: beyond}), 400, "PARAM_VALUE", name+": ")
		}
	}
	for _, name := range []string{
		"callID", "operator", "agent", "customerNumber", "gatewayNumber", "mainDialType", "departmentId",
	} {
		for _, wrong := range []any{true, 1.5, []string{"a"}, map[string]any{"a": 1}} {
			refused(t, search(map[string]any{name: wrong}), 400, "PARAM_TYPE", name+": ")
		}
		refused(t, search(map[string]any{name: strings.Repeat("x", 4097)}), 400, "PARAM_VALUE", name+": ")
	}
	for _, wrong := range []any{true, 1.5, []string{"a"}} {
		refused(t, search(map[string]any{"attachedData": wrong}), 400, "PARAM_TYPE", "attachedData: ")
	}
	many := map[string]any{}
	for n := range 63 {
		many[fmt.Sprint(n)] = n
	}
	require.Equal(t, http.StatusOK, search(map[string]any{"attachedData": many}).Status)
	many["one more"] = nil
	refused(t, search(map[string]any{"attachedData": many}), 400, "PARAM_VALUE", "attachedData: ")
	for name, values := range map[string][]any{
		"pageNum": {0, 100_001}, "pageSize": {0, 1001}, "hideNumber": {3}, "agentType": {2}, "callType": {0, 4},
		"callResult":        {0, 10, 20, 23},
		"hangupDisposition": {0, 4}, "agentCount": {0, 4}, "transferCount": {0, 3}, "consultCount": {0, 3},
		"mainDialType": {"inbound", "Nothing"},
	} {
		for _, v := range values {
			refused(t, search(map[string]any{name: v}), 400, "PARAM_VALUE", name+": ")
		}
	}
	refused(t, search(map[string]any{"endTime": 1000}), 400, "RANGE_INVALID", "endTime: ")
	refused(t, search(map[string]any{"endTime": 999}), 400, "RANGE_INVALID", "endTime: ")
	refused(t, search(map[string]any{"endTime": 1001 + 366*86_400_000}), 400, "RANGE_TOO_LARGE", "endTime: ")
	require.Equal(t, http.StatusOK, search(map[string]any{"endTime": 1000 + 366*86_400_000}).Status)
	refused(t, search(map[string]any{"pageNum": 101, "pageSize": 1000}), 400, "PARAM_VALUE", "pageNum: ")
	require.Equal(t, http.StatusOK, search(map[string]any{"pageNum": 100, "pageSize": 1000}).Status)
	// One problem, the first in the order of the table.
	refused(t, search(map[string]any{"consultCount": 9, "callType": 9, "agent": true, "pageNum": 0}), 400, "PARAM_VALUE",
		"pageNum: ")
	refused(t, search(map[string]any{"endTime": 0, "departmentId": true}), 400, "PARAM_TYPE", "departmentId: ")

	// What the document itself writes is taken.
	for _, fine := range []map[string]any{
		{"pageNum": nil, "currPage": " 1 "},
		{"mainDialType": "Inbound;", "callResult": "21", "customerNumber": 13812345678, "agent": 1001},
		{"customerNumber": "", "agentType": 1, "unknown": []any{1}},
		{"attachedData": map[string]any{"a": 1}},
	} {
		require.Equal(t, http.StatusOK, search(fine).Status, "%v", fine)
	}

	post := func(path, body string, headers ...string) hubtest.Answer {
		return h.Do("POST", tm+path, h.Owner, body, headers...)
	}
	for _, path := range []string{"/maincdrs/_search", "/cdrs/_search"} {
		for _, body := range []string{
			"", "[]", "null", `"x"`, "{", `{"startTime": 1,}`, `{"startTime":, 2}`, "{} {}", "\xff", "{\"a\": \"\xff\"}", "\x00",
		} {
			refused(t, post(path, body), 400, "BODY_INVALID", "body: ")
		}
		refused(t, post(path, `{"callID": "`+strings.Repeat("x", 1<<20)+`"}`), 413, "BODY_TOO_LARGE", "body: ")
		refused(t, post(path, "a=1", "Content-Type", "application/x-www-form-urlencoded"), 415, "BODY_INVALID", "body: ")
		refused(t, post(path, "{}", "Content-Encoding", "gzip"), 415, "BODY_INVALID", "body: ")
		for _, zone := range []string{
			"Local", "+8:00", "GMT+19", "Asia/Nowhere", "../etc/passwd", "asia/singapore ", strings.Repeat("A", 100),
		} {
			refused(t, post(path, "{", "timezoneid", zone), 400, "PARAM_VALUE", "timezoneid: ")
		}
	}
	refused(t, h.Do("GET", tm+"/maincdrs/x/partycdrs", h.Owner, nil, "timezoneid", "Mars"), 400, "PARAM_VALUE",
		"timezoneid: ")
	refused(t, post("/cdrs/_search", "{}"), 400, "PARAM_REQUIRED", "callID: ")
	refused(t, post("/cdrs/_search", `{"callID": true}`), 400, "PARAM_TYPE", "callID: ")
	refused(t, post("/cdrs/_search", `{"callID": "a", "hideNumber": 7}`), 400, "PARAM_VALUE", "hideNumber: ")
	refused(t, post("/cdrs/_search", `{"callID": "a"}`), 404, "NOT_FOUND", "callID: ")
	refused(t, post("/cdrs/_search", `{"callID": "a\u0000b"}`), 404, "NOT_FOUND", "callID: ")
	// Paths and methods there are not.
	refused(t, post("/nothing", "{}"), 404, "NOT_FOUND", "")
	refused(t, h.Do("GET", "/callservice/", h.Owner, nil), 404, "NOT_FOUND", "")
	a := h.Do("GET", tm+"/maincdrs/_search", h.Owner, nil)
	refused(t, a, 405, "METHOD_NOT_ALLOWED", "")
	require.Contains(t, a.Header.Get("Allow"), "POST")
	// A content type that says nothing is fine.
	req := post("/cdrs/_search", `{"callID": "a"}`, "Content-Type", "")
	refused(t, req, 404, "NOT_FOUND", "callID: ")
}

// Who may not query is told so in the dialect's shape, and nobody sees another
// tenant's calls.
func TestWhoMayQuery(t *testing.T) {
	h := hubtest.Start(t)
	other := tenant(t, h, "other")
	h.Send(`{"type": "cdr.call", "data": {"callID": "c", "startTime": 1500}}`,
		`{"type": "cdr.party", "data": {"callID": "c", "partyId": "p"}}`)
	search := `{"startTime": 1000, "endTime": 2000, "pageNum": 1, "pageSize": 10}`
	ask := func(key string) []hubtest.Answer {
		return []hubtest.Answer{
			h.Do("POST", tm+"/maincdrs/_search", key, search),
			h.Do("GET", v6+"/maincdrs/c/partycdrs", key, nil),
			h.Do("POST", v6+"/cdrs/_search", key, `{"callID": "c"}`),
		}
	}
	for _, key := range []string{h.Owner, newKey(t, h, "demo", "query")} {
		for _, a := range ask(key) {
			require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
			require.Contains(t, string(a.Body), `"callID":"c"`)
		}
	}
	for _, key := range []string{newKey(t, h, "demo", "ingest"), newKey(t, h, "demo", "auditor"), hubtest.PlatformKey} {
		for _, a := range ask(key) {
			refused(t, a, 403, "FORBIDDEN", "")
		}
	}
	for _, key := range []string{"", "hk_demo_wrong", "nothing"} {
		for _, a := range ask(key) {
			refused(t, a, 401, "UNAUTHORIZED", "")
			require.NotEmpty(t, a.Header.Get("WWW-Authenticate"))
		}
	}
	theirs := ask(other)
	require.Equal(t, http.StatusOK, theirs[0].Status)
	require.Contains(t, string(theirs[0].Body), `"total":0`)
	refused(t, theirs[1], 404, "NOT_FOUND", "callID: ")
	refused(t, theirs[2], 404, "NOT_FOUND", "callID: ")
}

// A corrected record replaces the earlier one as a whole, and a party that says
// no direction has that of its call.
func TestCorrection(t *testing.T) {
	h := hubtest.Start(t)
	find := func(q string) map[string]any {
		a := h.Do("POST", tm+"/cdrs/_search", h.Owner, q)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		return a.JSON(t)["data"].(map[string]any)
	}
	h.Send(`{"type": "cdr.call", "data": {"callID": "c", "startTime": 1500, "callType": 3, "customerNumber": "13812345678", "callResult": 7, "attachedData": "{\"tel\": \"13812345678\"}"}}`,
		`{"type": "cdr.party", "data": {"callID": "c", "partyId": "p", "agentRole": 4, "DNIS": "13912345678"}}`)
	d := find(`{"callID": "c", "hideNumber": 1}`)
	call := d["call"].(map[string]any)
	require.Equal(t, "138****5678", call["customerNumber"])
	require.Equal(t, map[string]any{"tel": "138****5678"}, call["attachedData"])
	sealed := call["encryptCustomerNumber"]
	require.NotEmpty(t, sealed)
	require.InDelta(t, 3, d["parties"].([]any)[0].(map[string]any)["callType"], 0)
	require.Equal(t, "139****5678", d["parties"].([]any)[0].(map[string]any)["DNIS"], "a third party is reached there")
	d = find(`{"callID": "c", "hideNumber": 2}`)
	require.Equal(t, "13812345678", d["call"].(map[string]any)["customerNumber"])
	require.Equal(t, "13912345678", d["parties"].([]any)[0].(map[string]any)["DNIS"])

	h.Send(`{"type": "cdr.call", "data": {"callID": "c", "startTime": 1600, "callResult": 8, "customerNumber": "13812345678"}}`)
	call = find(`{"callID": "c", "hideNumber": 1}`)["call"].(map[string]any)
	require.InDelta(t, 8, call["callResult"], 0)
	require.Nil(t, call["callType"])
	require.Equal(t, map[string]any{}, call["attachedData"])
	require.Equal(t, sealed, call["encryptCustomerNumber"], "the same customer")
	a := h.Do("POST", tm+"/maincdrs/_search", h.Owner,
		`{"startTime": 1500, "endTime": 1600, "pageNum": 1, "pageSize": 10}`)
	require.Contains(t, string(a.Body), `"total":0`, "it is no longer there")
	// Bot records are in none of these lists.
	h.Send(`{"type": "cdr.bot_call", "data": {"callID": "b", "startTime": 1500}}`)
	refused(t, h.Do("POST", tm+"/cdrs/_search", h.Owner, `{"callID": "b"}`), 404, "NOT_FOUND", "callID: ")
	// A test push is not a call.
	sub := h.Subscribe(hubtest.NewReceiver(t).URL, "events", []string{"*"}, "appKey", "0123456789abcdef")
	a = h.Do("POST", "/v1/subscriptions/"+sub["id"].(string)+"/test", h.Owner, `{"type": "cdr.call"}`)
	require.Less(t, a.Status, 300, "%s", a.Body)
	a = h.Do("POST", tm+"/maincdrs/_search", h.Owner,
		`{"startTime": 1700000000000, "endTime": 1730000000000, "pageNum": 1, "pageSize": 10}`)
	require.Contains(t, string(a.Body), `"total":0`)
}
