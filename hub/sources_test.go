package hub_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/hubtest"
	"github.com/hookline/hookline/hub/source"
)

// ringing is a mapping of one's own, for JSON such as {"event":"ring","call":"c1","agent":"7"}.
const ringing = `{"decode":"json","time":{"field":"at","unit":"s"},"match":[
	{"when":"m.event == 'noise'","ignore":true},
	{"when":"m.event == 'ring'","emit":"call.ringing","set":{"callID":"m.call","agentID":"table('agents', m.agent, m.agent)"}},
	{"when":"m.event == 'hangup'","emit":"call.released","set":{"callID":"m.call"},"next":true},
	{"when":"m.event == 'hangup'","emit":"call.deleted","set":{"callID":"m.call"}}]}`

// platform is a platform that sends to a source of a hub.
type platform struct {
	*hubtest.Hub
	t       *testing.T
	id, url string
}

// newPlatform makes a source; document is its document without the name.
func newPlatform(t *testing.T, h *hubtest.Hub, document string) platform {
	t.Helper()
	made := h.Do("POST", "/v1/sources", h.Owner, `{"name":"pbx",`+document+`}`)
	require.Equal(t, 201, made.Status, "%s", made.Body)
	s := made.JSON(t)
	url := s["url"].(string)
	return platform{h, t, s["id"].(string), url[strings.Index(url, source.Path):]}
}

func (p platform) send(body any, headers ...string) hubtest.Answer {
	p.t.Helper()
	return p.Do("POST", p.url, "", body, headers...)
}

// inputs returns how many inputs have each status.
func (p platform) inputs() map[string]int {
	p.t.Helper()
	a := p.Do("GET", "/v1/sources/"+p.id+"/state", p.Owner, nil)
	require.Equal(p.t, 200, a.Status, "%s", a.Body)
	counts := map[string]int{}
	for status, n := range a.JSON(p.t)["inputs"].(map[string]any) {
		counts[status] = int(n.(float64))
	}
	return counts
}

// settled waits until no input is held, and returns how many have each status.
func (p platform) settled() (counts map[string]int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { counts = p.inputs(); return counts["held"] == 0 }, time.Minute, 5*time.Millisecond)
	return counts
}

func (p platform) list(path string) []any {
	p.t.Helper()
	a := p.Do("GET", path, p.Owner, nil)
	require.Equal(p.t, 200, a.Status, "%s", a.Body)
	return a.JSON(p.t)["data"].([]any)
}

// What a platform sends in its own words is stored, mapped and pushed; what cannot be mapped is
// seen, and mapped once the mapping is mended.
func TestSource(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testSource(t, func(*config.Config) {}) })
	t.Run("postgres", func(t *testing.T) { testSource(t, hubtest.OnPostgres(t)) })
}

