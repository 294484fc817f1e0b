package hub_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// Native lists of calls have the records that the vendor's route finds for the same
// question, and their pages are all of them.
func TestCallsAreTheVendors(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		p := newPlayed(t, h)
		var all []string
		for n := range 40 {
			all = append(all, p.records(n))
		}
		a := h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(all, ",")+"]")
		require.Less(t, a.Status, 300, "%s", a.Body)

		found := 0
		for range 15 {
			from, to := boardsNow-p.Int64N(6*24*3_600_000), boardsNow-p.Int64N(24*3_600_000)
			from = min(from, to-1)
			native := url.Values{"from": {fmt.Sprint(from)}, "to": {fmt.Sprint(to)}, "limit": {"7"}}
			vendor := map[string]any{"startTime": from, "endTime": to, "pageNum": 1, "pageSize": 100}
			pick := func(name, theirs, value string) {
				if p.IntN(3) == 0 {
					native.Set(name, value)
					vendor[theirs] = value
				}
			}
			pick("number", "customerNumber", fmt.Sprintf("+65912345%02d", p.IntN(20)))
			pick("gateway", "gatewayNumber", "800")
			pick("department", "departmentId", "d-1")
			pick("callType", "callType", "2")
			pick("agentID", "agent", fmt.Sprint(1+p.IntN(5)))

			var ids []string
			for {
				page := p.get("/v1/calls?" + native.Encode())
				for _, call := range page.Get("data").Array() {
					ids = append(ids, call.Get("callID").String())
					require.Equal(t, "call/"+call.Get("callID").String(), call.Get("orderKey").String())
				}
				native.Set("cursor", page.Get("nextCursor").String())
				if native.Get("cursor") == "" {
					require.EqualValues(t, page.Get("total").Int(), len(ids))
					break
				}
			}
			theirs := p.post("/callservice/v6/cc-reports/maincdrs/_search", vendor).Get("data")
			require.EqualValues(t, theirs.Get("total").Int(), len(ids), "%v", vendor)
			for i, call := range theirs.Get("list").Array() {
				require.Equal(t, call.Get("callID").String(), ids[i], "%v", vendor)
			}
			found += len(ids)
		}
		require.Positive(t, found)
	}, withTestClock)
}

// Calls are found by the queue in which they waited.
func TestCallsOfAQueue(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		p := newPlayed(t, h)
		for _, call := range []string{"a", "b"} {
			h.Send(
				fmt.Sprintf(`{"type":"queue.entered","data":{"contactId":%q,"media":"call","queueId":"q-%s","enteredAt":%d}}`, call,
					call, boardsNow-60_000),
				fmt.Sprintf(`{"type":"queue.left","data":{"contactId":%q,"media":"call","queueId":"q-%s","leftAt":%d}}`, call, call,
					boardsNow-50_000),
				fmt.Sprintf(`{"type":"cdr.call","data":{"callID":%q,"callType":2,"startTime":%d}}`, call, boardsNow-60_000))
		}
		list := p.get("/v1/calls?queue=q-b")
		require.EqualValues(t, 1, list.Get("total").Int(), "%s", list)
		require.Equal(t, "b", list.Get("data.0.callID").String())
		require.EqualValues(t, 2, p.get("/v1/calls").Get("total").Int())
	}, withTestClock)
}

// Who may not see numbers sees none in lists, and finds the recording all the same.
func TestListsMaskNumbers(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		a := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"query"}`)
		masked := a.JSON(t)["key"].(string)
		a = h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"query","pii":true}`)
		plain := a.JSON(t)["key"].(string)
		for i := range 3 {
			path := fmt.Sprintf("/v1/recordings/+6591234567-%d", i)
			require.Equal(t, 200, h.Do("PUT", path, h.Owner, "ID3 sound", "Content-Type", "audio/mpeg").Status)
		}
		h.Send(fmt.Sprintf(`{"type":"cdr.call","data":{"callID":"6591234567.1","callType":2,"startTime":%d,"customerNumber":"+6591234567",
			"recordUrl":"https://x.example/callservice/v6/cc-audios/recordings/%%2B6591234567-1"}}`, boardsNow-1000))

		for _, path := range []string{fmt.Sprintf("/v1/calls?to=%d", boardsNow), "/v1/recordings"} {
			list := func(key string) gjson.Result {
				return whole(t, func() hubtest.Answer { return h.Do("GET", path, key, nil) })
			}
			require.NotEmpty(t, list(masked).Get("data").Array())
			require.NotContains(t, list(masked).Raw, "91234567")
			require.Contains(t, list(plain).Raw, "91234567")
			require.Equal(t, list(h.Owner).Get("data").Raw, list(plain).Get("data").Raw)
		}

		call := whole(t, func() hubtest.Answer { return h.Do("GET", fmt.Sprintf("/v1/calls?to=%d", boardsNow), masked, nil) })
		sound := h.Do("GET", call.Get("data.0.recording").String(), masked, nil)
		require.Equal(t, 200, sound.Status, "%s", sound.Body)
		require.Equal(t, "ID3 sound", string(sound.Body))

		// Pages of recordings are all of them, the newest first.
		var ids []string
		for cursor := ""; ; {
			page := gjson.ParseBytes(h.Do("GET", "/v1/recordings?limit=2&cursor="+cursor, h.Owner, nil).Body)
			for _, r := range page.Get("data").Array() {
				ids = append(ids, r.Get("id").String())
			}
			if cursor = page.Get("nextCursor").String(); cursor == "" {
				break
			}
		}
		require.Equal(t, []string{"+6591234567-2", "+6591234567-1", "+6591234567-0"}, ids)
	})
}
