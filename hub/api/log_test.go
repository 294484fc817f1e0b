package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/hubtest"
)

// get reads a path as the holder of key and expects 200.
func get(t *testing.T, h *hubtest.Hub, key, path string) map[string]any {
	t.Helper()
	a := h.Do("GET", path, key, nil)
	require.Equal(t, http.StatusOK, a.Status, "%s: %s", path, a.Body)
	return a.JSON(t)
}

// list reads all pages of a list, at most limit rows each.
func list(t *testing.T, h *hubtest.Hub, key, path string, limit int) (rows []map[string]any) {
	t.Helper()
	u, err := url.Parse(path)
	require.NoError(t, err)
	q := u.Query()
	q.Set("limit", strconv.Itoa(limit))
	for {
		u.RawQuery = q.Encode()
		page := get(t, h, key, u.String())
		for _, row := range page["data"].([]any) {
			rows = append(rows, row.(map[string]any))
		}
		next, more := page["nextCursor"].(string)
		if !more {
			return rows
		}
		q.Set("cursor", next)
	}
}

// auditor makes a key of that role.
func auditor(t *testing.T, h *hubtest.Hub, pii bool) string {
	t.Helper()
	a := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, map[string]any{"role": "auditor", "pii": pii})
	require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
	return a.JSON(t)["key"].(string)
}

// deliveryOf the only subscription of an event.
func deliveryOf(t *testing.T, h *hubtest.Hub, event string) map[string]any {
	t.Helper()
	ds := get(t, h, h.Owner, "/v1/events/"+event)["deliveries"].([]any)
	require.Len(t, ds, 1)
	return ds[0].(map[string]any)
}

func awaitState(t *testing.T, h *hubtest.Hub, event, state string) map[string]any {
	t.Helper()
	var d map[string]any
	hubtest.Eventually(t, event+" "+state, func() bool {
		d = deliveryOf(t, h, event)
		return d["state"] == state
	})
	return d
}

var quick = map[string]any{
	"cdr": map[string]any{"schedule": []string{"10ms"}}, "live": map[string]any{"schedule": []string{"10ms"}},
}

// What the log shows of a request is what the receiver got, byte for byte,
// sealed or not; secrets of the admin's own stay hidden.
func TestAttemptsShowRequestAsSent(t *testing.T) {
	for _, encryption := range []string{"none", "aes-256-gcm"} {
		t.Run(encryption, func(t *testing.T) {
			h := hubtest.Start(t)
			rec := hubtest.NewReceiverFunc(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Add("X-Many", "a")
				w.Header().Add("X-Many", "b")
				if n == 0 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, _ = w.Write([]byte{'n', 'o', byte('0' + n)})
			})
			sub := h.Subscribe(rec.URL+"/push?token=hush", "events", []string{"cdr.*"}, "encryption", encryption, "retry", quick,
				"headers", map[string]string{"authorization": "Bearer hush", "X-Team": "blue"})
			id := h.Send(hubtest.CDR("c-"+encryption, 1))[0]
			pushes := rec.Wait(t, 2)
			d := awaitState(t, h, id, "delivered")
			require.EqualValues(t, 2, d["tries"])
			require.Equal(t, sub["id"], d["subscription"])

			// The version in force now is not the one that was sent with.
			require.Equal(t, 200, h.Do("PATCH", "/v1/subscriptions/"+sub["id"].(string), h.Owner,
				map[string]any{
					"encryption": "none", "headers": map[string]any{"X-Team": nil}, "appKey": "another-key-0123456789",
					"state": "paused",
				}).Status)

			path := "/v1/deliveries/" + d["id"].(string) + "/attempts"
			attempts := list(t, h, h.Owner, path, 1)
			require.Len(t, attempts, 2)
			for i, push := range pushes {
				at := attempts[i]
				req := at["request"].(map[string]any)
				require.Equal(t, "POST", req["method"])
				require.Equal(t, rec.URL+"/push?token=hush", req["url"])
				require.Equal(t, string(push.Body), req["body"])
				sent := map[string]string{"Host": rec.URL[len("http://"):]}
				for name := range push.Header {
					sent[name] = push.Header.Get(name)
				}
				sent["Authorization"], sent["X-Team"] = "***", "***"
				shown := map[string]string{}
				for name, value := range req["headers"].(map[string]any) {
					shown[textproto.CanonicalMIMEHeaderKey(name)] = value.(string)
				}
				require.Equal(t, sent, shown)
				require.Contains(t, req["headers"], "X-Log-TimeStamp", "spelled as sent")

				resp := at["response"].(map[string]any)
				require.Equal(t, fmt.Sprint("no", i), resp["body"])
				require.Equal(t, "a, b", resp["headers"].(map[string]any)["X-Many"])
				require.EqualValues(t, i+1, at["n"])
				require.Equal(t, "127.0.0.1", at["remoteIp"])
				require.Greater(t, at["durationsMs"].(map[string]any)["total"], 0.0)
			}
			require.EqualValues(t, 503, attempts[0]["status"])
			require.Equal(t, "status", attempts[0]["error"])
			require.NotContains(t, attempts[1], "error")

			// An auditor sees the same less the URL's query; without pii the plain body, with masked numbers.
			blind, sighted := list(t, h, auditor(t, h, false), path, 50)[0], list(t, h, auditor(t, h, true), path, 50)[0]
			for _, at := range []map[string]any{blind, sighted} {
				require.Equal(t, rec.URL+"/push?***", at["request"].(map[string]any)["url"])
				require.Contains(t, at["request"].(map[string]any)["headers"], "X-Log-Sign")
			}
			require.Equal(t, string(pushes[0].Body), sighted["request"].(map[string]any)["body"])
			require.Contains(t, blind["request"].(map[string]any)["body"], `"callID":"c-`+encryption+`"`)
			for _, part := range []string{"request", "response"} {
				require.NotEmpty(t, blind[part].(map[string]any)["note"])
			}
		})
	}
}