func testSource(t *testing.T, store func(*config.Config)) {
	h := hubtest.Start(t, store)
	sink := hubtest.NewReceiver(t)
	h.Subscribe(sink.URL)
	news := hubtest.NewReceiver(t)
	h.Subscribe(news.URL, "events", []string{"source.*"})
	p := newPlatform(t, h, `"kind":"custom","settings":{"dedupe":"header:X-Delivery"},"tables":{"agents":{"7":"1007"}},"mapping":`+ringing)
	now := time.Now().Unix()

	// Three that are mapped, one of them to two events; one that is ignored.
	for i, body := range []string{
		`{"event":"ring","call":"c1","agent":"7","at":%d}`, `{"event":"ring","call":"c2","agent":"8","at":%d}`,
		`{"event":"hangup","call":"c1","at":%d}`, `{"event":"noise","at":%d}`,
	} {
		require.Equal(t, 202, p.send(fmt.Sprintf(body, now), "X-Delivery", fmt.Sprint(i)).Status)
	}
	require.Equal(t, map[string]int{"held": 0, "mapped": 3, "ignored": 1, "rejected": 0}, p.settled())
	bodies := map[string]int{}
	for _, push := range sink.Wait(t, 4) {
		bodies[push.Header.Get("X-Hookline-Event")]++
		require.Contains(t, push.Header.Get("webhook-id"), "dlv_")
	}
	require.Equal(t, map[string]int{"call.ringing": 2, "call.released": 1, "call.deleted": 1}, bodies)

	// The same delivery again is nothing new.
	require.Equal(t, 202, p.send(`{"event":"ring","call":"c1","agent":"7"}`, "X-Delivery", "0").Status)
	require.Equal(t, 3, p.settled()["mapped"])

	// What has no call is rejected, and says which row and which field.
	require.Equal(t, 202, p.send(`{"event":"ring","agent":"7"}`, "X-Delivery", "bad").Status)
	require.Equal(t, 202, p.send(`{"event":`, "X-Delivery", "worse").Status)
	require.Equal(t, 2, p.settled()["rejected"])
	rejected := p.list("/v1/sources/" + p.id + "/inputs?status=rejected")
	require.Len(t, rejected, 2)
	require.Contains(t, rejected[0].(map[string]any)["reason"], "malformed JSON")
	bad := rejected[1].(map[string]any)
	require.Contains(t, bad["reason"], "row 2, set.callID: no such key: call")
	one := h.Do("GET", "/v1/sources/"+p.id+"/inputs/"+bad["id"].(string), h.Owner, nil).JSON(t)
	require.Equal(t, `{"event":"ring","agent":"7"}`, one["body"])
	require.Equal(t, "source.rejecting", news.Wait(t, 1)[0].Header.Get("X-Hookline-Event"))

	// A mapping that does not compile changes nothing; a better one is tried, set, and the input
	// mapped by it.
	patch := h.Do("PATCH", "/v1/sources/"+p.id, h.Owner, `{"mapping":{"match":[{"emit":"call.ringing","set":{"callID":"m..x"}}],"decode":"json"}}`)
	require.Equal(t, 422, patch.Status)
	require.Contains(t, string(patch.Body), "mapping.match[0].set.callID")
	better := strings.Replace(ringing, `"callID":"m.call"`, `"callID":"m.?call.orValue('unknown')"`, 1)
	try := h.Do("POST", "/v1/sources/"+p.id+"/try", h.Owner, `{"last":100,"change":{"mapping":`+better+`}}`)
	require.Equal(t, 200, try.Status, "%s", try.Body)
	require.EqualValues(t, 1, try.JSON(t)["differing"])
	require.Equal(t, 200, h.Do("PATCH", "/v1/sources/"+p.id, h.Owner, `{"mapping":`+better+`}`).Status)
	replay := h.Do("POST", "/v1/sources/"+p.id+"/replays", h.Owner, `{"status":"rejected"}`)
	require.Equal(t, 202, replay.Status, "%s", replay.Body)
	require.EqualValues(t, 2, replay.JSON(t)["inputs"])
	require.Equal(t, map[string]int{"held": 0, "mapped": 4, "ignored": 1, "rejected": 1}, p.settled())
	require.Equal(t, "call.ringing", sink.Wait(t, 5)[4].Header.Get("X-Hookline-Event"))

	// Paused, it takes what comes and holds it.
	require.Equal(t, 200, h.Do("POST", "/v1/sources/"+p.id+"/pause", h.Owner, nil).Status)
	require.Equal(t, 202, p.send(`{"event":"ring","call":"c9","agent":"7"}`).Status)
	require.Equal(t, 1, p.inputs()["held"])
	require.Equal(t, 200, h.Do("POST", "/v1/sources/"+p.id+"/resume", h.Owner, nil).Status)
	require.Equal(t, 5, p.settled()["mapped"])

	// Rotated, both tokens are good; deleted, none is.
	rotated := h.Do("POST", "/v1/sources/"+p.id+"/rotate", h.Owner, nil).JSON(t)["url"].(string)
	require.Equal(t, 202, h.Do("POST", rotated[strings.Index(rotated, source.Path):], "", `{"event":"noise"}`).Status)
	require.Equal(t, 202, p.send(`{"event":"noise"}`).Status)
	p.settled()
	require.Equal(t, 204, h.Do("DELETE", "/v1/sources/"+p.id, h.Owner, nil).Status)
	require.Equal(t, 404, p.send(`{"event":"noise"}`).Status)
}

