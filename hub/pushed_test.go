package hub_test

import (
	"bytes"
	"encoding/base64"
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

// What the hub adds to a push is there in every form: masked, sealed, sent again by hand,
// and in the bytes that are signed. The event is the same to duplicates with and without it.
func TestCompletedStatusInEveryForm(t *testing.T) {
	h := hubtest.Start(t)
	plain, masked, sealed := hubtest.NewReceiver(t), hubtest.NewReceiver(t), hubtest.NewReceiver(t)
	h.Subscribe(plain.URL, "events", []string{"agent.status"}, "name", "plain")
	h.Subscribe(masked.URL, "events", []string{"agent.status"}, "masking", "partial")
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	h.Subscribe(sealed.URL, "events", []string{"agent.status"}, "encryption", "aes-256-gcm", "encryptionKey", key)
	const status = `{"id":"e1","type":"agent.status","time":1637068256419,"data":{"agentUUID":"u","startTime":1637068256000,"loginStatus":1}}`
	h.Send(status)
	first := plain.Wait(t, 1)[0]
	complete := func(body []byte) {
		t.Helper()
		require.Equal(t, "agent_working_status_changed_successfully", gjson.GetBytes(body, "msgType").String(), "%s", body)
		require.EqualValues(t, 1637068256419, gjson.GetBytes(body, "creationTime").Int(), "%s", body)
	}
	complete(first.Body)
	complete(masked.Wait(t, 1)[0].Body)

	// The attempts show each as it was sent, the sealed one too: nonce and signature are those of the push.
	for _, r := range []*hubtest.Receiver{plain, masked, sealed} {
		p := r.Wait(t, 1)[0]
		var shown gjson.Result
		hubtest.Eventually(t, "the attempt is recorded", func() bool {
			a := h.Do("GET", "/v1/deliveries/"+p.Header.Get("webhook-id")+"/attempts", h.Owner, nil)
			shown = gjson.GetBytes(a.Body, "data.0.request")
			return shown.Exists()
		})
		require.Equal(t, string(p.Body), shown.Get("body").String())
		require.Equal(t, p.Header.Get("webhook-signature"), shown.Get("headers.webhook-signature").String())
		require.Equal(t, p.Header.Get("X-Log-Sign"), shown.Get("headers.X-Log-Sign").String())
	}

	// By hand, and sent once more by its sender.
	require.Equal(t, 202, h.Do("POST", "/v1/deliveries/"+first.Header.Get("webhook-id")+"/retry", h.Owner, nil).Status)
	require.Equal(t, string(first.Body), string(plain.Wait(t, 2)[1].Body))
	again := h.Do("POST", "/v1/events", h.Owner, status)
	require.Equal(t, "duplicate", gjson.GetBytes(again.Body, "results.0.status").String(), "%s", again.Body)
}
