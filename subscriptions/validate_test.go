package subscriptions_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/subscriptions"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

var rules = subscriptions.Rules{Now: now}

func create(t testing.TB, raw string) *subscriptions.Subscription {
	t.Helper()
	s, problems := subscriptions.Create([]byte(raw), rules)
	require.Empty(t, problems)
	return s
}

func patch(t testing.TB, s *subscriptions.Subscription, raw string) *subscriptions.Subscription {
	t.Helper()
	p, problems := subscriptions.Patch(s, []byte(raw), rules)
	require.Empty(t, problems)
	return p
}

// with is a creation that would do, and one more field.
func with(field string) string { return `{"url": "https://crm.example/hook", ` + field + `}` }

func TestCreateWithDefaults(t *testing.T) {
	s := create(t, `{"url": "https://crm.example/hook"}`)
	require.Equal(t, []string{"*"}, s.Events)
	require.True(t, s.Wants(event.CDRCall, nil))
	require.False(t, s.Wants(event.Test, nil))
	require.Equal(t, "none", s.Encryption)
	require.Equal(t, "key", s.Ordering)
	require.Equal(t, 10*time.Second, s.Timeout)
	require.Equal(t, 8, s.MaxInFlight)
	require.Equal(t, "active", s.State)
	require.Equal(t, 96*time.Hour, s.GiveUpAfter[event.CDR])
	require.Equal(t, time.Hour, s.GiveUpAfter[event.Live])
	require.Len(t, s.Retry[event.CDR].Schedule, 10)
	require.Equal(t, []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute},
		s.Retry[event.Live].Schedule)
	require.InDelta(t, 0.2, s.Retry[event.CDR].Jitter, 0)
	require.Empty(t, s.Headers)

	require.Len(t, s.Keys, 1)
	k := s.Keys[0]
	require.Equal(t, 1, k.N)
	require.Len(t, k.AppKey, 43, "32 bytes as text")
	require.Empty(t, k.Encryption, "nothing is sealed")
	require.Equal(t, now, k.From)
	require.Nil(t, k.Until)
	require.NotEqual(t, k.AppKey, create(t, `{"url": "https://crm.example/hook"}`).Keys[0].AppKey)
}