func TestEventShown(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t)
	calls := h.Subscribe(rec.URL, "name", "calls", "events", []string{"call.*"})
	gone := h.Subscribe(rec.URL, "events", []string{"call.*"})
	require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+gone["id"].(string), h.Owner, nil).Status)
	// Numbers and order of the sender stay as they came.
	id := h.Send(`{"id":"mine-1","type":"cdr.call","time":1637068256419,"data":{"z":1.50,"callID":"c1","customerNumber":"13800000000"}}`)[0]
	require.Equal(t, "mine-1", id)
	// too late for it
	h.Do("PATCH", "/v1/subscriptions/"+calls["id"].(string), h.Owner, map[string]any{"events": []string{"*"}})
	later := h.Subscribe(rec.URL, "events", []string{"*"})

	e := h.Do("GET", "/v1/events/mine-1", h.Owner, nil)
	require.Equal(t, 200, e.Status, "%s", e.Body)
	require.Contains(t, string(e.Body), `"z":1.50,"callID":"c1"`)
	v := e.JSON(t)
	require.Equal(t, "2021-11-16T13:10:56.419Z", v["time"])
	require.Equal(t, "cdr/c1", v["orderKey"])
	require.EqualValues(t, 0, v["matched"])
	require.Equal(t, []any{}, v["deliveries"])
	require.Equal(t, []any{
		map[string]any{"subscription": calls["id"], "name": "calls", "reason": "type"},
		map[string]any{"subscription": later["id"], "reason": "createdLater"},
	}, v["unmatched"])

	blind := h.Do("GET", "/v1/events/mine-1", auditor(t, h, false), nil)
	require.NotContains(t, string(blind.Body), "13800000000")
	require.Contains(t, string(blind.Body), `"data":{`)
	require.NotEmpty(t, blind.JSON(t)["note"])
	require.Contains(t, get(t, h, auditor(t, h, true), "/v1/events/mine-1")["data"], "customerNumber")

	made := h.Send(hubtest.Ringing("c2", 1))[0] // the hub's own id
	require.EqualValues(t, 2, get(t, h, h.Owner, "/v1/events/"+made)["matched"])
	require.Equal(t, 404, h.Do("GET", "/v1/events/nothing", h.Owner, nil).Status)
	require.Equal(t, 400, h.Do("GET", "/v1/events/"+made+"?verbose=1", h.Owner, nil).Status)

	// The list: newest first, by every filter.
	ids := func(query string) (ids []string) {
		for _, e := range list(t, h, h.Owner, "/v1/events?"+query, 1) {
			ids = append(ids, e["id"].(string))
		}
		return ids
	}
	require.Equal(t, []string{made, "mine-1"}, ids(""))
	require.Equal(t, []string{"mine-1"}, ids("type=cdr.*,chat.*"))
	require.Equal(t, []string{made}, ids("type=EventRinging"))
	require.Equal(t, []string{"mine-1"}, ids("matched=false"))
	require.Equal(t, []string{made}, ids("matched=true"))
	require.Empty(t, ids("warnings=true"))
	require.Equal(t, []string{made}, ids("orderKey=call/c2"))
	at := get(t, h, h.Owner, "/v1/events/"+made)["acceptedAt"].(string)
	require.NotContains(t, ids("to="+at), made)
	require.Contains(t, ids("from="+at), made)
}

