package hub_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/storage"
)

// The figures of a tenant's use, and those of the hub, are of what is there.
func TestUsageAndHub(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		sub := h.Subscribe("http://127.0.0.1:9999/", "state", "paused")["id"].(string)
		h.Send(hubtest.CDR("c1", 1), hubtest.CDR("c2", 1), hubtest.CDR("c3", 1))
		put := h.Do("PUT", "/v1/recordings/r-1", h.Owner, "ID3 sound", "Content-Type", "audio/mpeg")
		require.Equal(t, 200, put.Status, "%s", put.Body)

		usage := func(name string) int64 {
			a := h.Do("GET", "/v1/tenants/demo/usage", h.Owner, nil)
			require.Equal(t, 200, a.Status, "%s", a.Body)
			return gjson.GetBytes(a.Body, name).Int()
		}
		require.EqualValues(t, 1, usage("subscriptions.used"))
		require.EqualValues(t, 100, usage("subscriptions.limit"))
		require.EqualValues(t, 1, usage("keys.used"))
		require.EqualValues(t, 1, usage("recordings.count"))
		require.EqualValues(t, len("ID3 sound"), usage("recordings.bytes"))
		require.Positive(t, usage("eventsPerSecond.peak"))
		hubtest.Eventually(t, "pending runs are counted", func() bool { return usage("pendingDeliveries.used") == 3 })

		tail := h.Stream("/v1/tail", h.Owner)
		require.EqualValues(t, 1, usage("sseStreams.used"))
		tail.Close()
		require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+sub, h.Owner, nil).Status)
		require.EqualValues(t, 0, usage("subscriptions.used"))

		hubtest.Eventually(t, "everything is folded", func() bool {
			a := h.Do("GET", "/v1/hub", hubtest.PlatformKey, nil)
			require.Equal(t, 200, a.Status, "%s", a.Body)
			return gjson.GetBytes(a.Body, "folds.behind").Int() == 0
		})
		a := h.Do("GET", "/v1/hub", hubtest.PlatformKey, nil)
		state := gjson.ParseBytes(a.Body)
		require.Equal(t, storage.Schema(), state.Get("version.schema").Int())
		require.NotEmpty(t, state.Get("version.commit").String())
		require.Positive(t, state.Get("store.bytes").Int())
		require.EqualValues(t, 1, state.Get("tenants").Int())
		require.Contains(t, state.Get("processes").Value(), state.Get("process").Value())
		require.NotContains(t, string(a.Body), "demo", "nothing of a tenant")
	})
}