func manyHeaders(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `, "X-%d": "v"`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestCreateTakesEveryField(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	s := create(t, `{
		"name": "crm", "description": "calls to the CRM", "url": "http://crm.example:8080/hook?x=1",
		"events": ["cdr.*", "EventRinging", "agent.status"], "appKey": "0123456789abcdef",
		"encryption": "aes-256-gcm", "encryptionKey": "`+key+`", "ordering": "none",
		"headers": {"Authorization": "Bearer x", "X-Team": "é"}, "timeoutMs": 1000,
		"retry": {"cdr": {"schedule": ["1s", "1m30s", "24h"], "jitter": 0}, "live": {"schedule": []}},
		"giveUpAfter": {"live": "720h"}, "maxInFlight": 64, "state": "paused"}`)
	require.Equal(t, "crm", s.Name)
	require.Equal(t, "calls to the CRM", s.Description)
	require.Equal(t, "http://crm.example:8080/hook?x=1", s.URL)
	require.Equal(t,
		event.Of(event.CDRCall, event.CDRParty, event.CDRBotCall, event.CDRBotParty, event.CallRinging, event.AgentStatus),
		s.Types)
	require.Equal(t, "0123456789abcdef", s.Keys[0].AppKey)
	require.Equal(t, strings.Repeat("k", 32), string(s.Keys[0].Encryption))
	require.Equal(t, "none", s.Ordering)
	require.Equal(t, map[string]string{"Authorization": "Bearer x", "X-Team": "é"}, s.Headers)
	require.Equal(t, time.Second, s.Timeout)
	require.Equal(t, subscriptions.Retry{Schedule: []time.Duration{time.Second, 90 * time.Second, 24 * time.Hour}},
		s.Retry[event.CDR])
	require.Empty(t, s.Retry[event.Live].Schedule, "no retries at all")
	require.InDelta(t, 0.2, s.Retry[event.Live].Jitter, 0)
	require.Equal(t, map[event.Class]time.Duration{event.CDR: 96 * time.Hour, event.Live: 720 * time.Hour}, s.GiveUpAfter)
	require.Equal(t, 64, s.MaxInFlight)
	require.True(t, s.Paused())
	require.Equal(t, "admin", s.PausedReason)
	require.Equal(t, now, s.PausedAt)
	require.Len(t, subscriptions.DefaultRetry[event.CDR].Schedule, 10, "the shared defaults are untouched")
	require.Equal(t, time.Hour, subscriptions.DefaultGiveUp[event.Live])
}

func TestCreateRefuses(t *testing.T) {
	header := func(name string) string { return with(`"headers": {"` + name + `": "x"}`) }
	for _, c := range []struct{ raw, field, code string }{
		{``, "", "malformed"},
		{`{`, "", "malformed"},
		{`{"url": "https://crm.example"} x`, "", "malformed"},
		{"{\"name\": \"\xff\"}", "", "malformed"},
		{with(`"retry": ` + strings.Repeat(`[`, 9) + strings.Repeat(`]`, 9)), "", "malformed"},
		{with(`"retry": ` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000)), "", "malformed"},
		{`[]`, "", "wrong_type"},
		{`null`, "", "wrong_type"},
		{` "x"`, "", "wrong_type"},
		{`{}`, "/url", "missing"},
		{`{"url": null}`, "/url", "missing"},
		{`{"url": ""}`, "/url", "out_of_range"},
		{`{"url": 7}`, "/url", "wrong_type"},
		{`{"url": "ftp://crm.example/"}`, "/url", "invalid_url"},
		{`{"url": "crm.example/hook"}`, "/url", "invalid_url"},
		{`{"url": "//crm.example/hook"}`, "/url", "invalid_url"},
		{`{"url": "https:crm.example"}`, "/url", "invalid_url"},
		{`{"url": "https:///hook"}`, "/url", "invalid_url"},
		{`{"url": "https://:8080/hook"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example:/hook"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example:http/hook"}`, "/url", "invalid_url"},
		{`{"url": "https://u:p@crm.example/"}`, "/url", "invalid_url"},
		{`{"url": "https://u@crm.example/"}`, "/url", "invalid_url"},
		{`{"url": "https://@crm.example/"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/#top"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/#"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/a b"}`, "/url", "invalid_url"},
		{`{"url": " https://crm.example/"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/?a=b "}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/?a=b\u00a0c"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example /?a=b"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example\\@evil.example/"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/\r\nX: y"}`, "/url", "invalid_value"},
		{`{"url": "https://crm.example/\u200b"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/\ud800"}`, "/url", "invalid_value"},
		{`{"url": "https://cr!m.example/"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/%zz"}`, "/url", "invalid_url"},
		{`{"url": "https://[::1/"}`, "/url", "invalid_url"},
		{`{"url": "https://crm.example/` + strings.Repeat("a", 2048) + `"}`, "/url", "out_of_range"},
		{`{"url": "https://crm.example/` + strings.Repeat("é", 1500) + `"}`, "/url", "invalid_url"},
		{with(`"name": "` + strings.Repeat("n", 201) + `"`), "/name", "out_of_range"},
		{with(`"name": "a\u0000b"`), "/name", "invalid_value"},
		{with(`"name": {}`), "/name", "wrong_type"},
		{with(`"description": true`), "/description", "wrong_type"},
		{with(`"events": []`), "/events", "out_of_range"},
		{with(`"events": "*"`), "/events", "wrong_type"},
		{with(`"events": ["*", "cdr.x"]`), "/events/1", "unknown_type"},
		{with(`"events": ["call.*", 7]`), "/events/1", "wrong_type"},
		{with(`"events": ["x.*"]`), "/events/0", "unknown_type"},
		{with(`"events": [` + strings.Repeat(`"*",`, 64) + `"*"]`), "/events", "out_of_range"},
		{with(`"appKey": "0123456789abcde"`), "/appKey", "out_of_range"},
		{with(`"appKey": "` + strings.Repeat("k", 129) + `"`), "/appKey", "out_of_range"},
		{with(`"appKey": "0123456789abcdef\n"`), "/appKey", "invalid_value"},
		{with(`"appKey": "0123456789abcdef\udead"`), "/appKey", "invalid_value"},
		{with(`"encryption": "aes-128-gcm"`), "/encryption", "invalid_value"},
		{with(`"encryption": "AES-256-GCM"`), "/encryption", "invalid_value"},
		{with(`"encryption": "aes-128-ecb"`), "/encryption", "not_allowed"},
		{
			with(`"encryptionKey": "` + base64.StdEncoding.EncodeToString(make([]byte, 31)) + `"`), "/encryptionKey",
			"invalid_value",
		},
		{with(`"encryptionKey": "from-appkey"`), "/encryptionKey", "invalid_value"},
		{with(`"encryptionKey": "from-appKey", "appKey": "` + strings.Repeat("k", 31) + `"`), "/appKey", "invalid_value"},
		{with(`"ordering": "queue"`), "/ordering", "invalid_value"},
		{with(`"ordering": 1`), "/ordering", "wrong_type"},
		{with(`"headers": ["a"]`), "/headers", "wrong_type"},
		{with(`"headers": {"X-A": 1}`), "/headers/X-A", "wrong_type"},
		{with(`"headers": {"X-A": "a\nb"}`), "/headers/X-A", "invalid_value"},
		{with(`"headers": {"X-A": "a\u007f"}`), "/headers/X-A", "invalid_value"},
		{with(`"headers": {"X-A": "***"}`), "/headers/X-A", "invalid_value"},
		{with(`"headers": {"X-A": "a", "x-a": "b"}`), "/headers/x-a", "duplicate_field"},
		{with(`"headers": {"a/b~c": "x"}`), "/headers/a~1b~0c", "invalid_header"},
		{with(`"headers": {"": "x"}`), "/headers/", "invalid_header"},
		{with(`"headers": {"X-A": "` + strings.Repeat("a", 8190) + `"}`), "/headers", "out_of_range"},
		{
			with(`"headers": {"X-A": "` + strings.Repeat("a", 4000) + `", "X-B": "` + strings.Repeat("a", 4187) + `"}`),
			"/headers", "out_of_range",
		},
		{with(`"headers": ` + manyHeaders(21)), "/headers", "out_of_range"},
		{with(`"headers": ` + manyHeaders(20000)), "/headers", "out_of_range"},
		{header("X A"), "/headers/X A", "invalid_header"},
		{header("X:"), "/headers/X:", "invalid_header"},
		{header("Eé"), "/headers/Eé", "invalid_header"},
		{header("\u212aeep-Alive"), "/headers/\u212aeep-Alive", "invalid_header"}, // the Kelvin sign folds to k
		{header("HOST"), "/headers/HOST", "invalid_header"},
		{header("Content-Type"), "/headers/Content-Type", "invalid_header"},
		{header("content-length"), "/headers/content-length", "invalid_header"},
		{header("Transfer-Encoding"), "/headers/Transfer-Encoding", "invalid_header"},
		{header("connection"), "/headers/connection", "invalid_header"},
		{header("Te"), "/headers/Te", "invalid_header"},
		{header("Trailer"), "/headers/Trailer", "invalid_header"},
		{header("Expect"), "/headers/Expect", "invalid_header"},
		{header("idempotency-key"), "/headers/idempotency-key", "invalid_header"},
		{header("X-Idempotency-Key"), "/headers/X-Idempotency-Key", "invalid_header"},
		{header("X-LOG-Sign"), "/headers/X-LOG-Sign", "invalid_header"},
		{header("Webhook-Id"), "/headers/Webhook-Id", "invalid_header"},
		{header("x-hookline-event"), "/headers/x-hookline-event", "invalid_header"},
		{header("Traceparent"), "/headers/Traceparent", "invalid_header"},
		{with(`"timeoutMs": 999`), "/timeoutMs", "out_of_range"},
		{with(`"timeoutMs": 30001`), "/timeoutMs", "out_of_range"},
		{with(`"timeoutMs": 1000.5`), "/timeoutMs", "out_of_range"},
		{with(`"timeoutMs": 99999999999999999999`), "/timeoutMs", "out_of_range"},
		{with(`"timeoutMs": "5000"`), "/timeoutMs", "wrong_type"},
		{with(`"retry": []`), "/retry", "wrong_type"},
		{with(`"retry": {"chat": {}}`), "/retry/chat", "unknown_field"},
		{with(`"retry": {"cdr": []}`), "/retry/cdr", "wrong_type"},
		{with(`"retry": {"cdr": {"steps": []}}`), "/retry/cdr/steps", "unknown_field"},
		{with(`"retry": {"cdr": {"schedule": "5s"}}`), "/retry/cdr/schedule", "wrong_type"},
		{with(`"retry": {"cdr": {"schedule": ["5s", "30s", "5m", "1d"]}}`), "/retry/cdr/schedule/3", "invalid_value"},
		{with(`"retry": {"cdr": {"schedule": ["0s"]}}`), "/retry/cdr/schedule/0", "out_of_range"},
		{with(`"retry": {"cdr": {"schedule": ["-5s"]}}`), "/retry/cdr/schedule/0", "out_of_range"},
		{with(`"retry": {"cdr": {"schedule": ["24h0m1s"]}}`), "/retry/cdr/schedule/0", "out_of_range"},
		{with(`"retry": {"cdr": {"schedule": [5]}}`), "/retry/cdr/schedule/0", "wrong_type"},
		{with(`"retry": {"cdr": {"schedule": [null]}}`), "/retry/cdr/schedule/0", "wrong_type"},
		{
			with(`"retry": {"live": {"schedule": [` + strings.Repeat(`"1s",`, 20) + `"1s"]}}`), "/retry/live/schedule",
			"out_of_range",
		},
		{with(`"retry": {"live": {"jitter": 1.01}}`), "/retry/live/jitter", "out_of_range"},
		{with(`"retry": {"live": {"jitter": -0.1}}`), "/retry/live/jitter", "out_of_range"},
		{with(`"retry": {"live": {"jitter": 1e999}}`), "/retry/live/jitter", "out_of_range"},
		{with(`"retry": {"live": {"jitter": "0.2"}}`), "/retry/live/jitter", "wrong_type"},
		{with(`"giveUpAfter": "96h"`), "/giveUpAfter", "wrong_type"},
		{with(`"giveUpAfter": {"cdr": "720h1s"}`), "/giveUpAfter/cdr", "out_of_range"},
		{with(`"giveUpAfter": {"live": "999ms"}`), "/giveUpAfter/live", "out_of_range"},
		{with(`"giveUpAfter": {"call": "1h"}`), "/giveUpAfter/call", "unknown_field"},
		{with(`"maxInFlight": 0`), "/maxInFlight", "out_of_range"},
		{with(`"maxInFlight": 65`), "/maxInFlight", "out_of_range"},
		{with(`"maxInFlight": true`), "/maxInFlight", "wrong_type"},
		{with(`"state": "deleted"`), "/state", "invalid_value"},
		{with(`"colour": "red"`), "/colour", "unknown_field"},
		{with(`"Name": "x"`), "/Name", "unknown_field"},
		{with(`"a/b~": 1`), "/a~1b~0", "unknown_field"},
		{with(`"name": "a", "name": "b"`), "/name", "duplicate_field"},
		{with(`"version": 3`), "/version", "read_only"},
		{with(`"hold": null`), "/hold", "read_only"},
		{with(`"filter": []`), "/filter", "wrong_type"},
		{with(`"filter": {"agentIds": ["1"]}`), "/filter/agentIds", "unknown_field"},
		{with(`"filter": {"agentIDs": "1"}`), "/filter/agentIDs", "wrong_type"},
		{with(`"filter": {"queueIds": ["q", 1]}`), "/filter/queueIds/1", "wrong_type"},
		{with(`"filter": {"queueIds": [""]}`), "/filter/queueIds/0", "out_of_range"},
		{with(`"filter": {"departmentIds": [" "]}`), "/filter/departmentIds/0", "invalid_value"},
		{
			with(`"filter": {"gatewayNumbers": ["` + strings.Repeat("1", 257) + `"]}`), "/filter/gatewayNumbers/0",
			"out_of_range",
		},
		{
			with(`"filter": {"gatewayNumbers": [` + strings.Repeat(`"1",`, 1000) + `"1"]}`), "/filter/gatewayNumbers",
			"out_of_range",
		},
		{with(`"filter": {"callTypes": [2, 4]}`), "/filter/callTypes/1", "invalid_value"},
		{with(`"filter": {"callTypes": [null]}`), "/filter/callTypes/0", "invalid_value"},
		{with(`"filter": {"callTypes": {}}`), "/filter/callTypes", "wrong_type"},
		{with(`"masking": "all"`), "/masking", "invalid_value"},
		{with(`"masking": true`), "/masking", "wrong_type"},
		{with(`"supersede": true, "ordering": "none"`), "/supersede", "invalid_value"},
		{with(`"supersede": "yes"`), "/supersede", "wrong_type"},
		{with(`"ratePerSecond": 0.001`), "/ratePerSecond", "out_of_range"},
		{with(`"ratePerSecond": 10001`), "/ratePerSecond", "out_of_range"},
		{with(`"ratePerSecond": "5"`), "/ratePerSecond", "wrong_type"},
		{with(`"expiresAfter": "0s"`), "/expiresAfter", "out_of_range"},
		{with(`"expiresAfter": 5`), "/expiresAfter", "wrong_type"},
		{with(`"strictAck": 1`), "/strictAck", "wrong_type"},
	} {
		s, problems := subscriptions.Create([]byte(c.raw), rules)
		name := c.raw[:min(len(c.raw), 120)]
		require.Nil(t, s, name)
		require.Len(t, problems, 1, name)
		require.Equal(t, c.field, problems[0].Field, name)
		require.Equal(t, c.code, problems[0].Code, name)
		require.NotEmpty(t, problems[0].Message, name)
		want := http.StatusUnprocessableEntity
		if c.code == "malformed" {
			want = http.StatusBadRequest
		}
		require.Equal(t, want, problems[0].Status, name)
	}
}