// A retry by hand is a new run with its automatic retries; past its order key only by force.
func TestRetryByHand(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t, 500, 500, 503, 500) // the first event's two; the second's; the retry's first
	slow := map[string]any{"cdr": map[string]any{"schedule": []string{"10ms"}, "jitter": 0}}
	sub := h.Subscribe(rec.URL, "events", []string{"cdr.*"}, "retry", slow)["id"].(string)
	first := h.Send(hubtest.CDR("c1", 1))[0]
	d := awaitState(t, h, first, "exhausted")
	require.EqualValues(t, 500, d["lastStatus"])
	path := "/v1/deliveries/" + d["id"].(string)

	// The second of its key is pending for a long while.
	require.Equal(t, 200, h.Do("PATCH", "/v1/subscriptions/"+sub, h.Owner,
		map[string]any{"retry": map[string]any{"cdr": map[string]any{"schedule": []string{"20ms", "20ms"}}}}).Status)
	require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+sub+"/pause", h.Owner, nil).Status)
	second := h.Send(hubtest.CDR("c1", 2))[0]
	held := h.Do("POST", path+"/retry", h.Owner, nil)
	require.Equal(t, 409, held.Status, "%s", held.Body)
	require.Contains(t, held.JSON(t)["detail"], deliveryOf(t, h, second)["id"])
	require.Equal(t, []string{"force"}, fields(h.Do("POST", path+"/retry?force=yes", h.Owner, nil).JSON(t)))

	forced := h.Do("POST", path+"/retry?force=true", h.Owner, nil)
	require.Equal(t, 202, forced.Status, "%s", forced.Body)
	require.Equal(t, "pending", forced.JSON(t)["state"])
	require.Equal(t, "retry", forced.JSON(t)["runs"].([]any)[0].(map[string]any)["reason"])
	require.Equal(t, 409, h.Do("POST", path+"/retry?force=true", h.Owner, nil).Status, "it is pending already")
	require.Equal(t, 403, h.Do("POST", path+"/retry", auditor(t, h, true), nil).Status)

	require.Equal(t, 200, h.Do("POST", "/v1/subscriptions/"+sub+"/resume", h.Owner, nil).Status)
	d = awaitState(t, h, first, "delivered")
	awaitState(t, h, second, "delivered")
	require.EqualValues(t, 200, d["lastStatus"])
	attempts := list(t, h, h.Owner, path+"/attempts", 1)
	require.GreaterOrEqual(t, len(attempts), 3)
	last := attempts[len(attempts)-1]
	require.EqualValues(t, 1, last["run"])
	require.Equal(t, true, last["late"])
	require.Equal(t, "true", last["request"].(map[string]any)["headers"].(map[string]any)["X-Hookline-Late"])
	require.Equal(t, "true", last["request"].(map[string]any)["headers"].(map[string]any)["X-Hookline-Replay"])
	require.Equal(t, d["id"], last["request"].(map[string]any)["headers"].(map[string]any)["webhook-id"],
		"the same over all runs")

	// The story of the call, in order.
	story := list(t, h, h.Owner, "/v1/deliveries?orderKey=cdr/c1", 1)
	require.Len(t, story, 2)
	require.Equal(t, []any{first, second}, []any{story[0]["event"], story[1]["event"]})
}