// Bad input of every sort is answered clearly, or stored and rejected with its reason.
func TestSourceBadInput(t *testing.T) {
	h := hubtest.Start(t)
	p := newPlatform(t, h, `"kind":"custom","mapping":{"decode":"xml","match":[{"emit":"call.created","set":{"callID":"m.call.id"}}]}`)
	form := newPlatform(t, h, `"kind":"custom","mapping":{"decode":"form","match":[{"emit":"call.created","set":{"callID":"m.id"}}]}`)

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 9 {
		_, err := z.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.Equal(t, 413, p.send(bomb.Bytes(), "Content-Encoding", "gzip").Status)
	require.Equal(t, 413, p.send(bytes.Repeat([]byte("x"), 8<<20+1)).Status)
	require.Equal(t, 415, p.send("x", "Content-Encoding", "br").Status)
	require.Equal(t, 404, h.Do("POST", "/v1/in/sk_0000", "", "x").Status)
	require.Equal(t, 404, h.Do("POST", "/v1/in/", "", "x").Status)
	require.Equal(t, 405, h.Do("DELETE", p.url, "", nil).Status)
	require.Equal(t, 200, h.Do("HEAD", p.url, "", nil).Status)
	require.Equal(t, 200, h.Do("GET", p.url, "", nil).Status, "a probe")

	for _, body := range []string{
		`<!DOCTYPE x [<!ENTITY a "b">]><call id="1">&a;</call>`, `<call>&nbsp;</call>`, `<call`, ``,
		strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40),
	} {
		require.Equal(t, 202, p.send(body).Status)
	}
	require.Equal(t, 202, p.send(`<call><id>1</id></call>`).Status)
	require.Equal(t, map[string]int{"held": 0, "mapped": 1, "ignored": 0, "rejected": 5}, p.settled())

	require.Equal(t, 202, form.send(strings.Repeat("a=b&", 1_000_000)).Status)
	require.Equal(t, 202, form.send("id=%zz").Status)
	require.Equal(t, 202, h.Do("GET", form.url+"/some/rest?id=7", "", nil).Status)
	require.Equal(t, map[string]int{"held": 0, "mapped": 1, "ignored": 0, "rejected": 2}, form.settled())

	for _, document := range []string{
		`{"name":"x","kind":"nobody"}`, `{"name":"x","kind":"custom"}`, `{"kind":"cloudevents"}`, `{"name":"x","kind":"cloudevents","colour":1}`,
		`{"name":"x","kind":"cloudevents","auth":{"type":"twilio","token":"t"}}`, `{"name":"x","kind":"cloudevents","auth":{"type":"hmac"}}`,
		`{"name":"x","kind":"cloudevents","settings":{"colour":"red"}}`, `{"name":"x","kind":"cloudevents","tables":{"types":7}}`,
		`{"name":"x","kind":"custom","mapping":{"decode":"json","match":[{"emit":"nothing"}]}}`,
		`{"name":"x","kind":"custom","mapping":{"decode":"json","match":[{"emit":"call.created","ignore":true}]}}`,
		`{"name":"x","kind":"custom","mapping":{"decode":"json","match":[{"emit":"source.silent"}]}}`,
	} {
		a := h.Do("POST", "/v1/sources", h.Owner, document)
		require.Equal(t, 422, a.Status, "%s: %s", document, a.Body)
		require.Contains(t, string(a.Body), `"field"`)
	}
}