func TestCreateListsAllThatIsWrong(t *testing.T) {
	_, problems := subscriptions.Create([]byte(`{"name": 1, "events": ["x", "cdr.*", "y"], "retry": {"cdr": {"schedule": ["x"], "jitter": 2}}, "colour": 1, "masking": "hide"}`),
		rules)
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	require.Equal(t,
		[]string{
			"/name", "/events/0", "/events/2", "/retry/cdr/schedule/0", "/retry/cdr/jitter", "/colour", "/masking", "/url",
		},
		fields)

	many := `{"url": "https://crm.example"`
	for i := range 500 {
		many += fmt.Sprintf(`, "f%d": 1`, i)
	}
	_, problems = subscriptions.Create([]byte(many+"}"), rules)
	require.Len(t, problems, 100, "but not without end")
}

func TestRulesOfHubAndTenant(t *testing.T) {
	ask := func(raw string, r subscriptions.Rules) []event.Problem {
		_, problems := subscriptions.Create([]byte(raw), r)
		return problems
	}
	require.Equal(t, "/url", ask(`{"url": "http://crm.example"}`, subscriptions.Rules{RequireHTTPS: true})[0].Field)
	require.Empty(t, ask(`{"url": "https://crm.example"}`, subscriptions.Rules{RequireHTTPS: true}))
	require.Empty(t, ask(with(`"encryption": "aes-128-ecb"`), subscriptions.Rules{AllowECB: true}))

	guard := subscriptions.Rules{CheckURL: func(u *url.URL) error {
		require.Equal(t, "bücher.example:8443", u.Host)
		return errors.New("not there")
	}}
	problems := ask(`{"url": "https://bücher.example:8443/"}`, guard)
	require.Equal(t, []event.Problem{{Code: "invalid_url", Message: "not there", Field: "/url", Status: 422}}, problems)
}

