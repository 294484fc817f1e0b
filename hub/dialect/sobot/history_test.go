package sobot_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
)

func testClock(c *config.Config) { c.TestClock = true }

// S9 as in the document's example, by each of its parameters.
func TestStatusLogs(t *testing.T) {
	hubtest.Each(t, testStatusLogs, testClock)
}

func testStatusLogs(t *testing.T, h *hubtest.Hub) {
	const start, end = 1_657_126_800_000, 1_657_209_540_000 // 2022-07-07 01:00 and 23:59 in Singapore
	const company = "825072edbd914f47aa8704de02f1cdb6"
	key := tenant(t, h, company)
	push := func(events string) {
		a := h.Do("POST", "/v1/events", key, events)
		require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	}
	push(`[{"type": "agent.status", "id": "d097d27d", "data": {"agentUUID": "9a0c", "agentID": "1001", "agentName": "Zhang", "startTime": 1657126800000, "loginStatus": 1, "notReadyStatus": 0, "workStatus": 2}},
		{"type": "agent.status", "id": "ends", "data": {"agentUUID": "9a0c", "startTime": 1657209540000, "loginStatus": 2, "noReadyStatus": 11, "workStatus": "1"}},
		{"type": "agent.status", "id": "other", "data": {"agentID": "1002", "startTime": 1657126860001, "loginStatus": 1}}]`)
	a := h.Do("PUT", "/v1/directory/agents/9a0c", key,
		`{"agentName": "ZhangSan", "thisDN": "1001", "departmentIds": ["d1", "d2"]}`)
	require.Less(t, a.Status, 300, "%s", a.Body)

	now := "1657209600500"
	day := map[string]any{
		"startTime": " 2022-07-07 01 : 00 ", "endTime": "2022-07-07 23:59", "pageNum": 1, "pageSize": 15, "agentType": 1,
		"agent": []string{"9a0c"},
	}
	golden(t, "s9.json",
		h.Do("POST", tm+"/agent-histories/_search", key, day, "X-Hookline-Now", now, "timezoneid", "Asia/Singapore"))
	ids := func(change map[string]any, headers ...string) (ids []string) {
		t.Helper()
		q := map[string]any{"startTime": "2022-07-07 01:00", "endTime": "2022-07-07 23:59", "pageNum": "1", "pageSize": 15}
		maps.Copy(q, change)
		a := h.Do("POST", v6+"/agent-histories/_search", key, q, append([]string{"X-Hookline-Now", now}, headers...)...)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		var got struct {
			Data struct {
				Total    int
				PageData []struct{ ID string }
			}
		}
		require.NoError(t, json.Unmarshal(a.Body, &got))
		for _, r := range got.Data.PageData {
			ids = append(ids, r.ID)
		}
		return ids
	}
	all := []string{"d097d27d", "other", "ends"}
	for _, c := range []struct {
		ask  map[string]any
		want []string
	}{
		{nil, all},
		{map[string]any{"agent": "1001, =1002;"}, all},
		{map[string]any{"agent": `["1002"]`, "agentType": "0"}, []string{"other"}},
		{map[string]any{"agent": []any{1001}}, []string{"d097d27d", "ends"}},
		{map[string]any{"agent": []string{"1001"}, "agentType": 1}, nil},
		{map[string]any{"departmentId": []string{"x", "d2"}}, []string{"d097d27d", "ends"}},
		{map[string]any{"departmentId": []string{"x"}}, nil},
		{map[string]any{"departmentId": []string{}, "agent": nil, "loginStatus": ""}, all},
		{map[string]any{"loginStatus": []int{2, 98}}, []string{"ends"}},
		{map[string]any{"noReadyStatus": "11"}, []string{"ends"}},
		{map[string]any{"notReadyStatus": []string{"11"}}, []string{"ends"}},
		{map[string]any{"workStatus": "0,2"}, []string{"d097d27d", "other"}},
		{map[string]any{"pageSize": 2, "pageNum": 2}, []string{"ends"}},
		{map[string]any{"pageNum": 9}, nil},
		// One that only touches the range is not in it; endTime names a whole minute.
		{map[string]any{"endTime": "2022-07-07 01:00"}, []string{"d097d27d"}},
		{map[string]any{"endTime": "2022-07-07 00:59", "startTime": "2022-07-06 01:00"}, nil},
		{map[string]any{"startTime": "2022-07-07 23:59"}, []string{"other", "ends"}},
		{map[string]any{"startTime": "2022-07-08 00:00", "endTime": "2022-07-08 09:00"}, []string{"other", "ends"}},
		{map[string]any{"startTime": "2022-07-08 00:01", "endTime": "2022-07-08 09:00"}, nil}, // open ones reach to now
	} {
		require.Equal(t, c.want, ids(c.ask), "%v", c.ask)
	}
	require.Nil(t, ids(map[string]any{"startTime": "2022-07-07 12:01"}, "timezoneid", "America/New_York"),
		"after now there")
	require.Equal(t, all,
		ids(map[string]any{"startTime": "2022-07-06 17:00", "endTime": "2022-07-07 15:59"}, "timezoneid", "UTC"))
	h.Restart()
	require.Equal(t, all, ids(nil))
	h.Rebuild("agents")
	require.Equal(t, all, ids(nil))
	require.EqualValues(t, 82_740_000, end-start)
	require.Contains(t, string(h.Do("POST", tm+"/agent-histories/_search", h.Owner, day).Body), `"total":0`,
		"another tenant")
}