func TestDeliveryFilters(t *testing.T) {
	h := hubtest.Start(t)
	good, bad := hubtest.NewReceiver(t), hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})

	once := map[string]any{
		"cdr": map[string]any{"schedule": []string{}}, "live": map[string]any{"schedule": []string{"30m"}},
	}
	types := []string{"cdr.*", "call.*"} // not what the hub says of itself
	a := h.Subscribe(good.URL, "events", types)["id"].(string)
	b := h.Subscribe(bad.URL, "events", types, "retry", once)["id"].(string)

	cdr, ringing := h.Send(hubtest.CDR("c1", 1))[0], h.Send(hubtest.Ringing("c1", 1))[0]
	hubtest.Eventually(t, "all tried", func() bool {
		delivered := list(t, h, h.Owner, "/v1/deliveries?state=delivered", 5)
		return len(list(t, h, h.Owner, "/v1/deliveries?httpStatus=418", 5)) == 2 && len(delivered) == 2
	})
	at := get(t, h, h.Owner, "/v1/events/"+ringing)["acceptedAt"].(string)

	for query, want := range map[string][][2]string{
		"":                              {{b, ringing}, {a, ringing}, {b, cdr}, {a, cdr}},
		"subscription=" + a:             {{a, ringing}, {a, cdr}},
		"type=cdr.call":                 {{b, cdr}, {a, cdr}},
		"type=call.*&subscription=" + b: {{b, ringing}},
		"orderKey=cdr/c1":               {{a, cdr}, {b, cdr}},
		"orderKey=cdr/c2":               nil,
		"state=delivered":               {{a, ringing}, {a, cdr}},
		"state=pending":                 {{b, ringing}},
		"state=exhausted":               {{b, cdr}},
		"state=exhausted&error=status":  {{b, cdr}},
		"httpStatus=200":                {{a, ringing}, {a, cdr}},
		"httpStatus=418&state=pending":  {{b, ringing}},
		"error=status":                  {{b, ringing}, {b, cdr}},
		"error=timeout":                 nil,
		"from=" + at:                    {{b, ringing}, {a, ringing}},

		"sort=asc":                             {{a, cdr}, {b, cdr}, {a, ringing}, {b, ringing}},
		"sort=asc&orderKey=cdr/c1":             {{a, cdr}, {b, cdr}},
		"sort=asc&state=delivered":             {{a, cdr}, {a, ringing}},
		"subscription=" + a + "," + b:          {{b, ringing}, {a, ringing}, {b, cdr}, {a, cdr}},
		"state=exhausted,pending":              {{b, ringing}, {b, cdr}},
		"state=exhausted,delivered":            {{a, ringing}, {b, cdr}, {a, cdr}},
		"httpStatus=4xx":                       {{b, ringing}, {b, cdr}},
		"httpStatus=2xx,418":                   {{b, ringing}, {a, ringing}, {b, cdr}, {a, cdr}},
		"httpStatus=5xx":                       nil,
		"httpStatus=200,4xx&state=pending":     {{b, ringing}},
		"error=status,timeout":                 {{b, ringing}, {b, cdr}},
		"error=status,timeout&state=exhausted": {{b, cdr}},
	} {
		for _, limit := range []int{1, 500} {
			var got [][2]string
			for _, d := range list(t, h, h.Owner, "/v1/deliveries?"+query, limit) {
				got = append(got, [2]string{d["subscription"].(string), d["event"].(string)})
			}
			if query == "from="+at && len(got) > 2 {
				continue // both were accepted within one millisecond
			}
			require.Equal(t, want, got, "%s by %d", query, limit)
		}
	}

	for query, field := range map[string]string{
		"subscription=none": "subscription", "type=none": "type", "type=,": "type", "state=odd": "state",
		"state=Pending": "state", "state=pending,": "state", "error=dns,,": "error", "httpStatus=6xx": "httpStatus",
		"httpStatus=500,x": "httpStatus", "sort=desc": "sort", "sort=up": "sort", "subscription=" + a + ",none": "subscription",
		"subscription=" + strings.Repeat(a+",", 100) + a: "subscription",
		"httpStatus=99": "httpStatus", "httpStatus=x": "httpStatus", "httpStatus=600": "httpStatus", "error=odd": "error",
		"from=yesterday": "from",
		"to=12":          "to", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "from", "limit=0": "limit",
		"limit=501": "limit",
		"cursor=x":  "cursor", "sate=pending": "sate", "state=pending&state=delivered": "state",
	} {
		w := h.Do("GET", "/v1/deliveries?"+query, h.Owner, nil)
		require.Equal(t, 400, w.Status, "%s: %s", query, w.Body)
		require.Equal(t, []string{field}, fields(w.JSON(t)), query)
	}

	for query, field := range map[string]string{
		"matched=maybe": "matched", "warnings=1": "warnings", "type=x.*": "type", "state=pending": "state",
	} {
		w := h.Do("GET", "/v1/events?"+query, h.Owner, nil)
		require.Equal(t, 400, w.Status, "%s: %s", query, w.Body)
		require.Equal(t, []string{field}, fields(w.JSON(t)), query)
	}

	for _, id := range []string{"x", "dlv_", "dlv_00000000000000000000000000"} {
		require.Equal(t, 404, h.Do("GET", "/v1/deliveries/"+id, h.Owner, nil).Status)
	}
}

