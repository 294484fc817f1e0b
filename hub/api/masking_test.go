package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/signing"
)

const callOf139 = `{"type":"cdr.call","data":{"callID":"c1","callType":2, "customerNumber":"13911110001","callerNumber":13911110001,"attachedData":"{\"tel\":\"139 1111 0001\"}"}}`

// Pushes are masked as the subscription asks, signed as they are, the same on
// every attempt, and can be shown again as they were sent.
func TestMaskedPushes(t *testing.T) {
	for masking, want := range map[string]string{
		"none":    `"callType":2, "customerNumber":"13911110001","callerNumber":13911110001,"attachedData":"{\"tel\":\"139 1111 0001\"}"}`,
		"partial": `"callType":2, "customerNumber":"139****0001","callerNumber":"139****0001","attachedData":"{\"tel\":\"139 **** 0001\"}"}`,
		"drop":    `"callType":2, "customerNumber":"","callerNumber":""}`,
	} {
		for _, encryption := range []string{"none", "aes-256-gcm"} {
			t.Run(masking+" "+encryption, func(t *testing.T) {
				t.Parallel()
				h := hubtest.Start(t)
				rec := hubtest.NewReceiver(t, 503)
				sub := h.Subscribe(rec.URL, "masking", masking, "encryption", encryption, "encryptionKey", "from-appKey", "retry",
					quick)
				require.Equal(t, masking, sub["masking"])
				id := h.Send(callOf139)[0]
				pushes := rec.Wait(t, 2)
				d := awaitState(t, h, id, "delivered")
				for _, p := range pushes {
					appKey := sub["appKey"].(string)
					m, err := signing.Verify(p.Header, p.Body, "demo", appKey)
					require.NoError(t, err, "the signature is of what was sent")
					plain := p.Body
					if encryption != signing.None {
						plain, err = signing.Open(encryption, signing.DeriveKey(encryption, appKey), &m)
						require.NoError(t, err)
					}
					require.JSONEq(t, `{"messageID":"MainCDRInfo","companyId":"demo","callID":"c1",`+want, string(plain))
					require.Contains(t, string(plain), want, "to the byte")
				}

				// Another masking from now on; what was sent stays what it was.
				require.Equal(t, 200,
					h.Do("PATCH", "/v1/subscriptions/"+sub["id"].(string), h.Owner, `{"masking":"partial","encryption":null}`).Status)
				path := "/v1/deliveries/" + d["id"].(string) + "/attempts"
				for i, a := range list(t, h, h.Owner, path, 50) {
					require.Equal(t, string(pushes[i].Body), a["request"].(map[string]any)["body"])
				}
				for _, a := range list(t, h, auditor(t, h, false), path, 50) {
					body := a["request"].(map[string]any)["body"].(string)
					require.NotRegexp(t, `1111\W*000`, body)
					require.Contains(t, body, `"customerNumber":"`, "the plain one, even if it was sealed")
					require.NotEmpty(t, a["request"].(map[string]any)["note"])
				}
			})
		}
	}
}

// A change of masking holds for what is still to be sent, tried before or not.
func TestMaskingAppliesToPendingAtOnce(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t, 503)
	sub := h.Subscribe(rec.URL, "events", []string{"cdr.*"}, "retry",
		map[string]any{"cdr": map[string]any{"schedule": []string{"10ms", "1h"}}})
	path := "/v1/subscriptions/" + sub["id"].(string)
	h.Send(callOf139)
	rec.Wait(t, 2)

	require.Equal(t, 200, h.Do("POST", path+"/pause", h.Owner, nil).Status)
	id := h.Send(`{"type":"cdr.call","data":{"callID":"c2","customerNumber":"13911110002"}}`)[0]
	require.Equal(t, 200, h.Do("PATCH", path, h.Owner, `{"masking":"drop"}`).Status)
	require.Equal(t, 200, h.Do("POST", path+"/resume", h.Owner, nil).Status)
	require.Contains(t, string(rec.Wait(t, 3)[2].Body), `"customerNumber":""`)

	// A retry by hand is pushed by the rules of now; each attempt is shown by those of its time.
	d := awaitState(t, h, id, "delivered")["id"].(string)
	require.Equal(t, 200, h.Do("PATCH", path, h.Owner, `{"masking":"partial"}`).Status)
	require.Equal(t, 202, h.Do("POST", "/v1/deliveries/"+d+"/retry", h.Owner, nil).Status)
	pushes := rec.Wait(t, 4)[2:]
	require.Contains(t, string(pushes[1].Body), `"customerNumber":"139****0002"`)
	hubtest.Eventually(t, "both recorded",
		func() bool { return len(list(t, h, h.Owner, "/v1/deliveries/"+d+"/attempts", 50)) == 2 })
	for i, a := range list(t, h, h.Owner, "/v1/deliveries/"+d+"/attempts", 50) {
		require.Equal(t, string(pushes[i].Body), a["request"].(map[string]any)["body"])
	}
}