func TestPatchChangesWhatItNames(t *testing.T) {
	s := create(t,
		with(`"name": "crm", "events": ["cdr.*"], "headers": {"Authorization": "Bearer x", "X-Team": "a"}, "retry": {"cdr": {"schedule": ["1s"], "jitter": 0.5}}, "giveUpAfter": {"cdr": "1h"}`))
	before := *s

	p := patch(t, s,
		`{"description": "d", "headers": {"authorization": "***", "X-Team": null, "X-New": "n"}, "retry": {"cdr": {"jitter": 0.1}, "live": {"schedule": ["2s"]}}, "giveUpAfter": {"live": "2h"}}`)
	require.Equal(t, "crm", p.Name)
	require.Equal(t, "d", p.Description)
	require.Equal(t, map[string]string{"authorization": "Bearer x", "X-New": "n"}, p.Headers)
	require.Equal(t, subscriptions.Retry{Schedule: []time.Duration{time.Second}, Jitter: 0.1}, p.Retry[event.CDR])
	require.Equal(t, subscriptions.Retry{Schedule: []time.Duration{2 * time.Second}, Jitter: 0.2}, p.Retry[event.Live])
	require.Equal(t, map[event.Class]time.Duration{event.CDR: time.Hour, event.Live: 2 * time.Hour}, p.GiveUpAfter)
	require.Equal(t, s.Keys, p.Keys)

	require.Equal(t, before, *s, "others still read the old one")
	require.Equal(t, map[string]string{"Authorization": "Bearer x", "X-Team": "a"}, s.Headers)
	require.Len(t, s.Retry[event.Live].Schedule, 5)

	same := patch(t, p, `{}`)
	require.Equal(t, p, same)
}

