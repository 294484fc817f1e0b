package api_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// Nothing of a callback's query appears in what an auditor sees, whatever the
// receiver makes of it.
func TestAuditorSeesNoQueryOfACallback(t *testing.T) {
	const secret, query = "hush-4711-secret", "?token=hush-4711-secret&plain"
	h := hubtest.Start(t)
	rec := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", "you sent "+r.URL.RequestURI())
		w.Header().Set("Refresh", "0; url=/again"+query)
		switch n {
		case 0:
			w.Header().Set("Location", "/elsewhere?next="+url.QueryEscape(r.URL.RequestURI())+"&more=other-secret")
			w.WriteHeader(http.StatusFound)
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		}
		if n < 2 {
			_, _ = fmt.Fprintf(w, `<a href="%s?token=%s">%s</a>`, r.URL.Path, secret, url.QueryEscape(r.URL.RequestURI()))
		} else {
			_, _ = w.Write([]byte("\xff\x00" + secret))
		}
	})
	sub := h.Subscribe(rec.URL+"/push"+query, "retry",
		map[string]any{"live": map[string]any{"schedule": []string{"10ms", "10ms"}}})["id"].(string)
	streams := map[string]*hubtest.Stream{}
	keys := []string{auditor(t, h, false), auditor(t, h, true)}
	for _, key := range keys {
		streams[key] = tailing(t, h, key, "")
	}
	id := h.Send(hubtest.Ringing("c1", 1))[0]
	d := awaitState(t, h, id, "delivered")["id"].(string)
	require.Equal(t, 200,
		h.Do("PATCH", "/v1/subscriptions/"+sub, h.Owner, `{"url":"`+rec.URL+`/other`+query+`&x=1"}`).Status)

	path := "/v1/deliveries/" + d + "/attempts"
	owner := string(h.Do("GET", path, h.Owner, nil).Body)
	require.Contains(t, owner, secret, "the owner sees what it set")
	require.Contains(t, owner, "other-secret")
	for _, key := range keys {
		for _, path := range []string{
			path, "/v1/deliveries/" + d, "/v1/deliveries", "/v1/events/" + id, "/v1/audit", "/v1/subscriptions/" + sub +
				"/health",
			"/v1/exports/deliveries", "/v1/exports/deliveries?format=ndjson",
		} {
			got := h.Do("GET", path, key, nil)
			require.Equal(t, 200, got.Status, "%s", got.Body)
			for _, text := range []string{secret, "plain", "other-secret", "aHVzaC00NzEx"} {
				if text == "plain" && strings.Contains(string(got.Body), "its plain body") {
					continue
				}
				require.NotContains(t, string(got.Body), text, path)
			}
		}
		for range 3 {
			require.NotContains(t, fmt.Sprint(attempt(t, streams[key])), "hush")
		}
		attempts := list(t, h, key, path, 50)
		require.Equal(t, "/elsewhere?***", attempts[0]["response"].(map[string]any)["headers"].(map[string]any)["Location"])
	}
}

