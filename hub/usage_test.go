package hub_test

import (
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
