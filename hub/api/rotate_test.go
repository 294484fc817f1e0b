package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/signing"
)

// During a rotation the old key signs X-Log-Sign and both sign the body; after
// it the new one only.
func TestRotateKey(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t)
	s := h.Subscribe(r.URL, "appKey", "0123456789abcdef0123456789abcdef")
	path := "/v1/subscriptions/" + s["id"].(string) + "/rotate-key"
	check := func(n int, first string, both ...string) {
		t.Helper()
		h.Send(hubtest.Ringing("c1", n))
		p := r.Wait(t, n)[n-1]
		_, err := signing.VerifyXLog(p.Header, "demo", first)
		require.NoError(t, err)
		signatures := strings.Fields(p.Header.Get("webhook-signature"))
		require.Len(t, signatures, len(both))
		for _, key := range both {
			_, err := signing.VerifyWebhook(p.Header, p.Body, key)
			require.NoError(t, err)
		}
	}
	old := s["appKey"].(string)
	check(1, old, old)

	a := h.Do("POST", path, h.Owner, map[string]any{"overlap": "1h"})
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	fresh := a.JSON(t)["appKey"].(string)
	require.NotEqual(t, old, fresh)
	check(2, old, old, fresh)

	require.Equal(t, http.StatusConflict, h.Do("POST", path, h.Owner, map[string]any{"overlap": "1h"}).Status)
	a = h.Do("POST", path, h.Owner, map[string]any{"finish": true})
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	require.NotContains(t, string(a.Body), fresh, "a key is shown once")
	check(3, fresh, fresh)
	require.Equal(t, http.StatusConflict, h.Do("POST", path, h.Owner, map[string]any{"finish": true}).Status)

	h.Restart()
	check(4, fresh, fresh)

	for body, field := range map[string]string{
		`{}`: "overlap", `{"overlap": "soon"}`: "overlap", `{"overlap": "-1s"}`: "overlap", `{"overlap": "721h"}`: "overlap",
		`{"overlap": "1h", "finish": true}`: "overlap", `{"until": 1}`: "until",
	} {
		a := h.Do("POST", path, h.Owner, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, "%s: %s", body, a.Body)
		require.Contains(t, string(a.Body), `"field":"`+field+`"`)
	}
}

// A test push reaches its one subscription, whatever that wants, with the
// sample body of the type asked for.
func TestTestPush(t *testing.T) {
	h := hubtest.Start(t)
	asked, other := hubtest.NewReceiver(t), hubtest.NewReceiver(t)
	s := h.Subscribe(asked.URL, "events", []string{"agent.status"})
	h.Subscribe(other.URL)
	path := "/v1/subscriptions/" + s["id"].(string) + "/test"

	a := h.Do("POST", path, h.Owner, map[string]any{"type": "cdr.call"})
	require.Equal(t, http.StatusAccepted, a.Status, "%s", a.Body)
	p := asked.Wait(t, 1)[0]
	require.Equal(t, "hub.test", p.Header.Get("X-Hookline-Event"))
	require.Equal(t, a.JSON(t)["delivery"], p.Header.Get("webhook-id"))
	require.Contains(t, string(p.Body), `"MainCDRInfo"`)
	require.Contains(t, string(p.Body), `"demo"`)

	require.Equal(t, http.StatusAccepted, h.Do("POST", path, h.Owner, nil).Status)
	require.Contains(t, string(asked.Wait(t, 2)[1].Body), `"EventTest"`)

	h.Send(hubtest.Ringing("c1", 1))
	other.Wait(t, 1)
	require.Len(t, other.Pushes(), 1, "nobody else gets a test push")

	a = h.Do("POST", path, h.Owner, map[string]any{"type": "call.nonsense"})
	require.Equal(t, http.StatusUnprocessableEntity, a.Status)
	require.Equal(t, http.StatusNotFound, h.Do("POST", "/v1/subscriptions/nope/test", h.Owner, nil).Status)
}
