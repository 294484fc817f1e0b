package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/hookline/hookline/hub/hubtest"
)

// signature returns the webhook-signature of a request.
func signature(secret, id, timestamp, body string) string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	m := hmac.New(sha256.New, key)
	m.Write([]byte(id + "." + timestamp + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

const customerCDR = `{"type":"cdr.call","data":{"callID":"c1","callType":2,"startTime":1637068256419,` +
	`"endTime":1637068356419,"customerNumber":"13911110001","queueId":"q1"}}`

// A preview shows the very bytes that a push has, signed for now, and sends nothing.
func TestPreview(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		r := hubtest.NewReceiver(t)
		made := h.Subscribe(r.URL, "name", "crm", "events", []string{"cdr.*"}, "masking", "partial", "headers", map[string]string{"X-Key": "hush"})
		event := h.Send(customerCDR, hubtest.Ringing("c2", 1))[0]
		push := r.Wait(t, 1)[0]
		preview := func(status int, body string) gjson.Result {
			t.Helper()
			a := h.Do("POST", "/v1/previews", h.Owner, body)
			require.Equal(t, status, a.Status, "%s", a.Body)
			require.NotContains(t, string(a.Body), "hush")
			return gjson.ParseBytes(a.Body)
		}

		// A stored subscription and a real event, and the delivery that it made.
		for _, what := range []string{
			fmt.Sprintf(`{"subscription":%q,"event":%q}`, made["id"], event),
			fmt.Sprintf(`{"delivery":%q}`, push.Header.Get("webhook-id")),
		} {
			p := preview(200, what)
			require.Equal(t, made["id"], p.Get("subscription").String())
			require.Equal(t, "cdr.call", p.Get("type").String())
			require.Contains(t, p.Get("plain").String(), "13911110001")
			require.Equal(t, string(push.Body), p.Get("masked").String(), "the bytes of the push")
			require.Equal(t, string(push.Body), p.Get("request.body").String())
			require.False(t, p.Get("sealed").Exists())
			headers := p.Get("request.headers")
			require.Equal(t, push.Header.Get("webhook-id"), headers.Get("webhook-id").String(), "%s", headers)
			require.Equal(t, signature(made["signingSecret"].(string), push.Header.Get("webhook-id"),
				headers.Get("webhook-timestamp").String(), string(push.Body)), headers.Get("webhook-signature").String())
			require.Equal(t, "***", headers.Get("X-Key").String())
		}
		hubtest.Eventually(t, "the attempt is recorded, so that the next is the second", func() bool {
			p := preview(200, fmt.Sprintf(`{"delivery":%q}`, push.Header.Get("webhook-id")))
			return p.Get("request.headers.X-Hookline-Attempt").String() == "2"
		})

		// One that is not stored, a sample, and how much of the past it would have got.
		candidate := func(more string) string {
			return `{"type":"cdr.call","subscription":{"url":"https://crm.example/push","encryption":"aes-256-gcm"` + more + `}}`
		}
		p := preview(200, candidate(`,"events":["cdr.*"],"filter":{"queueIds":["q1"]}`))
		require.True(t, gjson.Valid(p.Get("plain").String()))
		require.Equal(t, p.Get("request.body").String(), p.Get("sealed").String())
		require.NotEqual(t, p.Get("plain").String(), p.Get("sealed").String())
		require.JSONEq(t, `{"events":2,"matched":1}`, p.Get("matching").Raw)
		require.JSONEq(t, `{"events":2,"matched":2}`, preview(200, candidate("")).Get("matching").Raw)
		require.JSONEq(t, `{"events":2,"matched":0}`, preview(200, candidate(`,"filter":{"queueIds":["q2"]}`)).Get("matching").Raw)

		require.Len(t, r.Pushes(), 1, "nothing was sent")
		require.Len(t, list(t, h, h.Owner, "/v1/subscriptions", 50), 1, "nothing was stored")

		for body, field := range map[string]string{
			`{}`:                                 "subscription",
			`{"subscription":"x"}`:               "subscription",
			`{"what":1}`:                         "what",
			`{"subscription":7}`:                 "/subscription",
			`{"subscription":{"url":"ftp://x"}}`: "/subscription/url",
			`{"subscription":{"url":"https://a.example/","colour":1}}`:                    "/subscription/colour",
			`{"subscription":{"url":"https://a.example/"},"type":"odd"}`:                  "type",
			`{"subscription":{"url":"https://a.example/"},"event":"odd"}`:                 "event",
			`{"subscription":{"url":"https://a.example/"},"event":"a","type":"cdr.call"}`: "type",
			`{"delivery":"dlv_x"}`:                    "delivery",
			`{"delivery":"dlv_x","subscription":"y"}`: "subscription",
		} {
			got := preview(422, body)
			if field != "/subscription" {
				require.Equal(t, field, got.Get("errors.0.field").String(), "%s: %s", body, got)
			}
		}
	})
}