func TestSubscriptionsByAPI(t *testing.T) {
	h := hubtest.Start(t)
	made := h.Do("POST", "/v1/subscriptions", h.Owner,
		`{"name":"crm","url":"https://crm.example/push","events":["cdr.*"],"headers":{"X-Key":"hush"},"encryption":"aes-256-gcm"}`)
	require.Equal(t, 201, made.Status, "%s", made.Body)
	s := made.JSON(t)
	path := "/v1/subscriptions/" + s["id"].(string)
	require.Equal(t, path, made.Header.Get("Location"))
	require.NotContains(t, string(made.Body), "hush")
	for _, secret := range []string{"appKey", "signingSecret", "encryptionKey"} {
		require.NotEmpty(t, s[secret])
	}

	// Shown once; the same POST again gives the one that is there.
	again := h.Do("POST", "/v1/subscriptions", h.Owner, `{"name":"crm","url":"https://crm.example/push"}`)
	require.Equal(t, 200, again.Status)
	require.Equal(t, s["id"], again.JSON(t)["id"])
	for _, a := range []hubtest.Answer{
		again, h.Do("GET", path, h.Owner, nil), h.Do("GET", "/v1/subscriptions", h.Owner, nil),
		h.Do("GET", path+"/versions", h.Owner, nil),
	} {
		for _, secret := range []string{"appKey", "signingSecret", "encryptionKey"} {
			require.False(t, bytes.Contains(a.Body, []byte(secret)), "%s in %s", secret, a.Body)
		}
	}
	require.Equal(t, "https://crm.example/push", again.JSON(t)["url"])

	// PATCH: only of the version expected; a new key is shown, this once.
	stale := h.Do("PATCH", path, h.Owner, `{"maxInFlight":2}`, "If-Match", `"999"`)
	require.Equal(t, 412, stale.Status)
	patched := h.Do("PATCH", path, h.Owner, `{"maxInFlight":2}`, "If-Match", made.Header.Get("ETag"))
	require.Equal(t, 200, patched.Status, "%s", patched.Body)
	require.EqualValues(t, 2, patched.JSON(t)["maxInFlight"])
	require.NotContains(t, patched.JSON(t), "appKey")
	require.NotEqual(t, made.Header.Get("ETag"), patched.Header.Get("ETag"))
	require.Equal(t, "0123456789abcdef", h.Do("PATCH", path, h.Owner, `{"appKey":"0123456789abcdef"}`).JSON(t)["appKey"])

	// Bad input names every field at fault and changes nothing.
	bad := h.Do("PATCH", path, h.Owner,
		`{"url":"ftp://x","maxInFlight":0,"colour":"red","retry":{"cdr":{"schedule":["x"]}}}`)
	require.Equal(t, 422, bad.Status)
	require.ElementsMatch(t, []string{"/url", "/maxInFlight", "/colour", "/retry/cdr/schedule/0"}, fields(bad.JSON(t)))
	require.Equal(t, 400, h.Do("PATCH", path, h.Owner, `{"url":`).Status)
	require.Equal(t, 422, h.Do("POST", "/v1/subscriptions", h.Owner, `{"url":"http://10.0.0.1/"}`).Status,
		"the network guard")
	require.Equal(t, 400, h.Do("GET", path+"?x=1", h.Owner, nil).Status)

	// Pause and resume are versions too; repeating them is not.
	for _, step := range []struct{ verb, state string }{
		{"pause", "paused"}, {"pause", "paused"}, {"resume", "active"}, {"resume", "active"},
	} {
		a := h.Do("POST", path+"/"+step.verb, h.Owner, nil)
		require.Equal(t, 200, a.Status, "%s", a.Body)
		require.Equal(t, step.state, a.JSON(t)["state"])
	}
	versions := list(t, h, h.Owner, path+"/versions", 1)
	require.Len(t, versions, 5)
	require.Equal(t, "paused", versions[1]["state"])

	// Gone, but for its past.
	require.Equal(t, 412, h.Do("DELETE", path, h.Owner, nil, "If-Match", "1").Status)
	require.Equal(t, 204, h.Do("DELETE", path, h.Owner, nil).Status)
	for _, a := range []hubtest.Answer{
		h.Do("GET", path, h.Owner, nil), h.Do("DELETE", path, h.Owner, nil), h.Do("PATCH", path, h.Owner, `{}`),
		h.Do("POST", path+"/pause", h.Owner, nil),
	} {
		require.Equal(t, 404, a.Status)
	}
	require.Len(t, list(t, h, h.Owner, path+"/versions", 50), 6)
	require.Equal(t, 200, h.Do("GET", "/v1/deliveries?subscription="+s["id"].(string), h.Owner, nil).Status)

	// The tenant's limit.
	require.Equal(t, 200, h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"subscriptions":2}}`).Status)
	h.Subscribe("https://a.example/")
	h.Subscribe("https://b.example/")
	require.Equal(t, 429, h.Do("POST", "/v1/subscriptions", h.Owner, `{"url":"https://c.example/"}`).Status)
	require.Len(t, list(t, h, h.Owner, "/v1/subscriptions", 1), 2)
}

// Deleting cancels what is pending; the log says so.
func TestDeletedSubscriptionCancels(t *testing.T) {
	h := hubtest.Start(t)
	sub := h.Subscribe("https://crm.example/", "state", "paused")["id"].(string)
	id := h.Send(hubtest.CDR("c1", 1))[0]
	require.Equal(t, 204, h.Do("DELETE", "/v1/subscriptions/"+sub, h.Owner, nil).Status)
	d := awaitState(t, h, id, "cancelled")
	done, err := time.Parse(time.RFC3339, d["doneAt"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), done, time.Minute)
	require.Equal(t, 409, h.Do("POST", "/v1/deliveries/"+d["id"].(string)+"/retry", h.Owner, nil).Status)
}

// Nobody sees another tenant's past, whatever id they know.
func TestLogIsolation(t *testing.T) {
	h := hubtest.Start(t)
	rec := hubtest.NewReceiver(t)
	sub := h.Subscribe(rec.URL)["id"].(string)
	id := h.Send(hubtest.CDR("c1", 1))[0]
	d := awaitState(t, h, id, "delivered")["id"].(string)

	require.Equal(t, 201, h.Do("POST", "/v1/tenants", hubtest.PlatformKey, `{"companyId":"other"}`).Status)
	var made struct{ Key string }
	require.NoError(t,
		json.Unmarshal(h.Do("POST", "/v1/tenants/other/keys", hubtest.PlatformKey, `{"role":"owner"}`).Body, &made))
	for _, path := range []string{
		"/v1/events/" + id, "/v1/subscriptions/" + sub, "/v1/subscriptions/" + sub + "/versions", "/v1/deliveries/" +
			d, "/v1/deliveries/" + d + "/attempts",
	} {
		require.Equal(t, 404, h.Do("GET", path, made.Key, nil).Status, path)
	}
	require.Equal(t, 404, h.Do("POST", "/v1/deliveries/"+d+"/retry", made.Key, nil).Status)
	require.Equal(t, 404, h.Do("POST", "/v1/subscriptions/"+sub+"/pause", made.Key, nil).Status)
	require.Equal(t, 400, h.Do("GET", "/v1/deliveries?subscription="+sub, made.Key, nil).Status)
	for _, path := range []string{"/v1/events", "/v1/deliveries", "/v1/subscriptions", "/v1/deliveries?orderKey=cdr/c1"} {
		require.Empty(t, list(t, h, made.Key, path, 50), path)
	}
}

// Facets divide what the filters pick.
func TestDeliveryFacets(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		good := hubtest.NewReceiver(t)
		bad := hubtest.NewReceiverFunc(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		types := []string{"cdr.*", "call.*"}
		a := h.Subscribe(good.URL, "events", types)["id"].(string)
		b := h.Subscribe(bad.URL, "events", types, "retry", map[string]any{
			"cdr": map[string]any{"schedule": []string{}}, "live": map[string]any{"schedule": []string{"30m"}},
		})["id"].(string)
		h.Send(hubtest.CDR("c1", 1), hubtest.CDR("c2", 1), hubtest.Ringing("c1", 1))
		facets := func(query string) map[string]any { return get(t, h, h.Owner, "/v1/facets/deliveries"+query) }
		hubtest.Eventually(t, "all were tried", func() bool {
			status, _ := facets("")["httpStatus"].([]any)
			return len(status) == 2 && status[1].(map[string]any)["count"] == 3.0
		})

		all := facets("")
		require.Equal(t, true, all["complete"])
		require.Equal(t, 6.0, all["counted"])
		require.NotContains(t, all, "scannedTo")
		count := func(facets map[string]any, name string) map[string]any {
			of := map[string]any{}
			for _, v := range facets[name].([]any) {
				of[v.(map[string]any)["value"].(string)] = v.(map[string]any)["count"]
			}
			return of
		}
		require.Equal(t, map[string]any{"delivered": 3.0, "exhausted": 2.0, "pending": 1.0}, count(all, "state"))
		require.Equal(t, map[string]any{"status": 3.0}, count(all, "error"))
		require.Equal(t, map[string]any{"200": 3.0, "418": 3.0}, count(all, "httpStatus"))
		require.Equal(t, map[string]any{"cdr.call": 4.0, "call.ringing": 2.0}, count(all, "type"))
		require.Equal(t, map[string]any{a: 3.0, b: 3.0}, count(all, "subscription"))
		require.Equal(t, map[string]any{"delivered": 2.0, "exhausted": 2.0}, count(facets("?type=cdr.*"), "state"))
		require.Equal(t, 0.0, facets("?error=dns")["counted"])
		require.Equal(t, []any{}, facets("?error=dns")["state"])

		// The health of both in one answer.
		health := list(t, h, h.Owner, "/v1/health", 1)
		require.Len(t, health, 2)
		require.Equal(t, []any{b, a}, []any{health[0]["subscription"], health[1]["subscription"]})
		require.Equal(t, 1.0, health[0]["backlog"])
		require.Equal(t, get(t, h, h.Owner, "/v1/subscriptions/"+b+"/health")["lastError"], health[0]["lastError"])
		require.Equal(t, "status", health[0]["lastError"].(map[string]any)["class"])
	})
}
