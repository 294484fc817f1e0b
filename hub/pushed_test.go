package hub_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// A status is pushed, and its request shown, with msgType and creationTime though its
// sender left them out: also after a restart, when it comes from the store.
func TestStatusPushHasWhatTheDocumentRequires(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t, 500)
	h.Subscribe(r.URL, "events", []string{"agent.status"}, "retry", map[string]any{"live": map[string]any{"schedule": []string{"2s"}}})
	h.Send(`{"type": "agent.status", "time": 1637068256419, "data": {"agentUUID": "u", "startTime": 1637068256000, "loginStatus": 1}}`)
	r.Wait(t, 1)
	h.Restart()

	pushes := r.Wait(t, 2)
	for _, p := range pushes {
		require.Equal(t, "agent_working_status_changed_successfully", gjson.GetBytes(p.Body, "msgType").String(), "%s", p.Body)
		require.EqualValues(t, 1637068256419, gjson.GetBytes(p.Body, "creationTime").Int(), "%s", p.Body)
	}
	require.Equal(t, string(pushes[0].Body), string(pushes[1].Body), "the same bytes on every attempt")

	a := h.Do("GET", "/v1/deliveries", h.Owner, nil)
	id := gjson.GetBytes(a.Body, "data.0.id").String()
	a = h.Do("GET", fmt.Sprintf("/v1/deliveries/%s/attempts", id), h.Owner, nil)
	shown := gjson.GetBytes(a.Body, "data.0.request.body").String()
	require.True(t, json.Valid([]byte(shown)), "%s", a.Body)
	require.Equal(t, string(pushes[0].Body), shown)
}