func TestPatchWithNullResets(t *testing.T) {
	s := create(t, with(`"name": "crm", "description": "d", "events": ["cdr.*"], "encryption": "aes-256-gcm", "ordering": "none", "headers": {"X": "1"},
		"timeoutMs": 1000, "retry": {"cdr": {"schedule": [], "jitter": 0}, "live": {"schedule": [], "jitter": 0}}, "giveUpAfter": {"cdr": "1h", "live": "2h"}, "maxInFlight": 1, "state": "paused",
		"filter": {"agentIDs": ["1"]}, "masking": "drop"`))
	one := patch(t, s, `{"retry": {"cdr": {"schedule": null}, "live": null}, "giveUpAfter": {"cdr": null}}`)
	require.Len(t, one.Retry[event.CDR].Schedule, 10)
	require.Zero(t, one.Retry[event.CDR].Jitter)
	require.Equal(t, subscriptions.DefaultRetry[event.Live], one.Retry[event.Live])
	require.Equal(t, map[event.Class]time.Duration{event.CDR: 96 * time.Hour, event.Live: 2 * time.Hour}, one.GiveUpAfter)

	all := patch(t, s,
		`{"name": null, "description": null, "events": null, "encryption": null, "ordering": null, "headers": null, "timeoutMs": null, "retry": null, "giveUpAfter": null, "maxInFlight": null, "state": null, "filter": null, "masking": null}`)
	want := create(t, `{"url": "https://crm.example/hook"}`)
	want.Keys = s.Keys
	require.Equal(t, want, all)

	_, problems := subscriptions.Patch(s, []byte(`{"url": null}`), rules)
	require.Equal(t, "/url", problems[0].Field)
}