// Wall times that clocks show twice mean the first pass, those they skip are read
// as if they had not been changed.
func TestWallTimes(t *testing.T) {
	h := hubtest.Start(t)
	minute := func(agent, from string) {
		h.Send(`{"type": "agent.status", "data": {"agentUUID": "`+agent+`", "startTime": `+from+`000, "loginStatus": 1}}`,
			`{"type": "agent.status", "data": {"agentUUID": "`+agent+`", "startTime": `+from+`001, "loginStatus": 0}}`)
	}
	minute("back", "1698539400")    // 2023-10-29 00:30 UTC, in Berlin 02:30 for the first time
	minute("forward", "1679794200") // 2023-03-26 01:30 UTC, where 02:30 would have been without the change
	status := func(zone, at, agent string) int {
		a := h.Do("POST", tm+"/agent-histories/_search", h.Owner,
			map[string]any{
				"startTime": at, "endTime": at, "pageNum": 1, "pageSize": 15, "agent": agent, "agentType": 1,
				"loginStatus": []int{1},
			},
			"timezoneid", zone)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		return int(a.JSON(t)["data"].(map[string]any)["total"].(float64))
	}
	require.Equal(t, 1, status("Europe/Berlin", "2023-10-29 02:30", "back"))
	require.Equal(t, 0, status("UTC", "2023-10-29 01:30", "back"))
	require.Equal(t, 1, status("Europe/Berlin", "2023-03-26 02:30", "forward"))
	require.Equal(t, 1, status("Europe/Berlin", "2023-03-26 03:30", "forward"))
}

func TestBadStatusLogParameters(t *testing.T) {
	h := hubtest.Start(t)
	search := func(change map[string]any, headers ...string) hubtest.Answer {
		q := map[string]any{"startTime": "2022-07-07 01:00", "endTime": "2022-07-07 23:59", "pageNum": 1, "pageSize": 10}
		maps.Copy(q, change)
		return h.Do("POST", tm+"/agent-histories/_search", h.Owner, q, headers...)
	}
	require.Equal(t, http.StatusOK, search(nil).Status)
	require.Equal(t, http.StatusOK, search(nil, "X-Hookline-Now", "x").Status, "nobody looks at it")
	for _, name := range []string{"startTime", "endTime", "pageNum", "pageSize"} {
		refused(t, search(map[string]any{name: nil}), 400, "PARAM_REQUIRED", name+": ")
	}
	for _, name := range []string{"startTime", "endTime"} {
		refused(t, search(map[string]any{name: 1657126800000}), 400, "PARAM_TYPE", name+": ")
		for _, v := range []string{
			"2022-07-07", "2022-07-07 24:00", "2022-02-30 01:00", "2022-07-07 01:00:00", "0000-01-01 00:00", "x",
		} {
			refused(t, search(map[string]any{name: v}), 400, "PARAM_VALUE", name+": ")
		}
	}
	refused(t, search(map[string]any{"endTime": "2022-07-07 00:59"}), 400, "RANGE_INVALID", "endTime: ")
	refused(t, search(map[string]any{"endTime": "2023-07-09 01:00"}), 400, "RANGE_TOO_LARGE", "endTime: ")
	refused(t, search(map[string]any{"pageNum": 100_000}), 400, "PARAM_VALUE", "pageNum: ")
	for _, name := range []string{"departmentId", "agent"} {
		for _, v := range []any{true, 1.5, map[string]any{}, []any{true}, []any{[]int{1}}, "[1"} {
			refused(t, search(map[string]any{name: v}), 400, "PARAM_TYPE", name+": ")
		}
		refused(t, search(map[string]any{name: make([]int, 1001)}), 400, "PARAM_VALUE", name+": ")
	}
	for _, name := range []string{"loginStatus", "noReadyStatus", "workStatus"} {
		for _, v := range []any{true, 1.5, "x", []any{"1.5"}, []any{[]int{1}}, map[string]any{}} {
			refused(t, search(map[string]any{name: v}), 400, "PARAM_TYPE", name+": ")
		}
		refused(t, search(map[string]any{name: []int{0, 3}}), 400, "PARAM_VALUE", name+": ")
	}
	refused(t, search(map[string]any{"agentType": 2}), 400, "PARAM_VALUE", "agentType: ")

	h = hubtest.Start(t, testClock)
	for _, v := range []string{"x", "", "1.5", "-1", "253402300800000"} {
		refused(t, search(nil, "X-Hookline-Now", v), 400, "PARAM_VALUE", "X-Hookline-Now: ")
	}
}