// Numbers that are identifiers are masked for an auditor without pii, wherever
// they appear; handles stand for them.
func TestNumbersThatAreIdentifiers(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t)
	h.Subscribe(rec.URL)
	blind, sighted := auditor(t, h, false), auditor(t, h, true)
	stream, open := tailing(t, h, blind, ""), tailing(t, h, sighted, "")
	ids := h.Send(
		`{"id":"in-4915112345678","type":"call.ringing","data":{"callID":"+4915112345678","thisDN":"1001"}}`,
		`{"type":"visitor.arrived","data":{"visitorId":"+49 151 1234-5678","at":1637068440000}}`,
		`{"type":"call.ringing","data":{"callID":"6bf3cbb1","thisDN":"1001"}}`,
	)
	require.Len(t, ids, 3)
	rec.Wait(t, 3)
	hubtest.Eventually(t, "all recorded",
		func() bool { return len(list(t, h, h.Owner, "/v1/deliveries?state=pending", 50)) == 0 })

	const number = "4915112345678"
	digits := func(body []byte) string { return strings.NewReplacer(" ", "", "-", "").Replace(string(body)) }
	seesNone := func(path string) []byte {
		t.Helper()
		got := h.Do("GET", path, blind, nil)
		require.Equal(t, 200, got.Status, "%s: %s", path, got.Body)
		require.NotContains(t, digits(got.Body), number, path)
		require.NotContains(t, digits(got.Body), "12345678", path)
		return got.Body
	}

	// Lists, single answers, exports.
	for path, count := range map[string]int{"/v1/events": 3, "/v1/deliveries": 3} {
		seesNone(path)
		rows := list(t, h, blind, path, 50)
		require.Len(t, rows, count)
		require.Equal(t, "call/6bf3cbb1", rows[0]["orderKey"])
		require.NotContains(t, rows[0], "orderKeyHandle", "nothing is masked")
		for _, row := range rows[1:] {
			require.Regexp(t, `^ok_[A-Za-z0-9_-]+$`, row["orderKeyHandle"])
			key := row["orderKey"].(string)
			require.Contains(t, []string{"call/+491******5678", "visitor/+49 1** ****-5678"}, key)
		}
		require.NotContains(t, string(h.Do("GET", path, h.Owner, nil).Body), "Handle")
		require.Contains(t, digits(h.Do("GET", path, sighted, nil).Body), number)
	}
	seesNone("/v1/exports/deliveries?format=ndjson")
	rows, err := csv.NewReader(bytes.NewReader(seesNone("/v1/exports/deliveries"))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"orderKeyHandle", "eventHandle"}, rows[0][16:])
	require.NotEmpty(t, rows[2][16])

	// A call's story and an event are found by the handle, and by the key by those who know it.
	first := list(t, h, blind, "/v1/events", 50)[2]
	for _, key := range []string{first["orderKeyHandle"].(string), "call/+4915112345678"} {
		for _, path := range []string{"/v1/events", "/v1/deliveries", "/v1/exports/deliveries?format=ndjson"} {
			sign := "?"
			if strings.Contains(path, "?") {
				sign = "&"
			}
			body := seesNone(path + sign + "orderKey=" + url.QueryEscape(key))
			require.Equal(t, 1, strings.Count(string(body), `"sequence"`), "%s by %s: %s", path, key, body)
		}
	}
	event := get(t, h, blind, "/v1/events/"+first["eventHandle"].(string))
	seesNone("/v1/events/" + first["eventHandle"].(string))
	seesNone("/v1/events/in-4915112345678")
	require.Equal(t, first["id"], event["id"])
	require.Equal(t, "in-491******5678", event["id"])
	require.Equal(t, "+491******5678", event["data"].(map[string]any)["callID"], "an id in the body, too")
	require.Equal(t, "+4915112345678",
		get(t, h, sighted, "/v1/events/in-4915112345678")["data"].(map[string]any)["callID"])
	for _, d := range list(t, h, blind, "/v1/deliveries", 50) {
		seesNone("/v1/deliveries/" + d["id"].(string))
		seesNone("/v1/deliveries/" + d["id"].(string) + "/attempts")
	}

	// The tail.
	for range 3 {
		seen, whole := attempt(t, stream), attempt(t, open)
		text, err := json.Marshal(seen)
		require.NoError(t, err)
		require.NotContains(t, digits(text), number)
		if strings.Contains(digits([]byte(fmt.Sprint(whole))), number) {
			require.Regexp(t, "^ok_", seen["orderKeyHandle"])
		}
		require.NotContains(t, whole, "orderKeyHandle")
	}

	// The audit log, which notes what others asked for and looked at.
	require.Equal(t, 200, h.Do("GET", "/v1/exports/deliveries?orderKey=call%2F%2B4915112345678", h.Owner, nil).Status)
	require.Equal(t, 200,
		h.Do("PUT", "/v1/recordings/+4915112345678", h.Owner, "mp3", "Content-Type", "audio/mpeg").Status)
	seesNone("/v1/audit")
	noted := list(t, h, blind, "/v1/audit?action=delivery.export", 50)[0]["after"].(map[string]any)
	require.Equal(t, map[string]any{"orderKey": "call/+491******5678", "orderKeyHandle": first["orderKeyHandle"]}, noted)
	require.Equal(t, "recording/+491******5678", list(t, h, blind, "/v1/audit?action=recording.put", 50)[0]["object"])
	require.Contains(t, string(h.Do("GET", "/v1/audit", sighted, nil).Body), number)

	// A handle is good in its own tenant only, and nothing else is one.
	require.Equal(t, 201, h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId":"other"}`).Status)
	foreign := h.Do("POST", "/v1/tenants/other/keys", hubtest.PlatformKey, `{"role":"owner"}`).JSON(t)["key"].(string)
	handle := first["orderKeyHandle"].(string)
	for key, handles := range map[string][]string{
		foreign: {handle}, blind: {"ok_", "ok_x", handle + "A", handle[:len(handle)-1], "ok_" + strings.Repeat("A", 2000)},
	} {
		for _, wrong := range handles {
			got := h.Do("GET", "/v1/events?orderKey="+wrong, key, nil)
			require.Equal(t, 400, got.Status, "%s: %s", wrong, got.Body)
			require.Contains(t, string(got.Body), `"field":"orderKey"`)
		}
	}
}