func TestPatchOfHeadersKeepsItsLimits(t *testing.T) {
	s := create(t, with(`"headers": `+manyHeaders(20)))
	_, problems := subscriptions.Patch(s, []byte(`{"headers": {"X-20": "v"}}`), rules)
	require.Len(t, problems, 1)
	require.Equal(t, "/headers", problems[0].Field)
	require.Len(t, patch(t, s, `{"headers": {"X-20": "v", "x-0": null}}`).Headers, 20)
	require.Nil(t, patch(t, create(t, with(`"headers": {"X": "1"}`)), `{"headers": {"x": null}}`).Headers)
}

func TestPauseByPatch(t *testing.T) {
	s := create(t, with(`"state": "paused"`))
	later := subscriptions.Rules{Now: now.Add(time.Minute)}
	again, problems := subscriptions.Patch(s, []byte(`{"state": "paused"}`), later)
	require.Empty(t, problems)
	require.Equal(t, now, again.PausedAt, "a pause is not begun anew")
	active, problems := subscriptions.Patch(again, []byte(`{"state": "active", "name": "x"}`), later)
	require.Empty(t, problems)
	require.Equal(t, "x", active.Name)
	require.False(t, active.Paused())
	require.Empty(t, active.PausedReason)
	require.Equal(t, time.Minute, active.PausedFor)
	require.Equal(t, now.Add(time.Hour-time.Minute).UnixMilli(), active.ActiveClock(now.Add(time.Hour)))
}

