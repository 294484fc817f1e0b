package hub_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/hubtest"
)

// A tenant whose receivers do not keep up is told so before anything is taken.
func TestPendingDeliveriesAreLimited(t *testing.T) {
	h := hubtest.Start(t)
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"pendingDeliveries":3}}`).Status)
	rec := hubtest.NewReceiver(t)
	sub := h.Subscribe(rec.URL, "state", "paused")
	h.Send(hubtest.Ringing("c1", 1), hubtest.Ringing("c2", 2), hubtest.Ringing("c3", 3))

	full := h.Do("POST", "/v1/events", h.Owner, hubtest.Ringing("c4", 4))
	refused(t, 429, full)
	require.Contains(t, string(full.Body), "pending deliveries")
	require.Equal(t, "10", full.Header.Get("Retry-After"))
	require.Len(t, h.Do("GET", "/v1/events", h.Owner, nil).JSON(t)["data"], 3, "nothing was taken")

	h.Restart()
	refused(t, 429, h.Do("POST", "/v1/events", h.Owner, hubtest.Ringing("c4", 4)))
	require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+sub["id"].(string)+"/resume", h.Owner, nil).Status)
	rec.Wait(t, 3)
	hubtest.Eventually(t, "there is room again", func() bool {
		return h.Do("POST", "/v1/events", h.Owner, hubtest.Ringing("c4", 4)).Status == 202
	})
}

// What retention took away is missed by name: the log stays readable.
func TestLogAfterRetention(t *testing.T) {
	dir := t.TempDir()
	h := hubtest.Start(t, func(c *hub.Config) { c.Data = dir })
	rec := hubtest.NewReceiver(t)
	h.Subscribe(rec.URL)
	id := h.Send(hubtest.Ringing("c1", 1))[0]
	rec.Wait(t, 1)
	delivery := func() map[string]any {
		return h.Do("GET", "/v1/events/"+id, h.Owner, nil).JSON(t)["deliveries"].([]any)[0].(map[string]any)
	}
	hubtest.Eventually(t, "delivered", func() bool { return delivery()["state"] == "delivered" })
	h.Stop()

	// A month goes by.
	db, err := sqlx.Open("sqlite", "file:"+filepath.Join(dir, "hookline.db"))
	require.NoError(t, err)
	db.MustExec("UPDATE events SET accepted_at = accepted_at - ?", (31 * 24 * time.Hour).Milliseconds())
	require.NoError(t, db.Close())

	h.Restart()
	event := func() map[string]any { return h.Do("GET", "/v1/events/"+id, h.Owner, nil).JSON(t) }
	hubtest.Eventually(t, "the body is gone", func() bool { return event()["data"] == nil })
	require.Equal(t, "the body is past retention", event()["note"])
	require.Equal(t, "delivered", delivery()["state"])
	var attempt map[string]any
	hubtest.Eventually(t, "so is what the receiver said", func() bool {
		a := h.Do("GET", "/v1/deliveries/"+delivery()["id"].(string)+"/attempts", h.Owner, nil)
		require.Equal(t, 200, a.Status)
		attempt = a.JSON(t)["data"].([]any)[0].(map[string]any)
		return len(attempt["response"].(map[string]any)["headers"].(map[string]any)) == 0
	})
	require.EqualValues(t, 200, attempt["status"])
	require.Equal(t, "the body is past retention: the request cannot be rebuilt", attempt["request"].(map[string]any)["note"])
	refused(t, 409, h.Do("POST", "/v1/deliveries/"+delivery()["id"].(string)+"/retry", h.Owner, nil))
	require.Equal(t, 202, h.Do("POST", "/v1/events", h.Owner, hubtest.Ringing("c2", 2)).Status)
	rec.Wait(t, 2)
}