// A flood of wrong signatures neither fills the store nor reaches the mapping.
func TestSourceUnsigned(t *testing.T) {
	h := hubtest.Start(t)
	p := newPlatform(t, h, `"kind":"custom","auth":{"type":"header","name":"X-Key","value":"secret"},"mapping":`+ringing)
	for range source.UnsignedPerHour + 50 {
		require.Equal(t, 401, p.send(strings.Repeat("x", 10_000), "X-Key", "wrong").Status)
	}
	counts := p.inputs()
	require.LessOrEqual(t, counts["rejected"], 2*source.UnsignedPerHour, "two hours at most")
	require.GreaterOrEqual(t, counts["rejected"], source.UnsignedPerHour/2)
	one := p.list("/v1/sources/" + p.id + "/inputs")[0].(map[string]any)
	require.EqualValues(t, source.UnsignedBytes, one["size"])
	require.Equal(t, "signature: the header X-Key is wrong", one["reason"])
	replay := h.Do("POST", "/v1/sources/"+p.id+"/replays", h.Owner, `{}`)
	require.EqualValues(t, 0, replay.JSON(t)["inputs"], "what was not signed is never mapped")
	require.Equal(t, 202, p.send(`{"event":"noise"}`, "X-Key", "secret").Status)
}

// The token of a source is in no log, and its secrets are in no answer.
func TestSourceSecretsStayHidden(t *testing.T) {
	var log bytes.Buffer
	h := hubtest.StartLogging(t, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	p := newPlatform(t, h, `"kind":"custom","auth":{"type":"hmac","secret":"very-secret","header":"X-Sig"},"mapping":`+ringing)
	token := strings.TrimPrefix(p.url, source.Path)
	p.send("x", "X-Sig", "wrong")
	h.Do("GET", p.url+"/rest?id=7", "", nil)
	for _, path := range []string{"/v1/sources", "/v1/sources/" + p.id, "/v1/sources/" + p.id + "/inputs", "/v1/audit"} {
		a := h.Do("GET", path, h.Owner, nil)
		require.Equal(t, 200, a.Status)
		require.NotContains(t, string(a.Body), token)
		require.NotContains(t, string(a.Body), "very-secret")
	}
	h.Stop()
	require.NotContains(t, log.String(), token)
	require.Equal(t, "/v1/in/***/rest", source.Redact(p.url+"/rest"))
}

// An auditor sees what came in with numbers masked, and nothing of another tenant.
func TestSourceInputsAreMasked(t *testing.T) {
	h := hubtest.Start(t)
	p := newPlatform(t, h, `"kind":"custom","mapping":`+ringing)
	p.send(`{"event":"ring","caller":"+4915112345678"}`)
	p.settled()
	id := p.list("/v1/sources/" + p.id + "/inputs")[0].(map[string]any)["id"].(string)
	auditor := h.Do("POST", "/v1/tenants/demo/keys", h.Owner, `{"role":"auditor"}`).JSON(t)["key"].(string)
	path := "/v1/sources/" + p.id + "/inputs/" + id
	seen := h.Do("GET", path, auditor, nil)
	require.Equal(t, 200, seen.Status)
	require.NotContains(t, string(seen.Body), "15112345678")
	require.Contains(t, string(h.Do("GET", path, h.Owner, nil).Body), "+4915112345678")
	require.Equal(t, 403, h.Do("PATCH", "/v1/sources/"+p.id, auditor, `{}`).Status)
}

// CloudEvents come binary, structured and in batches; EventBridge and Firehose in their envelopes.
func TestSourceEnvelopes(t *testing.T) {
	h := hubtest.Start(t)
	p := newPlatform(t, h, `"kind":"cloudevents"`)
	ce := func(id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/pbx","type":"com.hookline.call.ringing","data":{"callID":"c` + id + `"}}`
	}
	require.Equal(t, 202, p.send(ce("1"), "Content-Type", "application/cloudevents+json").Status)
	require.Equal(t, 202, p.send(ce("1"), "Content-Type", "application/cloudevents+json").Status, "a duplicate")
	require.Equal(t, 202, p.send("["+ce("2")+","+ce("3")+"]", "Content-Type", "application/cloudevents-batch+json").Status)
	require.Equal(t, 202, p.send(`{"callID":"c4"}`, "ce-id", "4", "ce-source", "/pbx", "ce-specversion", "1.0",
		"ce-type", "com.hookline.call.released").Status)
	require.Equal(t, 202, p.send(strings.Replace(ce("5"), "com.hookline.call.ringing", "other", 1)).Status)
	require.Equal(t, map[string]int{"held": 0, "mapped": 4, "ignored": 1, "rejected": 0}, p.settled())
	options := h.Do("OPTIONS", p.url, "", nil, "WebHook-Request-Origin", "sender.example")
	require.Equal(t, "sender.example", options.Header.Get("WebHook-Allowed-Origin"))

	bridge := newPlatform(t, h, `"kind":"eventbridge","mapping":{"match":[{"emit":"call.created","set":{"callID":"m.detail.contactId"}}]}`)
	a := bridge.send(`{"id":"e1","detail":{"contactId":"c9"}}`)
	require.Equal(t, "{}", string(a.Body))
	require.Equal(t, 1, bridge.settled()["mapped"])

	hose := newPlatform(t, h, `"kind":"firehose","auth":{"type":"header","name":"X-Amz-Firehose-Access-Key","value":"k"},
		"mapping":{"match":[{"emit":"call.created","set":{"callID":"m.ContactId"}}]}`)
	record := base64.StdEncoding.EncodeToString([]byte(`{"ContactId":"c10"}`))
	for range 2 { // sent again
		a := hose.send(`{"requestId":"r1","timestamp":1,"records":[{"data":"`+record+`"},{"data":"`+record+`"}]}`,
			"X-Amz-Firehose-Access-Key", "k", "X-Amz-Firehose-Request-Id", "r1")
		require.Equal(t, 200, a.Status)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.Regexp(t, `^{"requestId":"r1","timestamp":\d+}$`, string(a.Body))
	}
	require.Equal(t, map[string]int{"held": 0, "mapped": 2, "ignored": 0, "rejected": 0}, hose.settled())
}

// Whatever process takes an input, one of them maps it, once.
func TestSourceOfSeveralProcesses(t *testing.T) {
	store := hubtest.OnPostgres(t)
	first := hubtest.Start(t, store)
	second := hubtest.Start(t, store)
	p := newPlatform(t, first, `"kind":"custom","tables":{"agents":{}},"mapping":`+ringing)
	require.Eventually(t, func() bool { return second.Do("HEAD", p.url, "", nil).Status == 200 }, time.Minute, 10*time.Millisecond)
	for i := range 20 {
		h := first
		if i%2 == 1 {
			h = second
		}
		require.Equal(t, 202, h.Do("POST", p.url, "", fmt.Sprintf(`{"event":"ring","call":"c%d","agent":"7"}`, i)).Status)
	}
	require.Equal(t, 20, p.settled()["mapped"])
	require.Len(t, p.list("/v1/events?limit=100"), 20)
}

// What comes through a source counts for the bytes of its tenant, and is refused past them.
func TestSourceOfAFullTenant(t *testing.T) {
	h := hubtest.Start(t)
	p := newPlatform(t, h, `"kind":"custom","tables":{"agents":{"7":"1007"}},"mapping":`+ringing)
	body := fmt.Sprintf(`{"event":"ring","call":"c1","agent":"7","at":%d}`, time.Now().Unix())
	require.Equal(t, 202, p.send(body).Status)
	before := p.settled()
	require.Equal(t, 1, before["mapped"])

	limits := h.Do("PATCH", "/v1/tenants/demo", hubtest.PlatformKey, `{"limits":{"eventBytes":1}}`)
	require.Equal(t, 200, limits.Status, "%s", limits.Body)
	refused := p.send(body)
	require.Equal(t, 429, refused.Status, "%s", refused.Body)
	require.Contains(t, string(refused.Body), "limits.eventBytes")
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.Equal(t, before, p.settled(), "nothing was taken")
}