func TestKeys(t *testing.T) {
	appKey := strings.Repeat("a", 32)
	s := create(t, with(`"appKey": "`+appKey+`"`))
	require.Nil(t, s.Keys[0].Sealing(s.Encryption))

	// Sealing turned on: a sealing key is made, the appKey stays.
	sealed := patch(t, s, `{"encryption": "aes-256-gcm"}`)
	require.Len(t, sealed.Keys, 2)
	require.Equal(t, 2, sealed.Keys[1].N)
	require.Equal(t, appKey, sealed.Keys[1].AppKey)
	require.Len(t, sealed.Keys[1].Sealing(sealed.Encryption), 32)
	require.Equal(t, now, *sealed.Keys[0].Until)
	require.Nil(t, s.Keys[0].Until, "others still read the old one")
	require.Equal(t, sealed.Keys[1:], sealed.KeysAt(now))
	require.Equal(t, sealed.Keys[:1], sealed.KeysAt(now.Add(-time.Second)))

	// Derived: the kind of encryption decides, so changing it needs no new key.
	derived := patch(t, sealed, `{"encryptionKey": "from-appKey"}`)
	k := derived.Keys[2]
	require.Equal(t, signing.DeriveKey(signing.GCM, appKey), k.Sealing(signing.GCM))
	require.Equal(t, signing.DeriveKey(signing.ECB, appKey), k.Sealing(signing.ECB))
	require.Len(t, patch(t, derived, `{"encryption": "aes-256-cbc"}`).Keys, 3)
	_, problems := subscriptions.Patch(derived, []byte(`{"appKey": "0123456789abcdef"}`), rules)
	require.Len(t, problems, 1)
	require.Equal(t, "/appKey", problems[0].Field)
	_, problems = subscriptions.Patch(create(t, with(`"appKey": "0123456789abcdef"`)),
		[]byte(`{"encryptionKey": "from-appKey"}`), rules)
	require.Len(t, problems, 1)
	require.Equal(t, "/encryptionKey", problems[0].Field)

	// The same key again is no new key; null is.
	require.Len(t, patch(t, s, `{"appKey": "`+appKey+`"}`).Keys, 1)
	fresh := patch(t, s, `{"appKey": null}`)
	require.Len(t, fresh.Keys, 2)
	require.Len(t, fresh.Keys[1].AppKey, 43)

	found, ok := derived.Key(2)
	require.True(t, ok)
	require.Equal(t, derived.Keys[1], found)
	_, ok = derived.Key(4)
	require.False(t, ok)
}

func FuzzCreateAndPatch(f *testing.F) {
	for _, s := range []string{
		`{"url": "https://crm.example/hook"}`,
		with(`"headers": {"X": "***", "x": null}`),
		with(`"retry": {"cdr": {"schedule": ["5s"], "jitter": 0.2}}, "giveUpAfter": {"live": "1h"}`),
		with(`"encryption": "aes-128-ecb", "encryptionKey": "from-appKey", "state": "paused", "events": ["cdr.*", "EventRinging"]`),
		`{"a": {"b": [1, {"c": null}]}, "a": 1e999}`, "{\"name\": \"\\ud800\"}", ` [ ] `,
	} {
		f.Add([]byte(s))
	}
	r := subscriptions.Rules{AllowECB: true, Now: now}
	seal := func(b []byte) []byte { return b }
	open := func(b []byte) ([]byte, error) { return b, nil }
	check := func(t *testing.T, s *subscriptions.Subscription, problems []event.Problem) {
		require.Equal(t, s == nil, len(problems) > 0)
		for _, p := range problems {
			require.NotEmpty(t, p.Message)
			require.Contains(t, []int{400, 422}, p.Status)
		}
		if s == nil {
			return
		}
		// What was taken can be stored, read and shown.
		_, err := url.Parse(s.URL)
		require.NoError(t, err)
		require.NotZero(t, s.Types)
		raw, err := s.Fields(seal)
		require.NoError(t, err)
		again := &subscriptions.Subscription{}
		require.NoError(t, again.SetFields(raw, open))
		require.Equal(t, s.View().URL, again.View().URL)
		require.Equal(t, s.Headers, again.Headers)
		if s.Encryption != signing.None {
			k := s.Keys[len(s.Keys)-1]
			_, err := signing.Seal(s.Encryption, k.Sealing(s.Encryption), &signing.Message{},
				make([]byte, signing.NonceSize(s.Encryption)))
			require.NoError(t, err)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, problems := subscriptions.Create(raw, r)
		check(t, s, problems)
		base := create(t, with(`"headers": {"X": "1"}`))
		p, problems := subscriptions.Patch(base, raw, r)
		check(t, p, problems)
		if s != nil && !strings.Contains(string(raw), "null") {
			require.NotNil(t, p, "what creates also patches")
		}
	})
}