// An auditor without pii sees neither the number nor what a receiver repeats of it.
func TestAuditorSeesMaskedNumbers(t *testing.T) {
	h := hubtest.Start(t)
	answers := []string{`{"seen":"13911110001","other":91234567,"n":42}`, "\xff\x0013911110001"}
	rec := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Customer", "tel:+8613911110001")
		if n == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(answers[n]))
	})
	h.Subscribe(rec.URL, "retry", quick)
	id := h.Send(callOf139)[0]
	d := awaitState(t, h, id, "delivered")
	blind, sighted := auditor(t, h, false), auditor(t, h, true)

	e := h.Do("GET", "/v1/events/"+id, blind, nil)
	require.NotRegexp(t, `1111\W*000`, string(e.Body))
	require.Equal(t, "139****0001", e.JSON(t)["data"].(map[string]any)["customerNumber"])
	require.NotEmpty(t, e.JSON(t)["note"])
	seen := get(t, h, sighted, "/v1/events/"+id)
	require.Equal(t, "13911110001", seen["data"].(map[string]any)["customerNumber"])
	require.NotContains(t, seen, "note")

	path := "/v1/deliveries/" + d["id"].(string) + "/attempts"
	require.NotContains(t, string(h.Do("GET", path, blind, nil).Body), "1111")
	attempts := list(t, h, blind, path, 50)
	first, second := attempts[0]["response"].(map[string]any), attempts[1]["response"].(map[string]any)
	require.Equal(t, `{"seen":"139****0001","other":******67,"n":42}`, first["body"])
	require.Equal(t, "tel:+861******0001", first["headers"].(map[string]any)["X-Customer"])
	require.NotContains(t, second, "body")
	require.NotContains(t, second, "bodyBase64", "bytes that are no text cannot be masked")
	require.NotEmpty(t, second["note"])
	first = list(t, h, sighted, path, 50)[0]["response"].(map[string]any)
	require.Equal(t, answers[0], first["body"])
	require.NotContains(t, first, "note")
}

// Filters decide which events a subscription gets; the event says which field did not match.
func TestFilteredPushes(t *testing.T) {
	h := hubtest.Start(t)
	rec, all := hubtest.NewReceiver(t), hubtest.NewReceiver(t)
	sub := h.Subscribe(rec.URL, "name", "team", "filter",
		map[string]any{"agentIDs": []string{"1001"}, "callTypes": []any{2}})
	require.Equal(t, map[string]any{"agentIDs": []any{"1001"}, "callTypes": []any{2.0}}, sub["filter"])
	cdr := func(n int, agent string, callType int) string {
		return fmt.Sprintf(`{"type":"cdr.call","data":{"callID":"c%d","n":%d,"belongAgentID":%q,"callType":%d}}`, n, n, agent,
			callType)
	}
	ids := h.Send(cdr(1, "1001", 2), cdr(2, "1002", 2), cdr(3, "1001", 3), cdr(4, "1001", 2))
	pushes := rec.Wait(t, 2)
	require.ElementsMatch(t, []int{1, 4}, []int{pushes[0].N(), pushes[1].N()})
	for id, reason := range map[string]string{ids[1]: "filter.agentIDs", ids[2]: "filter.callTypes"} {
		require.Equal(t, []any{map[string]any{"subscription": sub["id"], "name": "team", "reason": reason}},
			get(t, h, h.Owner, "/v1/events/"+id)["unmatched"])
	}

	// A patch holds for the very next event, also after a restart.
	require.Equal(t, 200,
		h.Do("PATCH", "/v1/subscriptions/"+sub["id"].(string), h.Owner, `{"filter":{"callTypes":[]}}`).Status)
	h.Subscribe(all.URL, "events", []string{"cdr.*"})
	h.Send(cdr(5, "1001", 3))
	require.Equal(t, 5, rec.Wait(t, 3)[2].N())
	h.Restart()
	h.Send(cdr(6, "1002", 3), cdr(7, "1001", 1))
	require.Equal(t, 7, rec.Wait(t, 4)[3].N())
	require.Len(t, all.Wait(t, 3), 3)
	require.Len(t, rec.Pushes(), 4)
}

// Samples of all types go through a masked subscription.
func TestMaskedSamples(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t)
	h.Subscribe(rec.URL, "masking", "partial")
	n := 0
	for _, typ := range event.Types() {
		if !typ.Internal() {
			require.Equal(t, 202, h.Do("POST", "/v1/events/"+typ.String(), h.Owner, event.Sample(typ)).Status)
			n++
		}
	}
	for _, p := range rec.Wait(t, n) {
		require.True(t, json.Valid(p.Body))
		require.NotContains(t, string(p.Body), "1391111000")
	}
}