// A probe is one signed push of a sample. It is in no log of deliveries, and bounded.
func TestProbe(t *testing.T) {
	hubtest.Each(t, func(t *testing.T, h *hubtest.Hub) {
		r := hubtest.NewReceiver(t, http.StatusTeapot)
		probe := func(status int, body string) gjson.Result {
			t.Helper()
			a := h.Do("POST", "/v1/probes", h.Owner, body)
			require.Equal(t, status, a.Status, "%s", a.Body)
			return gjson.ParseBytes(a.Body)
		}

		p := probe(200, fmt.Sprintf(`{"subscription":{"url":%q,"appKey":"0123456789abcdef"},"type":"cdr.call"}`, r.URL+"/?token=hush"))
		require.EqualValues(t, http.StatusTeapot, p.Get("status").Int())
		require.Equal(t, "status", p.Get("error").String())
		push := r.Wait(t, 1)[0]
		require.Equal(t, string(push.Body), p.Get("request.body").String())
		require.Equal(t, "cdr.call", push.Header.Get("X-Hookline-Event"))
		require.Equal(t, signature("whsec_"+base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")), push.Header.Get("webhook-id"),
			push.Header.Get("webhook-timestamp"), string(push.Body)), push.Header.Get("webhook-signature"))

		id := h.Subscribe(r.URL, "name", "crm")["id"].(string)
		p = probe(200, fmt.Sprintf(`{"subscription":%q}`, id))
		require.EqualValues(t, http.StatusOK, p.Get("status").Int())
		require.False(t, p.Get("error").Exists())
		p = probe(200, `{"subscription":{"url":"http://127.0.0.1:1024/"}}`)
		require.Equal(t, "connect", p.Get("error").String())
		require.False(t, p.Get("response").Exists())

		// What is refused costs no probe.
		for range 12 {
			require.Equal(t, "/subscription/url", probe(422, `{"subscription":{"url":"http://10.0.0.1/"}}`).Get("errors.0.field").String())
			probe(422, `{"subscription":"x"}`)
			probe(422, `{"event":"x"}`)
		}

		// Ten go out within a minute, and no more; on a slow machine a minute may have passed.
		const closed = `{"subscription":{"url":"http://127.0.0.1:1024/"}}`
		sent := 3
		status := http.StatusOK
		for ; status == http.StatusOK; sent++ {
			require.Less(t, sent, 1000, "nothing bounds them")
			status = h.Do("POST", "/v1/probes", h.Owner, closed).Status
		}
		sent-- // the last one was refused
		require.Equal(t, http.StatusTooManyRequests, status)
		require.GreaterOrEqual(t, sent, 10)

		require.Len(t, r.Pushes(), 2)
		require.Empty(t, list(t, h, h.Owner, "/v1/deliveries", 50))
		require.Empty(t, list(t, h, h.Owner, "/v1/events", 50))
		rows := list(t, h, h.Owner, "/v1/audit?action=probe.send", 50)
		require.Len(t, rows, sent)
		require.Equal(t, "url/"+r.URL+"/?***", rows[sent-1]["object"])
		require.Equal(t, "subscription/"+id, rows[sent-2]["object"])
	})
}

// The body of an event comes as bytes in three forms.
func TestBodyForms(t *testing.T) {
	h := hubtest.Start(t)
	r := hubtest.NewReceiver(t)
	sealed := h.Subscribe(r.URL, "encryption", "aes-256-gcm", "masking", "drop")["id"].(string)
	open := h.Subscribe(r.URL+"/open", "masking", "none")["id"].(string)
	event := h.Send(customerCDR)[0]
	path := "/v1/events/" + event + "/body"
	body := func(key, query string, status int) string {
		t.Helper()
		a := h.Do("GET", path+query, key, nil)
		require.Equal(t, status, a.Status, "%s: %s", query, a.Body)
		if status == 200 {
			require.Equal(t, "application/json", a.Header.Get("Content-Type"))
			require.Regexp(t, `^attachment; filename="event-\d+-(plain|masked|sealed)\.json"$`, a.Header.Get("Content-Disposition"))
		}
		return string(a.Body)
	}

	plain := body(h.Owner, "?form=plain", 200)
	require.Equal(t, plain, body(h.Owner, "", 200))
	for _, p := range r.Wait(t, 2) {
		if p.URL == "/open" {
			require.Equal(t, string(p.Body), plain, "the bytes of the push")
		}
	}
	require.Contains(t, body(h.Owner, "?form=masked", 200), "139****0001")
	require.NotContains(t, body(h.Owner, "?form=masked&subscription="+sealed, 200), "0001")
	require.Equal(t, plain, body(h.Owner, "?form=masked&subscription="+open, 200))
	one, two := body(h.Owner, "?form=sealed&subscription="+sealed, 200), body(h.Owner, "?form=sealed&subscription="+sealed, 200)
	require.NotContains(t, one, "callID")
	require.NotEqual(t, one, two, "each is sealed anew")

	// An auditor sees what his key lets him.
	masked, seeing := auditor(t, h, false), auditor(t, h, true)
	require.Contains(t, body(masked, "", 200), "139****0001")
	require.NotContains(t, body(masked, "?form=masked&subscription="+open, 200), "13911110001")
	body(masked, "?form=plain", 403)
	body(masked, "?form=sealed&subscription="+sealed, 403)
	require.Equal(t, plain, body(seeing, "?form=plain", 200))
	require.NotEmpty(t, list(t, h, h.Owner, "/v1/audit?action=event.view", 50))

	for query, field := range map[string]string{
		"?form=odd": "form", "?form=sealed": "subscription", "?form=sealed&subscription=" + open: "subscription",
		"?form=masked&subscription=x": "subscription", "?colour=red": "colour",
	} {
		require.Equal(t, field, gjson.Get(body(h.Owner, query, 400), "errors.0.field").String(), query)
	}
	path = "/v1/events/nothing/body"
	body(h.Owner, "", 404)
}