// A tenant past its bytes is told so, nothing of it is taken, and before that it is warned.
func TestByteLimits(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		const most = 1500
		limits := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"eventBytes":1500,"recordingBytes":100}}`)
		require.Equal(t, 200, limits.Status, "%s", limits.Body)
		days := h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"settings":{"recordingDays":90}}`)
		require.Equal(t, 200, days.Status, "%s", days.Body)
		require.Equal(t, 403, h.Do("PATCH", "/v1/tenants/demo", h.Owner, `{"limits":{"eventBytes":null}}`).Status)
		require.Equal(t, 422, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"eventBytes":0}}`).Status)
		news, all := hubtest.NewReceiver(t), hubtest.NewReceiver(t)
		h.Subscribe(news.URL, "events", []string{"limit.warning"})
		h.Subscribe(all.URL)

		usage := func() gjson.Result {
			a := h.Do("GET", "/v1/tenants/demo/usage", h.Owner, nil)
			require.Equal(t, 200, a.Status, "%s", a.Body)
			return gjson.ParseBytes(a.Body)
		}

		// Events: each is less than a tenth of the limit.
		taken := 0
		var refused hubtest.Answer
		for range 40 {
			if refused = h.Do("POST", "/v1/events", h.Owner, hubtest.Ringing("c", taken)); refused.Status != 202 {
				break
			}
			taken++
		}
		require.Equal(t, 429, refused.Status, "%s", refused.Body)
		require.Contains(t, string(refused.Body), "limits.eventBytes")
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
		require.Len(t, all.Wait(t, taken), taken)
		warning := gjson.ParseBytes(news.Wait(t, 1)[0].Body)
		require.Equal(t, "EventLimitWarning", warning.Get("messageID").String())
		require.Equal(t, "eventBytes", warning.Get("limit").String())
		require.EqualValues(t, most, warning.Get("most").Int())
		require.GreaterOrEqual(t, warning.Get("used").Int(), int64(most*4/5))
		used := usage()
		require.EqualValues(t, most, used.Get("eventBytes.limit").Int())
		require.Greater(t, used.Get("eventBytes.used").Int(), int64(most-200))
		require.False(t, used.Get("eventBytes.counting").Exists())

		// Recordings.
		put := func(id string, bytes int) hubtest.Answer {
			return h.Do("PUT", "/v1/recordings/"+id, h.Owner, strings.Repeat("x", bytes), "Content-Type", "audio/mpeg")
		}
		require.Equal(t, 200, put("one", 60).Status)
		refused = put("two", 41)
		require.Equal(t, 429, refused.Status)
		require.Contains(t, string(refused.Body), "limits.recordingBytes")
		require.Equal(t, 200, put("one", 100).Status, "in place of the other")
		require.Equal(t, "recordingBytes", gjson.GetBytes(news.Wait(t, 2)[1].Body, "limit").String())
		require.Equal(t, 429, put("two", 1).Status)
		require.EqualValues(t, 100, usage().Get("recordingBytes.used").Int())
		require.Equal(t, 204, h.Do("DELETE", "/v1/recordings/one", h.Owner, nil).Status)
		require.Equal(t, 200, put("two", 90).Status)

		// Whoever wants everything wants no warnings, and a warning comes once a day.
		for _, p := range all.Pushes() {
			require.Equal(t, "call.ringing", p.Header.Get("X-Hookline-Event"))
		}
		require.Len(t, news.Pushes(), 2)
		require.EqualValues(t, 2, usage().Get("subscriptions.used").Int())
	})
}

// Other limits warn as well: those of things that are made, taken, or sent in a second.
func TestLimitWarnings(t *testing.T) {
	h := hubtest.Start(t)
	news := hubtest.NewReceiver(t)
	h.Subscribe(news.URL, "events", []string{"limit.*"})
	limits := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey,
		`{"limits":{"keys":3,"subscriptions":3,"sseStreams":1,"eventsPerSecond":5,"pendingDeliveries":2}}`)
	require.Equal(t, 200, limits.Status, "%s", limits.Body)

	h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"query"}`)
	h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"query"}`)
	h.Subscribe("http://127.0.0.1:9999/", "state", "paused")
	h.Subscribe("http://127.0.0.1:9999/other", "state", "paused")
	h.Stream("/v1/tail", h.Owner).Close()
	h.Do("POST", "/v1/events", h.Owner, "["+strings.Join(slices.Repeat([]string{hubtest.Ringing("c", 1)}, 5), ",")+"]")
	hubtest.Eventually(t, "pending deliveries are looked at", func() bool {
		return h.Do("POST", "/v1/events", h.Owner, hubtest.Ringing("d", 1)).Status == 429
	})

	var named []string
	for _, p := range news.Wait(t, 5) {
		named = append(named, gjson.GetBytes(p.Body, "limit").String())
	}
	slices.Sort(named)
	require.Equal(t, []string{"eventsPerSecond", "keys", "pendingDeliveries", "sseStreams", "subscriptions"}, named)
}

// An auditor reads subscriptions, also what they were, without the queries of their URLs,
// and changes none.
func TestAuditorReadsSubscriptions(t *testing.T) {
	h := hubtest.Start(t)
	id := h.Subscribe("http://127.0.0.1:9999/hook?token=s3cret", "state", "paused", "headers", map[string]string{"X-Token": "s3cret"})["id"].(string)
	made := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"auditor","pii":true}`)
	auditor := made.JSON(t)["key"].(string)

	for _, path := range []string{"/v1/subscriptions", "/v1/subscriptions/" + id, "/v1/subscriptions/" + id + "/versions"} {
		a := h.Do("GET", path, auditor, nil)
		require.Equal(t, 200, a.Status, "%s", a.Body)
		require.Contains(t, string(a.Body), "http://127.0.0.1:9999/hook?***", path)
		require.NotContains(t, string(a.Body), "s3cret", path)
		require.Contains(t, string(h.Do("GET", path, h.Owner, nil).Body), "?token=s3cret", path)
	}
	require.Equal(t, 403, h.Do("PATCH", "/v1/subscriptions/"+id, auditor, `{}`).Status)
	require.Equal(t, 403, h.Do("POST", "/v1/subscriptions/"+id+"/resume", auditor, nil).Status)
}
