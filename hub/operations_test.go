package hub_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// The hub sends a tenant an event when it pauses a subscription and when it gives a
// delivery up, once a minute at most, and never about the delivery of such an event.
func TestOperationalEvents(t *testing.T) {
	h := hubtest.Start(t)
	news := hubtest.NewReceiver(t)
	h.Subscribe(news.URL, "events", []string{"subscription.*", "delivery.exhausted"})
	gone := hubtest.NewReceiver(t, http.StatusGone)
	g := h.Subscribe(gone.URL, "events", []string{"call.*"}, "name", "gone")

	h.Send(hubtest.Ringing("c1", 1))
	p := news.Wait(t, 1)[0]
	require.Equal(t, "subscription.paused", p.Header.Get("X-Hookline-Event"))
	var body map[string]any
	require.NoError(t, json.Unmarshal(p.Body, &body))
	require.Equal(t, "EventSubscriptionPaused", body["messageID"])
	require.Equal(t, g["id"], body["subscription"])
	require.Equal(t, "gone", body["subscriptionName"])
	require.Equal(t, "gone", body["reason"])

	require.Equal(t, http.StatusOK, h.Do("POST", "/v1/subscriptions/"+g["id"].(string)+"/resume", h.Owner, nil).Status)
	require.Equal(t, "subscription.resumed", news.Wait(t, 2)[1].Header.Get("X-Hookline-Event"))
	gone.Wait(t, 2) // the backlog drains

	// Two are given up within a minute: one piece of news.
	failing := hubtest.NewReceiver(t, 500, 500, 500, 500)
	h.Subscribe(failing.URL, "events", []string{"cdr.*"}, "retry", retries("cdr"))
	h.Send(hubtest.CDR("r1", 1), hubtest.CDR("r2", 2))
	p = news.Wait(t, 3)[2]
	require.Equal(t, "delivery.exhausted", p.Header.Get("X-Hookline-Event"))
	require.NoError(t, json.Unmarshal(p.Body, &body))
	require.Equal(t, "cdr.call", body["type"])
	require.EqualValues(t, 1, body["attempts"])
	require.EqualValues(t, 500, body["lastStatus"])
	failing.Wait(t, 2)
	hubtest.Eventually(t, "both are exhausted", func() bool {
		return len(h.Do("GET", "/v1/deliveries?state=exhausted", h.Owner, nil).JSON(t)["data"].([]any)) == 2
	})
	require.Len(t, news.Pushes(), 3)

	// News that cannot be delivered makes no news.
	deaf := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	h.Subscribe(deaf.URL, "events", []string{"subscription.*"}, "retry", retries("live"))
	other := h.Subscribe(hubtest.NewReceiver(t).URL, "events", []string{"chat.*"})
	require.Equal(t, http.StatusOK, h.Do("POST", "/v1/subscriptions/"+other["id"].(string)+"/pause", h.Owner, nil).Status)
	deaf.Wait(t, 1)
	hubtest.Eventually(t, "the news is exhausted", func() bool {
		return len(h.Do("GET", "/v1/deliveries?state=exhausted", h.Owner, nil).JSON(t)["data"].([]any)) == 3
	})
	for _, p := range news.Pushes()[3:] {
		require.Equal(t, "subscription.paused", p.Header.Get("X-Hookline-Event"), "no news about news")
	}
}
